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


OPERATORS = (
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
