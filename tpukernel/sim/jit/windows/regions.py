"""Regions of interest: a table of the elements under each tap of a window that lies at the first element of each region."""

from __future__ import annotations

from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.ir import I16, I32, I64, Value
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.windows.lines import Lines, WindowKernel, line_calls

__all__ = ["table_calls"]

_WORDS = ("kh", "kw", "h", "w", "regions")


def table_calls(table: Place, regions: Place, kernel: tuple[int, int], size: tuple[int, int]) -> list[Call] | None:
    """The calls that make the table: for each tap and region the number of an element of the plane, or -1 outside of the region.

    Args:
        table: where it goes, (kh * kw, regions) of 32 bits; its first element.
        regions: four numbers of 16 bits for each region, the columns and rows of its first and last element, one behind the other.
        kernel: (kh, kw).
        size: (h, w) of the planes; what a region has beyond them counts as their last row or column.
    """
    count = regions.host.shape[1]
    words: dict[str, int] = dict(zip(_WORDS, (*kernel, *size, count), strict=True))
    places = {"dst": _first(table), "regions": _first(regions)}
    return line_calls(lambda depth: WindowKernel(f"regions:{depth}", tuple(places), _WORDS, _emit, depth=depth), places, words, 2.0 * count)


def _first(place: Place) -> Place:
    """Only the first element."""
    return Place.scratch((1, 1, 1, 1), place.host.itemsize, place.host.base)


def _emit(lines: Lines) -> None:
    function, words = lines.function, lines.words
    with function.loop(0, words["kh"], carried=[lines.members[0]["dst"]]) as row:
        with function.loop(0, words["kw"], carried=row.values) as column:
            with function.loop(0, words["regions"], carried=[*column.values, lines.members[0]["regions"]]) as loop:
                to, region = loop.values
                first_x, first_y, last_x, last_y = (_number(region, k) for k in range(4))
                y, x = first_y + row.index, first_x + column.index
                outside = y.compare("sgt", last_y) | x.compare("sgt", last_x)
                place = y.smin(words["h"] - 1) * words["w"] + x.smin(words["w"] - 1)
                to.store(outside.choose(-1, place).trunc(I32))
                loop.next = [to.offset(4), region.offset(8)]
            column.next = [loop.values[0]]
        row.next = column.values


def _number(region: Value, k: int) -> Value:
    return region.offset(2 * k).load(I16).zext(I64)
