"""A timeline as boxes to draw, whose number does not grow with the program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypedDict

from bmlang.bmodel.nodes import NodeName
from tpukernel.chips.chip import Engine
from tpukernel.cost import Timeline

__all__ = ["TimelineData", "timeline_data"]

MAX_BOXES: Final = 10_000
"""Boxes of an engine that a page draws at most; a screen has fewer columns, and each box takes some 20 bytes of the page."""

Box = tuple[int, int, int, int, int]
"""Start, cycles, number of the kind of command, number of the layer (-1 for none), number of commands."""


class TimelineData(TypedDict):
    """What the script of the page draws.

    `resolution` is the number of cycles below which neighbours are one box; 0 where every command has its own.
    """

    cycles: int
    resolution: int
    kinds: list[str]
    layers: list[str]
    tiu: list[Box]
    gdma: list[Box]


def timeline_data(timeline: Timeline, layers: Sequence[NodeName | None]) -> TimelineData:
    """The boxes of a timeline; a box knows the place of its operator in `layers`."""
    kinds = {title: number for number, title in enumerate(dict.fromkeys(entry.instruction.title for entry in timeline.entries))}
    numbers = {str(node) if node else "": number for number, node in enumerate(layers)}
    busiest = max(len(timeline.of("tiu")), len(timeline.of("gdma")))
    resolution = -(-timeline.cycles // (MAX_BOXES // 2)) if busiest > MAX_BOXES else 0

    def boxes(engine: Engine) -> list[Box]:
        all_boxes = (
            (
                entry.start,
                entry.cost.cycles,
                kinds[entry.instruction.title],
                numbers.get(str(entry.instruction.source or ""), -1),
                1,
            )
            for entry in timeline.of(engine)
        )
        return list(_merged(all_boxes, resolution))

    return TimelineData(
        cycles=max(timeline.cycles, 1),
        resolution=resolution,
        kinds=list(kinds),
        layers=["" if node is None else str(node) for node in layers],
        tiu=boxes("tiu"),
        gdma=boxes("gdma"),
    )


def _merged(boxes: Iterator[Box], resolution: int) -> Iterator[Box]:
    """Boxes of which neighbours that end within `resolution` cycles of the beginning of the first are one.

    Two neighbours that are left take more than `resolution` cycles together, so that there are at most twice as many boxes as fit.
    """
    held: Box | None = None
    for box in boxes:
        if held is not None and box[0] + box[1] - held[0] <= resolution:
            held = (held[0], box[0] + box[1] - held[0], held[2], held[3], held[4] + box[4])
            continue
        if held is not None:
            yield held
        held = box
    if held is not None:
        yield held
