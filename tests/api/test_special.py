"""Special functions: what is read from static memory, sequences and lookups as numbers, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tpukernel import BM1684X
from tpukernel.api import (
    ArgumentError,
    Function,
    recording,
    tpu_bdc_arithmetic_sequence_bcast,
    tpu_bdc_arithmetic_sequence_distribute,
    tpu_bdc_arithmetic_sequence_distribute_aligned,
    tpu_bdc_arithmetic_sequence_general,
    tpu_bdc_fp_taylor,
    tpu_bdc_generate_arithmetic_sequence,
    tpu_bdc_load_fp32_arcsin_coeff,
    tpu_bdc_load_fp32_cos_coeff,
    tpu_bdc_load_fp32_erf_coeff,
    tpu_bdc_load_fp32_exp_coeff,
    tpu_bdc_load_fp32_exp_table,
    tpu_bdc_load_fp32_log_coeff,
    tpu_bdc_load_fp32_sin_coeff,
    tpu_bdc_load_fp32_tan_coeff,
    tpu_bdc_npu_bcast_from_static,
    tpu_bdc_npu_distribute_from_static,
    tpu_bdc_table_lookup,
)
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, f32, i16, i32, u8, u16, u32
from tpukernel.errors import TpuError
from tpukernel.isa import Program
from tpukernel.isa.errors import OperandShapeError, SystemRangeError
from tpukernel.sim import Machine

LANE = BM1684X.lane_bytes
ERF = [*(-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806), *(0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277)]
"""The approximation of erf in "Numerical Recipes"."""
int32 = st.integers(-(2**31), 2**31 - 1)


def after(program: Program, address: int, shape: Dim4, dtype: Dtype, layout: Layout = Layout.EU_ALIGNED) -> NDArray[np.generic]:
    """The elements that a program leaves there."""
    machine = Machine(BM1684X)
    machine.run(program)
    return machine.dump(LocalTensor(address, shape, dtype, layout))


def sequence(start: int, step: int, count: int) -> NDArray[np.int32]:
    return (start + step * np.arange(count, dtype=np.int64)).astype(np.int32)


@given(st.integers(1, 64), int32, int32, st.integers(1, 700))
def test_a_sequence_in_every_lane(lanes: int, start: int, step: int, count: int) -> None:
    with recording(BM1684X) as program:
        tpu_bdc_arithmetic_sequence_bcast(0, lanes, start, step, count)
    assert np.array_equal(
        after(program, 0, (1, lanes, 1, count), i32)[0, :, 0], np.broadcast_to(sequence(start, step, count), (lanes, count))
    )


@given(int32, int32, st.integers(1, 400), st.booleans())
def test_a_sequence_over_the_lanes(start: int, step: int, count: int, aligned: bool) -> None:
    with recording(BM1684X) as program:
        (tpu_bdc_arithmetic_sequence_distribute_aligned if aligned else tpu_bdc_arithmetic_sequence_distribute)(0, start, step, count)
    layout = Layout.EU_ALIGNED if aligned else Layout.COMPACT
    assert np.array_equal(after(program, 0, (1, count, 1, 1), i32, layout).reshape(-1), sequence(start, step, count))


@given(st.integers(1, 200), st.integers(-9999, 9999), st.integers(-99, 99), st.integers(1, 150))
def test_a_sequence_through_all_channels(channels: int, start: int, step: int, count: int) -> None:
    with recording(BM1684X) as program:
        tpu_bdc_arithmetic_sequence_general(0, 128 << 10, channels, start, step, count)
    found = after(program, 0, (1, channels, 1, count), i32)
    assert np.array_equal(found.reshape(-1), sequence(start, step, channels * count))


@given(st.integers(1, 2000), st.sampled_from((u16, u32)), st.integers(0, 63))
def test_counting_in_one_lane(count: int, dtype: Dtype, lane: int) -> None:
    with recording(BM1684X) as program:
        tpu_bdc_generate_arithmetic_sequence(lane * LANE, count, dtype)
    assert np.array_equal(after(program, lane * LANE, (1, 1, 1, count), dtype).reshape(-1), np.arange(count))


def test_counting_is_for_two_types() -> None:
    with recording(BM1684X), pytest.raises(ArgumentError):
        tpu_bdc_generate_arithmetic_sequence(0, 10, u8)


@given(st.data())
def test_a_table_lookup(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 70)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9)))
    count = data.draw(st.integers(1, 256))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    table = random.integers(-(2**15), 2**15, count, dtype=np.int16)
    index = random.integers(0, count, shape).astype(np.uint8)
    dst, source, target = data.draw(st.permutations((0, 2 << 10, 40 << 10)))  # two of them share a bank of 16 KiB
    machine = Machine(BM1684X)
    machine.load(LocalTensor(source, shape, u8), index)
    for lane in range(BM1684X.lanes):
        machine.load(LocalTensor(lane * LANE + target, (1, 1, 1, count), i16), table.reshape(1, 1, 1, -1))
    with recording(BM1684X) as program:
        tpu_bdc_table_lookup(dst, source, target, shape, count, i16, u8)
    machine.run(program)
    assert np.array_equal(machine.dump(LocalTensor(dst, shape, i16)), table[index])


def _turned(number: float, power: int, count: int) -> list[float]:
    """Every second coefficient of the series of sin or cos of a number of turns."""
    return [(-1) ** k * number ** (2 * k + power) / math.factorial(2 * k + power) for k in range(count)]


def test_every_lane_gets_the_coefficients() -> None:
    wanted: dict[Function[...], list[float]] = {
        tpu_bdc_load_fp32_exp_coeff: [1 / math.factorial(k) for k in range(10)],
        tpu_bdc_load_fp32_log_coeff: [0.0, *((-1) ** (k + 1) / k for k in range(1, 16))],
        tpu_bdc_load_fp32_sin_coeff: _turned(2 * math.pi, 1, 32),
        tpu_bdc_load_fp32_cos_coeff: _turned(2 * math.pi, 0, 32),
        tpu_bdc_load_fp32_arcsin_coeff: [math.comb(2 * k, k) / 4**k / (2 * k + 1) for k in range(32)],
        tpu_bdc_load_fp32_tan_coeff: [math.pi, math.pi**3 / 3, 2 * math.pi**5 / 15],
        tpu_bdc_load_fp32_erf_coeff: ERF,
    }
    for load, numbers in wanted.items():
        with recording(BM1684X) as program:
            load(4096)
        found = after(program, 4096, (1, 64, 1, len(numbers)), f32)[0, :, 0]
        assert np.allclose(found.astype(np.float64), np.array(numbers), rtol=3e-6, atol=0), load.name


def test_the_table_of_exp_is_nothing() -> None:
    with recording(BM1684X) as program:
        tpu_bdc_load_fp32_exp_table(0)
    assert not list(program)


def test_the_integers_of_static_memory() -> None:
    offset = BM1684X.static_tables["iota"].offset
    with recording(BM1684X) as program:
        tpu_bdc_npu_bcast_from_static(0, offset, 3, 20, i32)
        tpu_bdc_npu_distribute_from_static(4096, offset, 40, i32)
    assert np.array_equal(after(program, 0, (1, 3, 1, 20), i32)[0, :, 0], np.broadcast_to(np.arange(20), (3, 20)))
    assert np.array_equal(after(program, 4096, (1, 40, 1, 1), i32, Layout.COMPACT).reshape(-1), np.arange(40))


def _beyond_static() -> None:
    tpu_bdc_npu_bcast_from_static(0, (16 << 10) - 4, 1, 2, i32)


def _one_coefficient() -> None:
    tpu_bdc_fp_taylor(0, 4096, 8192, (1, 1, 1, 1), 1, f32)


@pytest.mark.parametrize(("call", "error"), [(_beyond_static, SystemRangeError), (_one_coefficient, OperandShapeError)])
def test_what_the_chip_cannot_do_is_refused(call: Callable[[], None], error: type[TpuError]) -> None:
    with recording(BM1684X), pytest.raises(error):
        call()
