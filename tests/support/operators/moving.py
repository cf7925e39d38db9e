"""Operators that put elements elsewhere: they move bits, whatever these mean."""

from __future__ import annotations

from math import prod

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import Draw, Example, Operator, one, wide
from tpukernel.dtypes import DTYPES, Dtype

__all__ = ["OPERATORS"]

EVERY = tuple(DTYPES.values())


def _concat(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape(1500)
    axis = draw.integer(0, len(shape) - 1)
    others = [tuple(draw.size(7) if place == axis else size for place, size in enumerate(shape)) for _ in range(draw.integer(1, 2))]
    arrays = [draw.numbers(each, dtype) for each in (shape, *others)]
    wanted = np.zeros(tuple(sum(array.shape[axis] for array in arrays) if place == axis else size for place, size in enumerate(shape)))
    at = 0
    for array in arrays:
        np.moveaxis(wanted, axis, 0)[at : at + array.shape[axis]] = np.moveaxis(wide(array), axis, 0)
        at += array.shape[axis]
    given = axis - len(shape) if draw.integer(0, 1) else axis

    def body(*tensors: Tensor) -> Tensor:
        return bm.concat(tensors, given)

    return one(arrays, body, wanted)


def _slice(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    start = [draw.integer(0, size - 1) for size in x.shape]
    size = [draw.integer(1, whole - first) for whole, first in zip(x.shape, start, strict=True)]
    wanted = wide(x)
    for axis, (first, count) in enumerate(zip(start, size, strict=True)):
        wanted = np.take(wanted, range(first, first + count), axis)
    return one([x], lambda tensor: bm.slice(tensor, start, size), wanted)


def _split(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape()
    axis = draw.integer(0, len(shape) - 1)
    x = draw.numbers(shape, dtype)
    first = draw.integer(1, shape[axis])
    sizes = [first, shape[axis] - first] if first < shape[axis] else [first]
    parts = [np.take(wide(x), range(sum(sizes[:place]), sum(sizes[: place + 1])), axis) for place in range(len(sizes))]
    return Example((x,), lambda tensor: bm.split(tensor, sizes, axis), tuple(parts), (0.0,) * len(parts))


def _pad(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(1000), dtype)
    before, after = ([draw.integer(0, 2) for _ in x.shape] for _ in range(2))
    value = draw.integer(0, 7) if dtype.is_int else draw.integer(-4, 4) / 2
    wanted = np.full([a + size + b for a, size, b in zip(before, x.shape, after, strict=True)], float(value))
    wanted[tuple(np.s_[first : first + size] for first, size in zip(before, x.shape, strict=True))] = wide(x)
    return one([x], lambda tensor: bm.pad(tensor, before, after, value), wanted)


def _tile(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(500, (1, 4)), dtype)
    repeats = [draw.integer(1, 3) for _ in x.shape]
    wanted = wide(x)
    for axis, count in enumerate(repeats):
        wanted = np.concatenate([wanted] * count, axis)
    return one([x], lambda tensor: bm.tile(tensor, repeats), wanted)


def _flip(draw: Draw, dtype: Dtype) -> Example:
    shape = tuple(draw.size(7) for _ in range(draw.integer(1, 4)))
    axes = [axis for axis in range(len(shape)) if draw.integer(0, 1)] or [0]
    x, wanted = draw.numbers(shape, dtype), np.zeros(shape)
    for index in np.ndindex(shape):
        wanted[tuple(shape[axis] - 1 - place if axis in axes else place for axis, place in enumerate(index))] = float(x[index])
    given = axes[0] if len(axes) == 1 else axes
    return one([x], lambda tensor: bm.flip(tensor, given), wanted)


def _permute(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    order = [int(axis) for axis in draw.random.permutation(x.ndim)]
    return one([x], lambda tensor: bm.permute(tensor, order), np.moveaxis(wide(x), order, range(x.ndim)))


def _transpose(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(ranks=(2, 4)), dtype)
    a, b = (draw.integer(-x.ndim, x.ndim - 1) for _ in range(2))
    return one([x], lambda tensor: bm.transpose(tensor, a, b), np.swapaxes(wide(x), a, b))


def _reshape(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    order = [int(axis) for axis in draw.random.permutation(x.ndim)]
    shape = [x.shape[axis] for axis in order]
    given = [*shape[:-1], -1] if draw.integer(0, 1) else [prod(shape[:2]), *shape[2:]]
    return one([x], lambda tensor: bm.reshape(tensor, given), wide(x).reshape(given))


def _broadcast_to(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape(2000, (1, 4))
    x = draw.numbers(draw.part(shape), dtype)
    return one([x], lambda tensor: bm.broadcast_to(tensor, shape), np.zeros(shape) + wide(x))


def _stack(draw: Draw, dtype: Dtype) -> Example:
    shape, axis = draw.shape(1000, (1, 4)), draw.integer(0, 1)
    a, b = draw.numbers(shape, dtype), draw.numbers(shape, dtype)
    wanted = np.zeros((*shape[:axis], 2, *shape[axis:]))
    np.moveaxis(wanted, axis, 0)[:] = wide(a), wide(b)
    return one([a, b], lambda x, y: bm.stack([x, y], axis), wanted)


def _squeeze(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape(2000, (1, 3))
    axis = draw.integer(0, len(shape))
    x = draw.numbers((*shape[:axis], 1, *shape[axis:]), dtype)
    left = [size for size in shape if size != 1] or [1]
    if draw.integer(0, 1):
        return one([x], bm.squeeze, wide(x).reshape(left))
    return one([x], lambda tensor: bm.squeeze(tensor, axis), wide(x).reshape(shape))


def _unsqueeze(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape(2000, (1, 3))
    axis, x = draw.integer(0, len(shape)), draw.numbers(shape, dtype)
    return one([x], lambda tensor: bm.unsqueeze(tensor, axis), wide(x).reshape(*shape[:axis], 1, *shape[axis:]))


def _flatten(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    first = draw.integer(0, x.ndim - 1)
    last = draw.integer(first, x.ndim - 1)
    wanted = wide(x).reshape(*x.shape[:first], -1, *x.shape[last + 1 :])
    return one([x], lambda tensor: bm.flatten(tensor, first, last), wanted)


def _roll(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    if draw.integer(0, 3) == 0:
        shift = draw.integer(-9, 9)
        wanted = np.array([wide(x).reshape(-1)[(place - shift) % x.size] for place in range(x.size)]).reshape(x.shape)
        return one([x], lambda tensor: bm.roll(tensor, shift), wanted)
    axes = [axis for axis in range(x.ndim) if draw.integer(0, 1)] or [0]
    shifts = [draw.integer(-9, 9) for _ in axes]
    wanted = wide(x)
    for axis, shift in zip(axes, shifts, strict=True):
        wanted = np.take(wanted, [(place - shift) % x.shape[axis] for place in range(x.shape[axis])], axis)
    return one([x], lambda tensor: bm.roll(tensor, shifts, axes), wanted)


def _repeat(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(1000, (1, 4)), dtype)
    axis = draw.integer(0, x.ndim - 1)
    counts = [draw.integer(0, 3) for _ in range(x.shape[axis])]
    if draw.integer(0, 1) or not any(counts):
        counts = [draw.integer(1, 4)] * x.shape[axis]
    rows = np.moveaxis(wide(x), axis, 0)
    wanted = np.moveaxis(np.stack([row for row, count in zip(rows, counts, strict=True) for _ in range(count)]), 0, axis)
    given = counts[0] if len(set(counts)) == 1 else counts
    return one([x], lambda tensor: bm.repeat(tensor, given, axis - x.ndim), wanted)


def _extract(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    spans = [slice(None)] * x.ndim
    for axis, size in enumerate(x.shape):
        first, last = sorted((draw.integer(0, size - 1), draw.integer(0, size)))
        step = draw.choice((1, 1, 1, 2, 3, -1, -2))
        if first < last and draw.integer(0, 1):
            spans[axis] = slice(first, last, step) if step > 0 else slice(last - 1, first - 1 if first else None, step)
        elif draw.integer(0, 1):
            spans[axis] = slice(None, None, step)
    wanted = wide(x)
    for axis, span in enumerate(spans):
        wanted = np.take(wanted, range(x.shape[axis])[span], axis)
    if draw.integer(0, 1):
        return one([x], lambda tensor: tensor[tuple(spans)], wanted)
    strides = [1 if span.step is None else int(span.step) for span in spans]
    return one([x], lambda tensor: bm.extract(tensor, [span.start for span in spans], [span.stop for span in spans], strides), wanted)


OPERATORS = (
    Operator("broadcast_to", EVERY, _broadcast_to),
    Operator("stack", EVERY, _stack),
    Operator("squeeze", EVERY, _squeeze),
    Operator("unsqueeze", EVERY, _unsqueeze),
    Operator("flatten", EVERY, _flatten),
    Operator("roll", EVERY, _roll),
    Operator("repeat", EVERY, _repeat),
    Operator("extract", EVERY, _extract, "Python slices, also with steps"),
    Operator("concat", EVERY, _concat),
    Operator("slice", EVERY, _slice),
    Operator("split", EVERY, _split),
    Operator("pad", EVERY, _pad),
    Operator("tile", EVERY, _tile),
    Operator("flip", EVERY, _flip),
    Operator("permute", EVERY, _permute),
    Operator("transpose", EVERY, _transpose),
    Operator("reshape", EVERY, _reshape),
)
