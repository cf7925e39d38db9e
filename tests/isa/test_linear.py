"""LIN: what is forbidden, and operands that are tensors or constants."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import bf16, f16, f32, i32
from tpukernel.isa import Linear, LinearOp, decode, encode
from tpukernel.isa.errors import LaneMismatchError, OperandAlignmentError, OperandConflictError, OperandDtypeError, OperandKindError

SHAPE = (2, 70, 3, 7)
PER_CHANNEL = LocalTensor(0x4004, (1, 70, 1, 1), f32, Layout.COMPACT)

MAC = Linear(
    op=LinearOp.MAC, dst=LocalTensor(0, SHAPE, f32), src0=LocalTensor(0x2000, SHAPE, f32), src1=PER_CHANNEL, src2=Constant.of(2, f32)
)
SQUARE = Linear(op=LinearOp.SQUARE_DIFF, dst=LocalTensor(0, SHAPE, f32), src0=LocalTensor(0x2000, SHAPE, f32), src1=Constant.of(2, f32))
INTEGERS = Linear(op=LinearOp.SQUARE_SUM, dst=LocalTensor(0, SHAPE, i32), src0=LocalTensor(0x2000, SHAPE, i32), src1=Constant.of(2, i32))

BREACHES = [
    Breach(MAC.replace(src2=None), "operand_count", OperandKindError, "src2"),
    Breach(SQUARE.replace(src2=Constant.of(1, f32)), "operand_count", OperandKindError, "src2"),
    Breach(INTEGERS, "dtypes", OperandDtypeError, "dst"),
    Breach(MAC.replace(src0=LocalTensor(0x2000, SHAPE, f16)), "dtypes", OperandDtypeError, "src0"),
    Breach(MAC.replace(src2=Constant.of(1, bf16)), "dtypes", OperandDtypeError, "src2"),
    Breach(MAC.replace(src0=LocalTensor(0x2004, SHAPE, f32)), "placement", OperandAlignmentError, "src0"),
    Breach(MAC.replace(src0=LocalTensor(BM1684X.lane_bytes, SHAPE, f32)), "same_lane", LaneMismatchError, "src0"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Linear, BREACHES)


@pytest.mark.parametrize("instruction", [MAC, SQUARE], ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: Linear) -> None:
    assert not instruction.problems(BM1684X)
    assert decode(BM1684X, "tiu", encode(BM1684X, [instruction])) == [instruction]


def test_operands_of_two_types_cannot_be_encoded() -> None:
    with pytest.raises(OperandConflictError, match="src0"):
        MAC.replace(src0=LocalTensor(0x2000, SHAPE, f16)).encoded(BM1684X)
