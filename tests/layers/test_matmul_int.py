"""Products of matrices of 8-bit integers: exact sums, whatever the zero points, of known and of given matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import bmlang as bm
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.layers import integers, run_exactly
from tpukernel.dtypes import Dtype

SHAPES = [((3, 5), (5, 7)), ((70, 130), (130, 66)), ((2, 3, 5), (5, 4)), ((2, 70, 9), (2, 9, 70)), ((4, 9), (3, 9, 5))]
TYPES = [(bm.i8, bm.i8), (bm.u8, bm.i8), (bm.i8, bm.u8), (bm.u8, bm.u8)]


@pytest.mark.parametrize(("left", "right"), TYPES, ids=str)
@pytest.mark.parametrize(("shape", "other"), SHAPES, ids=str)
def test_sums_are_exact(shape: tuple[int, ...], other: tuple[int, ...], left: Dtype, right: Dtype) -> None:
    random = np.random.default_rng(1)
    a, b, bias = integers(random, shape, left), integers(random, other, right), integers(random, other[-1:], bm.i32, 10**6)
    turned = np.ascontiguousarray(np.swapaxes(b, -1, -2))
    low, high = right.limits
    each = random.integers(low, high, other[-1], endpoint=True)

    def known(a: bm.Tensor) -> list[bm.Tensor]:
        plain = [bm.matmul_int(a, b, bias, a_zero_point=7, b_zero_point=points) for points in (0, high - 100, each)]
        return [*plain, bm.matmul_int(a, turned, b_zero_point=high, transpose_b=True)]

    def given(a: bm.Tensor, b: bm.Tensor, c: bm.Tensor) -> list[bm.Tensor]:
        plain = [bm.matmul_int(a, b, bias, a_zero_point=7, b_zero_point=points) for points in (0, high - 100, each)]
        return [*plain, bm.matmul_int(a, c, a_zero_point=7, b_zero_point=3, transpose_b=True)]

    def wanted(points: int | NDArray[np.int64]) -> NDArray[np.int64]:
        return np.matmul(a.astype(np.int64) - 7, b.astype(np.int64) - points)

    for found in (run_exactly(known, {"a": a}), run_exactly(given, {"a": a, "b": b, "c": turned})):
        for (name, array), points in zip(found.items(), (0, high - 100, each), strict=False):
            np.testing.assert_array_equal(array, wanted(points) + bias.astype(np.int64), err_msg=name)


def test_requantized_on_the_way_out() -> None:
    random = np.random.default_rng(2)
    b, bias, scales = integers(random, (40, 66), bm.i8), integers(random, (66,), bm.i32, 5000), random.uniform(1e-4, 1e-3, 66)

    def network(a: bm.Tensor) -> list[bm.Tensor]:
        sums = bm.matmul_int(a, b, bias, a_zero_point=-3)
        return [bm.requant(sums, scales, 4, axis=-1), bm.requant_int(sums, 2**29, -42, dtype="u8"), bm.dequantise(sums, scales, axis=-1)]

    run_exactly(network, {"a": integers(random, (2, 35, 40), bm.i8)})


@pytest.mark.parametrize(
    ("shape", "dtype", "more", "error"),
    [
        ((5, 4), bm.i8, {"transpose_b": True}, ShapeError),
        ((6, 4), bm.i8, {}, ShapeError),
        ((5, 4), bm.i16, {}, OperatorDtypeError),
        ((5, 4), bm.i8, {"a_zero_point": 128}, OperatorArgumentError),
        ((5, 4), bm.u8, {"b_zero_point": -1}, OperatorArgumentError),
    ],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], dtype: Dtype, more: dict[str, int], error: type[Exception]) -> None:
    def product(a: bm.Tensor, b: bm.Tensor) -> bm.Tensor:
        return bm.matmul_int(a, b, **more)  # pyright: ignore[reportArgumentType]

    with pytest.raises(error):
        bm.function(product).traced({"a": bm.spec((3, 5), "i8"), "b": bm.spec(shape, dtype)})
