"""What a kernel works on: tensors in system memory, buffers in local memory, and boxes of both."""

from __future__ import annotations

from collections.abc import Iterator
from types import EllipsisType
from typing import NoReturn, TypeAlias, TypeVar

from tpukernel.dtypes import Dtype
from tpukernel.lang.errors import IndexRangeError, SymbolicValueError
from tpukernel.lang.expr import Expr, compare, subtract
from tpukernel.lang.ir import Direction, Local, Param, Span, View
from tpukernel.lang.misuse import NoArithmetic
from tpukernel.lang.symbols import Size, SymInt, expr_of, here, size_of

__all__ = ["Global", "In", "InOut", "Index", "Out", "Tensor", "Tile", "whole"]

Index: TypeAlias = "Size | slice[Size | None, Size | None, Size | None] | EllipsisType"
"""What may stand between the brackets, per dimension: `:`, `start:stop`, a number, `...`."""

_Self = TypeVar("_Self", bound="Tensor")


def whole(name: str, shape: tuple[Expr, ...]) -> View:
    """All of a parameter or buffer."""
    return View(name, tuple(Span(0, size) for size in shape))


class Tensor(NoArithmetic):
    """A box of a tensor. `tensor[...]` takes a smaller box, in any number of dimensions: `x[:, c : c + 64, :, w : w + ws]`.

    Attributes:
        dtype: element type.
        view: what part of what it is, in the intermediate representation.
    """

    def __init__(self, view: View, dtype: Dtype) -> None:
        self.view = view
        self.dtype = dtype

    @property
    def shape(self) -> tuple[Size, ...]:
        """Sizes of the dimensions; an `int` where it is known while the kernel is traced."""
        return tuple(size_of(size) for size in self.view.shape)

    @property
    def name(self) -> str:
        """The parameter or buffer."""
        return self.view.base

    def __getitem__(self: _Self, index: Index | tuple[Index, ...]) -> _Self:
        return self.box(View(self.view.base, tuple(_cut(self, index if isinstance(index, tuple) else (index,)))))

    def box(self: _Self, view: View) -> _Self:
        """The same tensor with another view of it."""
        found = object.__new__(type(self))
        found.__dict__.update(self.__dict__)
        found.view = view
        return found

    def __len__(self) -> int:
        size = self.view.shape[0]
        if isinstance(size, int):
            return size
        raise SymbolicValueError(
            f"the length of {self!r} is not known while the kernel is traced", position=here(), help="use .shape[0] and k.range"
        )

    def __iter__(self) -> NoReturn:
        raise SymbolicValueError(
            f"{self!r} is memory, not a sequence of numbers", position=here(), help="loop over offsets with k.range, and load boxes of it"
        )

    def __bool__(self) -> NoReturn:
        raise SymbolicValueError(
            f"{self!r} is memory: its numbers are not known while the kernel is traced",
            position=here(),
            help="compare and select elements with k.tiu.greater, k.tiu.select_greater, ...",
        )

    def __repr__(self) -> str:
        return f"{self.name} {self.dtype.name}[{', '.join(map(repr, self.shape))}]"


class Global(Tensor):
    """A tensor in system memory (DDR)."""


class In(Global):
    """Annotation of a parameter: a tensor that the kernel reads."""


class Out(Global):
    """Annotation of a parameter: a tensor that the kernel writes; the caller gets it back."""


class InOut(Global):
    """Annotation of a parameter: a tensor that the kernel reads and writes."""


class Tile(Tensor):
    """A buffer in local memory, or a box of one.

    Attributes:
        local: the buffer.
    """

    def __init__(self, local: Local) -> None:
        super().__init__(whole(local.name, local.shape), local.dtype)
        self.local = local


GLOBALS: dict[Direction, type[Global]] = {"in": In, "out": Out, "inout": InOut}


def parameter(param: Param) -> Global:
    """What a kernel sees of a parameter."""
    return GLOBALS[param.direction](whole(param.name, param.shape), param.dtype)


def _cut(tensor: Tensor, index: tuple[Index, ...]) -> Iterator[Span]:
    """The spans of a smaller box."""
    rank = len(tensor.view.shape)
    dots = [place for place, each in enumerate(index) if each is Ellipsis]
    given = len(index) - len(dots)
    if given > rank or len(dots) > 1:
        raise IndexRangeError(
            f"{given} indices for {tensor!r}, which has {rank} dimensions", position=here(), help="leave out what is too much"
        )
    missing = (slice(None),) * (rank - given)
    full = (*index[: dots[0]], *missing, *index[dots[0] + 1 :]) if dots else (*index, *missing)
    indices = iter(full)
    for span in tensor.view.spans:
        yield _cut_span(tensor, span, next(indices)) if span.kept else span


def _cut_span(tensor: Tensor, span: Span, index: Index) -> Span:
    if isinstance(index, slice):
        if index.step not in (None, 1):
            raise IndexRangeError(f"a step of {index.step!r} in a slice of {tensor!r}", position=here(), help="take every element, step 1")
        start = 0 if index.start is None else _from_front(index.start, span.size)
        stop = span.size if index.stop is None else _from_front(index.stop, span.size)
        found = Span(_plus(span.start, start), subtract(stop, start))
    elif isinstance(index, EllipsisType):
        raise AssertionError("dots were expanded")  # pragma: no cover
    else:
        start, stop = _from_front(index, span.size), span.size
        found = Span(_plus(span.start, start), 1, kept=False)
    outside = compare("<", start, 0) is True or compare("<=", found.size, 0) is True
    beyond = isinstance(start, int) and isinstance(found.size, int) and isinstance(span.size, int) and start + found.size > span.size
    if outside or beyond:
        raise IndexRangeError(
            f"elements {size_of(start)!r} to {size_of(_plus(start, found.size))!r} of a dimension of {size_of(span.size)!r} of {tensor!r}",
            position=here(),
            help="cut the last piece with tpukernel.minimum(tile, size - start)",
        )
    return found


def _from_front(size: Size, dimension: Expr) -> Expr:
    """A negative number counts from the end, as in Python."""
    if isinstance(size, SymInt):
        return expr_of(size)
    number = expr_of(size)
    return _plus(dimension, number) if isinstance(number, int) and number < 0 else number


def _plus(one: Expr, other: Expr) -> Expr:
    return subtract(one, subtract(0, other))
