"""Results that lie on operands, otherwise than element on element: everything is read before anything is written."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from tests.sim.jit.test_lookups import check
from tests.support.differential import CHIP, Case
from tests.support.native import Comparison
from tests.support.places import DMA_DTYPES, line_index
from tests.vendor import test_sim_quant as quant
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i32, u8, u16, u32
from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.compare import Compare, CompareOp
from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.isa.dma_gather import DmaGather
from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.isa.gather import Gather, GatherOp
from tpukernel.isa.gather_line import GatherLine, GatherLineOp
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.linear import Linear, LinearOp
from tpukernel.isa.quant import QuantOp
from tpukernel.isa.rounding import Rounding

SHAPE = (2, 70, 3, 5)
DISTANCES = (-128, -64, 0, 64, 128)


@pytest.mark.parametrize(("dst", "src"), [(i8, i32), (i32, i8), (f16, f32), (f32, bf16), (f32, i32)], ids=str)
def test_casts(comparison: Comparison, dst: Dtype, src: Dtype) -> None:
    tensors = [(LocalTensor(4096, SHAPE, dst), LocalTensor(4096 + distance, SHAPE, src)) for distance in DISTANCES]
    check(comparison, (Arith(op=ArithOp.CAST, dst=to, src0=source, rounding=Rounding.HALF_EVEN) for to, source in tensors))


@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_several_operands(comparison: Comparison, dtype: Dtype) -> None:
    cases: list[Instruction] = []
    for distance in DISTANCES:
        dst, one, other = (LocalTensor(4096 + k * distance, SHAPE, dtype) for k in range(3))
        channels = LocalTensor(4096 + distance, (1, SHAPE[1], 1, 1), dtype, Layout.COMPACT)
        cases += [
            Linear(op=LinearOp.MAC, dst=dst, src0=one, src1=channels, src2=channels),
            Compare(op=CompareOp.SELECT_GREATER, dst=dst, src0=one, src1=other, src2=dst, src3=one),
            Arith(op=ArithOp.SUB, dst=dst, src0=one, src1=other),
        ]
    check(comparison, cases)


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
def test_rows_that_share_their_place_in_other_lanes(comparison: Comparison, dtype: Dtype) -> None:
    """A copy without strides leaves out the start lane, so that the strides alone do not tell that no elements lie on each other."""
    row = 64 // dtype.itemsize
    local = LocalTensor(63 * CHIP.lane_bytes + 256, (2, 100, 1, 9), dtype, Layout.FREE, (2 * row, row, 9, 1))
    system = SystemTensor(CHIP.regions["ddr"].base, local.shape, dtype, (900, 9, 9, 1))
    check(comparison, [DmaTensor(op=DmaTensorOp.COPY, dst=local, src=system)])


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
def test_operands_on_each_other(comparison: Comparison, dtype: Dtype) -> None:
    """No program does that; both engines read everything before they write."""
    rng, size, one = Random(f"{dtype}"), dtype.itemsize, Constant(1, dtype)
    cases: list[Case | Instruction] = []
    for distance in range(-3, 4):
        at = 4096 + distance * 64
        lines = [LocalTensor(address, (1, 70, 6, 9), dtype, Layout.LINE_ALIGNED) for address in (4096, at)]
        index = LocalTensor(0, (1, 70, 6, 1), u8)
        values = {"index": np.random.default_rng(distance + 3).integers(0, 6, index.shape).astype(np.uint8)}
        cases += [Case(GatherLine(op=op, dst=lines[0], src=lines[1], index=index), values) for op in GatherLineOp]
        elements = [LocalTensor(address, (1, 70, 1, 90), dtype) for address in (4096, at)]
        mask, count = LocalTensor(0, (1, 70, 1, 90), u8), LocalTensor(64 * 200, (1, 70, 1, 1), u16, Layout.COMPACT)
        select = Gather(op=GatherOp.MASK_SELECT_SHARED, dst=elements[0], src=elements[1], mask=mask, count=count)
        cases += [select, select.replace(src=elements[0], mask=replace(mask, address=at))]
        near = CHIP.regions["ddr"].base + 4096
        table, moved = (SystemTensor(near + place * size, (1, 2, 8, 5), dtype) for place in (0, 7 * distance))
        shape = (1, 2, 8, 1)
        values = {"index": line_index(rng, shape, 8)}
        numbers = SystemTensor(near + 4096, shape, u32)
        cases += [
            Case(DmaGather(dst=moved, src=table, index=numbers, fill=one), values),
            Case(DmaScatter(dst=moved, src=table, index=numbers), values),
            DmaGather(dst=table, src=replace(table, address=near + 2048), index=replace(numbers, address=near + 4 * distance), fill=one),
            DmaCwTranspose(dst=replace(moved, shape=(1, 5, 8, 2)), src=table),
        ]
    check(comparison, cases)


@pytest.mark.parametrize(("op", "dst", "src"), quant.PAIRS[::3], ids=str)
def test_quant_on_its_operand(comparison: Comparison, op: QuantOp, dst: Dtype, src: Dtype) -> None:
    rng = Random(f"{op.name} {dst} {src}")
    cases: list[Instruction] = []
    for distance in (-64, 0, 64, 256):
        command = quant.with_constants(rng, op, dst, src)
        shape = command.dst.shape
        result, operand = (LocalTensor(address, shape, dtype) for address, dtype in ((4096, dst), (4096 + distance, src)))
        cases.append(command.replace(dst=result, src=operand))
    check(comparison, cases)
