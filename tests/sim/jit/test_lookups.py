"""Quantisation and the units that move elements by index give the interpreter's bits, and its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Literal

import numpy as np
import pytest

from tests.support.differential import CASES, CHIP, Arena, Case
from tests.support.native import Comparison
from tests.support.places import DMA_DTYPES, LOCAL, ROUTES, SYSTEM, Places, line_index
from tests.vendor import test_sim_dma_cw_transpose as dma_cw_transpose
from tests.vendor import test_sim_dma_gather as dma_gather
from tests.vendor import test_sim_dma_masked_select as dma_masked_select
from tests.vendor import test_sim_dma_nonzero as dma_nonzero
from tests.vendor import test_sim_dma_scatter as dma_scatter
from tests.vendor import test_sim_gather as gather
from tests.vendor import test_sim_gather_line as gather_line
from tests.vendor import test_sim_quant as quant
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import Dtype, i8, i16, i32, u8, u16, u32
from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.isa.dma_gather import DmaGather
from tpukernel.isa.gather import Gather, GatherOp
from tpukernel.isa.gather_line import GatherLine, GatherLineOp
from tpukernel.isa.index import IndexGen, IndexGenOp
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.isa.quant import QuantOp
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.jit import plan_of
from tpukernel.sim.machine import Machine
from tpukernel.sim.memory import Array

INDEX_DTYPES = (u8, u16)


def check(comparison: Comparison, cases: Iterable[Case | Instruction]) -> None:
    """All run natively, and leave what the interpreter leaves."""
    comparison.interpreted.clear()
    found: list[str] = []
    for case in cases:
        case = case if isinstance(case, Case) else Case(case)
        found += comparison.differences([case.instruction], **case.values)
    assert found == []
    assert comparison.interpreted == []


@pytest.mark.parametrize("make", [quant.with_constants, quant.with_table], ids=["constants", "table"])
@pytest.mark.parametrize(("op", "dst", "src"), quant.PAIRS, ids=str)
def test_quant(
    comparison: Comparison, op: QuantOp, dst: Dtype, src: Dtype, make: Callable[[Random, QuantOp, Dtype, Dtype], Case | Instruction]
) -> None:
    rng = Random(f"{op.name} {dst} {src}")
    check(comparison, (make(rng, op, dst, src) for _ in range(CASES)))


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("op", gather.ONE_INDEX, ids=lambda op: op.name)
def test_one_index(comparison: Comparison, op: GatherOp, dtype: Dtype) -> None:
    rng = Random(f"{op.name} {dtype}")
    check(comparison, (gather.one_index(rng, op, dtype, index) for index in INDEX_DTYPES for _ in range(CASES)))


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("op", gather.BATCHES, ids=lambda op: op.name)
def test_batches(comparison: Comparison, op: GatherOp, shared: bool, dtype: Dtype) -> None:
    rng = Random(f"{op.name} {shared} {dtype}")
    check(comparison, (gather.batch(rng, op, shared, dtype, index) for index in INDEX_DTYPES for _ in range(CASES)))


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("shared", [False, True])
def test_select(comparison: Comparison, shared: bool, dtype: Dtype) -> None:
    rng = Random(f"{shared} {dtype}")
    check(comparison, (gather.select(rng, shared, dtype, mask) for mask in (u8, u16, u32) for _ in range(CASES)))


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
def test_four_banks(comparison: Comparison, dtype: Dtype) -> None:
    rng = Random(f"{dtype}")
    check(comparison, (gather.four_banks(rng, dtype, index) for index in INDEX_DTYPES for _ in range(CASES)))


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("op", GatherLineOp, ids=lambda op: op.name)
def test_lines(comparison: Comparison, op: GatherLineOp, dtype: Dtype) -> None:
    rng = Random(f"{op.name} {dtype}")
    check(comparison, (gather_line.lines(rng, op, dtype, index) for index in INDEX_DTYPES for _ in range(CASES)))


@pytest.mark.parametrize("index", [LOCAL, SYSTEM])
@pytest.mark.parametrize(("dst", "src"), ROUTES)
@pytest.mark.parametrize("make", [dma_gather.gather, dma_scatter.scatter], ids=["gather", "scatter"])
def test_dma_lines(comparison: Comparison, make: Callable[[Random, str, str, str, Dtype], Case], dst: str, src: str, index: str) -> None:
    rng = Random(f"{make.__name__} {dst} {src} {index}")
    check(comparison, (make(rng, dst, src, index, dtype) for dtype in DMA_DTYPES for _ in range(CASES)))


@pytest.mark.parametrize(("dst", "src"), ROUTES)
def test_dma_cw_transpose(comparison: Comparison, dst: str, src: str) -> None:
    rng = Random(f"{dst} {src}")
    drawn = (dma_cw_transpose.exchange(rng, dst, src, dtype) for dtype in DMA_DTYPES for _ in range(2 * CASES))
    check(comparison, filter(has_places, drawn))


def has_places(command: DmaCwTranspose) -> bool:
    """Every element of the result has a place of its own; the order in which others are written is the interpreter's."""
    return command.dst.strides is None or 0 not in command.dst.strides


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize(("src", "mask"), [(LOCAL, LOCAL), (LOCAL, SYSTEM), (SYSTEM, LOCAL), (SYSTEM, SYSTEM)])
def test_dma_masked_select(comparison: Comparison, src: str, mask: str, dtype: Dtype) -> None:
    rng = Random(f"{src} {mask} {dtype}")
    check(comparison, (dma_masked_select.select(rng, src, mask, dtype, masks) for masks in (i8, i16, i32) for _ in range(CASES)))


@pytest.mark.parametrize("dtype", [i8, i16, i32], ids=str)
@pytest.mark.parametrize("src", [LOCAL, SYSTEM])
def test_dma_nonzero(comparison: Comparison, src: str, dtype: Dtype) -> None:
    rng = Random(f"{src} {dtype}")
    check(comparison, (dma_nonzero.positions(rng, src, dtype, numbers) for numbers in (i8, i16, i32) for _ in range(CASES)))


def test_index(comparison: Comparison) -> None:
    rng = Random(1)
    shapes = [(1, rng.choice((1, 3, 64, 70, 130)), 1, rng.randint(1, 170)) for _ in range(20)]
    check(comparison, (IndexGen(op=IndexGenOp.ELEMENT, dst=Arena(rng).tensor(shape, rng.choice((i32, u32)))) for shape in shapes))


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("dst", [LOCAL, SYSTEM])
def test_many_lines(comparison: Comparison, dst: str, dtype: Dtype) -> None:
    rng = Random(f"{dst} {dtype}")
    check(comparison, (many_lines(rng, dst, dtype) for _ in range(CASES)))


def many_lines(rng: Random, dst: str, dtype: Dtype) -> Case:
    """So many that several threads could share them, and of every width."""
    places, c, count, rows, w = Places(rng), rng.randint(1, 3), rng.randint(100, 400), rng.randint(1, 300), rng.randint(1, 150)
    shape = (1, rng.choice((1, c)), count, 1)
    command = DmaGather(
        dst=places.operand(dst, (1, c, count, w), dtype),
        src=places.operand(SYSTEM, (1, c, rows, w), dtype),
        index=places.operand(SYSTEM, shape, u32, unit=4),
        fill=places.constant(dtype),
    )
    return Case(command, {"index": line_index(rng, shape, rows)})


# ---------------------------------------------------------------------------- indices that name nothing

COUNT, ENTRIES = 150, 120
FAR = CHIP.bank_bytes


def elements(op: GatherOp, dtype: Dtype, *, skips: bool = False) -> Gather:
    """A command whose table has `ENTRIES` entries and whose index names `COUNT` of them."""
    gathers, pairs = "GATHER" in op.name, op in (GatherOp.GATHER_HW, GatherOp.SCATTER_HW)
    table, moved = LocalTensor(0, (1, 2, 1, ENTRIES), i16), LocalTensor(FAR, (1, 2, 1, COUNT), i16)
    shape, layout = ((1, COUNT, 1, 2 if pairs else 1), Layout.COMPACT) if op in gather.ONE_INDEX else (moved.shape, Layout.EU_ALIGNED)
    index = LocalTensor(2 * FAR, shape, dtype, layout)
    return Gather(op=op, dst=moved if gathers else table, src=table if gathers else moved, index=index, skip_invalid=skips)


def lines(op: GatherLineOp, dtype: Dtype, *, skips: bool = False) -> GatherLine:
    """The same for lines."""
    gathers = op is GatherLineOp.GATHER
    table, moved = (LocalTensor(place * FAR, (1, 2, size, 3), i16, Layout.LINE_ALIGNED) for place, size in enumerate((ENTRIES, COUNT)))
    index = LocalTensor(2 * FAR, (1, 2, COUNT, 1), dtype)
    return GatherLine(op=op, dst=moved if gathers else table, src=table if gathers else moved, index=index, skip_invalid=skips)


def stops() -> Iterator[tuple[Gather | GatherLine, int]]:
    """Commands and an index with which they stop."""
    for dtype in INDEX_DTYPES:
        unset = (1 << dtype.bits) - 1
        for value in (ENTRIES, unset - 1, unset):
            for op in (*gather.ONE_INDEX, *gather.BATCHES):
                if op not in (GatherOp.GATHER_HW, GatherOp.SCATTER_HW) or dtype == u16:
                    yield elements(op, dtype), value
                    if value != unset and "GATHER" in op.name:
                        yield elements(op, dtype, skips=True), value
            for op in GatherLineOp:
                yield lines(op, dtype), value
            yield lines(GatherLineOp.GATHER, dtype, skips=True), value


@pytest.mark.parametrize(("command", "value"), list(stops()))
def test_an_index_outside(command: Gather | GatherLine, value: int) -> None:
    index = command.index
    assert index is not None and not command.problems(CHIP)
    program = Program(CHIP)
    program.append(command)
    for position in (0, 63, 64, COUNT - 1):
        values = np.random.default_rng(position).integers(0, ENTRIES if index.shape[3] == 1 or index.shape[1] == 2 else 1, index.shape)
        values.reshape(-1)[position - COUNT] = value
        outcomes = [outcome(program, index, values.astype(index.dtype.numpy), engine) for engine in ("interpreter", "jit")]
        assert outcomes[0] == outcomes[1] and f"is {value}, but" in outcomes[0][0]


def outcome(program: Program, index: LocalTensor, values: Array, engine: Literal["interpreter", "jit"]) -> tuple[str, bytes]:
    """The message of the error, and local memory behind it; a plan for native execution exists."""
    machine = Machine(CHIP, ddr_bytes=1 << 20)
    assert plan_of(program, machine.memory).native == [True]
    image = machine.memory.image("lmem")[:2, : 4 * FAR]
    image[:] = np.random.default_rng(1).integers(0, 256, image.shape, np.uint8)
    machine.memory.store(index, values)
    with pytest.raises(ExecutionError) as raised:
        machine.run(program, engine, check=False)
    return str(raised.value), image.tobytes()
