"""Matrices transposed in local memory: (outer, a, b) becomes (outer, b, a) without moving single elements to or from the system.

Two ways. The transposing command exchanges rows on lanes with columns; in system memory there are runs of a and of b elements. Where one of
the two is small, its runs would be short: then each lane takes a stretch of the other one, and orders the elements by copies with gaps.
"""

from __future__ import annotations

from bmlang.layers.base import Call, Feed, LocalForm, Piece
from bmlang.layers.memory import seen_as
from bmlang.layers.region import Region
from tpukernel.chips.tensors import Dim4
from tpukernel.lang.tensors import Tile

__all__ = ["RUN_BYTES", "is_woven", "swap_form"]

RUN_BYTES, LEAST_RUN_BYTES, LEAST_LANES = 256, 64, 16
"""What a shorter run costs as much as (cost model), what a stretch of a lane has at least, and how many lanes are worth it."""


def swap_form(call: Call, outer: int, a: int, b: int) -> LocalForm:
    """The local form of a swap of a and b with nothing behind them."""
    itemsize = call.spec(0).dtype.itemsize
    if is_woven(a, b, itemsize, call.chip.lanes):
        lanes = _lanes(max(a, b), itemsize, call.chip.lanes)
        return _woven(call, outer, a, b, lanes) if a <= b else _unwoven(call, outer, a, b, lanes)
    return _transposed(call, outer, a, b)


def is_woven(a: int, b: int, itemsize: int, lanes: int) -> bool:
    """Whether elements are ordered within lanes, so that no run in system memory is short."""
    return min(a, b) * itemsize * 2 <= RUN_BYTES and _lanes(max(a, b), itemsize, lanes) >= LEAST_LANES


def _lanes(size: int, itemsize: int, most: int) -> int:
    """The largest number of lanes that get equal stretches, none of them short; 1 where there is none."""
    return next((lanes for lanes in range(most, 1, -1) if size % lanes == 0 and size // lanes * itemsize >= LEAST_RUN_BYTES), 1)


def _transposed(call: Call, outer: int, a: int, b: int) -> LocalForm:
    """a over the lanes becomes b over the lanes."""
    itemsize = call.spec(0).dtype.itemsize

    def needed(region: Region) -> Region:
        n, c, _, w = region.start
        count, channels, _, width = region.size
        return Region((n, w, 0, c), (count, width, 1, channels))

    def cycles(region: Region) -> int:
        n, _, _, w = region.size
        return n * -(-w * itemsize // call.chip.eu_bytes)

    return LocalForm(
        out=(outer, b, 1, a),
        feeds={0: Feed((outer, a, 1, b), needed, whole_rows=True)},
        tile=_transpose,
        cut=(1, call.chip.lanes, 1, call.chip.lanes),
        cycles=cycles,
    )


def _transpose(piece: Piece) -> None:
    piece.k.tiu.wc_transpose(piece.out, piece.ins[0])


def _woven(call: Call, outer: int, a: int, b: int, lanes: int) -> LocalForm:
    """Few rows of many elements become many rows of few: each lane has a stretch of every row."""
    stretch = b // lanes

    def needed(region: Region) -> Region:
        n, c, h, _ = region.start
        count, channels, height, _ = region.size
        return Region((n * a, c, 0, h), (count * a, channels, 1, height))

    def tile(piece: Piece) -> None:
        count, channels, height, _ = piece.region.size
        for n in range(count):
            for place in range(a):
                source = _standing(piece, piece.ins[0][n * a + place : n * a + place + 1], (1, channels, height, 1))
                piece.k.tiu.copy(piece.out[n : n + 1, :, :, place : place + 1], source)

    return LocalForm(
        out=(outer, lanes, stretch, a),
        feeds={0: Feed((outer * a, lanes, 1, stretch), needed, whole_rows=True)},
        tile=tile,
        cut=(1, lanes, 1, 0),
        cycles=lambda region: _weaving(region.size[0] * a, region.size[2], a, call),
    )


def _unwoven(call: Call, outer: int, a: int, b: int, lanes: int) -> LocalForm:
    """Many rows of few elements become few rows of many."""
    stretch = a // lanes

    def needed(region: Region) -> Region:
        n, c, _, w = region.start
        count, channels, _, width = region.size
        return Region((n // b, c, w, 0), (count // b, channels, width, b))

    def tile(piece: Piece) -> None:
        count, channels, _, width = piece.region.size
        for row in range(count):
            target = _standing(piece, piece.out[row : row + 1], (1, channels, width, 1))
            piece.k.tiu.copy(target, piece.ins[0][row // b : row // b + 1, :, :, row % b : row % b + 1])

    return LocalForm(
        out=(outer * b, lanes, 1, stretch),
        feeds={0: Feed((outer, lanes, stretch, b), needed, whole_rows=True)},
        tile=tile,
        cut=(b, lanes, 1, 1),
        cycles=lambda region: _weaving(region.size[0], region.size[3], b, call),
    )


def _weaving(rows: int, size: int, gap: int, call: Call) -> int:
    """Cycles of copies of rows of a lane, of which one side has gaps."""
    return rows * -(-size * call.spec(0).dtype.itemsize // call.chip.eu_bytes) * gap


def _standing(piece: Piece, tile: Tile, shape: Dim4) -> Tile:
    """A row of each lane, seen as a column."""
    assert tile.shape[2:] == tuple(tile.local.shape[2:]), "the rows of the buffer are taken whole"  # noqa: S101
    return seen_as(piece.k, tile, shape, tile.dtype)
