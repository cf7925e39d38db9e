"""Where the elements of a tensor lie in a flat memory, as one formula for every layout.

Each dimension contributes on its own to the offset of an element, so a layout is a base and one `Axis` per dimension. An axis is either
linear or wraps: channels over the lanes, packed batches and input channels over the places of their group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "Placement"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension: index i lies `(start + i) // period * outer + (start + i) % period * inner` bytes behind the base.

    Attributes:
        count: size of the dimension.
        outer: bytes from one turn to the next; with `period` 1 the stride of the dimension.
        inner: bytes from one place of a turn to the next.
        period: places of a turn.
        start: place of index 0.
    """

    count: int
    outer: int
    inner: int = 0
    period: int = 1
    start: int = 0

    @property
    def turns(self) -> int:
        """Turns that the axis touches, the partial ones included."""
        return -(-(self.start + self.count) // self.period)

    @property
    def reach(self) -> int:
        """Bytes behind the base of the farthest index."""
        last = self.start + self.count - 1
        whole_turns_end = last - (last + 1) % self.period
        ends = (last, whole_turns_end) if whole_turns_end >= self.start else (last,)
        return max(end // self.period * self.outer + end % self.period * self.inner for end in ends)

    def offsets(self) -> NDArray[np.int64]:
        """Bytes behind the base of every index."""
        turn, place = np.divmod(np.arange(self.start, self.start + self.count, dtype=np.int64), self.period)
        return turn * self.outer + place * self.inner

    def pieces(self) -> list[tuple[int, int, int, int]]:
        """The axis as at most three rectangles: (first index, turns, places, bytes behind the base)."""
        found: list[tuple[int, int, int, int]] = []
        turn, place = divmod(self.start, self.period)
        index = 0
        while index < self.count:
            left = self.count - index
            whole = place == 0 and left >= self.period
            turns, places = (left // self.period, self.period) if whole else (1, min(left, self.period - place))
            found.append((index, turns, places, turn * self.outer + place * self.inner))
            index, turn, place = index + turns * places, turn + turns, 0
        return found


@dataclass(frozen=True)
class Placement:
    """The bytes of a tensor: element (i, j, ...) starts at `base` plus what each axis adds, and has `itemsize` bytes."""

    base: int
    itemsize: int
    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.count for axis in self.axes)

    @property
    def end(self) -> int:
        """First byte behind the last element."""
        return self.base + sum(axis.reach for axis in self.axes) + self.itemsize

    def distinct(self) -> Placement:
        """The same bytes without the dimensions along which an element is repeated (stride 0)."""
        return replace(self, axes=tuple(replace(axis, count=1) if axis.outer == 0 and axis.period == 1 else axis for axis in self.axes))

    def offsets(self) -> NDArray[np.int64]:
        """Offset of every element, in the tensor's shape."""
        total = np.full((), self.base, np.int64)
        for axis in self.axes:
            total = total[..., None] + axis.offsets()
        return total

    def overlaps(self) -> bool:
        """True when two elements share a byte."""
        factors = [(axis.outer, axis.turns) for axis in self.axes]
        factors += [(axis.inner, min(axis.period, axis.count)) for axis in self.axes if axis.period > 1]
        reach = 0
        for stride, count in sorted(factor for factor in factors if factor[1] > 1):
            if stride < reach + self.itemsize:
                break
            reach += stride * (count - 1)
        else:
            return False
        # The strides interleave (or repeat an element), which tells nothing yet: look at the elements themselves.
        starts = np.sort(self.offsets(), axis=None)
        return bool((np.diff(starts) < self.itemsize).any())

    def read(self, memory: NDArray[np.uint8]) -> NDArray[np.unsignedinteger]:
        """The elements as unsigned integers of their size, in the tensor's shape."""
        found = np.empty(self.shape, f"u{self.itemsize}")
        for part in self._rectangles:
            found[part.index].reshape(part.shape)[...] = part.view(memory, self.itemsize)
        return found

    def write(self, memory: NDArray[np.uint8], bits: NDArray[np.unsignedinteger]) -> None:
        """Put elements, given as unsigned integers of their size, into the memory."""
        for part in self._rectangles:
            part.view(memory, self.itemsize)[...] = bits[part.index].reshape(part.shape)

    @cached_property
    def _rectangles(self) -> tuple[_Rectangle, ...]:
        strides = tuple(stride for axis in self.axes for stride in (axis.outer, axis.inner))
        return tuple(
            _Rectangle(
                index=tuple(slice(first, first + turns * places) for first, turns, places, _ in pieces),
                shape=tuple(size for _, turns, places, _ in pieces for size in (turns, places)),
                strides=strides,
                offset=self.base + sum(offset for *_, offset in pieces),
            )
            for pieces in product(*(axis.pieces() for axis in self.axes))
        )


@dataclass(frozen=True, slots=True)
class _Rectangle:
    """A part of a tensor that numpy can view: `index` in the tensor, `shape` and `strides` in bytes by (turns, places) of every axis."""

    index: tuple[slice, ...]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def view(self, memory: NDArray[np.uint8], itemsize: int) -> NDArray[np.unsignedinteger]:
        # numpy checks that the view stays inside the memory. Splitting a dimension of the tensor, as the callers do, never copies.
        return np.ndarray(self.shape, f"u{itemsize}", memory, self.offset, self.strides)
