"""Where the operands of a command lie, and whether two of them can touch each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tpukernel.chips.placement import Axis, Placement
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.sim.jit.kernel import ARGUMENTS, SCRATCH
from tpukernel.sim.memory import Memory

__all__ = ["Place", "conflicts", "place_of", "places_of", "same_elements"]


@dataclass(frozen=True, slots=True)
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

    @property
    def end(self) -> int:
        """First byte behind the last element."""
        return self.host.end + max(0, self.extent - self.host.itemsize)

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


def place_of(memory: Memory, operand: LocalTensor | SystemTensor | Constant) -> Place | None:
    """Where an operand lies; None where no placement in the computer can say it (elements that go on from one lane to the next)."""
    if isinstance(operand, Constant):
        return Place.constant(operand)
    space, placement = memory.place(operand)
    host = memory.host(space, placement)
    return None if host is None else Place(space, host, lane_stride=memory.lane_stride if space == "lmem" else 0)


def places_of(memory: Memory, operands: Iterable[LocalTensor | SystemTensor | Constant]) -> list[Place] | None:
    """Where operands lie; None if one of them has no place (see `place_of`)."""
    found = [place_of(memory, operand) for operand in operands]
    known = [place for place in found if place is not None]
    return known if len(known) == len(found) else None


def conflicts(one: Place, other: Place) -> bool:
    """False when it is plain that they have no byte in common."""
    if one.space != other.space or one.space == ARGUMENTS:
        return False
    if one.end <= other.host.base or other.end <= one.host.base:
        return False
    if not one.lane_stride:
        return True
    (lanes, bytes_), (other_lanes, other_bytes) = _box(one), _box(other)
    return _meet(lanes, other_lanes) and _meet(bytes_, other_bytes)


def same_elements(one: Place, other: Place) -> bool:
    """Whether both are the same elements in the same order."""
    return one.space == other.space and one.host == other.host


Range = tuple[int, int]
"""First number, and the number behind the last one."""


def _meet(one: Range, other: Range) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _box(place: Place) -> tuple[Range, Range]:
    """A box around the elements: lanes, and bytes inside a lane. Whole lanes of a stride lead to other lanes, the rest stays."""
    stride, placement = place.lane_stride, place.host
    low_lane, low_byte = divmod(placement.base, stride)
    high_lane, high_byte = low_lane + 1, low_byte + max(placement.itemsize, place.extent)
    for axis in placement.axes:
        lanes = _extent(replace(axis, outer=axis.outer // stride, inner=axis.inner // stride))
        bytes_ = _extent(replace(axis, outer=axis.outer % stride, inner=axis.inner % stride))
        low_lane, high_lane = low_lane + lanes[0], high_lane + lanes[1]
        low_byte, high_byte = low_byte + bytes_[0], high_byte + bytes_[1]
    return (low_lane, high_lane), (low_byte, high_byte)


def _extent(axis: Axis) -> Range:
    """The least and the largest offset of an axis."""
    turn, place = divmod(axis.start, axis.period)
    first = turn * axis.outer + place * axis.inner
    wraps = place + axis.count > axis.period
    return min(first, (turn + 1) * axis.outer) if wraps else first, axis.reach
