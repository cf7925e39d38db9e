"""SEG: counting elements is lowered; counting lanes is what the interpreter refuses."""

from __future__ import annotations

from functools import cache

from tpukernel.isa.index import IndexGen, IndexGenOp
from tpukernel.sim.jit.access import place_of
from tpukernel.sim.jit.ir import I32, Value
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.line_kernel import Line, LineOperation, line_calls
from tpukernel.sim.jit.lookup import elements_of
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: IndexGen, memory: Memory) -> list[Call] | None:
    """The calls that write the numbers."""
    place = place_of(memory, instruction.dst)
    if place is None or instruction.op is not IndexGenOp.ELEMENT or not place.injective:
        return None
    lines = elements_of(place)
    if lines is None or instruction.dst.shape[2] > 1 or lines.stride not in (0, lines.width):
        return None
    return line_calls(_counting(), [lines.place], [lines.count], 5 + lines.count / 16)


@cache
def _counting() -> LineOperation:
    def body(line: Line) -> None:
        function, (start,), (count,) = line.function, line.pointers, line.words
        lanes = function.target.vector_bytes // 4
        first = Value(function, I32.vector(lanes), f"<{', '.join(f'i32 {number}' for number in range(lanes))}>")
        whole = count & -lanes
        with function.loop(0, whole, lanes, [first], maybe_none=True) as loop:
            start.offset(loop.index * 4).store(loop.values[0])
            loop.next = [loop.values[0] + lanes]
        with function.loop(whole, count, maybe_none=True) as rest:
            start.offset(rest.index * 4).store(rest.index.trunc(I32))

    return LineOperation("index.element", operands=1, words=1, body=body)
