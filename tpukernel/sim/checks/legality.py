"""Commands that break a rule of the chip (`Instruction.rules`), or whose operands lie in no memory of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from tpukernel.chips.tensors import Constant
from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.checks.errors import IllegalInstructionError
from tpukernel.sim.memory import Memory

__all__ = ["illegal"]


def illegal(instruction: Instruction, memory: Memory) -> Iterator[IllegalInstructionError]:
    """What is wrong with one command on its own."""
    legal = True
    for problem in instruction.problems(memory.chip):
        legal = False
        found = IllegalInstructionError(problem.message, instructions=[instruction], operands=[problem.operand], help=problem.help)
        found.__cause__ = problem
        yield found
    if not legal:
        return
    for use in instruction.operands():
        if isinstance(use.value, Constant):
            continue
        try:
            memory.place(use.value)
        except TpuError as error:
            yield IllegalInstructionError(f"{use.name}: {error.message}", instructions=[instruction], operands=[use.name], help=error.help)
