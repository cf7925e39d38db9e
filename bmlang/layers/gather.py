"""What an index names: rows, elements, and elements by all their coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import axis_of, permute
from bmlang.layers.base import Call, Layer, LocalForm
from bmlang.layers.by_index import ByIndex, gather_form
from bmlang.layers.errors import ShapeError
from bmlang.layers.indices import boxes, check_index, check_within, in_range, to_last, wide_index
from bmlang.layers.registry import register
from bmlang.layers.system import LARGEST, System
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import DTYPES, u32
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec

__all__ = ["Gather", "GatherElements", "embedding", "gather", "gather_elements", "index_select"]

MANY_COMMANDS = 32
"""Commands for the dimensions before the chosen one, above which it is brought to the front first."""


@register
class Gather(Layer):
    """The parts of x along a dimension that an index names; zeros where it names none."""

    name = "bm::gather"
    inputs = ("x", "index")
    defaults: Mapping[str, object] = {"axis": 0}
    dtypes = tuple(DTYPES.values())

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        axis = axis_of("gather", len(x.shape), attrs["axis"])
        check_index("gather", index)
        return TensorSpec((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        axis = axis_of("gather", x.ndim, attrs["axis"])
        inside = in_range(index, x.shape[axis])
        found = np.take(x, np.where(inside, index, 0), axis)
        shape = (1,) * axis + index.shape + (1,) * (x.ndim - axis - 1)
        return np.where(inside.reshape(shape), found, np.zeros((), x.dtype))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        axis = axis_of("gather", x.ndim, attrs["axis"])
        if prod(x.shape[:axis]) <= MANY_COMMANDS or prod(x.shape[axis + 1 :]) == 1:
            return None
        rest = [place for place in range(x.ndim) if place != axis]
        found = apply(self.name, permute(x, [axis, *rest]), index, axis=0)
        places = list(range(index.ndim, found.ndim))
        return permute(found, [*places[:axis], *range(index.ndim), *places[axis:]])

    def local(self, call: Call) -> LocalForm | None:
        x, index = call.spec(0), call.spec(1)
        axis = axis_of("gather", len(x.shape), call.attrs["axis"])
        if prod(x.shape[axis + 1 :]) > 1:
            return None
        return gather_form(call, ByIndex(prod(x.shape[:axis]), x.shape[axis], prod(index.shape), shared=True))

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x, index) = outs, ins
        assert x is not None and index is not None  # noqa: S101
        shape = x.spec.shape
        axis = axis_of("gather", len(shape), call.attrs["axis"])
        outer, size, inner, count = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]), prod(index.spec.shape)
        for first in range(0, count, LARGEST):
            many = min(LARGEST, count - first)
            places = index.view(first, (1, 1, many, 1), u32)
            for block in range(outer):
                for begin in range(0, inner, LARGEST):
                    width = min(LARGEST, inner - begin)
                    target = out.view(block * count * inner, (1, 1, count, inner))[:, :, first : first + many, begin : begin + width]
                    source = x.view(block * size * inner, (1, 1, size, inner))[:, :, :, begin : begin + width]
                    k.dma.gather(target, source, places)


@register
class GatherElements(Layer):
    """Elements of x along a dimension, by an index of its own for each; 0 where it names none."""

    name = "bm::gather_elements"
    inputs = ("x", "index")
    defaults: Mapping[str, object] = {"axis": ...}
    dtypes = tuple(DTYPES.values())

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        check_index("gather_elements", index)
        check_within("gather_elements", x, index, axis_of("gather_elements", len(x.shape), attrs["axis"]))
        return TensorSpec(index.shape, x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        axis = axis_of("gather_elements", x.ndim, attrs["axis"])
        box = x[tuple(np.s_[:] if place == axis else np.s_[:size] for place, size in enumerate(index.shape))]
        inside = in_range(index, x.shape[axis])
        return np.where(inside, np.take_along_axis(box, np.where(inside, index, 0).astype(np.int64), axis), np.zeros((), x.dtype))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        axis = axis_of("gather_elements", x.ndim, attrs["axis"])
        box = tuple(whole if place == axis else size for place, (whole, size) in enumerate(zip(x.shape, index.shape, strict=True)))
        if prod(box[axis + 1 :]) == 1 and box == x.shape:
            return None
        if box != x.shape:
            x = apply("bm::slice", x, start=(0,) * x.ndim, size=box)
        order, back = to_last(x.ndim, axis)
        return permute(apply(self.name, permute(x, order), permute(index, order), axis=-1), back)

    def local(self, call: Call) -> LocalForm | None:
        return gather_form(call, _rows(call))

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x, index) = outs, ins
        assert x is not None and index is not None  # noqa: S101
        rows = _rows(call)
        for c, h in boxes(rows.outer, rows.count):
            source = x.seen(1, rows.outer, rows.size, 1)[:, c]
            places = index.view(0, (1, rows.outer, rows.count, 1), u32)[:, c, h]
            k.dma.gather(out.seen(1, rows.outer, rows.count, 1)[:, c, h], source, places)


def _rows(call: Call) -> ByIndex:
    x, index = call.spec(0).shape, call.spec(1).shape
    axis = axis_of("gather_elements", len(x), call.attrs["axis"])
    return ByIndex(prod(x[:axis]), x[axis], index[axis])


def gather(x: Operand, index: Operand, axis: int = 0) -> Tensor:
    """The parts of x along a dimension that an index names: x.shape[:axis] + index.shape + x.shape[axis + 1:].

    Args:
        x: any data type.
        index: integers of any shape, counted from 0. Where it names nothing (below 0, too large) the result is 0.
        axis: the dimension.
    """
    return apply("bm::gather", x, wide_index(index), axis=axis)


def index_select(x: Tensor, index: Operand, axis: int = -1) -> Tensor:
    """The parts of x along a dimension that an index of one dimension names; otherwise as `gather`."""
    shape = np.shape(index) if not isinstance(index, Tensor) else index.shape
    if len(shape) != 1:
        raise ShapeError(f"index_select with an index {list(shape)}", position=here(), help="the index has one dimension; see bm.gather")
    return gather(x, index, axis)


def gather_elements(x: Operand, index: Operand, axis: int = -1) -> Tensor:
    """out[i, j, k] = x[index[i, j, k], j, k] for axis 0, and so on: an index of its own for each element.

    Args:
        x: any data type.
        index: integers, counted from 0, of as many dimensions as x; none longer than in x but `axis`. Where it names nothing the result
            is 0.
        axis: the dimension.
    """
    return apply("bm::gather_elements", x, wide_index(index), axis=axis)


def embedding(index: Operand, table: Operand) -> Tensor:
    """The rows of a table (rows, width) that an index names: index.shape + (width,)."""
    return apply("bm::gather", table, wide_index(index), axis=0)
