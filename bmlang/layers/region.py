"""Boxes of four-dimensional tensors, with which local forms say what they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from tpukernel.chips.tensors import Dim4

__all__ = ["Region", "four", "pieces"]


@dataclass(frozen=True, slots=True)
class Region:
    """A box of an (n, c, h, w) tensor: first element and size along each dimension."""

    start: Dim4
    size: Dim4

    @classmethod
    def whole(cls, shape: Dim4) -> Region:
        """All of a tensor."""
        return cls((0, 0, 0, 0), shape)

    @property
    def end(self) -> Dim4:
        """The first elements behind the box."""
        n, c, h, w = (start + size for start, size in zip(self.start, self.size, strict=True))
        return n, c, h, w

    def along(self, axis: int, start: int, size: int) -> Region:
        """The box with another span along one dimension."""
        starts, sizes = list(self.start), list(self.size)
        starts[axis], sizes[axis] = start, size
        return Region((starts[0], starts[1], starts[2], starts[3]), (sizes[0], sizes[1], sizes[2], sizes[3]))

    def within(self, outer: Region) -> Region:
        """The same box, counted from the begin of another one that holds it."""
        n, c, h, w = (one - other for one, other in zip(self.start, outer.start, strict=True))
        return Region((n, c, h, w), self.size)

    def join(self, other: Region) -> Region:
        """The smallest box that holds both."""
        starts = tuple(map(min, self.start, other.start))
        ends = tuple(map(max, self.end, other.end))
        n, c, h, w = (end - start for start, end in zip(starts, ends, strict=True))
        return Region((starts[0], starts[1], starts[2], starts[3]), (n, c, h, w))

    def broadcast(self, shape: Dim4) -> Region:
        """What a tensor that is repeated along its dimensions of size 1 gives for this box."""
        spans = [(0, 1) if whole == 1 else span for whole, span in zip(shape, zip(self.start, self.size, strict=True), strict=True)]
        (a, b), (c, d), (e, f), (g, h) = spans
        return Region((a, c, e, g), (b, d, f, h))

    @property
    def elements(self) -> int:
        return prod(self.size)

    def slices(self) -> tuple[slice, slice, slice, slice]:
        """For an index."""
        n, c, h, w = (slice(start, end) for start, end in zip(self.start, self.end, strict=True))
        return n, c, h, w


def four(shape: tuple[int, ...]) -> Dim4:
    """A shape with four dimensions: ones in front of a shorter one; the first dimensions of a longer one together."""
    if len(shape) > 4:
        shape = (prod(shape[: len(shape) - 3]), *shape[-3:])
    n, c, h, w = (1,) * (4 - len(shape)) + shape
    return n, c, h, w


def pieces(shape: Dim4, size: Dim4) -> Iterator[Region]:
    """The boxes of at most `size` into which a tensor is cut, the last dimension fastest."""
    spans = [[(start, min(step, whole - start)) for start in range(0, whole, step)] for whole, step in zip(shape, size, strict=True)]
    for (a, b), (c, d), (e, f), (g, h) in product(*spans):
        yield Region((a, c, e, g), (b, d, f, h))
