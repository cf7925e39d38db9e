"""What the stream executes: kernels, and calls of them.

A kernel is a function `i64 kernel(ptr record, i64 first, i64 last)` that does the units of work `first` to `last - 1` of the command that
the record describes, and returns 0. One that meets data for which it is not made returns another number *before it has written anything*;
then the interpreter executes the whole command, which also raises the errors of a command that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tpukernel.sim.jit.llvm import Target

__all__ = ["ARGUMENTS", "REGISTERS", "SCRATCH", "STOP", "Call", "Kernel"]

ARGUMENTS = "record"
"""The space of pointers into a call's own record: constants are operands that lie there."""

REGISTERS = "registers"
"""The space of the chip's registers (`Memory.registers`)."""

SCRATCH = "scratch"
"""The space of work memory that is free again behind the command."""


STOP = "stop"
"""The space of the word that is not 0 when the run is to end. A kernel with units that take long looks at it now and then, and returns a
number other than 0 then, whatever it has written.
"""


class Kernel(Protocol):
    """A template with its types, modes and classes of layout. Two of one `key` are the same code."""

    @property
    def key(self) -> str:
        """What distinguishes it from all other kernels."""
        ...

    @property
    def ieee(self) -> bool:
        """Whether denormal numbers count; else the processor takes them for zeros, and makes zeros of denormal results."""
        ...

    def emit(self, target: Target) -> str:
        """The module, in LLVM's text form."""
        ...


@dataclass(slots=True)
class Call:
    """One call of a kernel.

    Attributes:
        kernel: what is called.
        record: the 64-bit words that it gets; pointers are offsets in their space.
        pointers: (word of the record, name of the space) of each pointer.
        units: units of work, which may be done in any order and by several threads at once.
        cost: nanoseconds that it takes, about.
        scratch: bytes of the space `SCRATCH` that it uses.
        guarded: the kernel may refuse (return another number than 0). Then it is the first call of its command.
        by_lane: unit number k touches lane k of local memory alone, and besides only these memories: (read, written). None where units
            may touch other lanes.
    """

    kernel: Kernel
    record: list[int]
    pointers: Sequence[tuple[int, str]]
    units: int = 1
    cost: float = 100.0
    scratch: int = 0
    guarded: bool = False
    by_lane: tuple[frozenset[str], frozenset[str]] | None = None
