"""Cases of the units that move elements by an index or a mask, and of DMA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks._cases import CHIP, Arrays, Case, Memories, Reference, elements_of
from benchmarks._elementwise import NUMPY, Make
from tpukernel import Dtype, f16, f32, i8, u8, u16, u32
from tpukernel.chips.tensors import Constant, Layout
from tpukernel.isa import (
    DmaCwTranspose,
    DmaGather,
    DmaGeneral,
    DmaMaskedSelect,
    DmaMatrix,
    DmaMatrixOp,
    DmaNonzero,
    DmaScatter,
    DmaTensor,
    DmaTensorOp,
    Gather,
    GatherLine,
    GatherLineOp,
    GatherOp,
    Instruction,
)
from tpukernel.sim.memory import Array

__all__ = ["move_cases"]

BANK = CHIP.bank_bytes
"""Operands of a gather in banks of their own."""


def move_cases(*, small: bool) -> Iterator[tuple[str, Make]]:
    """Names, and what makes the case."""
    count, side = (100, 9) if small else (2000, 56)
    for dtype in (f32, f16, i8):
        for op in (GatherOp.GATHER_W, GatherOp.SCATTER_W, GatherOp.GATHER_HW, GatherOp.SCATTER_HW):
            yield f"SG {op.name} {dtype}", partial(_one_index, op, dtype, count)
        for op in (GatherOp.BATCH_GATHER, GatherOp.BATCH_SCATTER):
            yield f"SG {op.name} {dtype}", partial(_batches, op, dtype, count)
        yield f"SG MASK_SELECT {dtype}", partial(_select, dtype, count)
        for op in GatherLineOp:
            yield f"SGL {op.name} {dtype}", partial(_lines, op, dtype, 4 if small else 64)
        for route in ("load", "store", "local", "system"):
            yield f"DMA_tensor {route} {dtype}", partial(_tensor, route, dtype, side)
        yield f"DMA_tensor TRANSPOSE load {dtype}", partial(_nc_transpose, dtype, side)
        yield f"DMA_general load {dtype}", partial(_general, dtype, count)
        for op in DmaMatrixOp:
            yield f"DMA_matrix {op.name} load {dtype}", partial(_matrix, op, dtype, 40 if small else 512)
        yield f"DMA_cw_transpose load {dtype}", partial(_cw_transpose, dtype, side)
        yield f"DMA_gather {dtype}", partial(_dma_lines, DmaGather, dtype, side)
        yield f"DMA_scatter {dtype}", partial(_dma_lines, DmaScatter, dtype, side)
        yield f"DMA_masked_select {dtype}", partial(_masked, dtype, side)
        yield f"DMA_nonzero {i8}" if dtype == i8 else f"DMA_nonzero as {dtype}", partial(_nonzero, dtype, side)


def _moved(command: Instruction, references: dict[str, Reference] | None = None, **contents: Array) -> Case:
    return Case(command, contents, elements_of(command), "element", references or {})


def _index(shape: tuple[int, ...], below: int | tuple[int, ...], dtype: Dtype = u16) -> Array:
    return np.random.default_rng(1).integers(0, below, shape).astype(dtype.numpy)


# ---------------------------------------------------------------------------- SG, SGL


def _one_index(op: GatherOp, dtype: Dtype, count: int) -> Case:
    memories, pairs = Memories(), op in (GatherOp.GATHER_HW, GatherOp.SCATTER_HW)
    gathers = op in (GatherOp.GATHER_W, GatherOp.GATHER_HW)
    height, width = (40, 50) if pairs else (1, 2000)
    table = memories.tensor((1, 64, height, width), dtype, unit=BANK)
    moved = memories.tensor((1, 64, 1, count), dtype, unit=BANK)
    index = memories.tensor((1, count, 1, 2 if pairs else 1), u16, Layout.COMPACT, unit=BANK)
    dst, src = (moved, table) if gathers else (table, moved)
    below = (width, height) if pairs else width
    return _moved(Gather(op=op, dst=dst, src=src, index=index), index=_index(index.shape, below))


def _batches(op: GatherOp, dtype: Dtype, count: int) -> Case:
    memories = Memories()
    shape = (1, 64, 1, count)
    dst, src, index = (
        memories.tensor(shape, dtype, unit=BANK),
        memories.tensor(shape, dtype, unit=BANK),
        memories.tensor(shape, u16, unit=BANK),
    )

    def reference(arrays: Arrays) -> Callable[[], object]:
        chosen = arrays["index"].astype(np.intp)
        return lambda: np.take_along_axis(arrays["src"], chosen, 3)

    references: dict[str, Reference] = {NUMPY: reference} if op is GatherOp.BATCH_GATHER else {}
    return _moved(Gather(op=op, dst=dst, src=src, index=index), references, index=_index(shape, count))


def _select(dtype: Dtype, count: int) -> Case:
    memories = Memories()
    shape = (1, 64, 1, count)
    command = Gather(
        op=GatherOp.MASK_SELECT,
        dst=memories.tensor(shape, dtype, unit=BANK),
        src=memories.tensor(shape, dtype, unit=BANK),
        mask=memories.tensor(shape, u8, unit=BANK),
        count=memories.tensor((1, 64, 1, 1), u16, Layout.COMPACT, unit=BANK),
    )
    return _moved(command, mask=_index(shape, 2, u8))


def _lines(op: GatherLineOp, dtype: Dtype, rows: int) -> Case:
    memories = Memories()
    shape = (1, 64, rows, 56)
    dst, src = (memories.tensor(shape, dtype, Layout.LINE_ALIGNED, unit=BANK) for _ in range(2))
    index = memories.tensor((1, 64, rows, 1), u16, unit=BANK)
    return _moved(GatherLine(op=op, dst=dst, src=src, index=index), index=_index(index.shape, rows))


# ---------------------------------------------------------------------------- DMA


def _copied(arrays: Arrays) -> Callable[[], object]:
    out = np.empty_like(arrays["dst"])
    return lambda: np.copyto(out, arrays["src"])


def _tensor(route: str, dtype: Dtype, side: int) -> Case:
    memories, shape = Memories(), (1, 64, side, side)
    dst = memories.tensor(shape, dtype) if route in ("load", "local") else memories.system(shape, dtype)
    src = memories.tensor(shape, dtype) if route in ("store", "local") else memories.system(shape, dtype)
    return _moved(DmaTensor(dst=dst, src=src), {NUMPY: _copied})


def _nc_transpose(dtype: Dtype, side: int) -> Case:
    memories = Memories()
    dst, src = memories.tensor((8, 64, side, side // 8 + 1), dtype), memories.system((64, 8, side, side // 8 + 1), dtype)
    return _moved(DmaTensor(op=DmaTensorOp.TRANSPOSE, dst=dst, src=src))


def _general(dtype: Dtype, count: int) -> Case:
    memories, shape = Memories(), (1, 1, 1, 32 * count)
    return _moved(DmaGeneral(dst=memories.tensor(shape, dtype, Layout.COMPACT), src=memories.system(shape, dtype)))


def _matrix(op: DmaMatrixOp, dtype: Dtype, side: int) -> Case:
    memories = Memories()
    dst = memories.tensor((side, -(-side // 16), 1, 16), dtype)
    shape = (1, 1, side, side)
    return _moved(DmaMatrix(op=op, dst=dst, src=memories.system(shape, dtype)))


def _cw_transpose(dtype: Dtype, side: int) -> Case:
    memories = Memories()
    return _moved(DmaCwTranspose(dst=memories.tensor((1, 64, side, side), dtype), src=memories.system((1, side, side, 64), dtype)))


def _dma_lines(unit: type[DmaGather] | type[DmaScatter], dtype: Dtype, side: int) -> Case:
    memories, shape = Memories(), (1, 64, side, side)
    dst, src = memories.tensor(shape, dtype), memories.system(shape, dtype)
    index = memories.system((1, 64, side, 1), u32)
    fill: dict[str, Any] = {"fill": Constant(0, dtype)} if unit is DmaGather else {}
    return _moved(unit(dst=dst, src=src, index=index, **fill), index=_index(index.shape, side, u32))


def _masked(dtype: Dtype, side: int) -> Case:
    memories, shape = Memories(), (1, 64, side, side)
    command = DmaMaskedSelect(dst=memories.system(shape, dtype), src=memories.system(shape, dtype), mask=memories.system(shape, u8))
    return _moved(command, mask=_index(shape, 2, u8))


def _nonzero(dtype: Dtype, side: int) -> Case:
    memories, shape = Memories(), (1, 64, side, side)
    integer = {f32: u32, f16: u16, i8: i8}[dtype]
    command = DmaNonzero(dst=memories.system(shape, u32), src=memories.system(shape, integer))
    return _moved(command, src=_index(shape, 2, integer))
