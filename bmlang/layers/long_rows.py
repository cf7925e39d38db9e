"""Few long rows: each over several lanes, for layers that reduce rows.

A row that lies in one lane leaves the others idle, and may be longer than a lane. Here a row (in n) is cut into equal parts for the lanes;
what the lanes have is brought into one lane by the transposing command, joined there, and handed to all of them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bmlang.layers.region import Region
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import f32
from tpukernel.lang.builder import Builder
from tpukernel.lang.tensors import Tile

__all__ = ["LongRows"]

LEAST_LANES = 4
"""Fewer lanes are not worth it."""
CROSSING = 20
"""Cycles in which a number of each lane becomes one of all lanes, besides its sum or maximum, about."""

CROSSERS = 10
"""Buffers for numbers of lanes that a layer has, at most."""


@dataclass(frozen=True)
class LongRows:
    """Rows (rows, size) as (rows, lanes, 1, part)."""

    rows: int
    lanes: int
    part: int

    @classmethod
    def of(cls, rows: int, size: int, longest: int, lanes: int) -> LongRows | None:
        """Over as many of the lanes as are good for the size, parts of up to `longest` elements; None where it has no such divisor."""
        fitting = [count for count in range(LEAST_LANES, lanes + 1) if size % count == 0 and size // count <= longest]
        return min((cls(rows, count, size // count) for count in fitting), key=lambda found: found.part + found.lanes, default=None)

    @classmethod
    def if_faster(cls, rows: int, size: int, operations: int, reductions: int, longest: int, chip: Chip) -> LongRows | None:
        """The same where it takes fewer cycles than rows that lie in a lane each, or where these are too long for it.

        Args:
            rows, size: how many rows, and elements of each.
            operations: elementwise operations on the rows.
            reductions: how often rows are reduced.
            longest: elements of a row, or of a part of it, that has room in a lane.
            chip: the chip.
        """
        found = cls.of(rows, size, longest, chip.lanes)
        if found is None:
            return None
        in_a_lane = -(-rows // chip.lanes) * _cycles(size, operations, reductions, chip)
        return found if size > longest or rows * found.cycles(operations, reductions, chip) < in_a_lane else None

    def cycles(self, operations: int, reductions: int, chip: Chip) -> int:
        """Cycles of the tensor unit for a row."""
        return _cycles(self.part, operations, reductions, chip) + reductions * (self.lanes + CROSSING)

    def room(self, region: Region, chip: Chip) -> int:
        """Bytes of a lane that what crosses lanes takes, for some rows."""
        return CROSSERS * region.size[0] * -(-self.lanes * f32.itemsize // chip.eu_bytes) * chip.eu_bytes

    @property
    def full(self) -> Dim4:
        """The rows as (n, c, h, w)."""
        return self.rows, self.lanes, 1, self.part

    def source(self, region: Region) -> Region:
        """Whole rows, for what has a part of them or a number of each."""
        return Region((region.start[0], 0, 0, 0), (region.size[0], self.lanes, 1, self.part))

    def reduced(self, k: Builder, src: Tile, kind: Literal["sum", "max"], scale: float = 1.0) -> Tile:
        """The sum times `scale`, or the largest element, of each row: (n, 1, 1, 1)."""
        count = src.shape[0]
        of_lanes, side_by_side, one = (
            k.local((count, lanes, 1, width), f32, name=name)
            for name, lanes, width in (("of_lanes", self.lanes, 1), ("side_by_side", 1, self.lanes), ("one", 1, 1))
        )
        _reduce(k, of_lanes, src, kind, 1.0)
        k.tiu.wc_transpose(side_by_side, of_lanes)
        _reduce(k, one, side_by_side, kind, scale)
        return one

    def spread(self, k: Builder, one: Tile) -> Tile:
        """A number of each row, (n, 1, 1, 1), for all lanes."""
        all_lanes = k.local((one.shape[0], self.lanes, 1, 1), f32, name="all_lanes")
        k.tiu.lane_broadcast(all_lanes, one)
        return all_lanes


def _cycles(elements: int, operations: int, reductions: int, chip: Chip) -> int:
    return operations * -(-elements * f32.itemsize // chip.eu_bytes) + reductions * elements


def _reduce(k: Builder, dst: Tile, src: Tile, kind: Literal["sum", "max"], scale: float) -> None:
    if kind == "sum":
        k.tiu.reduce_sum(dst, src, "w", scale=scale)
    else:
        k.tiu.reduce_max(dst, src, "w")
