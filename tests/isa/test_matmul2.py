"""MM2: what is forbidden, and what the forms of the operands mean."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u32
from tpukernel.isa import MatMul2, MatMul2Op, decode, encode, lane_table
from tpukernel.isa.errors import (
    LaneMismatchError,
    LocalRangeError,
    OperandAlignmentError,
    OperandConflictError,
    OperandDtypeError,
    OperandKindError,
    OperandShapeError,
)

LANE, BANK = BM1684X.lane_bytes, BM1684X.bank_bytes


def matrix(bank: int, rows: int, cols: int, dtype: Dtype) -> LocalTensor:
    return LocalTensor(bank * BANK, (1, rows, 1, cols), dtype)


NN = MatMul2(op=MatMul2Op.NN, dst=matrix(0, 70, 9, bf16), left=matrix(1, 70, 33, bf16), right=matrix(2, 33, 9, bf16), result_add=True)
NT = NN.replace(op=MatMul2Op.NT, right=matrix(2, 9, 33, bf16), dst=matrix(0, 70, 9, f32))
TT = NN.replace(op=MatMul2Op.TT, left=matrix(1, 33, 9, bf16), right=matrix(2, 70, 33, bf16))
LEFT_CONSTANT = [op.replace(left=Constant.of(1.5, bf16)) for op in (NN, NT, TT)]
RIGHT_CONSTANT = [op.replace(right=Constant.of(1.5, bf16)) for op in (NN, NT, TT)]
INTEGER = MatMul2(
    op=MatMul2Op.NN,
    dst=matrix(0, 70, 9, i32),
    left=matrix(1, 70, 33, u8),
    right=matrix(2, 33, 9, i8),
    right_zero_point=lane_table(BM1684X, 3 * BANK, (1, 33, 1, 9), i8),
)
INTEGER_TT = INTEGER.replace(
    op=MatMul2Op.TT,
    left=matrix(1, 33, 9, u8),
    right=matrix(2, 70, 33, i8),
    right_zero_point=LocalTensor(3 * BANK + 1, (1, 70, 1, 1), i8, Layout.COMPACT),
)
LEGAL = [NN, NT, TT, *LEFT_CONSTANT, *RIGHT_CONSTANT, INTEGER, INTEGER_TT, INTEGER.replace(right_zero_point=Constant(7, i8))]

BREACHES = [
    Breach(NN.replace(right_zero_point=Constant(1, bf16)), "operands", OperandKindError, "right_zero_point"),
    Breach(NN.replace(left=Constant(1, bf16), right=Constant(1, bf16)), "constants", OperandKindError, "right"),
    Breach(NN.replace(dst=matrix(0, 70, 8, bf16)), "shapes", OperandShapeError, "dst"),
    Breach(NT.replace(dst=matrix(0, 70, 8, f32)), "shapes", OperandShapeError, "dst"),
    Breach(TT.replace(dst=matrix(0, 71, 9, bf16)), "shapes", OperandShapeError, "dst"),
    Breach(NN.replace(dst=matrix(0, 70, 9, f16)), "dtypes", OperandDtypeError, "dst"),
    Breach(NN.replace(left=matrix(1, 70, 33, f32)), "dtypes", OperandDtypeError, "left"),
    Breach(INTEGER.replace(dst=matrix(0, 70, 9, i16)), "dtypes", OperandDtypeError, "dst"),
    Breach(NN.replace(left=LocalTensor(BANK + 2, (1, 70, 1, 33), bf16)), "placement", OperandAlignmentError, "left"),
    Breach(
        NN.replace(dst=LocalTensor(LANE - 128, (1, 70, 1, 20), bf16), right=matrix(2, 33, 20, bf16)),
        "placement",
        LocalRangeError,
        "partial_sum",
    ),
    Breach(
        INTEGER.replace(right_zero_point=lane_table(BM1684X, 3 * BANK + 1, (1, 33, 1, 9), i8)),
        "aligned",
        OperandAlignmentError,
        "right_zero_point",
    ),
    Breach(NN.replace(right=matrix(2 + 16, 33, 9, bf16)), "lane_0", LaneMismatchError, "right"),
    Breach(NN.replace(dst=matrix(16, 70, 9, bf16)), "lane_0", LaneMismatchError, "dst"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(MatMul2, BREACHES)


@pytest.mark.parametrize("instruction", LEGAL, ids=range(len(LEGAL)))
def test_legal_instructions_come_back(instruction: MatMul2) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}
    assert instruction.macs == 70 * 9 * 33


def test_operands_must_agree() -> None:
    for change in ({"left": matrix(1, 69, 33, bf16)}, {"left": matrix(1, 70, 32, bf16)}, {"right": matrix(2, 32, 9, bf16)}):
        with pytest.raises(OperandConflictError):
            NN.replace(**change).encoded(BM1684X)
    with pytest.raises(OperandConflictError, match="right_zero_point"):
        INTEGER.replace(right_zero_point=Constant(1, u8)).encoded(BM1684X)
    with pytest.raises(OperandConflictError, match="dst"):
        INTEGER.replace(dst=matrix(0, 70, 9, u32)).encoded(BM1684X)


def test_what_result_add_reads() -> None:
    assert NN.partial_sum == matrix(0, 70, 9, f32) and INTEGER.partial_sum is None
    assert INTEGER.replace(result_add=True).partial_sum == INTEGER.dst
