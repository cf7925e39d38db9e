"""Products of matrices of 8-bit integers with zero points: exact sums of 32 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Feed, Layer, LocalForm, Piece
from bmlang.layers.conv_int import BYTES
from bmlang.layers.elementwise import add, sub
from bmlang.layers.errors import OperatorDtypeError, ShapeError
from bmlang.layers.integers import Wide, centred_weights, whole_numbers, wrapped
from bmlang.layers.pointwise import broadcast_shape
from bmlang.layers.region import Region
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import Dtype, dtype_of, i32
from tpukernel.lang.signature import TensorSpec

__all__ = ["MatMulInt", "matmul_int"]


@register
class MatMulInt(Layer):
    """a (..., m, k) times b (..., k, n) minus its zero point; with `transpose_b` b is (..., n, k). Sums wrap at 32 bits."""

    name = "bm::matmul_int"
    inputs = ("a", "b")
    defaults: Mapping[str, object] = {"zero_point": 0, "transpose_b": False}
    dtypes: tuple[Dtype, ...] = ()

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        a, b = inputs
        assert a is not None and b is not None  # noqa: S101
        for what, spec in (("a", a), ("b", b)):
            if spec.dtype not in BYTES:
                raise OperatorDtypeError(f"{what} of matmul_int is {spec.dtype.name}", position=here(), help="give i8 or u8")
        depth, columns = (-1, -2) if attrs["transpose_b"] else (-2, -1)
        if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[depth]:
            raise ShapeError(
                f"matmul_int of a {list(a.shape)} and b {list(b.shape)}{' transposed' if attrs['transpose_b'] else ''}",
                position=here(),
                help="the last size of a is the last but one of b, the last one with transpose_b",
            )
        whole_numbers("zero_point of matmul_int", attrs["zero_point"], *b.dtype.limits)
        batch = broadcast_shape("matmul_int", [TensorSpec(a.shape[:-2] or (1,)), TensorSpec(b.shape[:-2] or (1,))])
        outer = batch if len(a.shape) > 2 or len(b.shape) > 2 else ()
        return TensorSpec((*outer, a.shape[-2], b.shape[columns]), i32)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        a, b = inputs
        assert a is not None and b is not None  # noqa: S101
        # Exact: sums of fewer than 2 ** 37 products of 8 bits.
        centred = b.astype(np.float64) - cast("int", attrs["zero_point"])
        found = np.matmul(a.astype(np.float64), np.swapaxes(centred, -1, -2) if attrs["transpose_b"] else centred)
        return wrapped(found.astype(np.int64))

    def local(self, call: Call) -> LocalForm | None:
        """a as (batch, m, 1, k), b as (batch, k, 1, n) or (batch, n, 1, k), the result as (batch, m, 1, n)."""
        a, b, out = call.spec(0), call.spec(1), call.outputs[0]
        batches, own = prod(out.shape[:-2]), [prod(spec.shape[:-2]) for spec in (a, b)]
        m, depth, n = a.shape[-2], a.shape[-1], out.shape[-1]
        if any(count not in (1, batches) for count in own):
            return None
        if own[1] == 1 and own[0] == batches > 1:  # one matrix b for all: the rows of all a are rows of one matrix
            m, batches, own = m * batches, 1, [1, 1]
        transposed, zero_point = bool(call.attrs["transpose_b"]), cast("int", call.attrs["zero_point"])
        lanes = call.chip.lanes

        def rows(region: Region) -> Region:
            first, count = (region.start[0], region.size[0]) if own[0] > 1 else (0, 1)
            return Region((first, region.start[1], 0, 0), (count, region.size[1], 1, depth))

        def columns(region: Region) -> Region:
            first, count = (region.start[0], region.size[0]) if own[1] > 1 else (0, 1)
            start, size = region.start[3], region.size[3]
            if transposed:
                return Region((first, start, 0, 0), (count, size, 1, depth))
            return Region((first, 0, 0, start), (count, depth, 1, size))

        def tile(piece: Piece) -> None:
            piece.k.tiu.matmul_asym(piece.out, piece.ins[0], piece.ins[1], zero_point=zero_point, transpose_right=transposed)

        def cycles(region: Region) -> int:
            count, height, _, width = region.size
            return count * -(-height // lanes) * -(-width // 4) * -(-depth // 64)

        return LocalForm(
            out=(batches, m, 1, n),
            feeds={0: Feed((own[0], m, 1, depth), rows), 1: Feed((own[1], n, 1, depth) if transposed else (own[1], depth, 1, n), columns)},
            tile=tile,
            cut=(1, lanes, 1, lanes if transposed else 1),
            at_once=(1, 0, 0, 0),
            cycles=cycles,
        )


def matmul_int(
    a: Tensor,
    b: Operand,
    bias: Array | None = None,
    *,
    a_zero_point: int = 0,
    b_zero_point: int | Sequence[int] | Array = 0,
    transpose_b: bool = False,
) -> Tensor:
    """The exact sums of a product of matrices of 8-bit integers, i32: (a - a_zero_point) times (b - b_zero_point), plus bias.

    `requant` with numbers of each column (axis=-1), or `requant_int` with one number, is computed with it.

    Args:
        a: (..., m, k), i8 or u8.
        b: (..., k, n), or (..., n, k) with `transpose_b`; i8 or u8. Leading dimensions are broadcast as in numpy.
        bias: (n), i32; a numpy array.
        a_zero_point: the number of a that means 0.
        b_zero_point: the number of b that means 0; or one for each column of the result.
        transpose_b: multiply by the transpose of b.
    """
    whole_numbers("a_zero_point of matmul_int", a_zero_point, *a.dtype.limits)
    dtype = b.dtype if isinstance(b, Tensor) else dtype_of(np.asarray(b).dtype)
    points = whole_numbers("b_zero_point of matmul_int", b_zero_point, *dtype.limits) if dtype in BYTES else np.zeros(1, np.int64)
    if not isinstance(b, Tensor):
        return _with_known(a, np.asarray(b), bias, a_zero_point, points, transpose_b)
    zero_point = int(points.item()) if points.size == 1 else 0
    found = apply("bm::matmul_int", a, b, zero_point=zero_point, transpose_b=transpose_b)
    columns = points.reshape(1, -1) if points.size > 1 else None
    if columns is not None:
        found = sub(found, _products_with(a, columns))
    if a_zero_point:
        ones = np.ones((1, a.shape[-1]), np.int8)
        sums = apply("bm::matmul_int", ones, b, zero_point=zero_point, transpose_b=transpose_b)
        if columns is not None:
            sums = sub(sums, (columns * a.shape[-1]).astype(np.int32))
        found = sub(found, sums * a_zero_point)
    return found if bias is None else add(found, bias)


def _products_with(a: Tensor, points: Wide) -> Tensor:
    """The sum of each row of a times the zero point of each column."""
    return apply("bm::matmul_int", a, np.ones((a.shape[-1], 1), np.int8)) * points.astype(np.int32)


def _with_known(a: Tensor, b: Array, bias: Array | None, a_zero_point: int, points: Wide, transpose_b: bool) -> Tensor:
    """b is a coefficient: its zero points are taken off, if 8 bits hold that, and what a's zero point gives is part of the bias."""
    if transpose_b:
        b = np.ascontiguousarray(np.swapaxes(b, -1, -2))
    centred = b.astype(np.int64) - points
    weight = centred_weights(centred)
    added = np.zeros(1, np.int64) if bias is None else np.asarray(bias).astype(np.int64)
    row = wrapped(added - a_zero_point * centred.sum(-2, keepdims=True))
    if row.ndim == 2:
        row = row.reshape(-1)
    if weight is not None:
        found = apply("bm::matmul_int", a, weight)
    elif points.size == 1:
        found = apply("bm::matmul_int", a, b, zero_point=int(points.item()))
    else:
        found = sub(apply("bm::matmul_int", a, b), _products_with(a, points.reshape(1, -1)))
    return add(found, row) if row.any() else found
