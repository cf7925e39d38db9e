"""Elements in another order along dimensions: reversed, turned round, repeated one by one, every so many."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from bmlang.graph.dims import is_one, same_sizes
from bmlang.layers.arrange import axis_of, concat, split, tile
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.gather import MANY_COMMANDS, gather
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Span, Tensor, here, span_of

__all__ = ["extract", "flip", "repeat", "roll"]


def _picked(x: Tensor, places: Sequence[int], axis: int) -> Tensor:
    return gather(x, np.array(places, np.int32), axis)


def flip(x: Tensor, axes: int | Sequence[int]) -> Tensor:
    """x with some dimensions in the other direction."""
    for axis in sorted({axis_of("flip", x.ndim, each) for each in ([axes] if isinstance(axes, int) else axes)}):
        size, outer, inner = x.shape[axis], prod(x.shape[:axis]), prod(x.shape[axis + 1 :])
        if size > 1 and inner > 1 and size < min(outer, MANY_COMMANDS):  # a copy for each element is fewer commands
            x = concat(split(x, [1] * size, axis)[::-1], axis)
        elif size > 1:
            x = _picked(x, range(size - 1, -1, -1), axis)
    return x


def roll(x: Tensor, shifts: int | Sequence[int], axes: int | Sequence[int] | None = None) -> Tensor:
    """x with its elements moved on by `shifts` places, the last ones to the begin.

    Args:
        x: any data type.
        shifts: a number for each of the axes; negative towards the begin.
        axes: the dimensions; None for x seen as one row.
    """
    if axes is None:
        if not isinstance(shifts, int):
            raise OperatorArgumentError(f"roll by {shifts!r} without axes", position=here(), help="give one number, or name the axes")
        return reshape(roll(reshape(x, (-1,)), shifts, 0), x.shape)
    steps, places = ([each] if isinstance(each, int) else list(each) for each in (shifts, axes))
    if len(steps) != len(places):
        raise OperatorArgumentError(f"roll by {shifts!r} along {axes!r}", position=here(), help="give as many numbers as axes")
    for step, given in zip(steps, places, strict=True):
        axis = axis_of("roll", x.ndim, given)
        size = x.shape[axis]
        if step % size:
            first, last = split(x, [size - step % size, step % size], axis)
            x = concat([last, first], axis)
    return x


def repeat(x: Tensor, repeats: int | Sequence[int], axis: int) -> Tensor:
    """Each element along a dimension several times, one copy behind the other.

    Args:
        x: any data type.
        repeats: how often, 1 or more; or a number of 0 or more for each element of the dimension.
        axis: the dimension.
    """
    place = axis_of("repeat", x.ndim, axis)
    size = x.shape[place]
    if isinstance(repeats, int):
        if repeats < 1:
            raise OperatorArgumentError(f"repeat {repeats} times", position=here(), help="give 1 or more")
        before, after = x.shape[:place], x.shape[place + 1 :]
        apart = tile(reshape(x, (*before, size, 1, *after)), [*(1 for _ in before), 1, repeats, *(1 for _ in after)])
        return reshape(apart, (*before, size * repeats, *after))
    if len(repeats) != size or min(repeats) < 0 or sum(repeats) == 0:
        raise OperatorArgumentError(f"repeat {list(repeats)} times along {size}", position=here(), help="give a number for each element")
    return _picked(x, np.repeat(np.arange(size), list(repeats)).tolist(), place)


def extract(
    x: Tensor, start: Sequence[int | None] | None = None, end: Sequence[int | None] | None = None, stride: Sequence[int] | None = None
) -> Tensor:
    """x[start:end:stride] along each dimension, as Python slices: also counted from the end, and backwards.

    Args:
        x: any data type.
        start, end: for each dimension; None for all of it.
        stride: for each dimension, not 0.
    """
    parts = [[None] * x.ndim if each is None else list(each) for each in (start, end, stride)]
    if any(len(each) != x.ndim for each in parts) or 0 in parts[2]:
        raise OperatorArgumentError(
            f"extract {start!r} to {end!r} by {stride!r} of x {list(x.shape)}", position=here(), help="give one number for each dimension"
        )
    return strided(x, [span_of(x, axis, slice(*each)) for axis, each in enumerate(zip(*parts, strict=True))])


def strided(x: Tensor, spans: Sequence[Span]) -> Tensor:
    """The elements of x at these places along each dimension."""
    if any(span.size < 1 for span in spans):
        raise ShapeError(f"nothing is left of x {list(x.shape)}", position=here(), help="take one element or more of each dimension")
    start = [span.first if span.step > 0 else span.first + (span.size - 1) * span.step for span in spans]
    size = [(span.size - 1) * abs(span.step) + 1 for span in spans]
    if not same_sizes(size, x.shape):
        x = x[tuple(slice(first, first + count) for first, count in zip(start, size, strict=True))]
    for axis, span in enumerate(spans):
        if span.step != 1 and not is_one(span.size):
            x = flip(x, axis) if span.step == -1 else _every(x, axis, abs(span.step), backwards=span.step < 0)
    return x


def _every(x: Tensor, axis: int, step: int, *, backwards: bool) -> Tensor:
    """Elements 0, step, 2 * step, ... of a dimension, of which the last one is the last of the dimension."""
    size, inner = x.shape[axis], prod(x.shape[axis + 1 :])
    count = (size - 1) // step + 1
    if backwards or inner == 1 or count < 2:
        places = range(0, size, step)
        return _picked(x, places[::-1] if backwards else places, axis)
    # all but the last one are the first ones of rows of `step`
    head, last = split(x, [size - 1, 1], axis)
    rows = reshape(head, (*x.shape[:axis], count - 1, step, *x.shape[axis + 1 :]))
    first, _ = split(rows, [1, step - 1], axis + 1)
    return concat([reshape(first, (*x.shape[:axis], count - 1, *x.shape[axis + 1 :])), last], axis)
