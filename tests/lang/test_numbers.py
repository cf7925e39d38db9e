"""Shifts of each channel, sums of products of integers, and functions of all float types, against numpy; operands that do not fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tpukernel as tpu
from tests.lang.single import COMPACT, PLAIN, Array, Place, Step, floats, integers, result, saturated
from tpukernel.dtypes import Dtype
from tpukernel.isa.rounding import Rounding
from tpukernel.lang import KernelError
from tpukernel.lang.errors import LayoutMismatchError, OperandTypeError, ShapeMismatchError, UnsupportedDtypeError

SHAPE = (2, 66, 3, 5)
FLOATS = (tpu.f32, tpu.f16, tpu.bf16)


def test_a_shift_for_each_channel() -> None:
    x, y, shift = integers(SHAPE, tpu.i16), integers(SHAPE, tpu.i8, 1), integers((1, 66, 1, 1), tpu.i8, 2, -9, 2)
    wide, other, by = x.astype(np.int64), y.astype(np.int64), shift.astype(np.int64)
    down = Rounding.DOWN
    cases: list[tuple[Step, Array]] = [
        (lambda k, d, a, b, s: k.tiu.add(d, a, b, shift=s, rounding=down), wide + other),
        (lambda k, d, a, b, s: k.tiu.add(d, a, 99, shift=s, rounding=down), wide + 99),
        (lambda k, d, a, b, s: k.tiu.sub(d, a, b, shift=s, rounding=down), wide - other),
        (lambda k, d, a, b, s: k.tiu.sub(d, 99, a, shift=s, rounding=down), 99 - wide),
        (lambda k, d, a, b, s: k.tiu.mul(d, a, b, shift=s, rounding=down), wide * other),
        (lambda k, d, a, b, s: k.tiu.mul(d, a, 99, shift=s, rounding=down), wide * 99),
    ]
    for step, exact in cases:
        found = result(step, SHAPE, tpu.i16, (x, PLAIN), (y, PLAIN), (shift, COMPACT))
        wanted = np.where(by >= 0, exact << np.maximum(by, 0), exact >> np.maximum(-by, 0))
        np.testing.assert_array_equal(found, saturated(wanted, tpu.i16))


@pytest.mark.parametrize("kinds", [(tpu.i8, tpu.u8, tpu.i16), (tpu.u8, tpu.u8, tpu.u16)])
def test_mac_int(kinds: tuple[Dtype, Dtype, Dtype]) -> None:
    a, b, before = integers(SHAPE, kinds[0]), integers(SHAPE, kinds[1], 1), integers(SHAPE, kinds[2], 2, 0, 4000)
    wide = a.astype(np.int64)
    cases: list[tuple[Step, Array]] = [
        (lambda k, d, x, y: k.tiu.mac_int(d, x, y, left_shift=2, right_shift=1, rounding=Rounding.DOWN), wide * b.astype(np.int64)),
        (lambda k, d, x, y: k.tiu.mac_int(d, x, 7, left_shift=2, right_shift=1, rounding=Rounding.DOWN), wide * 7),
    ]
    for step, product in cases:
        found = result(step, SHAPE, kinds[2], (a, PLAIN), (b, PLAIN), before=before)
        np.testing.assert_array_equal(found, saturated(((before.astype(np.int64) << 2) + product) >> 1, kinds[2]))


@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_all_floats(dtype: Dtype) -> None:
    x = (floats(SHAPE, dtype) * 3).astype(dtype.numpy)
    wide, atol = x.astype(np.float64), {tpu.f32: 1e-5, tpu.f16: 2e-2, tpu.bf16: 1.5e-1}[dtype]
    cases: list[tuple[Step, Array]] = [
        (lambda k, d, a: k.tiu.hard_sigmoid(d, a), np.clip(wide / 6 + 0.5, 0, 1)),
        (lambda k, d, a: k.tiu.hard_swish(d, a), wide * np.clip(wide + 3, 0, 6) / 6),
    ]
    for step, wanted in cases:
        np.testing.assert_allclose(result(step, SHAPE, dtype, (x, PLAIN)).astype(np.float64), wanted, rtol=0, atol=atol)
    odd = x.copy()
    odd.reshape(-1)[:3] = [np.inf, -np.inf, np.nan]
    found = result(lambda k, d, a: k.tiu.is_finite(d, a), SHAPE, dtype, (odd, PLAIN)).astype(np.float64)
    np.testing.assert_array_equal(found, np.isfinite(odd.astype(np.float64)))


@pytest.mark.parametrize("dtype", FLOATS)
def test_polynomial_and_exponent(dtype: Dtype) -> None:
    x, coeff = np.clip(floats(SHAPE, dtype), -1, 1).astype(dtype.numpy), floats((1, 1, 1, 5), dtype, 1)
    wanted = np.polyval(coeff.astype(np.float64)[0, 0, 0, ::-1], x.astype(np.float64))
    found = result(lambda k, d, a, c: k.tiu.polynomial(d, a, c), SHAPE, dtype, (x, PLAIN), (coeff, Place(repeated=64)))
    atol = {tpu.f32: 1e-5, tpu.f16: 2e-2, tpu.bf16: 1.5e-1}[dtype]
    np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=0, atol=atol)
    powers = (2.0 ** np.random.default_rng(2).integers(-10, 10, SHAPE)).astype(dtype.numpy)
    out = tpu.i32 if dtype == tpu.f32 else tpu.i16
    found = result(lambda k, d, a: k.tiu.exponent(d, a), SHAPE, out, (powers, PLAIN))
    np.testing.assert_array_equal(found, np.log2(powers.astype(np.float64)).astype(int) + (15 if dtype == tpu.f16 else 127))


# ---------------------------------------------------------------------------- what is refused

WIDE, BYTE, HALF = tpu.f32, tpu.i8, tpu.f16
Make = Callable[[Dtype], tpu.Tile]
Wrong = Callable[[tpu.Builder, Make, Make, tpu.In], object]
"""k, makers of two buffers (1, 4, 3, 3) named a and b, and a tensor x (1, 4, 3, 3) of the system."""

REFUSED: dict[str, tuple[type[KernelError], Wrong]] = {
    "weight of tiu.conv2d is b": (UnsupportedDtypeError, lambda k, a, b, x: k.tiu.conv2d(a(WIDE), a(WIDE), b(HALF))),
    "dst of tiu.conv2d with accumulate is a": (
        UnsupportedDtypeError,
        lambda k, a, b, x: k.tiu.conv2d(a(HALF), a(HALF), b(HALF), accumulate=True),
    ),
    "src of tiu.conv2d_asym is a": (UnsupportedDtypeError, lambda k, a, b, x: k.tiu.conv2d_asym(a(tpu.i32), a(HALF), b(BYTE))),
    "numbers per channel for one of zero_point and pad_value only": (
        OperandTypeError,
        lambda k, a, b, x: k.tiu.conv2d_asym(a(tpu.i32), a(BYTE), b(BYTE), zero_point=b(BYTE)),
    ),
    "bias of tiu.conv2d_sym is b": (
        UnsupportedDtypeError,
        lambda k, a, b, x: k.tiu.conv2d_sym(a(BYTE), a(BYTE), b(BYTE), b(tpu.i32), right_shift=1),
    ),
    "tiu.depthwise2d_int has no padding per channel with a number for the kernel": (
        UnsupportedDtypeError,
        lambda k, a, b, x: k.tiu.depthwise2d_int(a(BYTE), a(BYTE), 1, pad_value=b(BYTE)),
    ),
    "tiu.reduce_sum has no scale for integers": (
        UnsupportedDtypeError,
        lambda k, a, b, x: k.tiu.reduce_sum(k.local((1, 4, 1, 1), tpu.i32), a(BYTE), "hw", scale=0.5),
    ),
    "left of tiu.matmul is a": (ShapeMismatchError, lambda k, a, b, x: k.tiu.matmul(a(HALF), a(HALF), b(HALF))),
    "dst of tiu.matmul_sym is matrix i8[4, 4], whose rows lie over the lanes": (
        LayoutMismatchError,
        lambda k, a, b, x: k.tiu.matmul_sym(*[k.matrix(4, 4, BYTE, name="matrix") for _ in range(3)]),
    ),
    "has 8 columns per channel, but right 16": (
        LayoutMismatchError,
        lambda k, a, b, x: k.tiu.matmul_sym(*[k.matrix(4, 4, BYTE, columns_per_channel=count) for count in (8, 16, 16)]),
    ),
    "tiu.matmul_int shifts sums of 32-bit integers only": (
        UnsupportedDtypeError,
        lambda k, a, b, x: k.tiu.matmul_int(*[k.matrix(4, 4, each, columns_per_channel=8) for each in (tpu.i32, BYTE, BYTE)], shift=1),
    ),
    "src of tiu.requant is a": (UnsupportedDtypeError, lambda k, a, b, x: k.tiu.requant(a(BYTE), a(WIDE), 1.0)),
    "index of tiu.hw_gather is b": (UnsupportedDtypeError, lambda k, a, b, x: k.tiu.hw_gather(a(WIDE), a(WIDE), b(tpu.u8))),
    "no matrix with the columns over the lanes": (OperandTypeError, lambda k, a, b, x: k.tiu.outer("add", a(WIDE), a(WIDE), a(WIDE))),
    "dst of dma.load_transposed is a": (LayoutMismatchError, lambda k, a, b, x: k.dma.load_transposed(a(WIDE), x)),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused_operands(text: str) -> None:
    """Each message names the operation, the operand and what it would have to be, at the user's line."""
    error, step = REFUSED[text]

    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        step(k, lambda dtype: k.local((1, 4, 3, 3), dtype, name="a"), lambda dtype: k.local((1, 4, 3, 3), dtype, name="b"), x)

    with pytest.raises(error) as caught:
        kernel.ir({"x": (1, 4, 3, 3)})
    assert text in str(caught.value)
    assert "test_numbers.py" in str(caught.value)
    assert "help:" in str(caught.value)
