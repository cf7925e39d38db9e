"""The microkernel: a block of rows by a panel of columns, whose sums stay in registers."""

from __future__ import annotations

from collections.abc import Sequence

from tpukernel.sim.jit.ir import I32, I64, PTR, Function, Type, Value
from tpukernel.sim.jit.llvm import Target
from tpukernel.sim.jit.products.kinds import Kind, step

__all__ = ["tile"]


def tile(kind: Kind, target: Target) -> Function:
    """`tile(steps, left, offsets, panel, sums)`: add `steps` steps to the sums.

    The numbers of each row are at `left` plus its number in the table `offsets`; `panel` has those of all columns step by step, `sums` is
    (rows, columns).
    """
    function = Function("tile", [I64, PTR, PTR, PTR, PTR], I64, target)
    count, left, offsets, panel, sums = function.arguments
    rows, vectors, lanes, size = kind.rows(target), kind.vectors(target), kind.lanes(target), kind.size
    vector = Type(kind.sums.element, lanes)
    places = [sums.offset(size * lanes * number) for number in range(rows * vectors)]
    starts = [left.offset(offsets.offset(8 * row).load(I64, 8)) for row in range(rows)]
    carried = [panel, *(place.load(vector, size) for place in places)]
    with function.loop(0, count, carried=carried) as loop:
        panel_at, *totals = loop.values
        step_bytes = loop.index * kind.left_step
        columns = [panel_at.offset(size * lanes * number).load(vector, size) for number in range(vectors)]
        found = list(totals)
        for row in range(rows):
            factor = starts[row].offset(step_bytes).load(kind.sums, kind.left_size)
            for number, total in enumerate(_steps(kind, totals[row * vectors :], factor, columns)):
                found[row * vectors + number] = total
        loop.next = [panel_at.offset(size * lanes * vectors), *found]
    for place, total in zip(places, loop.values[1:], strict=True):
        place.store(total, size)
    function.ret(0)
    return function


def _steps(kind: Kind, totals: Sequence[Value], factor: Value, columns: Sequence[Value]) -> list[Value]:
    """The sums of a row after one more step."""
    lanes = columns[0].type.lanes
    if kind.name != "f32" or factor.function.target.is_x86:
        wide = factor.splat(lanes)
        return [step(kind, total, wide, column) for total, column in zip(totals, columns, strict=False)]
    number, scale = (value.splat(lanes) for value in _enlarged(factor))
    found: list[Value] = []
    for total, column in zip(totals, columns, strict=False):
        other, other_scale = _enlarged(column)
        found.append(total + number * other * scale * other_scale)
    return found


def _enlarged(value: Value) -> tuple[Value, Value]:
    """f32 numbers, the small ones of them times 2**24, and what brings them back.

    The chip rounds a product before it looks whether that is too small for a normal number, as x86 does. Other processors look first, and
    make a zero of what would round up to the smallest normal number. The product of enlarged numbers is rounded far from there; bringing
    it back is exact, or gives the zero.
    """
    small = (value.bitcast(I32) & 0x7FFFFFFF).compare("ult", (127 - 24) << 23)
    return small.choose(value * 2.0**24, value), small.choose(value.like(2.0**-24), 1.0)
