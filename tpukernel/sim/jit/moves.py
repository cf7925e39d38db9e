"""Copies of elements from any place to any other; what the units that move elements share.

An element is its bits here, as wide as they are. Where source and result lie on each other, or have shapes that no common loops have, the
elements go through work memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from math import prod

from tpukernel.chips.placement import Axis, Placement
from tpukernel.isa.dma_fields import ALL_LANES
from tpukernel.sim.interpreter.moves import allows
from tpukernel.sim.jit.access import Place, conflicts
from tpukernel.sim.jit.kernel import ARGUMENTS, Call
from tpukernel.sim.jit.nest import is_injective
from tpukernel.sim.jit.nest_kernel import Elementwise, nest_calls
from tpukernel.sim.jit.tile_kernel import in_tiles

__all__ = ["copy_to_lanes", "copying", "move_calls", "written_parts"]

_MOST_CALLS = 512
"""A copy to lanes here and there takes a call for each of them, which is still faster than the interpreter."""


@cache
def copying(size: int) -> Elementwise:
    """Copies elements of that many bytes."""
    return Elementwise(f"copy.{size}", (size,), (size,), body=lambda values: values, width=8 * size, nanoseconds=size / 16)


def copy_to_lanes(dst: Place, src: Place, lane_mask: int) -> list[Call] | None:
    """As `move_calls`; in local memory only the lanes of a mask are written."""
    if lane_mask == ALL_LANES or not dst.lane_stride:
        return move_calls(dst, src)
    if src.host.shape != dst.host.shape and src.space != ARGUMENTS:
        return None
    calls: list[Call] = []
    for to, source in written_parts([dst, src], lane_mask):
        found = move_calls(to, source)
        if found is None or len(calls) > _MOST_CALLS:
            return None
        calls += found
    return None if conflicts(dst, src) else calls


def written_parts(places: Sequence[Place], lane_mask: int) -> Iterator[list[Place]]:
    """The operands of a copy to local memory in parts that lie in lanes of the mask.

    Args:
        places: of the result first. An operand with a single channel, which is repeated, stays as it is.
        lane_mask: lanes that may be written.
    """
    if lane_mask == ALL_LANES:
        yield list(places)
        return
    axis, begin = places[0].host.axes[1], 0
    for flag, group in groupby(allows(lane_mask, (axis.start + channel) % axis.period) for channel in range(axis.count)):
        end = begin + len(list(group))
        if flag:
            yield [_channels(place, begin, end) for place in places]
        begin = end


def _channels(place: Place, begin: int, end: int) -> Place:
    n, c, h, w = place.host.axes
    part = c if c.count == 1 else replace(c, count=end - begin, start=c.start + begin)
    return replace(place, host=replace(place.host, axes=(n, part, h, w)))


def move_calls(dst: Place, src: Place) -> list[Call] | None:
    """The calls that copy elements; `src` is repeated along its dimensions of size 1, or has as many elements in another shape."""
    if not is_injective(dst.host):
        return None
    repeats = all(count in (1, wanted) for count, wanted in zip(src.host.shape, dst.host.shape, strict=True))
    if not repeats:
        matched = _one_shape(dst.host, src.host)
        if matched is None:
            return _through_scratch(dst, src)
        dst, src = replace(dst, host=matched[0]), replace(src, host=matched[1])
    if conflicts(dst, src):
        return _through_scratch(dst, src)
    return _copied(dst, src)


def _copied(dst: Place, src: Place) -> list[Call] | None:
    size = dst.host.itemsize
    found = nest_calls(copying(size), [dst], [src])
    return None if found is None else [in_tiles(call, size) for call in found]


def _through_scratch(dst: Place, src: Place) -> list[Call] | None:
    size, shape = dst.host.itemsize, src.host.shape
    first = _copied(Place.scratch(shape, size), src)
    same = len(shape) == len(dst.host.shape) and prod(shape) != prod(dst.host.shape)  # a source that is repeated keeps its shape
    second = _copied(dst, Place.scratch(shape if same else dst.host.shape, size))
    if first is None or second is None:
        return None
    calls = [*first, *second]
    for call in calls:
        call.scratch = size * prod(shape)
    return calls


def _one_shape(dst: Placement, src: Placement) -> tuple[Placement, Placement] | None:
    """Both with the same, finer shape, whose dimensions are parts of those of each; None where a part would wrap, or none exists."""
    dst, src = _without_ones(dst), _without_ones(src)
    left, right = list(dst.axes), list(src.axes)
    found: list[tuple[Axis, Axis]] = []
    while left and right:
        one, other = left.pop(), right.pop()
        count = min(one.count, other.count)
        if one.count % count or other.count % count:
            return None
        for axis, rest in ((one, left), (other, right)):
            if axis.count > count:
                if axis.period > 1:
                    return None
                rest.append(Axis(axis.count // count, axis.outer * count))
        found.append((replace(one, count=count), replace(other, count=count)))
    if left or right:
        return None
    found.reverse()
    return replace(dst, axes=tuple(a for a, _ in found)), replace(src, axes=tuple(b for _, b in found))


def _without_ones(placement: Placement) -> Placement:
    """The same elements without dimensions of size 1."""
    ones = sum(int(axis.offsets()[0]) for axis in placement.axes if axis.count == 1)
    return replace(placement, base=placement.base + ones, axes=tuple(axis for axis in placement.axes if axis.count > 1))
