"""Elements of rows by index in local memory: the tensor unit moves one element per lane and cycle.

Tensors are seen as rows (outer, size), of which an index (outer, count), or one of (count) for all rows, names elements. Rows lie over the
lanes. Where there are few rows, and they are read only, every lane has all of a row, and the index lies over the lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from bmlang.graph.graph import Array
from bmlang.layers.base import Call, Feed, LocalForm, Piece
from bmlang.layers.indices import in_range
from bmlang.layers.memory import gapless
from bmlang.layers.reduction import bytes_of
from bmlang.layers.region import Region
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import u16
from tpukernel.lang.builder import Builder
from tpukernel.lang.tensors import Tile

__all__ = ["ByIndex", "gather_form", "scatter_form"]

NOWHERE = 65535
"""The index of the unit, with all 16 bits set, that names nothing."""
ROWS_OF_MEMORY = 4
"""How often a row has to fit into a lane: it is there twice, so that one can be loaded, and perhaps copied."""


@dataclass(frozen=True)
class ByIndex:
    """How a tensor is seen.

    Attributes:
        outer, size: rows, and elements of each.
        count: indices of each row.
        shared: one index for all rows.
    """

    outer: int
    size: int
    count: int
    shared: bool = False

    def fits(self, call: Call) -> bool:
        """Whether the unit can do it: 16 bits name an element, and a row has room in a lane."""
        longest = max(self.size, self.count) * call.spec(0).dtype.itemsize
        return self.size < NOWHERE and longest * ROWS_OF_MEMORY <= call.chip.lane_bytes

    def known(self, index: Array | None) -> bool:
        """Whether all indices are known to name an element."""
        return index is not None and bool(in_range(index, self.size).all())


def gather_form(call: Call, rows: ByIndex) -> LocalForm | None:
    """out[row, i] = x[row, index[row, i]], 0 where the index names nothing; inputs x and index; None where the unit cannot."""
    if not rows.fits(call):
        return None
    lanes = next(lanes for lanes in range(min(rows.count, call.chip.lanes), 0, -1) if rows.count % lanes == 0)
    if rows.outer * rows.count // lanes < -(-rows.outer // call.chip.lanes) * rows.count:
        return _gather_over_index(call, rows, lanes)
    index = _shared_index if rows.shared else _own_index
    known = rows.known(call.constants[1])

    def tile(piece: Piece) -> None:
        places = _places(piece.k, piece.ins[1], rows.size, NOWHERE, known)
        _gather(piece.k.tiu.w_gather if rows.shared else piece.k.tiu.batch_w_gather, piece.k, piece.out, piece.ins[0], places, known)

    return LocalForm(
        out=(1, rows.outer, 1, rows.count),
        feeds={0: Feed((1, rows.outer, 1, rows.size), lambda region: region.along(3, 0, rows.size)), 1: index(rows)},
        tile=tile,
        cut=(1, 1, 1, 1),
        scratch=lambda region: _scratch(call, region, region.along(3, 0, rows.size)),
        cycles=lambda region: -(-region.size[1] // call.chip.lanes) * region.size[3],
    )


def _shared_index(rows: ByIndex) -> Feed:
    """One index for all rows: its elements lie over the lanes."""

    def needed(region: Region) -> Region:
        return Region((0, region.start[3], 0, 0), (1, region.size[3], 1, 1))

    return Feed((1, rows.count, 1, 1), needed, Layout.COMPACT)


def _own_index(rows: ByIndex) -> Feed:
    return Feed((1, rows.outer, 1, rows.count), lambda region: region)


def _gather_over_index(call: Call, rows: ByIndex, lanes: int) -> LocalForm:
    """The form for few rows: each is in every lane, and the index lies over the lanes."""
    width = rows.count // lanes
    known = rows.known(call.constants[1])
    index = (1 if rows.shared else rows.outer, lanes, 1, width)

    def tile(piece: Piece) -> None:
        for row in range(piece.region.size[0]):
            place = 0 if rows.shared else row
            places = _places(piece.k, piece.ins[1][place : place + 1], rows.size, NOWHERE, known)
            gather = partial(piece.k.tiu.batch_w_gather, repeated=True)
            _gather(gather, piece.k, piece.out[row : row + 1], piece.ins[0][row : row + 1], places, known)

    return LocalForm(
        out=(rows.outer, lanes, 1, width),
        feeds={
            0: Feed((rows.outer, 1, 1, rows.size), lambda region: region.along(1, 0, 1).along(3, 0, rows.size), spread=lanes > 1),
            1: Feed(index, lambda region: region.broadcast(index)),
        },
        tile=tile,
        cut=(1, 1, 1, 1),
        at_once=(0, call.chip.lanes, 0, 0),
        scratch=lambda region: region.size[0] * _scratch(call, region.along(0, 0, 1), region.along(0, 0, 1).along(3, 0, rows.size)),
        cycles=lambda region: region.size[0] * region.size[3],
    )


def scatter_form(call: Call, rows: ByIndex) -> LocalForm | None:
    """out = x, but out[row, index[row, i]] = updates[row, i] in the order of i; inputs x, index and updates; None where the unit cannot."""
    if not rows.fits(call):
        return None

    def tile(piece: Piece) -> None:
        k, (_, c, _, _) = piece.k, piece.region.size
        made = k.local((1, c, 1, rows.size + 1), piece.out.dtype, name="made")  # the last element is for what an index names nowhere
        k.tiu.fill(made[:, :, :, rows.size :], 0)
        k.tiu.copy(made[:, :, :, : rows.size], piece.ins[0])
        places = _places(k, piece.ins[1], rows.size, rows.size, rows.known(call.constants[1]))
        k.tiu.batch_w_scatter(made, _gapless(k, piece.ins[2]), places)
        k.tiu.copy(piece.out, made[:, :, :, : rows.size])

    def whole(region: Region) -> Region:
        return region.along(3, 0, rows.count)

    return LocalForm(
        out=(1, rows.outer, 1, rows.size),
        feeds={
            0: Feed((1, rows.outer, 1, rows.size), lambda region: region),
            1: Feed((1, rows.outer, 1, rows.count), whole),
            2: Feed((1, rows.outer, 1, rows.count), whole),
        },
        tile=tile,
        cut=(1, 1, 1, 0),
        scratch=lambda region: _scratch(call, whole(region), region.along(3, 0, rows.size + 1)),
        cycles=lambda region: -(-region.size[1] // call.chip.lanes) * (rows.count + 2 * -(-rows.size * 4 // call.chip.eu_bytes)),
    )


def _scratch(call: Call, index: Region, row: Region) -> int:
    """Bytes of a lane for the indices as the unit takes them, a copy of what has gaps, and the result."""
    dtype, number, chip = call.spec(0).dtype, call.spec(1).dtype, call.chip
    places = 2 * bytes_of(index, number, chip) + bytes_of(index, u16, chip)
    return places + bytes_of(index, dtype, chip) + bytes_of(row, dtype, chip)


def _places(k: Builder, index: Tile, size: int, nowhere: int, known: bool) -> Tile:
    """Indices in 16 bits; `nowhere` for those that name none of `size` elements."""
    shape, layout = cast("Dim4", index.shape), index.local.layout
    if not known:
        limited = k.local(shape, index.dtype, layout=layout, name="limited")
        k.tiu.greater_equal(limited, index, size, value=nowhere)
        k.tiu.max(limited, limited, index)
        if nowhere == size:
            k.tiu.min(limited, limited, size)
        if index.dtype.is_signed:
            negative = k.local(shape, index.dtype, layout=layout, name="negative")
            k.tiu.less(negative, index, 0, value=nowhere)
            k.tiu.max(limited, limited, negative)
        index = limited
    places = k.local(shape, u16, layout=layout, name="places")
    k.tiu.cast(places, index)
    return places


def _gather(gather: Callable[..., object], k: Builder, out: Tile, x: Tile, places: Tile, known: bool) -> None:
    target = out if gapless(out) else k.local(cast("Dim4", out.shape), out.dtype, name="gathered")
    gather(target, _gapless(k, x), places, missing=None if known else 0)
    if target is not out:
        k.tiu.copy(out, target)


def _gapless(k: Builder, tile: Tile) -> Tile:
    """An operand without gaps between its rows and columns; a copy where it has some."""
    if gapless(tile):
        return tile
    copy = k.local(cast("Dim4", tile.shape), tile.dtype, name="gapless")
    k.tiu.copy(copy, tile)
    return copy
