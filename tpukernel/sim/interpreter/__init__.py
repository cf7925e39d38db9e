"""The interpreter: what each instruction does, in numpy, exact to the bit. One file per unit, with the stem of the unit's file in
`tpukernel.isa`.

A unit's function takes the instruction and the memories, reads its operands with `Memory.load`, computes, and writes with `Memory.store`.
It never changes the floating-point state of the caller: the chip's flushing of denormal numbers is computed, not switched on
(`numerics.floats`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import cast

from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.memory import Memory

__all__ = ["Execute", "Interpretation", "execute", "executor"]

Execute = Callable[[Instruction, Memory], None]


@cache
def executor(unit: type[Instruction]) -> Execute:
    """The function that executes instructions of a unit: `execute` in the module of the unit's stem."""
    stem = unit.__module__.rpartition(".")[2]
    return cast("Execute", import_module(f"{__name__}.{stem}").execute)


def execute(instruction: Instruction, memory: Memory) -> None:
    """Execute one instruction on the memories."""
    executor(type(instruction))(instruction, memory)


@dataclass(frozen=True)
class Interpretation:
    """Runs commands one by one on the memories."""

    order: Sequence[Instruction]
    memory: Memory

    def run(self, begin: int, end: int) -> None:
        """Run the commands at these positions.

        Raises:
            TpuError: what a command raises, with the place of the command.
        """
        for instruction in self.order[begin:end]:
            try:
                execute(instruction, self.memory)
            except TpuError as error:
                error.where = error.where or f"{instruction.engine} command {instruction.id} ({instruction.title})"
                raise
