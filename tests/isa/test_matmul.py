"""MM: what is forbidden, and what the forms of the operands mean."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.layout import matrix_tensor
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import MatMul, MatMulOp, Rounding, decode, encode
from tpukernel.isa.errors import (
    AttributeRangeError,
    FieldRangeError,
    LaneMismatchError,
    LocalRangeError,
    OperandAlignmentError,
    OperandConflictError,
    OperandDtypeError,
    OperandKindError,
    OperandShapeError,
)

LANE, BANK = BM1684X.lane_bytes, BM1684X.bank_bytes


def matrix(bank: int, rows: int, cols: int, dtype: Dtype, per_channel: int = 8) -> LocalTensor:
    return matrix_tensor(bank * BANK, rows, cols, dtype, cols_per_channel=per_channel)


F32 = MatMul(
    dst=matrix(0, 5, 20, f32),
    left=matrix(32, 5, 33, f32, 16),
    right=matrix(4, 33, 20, f32),
    bias=matrix(6, 1, 20, f32),
    left_cols=33,
    result_add=True,
)
TRANSPOSED = F32.replace(left=matrix(2, 33, 5, f32, 4), left_cols=5, left_tran=True)
CONSTANT = F32.replace(left=Constant.of(1.5, f32), bias=None)
INTEGER = MatMul(
    dst=matrix(0, 5, 20, i32),
    left=matrix(2, 5, 33, u16),
    right=matrix(4, 33, 20, i16),
    shift=matrix(6, 1, 20, i8),
    left_cols=33,
    rounding=Rounding.DOWN,
)
REQUANT = MatMul(
    op=MatMulOp.REQUANT,
    dst=matrix(0, 5, 20, u8),
    left=Constant(3, u8),
    right=matrix(4, 130, 20, u8),
    bias=Constant(5, u16),
    left_cols=130,
    result_add=True,
    left_shift=3,
    right_shift=7,
)
RELU = REQUANT.replace(op=MatMulOp.REQUANT_RELU, dst=matrix(0, 5, 20, u16), left=Constant(3, i8), left_tran=False, bias=None)
LEGAL = [F32, TRANSPOSED, CONSTANT, INTEGER, REQUANT, RELU]

BREACHES = [
    Breach(INTEGER.replace(shift=None), "operands", OperandKindError, "shift"),
    Breach(INTEGER.replace(rounding=None), "operands", OperandKindError, "rounding"),
    Breach(INTEGER.replace(bias=matrix(8, 1, 20, i16)), "operands", OperandKindError, "bias"),
    Breach(F32.replace(shift=Constant(1, i8)), "operands", OperandKindError, "shift"),
    Breach(F32.replace(left_shift=1), "operands", OperandKindError, "left_shift"),
    Breach(REQUANT.replace(rounding=Rounding.UP), "operands", OperandKindError, "rounding"),
    Breach(F32.replace(left=matrix(2, 5, 33, f16, 16)), "dtypes", OperandDtypeError, "left"),
    Breach(F32.replace(dst=matrix(0, 5, 20, f16)), "dtypes", OperandDtypeError, "dst"),
    Breach(INTEGER.replace(dst=matrix(0, 5, 20, i16)), "dtypes", OperandDtypeError, "dst"),
    Breach(REQUANT.replace(left=Constant(1, i16)), "dtypes", OperandDtypeError, "left"),
    Breach(REQUANT.replace(dst=matrix(0, 5, 20, u32)), "dtypes", OperandDtypeError, "dst"),
    Breach(INTEGER.replace(left_cols=32), "left_cols", OperandShapeError, "left_cols"),
    Breach(INTEGER.replace(left_cols=41), "left_cols", OperandShapeError, "left_cols"),
    Breach(CONSTANT.replace(left_cols=0), "left_cols", OperandShapeError, "left_cols"),
    Breach(INTEGER.replace(dst=LocalTensor(0, (5, 3, 2, 8), i32)), "matrix", OperandShapeError, "dst"),
    Breach(INTEGER.replace(result_add=True), "result_add", AttributeRangeError, "result_add"),
    Breach(REQUANT.replace(left_shift=32), "left_shift_range", AttributeRangeError, "left_shift"),
    Breach(REQUANT.replace(right_shift=33), "right_shift_range", AttributeRangeError, "right_shift"),
    Breach(F32.replace(right=LocalTensor(4 * BANK + 4, (33, 3, 1, 8), f32)), "placement", OperandAlignmentError, "right"),
    Breach(
        REQUANT.replace(dst=matrix_tensor(LANE - 64, 1, 3, u8, cols_per_channel=40), right=matrix(4, 130, 3, u8, 40)),
        "placement",
        LocalRangeError,
        "partial_sum",
    ),
    Breach(F32.replace(right=matrix(4 + 16, 33, 20, f32)), "same_lane", LaneMismatchError, "right"),
    Breach(F32.replace(bias=matrix(6 + 16, 1, 20, f32)), "same_lane", LaneMismatchError, "bias"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(MatMul, BREACHES)


@pytest.mark.parametrize("instruction", LEGAL, ids=range(len(LEGAL)))
def test_legal_instructions_come_back(instruction: MatMul) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


@pytest.mark.parametrize(("left", "right", "bias", "result"), [(u8, u8, u16, u8), (i8, u8, u16, i8), (u8, i8, u16, i8), (u8, u8, i16, i8)])
def test_results_of_requantisation_are_signed_when_an_operand_is(left: Dtype, right: Dtype, bias: Dtype, result: Dtype) -> None:
    instruction = REQUANT.replace(
        left=Constant(3, left), right=matrix(4, 130, 20, right), bias=Constant(0, bias), dst=matrix(0, 5, 20, result)
    )
    assert not instruction.problems(BM1684X) and instruction.encoded(BM1684X)
    assert instruction.partial_sum == matrix(0, 5, 20, u16 if result == u8 else i16)
    with pytest.raises(OperandConflictError, match="dst of matmul"):
        instruction.replace(dst=matrix(0, 5, 20, i8 if result == u8 else u8)).encoded(BM1684X)
    assert instruction.replace(op=MatMulOp.REQUANT_RELU, dst=matrix(0, 5, 20, u8)).encoded(BM1684X)


def test_depth_and_rows_follow_from_the_left_matrix() -> None:
    for change in ({"dst": matrix(0, 6, 20, f32)}, {"right": matrix(4, 32, 20, f32)}):
        for instruction in (F32, TRANSPOSED):
            with pytest.raises(OperandConflictError, match=next(iter(change))):
                instruction.replace(**change).encoded(BM1684X)
    for change in ({"dst": matrix(0, 5, 28, f32)}, {"right": matrix(4, 33, 28, f32)}, {"bias": matrix(6, 1, 28, f32)}):
        with pytest.raises(OperandConflictError, match="res0_c"):
            F32.replace(**change).encoded(BM1684X)
    with pytest.raises(FieldRangeError):
        F32.replace(left_cols=0).encoded(BM1684X)


def test_what_result_add_reads() -> None:
    assert F32.partial_sum == F32.dst and INTEGER.partial_sum is None
    assert REQUANT.partial_sum == matrix(0, 5, 20, u16) and RELU.partial_sum == matrix(0, 5, 20, i16)
    assert [next(iter(i.operands())).direction for i in (F32, INTEGER)] == ["inout", "out"]


def test_macs() -> None:
    assert F32.macs == TRANSPOSED.macs == CONSTANT.macs == 5 * 24 * 33  # the columns of whole channels
