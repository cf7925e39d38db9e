"""LIN: multiply-add and squared sums; every step is rounded to the type.

Source: the measured instruction-set study; compared with the official C model.
"""

from __future__ import annotations

from tpukernel.isa.linear import Linear, LinearOp
from tpukernel.sim.interpreter.elementwise import load
from tpukernel.sim.interpreter.numerics.floats import add, multiply, subtract
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: Linear, memory: Memory) -> None:
    """Compute the result and store it."""
    a, b, c = (load(memory, source) for source in (instruction.src0, instruction.src1, instruction.src2))
    if instruction.op is LinearOp.MAC:
        result = add(multiply(a, b), c)
    else:
        base = add(a, b) if instruction.op is LinearOp.SQUARE_SUM else subtract(a, b)
        result = multiply(base, base)
    memory.store(instruction.dst, result)
