"""Commands that break a rule of the chip (`Instruction.rules`)."""

from __future__ import annotations

from collections.abc import Iterator

from tpukernel.isa.instruction import Instruction
from tpukernel.sim.checks.errors import IllegalInstructionError
from tpukernel.sim.memory import Memory

__all__ = ["illegal"]


def illegal(instruction: Instruction, memory: Memory) -> Iterator[IllegalInstructionError]:
    """Every rule that one command breaks."""
    for problem in instruction.problems(memory.chip):
        found = IllegalInstructionError(problem.message, instructions=[instruction], operands=[problem.operand], help=problem.help)
        found.__cause__ = problem
        yield found
