"""The interpreter's arithmetic against exact rational numbers, and in every floating-point state of the processor."""

from __future__ import annotations

import ctypes
import math
import platform
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.differential import hard_values
from tpukernel.dtypes import DTYPES, Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import casts, compare, floats, ints, newton
from tpukernel.sim.memory import Array

FLOATS = (f32, f16, bf16)
INTEGERS = (i8, u8, i16, u16, i32, u32)
FORMAT = {f32: (24, -126, 127), f16: (11, -14, 15), bf16: (8, -126, 127)}
"""Digits, exponent of the smallest normal number, largest exponent."""
CAST_ROUNDINGS = [Rounding(mode) for mode in range(5)]

numbers = st.integers(0, (1 << 32) - 1)


def bits_of(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")


def array(bits: int, dtype: Dtype) -> Array:
    return np.array([bits & ((1 << dtype.bits) - 1)], f"u{dtype.itemsize}").view(dtype.numpy)


def number(values: Array) -> float:
    return float(values.astype(np.float32)[0])


def is_denormal(values: Array, dtype: Dtype) -> bool:
    return 0 < abs(number(values)) < 2.0 ** FORMAT[dtype][1]


# ---------------------------------------------------------------------------- exact references


def whole(value: Fraction, mode: Rounding) -> int:
    """A number rounded to an integer."""
    below = math.floor(value)
    rest, half = value - below, Fraction(1, 2)
    up = {
        Rounding.HALF_EVEN: rest > half or (rest == half and below % 2 == 1),
        Rounding.HALF_AWAY: rest > half or (rest == half and value > 0),
        Rounding.TOWARD_ZERO: value < 0 and rest > 0,
        Rounding.DOWN: False,
        Rounding.UP: rest > 0,
        Rounding.HALF_UP: rest >= half,
        Rounding.HALF_DOWN: rest > half,
    }[mode]
    return below + up


def nearest(value: Fraction, dtype: Dtype, mode: Rounding = Rounding.HALF_EVEN, *, flush: bool = False) -> float:
    """An exact number in a float type; `flush`: what is too small to be normal after rounding with an unlimited exponent becomes 0."""
    digits, least, most = FORMAT[dtype]
    if value == 0:
        return 0.0
    exponent = math.floor(math.log2(abs(value.numerator)) - math.log2(value.denominator))
    exponent += 1 if abs(value) >= Fraction(2) ** (exponent + 1) else -1 if abs(value) < Fraction(2) ** exponent else 0
    quantum = Fraction(2) ** ((exponent if flush else max(exponent, least)) - digits + 1)
    rounded = whole(value / quantum, mode) * quantum
    if abs(rounded) < Fraction(2) ** least and dtype != f16:
        return math.copysign(0.0, value)
    return float(rounded) if abs(rounded) < Fraction(2) ** (most + 1) else math.copysign(math.inf, value)


# ---------------------------------------------------------------------------- floats

OPERATIONS: list[tuple[Callable[[Array, Array], Array], Callable[[Fraction, Fraction], Fraction]]] = [
    (floats.add, lambda a, b: a + b),
    (floats.subtract, lambda a, b: a - b),
    (floats.multiply, lambda a, b: a * b),
]


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
@pytest.mark.parametrize(("ours", "exact"), OPERATIONS, ids=["add", "subtract", "multiply"])
@given(a=numbers, b=numbers, near=st.none() | st.tuples(st.integers(-1, 1), st.integers(-1, 1)))
def test_arithmetic_is_rounded_once_and_flushed(
    ours: Callable[[Array, Array], Array],
    exact: Callable[[Fraction, Fraction], Fraction],
    dtype: Dtype,
    a: int,
    b: int,
    near: tuple[int, int] | None,
) -> None:
    if near:  # exponents for which results are about as small as normal numbers can be
        digits, least, most = FORMAT[dtype]
        centre = (2 * most + least) // 2 if ours is floats.multiply else 3
        mask = ((1 << (dtype.bits - digits)) - 1) << (digits - 1)
        a, b = (bits & ~mask | (centre + step) << (digits - 1) for bits, step in zip((a, b), near, strict=True))
    one, two = array(a, dtype), array(b, dtype)
    assume(all(map(math.isfinite, (number(one), number(two)))))
    given_numbers = [Fraction(0 if dtype != f16 and is_denormal(x, dtype) else number(x)) for x in (one, two)]
    found, expected = number(ours(one, two)), nearest(exact(*given_numbers), dtype, flush=dtype != f16)
    assert found == expected


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
@pytest.mark.parametrize("mode", Rounding)
@given(sign=st.sampled_from((1, -1)), significand=st.integers(0, 1 << 40), exponent=st.integers(-170, 100))
def test_round_to_rounds_exact_numbers(dtype: Dtype, mode: Rounding, sign: int, significand: int, exponent: int) -> None:
    value = Fraction(sign * significand) * Fraction(2) ** exponent
    assert number(floats.round_to(np.array([float(value)]), dtype, mode)) == nearest(value, dtype, mode)


@pytest.mark.parametrize("dtype", [f16, bf16], ids=repr)
def test_the_fast_way_to_round_agrees_with_the_general_one(dtype: Dtype) -> None:
    values = hard_values(np.random.default_rng(1), (200_000,), f32)
    values = floats.flush(values[~np.isnan(values)].view(np.float32))
    general = floats.round_to(values.astype(np.float64), dtype, Rounding.HALF_EVEN)
    assert np.array_equal(bits_of(floats.narrow(values, dtype)), bits_of(general))


def test_products_just_below_the_smallest_normal_number() -> None:
    """Gradual underflow would round (1 - 2**-24) * 2**-126 up; the chip flushes what is not normal with an unlimited exponent."""
    ones = np.array([1 - 2.0**-24, 1 - 2.0**-23, 1 - 2.0**-22, 1 + 2.0**-23], np.float32)
    factor = np.array([2.0**-126], np.float32)
    assert floats.multiply(ones, factor).tolist() == [0.0, 0.0, 0.0, float(np.float32(2.0**-126 * (1 + 2.0**-23)))]
    almost = np.array([1 - 2.0**-24], np.float32)
    assert floats.multiply(almost, np.array([(1 + 2.0**-23) * 2.0**-126], np.float32)).tolist() == [2.0**-126]


def test_all_bf16_products_next_to_the_smallest_normal_number() -> None:
    one, two = (np.arange(128, 256)[:, None] / 128 * 2.0**-60, np.arange(128, 256)[None, :] / 128 * 2.0**-67)
    found = floats.multiply(*(factor.astype(np.float32).astype(bf16.numpy) for factor in (one, two)))
    scaled = one * two * 2.0**126
    quantum = np.where(scaled < 1, 2.0**-8, 2.0**-7)
    rounded = np.rint(scaled / quantum) * quantum
    assert np.array_equal(floats.widen(found).astype(np.float64) * 2.0**126, np.where(rounded < 1, 0, rounded))
    assert (found.astype(np.float32) == np.float32(2.0**-126))[scaled < 1].any()


NANS = (0x7FC00001, 0xFFC00002, 0x7F800003, 0xFF800004)


@pytest.mark.parametrize("operation", [floats.add, floats.subtract, floats.multiply])
def test_the_nan_of_the_first_operand_wins_and_is_made_quiet(operation: Callable[[Array, Array], Array]) -> None:
    for first in NANS:
        for second in (*NANS, 0x3F800000, 0x7F800000, 0):
            assert bits_of(operation(array(first, f32), array(second, f32)))[0] == first | 0x400000
        assert bits_of(operation(array(0x3F800000, f32), array(first, f32)))[0] == first | 0x400000
        for dtype in (f16, bf16):
            assert bits_of(operation(floats.narrow(array(first, f32).view(np.float32), dtype), array(0, dtype)))[0] == 0x7FFF


def test_invalid_operations_give_the_default_nan() -> None:
    infinity, zero = array(0x7F800000, f32), array(0, f32)
    for found in (floats.subtract(infinity, infinity), floats.multiply(zero, infinity)):
        assert bits_of(found)[0] == 0xFFC00000


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
def test_comparisons_exclude_each_other_but_for_nan(dtype: Dtype) -> None:
    rng = np.random.default_rng(2)
    a, b = hard_values(rng, (50_000,), dtype), hard_values(rng, (50_000,), dtype)
    greater, less = compare.greater(a, b), compare.less(a, b)
    assert not (greater & less).any()
    assert np.array_equal(compare.equal(a, b), bits_of(a) == bits_of(b))
    exact = [floats.exact(floats.widen(floats.flush_any(x))) for x in (a, b)]
    ordered = ~np.isnan(exact[0]) & ~np.isnan(exact[1])
    largest = floats.exact(floats.widen(compare.maximum(a, b)))
    assert np.array_equal(largest[ordered], np.maximum(*exact)[ordered])
    assert np.array_equal(greater[ordered], (exact[0] > exact[1])[ordered])


@given(value=st.floats(1e-10, 1e10), divisor=st.floats(1e-15, 1e15))
def test_newton_is_close(value: float, divisor: float) -> None:
    one, two = np.array([value], np.float32), np.array([divisor], np.float32)
    assert newton.reciprocal_root(one, 3)[0] == pytest.approx(float(one[0]) ** -0.5, rel=1e-6)
    quotient = float(one[0]) / float(two[0])
    assert newton.divide(one, two, 3)[0] == pytest.approx(quotient, rel=2e-6)
    assert newton.divide(one, -two, 3)[0] == -newton.divide(one, two, 3)[0]


# ---------------------------------------------------------------------------- integers

wide = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-(1 << 20), 1 << 20) | st.integers(-300, 300)


@pytest.mark.parametrize("mode", Rounding)
@given(value=wide, amount=st.integers(-128, 31))
def test_shifts_round_exactly(mode: Rounding, value: int, amount: int) -> None:
    exact = whole(Fraction(value) * Fraction(2) ** max(amount, -63), mode)
    found = ints.shift(np.array([value]), np.array([amount], np.int8), mode)
    assert int(found[0]) == (exact + (1 << 63)) % (1 << 64) - (1 << 63)
    unsigned = value & ((1 << 64) - 1)
    exact = whole(Fraction(unsigned) * Fraction(2) ** max(amount, -63), mode)
    assert int(ints.shift(np.array([unsigned], np.uint64), np.array([amount], np.int8), mode)[0]) == exact % (1 << 64)
    for dtype in INTEGERS:
        low, high = dtype.limits
        exact = whole(Fraction(value) * Fraction(2) ** max(amount, -63), mode)
        assert int(ints.shift_saturated(np.array([value]), amount, mode, dtype)[0]) == min(max(exact, low), high)


@pytest.mark.parametrize("one", INTEGERS, ids=repr)
@pytest.mark.parametrize("two", INTEGERS, ids=repr)
def test_products_are_exact(one: Dtype, two: Dtype) -> None:
    rng = np.random.default_rng(3)
    a, b = hard_values(rng, (500,), one), hard_values(rng, (500,), two)
    assert ints.multiply(a, b).tolist() == [x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)]


@given(value=wide)
def test_wrapping_keeps_the_low_bits_and_saturation_the_nearest_number(value: int) -> None:
    for dtype in INTEGERS:
        low, high = dtype.limits
        assert (int(ints.wrap(np.array([value]), dtype)[0]) - value) % (1 << dtype.bits) == 0
        assert int(ints.saturate(np.array([value]), dtype)[0]) == min(max(value, low), high)


# ---------------------------------------------------------------------------- casts


@pytest.mark.parametrize("target", INTEGERS, ids=repr)
@pytest.mark.parametrize("source", FLOATS, ids=repr)
@given(bits=numbers, mode=st.sampled_from(CAST_ROUNDINGS))
def test_floats_become_the_nearest_integer(source: Dtype, target: Dtype, bits: int, mode: Rounding) -> None:
    value = array(bits, source)
    low, high = target.limits
    found = int(casts.cast(value, target, mode)[0])  # pyright: ignore[reportUnknownArgumentType]
    if math.isnan(number(value)):
        assert found == 0
    elif math.isinf(number(value)):
        assert found == (high if number(value) > 0 else low)
    else:
        assert found == min(max(whole(Fraction(number(value)), mode), low), high)


@pytest.mark.parametrize("target", FLOATS, ids=repr)
@pytest.mark.parametrize("source", INTEGERS, ids=repr)
@given(bits=numbers, mode=st.sampled_from(CAST_ROUNDINGS))
def test_integers_are_rounded_once(source: Dtype, target: Dtype, bits: int, mode: Rounding) -> None:
    value = array(bits, source)
    expected = nearest(Fraction(int(value[0])), target, mode)
    toward_zero = mode is Rounding.TOWARD_ZERO or mode is (Rounding.DOWN if expected > 0 else Rounding.UP)
    if math.isinf(expected) and toward_zero:
        expected = math.copysign(65504.0, expected)
    assert number(casts.cast(value, target, mode)) == expected


@pytest.mark.parametrize("mode", CAST_ROUNDINGS)
@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
def test_a_cast_to_the_same_float_type_gives_whole_numbers(dtype: Dtype, mode: Rounding) -> None:
    values = hard_values(np.random.default_rng(4), (20_000,), dtype)
    found = casts.cast(values, dtype, mode)
    exact = floats.exact(floats.widen(values))
    usual = np.abs(exact) < 1e6
    expected = floats.round_to_integer(exact[usual], mode)
    assert np.array_equal(floats.widen(found)[usual], floats.widen(expected.astype(np.float32).astype(dtype.numpy)))
    assert np.array_equal(bits_of(found)[np.isnan(exact)], bits_of(values)[np.isnan(exact)])


# ---------------------------------------------------------------------------- floating-point state

FLUSH_AND_ZERO = 0x8040
"""The bits of MXCSR that flush denormal results and take denormal operands for zeros."""


@contextmanager
def flushing_processor() -> Generator[None]:
    """The calling thread in the state in which the official library leaves it."""
    library = ctypes.CDLL("libm.so.6")
    state = (ctypes.c_uint32 * 8)()  # fenv_t: seven words of the x87 unit, then MXCSR
    library.fegetenv(state)
    changed = (ctypes.c_uint32 * 8)(*state[:7], state[7] | FLUSH_AND_ZERO)
    library.fesetenv(changed)
    try:
        yield
    finally:
        library.fesetenv(state)


def everything() -> list[bytes]:
    """Bits of results of every function, from hard operands."""
    found: list[Array] = []
    for dtype in FLOATS:
        rng = np.random.default_rng(5)
        a, b = hard_values(rng, (20_000,), dtype), hard_values(rng, (20_000,), dtype)
        found += [operation(a, b) for operation, _ in OPERATIONS]
        found += [compare.greater(a, b), compare.less(a, b), compare.maximum(a, b), compare.minimum(a, b)]
        found += [casts.cast(a, target, mode) for target in DTYPES.values() for mode in CAST_ROUNDINGS if {dtype, target} != {f16, bf16}]
    single = hard_values(np.random.default_rng(6), (2, 20_000), f32).view(np.float32)
    found += [newton.divide(single[0], single[1], 3), newton.reciprocal_root(single[0], 3)]
    return [values.tobytes() for values in found]


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="how the state is changed is known for Linux on x86-64 only"
)
def test_results_do_not_depend_on_the_state_of_the_processor() -> None:
    normal = everything()
    tiny = np.array([2.0**-100], np.float32)
    with flushing_processor():
        assert (tiny * tiny * np.float32(2.0**70))[0] == 0 and (tiny * np.float32(2.0**-40))[0] == 0
        flushing = everything()
    assert (tiny * np.float32(2.0**-40))[0] != 0
    assert normal == flushing
