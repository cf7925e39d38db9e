"""Building an instruction anew from what it shows."""

from __future__ import annotations

from typing import TypeVar

from tpukernel.isa import Instruction

T = TypeVar("T", bound=Instruction)


def rebuilt(instruction: T) -> T:
    """The instruction made from its operands, attributes and numbers alone, and from the fields that nothing explains."""
    return instruction.replace()
