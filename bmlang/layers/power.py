"""Powers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nan

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, Layer, LocalForm, Piece
from bmlang.layers.memory import whole
from bmlang.layers.pointwise import broadcast_shape, common_dtype, pointwise
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import f32
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["Pow", "pow"]

SHORT: Mapping[float, tuple[str, ...]] = {
    1.0: ("copy",),
    2.0: ("square",),
    4.0: ("square", "square"),
    -1.0: ("reciprocal",),
    -2.0: ("square", "reciprocal"),
}
"""Exponents for which there are shorter ways: layers of one operand, one after the other."""


@register
class Pow(Layer):
    """base ** exponent.

    The function of the tensor unit takes the base as a number above 0. What is different for 0 and below is put in its place behind it:
    0, 1 or infinity; the sign of odd powers; NaN where the exponent of a negative base is no whole number.
    """

    name = "bm::pow"
    inputs = ("base", "exponent")
    dtypes = (f32,)
    elementwise = True

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        given = [spec for spec in inputs if spec is not None]
        return TensorSpec(broadcast_shape("pow", given), common_dtype("pow", given, FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        base, exponent = inputs
        assert base is not None and exponent is not None  # noqa: S101
        return np.power(base.astype(np.float64), exponent.astype(np.float64))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        base, exponent = inputs
        assert base is not None and exponent is not None  # noqa: S101
        known = exponent.known
        short = SHORT.get(float(known.item())) if known is not None and known.size == 1 and exponent.ndim <= base.ndim else None
        if short is None:
            return None
        for name in short:
            base = apply(f"bm::{name}", base)
        return base

    def local(self, call: Call) -> LocalForm:
        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            base, exponent = (whole(piece, each) if isinstance(each, Tile) else each for each in operands)
            _power(piece, base, exponent)

        return pointwise(call, compute, operations=60, work_buffers=12)


def _power(piece: Piece, base: Source, exponent: Source) -> None:
    """piece.out = base ** exponent, at least one of them a tensor."""
    k, size = piece.k, piece.region.size
    power = k.local(size, f32, name="power")
    if not isinstance(base, Tile):
        if base == 0:
            k.tiu.copy(piece.out, _tile(_of_zero(piece, exponent)))
            return
        k.tiu.pow(power, abs(base), exponent)
        k.tiu.mul(piece.out, power, _sign_below_zero(piece, exponent) if base < 0 else 1.0)
        return
    size_of, corrected, sign = (k.local(size, f32, name=name) for name in ("positive", "corrected", "sign"))
    k.tiu.abs(size_of, base)
    k.tiu.pow(power, size_of, exponent)
    k.tiu.select_greater(corrected, size_of, 0.0, power, _of_zero(piece, exponent))
    k.tiu.select_less(sign, base, 0.0, _sign_below_zero(piece, exponent), 1.0)
    k.tiu.mul(piece.out, corrected, sign)


def _tile(source: Source) -> Tile:
    assert isinstance(source, Tile)  # noqa: S101
    return source


def _of_zero(piece: Piece, exponent: Source) -> Source:
    """0 ** exponent."""
    if not isinstance(exponent, Tile):
        return 0.0 if exponent > 0 else 1.0 if exponent == 0 else inf
    above, found = (piece.k.local(piece.region.size, f32, name=name) for name in ("of_positive", "of_zero"))
    piece.k.tiu.select_greater(above, exponent, 0.0, 0.0, 1.0)
    piece.k.tiu.select_less(found, exponent, 0.0, inf, above)
    return found


def _sign_below_zero(piece: Piece, exponent: Source) -> Source:
    """1 or -1 by which an even or odd power of a negative number differs from that of a positive one; NaN where there is no power."""
    if not isinstance(exponent, Tile):
        return nan if exponent % 1 else -1.0 if exponent % 2 else 1.0
    k, size = piece.k, piece.region.size
    floor, half, half_floor, exists, sign, found = (
        k.local(size, f32, name=name) for name in ("floor", "half", "half_floor", "exists", "parity", "sign_below_zero")
    )
    k.tiu.floor(floor, exponent)
    k.tiu.select_less(exists, floor, exponent, nan, 1.0)
    k.tiu.mul(half, exponent, 0.5)
    k.tiu.floor(half_floor, half)
    k.tiu.select_less(sign, half_floor, half, -1.0, 1.0)
    k.tiu.mul(found, exists, sign)
    return found


def pow(base: Operand, exponent: Operand) -> Tensor:
    """base ** exponent in f32 (f16 and bf16 are computed as f32), broadcast as in numpy.

    What is too large becomes 2 ** 127, as in the functions of the tensor unit; powers of 0 are 0, 1 or infinity.

    Args:
        base: any number. Below 0 the result is NaN where the exponent is no whole number.
        exponent: a tensor or a number; 2, 4, -1 and -2 are faster than others; so is `sqrt`, which knows no NaN.
    """
    return apply("bm::pow", base, exponent)
