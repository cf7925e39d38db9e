"""SFU: what is forbidden, and what follows from the coefficients."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.layout import byte_offsets
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import bf16, f16, f32, i16, i32
from tpukernel.isa import Special, SpecialOp, decode, encode, lane_table
from tpukernel.isa.errors import (
    AttributeRangeError,
    LaneMismatchError,
    OperandAlignmentError,
    OperandConflictError,
    OperandDtypeError,
    OperandKindError,
    OperandLayoutError,
    OperandShapeError,
)

SHAPE = (2, 70, 3, 7)
LANE = BM1684X.lane_bytes

TAYLOR = Special(
    op=SpecialOp.TAYLOR,
    dst=LocalTensor(0, SHAPE, bf16),
    src=LocalTensor(0x2000, SHAPE, bf16),
    coeff=lane_table(BM1684X, 0x4000, (1, 70, 1, 10), bf16),
)
EXPONENT = Special(op=SpecialOp.EXPONENT, dst=LocalTensor(0, SHAPE, i32), src=LocalTensor(0x2000, SHAPE, f32))
RSQRT = Special(op=SpecialOp.RSQRT, dst=LocalTensor(0, SHAPE, f32), src=LocalTensor(0x2000, SHAPE, f32), iterations=3)

BREACHES = [
    Breach(TAYLOR.replace(coeff=None), "operands", OperandKindError, "coeff"),
    Breach(RSQRT.replace(iterations=None), "operands", OperandKindError, "iterations"),
    Breach(EXPONENT.replace(iterations=2), "operands", OperandKindError, "iterations"),
    Breach(EXPONENT.replace(src=LocalTensor(0x2000, SHAPE, i32)), "dtypes", OperandDtypeError, "src"),
    Breach(EXPONENT.replace(dst=LocalTensor(0, SHAPE, i16)), "dtypes", OperandDtypeError, "dst"),
    Breach(RSQRT.replace(dst=LocalTensor(0, SHAPE, f16), src=LocalTensor(0x2000, SHAPE, f16)), "dtypes", OperandDtypeError, "src"),
    Breach(TAYLOR.replace(coeff=lane_table(BM1684X, 0x4000, (1, 70, 1, 10), f16)), "dtypes", OperandDtypeError, "coeff"),
    Breach(TAYLOR.replace(coeff=lane_table(BM1684X, 0x4000, (1, 70, 1, 1), bf16)), "coefficients", OperandShapeError, "coeff"),
    Breach(RSQRT.replace(iterations=5), "iterations_range", AttributeRangeError, "iterations"),
    Breach(RSQRT.replace(iterations=0), "iterations_range", AttributeRangeError, "iterations"),
    Breach(TAYLOR.replace(coeff=lane_table(BM1684X, 0x4002, (1, 70, 1, 10), bf16)), "aligned", OperandAlignmentError, "coeff"),
    Breach(TAYLOR.replace(dst=LocalTensor(2, SHAPE, bf16)), "placement", OperandAlignmentError, "dst"),
    Breach(RSQRT.replace(src=LocalTensor(LANE, SHAPE, f32)), "same_lane", LaneMismatchError, "src"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Special, BREACHES)


@pytest.mark.parametrize("instruction", [TAYLOR, EXPONENT, RSQRT], ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: Special) -> None:
    assert not instruction.problems(BM1684X)
    assert decode(BM1684X, "tiu", encode(BM1684X, [instruction])) == [instruction]


def test_coefficients_are_at_the_same_byte_of_every_lane() -> None:
    assert TAYLOR.coeff is not None
    offsets = byte_offsets(BM1684X, lane_table(BM1684X, 5 * LANE + 0x4000, TAYLOR.coeff.shape, bf16))
    assert {int(offset) for offset in offsets[0, :, 0, 3] % LANE} == {0x4000 + 6}
    assert [int(lane) for lane in offsets[0, :, 0, 0] // LANE] == [(5 + channel) % 64 for channel in range(70)]


def test_coefficients_cannot_lie_otherwise() -> None:
    with pytest.raises(OperandLayoutError, match="coeff of special.taylor is COMPACT"):
        TAYLOR.replace(coeff=LocalTensor(0x4000, (1, 70, 1, 10), bf16, Layout.COMPACT)).encoded(BM1684X)
    with pytest.raises(OperandConflictError, match="coeff of special.taylor"):
        TAYLOR.replace(coeff=LocalTensor(0x4000, (1, 70, 1, 10), bf16, Layout.FREE, (0, 10, 10, 1))).encoded(BM1684X)
