"""The intermediate representation of kernels: what tracing makes, what the text form prints, what elaboration unrolls.

Everything is an immutable dataclass. Two kernels are equal when they do the same in the same words; places in the source do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import Dtype
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.expr import Condition, Expr
from tpukernel.markup import element, text
from tpukernel.source import Position

__all__ = [
    "Allocate",
    "Assert",
    "Attribute",
    "Direction",
    "KernelIr",
    "Local",
    "Loop",
    "Op",
    "Operand",
    "Parallel",
    "Param",
    "Print",
    "Raw",
    "Span",
    "Statement",
    "View",
    "When",
    "walk",
]

Direction = Literal["in", "out", "inout"]
Number = int | float
Attribute = Expr | Condition | float | str | Dtype | Rounding | tuple[Expr, ...] | None
"""An argument of a function that is no tensor."""


@dataclass(frozen=True, slots=True)
class Param:
    """A tensor in system memory that the caller gives or gets."""

    name: str
    direction: Direction
    shape: tuple[Expr, ...]
    dtype: Dtype


@dataclass(frozen=True, slots=True)
class Local:
    """A buffer in local memory.

    Attributes:
        name: unique in the kernel.
        shape: (n, c, h, w), or (rows, columns) with `cols_per_channel`.
        dtype: element type.
        layout: how the elements lie.
        cols_per_channel: of a matrix with rows in n: columns that one channel holds; None for everything else.
        at: address given by the author, else None.
        bank: bank given by the author in which it starts, else None.
        rotates: whether steps of a pipeline that overlap have buffers of their own.
        position: where it was made.
    """

    name: str
    shape: tuple[Expr, ...]
    dtype: Dtype
    layout: Layout = Layout.EU_ALIGNED
    cols_per_channel: Expr | None = None
    at: Expr | None = None
    bank: int | None = None
    rotates: bool = True
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Span:
    """The elements of one dimension that a view takes; `kept` is False where an integer index drops the dimension."""

    start: Expr
    size: Expr
    kept: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """A box of a parameter or of a buffer, one span per dimension."""

    base: str
    spans: tuple[Span, ...]

    @property
    def shape(self) -> tuple[Expr, ...]:
        """The sizes of the dimensions that are kept."""
        return tuple(span.size for span in self.spans if span.kept)


Operand = View | Number
"""What an operation works on: a tensor or a number."""


@dataclass(frozen=True, slots=True)
class Op:
    """One call of a TPUKernel function.

    Attributes:
        name: the operation as the author wrote it, for example `tiu.add`.
        row: the function of `tpukernel.api` that it is.
        operands: tensors (and numbers in their place) by the name of the function's parameter without `_addr`.
        attributes: the other arguments that do not follow from the operands, by the name of the parameter.
        token: number of the operation, for `after` of others; 0 where nobody asked.
        after: tokens of operations of the other engine for which it waits besides what follows from the data.
        position: where it was written.
    """

    name: str
    row: str
    operands: tuple[tuple[str, Operand], ...]
    attributes: tuple[tuple[str, Attribute], ...] = ()
    token: int = field(default=0, compare=False)
    after: tuple[int, ...] = ()
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Raw:
    """Instructions that a TPUKernel function emitted while the kernel was traced, with the addresses that its author gave."""

    instructions: tuple[Instruction, ...]
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Allocate:
    """From here on a buffer exists; what it held before means nothing."""

    local: Local


@dataclass(frozen=True, slots=True)
class Loop:
    """`for var in start, start + step, ... below stop`.

    Attributes:
        kind: `range` runs step after step; `pipeline` lets neighbouring steps overlap, with `buffers` copies of the buffers of its body.
    """

    kind: Literal["range", "pipeline"]
    var: str
    start: Expr
    stop: Expr
    step: Expr
    body: tuple[Statement, ...]
    buffers: int = 1
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class When:
    """What happens only where a condition holds."""

    condition: Condition
    body: tuple[Statement, ...]
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Parallel:
    """Operations that the author orders by `after`; nothing is derived between the two engines inside."""

    body: tuple[Statement, ...]
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Assert:
    """A condition on sizes that must hold when the kernel is elaborated."""

    condition: Condition
    message: str
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Print:
    """Text and sizes to print when the kernel is elaborated."""

    values: tuple[str | Expr, ...]


Statement = Op | Raw | Allocate | Loop | When | Parallel | Assert | Print


@dataclass(frozen=True, slots=True)
class KernelIr:
    """A traced kernel.

    Attributes:
        name: of the function.
        params: its tensors in order.
        attributes: its other arguments as they were given, with their values as the text form writes them.
        body: what it does.
    """

    name: str
    params: tuple[Param, ...]
    attributes: tuple[tuple[str, str], ...]
    body: tuple[Statement, ...]

    @property
    def symbolic(self) -> bool:
        """Whether dimensions of the parameters are variables, so that it fits more than one shape."""
        return any(not isinstance(size, int) for param in self.params for size in param.shape)

    def __str__(self) -> str:
        """The kernel as text, which `tpukernel.parse` reads."""
        from tpukernel.lang.text.printer import kernel_text  # the printer stands on the operations, which stand on this

        return kernel_text(self)

    def _repr_html_(self) -> str:
        return element("pre", text(str(self)), style="line-height:1.2")


def walk(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements, those inside others too, in the order in which they are written."""
    for statement in body:
        yield statement
        if isinstance(statement, Loop | When | Parallel):
            yield from walk(statement.body)
