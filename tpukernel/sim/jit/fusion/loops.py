"""The loops of a call as data: what is computed for every element, and where the elements of each operand lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from tpukernel.sim.jit.kernel import ARGUMENTS, REGISTERS, SCRATCH, Call
from tpukernel.sim.jit.nest import DIMS
from tpukernel.sim.jit.nest_kernel import Elementwise, NestKernel, Strided, operands_of

__all__ = ["Area", "Loops", "common_sizes", "loops_of"]

_NOT_FUSED = frozenset({SCRATCH, REGISTERS})
"""Spaces of calls that stay as they are."""


@dataclass(frozen=True, slots=True)
class Area:
    """Bytes of a memory in a box: of each lane from `lane` to `lane_end - 1` the bytes from `byte` to `byte_end - 1`.

    Attributes:
        full: whether all bytes of the box are meant. Else some of them, those of the elements `key`.
        key: what areas of the same elements have in common.
    """

    space: str
    lane: int
    lane_end: int
    byte: int
    byte_end: int
    full: bool = False
    key: object = None

    def meets(self, other: Area) -> bool:
        """False when it is plain that they have no byte in common."""
        return (
            self.byte < other.byte_end
            and other.byte < self.byte_end
            and self.lane < other.lane_end
            and other.lane < self.lane_end
            and self.space == other.space
        )

    def covers(self, other: Area) -> bool:
        """Whether all bytes of the other one are plainly among those of this one."""
        if self.space != other.space:
            return False
        if self.key is not None and self.key == other.key:
            return True
        inside = self.lane <= other.lane and other.lane_end <= self.lane_end and self.byte <= other.byte and other.byte_end <= self.byte_end
        return self.full and inside


@dataclass(frozen=True)
class Loops:
    """A call of a nest: an operation for every element of a few loops.

    Attributes:
        operation: what is computed.
        sizes: turns of the loops that have more than one, in the order of how far apart the elements lie in local memory.
        operands: results first; their strides are along these loops.
        lane_stride: bytes from one lane to the next in the computer.
    """

    operation: Elementwise
    sizes: tuple[int, ...]
    operands: tuple[Strided, ...]
    lane_stride: int

    @property
    def results(self) -> tuple[Strided, ...]:
        return self.operands[: len(self.operation.results)]

    @property
    def sources(self) -> tuple[Strided, ...]:
        return self.operands[len(self.operation.results) :]

    @property
    def elements(self) -> int:
        return prod(self.sizes)

    @cached_property
    def written(self) -> tuple[Area, ...]:
        """The areas of the results."""
        return tuple(self._area(operand, 0) for operand in self.results)

    @cached_property
    def read(self) -> tuple[Area | None, ...]:
        """The areas of the sources; None for constants."""
        tables, extent = self.operation.tables, self.operation.table_bytes
        return tuple(
            None if source.space == ARGUMENTS else self._area(source, extent if number in tables else 0)
            for number, source in enumerate(self.sources)
        )

    def split(self, sizes: tuple[int, ...]) -> Loops:
        """The same with smaller loops (see `common_sizes`)."""
        if sizes == self.sizes:
            return self
        return replace(
            self, sizes=sizes, operands=tuple(replace(each, strides=_split(self.sizes, each.strides, sizes)) for each in self.operands)
        )

    def _area(self, operand: Strided, extent: int) -> Area:
        lane_stride = self.lane_stride if operand.space == "lmem" else 0
        lane, byte = divmod(operand.offset, lane_stride) if lane_stride else (0, operand.offset)
        lanes, bytes_ = list[tuple[int, int]](), list[tuple[int, int]]()
        for size, stride in zip(self.sizes, operand.strides, strict=True):
            across, along = divmod(stride, lane_stride) if lane_stride else (0, stride)
            if across:
                lanes.append((across, size))
            if along:
                bytes_.append((along, size))
        reach, full_bytes = _reach(bytes_, operand.itemsize)
        lane_reach, full_lanes = _reach(lanes, 1)
        return Area(
            operand.space,
            lane,
            lane + lane_reach,
            byte,
            byte + max(reach, extent),
            full=full_bytes and full_lanes and len(lanes) + len(bytes_) == sum(stride > 0 for stride in operand.strides),
            key=(operand.offset, operand.itemsize, tuple(_joined(self.sizes, operand.strides))),
        )


def _reach(steps: list[tuple[int, int]], unit: int) -> tuple[int, bool]:
    """How far steps (stride, size) lead, and whether they leave nothing out."""
    reach, full = unit, True
    for stride, size in sorted(steps):
        full &= stride == reach
        reach += stride * (size - 1)
    return reach, full


def _joined(sizes: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """The loops along which an operand moves, those joined that pass through it without a gap."""
    found: list[tuple[int, int]] = []
    for size, stride in zip(sizes, strides, strict=True):
        if not stride:
            continue
        if found and found[-1][1] == stride * size:
            size *= found.pop()[0]
        found.append((size, stride))
    return found


def _split(sizes: Sequence[int], strides: Sequence[int], parts: Sequence[int]) -> tuple[int, ...]:
    """Strides of the parts into which loops are split."""
    found: list[int] = []
    rest = list(parts)
    for size, stride in zip(reversed(sizes), reversed(strides), strict=True):
        done = 1
        while done < size:
            found.append(stride * done)
            done *= rest.pop()
    return tuple(reversed(found))


def common_sizes(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    """The largest loops of which those of both consist; None where there are none, or too many."""
    if one == other:
        return one
    left, right, found = list(one), list(other), list[int]()
    while left and right:
        a, b = left.pop(), right.pop()
        size = min(a, b)
        if a % size or b % size:
            return None
        found.append(size)
        for whole, rest in ((a, left), (b, right)):
            if whole > size:
                rest.append(whole // size)
    if left or right or len(found) > DIMS:
        return None
    return tuple(reversed(found))


def loops_of(call: Call, lane_stride: int) -> Loops | None:
    """A call as loops; None for one that is not computed element by element."""
    if not isinstance(call.kernel, NestKernel) or call.guarded:
        return None
    sizes, operands = operands_of(call)
    if any(operand.space in _NOT_FUSED for operand in operands):
        return None
    local = [operand.strides for operand in operands if operand.space == "lmem"]
    dims = [dim for dim, size in enumerate(sizes) if size > 1]
    dims.sort(key=lambda dim: max((strides[dim] for strides in local), default=0), reverse=True)
    moved = [replace(operand, strides=tuple(operand.strides[dim] for dim in dims)) for operand in operands]
    return Loops(call.kernel.operation, tuple(sizes[dim] for dim in dims), tuple(moved), lane_stride)
