"""SEG: the one golden case, and what is forbidden."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.golden import golden_case
from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.layout import byte_offsets
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import f32, i32
from tpukernel.isa import IndexGen, IndexGenOp, decode, encode
from tpukernel.isa.errors import AttributeRangeError, OperandAlignmentError, OperandDtypeError

INDEX = IndexGen(op=IndexGenOp.ELEMENT, dst=LocalTensor(0x100, (1, 40, 1, 20), i32), id=1)

BREACHES = [
    Breach(INDEX.replace(dst=LocalTensor(0x100, (1, 40, 1, 20), f32)), "dst_dtype", OperandDtypeError, "dst"),
    Breach(INDEX.replace(dst=LocalTensor(0x104, (1, 40, 1, 20), i32)), "placement", OperandAlignmentError, "dst"),
    Breach(INDEX.replace(op=IndexGenOp.LANE), "not_reproducible", AttributeRangeError, "op"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(IndexGen, BREACHES)


def test_the_golden_memory_has_the_numbers_where_the_operand_is() -> None:
    case = golden_case("x84_145")
    [instruction] = decode(BM1684X, "tiu", case.tiu)
    assert instruction == INDEX and encode(BM1684X, [INDEX]) == case.tiu
    memory = {run.offset + k: byte for run in case.expected["lmem"] for k, byte in enumerate(run.data.tolist())}
    offsets = byte_offsets(BM1684X, INDEX.dst)
    found = [[memory.get(int(offset), -1) for offset in row] for row in offsets[0, :, 0]]
    assert np.array_equal(found, np.broadcast_to(np.arange(20), (40, 20)))
