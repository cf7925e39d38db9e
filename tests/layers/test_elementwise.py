"""Operators of one element: numbers at the edges, and arguments that do not fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import bmlang as bm
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.agreement import agree, numbers

BASES = np.array([0, -0.0, 0, 0, 0, -2, -2, -2, -2, -2, 2, -1, 1], np.float32)
EXPONENTS = np.array([2, 3, 0, -1, 0.1, 3, 2, 0.5, -3, 0, -2, 7, 0.3], np.float32)
POWERS = np.array([0, 0, 1, np.inf, 0, -8, 4, np.nan, -0.125, 1, 0.25, -1, 1])


def test_powers_of_zero_and_of_negative_numbers() -> None:
    @bm.function
    def power(base: bm.Tensor, exponent: bm.Tensor) -> bm.Tensor:
        return bm.pow(base, exponent)

    np.testing.assert_allclose(power(BASES, EXPONENTS), POWERS, rtol=1e-6)
    np.testing.assert_allclose(power.reference(BASES, EXPONENTS)["output"], POWERS, rtol=1e-6)


@pytest.mark.parametrize("place", range(len(BASES)))
def test_powers_of_and_with_a_known_number(place: int) -> None:
    base, exponent = float(BASES[place]), float(EXPONENTS[place])

    @bm.function
    def powers(bases: bm.Tensor, exponents: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.pow(bases, exponent), bm.pow(base, exponents)

    same = np.array([place])
    for found in powers(BASES[same], EXPONENTS[same]):
        np.testing.assert_allclose(found, POWERS[same], rtol=1e-6)


def test_a_choice_by_a_number_that_is_known() -> None:
    @bm.function
    def chosen(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.where(1.0, x, 3), bm.where(np.array(-1, np.float32), x, 3)

    x = numbers(3, 70)
    first, second = agree(chosen, modes=("f32", "f16"), x=x).values()
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(second, np.full_like(x, 3))


def test_operators_of_python() -> None:
    @bm.function
    def mixed(x: bm.Tensor, y: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return (x & 6) | ~y ^ (x & np.array([1, 2, 4], np.int32)) | 8 ^ (1 & y), 2 ** bm.cast(x, bm.f32) + bm.cast(y, bm.f32) ** 2

    x, y = np.array([1, 7, -3], np.int32), np.array([5, -2, 0], np.int32)
    bits, powers = agree(mixed, modes=("f32",), x=x, y=y).values()
    np.testing.assert_array_equal(bits, (x & 6) | ~y ^ (x & np.array([1, 2, 4], np.int32)) | 8 ^ (1 & y))
    np.testing.assert_array_equal(powers, (2.0**x + np.square(y)).astype(np.float32))


FLOAT_ROUNDINGS = ("half_to_even", "half_away_from_zero", "towards_zero", "down", "up")
EDGES = np.array(
    [65504, 65519, 65520, 65535, 65536, -65530, 3.39e38, 3.4028e38, np.inf, -np.inf, 6e-8, 3e-8, 2.9e-8, -1e-9, 1 + 2**-9, 1 + 2**-11]
)


@pytest.mark.parametrize("rounding", FLOAT_ROUNDINGS)
def test_the_reference_of_a_conversion_rounds_as_the_chip(rounding: str) -> None:
    random = np.random.default_rng(FLOAT_ROUNDINGS.index(rounding))
    bits = random.integers(0, 2**32, 3000, np.uint32).view(np.float32)
    floats = np.concatenate([bits[~np.isnan(bits)], EDGES.astype(np.float32), numbers(500)])
    integers = np.concatenate([random.integers(-(2**31), 2**31, 500), random.integers(-70_000, 70_000, 500), [65519, 65520, 2049]]).astype(
        np.int32
    )

    @bm.function
    def converted(x: bm.Tensor, y: bm.Tensor) -> dict[str, bm.Tensor]:
        results = {f"floats_{dtype}": bm.cast(x, dtype, rounding) for dtype in (bm.f16, bm.bf16)}
        return results | {f"integers_{dtype}": bm.cast(y, dtype, rounding) for dtype in (bm.f32, bm.f16, bm.bf16)}

    wanted = converted.reference(floats, integers)
    for name, found in converted.run({"x": floats, "y": integers}).items():
        np.testing.assert_array_equal(found.astype(np.float64), np.asarray(wanted[name], np.float64), err_msg=name)


MISTAKES: list[tuple[Callable[[bm.Tensor], bm.Tensor], type[Exception]]] = [
    (lambda x: bm.round(x, "half_up"), OperatorArgumentError),
    (lambda x: bm.cast(x, bm.i8, "half_up"), OperatorArgumentError),
    (lambda x: bm.bit_and(x, 1), OperatorDtypeError),
    (lambda x: bm.lut(x, np.zeros(256, np.float32)), OperatorDtypeError),
    (lambda x: bm.lut(bm.cast(x, bm.i8), np.zeros(255, np.float32)), ShapeError),
    (lambda x: bm.where(x, np.array(1, np.int32), np.array(1, np.int8)), OperatorDtypeError),
    (lambda x: bm.where(x, bm.cast(x, bm.i8), 300), OperatorDtypeError),
    (lambda x: bm.pow(bm.cast(x, bm.i8), 2), OperatorDtypeError),
]


@pytest.mark.parametrize(("use", "error"), MISTAKES)
def test_arguments_that_do_not_fit(use: Callable[[bm.Tensor], bm.Tensor], error: type[Exception]) -> None:
    @bm.function
    def used(x: bm.Tensor) -> bm.Tensor:
        return use(x)

    with pytest.raises(error):
        used.traced({"x": (2, 3)})


def test_a_tangent_leaves_its_argument() -> None:
    @bm.function
    def both(x: bm.Tensor) -> bm.Tensor:
        return bm.tan(x) + x * 100.0

    x = np.linspace(-1.5, 1.5, 7, dtype=np.float32)
    np.testing.assert_allclose(both(x), np.tan(x) + x * 100, rtol=1e-5, atol=1e-6)
