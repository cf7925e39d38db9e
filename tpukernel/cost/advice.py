"""What would make a program faster under the cost model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpukernel.cost.figures import Figures

if TYPE_CHECKING:
    from tpukernel.cost.timeline import Timeline

__all__ = ["advice"]

_SMALL_SHARE = 0.01
"""A loss below this share of the engines' busy time is not worth a line."""
_HIDDEN = 0.5
"""Below this overlap the engines mostly wait for each other."""
_IDLE_SHARE = 0.05
"""An engine that is busy for less than this share of all time has nothing to hide."""


def advice(timeline: Timeline) -> list[str]:
    """One line for each cause of lost time, the largest first; then what concerns the whole program."""
    figures = timeline.figures
    busy = sum(figures.busy.values())
    lines = [
        f"{cycles} cycles in {count} {'command' if count == 1 else 'commands'}: {loss.value}"
        for loss, (cycles, count) in figures.losses.items()
        if cycles >= _SMALL_SHARE * busy
    ]
    if figures.overlap < _HIDDEN and min(figures.busy.values()) > _IDLE_SHARE * figures.cycles:
        lines.append(_overlap(figures))
    if figures.unmodelled:
        lines.append(
            f"{figures.unmodelled} GDMA {'command is' if figures.unmodelled == 1 else 'commands are'} of kinds that the estimator does not "
            "model: their cycles mean little"
        )
    return lines


def _overlap(figures: Figures) -> str:
    possible = round((1 - figures.overlap) * min(figures.busy.values()))
    return (
        f"{possible} cycles of one engine could run while the other one works ({figures.overlap:.0%} do): cut the work in pieces, and load "
        "the next piece while one is computed"
    )
