"""Operators that an index tells which elements are meant."""

from __future__ import annotations

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from tests.support.operators.base import Draw, Example, Operator, Reals, one, wide
from tpukernel.dtypes import DTYPES, Dtype, i8, u8

__all__ = ["OPERATORS"]

EVERY = tuple(DTYPES.values())
INDEX_TYPES = (np.int32, np.uint32, np.int16, np.uint8)


def _gathered(x: Reals, index: Array, axis: int) -> Reals:
    """The parts that an index names; nothing is 0."""
    parts = np.moveaxis(x, axis, 0)
    found = [parts[int(each)] if 0 <= int(each) < len(parts) else np.zeros(parts.shape[1:]) for each in index.reshape(-1)]
    whole = np.array(found).reshape(*index.shape, *parts.shape[1:])
    return np.moveaxis(whole, range(index.ndim), range(axis, axis + index.ndim))


def _gather(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(1500, (1, 4)), dtype)
    axis, kind = draw.integer(0, x.ndim - 1), draw.choice(INDEX_TYPES)
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


def _index(draw: Draw, shape: tuple[int, ...], size: int) -> Array:
    """Indices below a size; some name nothing."""
    kind = draw.choice(INDEX_TYPES)
    index = draw.random.integers(0, min(size, np.iinfo(kind).max), shape)
    if draw.integer(0, 1):
        index = np.where(draw.random.random(shape) < 0.1, min(size + draw.integer(0, 9), np.iinfo(kind).max), index)
    if draw.integer(0, 1) and np.iinfo(kind).min < 0:
        index = np.where(draw.random.random(shape) < 0.1, -draw.integer(1, 9), index)
    return index.astype(kind)


def _index_select(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(1500, (1, 4)), dtype)
    axis = draw.integer(0, x.ndim - 1)
    index = _index(draw, (draw.size(13),), x.shape[axis])
    wanted = _gathered(wide(x), index, axis)
    if draw.integer(0, 1):
        return one([x], lambda tensor: bm.index_select(tensor, index, axis), wanted)
    return one([x, index], lambda a, b: bm.index_select(a, b, axis), wanted)


def _smaller(draw: Draw, shape: tuple[int, ...], axis: int, most: int) -> tuple[int, ...]:
    """The shape of an index along a dimension of x."""
    if draw.integer(0, 1):
        shape = tuple(draw.integer(1, size) for size in shape)
    return (*shape[:axis], draw.size(most), *shape[axis + 1 :])


def _gather_elements(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(800, (1, 4)), dtype)
    axis = draw.integer(0, x.ndim - 1)
    index = _index(draw, _smaller(draw, x.shape, axis, 13), x.shape[axis])
    wanted = np.zeros(index.shape)
    for place in np.ndindex(index.shape):
        named = int(index[place])
        if 0 <= named < x.shape[axis]:
            wanted[place] = float(x[(*place[:axis], named, *place[axis + 1 :])])
    given = axis - x.ndim if draw.integer(0, 1) else axis
    if draw.integer(0, 3) == 0:
        return one([x], lambda tensor: bm.gather_elements(tensor, index, given), wanted)
    return one([x, index], lambda a, b: bm.gather_elements(a, b, given), wanted)


def _scatter(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(800, (1, 4)), dtype)
    axis = draw.integer(0, x.ndim - 1)
    index = _index(draw, _smaller(draw, x.shape, axis, 13), x.shape[axis])
    updates = draw.numbers(index.shape, dtype)
    wanted = wide(x)
    for place in np.ndindex(index.shape):  # the last dimension fastest: in the order along the chosen one
        named = int(index[place])
        if 0 <= named < x.shape[axis]:
            wanted[(*place[:axis], named, *place[axis + 1 :])] = float(updates[place])
    given = axis - x.ndim if draw.integer(0, 1) else axis
    if draw.integer(0, 3) == 0:
        return one([x, updates], lambda a, b: bm.scatter(a, index, b, given), wanted)
    return one([x, index, updates], lambda a, b, c: bm.scatter(a, b, c, given), wanted)


def _coordinates(draw: Draw, shape: tuple[int, ...], sizes: tuple[int, ...]) -> Array:
    """Coordinates in a box: from both ends, some outside."""
    found = np.stack([draw.random.integers(-size, size, shape) for size in sizes], -1)
    if draw.integer(0, 1):
        found[..., 0] = np.where(draw.random.random(shape) < 0.2, draw.choice((sizes[0], -sizes[0] - 1, 2**31 - 1)), found[..., 0])
    return found.astype(np.int32)


def _named(sizes: tuple[int, ...], place: Array) -> tuple[int, ...] | None:
    """An element by its coordinates; None where there is none."""
    if not all(-size <= int(each) < size for each, size in zip(place, sizes, strict=True)):
        return None
    return tuple(int(each) % size for each, size in zip(place, sizes, strict=True))


def _gather_nd(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(800, (2, 4)), dtype)
    batch = draw.integer(0, 1)
    sizes = x.shape[batch : batch + draw.integer(1, x.ndim - batch)]
    indices = _coordinates(draw, (*x.shape[:batch], *draw.shape(9, (1, 2))), sizes)
    behind = x.shape[batch + len(sizes) :]
    wanted = np.zeros((*indices.shape[:-1], *behind))
    for place in np.ndindex(indices.shape[:-1]):
        named = _named(sizes, indices[place])
        if named is not None:
            wanted[place] = wide(x[(*place[:batch], *named)])
    if draw.integer(0, 1):
        return one([x], lambda tensor: bm.gather_nd(tensor, indices, batch), wanted)
    return one([x, indices], lambda a, b: bm.gather_nd(a, b, batch), wanted)


def _scatter_nd(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(800, (1, 4)), dtype)
    sizes = x.shape[: draw.integer(1, x.ndim)]
    indices = _coordinates(draw, draw.shape(9, (1, 2)), sizes)
    updates = draw.numbers((*indices.shape[:-1], *x.shape[len(sizes) :]), dtype)
    wanted = wide(x)
    for place in np.ndindex(indices.shape[:-1]):
        named = _named(sizes, indices[place])
        if named is not None:
            wanted[named] = wide(updates[place])
    if draw.integer(0, 1):
        return one([x, updates], lambda a, b: bm.scatter_nd(a, indices, b), wanted)
    return one([x, indices, updates], bm.scatter_nd, wanted)


def _lut(draw: Draw, dtype: Dtype) -> Example:
    x, table = draw.integers(draw.shape(), draw.choice((i8, u8))), draw.numbers((256,), dtype)
    wanted = np.array([float(table[int(each) & 255]) for each in x.reshape(-1)]).reshape(x.shape)
    if draw.integer(0, 1):
        return one([x], lambda tensor: bm.lut(tensor, table), wanted)
    return one([x, table], bm.lut, wanted)


OPERATORS = (
    Operator("lut", EVERY, _lut, "the type is that of the table, x has 8 bits"),
    Operator("gather", EVERY, _gather, "an index out of range gives 0"),
    Operator("embedding", EVERY, _embedding, "the type is that of the table"),
    Operator("index_select", EVERY, _index_select),
    Operator("gather_elements", EVERY, _gather_elements, "an index out of range gives 0"),
    Operator("gather_nd", EVERY, _gather_nd, "coordinates out of range give 0"),
    Operator("scatter", EVERY, _scatter, "an index out of range puts nothing"),
    Operator("scatter_nd", EVERY, _scatter_nd, "coordinates out of range put nothing"),
)
