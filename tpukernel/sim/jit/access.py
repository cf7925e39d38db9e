"""Where the operands of a command lie, and whether two of them can touch each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from weakref import WeakKeyDictionary

from tpukernel.chips.placement import Axis, Placement
from tpukernel.chips.tensors import Constant, Operand
from tpukernel.sim.jit.kernel import ARGUMENTS, SCRATCH
from tpukernel.sim.jit.nest import Form, form_of, is_injective
from tpukernel.sim.memory import Memory

__all__ = ["Place", "conflicts", "place_of", "places_of", "same_elements"]


@dataclass(frozen=True)
class Place:
    """Where an operand lies.

    Attributes:
        space: the memory, or `ARGUMENTS` or `SCRATCH`.
        host: places of the elements in the computer.
        bits: of a constant, its bits.
        lane_stride: in local memory, bytes from one lane to the next in the computer; else 0.
        extent: bytes that are read from the start of each element on, if that is more than the element.
    """

    space: str
    host: Placement
    bits: int = 0
    lane_stride: int = 0
    extent: int = 0

    @cached_property
    def box(self) -> Box:
        """A box around the elements."""
        size = max(self.host.itemsize, self.extent)
        low_lane, high_lane, low_byte, high_byte = _spread(self.host.axes, self.lane_stride)
        lane, byte = divmod(self.host.base, self.lane_stride) if self.lane_stride else (0, self.host.base)
        return lane + low_lane, lane + high_lane + 1, byte + low_byte, byte + high_byte + size

    @cached_property
    def form(self) -> Form:
        """The axes of the elements in the computer."""
        return form_of(self.host)

    @cached_property
    def injective(self) -> bool:
        """Whether it is plain that no two elements share a byte."""
        return is_injective(self.host)

    @classmethod
    def constant(cls, constant: Constant) -> Place:
        """A constant as an element that is repeated in every dimension."""
        return cls(ARGUMENTS, Placement(0, constant.dtype.itemsize, (Axis(1, 0),) * 4), constant.bits)

    @classmethod
    def scratch(cls, shape: tuple[int, ...], itemsize: int, offset: int = 0) -> Place:
        """Elements one behind the other in work memory."""
        axes: list[Axis] = []
        stride = itemsize
        for size in reversed(shape):
            axes.append(Axis(size, stride))
            stride *= size
        return cls(SCRATCH, Placement(offset, itemsize, tuple(reversed(axes))))


def place_of(memory: Memory, operand: Operand) -> Place | None:
    """Where an operand lies; None where no placement in the computer can say it (elements that go on from one lane to the next)."""
    known = _known.setdefault(memory, {})
    if operand in known:
        return known[operand]
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[operand] = found = _find(memory, operand)
    return found


_known: WeakKeyDictionary[Memory, dict[Operand, Place | None]] = WeakKeyDictionary()
_MOST_KNOWN = 1 << 16


def _find(memory: Memory, operand: Operand) -> Place | None:
    if isinstance(operand, Constant):
        return Place.constant(operand)
    space, placement = memory.place(operand)
    host = memory.host(space, placement)
    return None if host is None else Place(space, host, lane_stride=memory.lane_stride if space == "lmem" else 0)


def places_of(memory: Memory, operands: Iterable[Operand]) -> list[Place] | None:
    """Where operands lie; None if one of them has no place (see `place_of`)."""
    found = [place_of(memory, operand) for operand in operands]
    known = [place for place in found if place is not None]
    return known if len(known) == len(found) else None


def conflicts(one: Place, other: Place) -> bool:
    """False when it is plain that they have no byte in common."""
    if one.space != other.space or one.space == ARGUMENTS:
        return False
    low, high, first, last = one.box
    other_low, other_high, other_first, other_last = other.box
    return low < other_high and other_low < high and first < other_last and other_first < last


def same_elements(one: Place, other: Place) -> bool:
    """Whether both are the same elements in the same order."""
    return one.space == other.space and one.host == other.host


Box = tuple[int, int, int, int]
"""First lane and the one behind the last, first byte in a lane and the one behind the last; in other memories all is lane 0."""


@lru_cache(maxsize=4096)
def _spread(axes: tuple[Axis, ...], lane_stride: int) -> Box:
    """How far the elements reach from the first one. Whole lanes of a stride lead to other lanes, the rest stays in the lane."""
    low_lane = high_lane = low_byte = high_byte = 0
    for axis in axes:
        outer, outer_bytes = divmod(axis.outer, lane_stride) if lane_stride else (0, axis.outer)
        inner, inner_bytes = divmod(axis.inner, lane_stride) if lane_stride else (0, axis.inner)
        lanes, bytes_ = _extent(axis, outer, inner), _extent(axis, outer_bytes, inner_bytes)
        low_lane, high_lane = low_lane + lanes[0], high_lane + lanes[1]
        low_byte, high_byte = low_byte + bytes_[0], high_byte + bytes_[1]
    return low_lane, high_lane, low_byte, high_byte


def _extent(axis: Axis, outer: int, inner: int) -> tuple[int, int]:
    """The least and the largest offset of an axis with such strides."""
    turn, place = divmod(axis.start, axis.period)
    first = turn * outer + place * inner
    wraps = place + axis.count > axis.period
    return min(first, (turn + 1) * outer) if wraps else first, replace(axis, outer=outer, inner=inner).reach
