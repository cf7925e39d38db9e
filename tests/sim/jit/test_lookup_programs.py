"""Commands that move by index between others, on one thread and on several: what runs, and where it stops."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from tests.support.differential import CHIP
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import f16, i8, i32, u8, u32
from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.dma_gather import DmaGather
from tpukernel.isa.dma_masked_select import DmaMaskedSelect
from tpukernel.isa.dma_nonzero import DmaNonzero
from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.isa.gather import Gather, GatherOp
from tpukernel.isa.gather_line import GatherLine, GatherLineOp
from tpukernel.isa.index import IndexGen, IndexGenOp
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.jit import plan_of
from tpukernel.sim.machine import Machine

COUNT, ENTRIES, ROWS, WIDTH = 3000, 250, 200, 300
DDR, BANK = CHIP.regions["ddr"].base, CHIP.bank_bytes
SHAPE = (1, 64, 1, COUNT)
INDEX = LocalTensor(4 * BANK, SHAPE, u8)
MOVED, TABLE = LocalTensor(0, SHAPE, f16), LocalTensor(2 * BANK, (1, 64, 1, ENTRIES), f16)
LINES, LINE_INDEX = LocalTensor(8 * BANK, (1, 64, 40, 64), f16, Layout.LINE_ALIGNED), LocalTensor(10 * BANK, (1, 64, 40, 1), u8)
PICKED = LocalTensor(12 * BANK, LINES.shape, f16, Layout.LINE_ALIGNED)
EMBEDDING, NUMBERS = SystemTensor(DDR, (1, 1, ROWS, WIDTH), f16), SystemTensor(DDR + (1 << 20), (1, 1, COUNT, 1), u32)
FOUND, PACKED = (SystemTensor(DDR + place, (1, 1, COUNT, WIDTH), f16) for place in (2 << 20, 4 << 20))
MASK, WHERE = SystemTensor(DDR + (6 << 20), FOUND.shape, i8), SystemTensor(DDR + (7 << 20), FOUND.shape, i32)


def commands() -> list[Instruction]:
    """Work of about a millisecond, in which each command needs those before it."""
    return [
        IndexGen(op=IndexGenOp.ELEMENT, dst=LocalTensor(14 * BANK, (1, 64, 1, COUNT), i32)),
        Gather(op=GatherOp.BATCH_GATHER, dst=MOVED, src=TABLE, index=INDEX),
        Arith(op=ArithOp.ADD, dst=MOVED, src0=MOVED, src1=MOVED),
        Gather(op=GatherOp.BATCH_SCATTER, dst=TABLE, src=MOVED, index=INDEX),
        GatherLine(op=GatherLineOp.GATHER, dst=PICKED, src=LINES, index=LINE_INDEX),
        Gather(op=GatherOp.BATCH_GATHER, dst=MOVED, src=TABLE, index=INDEX),
        DmaGather(dst=FOUND, src=EMBEDDING, index=NUMBERS, fill=Constant(7, f16)),
        DmaScatter(dst=EMBEDDING, src=FOUND, index=NUMBERS),
        DmaMaskedSelect(dst=PACKED, src=FOUND, mask=MASK),
        DmaNonzero(dst=WHERE, src=MASK, base_index=5),
    ]


def machine(threads: int, entries: int = ENTRIES) -> Machine:
    """A machine with random contents, and indices of that many entries."""
    chip, rng = Machine(CHIP, threads, ddr_bytes=16 << 20), np.random.default_rng(1)
    image = chip.memory.image("lmem")
    image[:] = rng.integers(0, 0x7A, image.shape, np.uint8)
    chip.memory.image("ddr")[:] = rng.integers(0, 0x7A, 16 << 20, np.uint8)
    chip.load(INDEX, rng.integers(0, entries, SHAPE).astype(np.uint8))
    chip.load(LINE_INDEX, rng.integers(0, 40, LINE_INDEX.shape).astype(np.uint8))
    chip.load(NUMBERS, rng.integers(0, ROWS + 5, NUMBERS.shape).astype(np.uint32))
    chip.load(MASK, rng.integers(0, 2, MASK.shape).astype(np.int8))
    return chip


def program() -> Program:
    """One engine behind the other."""
    made = Program(CHIP)
    for command in commands():
        made.append(command)
    return made


def run(engine: Literal["interpreter", "jit"], threads: int, entries: int) -> tuple[str, list[bytes]]:
    """The error, if there is one, and the memories behind the run."""
    chip, made, text = machine(threads, entries), program(), ""
    assert all(plan_of(made, chip.memory).native)
    try:
        chip.run(made, engine, check=False)
    except ExecutionError as error:
        text = str(error)
    return text, [chip.memory.image(space).tobytes() for space in ("lmem", "ddr")]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("entries", [ENTRIES, ENTRIES + 1])
def test_the_native_engine_does_what_the_interpreter_does(entries: int, threads: int) -> None:
    text, memories = run("interpreter", 1, entries)
    assert ("but the table src has" in text) == (entries > ENTRIES)
    assert run("jit", threads, entries) == (text, memories)
