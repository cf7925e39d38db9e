"""Products of matrices, of vectors, and quantization, against numpy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.single import COMPACT, PLAIN, ROWS, Integers, Place, floats, integers, result, saturated, shifted
from tests.support.effort import examples
from tpukernel.dtypes import Dtype
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.lanes import OuterComparison, OuterOp

BYTES = (tpu.i8, tpu.u8)
SIZES = st.sampled_from([1, 3, 17, 64, 65, 130])


def over_columns(count: int) -> Place:
    return Place(over_lanes="columns", columns_per_channel=count)


@given(SIZES, SIZES, SIZES, st.sampled_from([tpu.f16, tpu.bf16]), st.booleans(), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=examples(13))
def test_matmul_of_16_bits(m: int, depth: int, n: int, dtype: Dtype, transposed: bool, wide: bool, buffers: bool) -> None:
    left, right = floats((m, depth), dtype), floats((n, depth) if transposed else (depth, n), dtype, 1)
    a, b = left.astype(np.float64), right.astype(np.float64)
    wanted = a @ (b.T if transposed else b)
    out = tpu.f32 if wide else dtype
    lefts, rights, shape = ((left, ROWS), (right, ROWS), (m, n))
    if buffers:  # (1, rows, 1, columns) is a matrix, too
        lefts, rights = (left.reshape(1, m, 1, depth), PLAIN), (right.reshape(1, right.shape[0], 1, right.shape[1]), PLAIN)
        shape = (1, m, 1, n)
    found = result(
        lambda k, dst, x, y: k.tiu.matmul(dst, x, y, transpose_right=transposed),
        shape,
        out,
        lefts,
        rights,
        place=PLAIN if buffers else ROWS,
    )
    bound = float((np.abs(a) @ np.abs(b.T if transposed else b)).max())
    epsilon = {tpu.f32: 0.0, tpu.f16: 2.0**-11, tpu.bf16: 2.0**-8}[out]
    np.testing.assert_allclose(found.astype(np.float64).reshape(m, n), wanted, rtol=0, atol=bound * ((depth + 2) * 2.0**-24 + epsilon))


def test_matmul_accumulates() -> None:
    left, right = floats((20, 70), tpu.f16), floats((70, 30), tpu.f16, 1)
    before = floats((20, 30), tpu.f32, 2)
    found = result(
        lambda k, dst, x, y: k.tiu.matmul(dst, x, y, accumulate=True),
        (20, 30),
        tpu.f32,
        (left, ROWS),
        (right, ROWS),
        place=ROWS,
        before=before,
    )
    np.testing.assert_allclose(found, before + left.astype(np.float64) @ right.astype(np.float64), rtol=0, atol=1e-4)


@given(SIZES, SIZES, SIZES, st.sampled_from(BYTES), st.sampled_from(BYTES), st.booleans(), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=examples(15))
def test_matmul_asym(m: int, depth: int, n: int, lefts: Dtype, rights: Dtype, transposed: bool, single: bool, added: bool) -> None:
    left, right = integers((m, depth), lefts), integers((n, depth) if transposed else (depth, n), rights, 1)
    points = integers((1, 1, 1, n), rights, 2)
    before = integers((m, n), tpu.i32, 3, -(2**20), 2**20)
    b = right.astype(np.int64).T if transposed else right.astype(np.int64)
    added &= not transposed
    wanted = left.astype(np.int64) @ (b - (7 if single else points.astype(np.int64)[0, 0])) + (before.astype(np.int64) if added else 0)

    def step(k: tpu.Builder, dst: tpu.Tile, x: tpu.Tile, y: tpu.Tile, zero: tpu.Tile | int = 7) -> None:
        k.tiu.matmul_asym(dst, x, y, zero_point=zero, transpose_right=transposed, accumulate=added)

    copies = Place(repeated=min(right.shape[0], 64))
    inputs = [(left, ROWS), (right, ROWS), *([] if single else [(points, copies)])]
    np.testing.assert_array_equal(result(step, (m, n), tpu.i32, *inputs, place=ROWS, before=before if added else None), wanted)


@given(SIZES, SIZES, SIZES, st.sampled_from(BYTES), st.sampled_from(BYTES), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=examples(13))
def test_matmul_asym_left(m: int, depth: int, n: int, lefts: Dtype, rights: Dtype, single: bool, added: bool) -> None:
    left, right, points = integers((m, depth), lefts), integers((depth, n), rights, 1), integers((1, m, 1, 1), lefts, 2)
    before = integers((m, n), tpu.i32, 3, -(2**20), 2**20)
    a = left.astype(np.int64) - (9 if single else points.astype(np.int64)[0, :, 0])
    wanted = a @ right.astype(np.int64) + (before.astype(np.int64) if added else 0)

    def step(k: tpu.Builder, dst: tpu.Tile, x: tpu.Tile, y: tpu.Tile, zero: tpu.Tile | int = 9) -> None:
        k.tiu.matmul_asym_left(dst, x, y, zero_point=zero, accumulate=added)

    inputs = [(left, ROWS), (right, ROWS), *([] if single else [(points, COMPACT)])]
    np.testing.assert_array_equal(result(step, (m, n), tpu.i32, *inputs, place=ROWS, before=before if added else None), wanted)


@given(SIZES, SIZES, SIZES, st.sampled_from(BYTES), st.sampled_from(BYTES), st.booleans(), st.booleans(), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=examples(13))
def test_matmul_sym(m: int, depth: int, n: int, lefts: Dtype, rights: Dtype, bias: bool, relu: bool, transposed: bool, wide: bool) -> None:
    left, right = integers((depth, m) if transposed else (m, depth), lefts), integers((depth, n), rights, 1)
    offsets = integers((1, n), tpu.i16, 2)
    a = left.astype(np.int64).T if transposed else left.astype(np.int64)
    sums = a @ right.astype(np.int64) + (offsets.astype(np.int64) if bias else 0)
    signed = (lefts.is_signed or rights.is_signed or bias) and not relu
    dtype = {(True, True): tpu.i16, (True, False): tpu.i8, (False, True): tpu.u16, (False, False): tpu.u8}[signed, wide]
    wanted = saturated(shifted(np.maximum(sums, 0) if relu else sums, 5), dtype)

    def step(k: tpu.Builder, dst: tpu.Tile, x: tpu.Tile, y: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        k.tiu.matmul_sym(dst, x, y, numbers, right_shift=5, relu=relu, transpose_left=transposed)

    place = over_columns(8)
    inputs = [(left, over_columns(32)), (right, place), *([(offsets, place)] if bias else [])]
    np.testing.assert_array_equal(result(step, (m, n), dtype, *inputs, place=place), wanted)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("dtype", "shift"), [(tpu.i8, "none"), (tpu.u16, "none"), (tpu.i32, "none"), (tpu.i32, "number"), (tpu.i32, "tensor")]
)
def test_matmul_int(dtype: Dtype, transposed: bool, shift: Literal["none", "number", "tensor"]) -> None:
    m, depth, n = 20, 33, 70
    high = {8: 127, 16: 200, 32: 3000}[dtype.bits]
    left = integers((depth, m) if transposed else (m, depth), dtype, 0, -high if dtype.is_signed else 0, high)
    right = integers((depth, n), dtype, 1, -high if dtype.is_signed else 0, high)
    shifts = integers((1, n), tpu.i8, 2, -6, 2)
    sums = (left.astype(np.int64).T if transposed else left.astype(np.int64)) @ right.astype(np.int64)
    by = {"none": np.zeros((1, n), np.int64), "number": np.full((1, n), -3), "tensor": shifts.astype(np.int64)}[shift]
    wanted = saturated(_shift(sums, by), tpu.i32 if dtype.is_signed else tpu.u32)
    amount = {"none": 0, "number": -3}

    def step(k: tpu.Builder, dst: tpu.Tile, x: tpu.Tile, y: tpu.Tile, each: tpu.Tile | None = None) -> None:
        number: tpu.Tile | int = each if each is not None else amount[shift]
        k.tiu.matmul_int(dst, x, y, shift=number, transpose_left=transposed, rounding=Rounding.DOWN)

    place = over_columns(16)
    inputs = [(left, place), (right, place), *([(shifts, place)] if shift == "tensor" else [])]
    np.testing.assert_array_equal(result(step, (m, n), tpu.i32 if dtype.is_signed else tpu.u32, *inputs, place=place), wanted)


def _shift(x: Integers, by: Integers) -> Integers:
    """Rounded down."""
    return np.where(by >= 0, x << np.maximum(by, 0), x >> np.maximum(-by, 0))


# ---------------------------------------------------------------------------- vectors

SIGNS: dict[OuterOp, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
ORDERS: dict[OuterComparison, np.ufunc] = {
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
}


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        *[(op, tpu.f32) for op in ("add", "sub", "mul", "div", "max", "min")],
        *[(op, tpu.i16) for op in SIGNS if op != "div"],
    ],
)
def test_outer(op: OuterOp, dtype: Dtype) -> None:
    a = floats((1, 9), dtype) if dtype.is_float else integers((1, 9), dtype, 0, -100, 100)
    b = floats((1, 130), dtype, 1) if dtype.is_float else integers((1, 130), dtype, 1, -100, 100)
    place = over_columns(32)
    found = result(lambda k, dst, x, y: k.tiu.outer(op, dst, x, y), (9, 130), dtype, (a, place), (b, place), place=place)
    np.testing.assert_allclose(found, SIGNS[op](a[0][:, None], b[0]), rtol=1e-6 if op == "div" else 0)


@pytest.mark.parametrize("op", ORDERS)
def test_outer_compare(op: OuterComparison) -> None:
    a, b, place = integers((1, 9), tpu.i8, 0, -5, 5), integers((1, 130), tpu.i8, 1, -5, 5), over_columns(64)
    found = result(lambda k, dst, x, y: k.tiu.outer_compare(op, dst, x, y, value=3), (9, 130), tpu.i8, (a, place), (b, place), place=place)
    np.testing.assert_array_equal(found, 3 * ORDERS[op](a[0][:, None], b[0]))


# ---------------------------------------------------------------------------- quantization

SHAPE = (2, 66, 3, 5)
SUMS, NARROW = st.sampled_from([tpu.i16, tpu.u16, tpu.i32]), st.sampled_from([tpu.i8, tpu.u8, tpu.i16, tpu.u16])


@given(SUMS, NARROW, st.integers(1, 2**20), st.integers(-20, 0), st.integers(0, 100), st.booleans())
@settings(deadline=None, max_examples=examples(15))
def test_requant_int(source: Dtype, dtype: Dtype, multiplier: int, shift: int, offset: int, single: bool) -> None:
    x = integers(SHAPE, source, 0, max(source.limits[0], -(2**20)), min(source.limits[1], 2**20))
    table = np.stack([np.arange(1, 67) * multiplier // 66, np.full(66, shift), np.arange(66)], 1).astype(np.int32).reshape(1, 66, 1, 3)
    factor, add = (multiplier, offset) if single else (table[0, :, :, 0, None].astype(np.int64), table[0, :, :, 2, None].astype(np.int64))
    wanted = saturated(shifted(x.astype(np.int64) * factor, -shift) + add, dtype)

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        if numbers is None:
            k.tiu.requant_int(dst, src, multiplier, shift, offset, rounding=Rounding.HALF_UP)
        else:
            k.tiu.requant_int_channels(dst, src, numbers, rounding=Rounding.HALF_UP)

    np.testing.assert_array_equal(result(step, SHAPE, dtype, (x, PLAIN), *([] if single else [(table, PLAIN)])), wanted)


@given(SUMS, NARROW, st.floats(2.0**-10, 1, width=32), st.integers(-9, 9), st.booleans())
@settings(deadline=None, max_examples=examples(15))
def test_requant(source: Dtype, dtype: Dtype, scale: float, offset: int, single: bool) -> None:
    x = integers(SHAPE, source, 0, max(source.limits[0], -(2**20)), min(source.limits[1], 2**20))
    table = np.stack([np.linspace(scale / 2, scale, 66), np.arange(66)], 1).astype(np.float32).reshape(1, 66, 1, 2)
    factor = np.float32(scale) if single else table[0, :, :, 0, None]
    add = np.float32(offset) if single else table[0, :, :, 1, None]
    wanted = np.clip(np.rint(x.astype(np.float32) * factor + add), *dtype.limits).astype(np.int64)

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        if numbers is None:
            k.tiu.requant(dst, src, scale, offset)
        else:
            k.tiu.requant_channels(dst, src, numbers)

    np.testing.assert_array_equal(result(step, SHAPE, dtype, (x, PLAIN), *([] if single else [(table, PLAIN)])), wanted)


@given(NARROW, SUMS, st.integers(1, 2**10), st.integers(-20, 0), st.integers(0, 100), st.booleans())
@settings(deadline=None, max_examples=examples(15))
def test_dequant_int(source: Dtype, dtype: Dtype, multiplier: int, shift: int, offset: int, single: bool) -> None:
    x = integers(SHAPE, source)
    table = np.stack([np.arange(66), np.arange(1, 67) * multiplier, np.full(66, shift)], 1).astype(np.int32).reshape(1, 66, 1, 3)
    factor, point = (multiplier, offset) if single else (table[0, :, :, 1, None].astype(np.int64), table[0, :, :, 0, None].astype(np.int64))
    wanted = saturated(shifted((x.astype(np.int64) - point) * factor, -shift), dtype)

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        if numbers is None:
            k.tiu.dequant_int(dst, src, offset, multiplier, shift, rounding=Rounding.HALF_UP)
        else:
            k.tiu.dequant_int_channels(dst, src, numbers, rounding=Rounding.HALF_UP)

    np.testing.assert_array_equal(result(step, SHAPE, dtype, (x, PLAIN), *([] if single else [(table, PLAIN)])), wanted)


@given(NARROW, st.floats(2.0**-10, 4, width=32), st.integers(0, 100), st.booleans())
@settings(deadline=None, max_examples=examples(15))
def test_dequant(source: Dtype, scale: float, offset: int, single: bool) -> None:
    x = integers(SHAPE, source)
    scales = np.linspace(scale / 2, scale, 66).astype(np.float32)
    table = np.stack([np.arange(66, dtype=np.int32), scales.view(np.int32)], 1).reshape(1, 66, 1, 2)
    factor, point = (np.float32(scale), offset) if single else (scales[:, None, None], np.arange(66)[:, None, None])
    wanted = (x.astype(np.int64) - point).astype(np.float32) * factor

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        if numbers is None:
            k.tiu.dequant(dst, src, offset, scale)
        else:
            k.tiu.dequant_channels(dst, src, numbers)

    np.testing.assert_array_equal(result(step, SHAPE, tpu.f32, (x, PLAIN), *([] if single else [(table, PLAIN)])), wanted)
