"""Products of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast as typed

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import broadcast_to, transpose
from bmlang.layers.base import Call, Feed, Layer, LocalForm, Packed, Piece
from bmlang.layers.cast import cast
from bmlang.layers.elementwise import add
from bmlang.layers.errors import ShapeError
from bmlang.layers.matmul_left import known_left
from bmlang.layers.memory import seen_as
from bmlang.layers.pointwise import broadcast_shape, common_dtype
from bmlang.layers.region import Region
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["MatMul", "matmul"]

LARGEST_RECORD = 64 << 10
"""Bytes of a row of a: a quarter of the memory of the lane in which it lies, as two of them are there at a time."""
FEW_ROWS = 16
"""Up to this many rows a product of f32 with known columns has the columns over the lanes."""


@register
class MatMul(Layer):
    """a (..., m, k) times b (..., k, n), plus bias; leading dimensions are broadcast. Each may lie transposed.

    With `sums` the result is f32, as the tensor unit adds up f16 and bf16.
    """

    name = "bm::matmul"
    inputs = ("a", "b", "bias?")
    defaults: Mapping[str, object] = {"transpose_a": False, "transpose_b": False, "sums": False}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        a, b, bias = inputs
        assert a is not None and b is not None  # noqa: S101
        dtype = common_dtype("matmul", [each for each in inputs if each is not None], self.dtypes)
        if min(len(a.shape), len(b.shape)) < 2:
            raise _misfit(a, b, "give each two dimensions or more")
        (m, depth), (right_depth, n) = _sizes(a.shape, attrs["transpose_a"]), _sizes(b.shape, attrs["transpose_b"])
        if depth != right_depth:
            raise _misfit(a, b, "the last size of a is the last but one of b; of a transposed one they are exchanged")
        batch = broadcast_shape("matmul", [TensorSpec(a.shape[:-2] or (1,)), TensorSpec(b.shape[:-2] or (1,))])
        outer = batch if len(a.shape) > 2 or len(b.shape) > 2 else ()
        found = TensorSpec((*outer, m, n), f32 if attrs.get("sums") else dtype)
        if bias is not None and broadcast_shape("matmul", [found, bias]) != found.shape:
            raise ShapeError(
                f"matmul of {list(found.shape)} with bias {list(bias.shape)}", position=here(), help=f"give a bias for {n} columns"
            )
        return found

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        a, b, bias = inputs
        assert a is not None and b is not None  # noqa: S101
        left, right = a.astype(np.float64), b.astype(np.float64)
        found = np.matmul(
            left.swapaxes(-1, -2) if attrs["transpose_a"] else left, right.swapaxes(-1, -2) if attrs["transpose_b"] else right
        )
        return found if bias is None else found + bias.astype(np.float64)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        a, b, bias = inputs
        assert a is not None and b is not None  # noqa: S101
        if bias is not None:
            return add(apply(self.name, a, b, **attrs), bias)
        if attrs["transpose_a"]:
            return apply(self.name, transpose(a, -2, -1), b, **{**attrs, "transpose_a": False})
        if attrs["transpose_b"] and (a.dtype == f32 or b.known is not None):
            return apply(self.name, a, transpose(b, -2, -1), **{**attrs, "transpose_b": False})
        batch = broadcast_shape("matmul", [TensorSpec(a.shape[:-2] or (1,)), TensorSpec(b.shape[:-2] or (1,))])
        for place, each in enumerate((a, b)):
            if prod(each.shape[:-2]) not in (1, prod(batch)):
                whole = broadcast_to(each, (*batch, *each.shape[-2:]))
                return apply(self.name, *((whole, b) if place == 0 else (a, whole)), **attrs)
        if a.shape[-1] * a.dtype.itemsize > LARGEST_RECORD:
            return _over_parts(a, b, attrs["transpose_b"])
        return None

    def local(self, call: Call) -> LocalForm | None:
        a, b, out = call.spec(0), call.spec(1), call.outputs[0]
        batches = prod(out.shape[:-2])
        own = [prod(spec.shape[:-2]) for spec in (a, b)]
        m, depth, n = a.shape[-2], a.shape[-1], out.shape[-1]
        turned = bool(call.attrs["transpose_b"])
        if call.inputs[2] or call.attrs["transpose_a"] or (turned and a.dtype == f32) or any(count not in (1, batches) for count in own):
            return None
        if call.constants[0] is not None and own[0] == 1 < batches and not turned:
            return known_left(call, batches, n)
        if own[1] == 1 and own[0] == batches > 1:  # one matrix b for all: the rows of all a are rows of one matrix
            m, batches, own = m * batches, 1, [1, 1]
        if a.dtype == f32 and own[1] == 1 and m <= FEW_ROWS and call.constants[1] is not None:
            return _few_rows(call, m, depth, n)
        return _rows_over_lanes(call, batches, own, m, depth, n, turned)


def _sizes(shape: Sequence[int], transposed: Attribute) -> tuple[int, int]:
    """Rows and columns of a matrix."""
    return (shape[-1], shape[-2]) if transposed else (shape[-2], shape[-1])


def _misfit(a: TensorSpec, b: TensorSpec, advice: str) -> ShapeError:
    return ShapeError(f"matmul of a {list(a.shape)} and b {list(b.shape)}", position=here(), help=advice)


def _over_parts(a: Tensor, b: Tensor, transpose_b: Attribute) -> Tensor:
    """The sum of products of parts of the depth, in f32, which is rounded once."""
    depth = a.shape[-1]
    parts = -(-depth * a.dtype.itemsize // LARGEST_RECORD)
    size = -(-depth // parts)
    found: Tensor | None = None
    for first in range(0, depth, size):
        last = min(first + size, depth)
        right = b[..., first:last] if transpose_b else b[..., first:last, :]
        part = apply("bm::matmul", a[..., first:last], right, transpose_b=transpose_b, sums=True)
        found = part if found is None else add(found, part)
    assert found is not None  # noqa: S101
    return found if a.dtype == f32 else cast(found, a.dtype)


def _rows_over_lanes(call: Call, batches: int, own: Sequence[int], m: int, depth: int, n: int, turned: bool) -> LocalForm:
    """a as (batch, m, 1, k), b as (batch, k, 1, n), or `turned` (batch, n, 1, k), the result as (batch, m, 1, n).

    In f32 it is a convolution of b, whose channels are k, with the rows of a as 1 x 1 kernels: half the cycles of the matrix command.
    """
    dtype, lanes = call.spec(0).dtype, call.chip.lanes

    def rows(region: Region) -> Region:
        batch = (region.start[0], region.size[0]) if own[0] > 1 else (0, 1)
        return Region((batch[0], region.start[1], 0, 0), (batch[1], region.size[1], 1, depth))

    def columns(region: Region) -> Region:
        batch = (region.start[0], region.size[0]) if own[1] > 1 else (0, 1)
        if turned:
            return Region((batch[0], region.start[3], 0, 0), (batch[1], region.size[3], 1, depth))
        return Region((batch[0], 0, 0, region.start[3]), (batch[1], depth, 1, region.size[3]))

    def tile(piece: Piece) -> None:
        a, b = piece.ins[0], piece.ins[1]
        if dtype == f32:
            kernels = seen_as(piece.k, a, (piece.region.size[1], depth, 1, 1), f32, Layout.WEIGHT)
            piece.k.tiu.conv2d(piece.out, b, kernels)
        else:
            piece.k.tiu.matmul(piece.out, a, b, transpose_right=turned)

    def cycles(region: Region) -> int:
        count, height, _, width = region.size
        each = -(-width // 16) * depth if dtype == f32 else -(-width // 4) * -(-depth // 32)
        return count * -(-height // lanes) * each

    return LocalForm(
        out=(batches, m, 1, n),
        feeds={0: Feed((own[0], m, 1, depth), rows), 1: Feed((own[1], n, 1, depth) if turned else (own[1], depth, 1, n), columns)},
        tile=tile,
        cut=(1, lanes, 1, 1),
        at_once=(1, lanes if dtype == f32 else 0, 0, 0),
        cycles=cycles,
    )


def _few_rows(call: Call, m: int, depth: int, n: int) -> LocalForm:
    """a as (m, k, 1, 1) convolved with the columns of b as 1 x 1 kernels: the columns of the result lie over the lanes."""
    lanes = call.chip.lanes

    def pack(region: Region) -> Array:
        b = typed("Array", call.constants[1]).reshape(depth, n)[:, region.start[1] : region.end[1]]
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


def matmul(a: Operand, b: Operand, bias: Operand | None = None, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """a (..., m, k) times b (..., k, n), plus bias, f32, f16 or bf16; leading dimensions are broadcast as in numpy.

    Args:
        a: the left side; with `transpose_a` (..., k, m).
        b: the right side; with `transpose_b` (..., n, k).
        bias: what is broadcast to the result, for example (n,).
        transpose_a: exchange the last two dimensions of a; not for nothing, unless a is a constant.
        transpose_b: exchange the last two dimensions of b; for nothing in f16 and bf16, and where b is a constant.
    """
    return apply("bm::matmul", a, b, bias, transpose_a=transpose_a, transpose_b=transpose_b)
