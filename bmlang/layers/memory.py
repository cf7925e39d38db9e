"""Local memory seen in another way: the same bytes with another shape, type or layout."""

from __future__ import annotations

from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype
from tpukernel.lang.builder import Builder
from tpukernel.lang.tensors import Tile

__all__ = ["seen_as"]


def seen_as(k: Builder, tile: Tile, shape: Dim4, dtype: Dtype, layout: Layout = Layout.EU_ALIGNED, offset: int = 0) -> Tile:
    """The bytes of a whole buffer of the compiler, from one of them on in each lane, as another tensor."""
    address = tile.local.at
    assert isinstance(address, int)  # noqa: S101
    return k.local(shape, dtype, layout=layout, at=address + offset, name=tile.name)
