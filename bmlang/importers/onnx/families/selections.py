"""Operators that choose elements by an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Final

import numpy as np

from bmlang.graph.dims import Dim
from bmlang.graph.graph import Array
from bmlang.importers.onnx.elements import ELEMENTS, narrowed
from bmlang.importers.onnx.families.shapes import cut
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.values import Known, Live
from bmlang.layers.cast import cast
from bmlang.layers.compare import eq, lt, where
from bmlang.layers.coordinates import gather_nd, scatter_nd
from bmlang.layers.elementwise import add, max, min, mul
from bmlang.layers.gather import gather, gather_elements
from bmlang.layers.scatter import scatter
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor
from tpukernel.dtypes import i32

__all__ = ["EAGER", "TABLE", "counted"]


def counted(index: Tensor, size: int) -> Tensor:
    """Numbers of elements, those below 0 counted from the end."""
    wide = index if index.dtype == i32 else cast(index, i32)
    return add(wide, mul(lt(wide, 0), size))


def _known_index(array: Array, size: int) -> Array:
    wide = array.astype(np.int64)
    if isinstance(size, Dim) and (wide < 0).any():
        raise NotSupported("several places are counted from the end of a size that varies")
    return np.where(wide < 0, wide + size, wide).astype(np.int32)


def _gather(node: OnnxNode) -> Result:
    x, axis, index = node.tensor(0), node.axis(0), node.value(1)
    size = x.shape[axis]
    if not isinstance(index, Known):
        return gather(x, counted(node.tensor(1), size), axis)
    if index.array.size == 1:
        return _one(node, x, axis)
    places = _known_index(node.known(1), size)
    if places.size and (places.min() < 0 or places.max() >= size):
        node.wrong(f"an index of {places.max()} along a dimension of {size}")
    flat = places.reshape(-1)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    if flat.size and np.all(np.diff(flat) == 1):
        return reshape(cut(x, axis, int(flat[0]), flat.size), shape)
    return gather(x, places, axis)


def _one(node: OnnxNode, x: Tensor, axis: int) -> Tensor:
    """The part at one place, which may be a size that varies, or be counted from the end of a dimension that does."""
    (place,), size = node.sizes(1), x.shape[axis]
    place = place + size if place < 0 else place
    if place < 0 or place >= size:
        node.wrong(f"an index of {place} along a dimension of {size}")
    return reshape(cut(x, axis, place, 1), (*x.shape[:axis], *node.shape(1), *x.shape[axis + 1 :]))


def _index(node: OnnxNode, index: int, size: int) -> Operand:
    """An index of elements, counted from the front."""
    found = node.value(index)
    return _known_index(node.known(index), size) if isinstance(found, Known) else counted(node.tensor(index), size)


def _gather_elements(node: OnnxNode) -> Result:
    x, axis = node.tensor(0), node.axis(0)
    return gather_elements(x, _index(node, 1, x.shape[axis]), axis)


def _gather_nd(node: OnnxNode) -> Result:
    found = node.value(1)
    indices = narrowed(node.known(1), "indices") if isinstance(found, Known) else node.tensor(1)
    made = gather_nd(node.tensor(0), indices, node.integer("batch_dims", 0))
    shape = (*node.shape(1)[:-1], *node.shape(0)[node.integer("batch_dims", 0) + node.shape(1)[-1] :])
    return made if made.shape == shape else reshape(made, shape)


JOINS: Final[Mapping[str, Callable[[Operand, Operand], Tensor]]] = {"add": add, "max": max, "min": min, "mul": mul}


def _scatter(node: OnnxNode) -> Result:
    x, axis, updates = node.tensor(0), node.axis(0), node.tensor(2)
    index = _index(node, 1, x.shape[axis])
    way = node.text("reduction", "none")
    if way != "none":
        _check_distinct(index, axis)
        updates = JOINS[way](gather_elements(x, index, axis), updates)
    return scatter(x, index, updates, axis)


def _check_distinct(index: Operand, axis: int) -> None:
    """Values for one place are joined with what is there, not with each other."""
    if isinstance(index, Tensor):
        raise NotSupported("values are joined for indices that are not known")
    lines = np.moveaxis(np.asarray(index), axis, -1).reshape(-1, np.shape(index)[axis])
    if any(len(set(line.tolist())) < len(line) for line in lines):
        raise NotSupported("several values are joined for one place")


def _scatter_nd(node: OnnxNode) -> Result:
    x, updates, found = node.tensor(0), node.tensor(2), node.value(1)
    indices = narrowed(node.known(1), "indices") if isinstance(found, Known) else node.tensor(1)
    way = node.text("reduction", "none")
    if way != "none":
        if isinstance(indices, Tensor):
            raise NotSupported("values are joined for indices that are not known")
        rows = [tuple(row) for row in indices.reshape(-1, indices.shape[-1]).tolist()]
        if len(set(rows)) < len(rows):
            raise NotSupported("several values are joined for one place")
        updates = JOINS[way](reshape(gather_nd(x, indices), updates.shape), updates)
    return scatter_nd(x, indices, updates)


def _one_hot(node: OnnxNode) -> Result:
    depth, values = int(node.known(1).reshape(-1)[0]), node.value(2)
    index = node.tensor(0)
    axis = node.integer("axis", -1)
    axis += index.ndim + 1 if axis < 0 else 0
    if index.dtype.is_float:
        index = cast(index, i32, "towards_zero")
    places = counted(index, depth)
    shape = [1] * (index.ndim + 1)
    shape[axis] = depth
    numbers = np.arange(depth, dtype=np.int32).reshape(shape)
    found = eq(reshape(places, (*index.shape[:axis], 1, *index.shape[axis:])), numbers)
    off, on = (cut(node.tensor(2), 0, place, 1) for place in (0, 1))
    return Live(where(found, on, off), values.element)


def _max_unpool(node: OnnxNode) -> Result:
    x, index = node.tensor(0), node.tensor(1)
    kernel = node.integers("kernel_shape")
    rank = x.ndim - 2
    strides, pads = node.integers("strides", [1] * rank), node.integers("pads", [0] * 2 * rank)
    if not len(kernel) == len(strides) == rank or len(pads) != 2 * rank:
        node.wrong(f"kernel {kernel}, strides {strides}, pads {pads} of x {list(x.shape)}")
    sizes = [
        (size - 1) * step + reach - before - after
        for size, step, reach, before, after in zip(x.shape[2:], strides, kernel, pads[:rank], pads[rank:], strict=True)
    ]
    shape = (*x.shape[:2], *sizes)
    wanted = node.optional_known(2)
    if wanted is not None and tuple(int(size) for size in wanted) != shape:
        raise NotSupported(f"a result {[int(size) for size in wanted]} that is not the {list(shape)} which the windows give")
    nothing = Tensor(x.tracer, x.tracer.constant(np.zeros((prod(shape),), x.dtype.numpy)))
    return reshape(scatter(nothing, reshape(index, (-1,)), reshape(x, (-1,)), 0), shape)


def _compress(node: OnnxNode) -> Result:
    condition = node.known(1).astype(bool).reshape(-1)
    x = node.tensor(0)
    axis = node.axis(0) if "axis" in node.attributes else 0
    rows = x if "axis" in node.attributes else reshape(x, (-1,))
    places = np.flatnonzero(condition[: rows.shape[axis]]).astype(np.int32)
    if not places.size:
        raise NotSupported("the result has no elements")
    return gather(rows, places, axis)


def _trilu(node: OnnxNode) -> Result:
    x = node.tensor(0)
    shift = node.optional_known(1)
    k = 0 if shift is None else int(shift.reshape(-1)[0])
    rows, columns = x.shape[-2:]
    ones = np.ones((rows, columns), x.dtype.numpy)
    mask = np.triu(ones, k) if node.integer("upper", 1) else np.tril(ones, k)
    nothing = Tensor(x.tracer, x.tracer.constant(np.zeros((), x.dtype.numpy)))
    return where(Tensor(x.tracer, x.tracer.constant(mask, "triangle")), x, nothing)


def _eye_like(node: OnnxNode) -> Result:
    number = node.integer("dtype", node.element(0).number)
    rows, columns = node.shape(0)
    kind = np.dtype("bool" if number == 9 else ELEMENTS[number].name)
    return np.eye(rows, columns, node.integer("k", 0)).astype(kind)


def _reverse_sequence(node: OnnxNode) -> Result:
    x, lengths = node.tensor(0), node.known(1).astype(np.int64).reshape(-1)
    batch, time = node.integer("batch_axis", 1), node.integer("time_axis", 0)
    if {batch, time} != {0, 1}:
        node.wrong(f"batch_axis {batch} and time_axis {time}")
    steps = x.shape[time]
    places = np.empty((x.shape[0], x.shape[1]), np.int32)
    for row, length in enumerate(lengths):
        order = np.concatenate([np.arange(length)[::-1], np.arange(length, steps)])
        if time == 0:
            places[:, row] = order * x.shape[1] + row
        else:
            places[row] = order + row * x.shape[1]
    rows = reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
    return reshape(gather(rows, places.reshape(-1), 0), x.shape)


TABLE: Final[Mapping[str, Handler]] = {
    "Compress": _compress,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "MaxUnpool": _max_unpool,
    "OneHot": _one_hot,
    "ReverseSequence": _reverse_sequence,
    "Scatter": _scatter,
    "ScatterElements": _scatter,
    "ScatterND": _scatter_nd,
    "Trilu": _trilu,
}
EAGER: Final[Mapping[str, Handler]] = {"EyeLike": _eye_like}
