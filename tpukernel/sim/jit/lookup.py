"""Gathering and scattering by position, and what has to be looked at before; the definition is `interpreter.lookup`.

Tables, results and moved data are `Lines`: stretches of bytes at a distance from each other, a number of them for each (n, c). An index is
a run of integers for each (n, c).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Literal

from tpukernel.chips.placement import Axis, Placement
from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.ir import I1, I8, I16, I32, I64, Value, integer
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.line_kernel import PATTERN_BYTES, Line, LineOperation, line_calls
from tpukernel.sim.jit.workspace import Workspace

__all__ = [
    "Lines",
    "Missing",
    "check_calls",
    "elements_of",
    "equal_calls",
    "index_of",
    "lines_of",
    "move_lines",
    "pairs_to_positions",
    "stretch_of",
]

Missing = Literal["never", "keep", "fill"]
"""What happens for an index at the limit or above: there is none, nothing is written, or (gathers) the line is filled."""

_ONE = Axis(1, 0)
"""A dimension of size 1."""

_FEW_LINES, _BLOCK_OF_LINES = 16, 64
"""If there are fewer (n, c), gathered lines are cut into blocks of that many, so that several threads can share the work."""


@dataclass(frozen=True)
class Lines:
    """Lines of an operand.

    Attributes:
        place: where the first line of each (n, c) starts.
        count: lines of each (n, c).
        stride: bytes from one to the next.
        width: bytes of a line.
    """

    place: Place
    count: int
    stride: int
    width: int

    def part(self, first: int, count: int, blocks: int = 1) -> Lines:
        """From line `first` on so many blocks of so many lines, the blocks being a third outer dimension."""
        axes = (*self.place.host.axes[:2], Axis(blocks, count * self.stride))
        return Lines(_starts(self.place, axes, first * self.stride), count, self.stride, self.width)


def lines_of(place: Place) -> Lines | None:
    """The rows (h) of a tensor as lines; None where their elements have gaps."""
    n, c, h, w = place.host.axes
    size = place.host.itemsize
    if _step(h) is None or _step(w) not in (0, size):
        return None
    return Lines(_starts(place, (n, c)), h.count, _step(h) or 0, w.count * size)


def elements_of(place: Place) -> Lines | None:
    """The elements (h, w) of a tensor as lines; None where they do not have the same distance."""
    n, c, h, w = place.host.axes
    row, element = _step(h), _step(w)
    if row is None or element is None or (h.count > 1 and w.count > 1 and row != w.count * element):
        return None
    return Lines(_starts(place, (n, c)), h.count * w.count, element if w.count > 1 else row, place.host.itemsize)


def stretch_of(work: Workspace, place: Place) -> Lines:
    """All elements of a tensor in order of (n, c, h, w) as one run, copied if they have gaps."""
    step = place.host.itemsize
    for axis in reversed(place.host.axes):
        if _step(axis) != (step if axis.count > 1 else 0):
            place = work.copy(place)
            break
        step *= axis.count
    return Lines(_starts(place, (_ONE, _ONE)), prod(place.host.shape), place.host.itemsize, place.host.itemsize)


def _step(axis: Axis) -> int | None:
    """Bytes from one index to the next (0 if there is only one), or None where that differs or index 0 is not at the start."""
    if axis.start:
        return None
    return 0 if axis.count == 1 else axis.outer if axis.period == 1 else None


def _starts(place: Place, axes: tuple[Axis, ...], distance: int = 0) -> Place:
    """The operand with other axes, that many bytes farther. (Written out: `dataclasses.replace` takes a third of the time of planning.)"""
    host = Placement(place.host.base + distance, place.host.itemsize, axes)
    return Place(place.space, host, place.bits, place.lane_stride, place.extent)


# ---------------------------------------------------------------------------- indices


def index_of(work: Workspace, place: Place) -> Lines | None:
    """An index (n, c, h, w) as one run of h * w numbers for each (n, c), copied if it has gaps."""
    found = elements_of(place)
    if found is None or (found.count > 1 and found.stride != found.width):
        found = elements_of(work.copy(place))
    return found


def check_calls(index: Lines, size: int, *, skip_unset: bool) -> list[Call] | None:
    """Calls that refuse if an index is `size` or more; with `skip_unset` one with all bits set may pass."""
    bits = 8 * index.width
    if size >= 1 << bits:
        return []
    calls = line_calls(_check(bits, skip_unset), [index.place], [index.count, size], 5 + index.count * bits / 512)
    return _guarded(calls)


def pairs_to_positions(work: Workspace, pairs: Lines, height: int, width: int, *, skip_unset: bool) -> Lines:
    """Turn one run of pairs (w, h) of 16 bits into positions of 32 bits in a flattened table; refuses as `check_calls` does.

    One half with all bits set is enough for a pair to pass; its position has all bits set then.
    """
    count = pairs.count // 2
    positions = Lines(_starts(work.room((count,), 4), (_ONE, _ONE)), count, 4, 4)
    work.add(_guarded(line_calls(_positions(skip_unset), [positions.place, pairs.place], [count, width, height], 2.0 * count)))
    return positions


def _guarded(calls: list[Call] | None) -> list[Call] | None:
    for call in calls or ():
        call.guarded = True
    return calls


@cache
def _check(bits: int, skip_unset: bool) -> LineOperation:
    element = integer(bits)

    def seen(value: Value) -> Value:
        return value.compare("eq", -1).choose(value.like(0), value) if skip_unset else value

    def body(line: Line) -> None:
        function, (index,), (count, size) = line.function, line.pointers, line.words
        lanes = 8 * function.target.vector_bytes // bits
        vector = element.vector(lanes)
        whole = count & -lanes
        with function.loop(0, whole, lanes, [function.constant(vector, 0)], maybe_none=True) as loop:
            value = index.offset(loop.index * (bits // 8)).load(vector)
            loop.next = [loop.values[0].intrinsic("umax", seen(value))]
        bound = size.trunc(element)
        line.refuse_if(loop.values[0].compare("uge", bound.splat(lanes)).any())
        with function.loop(whole, count, 1, [function.constant(element, 0)], maybe_none=True) as loop:
            value = index.offset(loop.index * (bits // 8)).load(element)
            loop.next = [loop.values[0].intrinsic("umax", seen(value))]
        line.refuse_if(loop.values[0].compare("uge", bound))

    return LineOperation(f"index.check.{bits}.{skip_unset}", operands=1, words=2, body=body)


@cache
def _positions(skip_unset: bool) -> LineOperation:
    def body(line: Line) -> None:
        function, (result, pairs), (count, width, height) = line.function, line.pointers, line.words
        never = function.constant(I1, 0)
        with function.loop(0, count, carried=[result, pairs, never]) as loop:
            to, at, refused = loop.values
            x, y = at.load(I16).zext(I64), at.offset(2).load(I16).zext(I64)
            outside = x.compare("uge", width) | y.compare("uge", height)
            position = (y * width + x).trunc(I32)
            if skip_unset:
                unset = x.compare("eq", 0xFFFF) | y.compare("eq", 0xFFFF)
                outside, position = outside & ~unset, unset.choose(position.like(-1), position)
            to.store(position)
            loop.next = [to.offset(4), at.offset(4), refused | outside]
        line.refuse_if(loop.values[2])

    return LineOperation(f"index.positions.{skip_unset}", operands=2, words=3, body=body)


# ---------------------------------------------------------------------------- moving lines


def move_lines(
    dst: Lines, src: Lines, index: Lines, *, gathers: bool, limit: int = 0, missing: Missing = "never", fill: Place | None = None
) -> list[Call] | None:
    """Calls that gather or scatter lines, in the order of the index: of equal ones the last wins.

    Args:
        dst, src: where to and where from, lines of equal width that do not touch.
        index: for each line of `dst` (gathers) the one of `src`, or for each line of `src` the one of `dst`.
        gathers: which of both it is.
        limit: the first index for which `missing` says what happens.
        missing: see `Missing`; with "never" all indices are known to be lines.
        fill: the element that `missing` lines are filled with.
    """
    blocks = index.count // _BLOCK_OF_LINES
    if not gathers or prod(dst.place.host.shape) > _FEW_LINES or blocks < 2:
        return _move(dst, src, index, gathers, limit, missing, fill)
    done = blocks * _BLOCK_OF_LINES
    calls = _move(dst.part(0, _BLOCK_OF_LINES, blocks), src, index.part(0, _BLOCK_OF_LINES, blocks), gathers, limit, missing, fill)
    if calls is None or done == index.count:
        return calls
    rest = index.count - done
    others = _move(dst.part(done, rest), src, index.part(done, rest), gathers, limit, missing, fill)
    return None if others is None else calls + others


def _move(dst: Lines, src: Lines, index: Lines, gathers: bool, limit: int, missing: Missing, fill: Place | None) -> list[Call] | None:
    block = min(PATTERN_BYTES, 1 << (dst.width.bit_length() - 1))
    operation = _moving(gathers, 8 * index.width, block, dst.width == block, missing)
    places = [dst.place, src.place, index.place, *([fill] if fill is not None else [])]
    dims = len(dst.place.host.axes)
    places = [place if len(place.host.axes) == dims else _starts(place, (*place.host.axes, _ONE)[:dims]) for place in places]
    words = [index.count, dst.stride, src.stride, limit, dst.width - block]
    return line_calls(operation, places, words, 5 + index.count * (1.2 + dst.width / 32))


@cache
def _moving(gathers: bool, bits: int, block: int, single: bool, missing: Missing) -> LineOperation:
    """Copies a line in blocks; what remains is copied by a last block that ends with the line."""
    unit = integer(8 * block) if block <= 8 else I8.vector(block)

    def copy(to: Value, source: Value, rest: Value, known: Value | None) -> None:
        if not single:
            function = to.function
            step, far = function.i64(block), rest
            if known is not None:  # the same block of the pattern again and again
                step, far = known.choose(step, 0), known.choose(rest, 0)
            with function.loop(0, rest, block, [to, source], maybe_none=True) as loop:
                loop.values[0].store(loop.values[1].load(unit))
                loop.next = [loop.values[0].offset(block), loop.values[1].offset(step)]
            to, source = to.offset(rest), source.offset(far)
        to.store(source.load(unit))

    def body(line: Line) -> None:
        function = line.function
        dst, src, index, *fill = line.pointers
        count, dst_stride, src_stride, limit, rest = line.words
        table, table_stride, stride = (src, src_stride, dst_stride) if gathers else (dst, dst_stride, src_stride)
        with function.loop(0, count, carried=[dst if gathers else src, index]) as loop:
            at, place = loop.values
            number = place.load(integer(bits)).zext(I64)
            chosen = table.offset(number * table_stride)
            to, source = (at, chosen) if gathers else (chosen, at)
            if missing == "never":
                copy(to, source, rest, None)
            elif missing == "keep":
                with function.when(number.compare("ult", limit)):
                    copy(to, source, rest, None)
            else:
                known = number.compare("ult", limit)
                copy(to, known.choose(source, fill[0]), rest, known)
            loop.next = [at.offset(stride), place.offset(bits // 8)]

    key = f"lines.{'gather' if gathers else 'scatter'}.{bits}.{block}.{single}.{missing}"
    return LineOperation(key, operands=3 + (missing == "fill"), words=5, body=body)


# ---------------------------------------------------------------------------- comparing


def equal_calls(one: Lines, other: Lines) -> list[Call] | None:
    """Calls that refuse if the lines differ, one line for each (n, c)."""
    return _guarded(line_calls(_equal(), [one.place, other.place], [one.width], 5 + one.width / 32))


@cache
def _equal() -> LineOperation:
    def body(line: Line) -> None:
        function, (one, other), (width,) = line.function, line.pointers, line.words
        start = function.i64(0)
        for unit in (I64, I8):
            size = unit.bits // 8
            end = width & -size
            with function.loop(start, end, size, [function.constant(unit, 0)], maybe_none=True) as loop:
                difference = one.offset(loop.index).load(unit) ^ other.offset(loop.index).load(unit)
                loop.next = [loop.values[0] | difference]
            line.refuse_if(loop.values[0].compare("ne", 0))
            start = end

    return LineOperation("lines.equal", operands=2, words=1, body=body)
