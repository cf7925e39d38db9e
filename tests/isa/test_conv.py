"""CONV: what is forbidden, and what the forms of the operands mean."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16
from tpukernel.isa import Conv, ConvOp, decode, encode
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


def local(bank: int, shape: Dim4, dtype: Dtype, layout: Layout = Layout.EU_ALIGNED) -> LocalTensor:
    return LocalTensor(bank * BANK, shape, dtype, layout)


def per_channel(bank: int, channels: int, dtype: Dtype, count: int = 1) -> LocalTensor:
    return local(bank, (1, channels, 1, count), dtype, Layout.COMPACT)


FLOAT = Conv(
    dst=local(0, (2, 70, 4, 9), f16),
    input=local(2, (2, 33, 8, 9), f16),
    weight=local(4, (70, 33, 3, 3), f16, Layout.WEIGHT),
    bias=per_channel(5, 70, f32),
    kernel=(3, 3),
    padding=(1, 1, 1, 1),
    stride=(2, 1),
)
F32 = Conv(
    dst=local(16, (1, 5, 8, 9), f32),
    input=LocalTensor(5 * LANE + 4, (1, 7, 8, 9), f32, Layout.FREE, (0, 0, 20, 2)),
    weight=LocalTensor(LANE + 8 * BANK + 4, (5, 7, 1, 1), f32, Layout.WEIGHT),
    kernel=(1, 1),
    result_add=True,
)
INTEGER = Conv(
    dst=local(0, (2, 70, 9, 9), i32),
    input=local(2, (2, 33, 4, 9), u8),
    weight=local(4, (70, 33, 3, 1), i8, Layout.WEIGHT),
    kernel_zero_point=per_channel(5, 70, u8),
    pad_value=per_channel(6, 33, u8, 2),
    insert_value=Constant(3, u8),
    kernel=(3, 1),
    padding=(1, 1, 0, 0),
    insert=(2, 0),
    dilation=(2, 1),
    kernel_rotate=True,
    result_add=True,
).replace(dst=local(0, (2, 70, 8, 9), i32))
NARROW = INTEGER.replace(dst=local(0, (2, 70, 8, 9), i16), result_add=False)
REQUANT = Conv(
    op=ConvOp.REQUANT,
    dst=local(0, (2, 70, 4, 9), i8),
    input=local(2, (2, 33, 4, 9), u8),
    weight=Constant(3, u8),
    bias=per_channel(5, 70, i16),
    kernel=(1, 1),
    right_shift=7,
)
RELU = REQUANT.replace(op=ConvOp.REQUANT_RELU, dst=local(0, (2, 70, 4, 9), u16), bias=None)
LEGAL = [FLOAT, F32, INTEGER, NARROW, REQUANT, RELU]

BREACHES = [
    Breach(REQUANT.replace(right_shift=None), "operands", OperandKindError, "right_shift"),
    Breach(REQUANT.replace(pad_value=Constant(1, u8)), "operands", OperandKindError, "pad_value"),
    Breach(FLOAT.replace(kernel_zero_point=Constant(1, u8)), "operands", OperandKindError, "kernel_zero_point"),
    Breach(INTEGER.replace(kernel_zero_point=None), "operands", OperandKindError, "kernel_zero_point"),
    Breach(INTEGER.replace(bias=per_channel(5, 70, i16)), "operands", OperandKindError, "bias"),
    Breach(FLOAT.replace(dst=local(0, (2, 70, 4, 9), bf16)), "dtypes", OperandDtypeError, "dst"),
    Breach(F32.replace(dst=local(16, (1, 5, 8, 9), f16)), "dtypes", OperandDtypeError, "dst"),
    Breach(NARROW.replace(dst=local(0, (2, 70, 8, 9), i8)), "dtypes", OperandDtypeError, "dst"),
    Breach(REQUANT.replace(dst=local(0, (2, 70, 4, 9), i32)), "dtypes", OperandDtypeError, "dst"),
    Breach(REQUANT.replace(input=local(2, (2, 33, 4, 9), i16)), "dtypes", OperandDtypeError, "input"),
    Breach(FLOAT.replace(padding=(1, 16, 1, 1), dst=local(0, (2, 70, 12, 9), f16)), "ranges", AttributeRangeError, "padding"),
    Breach(FLOAT.replace(stride=(16, 1), dst=local(0, (2, 70, 1, 9), f16)), "ranges", AttributeRangeError, "stride"),
    Breach(INTEGER.replace(dilation=(2, 16)), "ranges", AttributeRangeError, "dilation"),
    Breach(INTEGER.replace(insert=(2, 15), dst=local(0, (2, 70, 8, 129), i32)), "ranges", AttributeRangeError, "insert"),
    Breach(REQUANT.replace(right_shift=33), "right_shift_range", AttributeRangeError, "right_shift"),
    Breach(FLOAT.replace(dst=local(0, (2, 70, 5, 9), f16)), "window", OperandShapeError, "dst"),
    Breach(FLOAT.replace(kernel=(11, 3)), "window", OperandShapeError, "dst"),
    Breach(REQUANT.replace(result_add=True), "result_add", AttributeRangeError, "result_add"),
    Breach(NARROW.replace(result_add=True), "result_add", AttributeRangeError, "result_add"),
    Breach(FLOAT.replace(dst=LocalTensor(4, (2, 70, 4, 9), f16)), "placement", OperandAlignmentError, "dst"),
    Breach(FLOAT.replace(bias=LocalTensor(5 * BANK + 2, (1, 70, 1, 1), f32, Layout.COMPACT)), "placement", OperandAlignmentError, "bias"),
    Breach(
        FLOAT.replace(result_add=True, dst=LocalTensor(LANE - 4 * 128, (2, 70, 4, 9), f16)),
        "placement",
        LocalRangeError,
        "partial_sum",
    ),
    Breach(FLOAT.replace(weight=LocalTensor(4 * BANK + 2, (70, 33, 3, 3), f16, Layout.WEIGHT)), "aligned", OperandAlignmentError, "weight"),
    Breach(
        INTEGER.replace(pad_value=LocalTensor(6 * BANK + 1, (1, 33, 1, 2), u8, Layout.COMPACT)),
        "aligned",
        OperandAlignmentError,
        "pad_value",
    ),
    Breach(FLOAT.replace(input=local(2 + 16, (2, 33, 8, 9), f16)), "lane_0", LaneMismatchError, "input"),
    Breach(INTEGER.replace(pad_value=per_channel(6 + 16, 33, u8, 2)), "lane_0", LaneMismatchError, "pad_value"),
    Breach(FLOAT.replace(weight=local(4 + 16, (70, 33, 3, 3), f16, Layout.WEIGHT)), "same_lane", LaneMismatchError, "weight"),
    Breach(FLOAT.replace(bias=per_channel(5 + 16, 70, f32)), "same_lane", LaneMismatchError, "bias"),
    Breach(INTEGER.replace(kernel_zero_point=per_channel(5 + 16, 70, u8)), "same_lane", LaneMismatchError, "kernel_zero_point"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Conv, BREACHES)


@pytest.mark.parametrize("instruction", LEGAL, ids=range(len(LEGAL)))
def test_legal_instructions_come_back(instruction: Conv) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


@pytest.mark.parametrize(
    ("source", "weight", "bias", "result"), [(u8, u8, u16, u8), (i8, u8, u16, i8), (u8, i8, u16, i8), (u8, u8, i16, i8)]
)
def test_results_of_requantisation_are_signed_when_an_operand_is(source: Dtype, weight: Dtype, bias: Dtype, result: Dtype) -> None:
    operands = {"input": local(2, (2, 33, 4, 9), source), "weight": Constant(3, weight)}
    for value in (per_channel(5, 70, bias), Constant(0, bias)):
        instruction = REQUANT.replace(**operands, bias=value, dst=local(0, (2, 70, 4, 9), result))
        assert not instruction.problems(BM1684X) and instruction.encoded(BM1684X)
        for dtype in {u8, i8} - {result}:
            with pytest.raises(OperandConflictError, match="dst of conv"):
                instruction.replace(dst=local(0, (2, 70, 4, 9), dtype)).encoded(BM1684X)
        assert instruction.replace(op=ConvOp.REQUANT_RELU, dst=local(0, (2, 70, 4, 9), u8)).encoded(BM1684X)


def test_absence_is_the_constant_0() -> None:
    absent = FLOAT.replace(bias=None, pad_value=None, insert_value=None)
    zero = FLOAT.replace(bias=Constant.of(0, f32), pad_value=Constant.of(0, f16), insert_value=Constant.of(0, f16))
    assert absent.encoded(BM1684X).record == zero.encoded(BM1684X).record
    assert {use.name for use in absent.operands()} == {"dst", "input", "weight"}
    assert absent.encoded(BM1684X).record != FLOAT.replace(bias=Constant.of(1, f32)).encoded(BM1684X).record


def test_the_partial_sum_is_of_the_type_of_the_sums() -> None:
    assert FLOAT.partial_sum is None and next(use.direction for use in FLOAT.operands()) == "out"
    adding = FLOAT.replace(result_add=True)
    assert adding.partial_sum == local(0, (2, 70, 4, 9), f32) and next(use.direction for use in adding.operands()) == "inout"
    assert INTEGER.partial_sum == INTEGER.dst


def test_macs() -> None:
    assert FLOAT.macs == 2 * 70 * 4 * 9 * 33 * 3 * 3


def test_numbers_that_no_field_holds() -> None:
    with pytest.raises(OperandKindError, match="kernel of conv"):
        FLOAT.replace(kernel=(3, 3, 3)).encoded(BM1684X)
    with pytest.raises(FieldRangeError, match="padding"):
        FLOAT.replace(padding=(1, 16, 1, 1)).encoded(BM1684X)
    with pytest.raises(OperandConflictError, match="kernel"):
        FLOAT.replace(kernel=(3, 2)).encoded(BM1684X)
    with pytest.raises(OperandDtypeError, match="bias"):
        REQUANT.replace(bias=per_channel(5, 70, i32)).encoded(BM1684X)
