"""AR: elementwise arithmetic.

Source: the measured instruction-set study; compared with the official C model for every operation and every legal combination of types.
Shifts to the left by more than 31 are what they are in that model: modulo 32.
"""

from __future__ import annotations

from tpukernel.chips.tensors import Constant
from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.elementwise import Operands, compute, load
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: Arith, memory: Memory) -> None:
    """Compute the result and store it."""
    dst, src2 = instruction.dst, instruction.src2
    operands = Operands(
        dst.dtype,
        dst.shape,
        a=load(memory, instruction.src0),
        b=load(memory, instruction.src1),
        c=load(memory, src2),
        old=load(memory, dst if instruction.op is ArithOp.MAC else None),
        rounding=instruction.rounding or Rounding.HALF_EVEN,
        iterations=instruction.iterations or 0,
        shifts=src2.bits if isinstance(src2, Constant) else 0,
    )
    memory.store(dst, compute(instruction.op, operands))
