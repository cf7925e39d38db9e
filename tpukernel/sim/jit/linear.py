"""LIN: every operation is lowered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tpukernel.dtypes import Dtype
from tpukernel.isa.linear import Linear, LinearOp
from tpukernel.sim.jit.access import places_of
from tpukernel.sim.jit.ir import Value
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.nest_kernel import Elementwise
from tpukernel.sim.jit.numerics.floats import add, multiply, subtract
from tpukernel.sim.jit.workspace import elementwise_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: Linear, memory: Memory) -> list[Call] | None:
    """The calls that compute the result."""
    sources = [source for source in (instruction.src0, instruction.src1, instruction.src2) if source is not None]
    places = places_of(memory, [instruction.dst, *sources])
    return None if places is None else elementwise_calls(_operation(instruction.op, instruction.dst.dtype), places[:1], places[1:])


@cache
def _operation(op: LinearOp, dtype: Dtype) -> Elementwise:
    def body(values: Sequence[Value]) -> list[Value]:
        if op is LinearOp.MAC:
            return [add(multiply(values[0], values[1], dtype), values[2], dtype)]
        base = (add if op is LinearOp.SQUARE_SUM else subtract)(values[0], values[1], dtype)
        return [multiply(base, base, dtype)]

    count = 3 if op is LinearOp.MAC else 2
    return Elementwise(f"linear.{op.name}.{dtype}", results=(dtype.itemsize,), sources=(dtype.itemsize,) * count, body=body)
