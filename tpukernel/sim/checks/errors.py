"""What the checks find."""

from __future__ import annotations

from collections.abc import Sequence

from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction

__all__ = ["CheckError", "IllegalInstructionError", "OverlapError", "RaceError", "UninitialisedReadError"]


class CheckError(TpuError):
    """Base of what the checks find.

    Attributes:
        instructions: the commands that are involved; two for a race.
        operands: the name of the operand of each of them.
    """

    def __init__(self, message: str, *, instructions: Sequence[Instruction], operands: Sequence[str], help: str | None = None) -> None:
        where = "; ".join(describe(instruction) for instruction in instructions)
        super().__init__(message, where=where, help=help)
        self.instructions = tuple(instructions)
        self.operands = tuple(operands)


def describe(instruction: Instruction) -> str:
    """A command by its place and name."""
    return f"{instruction.where or instruction.engine} ({instruction.title})"


class IllegalInstructionError(CheckError, code="SIM120"):
    """A command breaks a rule of the chip: out of bounds, misaligned, operands in different lanes, a type the unit does not have, ..."""


class UninitialisedReadError(CheckError, code="SIM121"):
    """A command reads bytes that nothing has written."""


class OverlapError(CheckError, code="SIM122"):
    """A command writes over its own operands in a way that its unit forbids."""


class RaceError(CheckError, code="SIM123"):
    """Two commands of different engines touch the same bytes, one of them writes, and their numbers do not say which comes first."""
