"""Local memory seen in another way: the same bytes with another shape, type or layout."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import prod

from bmlang.layers.base import Piece
from bmlang.layers.region import Region
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype
from tpukernel.lang.builder import Builder
from tpukernel.lang.tensors import Tile

__all__ = ["copies", "gapless", "result_of", "seen_as", "whole"]


def seen_as(k: Builder, tile: Tile, shape: Dim4, dtype: Dtype, layout: Layout = Layout.EU_ALIGNED, offset: int = 0) -> Tile:
    """The bytes of a buffer of the compiler as another tensor.

    Args:
        k: the kernel.
        tile: the buffer, or a box of it that begins at row 0, column 0 of one n and of a channel in lane 0.
        shape, dtype, layout: what the bytes are to be seen as.
        offset: bytes of each lane before the first.
    """
    address = tile.local.at
    whole = tile.local.shape
    starts = [span.start for span in tile.view.spans]
    known = [each for each in (address, *whole, *starts) if isinstance(each, int)]
    assert len(known) == 9 and not starts[2] and not starts[3]  # noqa: S101
    place, _, c, h, w, first, channel, _, _ = known
    assert channel % k.chip.lanes == 0  # noqa: S101
    row = -(-prod((h, w)) * tile.dtype.itemsize // k.chip.eu_bytes) * k.chip.eu_bytes
    begin = (first * -(-c // k.chip.lanes) + channel // k.chip.lanes) * row
    return k.local(shape, dtype, layout=layout, at=place + begin + offset, name=tile.name)


def whole(piece: Piece, tile: Tile) -> Tile:
    """An operand in the shape of the result and as a buffer of its own, for commands that take nothing else; a copy where needed."""
    if _is_whole(tile) and tile.shape == piece.out.shape:
        return tile
    copy = piece.k.local(piece.region.size, tile.dtype, name="whole")
    piece.k.tiu.copy(copy, tile)
    return copy


def gapless(tile: Tile) -> bool:
    """Whether a box of a buffer has all rows and columns of it, and of several n all channels."""
    n, c, *image = tile.shape
    return image == [*tile.local.shape[2:]] and bool(n == 1 or c == tile.local.shape[1])


def copies(chip: Chip) -> Callable[[Region], int]:
    """Bytes of a lane for what `whole` and `result_of` may make: two buffers of words like the result."""

    def scratch(region: Region) -> int:
        n, c, h, w = region.size
        return 2 * n * -(-c // chip.lanes) * -(-h * w * 4 // chip.eu_bytes) * chip.eu_bytes

    return scratch


@contextmanager
def result_of(piece: Piece) -> Generator[Tile]:
    """Where a command that only writes whole buffers puts the result of a piece."""
    if _is_whole(piece.out):
        yield piece.out
        return
    made = piece.k.local(piece.region.size, piece.out.dtype, name="made")
    yield made
    piece.k.tiu.copy(piece.out, made)


def _is_whole(tile: Tile) -> bool:
    return tile.shape == tile.local.shape
