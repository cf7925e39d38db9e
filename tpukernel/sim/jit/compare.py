"""CMP: every operation is lowered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from tpukernel.dtypes import Dtype
from tpukernel.isa.compare import Compare, CompareOp
from tpukernel.sim.jit.access import places_of
from tpukernel.sim.jit.ir import Value
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.nest_kernel import Elementwise
from tpukernel.sim.jit.numerics.compare import equal, greater, less, maximum, minimum
from tpukernel.sim.jit.workspace import elementwise_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_Binary = Callable[[Value, Value, Dtype], Value]
_HOLDS: dict[CompareOp, _Binary] = {
    CompareOp.MAX_AND_SELECT: greater,
    CompareOp.SELECT_GREATER: greater,
    CompareOp.SELECT_EQUAL: equal,
    CompareOp.MIN_AND_SELECT: less,
    CompareOp.SELECT_LESS: less,
}
_EXTREME: dict[CompareOp, _Binary] = {CompareOp.MAX_AND_SELECT: maximum, CompareOp.MIN_AND_SELECT: minimum}


def lower(instruction: Compare, memory: Memory) -> list[Call] | None:
    """The calls that compute the result or both results."""
    results = [instruction.dst] if instruction.dst1 is None else [instruction.dst, instruction.dst1]
    sources = [instruction.src0, instruction.src1, instruction.src2, instruction.src3]
    places = places_of(memory, [*results, *sources])
    if places is None:
        return None
    operation = _operation(instruction.op, instruction.src0.dtype, instruction.src2.dtype, results[-1].dtype)
    return elementwise_calls(operation, places[: len(results)], places[len(results) :])


@cache
def _operation(op: CompareOp, compared: Dtype, selected: Dtype, result: Dtype) -> Elementwise:
    extreme = _EXTREME.get(op)

    def body(values: Sequence[Value]) -> list[Value]:
        a, b, taken, other = values
        chosen = _HOLDS[op](a, b, compared).choose(taken, other)
        return [chosen] if extreme is None else [extreme(a, b, compared), chosen]

    return Elementwise(
        key=f"compare.{op.name}.{compared}.{selected}",
        results=(result.itemsize,) if extreme is None else (compared.itemsize, result.itemsize),
        sources=(compared.itemsize, compared.itemsize, selected.itemsize, selected.itemsize),
        body=body,
        width=32 if compared.is_float else max(compared.bits, selected.bits),
    )
