"""Softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Piece, lines
from bmlang.layers.conv_forms import LANES
from bmlang.layers.long_rows import LongRows
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.reduction import Rows, axes_of, bytes_of, pairwise
from bmlang.layers.region import Region
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import f32
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["Softmax", "softmax"]

OPERATIONS = 25
"""Elementwise operations that it takes, about."""
LONGEST_ROW = 6144
"""Elements of a row of a lane: there are eight of them in local memory at a time."""


@register
class Softmax(Layer):
    """exp(x) over its sum along a dimension."""

    name = "bm::softmax"
    defaults: Mapping[str, object] = {"axis": -1}
    dtypes = (f32,)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axes_of("softmax", len(x.shape), attrs["axis"])
        return TensorSpec(x.shape, common_dtype("softmax", [x], FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axes = axes_of("softmax", x.ndim, attrs["axis"])
        wide = x.astype(np.float64)
        powers = np.exp(wide - wide.max(axes, keepdims=True))
        return powers / powers.sum(axes, keepdims=True)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axes = axes_of("softmax", x.ndim, attrs["axis"])
        size = prod(x.shape[axes[0] :])
        if axes[-1] + 1 < x.ndim or size <= LONGEST_ROW or LongRows.of(1, size, LONGEST_ROW, LANES) is not None:
            return None
        along = {"axis": attrs["axis"], "keepdims": True}
        powers = apply("bm::exp", x - apply("bm::reduce_max", x, **along))
        return powers * apply("bm::reciprocal", apply("bm::reduce_sum", powers, **along))

    def local(self, call: Call) -> LocalForm:
        x, chip = call.spec(0), call.chip
        rows = Rows.of(x.shape, axes_of("softmax", len(x.shape), call.attrs["axis"]), x.dtype.itemsize, chip)
        if rows.along_w and (found := _long(rows, chip)) is not None:
            return _over_lanes(found, chip)

        def tile(piece: Piece) -> None:
            for source, out in zip(rows.groups(piece.ins[0]), rows.groups(piece.out), strict=True):
                _softmax(piece.k, out, source, rows)

        def scratch(region: Region) -> int:
            whole = region if rows.along_w else region.along(0, 0, rows.size)
            return 6 * bytes_of(whole, f32, chip) + 16 * bytes_of(region.along(0, 0, 1).along(3, 0, 1), f32, chip)

        return LocalForm(
            out=rows.full,
            feeds={0: Feed(rows.full, lambda region: region)},
            tile=tile,
            cut=rows.cut,
            scratch=scratch,
            cycles=lambda region: OPERATIONS * lines(region, f32, chip),
        )


def _softmax(k: Builder, out: Tile, x: Tile, rows: Rows) -> None:
    shape = cast("tuple[int, int, int, int]", x.shape)
    one = (shape[0], shape[1], 1, 1) if rows.along_w else (1, *shape[1:])
    largest, total, inverse = (k.local(one, f32, name=name) for name in ("largest", "total", "inverse"))
    shifted, powers = (k.local(shape, f32, name=name) for name in ("shifted", "powers"))
    if rows.along_w:
        k.tiu.reduce_max(largest, x, "w")
    else:
        pairwise(k, largest, x, k.tiu.max)
    k.tiu.sub(shifted, x, largest)
    k.tiu.exp(powers, shifted)
    if rows.along_w:
        k.tiu.reduce_sum(total, powers, "w")
    else:
        pairwise(k, total, powers, k.tiu.add)
    k.tiu.reciprocal(inverse, total)
    k.tiu.mul(out, powers, inverse)


def _long(rows: Rows, chip: Chip) -> LongRows | None:
    return LongRows.if_faster(rows.outer, rows.size, OPERATIONS, 2, LONGEST_ROW, chip)


def _over_lanes(rows: LongRows, chip: Chip) -> LocalForm:
    def tile(piece: Piece) -> None:
        k, (x,) = piece.k, piece.ins.values()
        shifted, powers = (k.local(piece.region.size, f32, name=name) for name in ("shifted", "powers"))
        k.tiu.sub(shifted, x, rows.spread(k, rows.reduced(k, x, "max")))
        k.tiu.exp(powers, shifted)
        total = rows.reduced(k, powers, "sum")
        inverse = k.local(cast("tuple[int, ...]", total.shape), f32, name="inverse")
        k.tiu.reciprocal(inverse, total)
        k.tiu.mul(piece.out, powers, rows.spread(k, inverse))

    return LocalForm(
        out=rows.full,
        feeds={0: Feed(rows.full, rows.source)},
        tile=tile,
        cut=(1, 0, 0, 0),
        scratch=lambda region: 6 * bytes_of(region, f32, chip) + rows.room(region, chip),
        cycles=lambda region: region.size[0] * rows.cycles(OPERATIONS, 2, chip),
    )


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """exp(x) over its sum along a dimension, computed in f32."""
    return apply("bm::softmax", x, axis=axis)
