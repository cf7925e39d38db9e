"""The instruction set of the BM1684X."""

from __future__ import annotations

from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.bm1684x_fields import FORMATS, NEVER_EMITTED
from tpukernel.isa.arith import Arith
from tpukernel.isa.compare import Compare
from tpukernel.isa.conv import Conv
from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.isa.dma_gather import DmaGather
from tpukernel.isa.dma_general import DmaGeneral
from tpukernel.isa.dma_masked_select import DmaMaskedSelect
from tpukernel.isa.dma_matrix import DmaMatrix
from tpukernel.isa.dma_nonzero import DmaNonzero
from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.isa.dma_sys import DmaSys
from tpukernel.isa.dma_tensor import DmaTensor
from tpukernel.isa.format import Format
from tpukernel.isa.gather import Gather
from tpukernel.isa.gather_line import GatherLine
from tpukernel.isa.index import IndexGen
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.linear import Linear
from tpukernel.isa.matmul import MatMul
from tpukernel.isa.matmul2 import MatMul2
from tpukernel.isa.pool import Pool
from tpukernel.isa.quant import Quant
from tpukernel.isa.special import Special
from tpukernel.isa.sys import Sys
from tpukernel.isa.tables import InstructionSet
from tpukernel.isa.transpose import LaneMove
from tpukernel.isa.vector import Vector

__all__ = ["BM1684X_SET"]

_UNITS: tuple[type[Instruction], ...] = (
    Conv,
    Pool,
    MatMul,
    MatMul2,
    Arith,
    Sys,
    DmaTensor,
    DmaMatrix,
    DmaMaskedSelect,
    DmaGeneral,
    DmaCwTranspose,
    DmaNonzero,
    DmaSys,
    DmaGather,
    DmaScatter,
    Quant,
    LaneMove,
    Gather,
    GatherLine,
    Special,
    Linear,
    Compare,
    Vector,
    IndexGen,
)

BM1684X_SET = InstructionSet(
    chip=BM1684X,
    units={unit: Format(unit.unit, BM1684X, FORMATS[unit.unit]) for unit in _UNITS},
    never_emitted=NEVER_EMITTED,
)
"""All commands of the BM1684X that the official library emits."""
