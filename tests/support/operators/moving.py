"""Operators that put elements elsewhere: they move bits, whatever these mean."""

from __future__ import annotations

from math import prod

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import Draw, Example, Operator, Reals, one, wide
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


def _gathered(x: Reals, index: Array, axis: int) -> Reals:
    """The parts that an index names; nothing is 0."""
    parts = np.moveaxis(x, axis, 0)
    found = [parts[int(each)] if 0 <= int(each) < len(parts) else np.zeros(parts.shape[1:]) for each in index.reshape(-1)]
    whole = np.array(found).reshape(*index.shape, *parts.shape[1:])
    return np.moveaxis(whole, range(index.ndim), range(axis, axis + index.ndim))


def _gather(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(1500, (1, 4)), dtype)
    axis, kind = draw.integer(0, x.ndim - 1), draw.choice((np.int32, np.uint32))
    count = x.shape[axis]
    index = draw.random.integers(0, count + draw.integer(0, 1), draw.shape(9, (1, 2))).astype(kind)
    return one([x, index], lambda a, b: bm.gather(a, b, axis), _gathered(wide(x), index, axis))


def _embedding(draw: Draw, dtype: Dtype) -> Example:
    table = draw.numbers((draw.size(), draw.size(15)), dtype)
    index = draw.random.integers(0, len(table), draw.shape(30, (1, 2))).astype(np.int32)
    wanted = _gathered(wide(table), index, 0)
    if draw.integer(0, 1):
        return one([index, table], bm.embedding, wanted)
    return one([index], lambda tensor: bm.embedding(tensor, table), wanted)


OPERATORS = (
    Operator("broadcast_to", EVERY, _broadcast_to),
    Operator("stack", EVERY, _stack),
    Operator("squeeze", EVERY, _squeeze),
    Operator("unsqueeze", EVERY, _unsqueeze),
    Operator("flatten", EVERY, _flatten),
    Operator("gather", EVERY, _gather, "an index out of range gives 0"),
    Operator("embedding", EVERY, _embedding, "the type is that of the table"),
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
