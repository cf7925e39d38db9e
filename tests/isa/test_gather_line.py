"""SGL: what is forbidden."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import f16, f32, i16, u8, u16
from tpukernel.isa import GatherLine, GatherLineOp, decode, encode, lane_table
from tpukernel.isa.errors import (
    AttributeRangeError,
    LaneMismatchError,
    OperandAlignmentError,
    OperandConflictError,
    OperandDtypeError,
    OperandShapeError,
)

LANE = BM1684X.lane_bytes


def lines(address: int, shape: Dim4) -> LocalTensor:
    return LocalTensor(address, shape, f16, Layout.LINE_ALIGNED)


GATHER = GatherLine(
    op=GatherLineOp.GATHER,
    dst=lines(0, (2, 70, 3, 7)),
    src=lines(0x4000, (1, 70, 5, 7)),
    index=LocalTensor(0x8000, (2, 70, 3, 1), u8),
    skip_invalid=True,
    fill=Constant.of(2, f16),
)
SCATTER = GatherLine(
    op=GatherLineOp.SCATTER,
    dst=lines(0, (2, 70, 9, 7)),
    src=lane_table(BM1684X, 0x4000, (1, 70, 5, 7), f16, line_aligned=True),
    index=LocalTensor(0x8000, (2, 70, 5, 1), u16),
)
TABLE_AT_2 = lane_table(BM1684X, 0x4002, (1, 70, 5, 7), f16, line_aligned=True)

BREACHES = [
    Breach(GATHER.replace(src=LocalTensor(0x4000, (1, 70, 5, 7), i16, Layout.LINE_ALIGNED)), "types", OperandDtypeError, "src"),
    Breach(GATHER.replace(fill=Constant(0, f32)), "types", OperandDtypeError, "fill"),
    Breach(GATHER.replace(index=LocalTensor(0x8000, (2, 70, 3, 1), i16)), "index_dtype", OperandDtypeError, "index"),
    Breach(GATHER.replace(src=lines(0x4000, (1, 70, 5, 8))), "shapes", OperandShapeError, "src"),
    Breach(SCATTER.replace(index=LocalTensor(0x8000, (2, 70, 9, 1), u16)), "shapes", OperandShapeError, "index"),
    Breach(SCATTER.replace(skip_invalid=True), "exception", AttributeRangeError, "skip_invalid"),
    Breach(GATHER.replace(skip_invalid=False), "exception", AttributeRangeError, "fill"),
    Breach(SCATTER.replace(src=TABLE_AT_2), "aligned", OperandAlignmentError, "src"),
    Breach(GATHER.replace(dst=lines(2, (2, 70, 3, 7))), "placement", OperandAlignmentError, "dst"),
    Breach(GATHER.replace(src=lines(LANE, (1, 70, 5, 7))), "same_lane", LaneMismatchError, "src"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(GatherLine, BREACHES)


@pytest.mark.parametrize("instruction", [GATHER, SCATTER], ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: GatherLine) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


def test_a_table_must_be_line_aligned() -> None:
    with pytest.raises(OperandConflictError, match="src of gather_line.scatter"):
        SCATTER.replace(src=lane_table(BM1684X, 0x4000, (1, 70, 5, 7), f16)).encoded(BM1684X)
