"""Instructions: the contract between what makes programs (kernels, compilers) and what takes them (files, simulators, cost models)."""

from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.codec import decode, encode
from tpukernel.isa.compare import Compare, CompareOp
from tpukernel.isa.conv import Conv, ConvOp
from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.isa.dma_gather import DmaGather
from tpukernel.isa.dma_general import DmaGeneral, DmaGeneralOp
from tpukernel.isa.dma_masked_select import DmaMaskedSelect
from tpukernel.isa.dma_matrix import DmaMatrix, DmaMatrixOp
from tpukernel.isa.dma_nonzero import DmaNonzero
from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.isa.dma_sys import DmaSys, DmaSysOp
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.isa.gather import Gather, GatherOp, share_bank
from tpukernel.isa.gather_line import GatherLine, GatherLineOp
from tpukernel.isa.index import IndexGen, IndexGenOp
from tpukernel.isa.instruction import Instruction, OperandUse
from tpukernel.isa.lane_table import lane_table
from tpukernel.isa.linear import Linear, LinearOp
from tpukernel.isa.matmul import MatMul, MatMulOp
from tpukernel.isa.matmul2 import MatMul2, MatMul2Op
from tpukernel.isa.numbering import IdNode
from tpukernel.isa.pool import Pool, PoolOp
from tpukernel.isa.program import Program
from tpukernel.isa.quant import Quant, QuantOp
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.special import Special, SpecialOp
from tpukernel.isa.sys import Sys, SysOp
from tpukernel.isa.transpose import LaneMove, LaneMoveOp
from tpukernel.isa.vector import Vector, VectorOp

__all__ = [
    "Arith",
    "ArithOp",
    "Compare",
    "CompareOp",
    "Conv",
    "ConvOp",
    "DmaCwTranspose",
    "DmaGather",
    "DmaGeneral",
    "DmaGeneralOp",
    "DmaMaskedSelect",
    "DmaMatrix",
    "DmaMatrixOp",
    "DmaNonzero",
    "DmaScatter",
    "DmaSys",
    "DmaSysOp",
    "DmaTensor",
    "DmaTensorOp",
    "Gather",
    "GatherLine",
    "GatherLineOp",
    "GatherOp",
    "IdNode",
    "IndexGen",
    "IndexGenOp",
    "Instruction",
    "LaneMove",
    "LaneMoveOp",
    "Linear",
    "LinearOp",
    "MatMul",
    "MatMul2",
    "MatMul2Op",
    "MatMulOp",
    "OperandUse",
    "Pool",
    "PoolOp",
    "Program",
    "Quant",
    "QuantOp",
    "Rounding",
    "Special",
    "SpecialOp",
    "Sys",
    "SysOp",
    "Vector",
    "VectorOp",
    "decode",
    "encode",
    "lane_table",
    "share_bank",
]
