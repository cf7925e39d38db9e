"""Arithmetic on integers with a shift or with scales: what the simulated chip computes is what numpy computes, to the bit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import bmlang as bm
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError
from tests.support.layers import integers, run_exactly
from tpukernel.dtypes import Dtype

SHAPES = [((2, 70, 5, 3), (2, 70, 5, 3)), ((3, 5, 7), (5, 1)), ((2, 66, 9), (9,))]
SCALES = (0.03, 0.05, 0.1)


@pytest.mark.parametrize(("left", "right"), [(bm.i8, bm.i8), (bm.u8, bm.u8), (bm.i16, bm.u8), (bm.i32, bm.i8)], ids=str)
@pytest.mark.parametrize(("shape", "other"), SHAPES, ids=str)
def test_shifted(shape: tuple[int, ...], other: tuple[int, ...], left: Dtype, right: Dtype) -> None:
    random = np.random.default_rng(1)
    signed = left.is_signed or right.is_signed
    results = (bm.i8, bm.i16, bm.i32) if signed else (bm.u8, bm.u16)

    def computed(a: bm.Tensor, b: bm.Tensor) -> list[bm.Tensor]:
        found = [bm.sub_shift(a, b, -1, rounding="half_up")]
        for dtype, (shift, rounding) in product(results, [(0, "down"), (-3, "half_to_even"), (2, "up")]):
            found += [bm.add_shift(a, b, shift, dtype, rounding=rounding), bm.mul_shift(a, b, shift - 4, dtype, rounding=rounding)]
        return found

    run_exactly(computed, {"a": integers(random, shape, left), "b": integers(random, other, right)})


@pytest.mark.parametrize("dtype", [bm.i8, bm.u8, bm.i16], ids=str)
@pytest.mark.parametrize(("shape", "other"), SHAPES, ids=str)
def test_scaled(shape: tuple[int, ...], other: tuple[int, ...], dtype: Dtype) -> None:
    random = np.random.default_rng(2)
    a, b = integers(random, shape, dtype), integers(random, other, bm.i8)

    def computed(a: bm.Tensor, b: bm.Tensor) -> list[bm.Tensor]:
        operations = (bm.add_scaled, bm.sub_scaled, bm.mul_scaled)
        return [made for each in operations for made in (each(a, b, SCALES, (3, -2, 5), dtype), each(a, b, SCALES, rounding="up"))]

    found = list(run_exactly(computed, {"a": a, "b": b}).values())
    real = [(array.astype(np.float64) - point) * scale for array, point, scale in ((a, 3, 0.03), (b, -2, 0.05))]
    for array, exact in ((found[0], real[0] + real[1]), (found[4], real[0] * real[1])):
        assert np.abs(array.astype(np.float64) - np.clip(exact / 0.1 + 5, *dtype.limits)).max() < 0.51


def test_what_does_not_fit_is_refused() -> None:
    def traced(name: str, *arguments: object, **more: object) -> None:
        def computed(a: bm.Tensor) -> object:
            return getattr(bm, name)(a, a, *arguments, **more)

        bm.function(computed).traced({"a": bm.spec((2, 3), "u8")})

    for name, arguments, error in (
        ("add_shift", (-32, "u8"), OperatorArgumentError),
        ("sub_shift", (0, "u8"), OperatorDtypeError),
        ("add_shift", (0, "i16"), OperatorDtypeError),
        ("add_shift", (0, "f32"), OperatorDtypeError),
        ("mul_scaled", ((0.1, 0.2),), OperatorArgumentError),
        ("mul_scaled", ((0.1, 0.2, 0.0),), OperatorArgumentError),
        ("mul_scaled", (SCALES, (1, 2)), OperatorArgumentError),
        ("mul_scaled", (SCALES, (-1, 0, 0)), OperatorArgumentError),
        ("mul_scaled", (SCALES, (0, 0, 0), "i32"), OperatorDtypeError),
    ):
        with pytest.raises(error):
            traced(name, *arguments)
