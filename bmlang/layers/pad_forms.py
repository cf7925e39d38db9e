"""Padding in local memory: the piece is filled, and what is known of it is copied into its middle."""

from __future__ import annotations

from collections.abc import Sequence

from bmlang.layers.base import Call, Feed, LocalForm, Piece, lines
from bmlang.layers.region import Region, four
from tpukernel.chips.tensors import Dim4

__all__ = ["pad_form"]


def pad_form(call: Call, before: Sequence[int], value: float) -> LocalForm | None:
    """The local form; None where elements would have to go to other lanes.

    Args:
        call: x, and x with elements around it.
        before: how many elements come in front of x along each dimension.
        value: what they are.
    """
    x, out, chip = call.spec(0), call.outputs[0], call.chip
    more = len(out.shape) - 4
    if more > 0 and x.shape[: more + 1] != out.shape[: more + 1]:
        return None  # of more than four dimensions, the first ones are one
    source, whole = four(x.shape), four(out.shape)
    first = (0,) * (4 - len(before)) + tuple(before[max(more, 0) :])
    if first[1] % chip.lanes:
        return None

    def inner(region: Region) -> Region:
        """The part of a box of the result that comes from x, counted in x; without elements where there is none."""
        edges = zip(region.start, region.end, first, source, strict=True)
        spans = [(max(start - ahead, 0), min(end - ahead, size)) for start, end, ahead, size in edges]
        (a, b), (c, d), (e, f), (g, h) = spans
        return Region((a, c, e, g), (b - a, d - c, f - e, h - g))

    def needed(region: Region) -> Region:
        """What is loaded: one element at least, as there are no empty boxes."""
        found = inner(region)
        if min(found.size) > 0:
            return found
        (a, b), (c, d), (e, f), (g, h) = (
            (min(start, whole - 1), max(size, 1)) for start, size, whole in zip(found.start, found.size, source, strict=True)
        )
        return Region((a, c, e, g), (b, d, f, h))

    def tile(piece: Piece) -> None:
        found = inner(piece.region)
        if found.size != piece.region.size:
            piece.k.tiu.fill(piece.out, value)
        if min(found.size) > 0:
            a, c, e, g = (start + ahead for start, ahead in zip(found.start, first, strict=True))
            place = Region((a, c, e, g), found.size).within(piece.region)
            piece.k.tiu.copy(piece.out[place.slices()], piece.ins[0][found.within(piece.regions[0]).slices()])

    def cycles(region: Region) -> int:
        return lines(region, out.dtype, chip) + lines(needed(region), out.dtype, chip)

    cut: Dim4 = (1, chip.lanes, 1, 1)
    return LocalForm(out=whole, feeds={0: Feed(source, needed)}, tile=tile, cut=cut, cycles=cycles)
