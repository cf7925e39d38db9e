"""RQ&DQ on the interpreter against arithmetic with Python's integers and fractions.

Compared with the recordings in `test_golden` and with the official C model in `tests/vendor/test_sim_quant.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.moved import run
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16
from tpukernel.isa import Quant, QuantOp, Rounding
from tpukernel.sim.memory import Array

SHAPE = (2, 70, 1, 3)
ROUNDINGS: dict[Rounding, Callable[[Fraction], int]] = {
    Rounding.HALF_EVEN: round,
    Rounding.HALF_AWAY: lambda x: floor(abs(x) + Fraction(1, 2)) * (1 if x >= 0 else -1),
    Rounding.TOWARD_ZERO: int,
    Rounding.DOWN: floor,
    Rounding.UP: ceil,
    Rounding.HALF_UP: lambda x: floor(x + Fraction(1, 2)),
    Rounding.HALF_DOWN: lambda x: ceil(x - Fraction(1, 2)),
}
NARROW = st.sampled_from((i8, u8, i16, u16))
SEEDS = st.integers(0, 1 << 30)
NUMBERS = st.integers(-(1 << 31), (1 << 31) - 1)
SHIFTS = st.integers(-63, 0)
OFFSETS = st.integers(0, (1 << 16) - 1)


def numbers(seed: int, dtype: Dtype) -> Array:
    """Numbers of every size."""
    rng = np.random.default_rng(seed)
    low, high = dtype.limits
    return (rng.integers(low, high + 1, SHAPE) >> rng.integers(0, dtype.bits, SHAPE)).astype(dtype.numpy)


def saturated(value: int, dtype: Dtype) -> int:
    low, high = dtype.limits
    return min(max(value, low), high)


def signed_like(offset: int, dtype: Dtype) -> int:
    return offset - (1 << 16) if dtype.is_signed and offset >> 15 else offset


def offset_constant(offset: int, dtype: Dtype) -> Constant:
    return Constant(offset, i16 if dtype.is_signed else u16)


def results(bits: Array, dtype: Dtype) -> list[int]:
    return bits.view(dtype.numpy).reshape(-1).tolist()


@given(NARROW, st.sampled_from((i16, u16, i32)), NUMBERS, SHIFTS, OFFSETS, st.sampled_from(Rounding), SEEDS)
def test_requant_int(dst: Dtype, src: Dtype, multiplier: int, shift: int, offset: int, rounding: Rounding, seed: int) -> None:
    command = Quant(
        op=QuantOp.REQUANT_INT,
        dst=LocalTensor(0, SHAPE, dst),
        src=LocalTensor(0x1000, SHAPE, src),
        multiplier=Constant.of(multiplier, i32),
        shift=shift,
        offset=offset_constant(offset, dst),
        rounding=rounding,
    )
    values = numbers(seed, src)
    shifted = [ROUNDINGS[rounding](Fraction(x * multiplier, 1 << -shift)) for x in values.reshape(-1).tolist()]
    assert results(run(command, src=values), dst) == [saturated(x + signed_like(offset, dst), dst) for x in shifted]


@given(st.sampled_from((i16, u16, i32)), NARROW, NUMBERS, SHIFTS, OFFSETS, st.sampled_from(Rounding), SEEDS)
def test_dequant_int(dst: Dtype, src: Dtype, multiplier: int, shift: int, offset: int, rounding: Rounding, seed: int) -> None:
    command = Quant(
        op=QuantOp.DEQUANT_INT,
        dst=LocalTensor(0, SHAPE, dst),
        src=LocalTensor(0x1000, SHAPE, src),
        multiplier=Constant.of(multiplier, i32),
        shift=shift,
        offset=offset_constant(offset, src),
        rounding=rounding,
    )
    values = numbers(seed, src)
    products = [(x - signed_like(offset, src)) * multiplier for x in values.reshape(-1).tolist()]
    expected = [saturated(ROUNDINGS[rounding](Fraction(x, 1 << -shift)), dst) for x in products]
    assert results(run(command, src=values), dst) == expected


@given(NARROW, st.integers(-64, 64), st.integers(-64, 64), st.sampled_from([mode for mode in Rounding if mode < Rounding.HALF_UP]), SEEDS)
def test_requant_fp_where_floats_are_exact(dst: Dtype, scale: int, offset: int, rounding: Rounding, seed: int) -> None:
    command = Quant(
        op=QuantOp.REQUANT_FP,
        dst=LocalTensor(0, SHAPE, dst),
        src=LocalTensor(0x1000, SHAPE, i16),
        scale=Constant.of(scale / 32, f32),
        offset=Constant.of(offset / 4, f32),
        rounding=rounding,
        src_rounding=Rounding.HALF_EVEN,
    )
    values = numbers(seed, i16)
    exact = [ROUNDINGS[rounding](Fraction(x * scale, 32) + Fraction(offset, 4)) for x in values.reshape(-1).tolist()]
    assert results(run(command, src=values), dst) == [saturated(x, dst) for x in exact]


@given(NARROW, st.integers(-64, 64), OFFSETS, SEEDS)
def test_dequant_fp_where_floats_are_exact(src: Dtype, scale: int, offset: int, seed: int) -> None:
    command = Quant(
        op=QuantOp.DEQUANT_FP,
        dst=LocalTensor(0, SHAPE, f32),
        src=LocalTensor(0x1000, SHAPE, src),
        scale=Constant.of(scale / 32, f32),
        offset=offset_constant(offset, src),
        rounding=Rounding.HALF_EVEN,
    )
    values = numbers(seed, src)
    got = run(command, src=values).view(np.float32)
    assert np.array_equal(got, (values.astype(np.float64) - signed_like(offset, src)) * (scale / 32))


@pytest.mark.parametrize(("shift", "expected"), [(1, 6), (64, 3), (65, 6), (127, -32768), (63, -32768), (62, -32768)])
def test_a_left_shift_counts_6_bits_and_loses_what_leaves_64(shift: int, expected: int) -> None:
    command = Quant(
        op=QuantOp.REQUANT_INT,
        dst=LocalTensor(0, SHAPE, i16),
        src=LocalTensor(0x1000, SHAPE, i16),
        multiplier=Constant.of(3, i32),
        shift=shift,
        offset=Constant(0, i16),
        rounding=Rounding.HALF_EVEN,
    )
    assert set(results(run(command, src=np.ones(SHAPE, np.int16)), i16)) == {expected}


def test_a_table_has_the_constants_of_each_channel_and_ignores_high_bits() -> None:
    table = LocalTensor(0x3000, (1, 70, 1, 3), i32)
    command = Quant(
        op=QuantOp.REQUANT_INT,
        dst=LocalTensor(0, SHAPE, i16),
        src=LocalTensor(0x1000, SHAPE, i16),
        table=table,
        rounding=Rounding.DOWN,
    )
    channels = np.arange(70)
    rows = np.stack([channels + 1, 0x55500 + (-(channels % 5) & 0xFF), 0x70000 + channels], -1).astype(np.int32).reshape(table.shape)
    values = numbers(5, i16)
    expected = (values.astype(np.int64) * (channels + 1)[:, None, None] >> (channels % 5)[:, None, None]) + channels[:, None, None]
    assert results(run(command, src=values, table=rows), i16) == np.clip(expected, -32768, 32767).reshape(-1).tolist()
