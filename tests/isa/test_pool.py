"""PorD: what is forbidden, and what the forms of the operands mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Pool, PoolOp, Rounding, decode, encode
from tpukernel.isa.errors import (
    AttributeRangeError,
    LaneMismatchError,
    OperandAlignmentError,
    OperandConflictError,
    OperandDtypeError,
    OperandKindError,
    OperandShapeError,
)

BANK = BM1684X.bank_bytes


def local(bank: int, shape: Dim4, dtype: Dtype, layout: Layout = Layout.EU_ALIGNED) -> LocalTensor:
    return LocalTensor(bank * BANK, shape, dtype, layout)


def per_channel(bank: int, dtype: Dtype, count: int = 1) -> LocalTensor:
    return local(bank, (1, 70, 1, count), dtype, Layout.COMPACT)


FLOAT = Pool(
    op=PoolOp.DEPTHWISE,
    dst=local(0, (2, 70, 4, 9), f16),
    input=local(2, (2, 70, 8, 9), f16),
    weight=local(4, (1, 70, 3, 3), f16, Layout.COMPACT),
    bias=per_channel(5, f16),
    kernel=(3, 3),
    padding=(1, 1, 1, 1),
    stride=(2, 1),
)
ROTATED = FLOAT.replace(kernel_rotate=True, weight=Constant.of(2, f16))
INTEGER = Pool(
    op=PoolOp.DEPTHWISE,
    dst=local(0, (2, 70, 4, 9), i16),
    input=local(2, (2, 70, 4, 9), u8),
    weight=Constant(3, i8),
    bias=per_channel(5, i32),
    pad_value=per_channel(6, u8, 2),
    insert_value=Constant(255, u8),
    kernel=(1, 1),
    right_shift=7,
    rounding=Rounding.UP,
)
RELU = INTEGER.replace(op=PoolOp.DEPTHWISE_RELU, dst=local(0, (2, 70, 4, 9), u32), bias=None, pad_value=Constant(9, u8))
AVERAGE = Pool(
    op=PoolOp.AVG_POOL,
    dst=local(0, (2, 70, 8, 9), u8),
    input=local(2, (2, 70, 4, 9), u8),
    scale=Constant(85, u8),
    kernel=(3, 1),
    padding=(1, 1, 0, 0),
    insert=(2, 0),
    dilation=(2, 1),
    right_shift=8,
)
MAX = Pool(
    op=PoolOp.MAX_POOL,
    dst=local(0, (2, 70, 4, 9), bf16),
    input=local(2, (2, 70, 4, 9), bf16),
    pad_value=Constant.of(-8.0, bf16),
    kernel=(3, 3),
    padding=(1, 1, 1, 1),
)
ROI = {"roi": local(7, (1, 100, 1, 4), u16, Layout.COMPACT), "outside_value": Constant(3, u8), "kernel": (2, 2)}
ROI_MAX = Pool(op=PoolOp.ROI_MAX_POOL, dst=local(0, (2, 70, 1, 100), u8), input=local(2, (2, 70, 4, 9), u8), **ROI)  # type: ignore[arg-type]
ROI_AVERAGE = ROI_MAX.replace(op=PoolOp.ROI_AVG_POOL, scale=Constant(9, u8), dst=local(0, (2, 70, 1, 100), u16))
ROI_DEPTHWISE = ROI_MAX.replace(op=PoolOp.ROI_DEPTHWISE, weight=Constant(9, i8), dst=local(0, (2, 70, 1, 100), i16))
ROI_FLOAT = ROI_MAX.replace(dst=local(0, (2, 70, 1, 100), f32), input=local(2, (2, 70, 4, 9), f32), outside_value=Constant.of(1.5, f32))
LEGAL = [FLOAT, ROTATED, INTEGER, RELU, AVERAGE, MAX, ROI_MAX, ROI_AVERAGE, ROI_DEPTHWISE, ROI_FLOAT]

BREACHES = [
    Breach(FLOAT.replace(weight=None), "operands", OperandKindError, "weight"),
    Breach(INTEGER.replace(rounding=None), "operands", OperandKindError, "rounding"),
    Breach(FLOAT.replace(rounding=Rounding.UP), "operands", OperandKindError, "rounding"),
    Breach(AVERAGE.replace(scale=None), "operands", OperandKindError, "scale"),
    Breach(AVERAGE.replace(bias=per_channel(5, i32)), "operands", OperandKindError, "bias"),
    Breach(MAX.replace(scale=Constant(1, bf16)), "operands", OperandKindError, "scale"),
    Breach(ROI_MAX.replace(roi=None), "operands", OperandKindError, "roi"),
    Breach(ROI_MAX.replace(outside_value=None), "operands", OperandKindError, "outside_value"),
    Breach(ROI_MAX.replace(pad_value=Constant(1, u8)), "operands", OperandKindError, "pad_value"),
    Breach(ROI_MAX.replace(insert_value=Constant(1, u8)), "operands", OperandKindError, "insert_value"),
    Breach(FLOAT.replace(dst=local(0, (2, 70, 4, 9), f32)), "dtypes", OperandDtypeError, "dst"),
    Breach(FLOAT.replace(op=PoolOp.DEPTHWISE_RELU), "dtypes", OperandDtypeError, "input"),
    Breach(MAX.replace(input=local(2, (2, 70, 4, 9), i16)), "dtypes", OperandDtypeError, "input"),
    Breach(ROI_AVERAGE.replace(dst=local(0, (2, 70, 1, 100), u8)), "dtypes", OperandDtypeError, "dst"),
    Breach(MAX.replace(padding=(16, 1, 1, 1), dst=local(0, (2, 70, 19, 9), bf16)), "ranges", AttributeRangeError, "padding"),
    Breach(FLOAT.replace(stride=(0, 1), dst=local(0, (2, 70, 8, 9), f16)), "ranges", AttributeRangeError, "stride"),
    Breach(AVERAGE.replace(right_shift=33), "right_shift_range", AttributeRangeError, "right_shift"),
    Breach(MAX.replace(dst=local(0, (2, 70, 4, 10), bf16)), "window", OperandShapeError, "dst"),
    Breach(ROI_MAX.replace(dst=local(0, (2, 70, 2, 100), u8)), "regions", OperandShapeError, "dst"),
    Breach(FLOAT.replace(dst=LocalTensor(4, (2, 70, 4, 9), f16)), "placement", OperandAlignmentError, "dst"),
    Breach(
        INTEGER.replace(pad_value=LocalTensor(6 * BANK + 1, (1, 70, 1, 2), u8, Layout.COMPACT)),
        "aligned",
        OperandAlignmentError,
        "pad_value",
    ),
    Breach(ROI_MAX.replace(roi=LocalTensor(7 * BANK + 4, (1, 100, 1, 4), u16, Layout.COMPACT)), "aligned", OperandAlignmentError, "roi"),
    Breach(ROI_MAX.replace(roi=local(7 + 16, (1, 100, 1, 4), u16, Layout.COMPACT)), "lane_0", LaneMismatchError, "roi"),
    Breach(FLOAT.replace(bias=per_channel(5 + 16, f16)), "same_lane", LaneMismatchError, "bias"),
    Breach(INTEGER.replace(pad_value=per_channel(6 + 16, u8, 2)), "same_lane", LaneMismatchError, "pad_value"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Pool, BREACHES)


@pytest.mark.parametrize("instruction", LEGAL, ids=range(len(LEGAL)))
def test_legal_instructions_come_back(instruction: Pool) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


def test_a_lane_other_than_0_is_for_everything_but_the_regions() -> None:
    moved = {
        operand.name: replace(operand.value, address=operand.value.address + 5 * BM1684X.lane_bytes)
        for operand in ROI_MAX.operands()
        if isinstance(operand.value, LocalTensor) and operand.name != "roi"
    }
    assert moved.keys() == {"dst", "input"} and not ROI_MAX.replace(**moved).problems(BM1684X)


@pytest.mark.parametrize(
    ("source", "weight", "bias", "result"), [(u8, u8, u32, u8), (i8, u8, u32, i8), (u8, i8, u32, i8), (u8, u8, i32, i8)]
)
def test_results_are_signed_when_an_operand_is(source: Dtype, weight: Dtype, bias: Dtype, result: Dtype) -> None:
    instruction = INTEGER.replace(
        input=local(2, (2, 70, 4, 9), source),
        weight=Constant(3, weight),
        bias=per_channel(5, bias),
        pad_value=None,
        insert_value=None,
        dst=local(0, (2, 70, 4, 9), result),
    )
    assert not instruction.problems(BM1684X) and instruction.encoded(BM1684X)
    with pytest.raises(OperandConflictError, match="dst of pool"):
        instruction.replace(dst=local(0, (2, 70, 4, 9), i8 if result == u8 else u8)).encoded(BM1684X)
    assert instruction.replace(op=PoolOp.DEPTHWISE_RELU, dst=local(0, (2, 70, 4, 9), u8)).encoded(BM1684X)


def test_a_shift_that_is_absent_is_0() -> None:
    assert AVERAGE.replace(right_shift=None).encoded(BM1684X).record == AVERAGE.replace(right_shift=0).encoded(BM1684X).record


def test_attributes_that_the_operation_lacks_cannot_be_encoded() -> None:
    for change in ({"stride": (2, 2)}, {"padding": (1, 0, 0, 0)}, {"right_shift": 3}, {"rounding": Rounding.UP}):
        with pytest.raises((OperandConflictError, OperandKindError), match=next(iter(change))):
            ROI_MAX.replace(**change).encoded(BM1684X)


def test_macs() -> None:
    assert FLOAT.macs == 2 * 70 * 4 * 9 * 3 * 3 and MAX.macs == 0 and AVERAGE.macs == 2 * 70 * 8 * 9 * 3
