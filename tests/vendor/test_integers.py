"""Quantised models of ours on the official runtime and emulator: the same numbers, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang.graph.graph import Array
from tests.support.layers import integers
from tests.vendor.test_runtime import official, same

pytestmark = pytest.mark.vendor

RANDOM = np.random.default_rng(7)
WEIGHT, BYTES = integers(RANDOM, (70, 20, 3, 3), bm.i8), integers(RANDOM, (70, 20, 3, 3), bm.u8)
KERNELS, MATRIX = integers(RANDOM, (70, 1, 3, 3), bm.i8), integers(RANDOM, (70, 33), bm.i8)
BIAS = integers(RANDOM, (70,), bm.i32, 5000)
SCALES, POINTS = RANDOM.uniform(1e-4, 1e-3, 70), RANDOM.integers(0, 255, 70)
MULTIPLIERS, SHIFTS = RANDOM.integers(2**29, 2**30, 70), -RANDOM.integers(40, 44, 70)


def convolutions(x: bm.Tensor) -> dict[str, bm.Tensor]:
    """Zero points as numbers and as tables, both ways to make sums narrow, depthwise with zero points that 8 bits do not hold."""
    sums = bm.conv_int(x, WEIGHT, BIAS, pad=1, input_zero_point=-4, weight_zero_point=3)
    narrow = bm.requant_int(sums, MULTIPLIERS, SHIFTS, 3)
    return {
        "table": bm.requant(bm.conv_int(x, BYTES, BIAS, pad=1, stride=2, weight_zero_point=POINTS), SCALES, 5, "u8"),
        "depthwise": bm.conv_int(narrow, KERNELS, pad=1, groups=70, input_zero_point=3, weight_zero_point=90),
        "pooled": bm.avg_pool_int(narrow, 4, stride=2, zero_points=(3, -9)),
    }


def products(x: bm.Tensor, y: bm.Tensor) -> dict[str, bm.Tensor]:
    """A product whose columns have scales of their own, and arithmetic between floats and integers."""
    a = bm.quantise(x, 0.02, 4)
    b = bm.matmul_int(a, MATRIX, a_zero_point=4, b_zero_point=-7)
    return {
        "columns": bm.requant(b, SCALES[:33], axis=-1, rounding="half_away_from_zero"),
        "sum": bm.add_scaled(a, bm.quantise(y, SCALES * 100, 9, "u8", axis=1), (0.02, 0.05, 0.1), (4, 9, 1)),
        "shifted": bm.mul_shift(a, a, -5),
        "floats": bm.dequantise(b, 0.001, dtype="f16"),
    }


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (convolutions, {"x": integers(RANDOM, (2, 20, 12, 10), bm.i8)}),
        (products, {"x": RANDOM.standard_normal((35, 70), np.float32), "y": RANDOM.standard_normal((35, 70), np.float32)}),
    ],
    ids=["convolutions", "products"],
)
def test_the_official_runtime_computes_the_same(function: Callable[..., object], inputs: Mapping[str, Array], tmp_path: Path) -> None:
    made = bm.function(function)
    model = bm.compile(made, stages=[{name: bm.spec(array.shape, str(array.dtype)) for name, array in inputs.items()}])
    path = model.save(tmp_path / "model.bmodel")
    theirs = official(path, made.name, dict(inputs), tmp_path)
    same(dict(made.reference(**inputs)), theirs)
    same(model.run(**inputs), theirs)
