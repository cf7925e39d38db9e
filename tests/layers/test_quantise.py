"""Scales and zero points: what the simulated chip computes is what numpy computes, to the bit; and what numpy computes is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import bmlang as bm
from bmlang.layers.cast import ROUNDINGS
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from bmlang.layers.integers import FLOAT_ROUNDINGS, shifted
from tests.support.layers import integers, run_exactly
from tpukernel.dtypes import Dtype

SHAPES = [(2, 3, 5, 7), (1, 70, 3, 3), (131,)]
NARROW = [bm.i8, bm.u8, bm.i16, bm.u16]


def channels(shape: Sequence[int]) -> tuple[int, int]:
    """The second dimension and its size; of vectors the only one."""
    axis = 1 if len(shape) > 1 else 0
    return axis, shape[axis]


@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_quantise(shape: tuple[int, ...], dtype: Dtype) -> None:
    random = np.random.default_rng(1)
    axis, count = channels(shape)
    scales, points = random.uniform(0.1, 1, count), random.integers(0, 100, count)
    columns = random.uniform(0.1, 1, shape[-1])

    def quantised(x: bm.Tensor) -> Sequence[bm.Tensor]:
        roundings = [bm.quantise(x, 0.25, 0, dtype, rounding=rounding) for rounding in FLOAT_ROUNDINGS]
        return [
            *roundings,
            bm.quantise(x, 0.3, 5, dtype),
            bm.quantise(x, scales, points, dtype, axis=axis),
            bm.quantise(x, columns, dtype=dtype, axis=-1),
        ]

    x = (np.round(random.standard_normal(shape) * 300) / 8).astype(np.float32)
    found = list(run_exactly(quantised, {"x": x}).values())
    np.testing.assert_array_equal(found[0], np.clip(np.round(x * 4), *dtype.limits))
    run_exactly(quantised, {"x": x.astype(np.float16)})


@pytest.mark.parametrize("dtype", [*NARROW, bm.i32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dequantise(shape: tuple[int, ...], dtype: Dtype) -> None:
    random = np.random.default_rng(2)
    axis, count = channels(shape)
    scales, points = random.uniform(0.1, 1, count), random.integers(0, 100, count)
    columns = random.uniform(0.1, 1, shape[-1])

    def floats(x: bm.Tensor) -> Sequence[bm.Tensor]:
        return [
            bm.dequantise(x, 0.3, 5),
            bm.dequantise(x, 0.3),
            bm.dequantise(x, 0.3, 7, "f16"),
            bm.dequantise(x, scales, points, axis=axis),
            bm.dequantise(x, scales, axis=axis),
            bm.dequantise(x, columns, 3, axis=-1),
        ]

    x = integers(random, shape, dtype)
    found = list(run_exactly(floats, {"x": x}).values())
    np.testing.assert_allclose(found[0].astype(np.float32), (x.astype(np.float64) - 5) * 0.3, rtol=1e-6)
    if dtype.bits == 8:
        run_exactly(floats, {"x": x}, "f16")


@pytest.mark.parametrize("source", [bm.i32, bm.i16, bm.u16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_requant(shape: tuple[int, ...], source: Dtype) -> None:
    random = np.random.default_rng(3)
    axis, count = channels(shape)
    scales, points = random.uniform(0.002, 0.01, count), random.integers(0, 9, count)
    columns = random.uniform(0.002, 0.01, shape[-1])

    def narrow(x: bm.Tensor) -> Sequence[bm.Tensor]:
        return [
            *(bm.requant(x, 0.0078125, 5, dtype, rounding=rounding) for dtype in NARROW for rounding in FLOAT_ROUNDINGS[:2]),
            *(bm.requant(x, -0.01, -3, rounding=rounding) for rounding in FLOAT_ROUNDINGS[2:]),
            bm.requant(x, scales, points, "u8", axis=axis, rounding="half_away_from_zero"),
            bm.requant(x, columns, points if axis == len(shape) - 1 else 4, axis=-1),
        ]

    run_exactly(narrow, {"x": integers(random, shape, source, 40_000)})


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_requant_with_integers(shape: tuple[int, ...], rounding: str) -> None:
    random = np.random.default_rng(4)
    axis, count = channels(shape)
    multipliers, shifts, points = random.integers(0, 2**30, count), -random.integers(0, 50, count), random.integers(0, 9, count)
    columns = -random.integers(0, 12, shape[-1])

    def narrow(x: bm.Tensor) -> Sequence[bm.Tensor]:
        return [
            bm.requant_int(x, 2**20 + 7, -37, 3, rounding=rounding),
            bm.requant_int(x, -3, -12, 3, "u8", rounding=rounding),
            bm.requant_int(x, 1, -9, dtype="i16", rounding=rounding),
            bm.requant_int(x, 1, 2, dtype="u16", rounding=rounding),
            bm.requant_int(x, multipliers, shifts, points, "u8", axis=axis, rounding=rounding),
            bm.requant_int(x, 3, columns, 7, axis=-1, rounding=rounding),
        ]

    for source in (bm.i32, bm.u16):
        run_exactly(narrow, {"x": integers(random, shape, source)})


@pytest.mark.parametrize(
    ("rounding", "wanted"),
    {
        "half_to_even": [-2, -2, -1, 0, 0, 0, 1, 2, 2],
        "half_away_from_zero": [-2, -2, -1, -1, 0, 1, 1, 2, 2],
        "towards_zero": [-2, -1, -1, 0, 0, 0, 1, 1, 2],
        "down": [-2, -2, -1, -1, 0, 0, 1, 1, 2],
        "up": [-2, -1, -1, 0, 0, 1, 1, 2, 2],
        "half_up": [-2, -1, -1, 0, 0, 1, 1, 2, 2],
        "half_down": [-2, -2, -1, -1, 0, 0, 1, 1, 2],
    }.items(),
)
def test_rounding_of_halves(rounding: str, wanted: list[int]) -> None:
    numbers = np.arange(-4, 5, dtype=np.int64)
    assert shifted(numbers, -1, rounding).tolist() == wanted
    assert shifted(numbers << 40, -41, rounding).tolist() == wanted
    assert shifted(numbers, 3, rounding).tolist() == (numbers * 8).tolist()


def test_scales_of_channels_take_one_command() -> None:
    """A table for the channels, where they lie over the lanes; no tensor of repeated numbers."""

    @bm.function
    def scaled(x: bm.Tensor) -> bm.Tensor:
        return bm.requant(x, np.linspace(0.1, 1, 64))

    model = bm.compile(scaled, stages=[{"x": bm.spec((1, 64, 8, 8), "i32")}])
    assert [span.instruction.unit for span in model.stages[0].timeline().entries].count("RQ&DQ") == 1


REFUSED: list[tuple[str, Dtype, dict[str, object], type[Exception]]] = [
    ("quantise", bm.f32, {"scale": 0.0}, OperatorArgumentError),
    ("quantise", bm.f32, {"scale": 0.5, "zero_point": 300}, OperatorArgumentError),
    ("quantise", bm.f32, {"scale": 0.5, "rounding": "half_up"}, OperatorArgumentError),
    ("quantise", bm.f32, {"scale": 0.5, "dtype": "i32"}, OperatorDtypeError),
    ("quantise", bm.f32, {"scale": [0.5, 0.25]}, ShapeError),
    ("quantise", bm.f32, {"scale": [0.5] * 3, "axis": 4}, OperatorArgumentError),
    ("quantise", bm.i8, {"scale": 0.5}, OperatorDtypeError),
    ("dequantise", bm.f32, {"scale": 0.5}, OperatorDtypeError),
    ("requant", bm.f32, {"scale": 0.5}, OperatorDtypeError),
    ("requant_int", bm.f32, {"multiplier": 1, "shift": 0}, OperatorDtypeError),
    ("requant_int", bm.i32, {"multiplier": 2**31, "shift": 0}, OperatorArgumentError),
    ("requant_int", bm.i32, {"multiplier": 1, "shift": -64}, OperatorArgumentError),
    ("requant_int", bm.i32, {"multiplier": 1.5, "shift": 0}, OperatorArgumentError),
    ("requant_int", bm.i32, {"multiplier": [1, 2], "shift": 0}, ShapeError),
]


@pytest.mark.parametrize(("name", "dtype", "arguments", "error"), REFUSED)
def test_what_does_not_fit_is_refused(name: str, dtype: Dtype, arguments: dict[str, object], error: type[Exception]) -> None:
    def refused(x: bm.Tensor) -> object:
        return getattr(bm, name)(x, **arguments)

    with pytest.raises(error):
        bm.function(refused).traced({"x": bm.spec((2, 3, 5), dtype)})


def test_a_function_by_table_keeps_the_shape() -> None:
    @bm.function
    def summed(x: bm.Tensor) -> bm.Tensor:
        return bm.activation_int(x, lambda numbers: bm.reduce_sum(numbers, 0), (1.0, 1.0))

    with pytest.raises(ShapeError, match="the function of activation_int makes"):
        summed.traced({"x": bm.spec((4, 5), "i8")})


def test_scales_of_products() -> None:
    @bm.function
    def product(x: bm.Tensor) -> bm.Tensor:
        return bm.matmul_quant(x, np.ones((5, 2), np.int8), a_scale=1.0, b_scale=[1.0, -1.0], output_scale=1.0)

    with pytest.raises(OperatorArgumentError, match="scales of matmul_quant are"):
        product.traced({"x": bm.spec((4, 5), "i8")})
