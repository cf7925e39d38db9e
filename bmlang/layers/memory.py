"""Local memory seen in another way: the same bytes with another shape, type or layout."""

from __future__ import annotations

from math import prod

from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype
from tpukernel.lang.builder import Builder
from tpukernel.lang.tensors import Tile

__all__ = ["seen_as"]


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
