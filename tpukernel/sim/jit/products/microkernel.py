"""The microkernel: a block of rows by a panel of columns, whose sums stay in registers."""

from __future__ import annotations

from tpukernel.sim.jit.ir import I64, PTR, Function, Type
from tpukernel.sim.jit.llvm import Target
from tpukernel.sim.jit.products.kinds import Kind, step

__all__ = ["tile"]


def tile(kind: Kind, target: Target, fused: bool = False) -> Function:
    """`tile(steps, left, row_bytes, panel, sums)`: add `steps` steps to the sums.

    `left` has the numbers of a row, and `row_bytes` farther those of the next one; `panel` has those of all columns step by step, `sums`
    is (rows, columns).
    """
    function = Function("tile", [I64, PTR, I64, PTR, PTR], I64, target)
    count, left, row_bytes, panel, sums = function.arguments
    rows, vectors, lanes, size = kind.rows(target), kind.vectors(target), kind.lanes(target), kind.size
    vector = Type(kind.sums.element, lanes)
    places = [sums.offset(size * lanes * number) for number in range(rows * vectors)]
    starts = [left]
    for _ in range(rows - 1):
        starts.append(starts[-1].offset(row_bytes))
    carried = [panel, *(place.load(vector, size) for place in places)]
    with function.loop(0, count, carried=carried) as loop:
        panel_at, *totals = loop.values
        step_bytes = loop.index * kind.left_step
        columns = [panel_at.offset(size * lanes * number).load(vector, size) for number in range(vectors)]
        found = list(totals)
        for row in range(rows):
            factor = starts[row].offset(step_bytes).load(kind.sums, kind.left_size).splat(lanes)
            for number, column in enumerate(columns):
                place = row * vectors + number
                found[place] = step(kind, totals[place], factor, column, fused)
        loop.next = [panel_at.offset(size * lanes * vectors), *found]
    for place, total in zip(places, loop.values[1:], strict=True):
        place.store(total, size)
    function.ret(0)
    return function
