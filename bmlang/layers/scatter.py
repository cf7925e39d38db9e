"""Elements and rows put where an index says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import axis_of, pad, permute
from bmlang.layers.base import Call, Layer, LocalForm
from bmlang.layers.by_index import ByIndex, scatter_form
from bmlang.layers.errors import ShapeError
from bmlang.layers.indices import boxes, check_index, check_within, in_range, to_last, wide_index
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.registry import register
from bmlang.layers.system import System, copy_box
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import DTYPES, u32
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec

__all__ = ["Scatter", "ScatterRows", "scatter"]

EVERY = tuple(DTYPES.values())


@register
class Scatter(Layer):
    """x with other elements where an index along a dimension names them; the last one of several for one place counts."""

    name = "bm::scatter"
    inputs = ("x", "index", "updates")
    defaults: Mapping[str, object] = {"axis": ...}
    dtypes = EVERY

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, index, updates = inputs
        assert x is not None and index is not None and updates is not None  # noqa: S101
        check_index("scatter", index)
        check_within("scatter", x, index, axis_of("scatter", len(x.shape), attrs["axis"]))
        if index.shape != updates.shape:
            raise ShapeError(
                f"scatter of updates {list(updates.shape)} with an index {list(index.shape)}", position=here(), help="make them equal"
            )
        return TensorSpec(x.shape, common_dtype("scatter", [x, updates], EVERY))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, index, updates = inputs
        assert x is not None and index is not None and updates is not None  # noqa: S101
        axis = axis_of("scatter", x.ndim, attrs["axis"])
        found = x.copy()
        rows, places, values = (np.moveaxis(each, axis, 0) for each in (found, index, updates))
        inside = in_range(places, len(rows))
        across = np.indices(places.shape[1:], sparse=True)
        box = rows[(slice(None), *(slice(size) for size in places.shape[1:]))]
        for place, named, value in zip(places.astype(np.int64), inside, values, strict=True):  # in order, so that the last one counts
            where = (np.where(named, place, 0), *across)
            box[where] = np.where(named, value, box[where])
        return found

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        x, index, updates = inputs
        assert x is not None and index is not None and updates is not None  # noqa: S101
        axis = axis_of("scatter", x.ndim, attrs["axis"])
        missing = [0 if place == axis else whole - mine for place, (whole, mine) in enumerate(zip(x.shape, index.shape, strict=True))]
        if prod(x.shape[axis + 1 :]) == 1 and not any(missing):
            return None
        if any(missing):
            index = pad(index, [0] * x.ndim, missing, x.shape[axis])  # names nothing
            updates = pad(updates, [0] * x.ndim, missing)
        order, back = to_last(x.ndim, axis)
        return permute(apply(self.name, *(permute(each, order) for each in (x, index, updates)), axis=-1), back)

    def local(self, call: Call) -> LocalForm | None:
        return scatter_form(call, _rows(call))

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x, index, updates) = outs, ins
        assert x is not None and index is not None and updates is not None  # noqa: S101
        rows = _rows(call)
        copy_box(k, out, (0,) * len(x.spec.shape), x, (0,) * len(x.spec.shape), x.spec.shape)
        for c, h in boxes(rows.outer, rows.count):
            target = out.seen(1, rows.outer, rows.size, 1)[:, c]
            places = index.view(0, (1, rows.outer, rows.count, 1), u32)[:, c, h]
            k.dma.scatter(target, updates.seen(1, rows.outer, rows.count, 1)[:, c, h], places)


def _rows(call: Call) -> ByIndex:
    x, index = call.spec(0).shape, call.spec(1).shape
    axis = axis_of("scatter", len(x), call.attrs["axis"])
    return ByIndex(prod(x[:axis]), x[axis], index[axis])


@register
class ScatterRows(Layer):
    """x (rows, width) with other rows where an index names them; the last one of several for one place counts."""

    name = "bm::scatter_rows"
    inputs = ("x", "index", "updates")
    dtypes = EVERY

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, index, updates = inputs
        assert x is not None and index is not None and updates is not None  # noqa: S101
        check_index("scatter_rows", index)
        if len(x.shape) != 2 or updates.shape != (*index.shape, x.shape[1]) or len(index.shape) != 1:
            told = ", ".join(str(list(each.shape)) for each in (x, index, updates))
            raise ShapeError(f"scatter_rows of {told}", position=here(), help="x is (rows, width), index (count), updates (count, width)")
        return TensorSpec(x.shape, common_dtype("scatter_rows", [x, updates], EVERY))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, index, updates = inputs
        assert x is not None and index is not None and updates is not None  # noqa: S101
        found = x.copy()
        for place, row in zip(index.tolist(), updates, strict=True):
            if 0 <= place < len(found):
                found[place] = row
        return found

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x, index, updates) = outs, ins
        assert x is not None and index is not None and updates is not None  # noqa: S101
        rows, width = x.spec.shape
        (count,) = index.spec.shape
        copy_box(k, out, (0, 0), x, (0, 0), x.spec.shape)
        for h, w in boxes(count, width):
            places = index.view(0, (1, 1, count, 1), u32)[:, :, h]
            k.dma.scatter(out.seen(1, 1, rows, width)[:, :, :, w], updates.seen(1, 1, count, width)[:, :, h, w], places)


def scatter(x: Operand, index: Operand, updates: Operand, axis: int = 0) -> Tensor:
    """x, but out[index[i, j, k], j, k] = updates[i, j, k] for axis 0, and so on; of several for one place the last one counts.

    Args:
        x: any data type.
        index: integers, counted from 0, of as many dimensions as x; none longer than in x but `axis`. Where it names nothing (below 0, too
            large), nothing is put.
        updates: of the shape of index and the type of x.
        axis: the dimension.
    """
    return apply("bm::scatter", x, wide_index(index), updates, axis=axis)
