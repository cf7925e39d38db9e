"""What layers share that reduce along dimensions: how a tensor is seen, and sums and maxima of what is in local memory.

The dimensions before the reduced ones are `outer`, those behind them `inner`. With nothing behind them, rows lie over the lanes and are
reduced along w. Otherwise the reduced elements lie along n, and what is behind them fills lanes and w: they are added in pairs, again and
again, which also rounds less than adding one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from bmlang.graph.graph import Attribute
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.region import Region
from bmlang.layers.tensor import here
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import Dtype
from tpukernel.lang.builder import Builder
from tpukernel.lang.tensors import Tile

__all__ = ["Rows", "axes_of", "bytes_of", "pairwise"]

RUN_BYTES = 256


def axes_of(name: str, rank: int, value: Attribute) -> tuple[int, ...]:
    """The reduced dimensions, counted from the front, in order; None is all of them.

    Raises:
        OperatorArgumentError: one is out of range, or they are not neighbours.
    """
    given = tuple(range(rank)) if value is None else (value,) if isinstance(value, int) else value
    if not isinstance(given, tuple) or not given or not all(isinstance(each, int) and -rank <= each < rank for each in given):
        raise OperatorArgumentError(f"axis {value!r} of {name}", position=here(), help=f"give dimensions from 0 to {rank - 1}")
    found = tuple(sorted({int(each) % rank for each in given if isinstance(each, int)}))
    if found != tuple(range(found[0], found[-1] + 1)):
        raise OperatorArgumentError(
            f"axes {value!r} of {name} are not neighbours", position=here(), help="transpose first, or reduce twice"
        )
    return found


@dataclass(frozen=True)
class Rows:
    """A tensor as (outer, size, inner), of which `size` is reduced.

    Attributes:
        outer, size, inner: elements.
        lanes, width: with inner elements: how they are spread over lanes and w.
    """

    outer: int
    size: int
    inner: int
    lanes: int = 1
    width: int = 1

    @classmethod
    def of(cls, shape: Sequence[int], axes: Sequence[int], itemsize: int, chip: Chip) -> Rows:
        """How a tensor with these reduced dimensions is seen."""
        outer, size, inner = prod(shape[: axes[0]]), prod(shape[axes[0] : axes[-1] + 1]), prod(shape[axes[-1] + 1 :])
        if inner == 1:
            return cls(outer, size, 1)
        lanes = _lanes(inner, itemsize, chip)
        return cls(outer, size, inner, lanes, inner // lanes)

    @property
    def along_w(self) -> bool:
        """Whether rows lie over the lanes, to be reduced along w."""
        return self.inner == 1

    @property
    def full(self) -> Dim4:
        """The tensor as (n, c, h, w)."""
        return (1, self.outer, 1, self.size) if self.along_w else (self.outer * self.size, self.lanes, 1, self.width)

    @property
    def reduced(self) -> Dim4:
        """The reduced tensor as (n, c, h, w)."""
        return (1, self.outer, 1, 1) if self.along_w else (self.outer, self.lanes, 1, self.width)

    @property
    def cut(self) -> Dim4:
        """How the whole tensor may be cut."""
        return (1, 1, 1, 0) if self.along_w else (self.size, 1, 1, 1)

    def source(self, region: Region) -> Region:
        """The box of the whole tensor for a box of the reduced one."""
        if self.along_w:
            return region.along(3, 0, self.size)
        return region.along(0, region.start[0] * self.size, region.size[0] * self.size)

    def groups(self, tile: Tile) -> list[Tile]:
        """The parts of a tile of the whole tensor that are reduced on their own."""
        if self.along_w:
            return [tile]
        count = tile.shape[0]
        assert isinstance(count, int)  # noqa: S101
        return [tile[first : first + self.size] for first in range(0, count, self.size)]


def _lanes(inner: int, itemsize: int, chip: Chip) -> int:
    """A divisor of the inner elements: as many lanes as possible with runs of 256 bytes, else as many as there are."""
    divisors = [lanes for lanes in range(1, min(inner, chip.lanes) + 1) if inner % lanes == 0]
    long = [lanes for lanes in divisors if inner // lanes * itemsize >= RUN_BYTES]
    return max(long) if long and max(long) * 4 >= max(divisors) else max(divisors)


def bytes_of(region: Region, dtype: Dtype, chip: Chip) -> int:
    """Bytes of a lane of a buffer for a box."""
    n, c, h, w = region.size
    return n * -(-c // chip.lanes) * -(-h * w * dtype.itemsize // chip.eu_bytes) * chip.eu_bytes


def pairwise(k: Builder, dst: Tile, src: Tile, operation: Callable[[Tile, Tile, Tile], object]) -> None:
    """dst (1, c, 1, w) = the elements of src (n, c, 1, w) joined in pairs; src stays as it is.

    Working memory: as much as half of src.
    """
    count = src.shape[0]
    assert isinstance(count, int)  # noqa: S101
    if count == 1:
        k.tiu.copy(dst, src)
        return
    current = src
    while count > 2:
        half = count // 2
        rest = count - half
        _, c, h, w = src.shape
        joined = k.local((rest, c, h, w), src.dtype, name="joined")
        operation(joined[:half], current[:half], current[half : 2 * half])
        if rest > half:
            k.tiu.copy(joined[half:], current[2 * half :])
        current, count = joined, rest
    operation(dst, current[:1], current[1:])
