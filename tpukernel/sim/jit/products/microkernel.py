"""The microkernel: a block of rows by a panel of columns, whose sums stay in registers."""

from __future__ import annotations

from tpukernel.sim.jit.ir import I64, PTR, Function, Type
from tpukernel.sim.jit.llvm import Target
from tpukernel.sim.jit.products.kinds import Kind, step

__all__ = ["tile"]


def tile(kind: Kind, target: Target, fused: bool = False) -> Function:
    """`tile(steps, left, panel, sums)`: add `steps` steps to the sums.

    `left` has the numbers of all rows of the block step by step, `panel` those of all columns, `sums` is (rows, columns).
    """
    function = Function("tile", [I64, PTR, PTR, PTR], I64, target)
    count, left, panel, sums = function.arguments
    rows, vectors, lanes, size = kind.rows(target), kind.vectors(target), kind.lanes(target), kind.size
    vector = Type(kind.sums.element, lanes)
    places = [sums.offset(size * lanes * number) for number in range(rows * vectors)]
    carried = [left, panel, *(place.load(vector, size) for place in places)]
    with function.loop(0, count, carried=carried) as loop:
        left_at, panel_at, *totals = loop.values
        columns = [panel_at.offset(size * lanes * number).load(vector, size) for number in range(vectors)]
        found = list(totals)
        for row in range(rows):
            factor = left_at.offset(size * row).load(kind.sums, size).splat(lanes)
            for number, column in enumerate(columns):
                place = row * vectors + number
                found[place] = step(kind, totals[place], factor, column, fused)
        loop.next = [left_at.offset(size * rows), panel_at.offset(size * lanes * vectors), *found]
    for place, total in zip(places, loop.values[2:], strict=True):
        place.store(total, size)
    function.ret(0)
    return function
