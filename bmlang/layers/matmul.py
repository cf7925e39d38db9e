"""Products of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Feed, Layer, LocalForm, Packed, Piece
from bmlang.layers.errors import ShapeError
from bmlang.layers.memory import seen_as
from bmlang.layers.pointwise import broadcast_shape, common_dtype
from bmlang.layers.region import Region
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["MatMul", "matmul"]

FEW_ROWS = 16
"""Up to this many rows a product of f32 with known columns has the columns over the lanes."""


@register
class MatMul(Layer):
    """a (..., m, k) times b (..., k, n); leading dimensions are broadcast."""

    name = "bm::matmul"
    inputs = ("a", "b")

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        a, b = inputs
        assert a is not None and b is not None  # noqa: S101
        dtype = common_dtype("matmul", [a, b], self.dtypes)
        if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
            raise ShapeError(
                f"matmul of a {list(a.shape)} and b {list(b.shape)}", position=here(), help="the last size of a is the last but one of b"
            )
        batch = broadcast_shape("matmul", [TensorSpec(a.shape[:-2] or (1,)), TensorSpec(b.shape[:-2] or (1,))])
        outer = batch if len(a.shape) > 2 or len(b.shape) > 2 else ()
        return TensorSpec((*outer, a.shape[-2], b.shape[-1]), dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        a, b = inputs
        assert a is not None and b is not None  # noqa: S101
        return np.matmul(a.astype(np.float64), b.astype(np.float64))

    def local(self, call: Call) -> LocalForm | None:
        a, b, out = call.spec(0), call.spec(1), call.outputs[0]
        batches = prod(out.shape[:-2])
        own = [prod(spec.shape[:-2]) for spec in (a, b)]
        m, depth, n = a.shape[-2], a.shape[-1], b.shape[-1]
        if any(count not in (1, batches) for count in own):
            return None
        if own[1] == 1 and own[0] == batches > 1:  # one matrix b for all: the rows of all a are rows of one matrix
            m, batches, own = m * batches, 1, [1, 1]
        if a.dtype == f32 and own[1] == 1 and m <= FEW_ROWS and call.constants[1] is not None:
            return _few_rows(call, m, depth, n)
        return _rows_over_lanes(call, batches, own, m, depth, n)


def _rows_over_lanes(call: Call, batches: int, own: Sequence[int], m: int, depth: int, n: int) -> LocalForm:
    """a as (batch, m, 1, k), b as (batch, k, 1, n), the result as (batch, m, 1, n).

    In f32 it is a convolution of b, whose channels are k, with the rows of a as 1 x 1 kernels: half the cycles of the matrix command.
    """
    dtype, lanes = call.spec(0).dtype, call.chip.lanes

    def rows(region: Region) -> Region:
        batch = (region.start[0], region.size[0]) if own[0] > 1 else (0, 1)
        return Region((batch[0], region.start[1], 0, 0), (batch[1], region.size[1], 1, depth))

    def columns(region: Region) -> Region:
        batch = (region.start[0], region.size[0]) if own[1] > 1 else (0, 1)
        return Region((batch[0], 0, 0, region.start[3]), (batch[1], depth, 1, region.size[3]))

    def tile(piece: Piece) -> None:
        a, b = piece.ins[0], piece.ins[1]
        if dtype == f32:
            kernels = seen_as(piece.k, a, (piece.region.size[1], depth, 1, 1), f32, Layout.WEIGHT)
            piece.k.tiu.conv2d(piece.out, b, kernels)
        else:
            piece.k.tiu.matmul(piece.out, a, b)

    def cycles(region: Region) -> int:
        count, height, _, width = region.size
        each = -(-width // 16) * depth if dtype == f32 else -(-width // 4) * -(-depth // 32)
        return count * -(-height // lanes) * each

    return LocalForm(
        out=(batches, m, 1, n),
        feeds={0: Feed((own[0], m, 1, depth), rows), 1: Feed((own[1], depth, 1, n), columns)},
        tile=tile,
        cut=(1, lanes, 1, 1),
        at_once=(1, lanes if dtype == f32 else 0, 0, 0),
        cycles=cycles,
    )


def _few_rows(call: Call, m: int, depth: int, n: int) -> LocalForm:
    """a as (m, k, 1, 1) convolved with the columns of b as 1 x 1 kernels: the columns of the result lie over the lanes."""
    lanes = call.chip.lanes

    def pack(region: Region) -> Array:
        b = cast("Array", call.constants[1]).reshape(depth, n)[:, region.start[1] : region.end[1]]
        return np.ascontiguousarray(b.T).reshape(1, region.size[1], 1, depth)

    def needed(region: Region) -> Region:
        return Region((region.start[0], 0, 0, 0), (region.size[0], depth, 1, 1))

    def tile(piece: Piece) -> None:
        (packed,) = piece.packed
        kernels = seen_as(piece.k, packed, (piece.region.size[1], depth, 1, 1), f32, Layout.WEIGHT)
        piece.k.tiu.conv2d(piece.out, piece.ins[0], kernels)

    def cycles(region: Region) -> int:
        return region.size[0] * -(-region.size[1] // lanes) * depth

    shape: Dim4 = (m, n, 1, 1)
    return LocalForm(
        out=shape,
        feeds={0: Feed((m, depth, 1, 1), needed)},
        tile=tile,
        cut=(1, lanes, 0, 0),
        packed=(Packed(pack),),
        at_once=(1, lanes, 0, 0),
        cycles=cycles,
    )


def matmul(a: Operand, b: Operand) -> Tensor:
    """a (..., m, k) times b (..., k, n); leading dimensions are broadcast as in numpy."""
    return apply("bm::matmul", a, b)
