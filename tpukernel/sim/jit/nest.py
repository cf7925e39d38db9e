"""Loop nests over the elements of several operands, from the places where these lie.

A placement with wrapping axes is no affine function of the index, but a few rectangles of it are: the piece before the first wrap, the
whole turns, the piece behind them. `nests` finds the rectangles in which all operands of a command are affine, drops dimensions of size 1,
puts the dimensions in the order of the result's strides, and joins those that every operand passes through without a gap. What remains
are a few loops over long runs. The work depends on shapes and strides only, and is remembered by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from math import prod

from tpukernel.chips.placement import Axis, Placement

__all__ = ["DIMS", "MAX_NESTS", "Form", "Nest", "form_of", "is_injective", "nest_of", "nests", "nests_of"]

DIMS = 5
"""Loops of a nest, the innermost one included."""

MAX_NESTS = 64
"""A command that falls into more rectangles is not worth the trouble."""

CHUNK = 1 << 14
"""Elements of one unit of work where everything is one long run."""

_FEW_TURNS, _MANY_ELEMENTS = 16, 1 << 26
"""Where the outermost loop would have so few turns for so many elements, another one is the outermost: a turn of it is a unit of work, and
work is divided between threads and interrupted between its units.
"""

_LOOKED_AT = 1 << 16
"""Elements that are looked at one by one where the strides tell nothing (a copy of several n without strides that starts in a lane other
than the first, for example).
"""

Axes = tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Nest:
    """Loops over a rectangle of elements.

    Attributes:
        sizes: turns of each loop, outermost first; `DIMS` of them.
        last: turns of the innermost loop in the last turn of the outermost one (else `sizes[-1]`).
        offsets: by operand: bytes from its base to its first element of the rectangle.
        strides: by operand: bytes from one turn of each loop to the next.
    """

    sizes: tuple[int, ...]
    last: int
    offsets: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    @property
    def elements(self) -> int:
        return prod(self.sizes)

    @property
    def depth(self) -> int:
        """How many loops do something: the outermost and the innermost one, and those between them."""
        return 2 + sum(size > 1 for size in self.sizes[1:-1])

    def with_single_elements(self, itemsizes: Sequence[int]) -> Nest | None:
        """The same elements with an innermost loop of one turn; None if all loops are needed for other things.

        Args:
            itemsizes: by operand, bytes of an element, or 0 for a stride of 0 along the new loop.
        """
        free = [dim for dim in range(DIMS) if self.sizes[dim] == 1]
        if not free or self.last != self.sizes[-1]:
            return None
        kept = [dim for dim in range(DIMS) if dim != free[0]]
        return Nest(
            sizes=(*(self.sizes[dim] for dim in kept), 1),
            last=1,
            offsets=self.offsets,
            strides=tuple((*(steps[dim] for dim in kept), size) for steps, size in zip(self.strides, itemsizes, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of one dimension: `turns` times `places` indices; by operand (offset, bytes of a turn, bytes of a place)."""

    turns: int
    places: int
    steps: tuple[tuple[int, int, int], ...]


def nests(placements: Sequence[Placement]) -> tuple[Nest, ...] | None:
    """The rectangles of a command whose operands are of one shape; None for too many.

    Args:
        placements: of the result first, whose elements must not lie on each other. A dimension of size 1 of another operand is repeated.
    """
    return nests_of(tuple(_form(placement.axes) for placement in placements))


def is_injective(placement: Placement) -> bool:
    """True if no two elements share a byte; of many elements, only if that is plain from the strides."""
    return _is_injective(placement.axes, placement.itemsize)


@lru_cache(maxsize=4096)
def _is_injective(axes: Axes, itemsize: int) -> bool:
    factors = [(axis.outer, axis.turns) for axis in axes]
    factors += [(axis.inner, min(axis.period, axis.count)) for axis in axes if axis.period > 1]
    reach = itemsize
    for stride, count in sorted(factor for factor in factors if factor[1] > 1):
        if stride < reach:
            break
        reach += stride * (count - 1)
    else:
        return True
    few = prod(axis.count for axis in axes) <= _LOOKED_AT
    return few and not Placement(0, itemsize, axes).overlaps()


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """The axes of a placement. There is one object for equal axes, so that it is cheap to look things up by it."""

    axes: Axes


@lru_cache(maxsize=1 << 14)
def _form(axes: Axes) -> Form:
    return Form(axes)


def form_of(placement: Placement) -> Form:
    """The axes of a placement."""
    return _form(placement.axes)


@lru_cache(maxsize=4096)
def nests_of(operands: tuple[Form, ...]) -> tuple[Nest, ...] | None:
    """What `nests` tells of placements with these axes."""
    dimensions: list[list[_Piece]] = []
    for axes in zip(*(form.axes for form in operands), strict=True):
        pieces = _pieces(axes)
        if pieces is None:
            return None
        dimensions.append(pieces)
    if prod(map(len, dimensions)) > MAX_NESTS:
        return None
    found = [nest for pieces in product(*dimensions) for nest in _rectangle(pieces, len(operands))]
    return tuple(found) if len(found) <= MAX_NESTS else None


# ---------------------------------------------------------------------------- one dimension


def _pieces(axes: Axes) -> list[_Piece] | None:
    count = axes[0].count
    wrapping = [axis for axis in axes if axis.count > 1 and _wraps(axis)]
    periods = {axis.period for axis in wrapping}
    if not periods:
        return [_piece(axes, 0, 1, count, 1)]
    if len(periods) > 1:
        return _linear_pieces(axes, wrapping, count)
    (period,) = periods
    phases = sorted({-axis.start % period for axis in wrapping})
    first = phases[0]
    found = [_piece(axes, 0, 1, min(first, count), period)] if first else []
    turns = max(0, count - first) // period
    ends = [*phases[1:], first + period]
    if turns:
        found += [_piece(axes, begin, turns, end - begin, period) for begin, end in zip(phases, ends, strict=True)]
    done = turns * period
    for begin, end in zip(phases, ends, strict=True):
        if done + begin < count:
            found.append(_piece(axes, done + begin, 1, min(done + end, count) - done - begin, period))
    return found


def _linear_pieces(axes: Axes, wrapping: Sequence[Axis], count: int) -> list[_Piece] | None:
    """Cut at every wrap of every operand."""
    cuts = {0, count}
    for axis in wrapping:
        cuts |= set(range(-axis.start % axis.period, count, axis.period))
        if len(cuts) > MAX_NESTS:
            return None
    ordered = sorted(cuts)
    return [_piece(axes, begin, 1, end - begin, 1) for begin, end in pairwise(ordered)]


def _wraps(axis: Axis) -> bool:
    crosses = axis.start % axis.period + axis.count > axis.period
    return axis.period > 1 and crosses and axis.inner * axis.period != axis.outer


def _piece(axes: Axes, first: int, turns: int, places: int, period: int) -> _Piece:
    return _Piece(turns, places, tuple(_step(axis, first, period) for axis in axes))


def _step(axis: Axis, first: int, period: int) -> tuple[int, int, int]:
    index = first if axis.count > 1 else 0
    turn, place = divmod(axis.start + index, axis.period)
    offset = turn * axis.outer + place * axis.inner
    if axis.count == 1:
        return offset, 0, 0
    stride = axis.outer if axis.period == 1 else axis.inner
    return offset, axis.outer if _wraps(axis) else stride * period, stride


# ---------------------------------------------------------------------------- rectangles

Dim = tuple[int, tuple[int, ...]]
"""Size, and by operand the stride."""


def _rectangle(pieces: Sequence[_Piece], operands: int) -> Iterator[Nest]:
    offsets = tuple(sum(piece.steps[k][0] for piece in pieces) for k in range(operands))
    dims: list[Dim] = []
    for piece in pieces:
        dims.append((piece.turns, tuple(step[1] for step in piece.steps)))
        dims.append((piece.places, tuple(step[2] for step in piece.steps)))
    dims = _joined(sorted((dim for dim in dims if dim[0] > 1), key=lambda dim: dim[1], reverse=True))
    if len(dims) > 1 and dims[0][0] < _FEW_TURNS and prod(size for size, _ in dims) > _MANY_ELEMENTS:
        if len(dims) == 2:
            yield from _turns(dims, offsets)
            return
        largest = max(range(len(dims) - 1), key=lambda dim: dims[dim][0])
        dims = [dims[largest], *dims[:largest], *dims[largest + 1 :]]
    yield from _loops(dims, offsets)


def _joined(dims: Sequence[Dim]) -> list[Dim]:
    found: list[Dim] = []
    for size, strides in dims:
        if found and all(outer == inner * size for outer, inner in zip(found[-1][1], strides, strict=True)):
            size *= found.pop()[0]
        found.append((size, strides))
    return found


def nest_of(sizes: Sequence[int], offsets: Sequence[int], strides: Sequence[Sequence[int]]) -> Nest:
    """The nest of `DIMS` loops at most, outermost first, those joined that every operand passes through without a gap.

    Args:
        sizes: turns of each loop.
        offsets: by operand, bytes to its first element.
        strides: by operand, bytes from one turn of each loop to the next.
    """
    dims = _joined([(size, tuple(each[dim] for each in strides)) for dim, size in enumerate(sizes) if size > 1])
    return next(_loops(dims, tuple(offsets)))


def _turns(dims: Sequence[Dim], offsets: tuple[int, ...]) -> Iterator[Nest]:
    """The nests of each turn of the outermost loop."""
    size, strides = dims[0]
    for index in range(min(size, MAX_NESTS + 1)):
        yield from _loops(dims[1:], tuple(offset + index * stride for offset, stride in zip(offsets, strides, strict=True)))


def _loops(dims: Sequence[Dim], offsets: tuple[int, ...]) -> Iterator[Nest]:
    if len(dims) > DIMS:
        yield from _turns(dims, offsets)
        return
    none = (0,) * len(offsets)
    if not dims:
        dims = [(1, none)]
    size, strides = dims[-1]
    last = size
    if len(dims) == 1 and size > CHUNK:
        dims = [(-(-size // CHUNK), tuple(CHUNK * stride for stride in strides)), (CHUNK, strides)]
        last = (size - 1) % CHUNK + 1
    outer = dims[:1] if len(dims) > 1 else []
    padded = [*outer, *[(1, none)] * (DIMS - len(dims)), *dims[len(outer) :]]
    yield Nest(
        sizes=tuple(size for size, _ in padded),
        last=last,
        offsets=offsets,
        strides=tuple(tuple(strides[k] for _, strides in padded) for k in range(len(offsets))),
    )
