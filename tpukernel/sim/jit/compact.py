"""Taking the chosen elements of a line together: masked selections, and the positions of what is not zero.

The chosen elements are counted first, many at a time. Then every element is stored where the next chosen one belongs, and the place
advances only behind a chosen one, so that nothing depends on a branch. When all have been found, the rest goes to a place of its own, since
what is behind the last one keeps its bytes.
"""

from __future__ import annotations

from functools import cache

from tpukernel.chips.placement import Axis, Placement
from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.ir import I64, Value, integer
from tpukernel.sim.jit.kernel import REGISTERS, Call
from tpukernel.sim.jit.line_kernel import Line, LineOperation, line_calls
from tpukernel.sim.jit.lookup import Lines
from tpukernel.sim.memory import Memory

__all__ = ["filter_num", "position_calls", "select_calls"]


def select_calls(dst: Lines, src: Lines, mask: Lines, count: Lines | None) -> list[Call] | None:
    """Calls that write the elements of `src` whose mask is not zero, without gaps.

    Args:
        dst, src, mask: runs of elements for each (n, c); none touches `dst`.
        count: where the number of chosen elements of each (n, c) goes.
    """
    places = [dst.place, src.place, mask.place, *([] if count is None else [count.place])]
    operation = _compacting(src.width, 8 * mask.width, 0 if count is None else count.width)
    return line_calls(operation, places, [mask.count, 0], 10 + 0.8 * mask.count)


def position_calls(dst: Lines, values: Lines, base: int, count: Lines) -> list[Call] | None:
    """Calls that write `base` (32 bits) plus the position of each value that is not zero, without gaps: the lowest bits of each.

    `count` is where their number goes.
    """
    operation = _compacting(None, 8 * values.width, count.width, dst.width)
    return line_calls(operation, [dst.place, values.place, count.place], [values.count, base], 10 + 0.8 * values.count)


def filter_num() -> Lines:
    """The register that tells how many elements were found."""
    one = Axis(1, 0)
    return Lines(Place(REGISTERS, Placement(8 * Memory.FILTER_NUM, 8, (one, one))), 1, 8, 8)


@cache
def _compacting(moved: int | None, mask_bits: int, count_bytes: int, position_bytes: int = 0) -> LineOperation:
    """`moved`: bytes of the elements that are taken together; None: their positions are, in `position_bytes`.

    `count_bytes`: of the number of chosen elements; 0 where nobody wants it.
    """
    size = moved or position_bytes
    element = integer(8 * size)

    def body(line: Line) -> None:
        function, (length, base) = line.function, line.words
        dst, *sources = line.pointers
        result = sources.pop() if count_bytes else None
        mask = sources.pop()
        total = _chosen(line, mask, mask_bits, length)
        with line.long_loop(length, 1, [function.i64(0)]) as loop:
            (place,) = loop.values
            to = place.compare("ult", total).choose(dst.offset(place * size), line.buffer)
            position = (loop.index + base).trunc(element) if moved is None else None
            to.store(position or sources[0].offset(loop.index * size).load(element))
            loop.next = [place + _is_chosen(mask.offset(loop.index * (mask_bits // 8)).load(integer(mask_bits)))]
        if result is not None:
            result.store(total if count_bytes == 8 else total.trunc(integer(8 * count_bytes)))

    what = f"positions.{position_bytes}" if moved is None else f"select.{moved}"
    operands = 2 + (moved is not None) + (count_bytes > 0)
    return LineOperation(f"compact.{what}.{mask_bits}.{count_bytes}", operands=operands, words=2, body=body)


def _is_chosen(value: Value) -> Value:
    return value.compare("ne", 0).zext(I64)


def _chosen(line: Line, mask: Value, bits: int, length: Value) -> Value:
    """How many are not zero."""
    function = line.function
    lanes = min(64, max(8, 8 * function.target.vector_bytes // bits))
    vector, word = integer(bits, lanes), integer(lanes)
    whole = length & -lanes
    with line.long_loop(whole, lanes, [function.i64(0)]) as loop:
        found = mask.offset(loop.index * (bits // 8)).load(vector).compare("ne", 0)
        flags = function.emit(word, f"bitcast {found} to {word}")
        loop.next = [loop.values[0] + flags.intrinsic("ctpop").zext(I64)]
    with function.loop(whole, length, 1, loop.values, maybe_none=True) as rest:
        value = mask.offset(rest.index * (bits // 8)).load(integer(bits))
        rest.next = [rest.values[0] + _is_chosen(value)]
    return rest.values[0]
