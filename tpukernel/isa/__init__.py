"""Instructions: the contract between what makes programs (kernels, compilers) and what takes them (files, simulators, cost models)."""

from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.codec import decode, encode
from tpukernel.isa.dma_sys import DmaSys, DmaSysOp
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.isa.instruction import Instruction, OperandUse
from tpukernel.isa.program import Program
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.sys import Sys, SysOp

__all__ = [
    "Arith",
    "ArithOp",
    "DmaSys",
    "DmaSysOp",
    "DmaTensor",
    "DmaTensorOp",
    "Instruction",
    "OperandUse",
    "Rounding",
    "Sys",
    "SysOp",
    "decode",
    "encode",
]
