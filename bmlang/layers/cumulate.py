"""Running sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import axis_of, pad, permute
from bmlang.layers.base import FLOATS, Layer
from bmlang.layers.indices import to_last
from bmlang.layers.matmul import matmul
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.reduce import reduce_sum
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["Cumsum", "cumsum"]


LONGEST, BLOCK = 256, 128
"""Elements that one triangle sums up, and elements of a block of longer rows."""


@register
class Cumsum(Layer):
    """The sum of all elements of x up to each one along a dimension, in f32: a product with a triangle of ones.

    Long rows are summed in blocks; the sums of the blocks before are added to each.
    """

    name = "bm::cumsum"
    defaults: Mapping[str, object] = {"axis": ..., "exclusive": False, "reverse": False}
    dtypes = (f32,)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axis_of("cumsum", len(x.shape), attrs["axis"])
        return TensorSpec(x.shape, common_dtype("cumsum", [x], FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        rows = np.moveaxis(x.astype(np.float64), cast("int", attrs["axis"]), -1)
        if attrs["reverse"]:
            rows = rows[..., ::-1]
        found = np.cumsum(rows, -1)
        if attrs["exclusive"]:
            found = np.concatenate([np.zeros_like(found[..., :1]), found[..., :-1]], -1)
        if attrs["reverse"]:
            found = found[..., ::-1]
        return np.moveaxis(found, -1, cast("int", attrs["axis"]))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axis = axis_of("cumsum", x.ndim, attrs["axis"])
        outer, size, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
        rows = reshape(x, (outer, size, inner))
        if size > LONGEST and inner > 1:  # products with the triangle behind are ten times as fast for many of them
            order, back = to_last(x.ndim, axis)
            return permute(apply(self.name, permute(x, order), **{**attrs, "axis": -1}), back)
        if size > LONGEST:
            return reshape(_in_blocks(rows, attrs), x.shape)
        triangle = np.tri(size, k=-1 if attrs["exclusive"] else 0, dtype=np.float32)  # row i has ones up to i
        if attrs["reverse"]:
            triangle = triangle[::-1, ::-1]
        if inner == 1:
            return reshape(matmul(reshape(rows, (outer, size)), np.ascontiguousarray(triangle.T)), x.shape)
        return reshape(apply("bm::matmul", np.ascontiguousarray(triangle), rows), x.shape)


def _in_blocks(rows: Tensor, attrs: Mapping[str, Attribute]) -> Tensor:
    """The sums along dimension 1 of three."""
    outer, size, inner = rows.shape
    missing = -size % BLOCK
    padded = pad(rows, (0, 0, 0), (0, missing, 0)) if missing else rows
    blocks = reshape(padded, (outer, -1, BLOCK, inner))
    inside = apply("bm::cumsum", blocks, **{**attrs, "axis": 2})
    before = apply("bm::cumsum", reduce_sum(blocks, 2, keepdims=True), axis=1, exclusive=True, reverse=attrs["reverse"])
    found = reshape(inside + before, padded.shape)
    return found[:, :size] if missing else found


def cumsum(x: Operand, axis: int, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """The sum of all elements of x up to each one along a dimension, in f32.

    Args:
        x: f32, f16 or bf16.
        axis: the dimension.
        exclusive: without the element itself.
        reverse: from the end of the dimension.
    """
    return apply("bm::cumsum", x, axis=axis, exclusive=exclusive, reverse=reverse)
