"""SG: what is forbidden, shared banks, tables in every lane."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import f16, f32, i8, i32, u8, u16, u32
from tpukernel.isa import Gather, GatherOp, decode, encode, lane_table, share_bank
from tpukernel.isa.errors import (
    AttributeRangeError,
    LaneMismatchError,
    LocalRangeError,
    OperandAlignmentError,
    OperandConflictError,
    OperandDtypeError,
    OperandKindError,
    OperandLayoutError,
    OperandShapeError,
)

LANE, BANK = BM1684X.lane_bytes, BM1684X.bank_bytes
COMPACT = Layout.COMPACT


def local(bank: int, shape: Dim4, layout: Layout = Layout.EU_ALIGNED) -> LocalTensor:
    return LocalTensor(bank * BANK, shape, f32, layout)


def index(bank: int, shape: Dim4, layout: Layout = Layout.EU_ALIGNED) -> LocalTensor:
    return LocalTensor(bank * BANK, shape, u16, layout)


BATCH = Gather(op=GatherOp.BATCH_GATHER, dst=local(0, (2, 70, 1, 9)), src=local(1, (1, 70, 1, 20)), index=index(2, (2, 70, 1, 9)))
SCATTER = Gather(
    op=GatherOp.BATCH_SCATTER,
    dst=local(0, (2, 70, 1, 9)),
    src=lane_table(BM1684X, BANK, (1, 70, 1, 4), f32),
    index=index(2, (2, 70, 1, 4)),
)
GATHER_W = Gather(
    op=GatherOp.GATHER_W,
    dst=local(0, (2, 70, 1, 9)),
    src=local(1, (2, 70, 1, 20)),
    index=LocalTensor(7 * LANE, (1, 9, 1, 1), u8, COMPACT),
    skip_invalid=True,
    fill=Constant.of(1, f32),
)
GATHER_HW = Gather(op=GatherOp.GATHER_HW, dst=local(0, (1, 7, 1, 9)), src=local(1, (1, 7, 5, 20)), index=index(2, (1, 9, 1, 2), COMPACT))
SCATTER_HW = Gather(op=GatherOp.SCATTER_HW, dst=local(0, (1, 7, 5, 20)), src=local(1, (1, 7, 1, 9)), index=index(2, (1, 9, 1, 2), COMPACT))
SELECT = Gather(
    op=GatherOp.MASK_SELECT,
    dst=local(0, (2, 70, 1, 9)),
    src=local(1, (1, 70, 1, 9)),
    mask=LocalTensor(2 * BANK, (2, 70, 1, 9), u32),
    count=index(3, (2, 70, 1, 1), COMPACT),
)
LINES = Layout.LINE_ALIGNED
BANKS = Gather(
    op=GatherOp.BATCH_GATHER_BANKS, dst=local(4, (1, 70, 1, 9)), src=local(8, (1, 70, 1, 20), LINES), index=index(0, (1, 70, 1, 9))
)
TABLE_IN_BANKS = BANKS.replace(src=lane_table(BM1684X, 9 * BANK, (1, 70, 1, 20), f32))
LEGAL = [BATCH, SCATTER, GATHER_W, GATHER_HW, SCATTER_HW, SELECT, BANKS, TABLE_IN_BANKS]

BREACHES = [
    Breach(BATCH.replace(index=None), "operands", OperandKindError, "index"),
    Breach(SELECT.replace(count=None), "operands", OperandKindError, "count"),
    Breach(BATCH.replace(count=index(3, (2, 70, 1, 1), COMPACT)), "operands", OperandKindError, "count"),
    Breach(BATCH.replace(src=LocalTensor(BANK, (1, 70, 1, 20), i32)), "types", OperandDtypeError, "src"),
    Breach(GATHER_W.replace(fill=Constant(1, f16)), "types", OperandDtypeError, "fill"),
    Breach(BATCH.replace(index=LocalTensor(2 * BANK, (2, 70, 1, 9), u32)), "index_dtype", OperandDtypeError, "index"),
    Breach(SELECT.replace(mask=LocalTensor(2 * BANK, (2, 70, 1, 9), i8)), "mask_dtype", OperandDtypeError, "mask"),
    Breach(BATCH.replace(src=local(1, (2, 70, 1, 20))), "shapes", OperandShapeError, "src"),
    Breach(BATCH.replace(index=index(2, (2, 70, 1, 8))), "shapes", OperandShapeError, "index"),
    Breach(SCATTER.replace(index=index(2, (2, 70, 1, 9))), "shapes", OperandShapeError, "index"),
    Breach(GATHER_W.replace(index=LocalTensor(2 * BANK, (1, 9, 1, 2), u8, COMPACT)), "shapes", OperandShapeError, "index"),
    Breach(GATHER_HW.replace(dst=local(0, (1, 7, 2, 9))), "shapes", OperandShapeError, "dst"),
    Breach(SELECT.replace(src=local(1, (1, 70, 1, 8))), "shapes", OperandShapeError, "src"),
    Breach(BANKS.replace(dst=local(4, (2, 70, 1, 9)), index=index(0, (2, 70, 1, 9))), "shapes", OperandShapeError, "dst"),
    Breach(BANKS.replace(dst=local(3, (1, 70, 1, 9))), "banks", LocalRangeError, "dst"),
    Breach(BANKS.replace(index=index(4, (1, 70, 1, 9))), "banks", LocalRangeError, "index"),
    Breach(BANKS.replace(src=local(7, (1, 70, 1, 20), LINES)), "banks", LocalRangeError, "src"),
    Breach(BANKS.replace(src=local(9, (1, 70, 1, BANK // 8), LINES)), "banks", LocalRangeError, "src"),
    Breach(BANKS.replace(src=local(8, (1, 70, 1, 20))), "src_layout", OperandLayoutError, "src"),
    Breach(BATCH.replace(src=local(1, (1, 70, 1, 20), LINES)), "src_layout", OperandLayoutError, "src"),
    Breach(SCATTER.replace(skip_invalid=True), "exception", AttributeRangeError, "skip_invalid"),
    Breach(GATHER_W.replace(skip_invalid=False), "exception", AttributeRangeError, "fill"),
    Breach(BATCH.replace(index=index(1, (2, 70, 1, 9))), "shared_bank", AttributeRangeError, "op"),
    Breach(SELECT.replace(count=index(1, (2, 70, 1, 1), COMPACT)), "shared_bank", AttributeRangeError, "op"),
    Breach(SCATTER.replace(src=lane_table(BM1684X, BANK + 4, (1, 70, 1, 4), f32)), "aligned", OperandAlignmentError, "src"),
    Breach(GATHER_W.replace(index=LocalTensor(2 * BANK + 1, (1, 9, 1, 1), u8, COMPACT)), "aligned", OperandAlignmentError, "index"),
    Breach(BATCH.replace(dst=LocalTensor(4, (2, 70, 1, 9), f32)), "placement", OperandAlignmentError, "dst"),
    Breach(BATCH.replace(index=index(2 + 16, (2, 70, 1, 9))), "same_lane", LaneMismatchError, "index"),
    Breach(GATHER_W.replace(src=local(1 + 16, (2, 70, 1, 20))), "same_lane", LaneMismatchError, "src"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Gather, BREACHES)


@pytest.mark.parametrize("instruction", LEGAL, ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: Gather) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 3000)), min_size=2, max_size=4))
def test_shared_banks_are_found_byte_by_byte(places: list[tuple[int, int]]) -> None:
    tensors = [LocalTensor(start * 64, (1, 1, 1, size), u8) for start, size in places]
    used = [{byte // BANK for byte in range(start * 64, start * 64 + -(-size // 64) * 64)} for start, size in places]
    shared = any(used[a] & used[b] for a in range(len(used)) for b in range(a))
    assert share_bank(BM1684X, *tensors) is shared


def test_directions() -> None:
    directions = {instruction.title: next(use.direction for use in instruction.operands() if use.name == "dst") for instruction in LEGAL}
    assert directions == {
        "gather.batch_gather": "out",
        "gather.batch_scatter": "inout",
        "gather.gather_w": "out",
        "gather.gather_hw": "out",
        "gather.scatter_hw": "inout",
        "gather.mask_select": "inout",
        "gather.batch_gather_banks": "out",
    }
    kept = GATHER_W.replace(fill=None)
    assert next(use.direction for use in kept.operands() if use.name == "dst") == "inout"


def test_an_operand_that_the_operation_lacks_cannot_be_encoded() -> None:
    with pytest.raises(OperandConflictError, match="count of gather.batch_gather"):
        BATCH.replace(count=index(3, (2, 70, 1, 1), COMPACT)).encoded(BM1684X)


def test_the_copies_of_a_gather_from_four_banks_are_operands() -> None:
    copies = {use.name: use.value for use in BANKS.operands() if use.name.startswith("src_copy")}
    assert copies == {f"src_copy{number}": local(8 + 2 * number, (1, 70, 1, 20), LINES) for number in (1, 2, 3)}
