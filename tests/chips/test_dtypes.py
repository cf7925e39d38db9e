"""Data types, and constants of them."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tpukernel.chips.errors import ConstantRangeError
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import DTYPES, Dtype, DtypeNameError, bf16, dtype_of, f16, f32, i8, i16, i32, u8, u16, u32

FLOATS = (f32, f16, bf16)
INTEGERS = (i8, u8, i16, u16, i32, u32)
PRECISION = {"f32": (24, -149, 128), "f16": (11, -24, 16), "bf16": (8, -133, 128)}
"""Bits of the significand, exponent of the smallest number, exponent of the first power of two that is too large."""

any_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=repr)


@any_dtype
def test_names(dtype: Dtype) -> None:
    assert repr(dtype) == dtype.name
    for other in (dtype, dtype.name, dtype.numpy, dtype.numpy.type, dtype.numpy.name):
        assert dtype_of(other) is dtype


@any_dtype
def test_numpy(dtype: Dtype) -> None:
    assert dtype.numpy.itemsize == dtype.itemsize == dtype.bits // 8
    assert dtype.is_float != dtype.is_int
    if dtype.is_int:
        limits = np.iinfo(dtype.numpy)
        assert dtype.limits == (limits.min, limits.max)
        assert dtype.is_signed == (limits.min < 0)
    else:
        assert dtype.is_signed


def test_bf16_is_that_of_ml_dtypes() -> None:
    assert bf16.numpy == np.dtype(ml_dtypes.bfloat16)


# "i4" and "f4" are numpy's names for i32 and f32, but name four bits everywhere else around TPUs.
@pytest.mark.parametrize(
    "value",
    ["", "f64", "float64", "int64", "bool", "i4", "f4", "u1", ">f4", "<f4", "F32", "f32 ", "float32,float32", "object", "x" * 10_000],
)
def test_names_of_other_types(value: str) -> None:
    with pytest.raises(DtypeNameError, match="there is no TPU data type") as caught:
        dtype_of(value)
    assert "bf16" in str(caught.value.help)


@pytest.mark.parametrize(
    "value",
    [
        np.float64,
        np.int64,
        np.bool_,
        float,
        int,
        bool,
        object,
        np.dtype(">f4"),
        np.dtype("f4,i4"),
        None,
        5,
        1.5,
        [],
        {"a": 1},
        [1],
        object(),
    ],
    ids=lambda value: repr(value).split(" at ")[0],
)
def test_other_types(value: type) -> None:
    with pytest.raises(DtypeNameError, match="there is no TPU data type"):
        dtype_of(value)


def nearest(value: float, dtype: Dtype) -> float:
    """The nearest number of a float type, ties to even, by exact arithmetic; infinite when it is too large."""
    significand, smallest, largest = PRECISION[dtype.name]
    if value == 0:
        return value
    exponent = max(math.frexp(value)[1] - significand, smallest)
    scaled = round(Fraction(value) / Fraction(2) ** exponent)  # round() of a Fraction rounds ties to even
    if abs(scaled) * Fraction(2) ** exponent >= Fraction(2) ** largest:
        return math.copysign(math.inf, value)
    return math.copysign(float(scaled * Fraction(2) ** exponent), value)


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
@given(value=st.floats() | st.floats(width=32) | st.floats(width=16))
@example(value=1 + 2.0**-8 + 2.0**-40)  # a tie for bf16 once it is rounded to f32
@example(value=-(1 + 2.0**-8 + 2.0**-40))
@example(value=1 + 2.0**-8)
@example(value=2.0**-134)
@example(value=-0.0)
def test_float_constants(dtype: Dtype, value: float) -> None:
    if math.isfinite(value) and math.isinf(nearest(value, dtype)):
        with pytest.raises(ConstantRangeError, match=f"{dtype!r} cannot hold"):
            Constant.of(value, dtype)
        return
    constant = Constant.of(value, dtype)
    assert constant.bits < 1 << dtype.bits
    if math.isnan(value):
        assert math.isnan(constant.value)
        return
    wanted = nearest(value, dtype) if math.isfinite(value) else value
    assert constant.value == wanted
    assert math.copysign(1, constant.value) == math.copysign(1, wanted)


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
@given(data=st.data())
def test_float_bits(dtype: Dtype, data: st.DataObject) -> None:
    bits = data.draw(st.integers(0, (1 << dtype.bits) - 1))
    value = Constant(bits, dtype).value
    known = np.array([bits], f"u{dtype.itemsize}").view(dtype.numpy).astype(np.float64)[0]
    assert value == known or (math.isnan(value) and math.isnan(known))
    if not math.isnan(value):
        assert Constant.of(value, dtype).bits == bits


@pytest.mark.parametrize("dtype", INTEGERS, ids=repr)
@given(data=st.data())
def test_integer_constants(dtype: Dtype, data: st.DataObject) -> None:
    low, high = dtype.limits
    value = data.draw(st.sampled_from([low, high, 0, low + 1]) | st.integers(low, high))
    constant = Constant.of(value, dtype)
    assert constant.value == value
    assert isinstance(constant.value, int)
    assert constant.bits == int(np.array([value], dtype.numpy).view(f"u{dtype.itemsize}")[0])
    assert Constant.of(float(value), dtype) == constant
    assert Constant.of(dtype.numpy.type(value), dtype) == constant


@pytest.mark.parametrize("dtype", INTEGERS, ids=repr)
def test_integers_that_do_not_fit(dtype: Dtype) -> None:
    low, high = dtype.limits
    for value in (low - 1, high + 1, 0.5, math.nan, math.inf, -math.inf, 10**400, -(10**400)):
        with pytest.raises(ConstantRangeError, match=f"{dtype!r} cannot hold") as caught:
            Constant.of(value, dtype)
        assert str(low) in str(caught.value.help)


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
def test_floats_that_do_not_fit(dtype: Dtype) -> None:
    for value in (1e39, -1e300, 10**400):
        with pytest.raises(ConstantRangeError, match=f"{dtype!r} cannot hold"):
            Constant.of(value, dtype)
    assert Constant.of(math.inf, dtype).value == math.inf


def test_bits_above_the_type_are_ignored() -> None:
    # The official library leaves the upper half of some 16-bit constants as it was.
    assert Constant(0x3F31007F, i16).value == 127
    assert Constant(0x3F31FF81, i16).value == -127
    assert Constant(0x12343F80, bf16).value == 1.0


@pytest.mark.parametrize("bits", [-1, 1 << 32])
def test_more_than_32_bits(bits: int) -> None:
    with pytest.raises(ConstantRangeError, match="32 bits"):
        Constant(bits, u32)
