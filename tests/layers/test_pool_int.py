"""Sums and averages of windows of 8-bit integers."""

from __future__ import annotations

import numpy as np
import pytest

import bmlang as bm
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.layers import integers, run_exactly
from tpukernel.dtypes import Dtype


@pytest.mark.parametrize("dtype", [bm.i8, bm.u8], ids=str)
def test_sums_and_averages(dtype: Dtype) -> None:
    def pooled(x: bm.Tensor) -> list[bm.Tensor]:
        return [
            bm.sum_pool(x, 3, stride=2, pad=1, zero_point=9),
            bm.sum_pool(x, (2, 3), pad=(0, 1, 1, 0)),
            bm.avg_pool_int(x, (9, 7), scale=0.7, zero_points=(9, -4)),
            bm.avg_pool_int(x, 2, stride=(2, 1), dtype="u8", rounding="half_away_from_zero"),
        ]

    x = integers(np.random.default_rng(1), (2, 70, 9, 7), dtype)
    found = run_exactly(pooled, {"x": x})
    average = (x.astype(np.float64) - 9).mean((2, 3), keepdims=True) * 0.7 - 4
    assert np.abs(found["output_2"].astype(np.float64) - np.clip(average, -128, 127)).max() <= 0.5001


def test_an_average_behind_a_convolution() -> None:
    random = np.random.default_rng(2)
    weight = integers(random, (66, 20, 1, 1), bm.i8)

    def network(x: bm.Tensor) -> bm.Tensor:
        narrow = bm.requant(bm.conv_int(x, weight), 0.001, 3)
        return bm.avg_pool_int(bm.max(narrow, 3), (8, 8), zero_points=(3, 0))

    run_exactly(network, {"x": integers(random, (2, 20, 8, 8), bm.u8)})


@pytest.mark.parametrize(
    ("shape", "dtype", "zero_point", "error"),
    [
        ((1, 2, 5, 5), bm.i16, 0, OperatorDtypeError),
        ((2, 5, 5), bm.i8, 0, ShapeError),
        ((1, 2, 5, 5), bm.u8, -1, OperatorArgumentError),
    ],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], dtype: Dtype, zero_point: int, error: type[Exception]) -> None:
    def pooled(x: bm.Tensor) -> bm.Tensor:
        return bm.sum_pool(x, 2, zero_point=zero_point)

    with pytest.raises(error):
        bm.function(pooled).traced({"x": bm.spec(shape, dtype)})
