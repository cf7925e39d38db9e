"""Shapes that the compiler chooses for groups of elementwise nodes: dimensions that belong together become one, and fill the lanes.

A part says where each tensor begins and which (n, c, h, w) it is there. Most groups are one part; what does not divide evenly becomes a
second and a third one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4

__all__ = ["Part", "elementwise_parts"]

RUN_BYTES = 256
"""A shorter run of bytes costs as much as one of this length (cost model of the official compiler)."""
LARGEST = 65535 // 64 * 64
"""Elements of a dimension that a command can have, in whole rows of lanes."""
LANE_RUN_ELEMENTS = 512
"""Elements in a row for each lane in long tensors: with 64 lanes a row of a matrix, of which the DMA engine takes up to 65535."""


@dataclass(frozen=True)
class Part:
    """First element and shape (n, c, h, w) of each tensor of a group."""

    views: Mapping[str, tuple[int, Dim4]]


def elementwise_parts(shapes: Mapping[str, tuple[int, ...]], itemsize: int, chip: Chip) -> list[Part]:
    """Shapes for tensors that are broadcast against each other, as in numpy.

    Args:
        shapes: shape of each tensor by name.
        itemsize: bytes of an element of the widest of them.
        chip: the chip.
    """
    sizes, axes = _merged(shapes)
    parts: list[Part] = []
    outer = _loops(sizes, itemsize, chip)
    spans = [[(place, 1) for place in range(size)] for size in sizes[:outer]] + [_spans(size, len(sizes) - outer) for size in sizes[outer:]]
    for box in product(*spans):
        inner_sizes = [size for _, size in box[outer:]]
        for along, placing in _placed(inner_sizes, itemsize, chip):
            views: dict[str, tuple[int, Dim4]] = {}
            for name, has in axes.items():
                starts = [start for start, _ in box]
                if starts:
                    starts[-1] += along
                offset = sum(start * stride for start, stride in zip(starts, _strides(sizes, has), strict=True))
                views[name] = (offset, placing(has[outer:]))
            parts.append(Part(views))
    return parts


def _merged(shapes: Mapping[str, tuple[int, ...]]) -> tuple[list[int], Mapping[str, tuple[bool, ...]]]:
    """The sizes of dimensions that every tensor has or repeats as a whole, and for each tensor which of them it has."""
    rank = max(len(shape) for shape in shapes.values())
    full = {name: (1,) * (rank - len(shape)) + shape for name, shape in shapes.items()}
    sizes: list[int] = []
    patterns: list[tuple[bool, ...]] = []
    for axis in range(rank):
        size = max(shape[axis] for shape in full.values())
        if size == 1:
            continue
        pattern = tuple(shape[axis] != 1 for shape in full.values())
        if patterns and patterns[-1] == pattern:
            sizes[-1] *= size
        else:
            sizes.append(size)
            patterns.append(pattern)
    return sizes, {name: tuple(pattern[place] for pattern in patterns) for place, name in enumerate(full)}


def _spans(size: int, dimensions: int) -> list[tuple[int, int]]:
    """A dimension in stretches that one command can have: first element and how many."""
    most = LARGEST if dimensions > 1 else LARGEST * LANE_RUN_ELEMENTS
    return [(start, min(most, size - start)) for start in range(0, size, most)]


def _strides(sizes: Sequence[int], has: Sequence[bool]) -> list[int]:
    """Elements from one index to the next along each dimension of a tensor that has some of them."""
    own = [size if mine else 1 for size, mine in zip(sizes, has, strict=True)]
    return [prod(own[axis + 1 :]) if mine else 0 for axis, mine in enumerate(has)]


Box = Mapping[tuple[bool, ...], Dim4]


def _placed(sizes: Sequence[int], itemsize: int, chip: Chip) -> Iterator[tuple[int, _Placing]]:
    """Ways to see up to three dimensions as (n, c, h, w): offset along the last one, and the shape for a tensor that has some of them."""
    match list(sizes):
        case []:
            yield 0, _Placing((), (1, 1, 1, 1))
        case [size]:
            for offset, c, w in _runs(size, itemsize, chip):
                yield offset, _Placing((0, 0), (1, c, 1, w))
        case [rows, size] if rows < chip.lanes // 2 and (lanes := _even_lanes(size, itemsize, chip)) > rows:
            yield 0, _Placing((0, 1, 1, 1), (rows, lanes, 1, size // lanes))
        case [rows, size]:
            yield 0, _Placing((0, 0, 1, 1), (1, rows, 1, size))
        case [n, c, w]:
            yield 0, _Placing((0, 1, 2, 2), (n, c, 1, w))
        case _:
            raise AssertionError("more than three dimensions")  # pragma: no cover


def _loops(sizes: Sequence[int], itemsize: int, chip: Chip) -> int:
    """How many of the first dimensions are gone through one by one."""
    if len(sizes) == 2 and sizes[0] < chip.lanes // 4 and sizes[1] * itemsize > sizes[0] * 8 * RUN_BYTES:
        return 0 if _even_lanes(sizes[1], itemsize, chip) > sizes[0] else 1
    return max(len(sizes) - 3, 0)


def _even_lanes(size: int, itemsize: int, chip: Chip) -> int:
    """The largest number of lanes that have equal parts of a row, none shorter than a run."""
    most = min(size * itemsize // RUN_BYTES, chip.lanes)
    return next((lanes for lanes in range(most, 1, -1) if size % lanes == 0), 1)


@dataclass(frozen=True)
class _Placing:
    """Which dimension each of n, c, h and w belongs to, and their sizes for a tensor that has all."""

    owners: tuple[int, ...]
    full: Dim4

    def __call__(self, has: Sequence[bool]) -> Dim4:
        if not self.owners:
            return self.full
        owners = self.owners if len(self.owners) == 4 else (0, 0, 0, 0)
        n, c, h, w = (size if has[owner] else 1 for size, owner in zip(self.full, owners, strict=True))
        return n, c, h, w


def _runs(size: int, itemsize: int, chip: Chip) -> Iterator[tuple[int, int, int]]:
    """A row of elements as rows for lanes: offset, how many, elements of each; the last ones are what did not divide evenly."""
    offset = 0
    least = max(RUN_BYTES // itemsize, 1)
    run = LANE_RUN_ELEMENTS
    even = -(-size // chip.lanes)
    run = min(run, max(-(-even // least) * least, least))
    run = next((each for each in range(run, least - 1, -1) if size % (each * chip.lanes) == 0), run)
    while offset < size:
        left = size - offset
        rows = left // run
        if rows == 0:
            if left <= least or run <= least:
                yield offset, 1, left
                return
            run = least
            continue
        yield offset, rows, run
        offset += rows * run
        run = least if run > least else left
