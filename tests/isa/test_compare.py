"""CMP: what is forbidden, and the types of the results."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import bf16, f16, f32, i8, i16, i32, u16
from tpukernel.isa import Compare, CompareOp, decode, encode
from tpukernel.isa.errors import (
    LaneMismatchError,
    OperandAlignmentError,
    OperandConflictError,
    OperandDtypeError,
    OperandKindError,
    OperandLayoutError,
)

SHAPE = (2, 70, 3, 7)


def local(address: int, dtype: object) -> LocalTensor:
    return LocalTensor(address, SHAPE, dtype)  # type: ignore[arg-type]


SELECT = Compare(
    op=CompareOp.SELECT_GREATER,
    dst=local(0, f32),
    src0=local(0x2000, i16),
    src1=Constant.of(-1, i16),
    src2=local(0x4000, f32),
    src3=Constant.of(1, f32),
)
BOTH = Compare(
    op=CompareOp.MIN_AND_SELECT,
    dst=local(0, f16),
    dst1=local(0x2000, u16),
    src0=local(0x4000, f16),
    src1=local(0x6000, f16),
    src2=Constant(1, u16),
    src3=local(0x8000, u16),
)

BREACHES = [
    Breach(BOTH.replace(dst1=None), "operands", OperandKindError, "dst1"),
    Breach(SELECT.replace(dst1=local(0x6000, f32)), "operands", OperandKindError, "dst1"),
    Breach(SELECT.replace(src1=Constant(1, i32)), "types", OperandDtypeError, "src1"),
    Breach(SELECT.replace(src3=Constant(1, i16)), "types", OperandDtypeError, "src3"),
    Breach(SELECT.replace(dst=local(0, f16)), "types", OperandDtypeError, "dst"),
    Breach(BOTH.replace(dst=local(0, bf16)), "types", OperandDtypeError, "dst"),
    Breach(SELECT.replace(src0=local(0x2000, f16), src1=Constant(1, f16)), "widths", OperandDtypeError, "src2"),
    Breach(BOTH.replace(dst=local(0, i8), src0=local(0x4000, i8), src1=Constant(0, i8)), "widths", OperandDtypeError, "src2"),
    Breach(SELECT.replace(src2=local(0x4004, f32)), "placement", OperandAlignmentError, "src2"),
    Breach(SELECT.replace(src2=local(BM1684X.lane_bytes, f32)), "same_lane", LaneMismatchError, "src2"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Compare, BREACHES)


PER_LANE = SELECT.replace(src0=LocalTensor(0x2002, SHAPE, i16, Layout.FREE, (0, 0, 0, 0)))
"""Each lane compares one element of `src0`."""


def test_only_what_is_compared_can_be_one_element_of_each_lane() -> None:
    with pytest.raises(OperandLayoutError):
        encode(BM1684X, [SELECT.replace(src2=LocalTensor(0x2000, SHAPE, f32, Layout.FREE, (0, 0, 0, 0)))])
    with pytest.raises(OperandConflictError):
        encode(BM1684X, [SELECT.replace(src0=LocalTensor(0x2000, SHAPE, i16, Layout.FREE, (0, 1, 0, 0)))])


@pytest.mark.parametrize("instruction", [SELECT, BOTH, PER_LANE], ids=["select", "both", "per lane"])
def test_legal_instructions(instruction: Compare) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert again == instruction
    assert [(use.name, use.direction) for use in again.operands()] == [(use.name, use.direction) for use in instruction.operands()]
