"""SYS and DMA_sys: commands without data, and the end of a stream."""

from __future__ import annotations

import pytest

from tpukernel import BM1684X
from tpukernel.isa import DmaSys, DmaSysOp, Instruction, Sys, SysOp, decode, encode

EVERY: tuple[Instruction, ...] = (*(Sys(op=op, id=7, depends=3) for op in SysOp), *(DmaSys(op=op, id=7, depends=3) for op in DmaSysOp))


@pytest.mark.parametrize("instruction", EVERY, ids=lambda instruction: instruction.title)
def test_commands_come_back(instruction: Instruction) -> None:
    data = encode(BM1684X, [instruction])
    [again] = decode(BM1684X, instruction.engine, data)
    assert again == instruction and (again.id, again.depends) == (7, 3) and not again.residue
    assert len(data) == (BM1684X.stream_alignment if instruction.is_end else 16)


@pytest.mark.parametrize("instruction", EVERY, ids=lambda instruction: instruction.title)
def test_they_touch_no_memory_and_are_always_legal(instruction: Instruction) -> None:
    assert not list(instruction.operands()) and not instruction.problems(BM1684X)
    assert instruction.macs == instruction.bytes_moved == 0


def test_only_the_end_commands_end_a_stream() -> None:
    assert [instruction.title for instruction in EVERY if instruction.is_end] == ["sys.end", "dma_sys.end"]


def test_the_end_command_of_the_tiu_is_without_the_flag_of_its_number() -> None:
    """The bytes that the official library closes its streams with."""
    assert encode(BM1684X, [Sys(op=SysOp.END, id=2)])[:8] == bytes.fromhex("0400000000fe0300")
    assert encode(BM1684X, [DmaSys(op=DmaSysOp.END, id=1)])[:8] == bytes.fromhex("2802000006000000")
    assert [Sys(op=op, id=1).encoded(BM1684X)["cmd_id_en"] for op in (SysOp.NOP, SysOp.SWR, SysOp.END)] == [1, 1, 0]
