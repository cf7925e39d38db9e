"""Products with weights of 4 or 8 bits, which stay small in the file: they become floats in local memory.

Columns of the result lie over the lanes while weights become floats, so that scales and zero points of groups of rows are repeated along
a line. Of two weights in a byte one is in the first half of its group and the other in the second, so that nothing has to be woven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast as typed

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Packed, Piece
from bmlang.layers.elementwise import add
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from bmlang.layers.integers import whole_numbers
from bmlang.layers.matmul import matmul
from bmlang.layers.memory import seen_as
from bmlang.layers.region import Region
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import f32, u8
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["A16MatMul", "a16matmul"]

NIBBLE = 15


@register
class A16MatMul(Layer):
    """x (..., k) times (weight - zero_point) * scale, of which weight is (k, n) and the others are (k / group_size, n)."""

    name = "bm::a16matmul"
    inputs = ("x", "weight", "scale", "zero_point?")
    defaults: Mapping[str, object] = {"bits": 4, "group_size": 128}
    dtypes = FLOATS

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, weight, scale, zero_point = inputs
        assert x is not None and weight is not None and scale is not None  # noqa: S101
        bits, size = attrs["bits"], attrs["group_size"]
        if bits not in (4, 8) or not isinstance(size, int) or size < 2 or size % 2:
            raise OperatorArgumentError(
                f"a16matmul with {bits!r} bits in groups of {size!r}",
                position=here(),
                help="choose 4 or 8 bits, and groups of an even size",
            )
        if x.dtype not in FLOATS or scale.dtype != x.dtype or weight.dtype != u8 or (zero_point is not None and zero_point.dtype != u8):
            told = ", ".join("none" if each is None else each.dtype.name for each in inputs)
            raise OperatorDtypeError(
                f"a16matmul of {told}", position=here(), help="give floats of one type and a scale of it; weights and zero points are u8"
            )
        k, n = weight.shape if len(weight.shape) == 2 else (0, 0)
        groups = (k // size, n)
        if not x.shape or x.shape[-1] != k or k % size or scale.shape != groups or (zero_point and zero_point.shape != groups):
            shapes = " and ".join(str(list(each.shape)) for each in inputs if each is not None)
            raise ShapeError(
                f"a16matmul of {shapes}", position=here(), help=f"give x (..., k), weight (k, n), scale and zero point (k / {size}, n)"
            )
        return TensorSpec((*x.shape[:-1], n), x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, scale, zero_point = inputs
        assert x is not None and weight is not None and scale is not None  # noqa: S101
        return x.astype(np.float64) @ _floats(weight, scale, zero_point)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        """In f32, where nothing is saved: a product with the weights as f32."""
        x, weight, scale, zero_point = inputs
        assert x is not None and weight is not None and scale is not None  # noqa: S101
        if x.dtype != f32 or weight.known is None or scale.known is None or (zero_point is not None and zero_point.known is None):
            return None
        return matmul(x, _floats(weight.known, scale.known, None if zero_point is None else zero_point.known).astype(np.float32))

    def local(self, call: Call) -> LocalForm | None:
        x, weight, scale, zero_point = call.spec(0), call.constants[1], call.constants[2], call.constants[3]
        if x.dtype == f32 or weight is None or scale is None or (call.inputs[3] is not None and zero_point is None):
            return None
        bits, size, lanes = typed("int", call.attrs["bits"]), typed("int", call.attrs["group_size"]), call.chip.lanes
        (k, n), m, groups = weight.shape, prod(x.shape[:-1]), weight.shape[0] // size
        points = np.zeros(scale.shape, np.uint8) if zero_point is None else zero_point

        def codes(region: Region) -> Array:
            columns = weight[:, region.start[3] : region.end[3]].T.reshape(-1, groups, size)
            columns = columns.astype(np.uint8)
            halves = columns[..., : size // 2] | columns[..., size // 2 :] << np.uint8(4)
            return np.ascontiguousarray(halves if bits == 4 else columns).reshape(1, len(columns), 1, -1)

        def numbers(each: Array) -> Packed:
            def pack(region: Region) -> Array:
                columns = each[:, region.start[3] : region.end[3]].T.astype(x.dtype.numpy)
                return np.ascontiguousarray(columns).reshape(1, len(columns), 1, groups)

            return Packed(pack, "w")

        def tile(piece: Piece) -> None:
            sizes: Dim4 = (1, piece.region.size[3], groups, size)
            floats = piece.k.local(sizes, x.dtype, name="weights")
            _dequantised(piece, floats, sizes, bits)
            piece.k.tiu.matmul(piece.out, piece.ins[0], floats, transpose_right=True)

        def scratch(region: Region) -> int:
            """The weights as floats, and both halves of the bytes."""
            each = call.chip.eu_bytes
            lines = -(-k * x.dtype.itemsize // each) + (2 * -(-k // 2 // each) if bits == 4 else 0)
            return -(-region.size[3] // lanes) * lines * each

        def cycles(region: Region) -> int:
            _, rows, _, columns = region.size
            made = -(-columns // lanes) * -(-k * x.dtype.itemsize // call.chip.eu_bytes) * (4 if bits == 4 else 3)
            return made + -(-rows // lanes) * -(-columns // 4) * -(-k // 32)

        def rows(region: Region) -> Region:
            return Region((0, region.start[1], 0, 0), (1, region.size[1], 1, k))

        out: Dim4 = (1, m, 1, n)
        return LocalForm(
            out=out,
            feeds={0: Feed((1, m, 1, k), rows)},
            tile=tile,
            cut=(1, lanes, 1, lanes),
            packed=(Packed(codes, "w"), numbers(scale), numbers(points)),
            scratch=scratch,
            cycles=cycles,
        )


def _floats(weight: Array, scale: Array, zero_point: Array | None) -> NDArray[np.float64]:
    """The numbers that weights mean, (k, n) in float64."""
    size = weight.shape[0] // scale.shape[0]
    centred = weight.astype(np.float64) - (0 if zero_point is None else zero_point.astype(np.float64).repeat(size, 0))
    return centred * scale.astype(np.float64).repeat(size, 0)


def _dequantised(piece: Piece, floats: Tile, sizes: Dim4, bits: int) -> None:
    """Writes `floats` (1, columns, groups, size) from the packed weights, scales and zero points."""
    k, (_, count, groups, size) = piece.k, sizes
    scale, point = (seen_as(k, packed, (1, count, groups, 1), floats.dtype) for packed in piece.packed[1:])
    if bits == 8:
        k.tiu.cast(floats, seen_as(k, piece.packed[0], sizes, u8))
    else:
        shape: Dim4 = (1, count, groups, size // 2)
        codes = seen_as(k, piece.packed[0], shape, u8)
        halves = [k.local(shape, u8, name=name) for name in ("low", "high")]
        k.tiu.bit_and(halves[0], codes, NIBBLE)
        k.tiu.logical_shift(halves[1], codes, -4, rounding=Rounding.DOWN)
        k.tiu.cast(floats[:, :, :, : size // 2], halves[0])
        k.tiu.cast(floats[:, :, :, size // 2 :], halves[1])
    k.tiu.sub(floats, floats, point)
    k.tiu.mul(floats, floats, scale)


def a16matmul(
    x: Tensor,
    weight: Array,
    scale: Array,
    zero_point: int | Array = 0,
    bias: Operand | None = None,
    *,
    bits: int = 4,
    group_size: int = 128,
) -> Tensor:
    """x times (weight - zero_point) * scale, plus bias: a product of floats with weights that stay 4 or 8 bits in the file.

    In f16 and bf16 the weights become floats of that type in local memory; a model in f32 has them as f32. Scales are rounded to the type.

    Args:
        x: (..., k), floats.
        weight: (k, n), integers from 0 to 15, or to 255 with 8 bits.
        scale: (k / group_size, n): what a step of the weights means, in each group of rows.
        zero_point: the integer that means 0, as scale or one number.
        bias: what is broadcast to the result, for example (n,).
        bits: 4 or 8.
        group_size: rows with the same scale: an even number.
    """
    most = (1 << bits) - 1
    codes = whole_numbers("weight of a16matmul", weight, 0, most)
    points = whole_numbers("zero_point of a16matmul", zero_point, 0, most).astype(np.uint8)
    factors = np.asarray(scale, x.dtype.numpy)
    known = np.ascontiguousarray(np.broadcast_to(points, factors.shape)) if points.any() else None
    found = apply("bm::a16matmul", x, codes.astype(np.uint8), factors, known, bits=bits, group_size=group_size)
    return found if bias is None else add(found, bias)
