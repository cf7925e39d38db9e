"""Instructions: the contract between what makes programs (kernels, compilers) and what takes them (files, simulators, cost models)."""

from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.codec import decode, encode
from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.isa.dma_gather import DmaGather
from tpukernel.isa.dma_general import DmaGeneral, DmaGeneralOp
from tpukernel.isa.dma_masked_select import DmaMaskedSelect
from tpukernel.isa.dma_matrix import DmaMatrix, DmaMatrixOp
from tpukernel.isa.dma_nonzero import DmaNonzero
from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.isa.dma_sys import DmaSys, DmaSysOp
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.isa.instruction import Instruction, OperandUse
from tpukernel.isa.program import Program
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.sys import Sys, SysOp

__all__ = [
    "Arith",
    "ArithOp",
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
    "Instruction",
    "OperandUse",
    "Program",
    "Rounding",
    "Sys",
    "SysOp",
    "decode",
    "encode",
]
