"""Elementwise functions, comparisons, selects, vectors and series: what random calls do not reach, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from tpukernel import BM1684X, Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel import api as k
from tpukernel.api import ArgumentError, Bits, Variable, recording
from tpukernel.api.function import Emitted
from tpukernel.chips.errors import ConstantRangeError
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.isa import Arith, ArithOp, Compare, Rounding, Special, Vector
from tpukernel.isa.errors import AttributeRangeError, LaneMismatchError, OperandLayoutError
from tpukernel.isa.program import Program
from tpukernel.sim import Machine
from tpukernel.sim.memory import Array

SHAPE = (1, 64, 4, 8)
LANE = BM1684X.lane_bytes
DST, SRC, SRC1, WORK0, WORK1, WORK2, COEFF = range(0, 7 * 1024, 1024)
ROUND = Rounding.HALF_EVEN


def arith_sources(emitted: Emitted) -> list[tuple[int, ...]]:
    """Addresses of `dst` and of the sources that are tensors, by instruction."""
    found: list[tuple[int, ...]] = []
    for each in emitted:
        operands = [getattr(each, name, None) for name in ("dst", "src", "src0", "src1")]
        found.append(tuple(operand.address for operand in operands if isinstance(operand, LocalTensor)))
    return found


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("dtype", [i8, u8, i16, u16, i32, u32])
def test_floating_point_functions_refuse_integers(dtype: Dtype) -> None:
    with pytest.raises(ArgumentError, match="dtype"):
        k.tpu_bdc_fp_add.instructions(DST, SRC, SRC1, SHAPE, None, None, None, dtype)
    with pytest.raises(ArgumentError, match="dtype"):
        k.tpu_bdc_fp_vc_mul.instructions(DST, SRC, SRC1, 5, 5, 5, 5, dtype)
    with pytest.raises(ArgumentError, match="dtype"):
        k.tpu_bdc_fp_floor.instructions(DST, SRC, SHAPE, None, None, dtype)


@pytest.mark.parametrize("dtype", [f16, bf16, i32])
def test_divisions_and_roots_are_f32_only(dtype: Dtype) -> None:
    with pytest.raises(ArgumentError, match="dtype"):
        k.tpu_bdc_fp_div.instructions(DST, SRC, SRC1, SHAPE, None, None, None, dtype)
    with pytest.raises(ArgumentError, match="dtype"):
        k.tpu_bdc_fp_rsqrt.instructions(DST, SRC, SHAPE, dtype)


@pytest.mark.parametrize("dtype", [f32, f16, bf16])
def test_integer_functions_refuse_floats(dtype: Dtype) -> None:
    with pytest.raises(ArgumentError, match="src0_dtype"):
        k.tpu_bdc_int_add.instructions(DST, SRC, SRC1, SHAPE, None, None, None, i32, dtype, i32, 0, ROUND, saturation=True)
    with pytest.raises(ArgumentError, match="dtype"):
        k.tpu_bdc_not.instructions(DST, SRC, SHAPE, None, None, dtype)


def test_logical_shifts_refuse_signed_types() -> None:
    with pytest.raises(ArgumentError, match="src_dtype"):
        k.tpu_bdc_logical_shift_C.instructions(DST, SRC, 1, SHAPE, None, None, u32, i32, ROUND)


@pytest.mark.parametrize(("dst", "src0", "src1", "subtracted"), [(u8, i8, u8, False), (i16, u8, u8, False), (u32, u8, u16, True)])
def test_a_result_is_signed_if_an_operand_is_or_if_it_is_a_difference(dst: Dtype, src0: Dtype, src1: Dtype, subtracted: bool) -> None:
    function = k.tpu_bdc_int_sub if subtracted else k.tpu_bdc_int_add
    for saturation in (False, True):
        with pytest.raises(ArgumentError, match=f"dst has type {dst.name}"):
            function.instructions(DST, SRC, SRC1, SHAPE, None, None, None, dst, src0, src1, 0, ROUND, saturation=saturation)


@pytest.mark.parametrize("lengths", [(0, 5, 4, 4), (5, 0, 4, 4), (5, 5, 0, 4), (5, 5, 4, -1)])
def test_vectors_have_elements(lengths: tuple[int, int, int, int]) -> None:
    with pytest.raises(ArgumentError):
        k.tpu_bdc_vc_min.instructions(DST, SRC, SRC1, *lengths, f32)


@pytest.mark.parametrize("base", [0.0, -2.0, 1e-40, math.nan])
def test_a_logarithm_has_a_base_above_0(base: float) -> None:
    with pytest.raises(ArgumentError, match="base"):
        k.tpu_bdc_fp32_logx.instructions(DST, SRC, WORK0, COEFF, SHAPE, base)


def test_a_reciprocal_has_no_negative_number_of_corrections() -> None:
    with pytest.raises(ArgumentError, match="corrections"):
        k.tpu_bdc_fp32_compensate_reciprocal.instructions(DST, SRC, WORK0, WORK1, WORK2, SHAPE, None, -1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: k.tpu_bdc_fp32_sqrt.instructions(DST, DST, SHAPE),
        lambda: k.tpu_bdc_sign.instructions(DST, DST, SHAPE, f32),
        lambda: k.tpu_bdc_sign.instructions(DST, DST, SHAPE, u8),
        lambda: k.tpu_bdc_fp32_exp.instructions(DST, SRC, DST, WORK1, COEFF, 0, SHAPE),
        lambda: k.tpu_bdc_fp32_exp.instructions(DST, SRC, WORK0, WORK0, COEFF, 0, SHAPE),
        lambda: k.tpu_bdc_fp32_log.instructions(DST, SRC, DST, COEFF, SHAPE),
        lambda: k.tpu_bdc_fp32_pow.instructions(DST, SRC, SRC1, WORK0, WORK0, COEFF, COEFF, 0, SHAPE),
        lambda: k.tpu_bdc_fp32_sin.instructions(DST, SRC, DST, COEFF, SHAPE),
        lambda: k.tpu_bdc_fp32_tan.instructions(DST, DST, WORK0, COEFF, SHAPE),
        lambda: k.tpu_bdc_fp32_cot.instructions(DST, SRC, SRC, COEFF, SHAPE),
        lambda: k.tpu_bdc_fp32_arcsin.instructions(DST, SRC, SRC, COEFF, SHAPE),
        lambda: k.tpu_bdc_fp32_arcsinh.instructions(DST, SRC, DST, COEFF, SHAPE),
        lambda: k.tpu_bdc_fp32_compensate_reciprocal.instructions(DST, SRC, WORK0, WORK1, WORK0, SHAPE, None, 1),
    ],
)
def test_operands_that_would_overwrite_each_other_are_refused(call: Callable[[], Emitted]) -> None:
    with pytest.raises(ArgumentError, match="may not be one"):
        call()


@pytest.mark.parametrize("steps", [0, 5])
def test_divisions_make_1_to_4_steps(steps: int) -> None:
    with recording() as program, pytest.raises((AttributeRangeError, ValueError)):
        k.tpu_bdc_fp32_tunable_rsqrt(DST, SRC, SHAPE, steps)
    assert not list(program)


def test_operands_start_in_one_lane() -> None:
    with recording(), pytest.raises(LaneMismatchError):
        k.tpu_bdc_fp_add(DST, SRC, SRC1 + LANE, SHAPE, None, None, None, f32)


def test_constants_have_to_fit_their_type() -> None:
    with pytest.raises(ConstantRangeError):
        k.tpu_bdc_min_C.instructions(DST, SRC, 128, SHAPE, None, None, i8)
    with pytest.raises(ConstantRangeError):
        k.tpu_bdc_fp32_C_div.instructions(DST, SRC, 1e39, SHAPE, None, None)


# ---------------------------------------------------------------------------- quirks


def test_a_commutative_operation_exchanges_its_operands_when_only_the_second_one_has_strides() -> None:
    strides = (64, 64, 8, 1)
    [swapped] = k.tpu_bdc_fp_add.instructions(DST, SRC, SRC1, SHAPE, None, None, strides, f32)
    [kept] = k.tpu_bdc_fp_sub.instructions(DST, SRC, SRC1, SHAPE, None, None, strides, f32)
    assert arith_sources([swapped, kept]) == [(DST, SRC1, SRC), (DST, SRC, SRC1)]


@pytest.mark.parametrize("dtype", [f32, f16, bf16])
def test_a_negated_comparison_reverses_the_bits_of_the_true_value(dtype: Dtype) -> None:
    compared, reversed_ = k.tpu_bdc_greater_equal_C.instructions(DST, SRC, 2, 1, SHAPE, None, None, dtype, dtype)
    assert isinstance(compared, Arith) and isinstance(reversed_, Arith)
    assert (compared.op, reversed_.op) == (ArithOp.SELECT_LESS, ArithOp.XOR)
    assert compared.src2 == Constant.of(1, dtype)
    assert reversed_.dst.dtype.is_int and isinstance(reversed_.src1, Constant) and reversed_.src1.bits == Constant.of(1, dtype).bits


def test_bitwise_functions_take_the_bits_of_a_number() -> None:
    [instruction] = k.tpu_bdc_and_C.instructions(DST, SRC, -0.0, SHAPE, None, None, f32)
    assert isinstance(instruction, Arith) and instruction.src1 == Constant(0x8000_0000, i32)
    [instruction] = k.tpu_bdc_xor_C.instructions(DST, SRC, Bits(0x7FFF), SHAPE, None, None, bf16)
    assert isinstance(instruction, Arith) and instruction.src1 == Constant(0x7FFF, i16)


def test_no_shift_is_no_operand() -> None:
    found = [
        k.tpu_bdc_int_mul.instructions(DST, SRC, SRC1, SHAPE, None, None, None, i16, i8, u8, shift, ROUND, saturation=False)[0]
        for shift in (0, -3)
    ]
    assert [(each.value_of("src2"), each.value_of("rounding")) for each in found] == [(None, None), (Constant(0xFD, i8), ROUND)]


def test_numbers_of_c_are_f32_without_subnormal_ones() -> None:
    def source(value: float) -> object:
        [instruction] = k.tpu_bdc_fp32_mac_C.instructions(DST, SRC, value, SHAPE, None, None)
        return instruction.value_of("src1")

    assert source(0.1) == Constant.of(0.1, f32)
    assert (source(1e-40), source(-1e-40)) == (Constant(0, f32), Constant(0x8000_0000, f32))


@pytest.mark.parametrize(("base", "bits"), [(1.0, 0), (0.0, 0xFF80_0000), (math.inf, 0x7F80_0000), (-2.0, 0xFFC0_0000)])
def test_a_power_of_a_constant_multiplies_by_its_logarithm(base: float, bits: int) -> None:
    first = k.tpu_bdc_fp32_C_pow.instructions(DST, SRC, WORK0, WORK1, COEFF, 0, base, SHAPE)[0]
    assert first.value_of("src1") == Constant(bits, f32)


def test_corrections_of_a_reciprocal_are_nine_instructions_each() -> None:
    counts = [len(k.tpu_bdc_fp32_compensate_reciprocal.instructions(DST, SRC, WORK0, WORK1, WORK2, SHAPE, None, n)) for n in range(4)]
    assert {after - before for before, after in pairwise(counts)} == {9} and counts[0] == 1


# ---------------------------------------------------------------------------- lanes


@pytest.mark.parametrize("lane", [0, 5, 63])
def test_coefficients_are_taken_from_the_lane_of_the_operands(lane: int) -> None:
    dst, src, work0, work1 = (address + lane * LANE for address in (DST, SRC, WORK0, WORK1))
    emitted = k.tpu_bdc_fp32_exp.instructions(dst, src, work0, work1, COEFF, 0, SHAPE)
    [series] = [each for each in emitted if isinstance(each, Special)]
    assert series.coeff is not None and series.coeff.address == COEFF + lane * LANE
    assert not [problem for each in emitted for problem in each.problems(BM1684X)]


def test_the_address_of_coefficients_is_that_in_lane_0() -> None:
    with pytest.raises(ArgumentError, match="in lane 5"):
        k.tpu_bdc_fp32_exp.instructions(DST, SRC, WORK0, WORK1, COEFF + 5 * LANE, 0, SHAPE)


def test_a_vector_is_one_element_in_each_lane() -> None:
    vector, tensor = Variable.vector(SRC + 4), Variable.tensor(SRC1)
    [instruction] = k.tpu_bdc_less_select.instructions(DST, vector, tensor, Variable.scalar(1), Variable.scalar(0), SHAPE, f32, f32)
    assert isinstance(instruction, Compare)
    assert instruction.src0 == LocalTensor(SRC + 4, SHAPE, f32, Layout.FREE, (0, 0, 0, 0))
    with recording(), pytest.raises(OperandLayoutError):
        k.tpu_bdc_less_select(DST, tensor, tensor, vector, Variable.scalar(0), SHAPE, f32, f32)


def test_a_vector_of_more_places_than_elements() -> None:
    [instruction] = k.tpu_bdc_vc_max.instructions(DST, SRC, SRC1, 5, 7, 8, 4, i16)
    assert isinstance(instruction, Vector)
    assert [tensor.shape for tensor in (instruction.dst, instruction.src0, instruction.src1)] == [(5, 2, 1, 4), (1, 1, 1, 8), (1, 2, 1, 4)]


# ---------------------------------------------------------------------------- in place


def results(name: str, values: Array, places: Sequence[int]) -> Array:
    """What a series leaves at the first place, for operands at the second one."""
    program = Program(BM1684X)
    coefficients = "exp" if "exp" in name else "log"
    with recording(program=program):
        getattr(k, f"tpu_bdc_load_fp32_{coefficients}_coeff")(COEFF)
        getattr(k, name)(*places, COEFF, *((0,) if "exp" in name else ()), SHAPE)
    machine = Machine(BM1684X)
    machine.load(LocalTensor(places[1], SHAPE, f32), values)
    machine.run(program)
    return machine.dump(LocalTensor(places[0], SHAPE, f32))


@pytest.mark.parametrize("same", ["dst", "work0", "work1"])
@pytest.mark.parametrize("name", ["tpu_bdc_fp32_exp", "tpu_bdc_fp32_expm1"])
def test_exponentials_of_operands_in_the_place_of_the_result_or_of_work_memory(name: str, same: str) -> None:
    values = np.linspace(-20, 20, math.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    place = {"dst": DST, "work0": WORK0, "work1": WORK1}[same]
    apart = results(name, values, (DST, SRC, WORK0, WORK1))
    assert np.array_equal(results(name, values, (DST, place, WORK0, WORK1)), apart)
    assert np.allclose(apart, np.exp(values.astype(np.float64)) - (name[-1] == "1"), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("place", [DST, WORK0])
@pytest.mark.parametrize("name", ["tpu_bdc_fp32_log", "tpu_bdc_fp32_log1p"])
def test_logarithms_of_operands_in_the_place_of_the_result_or_of_work_memory(name: str, place: int) -> None:
    values = np.geomspace(1e-6, 1e6, math.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    apart = results(name, values, (DST, SRC, WORK0))
    assert np.array_equal(results(name, values, (DST, place, WORK0)), apart)
    assert np.allclose(apart, np.log(values.astype(np.float64) + (name[-1] == "p")), rtol=1e-5, atol=1e-6)
