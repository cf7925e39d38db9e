"""The DMA units: what their operands are, and what is forbidden."""

from __future__ import annotations

import pytest

from tests.support.dma_breaches import BREACHES, LEGAL
from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import f16, f32, i8, u32
from tpukernel.isa import (
    DmaCwTranspose,
    DmaGather,
    DmaGeneral,
    DmaMaskedSelect,
    DmaMatrix,
    DmaNonzero,
    DmaScatter,
    DmaTensor,
    DmaTensorOp,
    Instruction,
    decode,
    encode,
)
from tpukernel.isa.errors import OperandConflictError, OperandKindError, OperandLayoutError, OperandShapeError

DDR = BM1684X.regions["ddr"].base
UNITS = (DmaTensor, DmaMatrix, DmaMaskedSelect, DmaGeneral, DmaCwTranspose, DmaNonzero, DmaGather, DmaScatter)


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.unit)
def test_every_rule_has_a_breach(unit: type[Instruction]) -> None:
    check_every_rule_is_broken(unit, [breach for breach in BREACHES if isinstance(breach.instruction, unit)])


@pytest.mark.parametrize("instruction", LEGAL, ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: Instruction) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "gdma", encode(BM1684X, [instruction]))
    assert again == instruction and not again.residue


def test_legal_instructions_are_of_every_unit() -> None:
    assert {type(instruction) for instruction in LEGAL} == set(UNITS)


def test_what_a_dma_reads_and_writes() -> None:
    found = {type(instruction): {use.name: use.direction for use in instruction.operands()} for instruction in LEGAL}
    assert found[DmaTensor] == found[DmaMatrix] == found[DmaGeneral] == found[DmaCwTranspose] == {"dst": "out", "src": "in"}
    assert found[DmaGather] == {"dst": "out", "src": "in", "index": "in", "fill": "in"}
    assert found[DmaScatter] == {"dst": "inout", "src": "in", "index": "in"}, "lines that no index names stay"
    assert found[DmaMaskedSelect] == {"dst": "inout", "src": "in", "mask": "in"}, "the end of dst stays"
    assert found[DmaNonzero] == {"dst": "inout", "src": "in"}


def test_bytes_moved() -> None:
    moved = {type(instruction): instruction.bytes_moved for instruction in LEGAL}
    assert moved == {
        DmaTensor: 2 * 5 * 3 * 7 * 4,
        DmaMatrix: 6 * 10 * 4,
        DmaMaskedSelect: 2 * 5 * 3 * 7 * 2,
        DmaGeneral: 4 * 70000 * 2,
        DmaCwTranspose: 2 * 7 * 3 * 5 * 4,
        DmaNonzero: 2 * 5 * 3 * 7 * 4,
        DmaGather: 66 * 4 * 8 * 2,
        DmaScatter: 66 * 9 * 8 * 2,
    }


def test_strides_are_given_for_all_operands_or_for_none() -> None:
    copy = DmaTensor(dst=LocalTensor(0, (1, 2, 3, 4), f32), src=SystemTensor(DDR, (1, 2, 3, 4), f32, (24, 12, 4, 1)))
    with pytest.raises(OperandConflictError, match="the command can only say"):
        copy.encoded(BM1684X)


def test_a_stride_that_has_no_field_must_be_what_the_chip_does() -> None:
    column = DmaCwTranspose(dst=SystemTensor(DDR, (1, 3, 1, 2), f32, (6, 2, 2, 1)), src=SystemTensor(DDR, (1, 2, 1, 3), f32, (6, 3, 3, 2)))
    with pytest.raises(OperandShapeError, match=r"src of dma_cw_transpose has w stride 2, but it must be 1"):
        column.encoded(BM1684X)
    broadcast = DmaTensor(
        op=DmaTensorOp.BROADCAST,
        dst=LocalTensor(0, (1, 2, 3, 4), f32, Layout.FREE, (16, 16, 4, 1)),
        src=SystemTensor(DDR, (1, 1, 3, 4), f32, (12, 12, 4, 1)),
    )
    with pytest.raises(OperandShapeError, match=r"dst of dma.broadcast has c stride 16, but it must be 0"):
        broadcast.encoded(BM1684X)


def test_strides_along_single_elements_do_not_matter() -> None:
    """The stride of n of a gather has no field; there is one n."""
    lines = SystemTensor(DDR, (1, 2, 9, 4), f16, (12345, 36, 4, 1))
    gather = DmaGather(
        dst=LocalTensor(0, (1, 2, 3, 4), f16, Layout.FREE, (777, 32, 4, 1)),
        src=lines,
        index=SystemTensor(DDR + 0x1000, (1, 2, 3, 1), u32, (6, 3, 1, 99)),
        fill=Constant(0, f16),
    )
    assert not gather.problems(BM1684X)
    [again] = decode(BM1684X, "gdma", encode(BM1684X, [gather]))
    assert again == gather
    assert again.src == SystemTensor(DDR, (1, 2, 9, 4), f16, (0, 36, 4, 1))  # type: ignore[attr-defined]


def test_what_the_command_cannot_say_is_refused() -> None:
    shape = (1, 2, 3, 4)
    with pytest.raises(OperandLayoutError, match="dst of dma.copy is COMPACT"):
        DmaTensor(dst=LocalTensor(0, shape, i8, Layout.COMPACT), src=SystemTensor(DDR, shape, i8)).encoded(BM1684X)
    with pytest.raises(OperandLayoutError, match="src of dma_nonzero has strides"):
        DmaNonzero(dst=SystemTensor(DDR, shape, u32), src=SystemTensor(DDR, shape, i8, (24, 12, 4, 1))).encoded(BM1684X)
    with pytest.raises(OperandKindError, match="dma_cw_transpose needs a tensor as src"):
        DmaCwTranspose(dst=SystemTensor(DDR, shape, i8), src=Constant(1, i8)).encoded(BM1684X)  # type: ignore[arg-type]
    with pytest.raises(OperandShapeError, match="dst of dma_general.copy has size h 2, but it must be 1"):
        DmaGeneral(dst=SystemTensor(DDR, (1, 1, 2, 4), i8), src=SystemTensor(DDR, (1, 1, 1, 4), i8)).encoded(BM1684X)
    with pytest.raises(OperandConflictError):
        DmaMaskedSelect(
            dst=SystemTensor(DDR, (1, 1, 1, 24), i8), src=SystemTensor(DDR, shape, i8), mask=SystemTensor(DDR, shape, i8)
        ).encoded(BM1684X)
