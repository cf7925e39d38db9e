"""TRANS&BC: what is forbidden, layouts, operands in static memory."""

from __future__ import annotations

import pytest

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import f32, i32, u32
from tpukernel.isa import LaneMove, LaneMoveOp, decode, encode
from tpukernel.isa.errors import (
    LaneMismatchError,
    LocalRangeError,
    OperandAlignmentError,
    OperandDtypeError,
    OperandLayoutError,
    OperandShapeError,
    SystemRangeError,
)

LANE = BM1684X.lane_bytes
STATIC = BM1684X.regions["static"].base
LINE, COMPACT = Layout.LINE_ALIGNED, Layout.COMPACT


def local(address: int, shape: Dim4, layout: Layout = Layout.EU_ALIGNED) -> LocalTensor:
    return LocalTensor(address, shape, i32, layout)


CW = LaneMove(op=LaneMoveOp.CW_TRANSPOSE, dst=local(5 * LANE, (2, 20, 3, 5), LINE), src=local(0x4000, (2, 5, 3, 20)))
WC = LaneMove(op=LaneMoveOp.WC_TRANSPOSE, dst=local(0, (2, 20, 3, 5)), src=local(5 * LANE, (2, 5, 3, 20)))
COPY = LaneMove(op=LaneMoveOp.LANE_COPY, dst=local(60 * LANE, (2, 70, 3, 5)), src=local(0x4000, (2, 70, 3, 5)))
BROADCAST = LaneMove(op=LaneMoveOp.LANE_BROADCAST, dst=local(60 * LANE, (2, 4, 3, 5)), src=local(0x4000, (2, 1, 3, 5)))
STATIC_BROADCAST = LaneMove(op=LaneMoveOp.STATIC_BROADCAST, dst=local(0, (1, 64, 1, 10)), src=local(STATIC + 0x400, (1, 1, 1, 10), COMPACT))
DISTRIBUTE = LaneMove(op=LaneMoveOp.STATIC_DISTRIBUTE, dst=local(4, (1, 130, 1, 1), COMPACT), src=local(STATIC, (1, 130, 1, 1), COMPACT))
LEGAL = [CW, WC, COPY, BROADCAST, STATIC_BROADCAST, DISTRIBUTE]

BREACHES = [
    Breach(CW.replace(src=local(0x4000, (2, 5, 3, 21))), "shapes", OperandShapeError, "src"),
    Breach(BROADCAST.replace(src=local(0x4000, (2, 4, 3, 5))), "shapes", OperandShapeError, "src"),
    Breach(COPY.replace(src=local(0x4000, (2, 71, 3, 5))), "shapes", OperandShapeError, "src"),
    Breach(
        STATIC_BROADCAST.replace(dst=local(0, (1, 64, 2, 10)), src=local(STATIC, (1, 1, 2, 10), COMPACT)),
        "shapes",
        OperandShapeError,
        "dst",
    ),
    Breach(
        DISTRIBUTE.replace(dst=local(4, (1, 130, 1, 2), COMPACT), src=local(STATIC, (1, 130, 1, 2), COMPACT)),
        "shapes",
        OperandShapeError,
        "dst",
    ),
    Breach(COPY.replace(src=LocalTensor(0x4000, (2, 70, 3, 5), f32)), "types", OperandDtypeError, "src"),
    Breach(CW.replace(src=local(LANE, (2, 5, 3, 20))), "lanes", LaneMismatchError, "src"),
    Breach(WC.replace(dst=local(LANE, (2, 20, 3, 5))), "lanes", LaneMismatchError, "dst"),
    Breach(DISTRIBUTE.replace(dst=local(LANE, (1, 130, 1, 1), COMPACT)), "lanes", LaneMismatchError, "dst"),
    Breach(BROADCAST.replace(dst=local(61 * LANE, (2, 4, 3, 5))), "lanes", LaneMismatchError, "dst"),
    Breach(STATIC_BROADCAST.replace(dst=local(LANE, (1, 64, 1, 10))), "lanes", LaneMismatchError, "dst"),
    Breach(
        STATIC_BROADCAST.replace(src=local(STATIC + 0x3FC0, (1, 1, 1, 17), COMPACT), dst=local(0, (1, 64, 1, 17))),
        "static_range",
        SystemRangeError,
        "src",
    ),
    Breach(STATIC_BROADCAST.replace(src=local(0x400, (1, 1, 1, 10), COMPACT)), "static_range", SystemRangeError, "src"),
    Breach(STATIC_BROADCAST.replace(src=local(STATIC + 4, (1, 1, 1, 10), COMPACT)), "aligned", OperandAlignmentError, "src"),
    Breach(COPY.replace(dst=local(4, (2, 70, 3, 5))), "placement", OperandAlignmentError, "dst"),
    Breach(COPY.replace(dst=local(LANE - 64, (2, 70, 3, 5))), "placement", LocalRangeError, "dst"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(LaneMove, BREACHES)


@pytest.mark.parametrize("instruction", LEGAL, ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: LaneMove) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


def test_sign_does_not_matter() -> None:
    unsigned = COPY.replace(src=LocalTensor(0x4000, (2, 70, 3, 5), u32))
    assert not unsigned.problems(BM1684X) and unsigned.encoded(BM1684X).record == COPY.encoded(BM1684X).record


def test_another_layout_is_refused() -> None:
    with pytest.raises(OperandLayoutError, match="dst of move.cw_transpose is EU_ALIGNED"):
        CW.replace(dst=local(0, (2, 20, 3, 5))).encoded(BM1684X)
    with pytest.raises(OperandLayoutError, match="src of move.static_broadcast is EU_ALIGNED"):
        STATIC_BROADCAST.replace(src=local(STATIC, (1, 1, 1, 10))).encoded(BM1684X)
