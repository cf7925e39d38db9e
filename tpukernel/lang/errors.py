"""Errors of kernels. Each names the user's line, with a caret where Python has the text.

Codes: KER101-109 symbolic values and tracing, KER110-119 operations and operands, KER120-129 memory, KER130-139 order, KER140-149 calls,
KER150-169 kernels as text and what limits them, KER170-179 searching.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpukernel.errors import TpuError
from tpukernel.source import Position

__all__ = [
    "AssertionFailedError",
    "BufferOrderError",
    "CallError",
    "IndexRangeError",
    "KernelError",
    "KernelIrError",
    "LayoutMismatchError",
    "LocalMemoryError",
    "LoopExitError",
    "OperandTypeError",
    "SearchSpaceError",
    "ShapeMismatchError",
    "SignatureError",
    "SymbolicValueError",
    "TuningError",
    "UnknownOperationError",
    "UnrollLimitError",
    "UnsupportedDtypeError",
    "UnusedResultError",
    "UnwrittenBufferError",
    "UnwrittenOutputError",
]


class KernelError(TpuError):
    """Base of the errors of kernels.

    Attributes:
        position: where in the user's source; None where there is no place.
    """

    def __init__(self, message: str, *, position: Position | None = None, where: str | None = None, help: str | None = None) -> None:
        super().__init__(message, where=where or (None if position is None else position.rendered()), help=help)
        self.position = position


class SymbolicValueError(KernelError, code="KER101"):
    """Python asked for the number of a size that is known only when the kernel is elaborated: `if`, `range`, `len`, `int`, `while`."""


class LoopExitError(KernelError, code="KER102"):
    """A loop of the kernel was left by `break` or `return`, or its index is used outside of it."""


class SignatureError(KernelError, code="KER103"):
    """The function cannot be a kernel: a parameter without a direction, or of no known kind."""


class KernelIrError(KernelError, code="KER104"):
    """A kernel's intermediate representation contradicts itself, as when a buffer is used that was never made."""


class UnknownOperationError(KernelError, AttributeError, code="KER110"):
    """There is no such operation."""


class UnsupportedDtypeError(KernelError, code="KER111"):
    """The operation does not exist for the data types of its operands."""


class OperandTypeError(KernelError, code="KER112"):
    """An operand is of the wrong kind: system memory where local memory is needed, a number where a tensor is needed, ..."""


class ShapeMismatchError(KernelError, code="KER113"):
    """The shapes of the operands of one operation do not fit together."""


class LayoutMismatchError(KernelError, code="KER114"):
    """An operand lies in local memory in another way than the operation reads it."""


class IndexRangeError(KernelError, code="KER115"):
    """A view reaches over the end of its tensor, or is empty."""


class LocalMemoryError(KernelError, code="KER120"):
    """The buffers that are needed at one time do not fit into the local memory of a lane.

    Which changes would make them fit is found out when the message is first asked for, because it takes several attempts.

    Attributes:
        commands: how many commands the kernel has.
        changes: finds changes that make it fit, in words; None when they are known, or cannot be found.
    """

    def __init__(
        self, message: str, *, position: Position | None = None, where: str | None = None, help: str | None = None, commands: int = 0
    ) -> None:
        super().__init__(message, position=position, where=where, help=help)
        self.commands = commands
        self.changes: Callable[[], Sequence[str]] | None = None

    def find_changes(self) -> None:
        """Put the changes that make the kernel fit into `help`."""
        find, self.changes = self.changes, None
        found: Sequence[str] = () if find is None else find()
        if found:
            self.help = f"it fits with {', or '.join(found)}"

    def __str__(self) -> str:
        self.find_changes()
        return super().__str__()

    def __reduce__(self) -> str | tuple[object, ...]:
        self.find_changes()  # a copy in another process has no kernel
        return super().__reduce__()


class BufferOrderError(KernelError, code="KER130"):
    """The steps of a pipeline depend on each other, so that they cannot overlap."""


class CallError(KernelError, code="KER140"):
    """The arguments of a call do not fit the kernel."""


class AssertionFailedError(KernelError, code="KER141"):
    """A condition that the kernel states with `k.assert_` does not hold."""


class UnwrittenOutputError(KernelError, code="KER142"):
    """The kernel left elements of an output unwritten."""


class UnusedResultError(KernelError, code="KER143"):
    """An operation loads or computes something that no other operation reads."""


class UnwrittenBufferError(KernelError, code="KER144"):
    """An operation reads a buffer to which nobody has written."""


class UnrollLimitError(KernelError, code="KER159"):
    """A kernel unrolls to more commands, turns of loops or buffers than it may: one of a text, or any with a limit."""


class TuningError(KernelError, code="KER170"):
    """None of the keywords among which `autotune` chooses works for the shapes at hand."""


class SearchSpaceError(KernelError, code="KER171"):
    """What `sweep` or `autotune` shall try is empty or not there: a list without values, an unknown keyword, no kernel."""
