"""Elements in another order along dimensions: reversed, turned round, repeated one by one, every so many."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from bmlang.graph.dims import has_dims, is_one, same_sizes
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
        if prod(after) == 1 and not has_dims(size):  # single elements are moved in local memory
            return _picked(x, [index // repeats for index in range(size * repeats)], place)
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
    boxes = [_box(x.shape, axis, span) for axis, span in enumerate(spans)]
    if not same_sizes([count for _, count in boxes], x.shape):
        x = x[tuple(slice(first, first + count) for first, count in boxes)]
    for axis, (span, (begin, count)) in enumerate(zip(spans, boxes, strict=True)):
        if span.step == 1 or is_one(span.size):
            continue
        if span.step == -1:
            x = flip(x, axis)
        elif has_dims((span.size, count)):
            x = _every(x, axis, abs(span.step), backwards=span.step < 0)
        elif count == span.size * span.step:  # one element of each row of `step`
            rows = reshape(x, (*x.shape[:axis], span.size, span.step, *x.shape[axis + 1 :]))
            x = rows[(..., span.first - begin, *(slice(None) for _ in x.shape[axis + 1 :]))]
        else:
            first = span.first - begin
            x = _picked(x, range(first, first + span.size * span.step, span.step), axis)
    return x


def _box(shape: Sequence[int], axis: int, span: Span) -> tuple[int, int]:
    """The part of a dimension that is needed, its first element and size: from end to end; or whole rows as long as the step; or all of it,
    where what is left out is little."""
    _, size, step = span
    low, extent = span.first if step > 0 else span.first + (size - 1) * step, (size - 1) * abs(step) + 1
    if abs(step) == 1 or is_one(size) or has_dims((size, shape[axis])):
        return low, extent
    begin = min(low, shape[axis] - size * step)
    if step > 1 and begin >= 0 and prod(shape[axis + 1 :]) > 1:
        return begin, size * step
    return (low, extent) if extent * 2 < shape[axis] else (0, shape[axis])


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
