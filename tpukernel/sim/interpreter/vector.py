"""VC: every element of one vector with every element of another.

Source: the measured instruction-set study; compared with the official C model.
"""

from __future__ import annotations

from tpukernel.isa.arith_op import ArithOp
from tpukernel.isa.vector import Vector
from tpukernel.sim.interpreter.elementwise import Operands, compute, load
from tpukernel.sim.memory import Memory

__all__ = ["execute"]

_DIV_ITERATIONS = 3
"""The official model makes three Newton steps, whatever number the command holds."""


def execute(instruction: Vector, memory: Memory) -> None:
    """Compute the result and store it."""
    dst = instruction.dst
    operands = Operands(
        dst.dtype,
        dst.shape,
        a=memory.load(instruction.src0).reshape(-1, 1, 1, 1)[: dst.shape[0]],
        b=memory.load(instruction.src1),
        c=load(memory, instruction.true_value),
        iterations=_DIV_ITERATIONS,
    )
    memory.store(dst, compute(ArithOp(instruction.op), operands))  # the operations have the same numbers
