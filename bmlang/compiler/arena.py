"""Addresses in local memory for buffers whose lives are known: at every moment, what is alive lies apart."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import lane_bytes_needed
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype

__all__ = ["Buffer", "Life", "place"]


@dataclass(eq=False)
class Buffer:
    """A buffer in local memory.

    Attributes:
        name: for listings.
        shape: (n, c, h, w).
        dtype: element type.
        layout: how the elements lie.
        bytes: bytes of a lane.
        address: where it is, once it is placed.
    """

    name: str
    shape: Dim4
    dtype: Dtype
    layout: Layout
    bytes: int
    address: int = -1

    @classmethod
    def of(cls, name: str, shape: Dim4, dtype: Dtype, layout: Layout, chip: Chip) -> Buffer:
        """A buffer with the bytes that it needs."""
        return cls(name, shape, dtype, layout, _bytes(shape, dtype, layout, chip))


@lru_cache(8192)
def _bytes(shape: Dim4, dtype: Dtype, layout: Layout, chip: Chip) -> int:
    """Bytes of a lane, in whole lines."""
    needed = lane_bytes_needed(chip, LocalTensor(0, shape, dtype, layout))
    return -(-needed // chip.eu_bytes) * chip.eu_bytes


@dataclass
class Life:
    """First and last moment at which a buffer is needed."""

    first: int
    last: int


def place(lives: Sequence[tuple[Buffer, Life]], limit: Callable[[Life], int]) -> bool:
    """Give each buffer an address below the limit for its life; False when there is no room.

    Addresses go round, so that what was just freed is not written at once: the engine that fills it would have to wait.
    """
    used: list[tuple[int, int, int]] = []  # address, end, last moment
    cursor = 0
    for buffer, life in sorted(lives, key=lambda each: each[1].first):
        used = [each for each in used if each[2] >= life.first]
        most = limit(life)
        if buffer.bytes > most:
            return False
        address = _gap(used, buffer.bytes, cursor, most)
        if address is None:
            address = _gap(used, buffer.bytes, 0, most)
        if address is None:
            return False
        buffer.address = address
        insort(used, (address, address + buffer.bytes, life.last))
        cursor = address + buffer.bytes
    return True


def _gap(used: Sequence[tuple[int, int, int]], size: int, start: int, limit: int) -> int | None:
    """The first address from `start` on with room."""
    address = start
    for begin, end, _ in used:
        if begin >= address + size:
            break
        address = max(address, end)
    return address if address + size <= limit else None
