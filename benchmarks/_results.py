"""Measured rows, and how they are shown and stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks._timing import MEDIAN, MINIMUM, PROCESSOR, Statistic, Timing

__all__ = ["INTERPRETER", "OFFICIAL", "OFFICIAL_ALONE", "ONE_THREAD", "OURS", "Results", "Row", "as_json", "lines", "short_lines"]

OURS, ONE_THREAD, INTERPRETER, OFFICIAL, OFFICIAL_ALONE = "ours", "ours, 1 thread", "interpreter", "official", "official, alone"
"""Names of contenders: native execution with the threads asked for and with one, our interpreter, the official C model, and the same
without what its waiting threads cost it.
"""


@dataclass
class Row:
    """Contenders that did the same work.

    Attributes:
        name: what was done.
        timings: by contender.
        work: how much was done in one run, in `unit`s; 0 where that says nothing.
        unit: what `work` counts: "MAC", "element", "command".
        notes: what has to be known, for example why a contender is absent.
    """

    name: str
    timings: dict[str, Timing]
    work: float = 0.0
    unit: str = ""
    notes: list[str] = field(default_factory=list[str])

    def ratio(self, slow: str, fast: str, statistic: Statistic = MEDIAN) -> float | None:
        """How many times as long `slow` takes as `fast`; None where one is absent."""
        if slow not in self.timings or fast not in self.timings:
            return None
        return statistic(self.timings[slow]) / statistic(self.timings[fast])

    def rate(self, contender: str, statistic: Statistic = MEDIAN) -> float | None:
        """Work in a nanosecond: GMAC/s, elements in a nanosecond."""
        timing = self.timings.get(contender)
        return self.work / statistic(timing) * 1e-9 if timing and self.work else None


Results = Mapping[str, Row]
"""Rows by name."""


def lines(rows: Iterable[Row], reference: str = OURS) -> Iterator[str]:
    """A line for each contender: shortest and median time, median time of the processor, ratios to the reference by medians and by shortest
    times.
    """
    yield f"{'':<44}{'':<16}{'min ms':>11}{'median ms':>11}{'processor':>11}{'x median':>10}{'x min':>10}"
    for row in rows:
        against = reference if reference in row.timings else next(iter(row.timings), "")
        for number, (name, timing) in enumerate(row.timings.items()):
            title = row.name if number == 0 else ""
            times = f"{timing.best * 1e3:>11.4f}{timing.median * 1e3:>11.4f}"
            ratios = "" if name == against else f"{row.ratio(name, against):>10.2f}{row.ratio(name, against, MINIMUM):>10.2f}"
            yield f"{title:<44}{name:<16}{times}{_processor(timing)}{ratios or ' ' * 20}{_rate(row, name)}"
        for note in row.notes:
            yield f"{'':<44}{note}"


def _processor(timing: Timing) -> str:
    return f"{timing.median_processor * 1e3:>11.4f}" if timing.processor else " " * 11


def _rate(row: Row, name: str) -> str:
    rate = row.rate(name, PROCESSOR[MEDIAN] if name == ONE_THREAD else MEDIAN)
    if rate is None:
        return ""
    return f"  {rate:.2f} GMAC/s" if row.unit == "MAC" else f"  {1 / rate:.3f} ns/{row.unit}"


def short_lines(rows: Iterable[Row]) -> Iterator[str]:
    """A line for each row that we take part in: medians of ours, and how many times as long the others take (by medians)."""
    yield f"{'':<40}{'ours ms':>10}{'1 thread':>10}{'':>18}{'official':>10}{'interpreter':>12}  others"
    for row in rows:
        if OURS not in row.timings:
            continue
        others = [name for name in row.timings if name not in (OURS, ONE_THREAD, OFFICIAL, INTERPRETER)]
        ratios = "".join(_times(row, name, width) for name, width in ((OFFICIAL, 10), (INTERPRETER, 12)))
        times = "".join(f"{row.timings[name].median * 1e3:>10.3f}" for name in (OURS, ONE_THREAD))
        yield f"{row.name:<40}{times}{_rate(row, OURS):>18}{ratios}  {', '.join(f'{name} {_times(row, name, 0)}' for name in others)}"


def _times(row: Row, name: str, width: int) -> str:
    ratio = row.ratio(name, OURS)
    return f"{'' if ratio is None else f'{ratio:.1f}x':>{width}}"


def as_json(rows: Iterable[Row]) -> dict[str, object]:
    """All numbers, for comparison with later ones."""
    return {
        row.name: {
            "work": row.work,
            "unit": row.unit,
            "notes": row.notes,
            "seconds": {
                name: {
                    "min": timing.best,
                    "median": timing.median,
                    "processor min": timing.best_processor,
                    "processor median": timing.median_processor,
                    "runs": len(timing.seconds),
                }
                for name, timing in row.timings.items()
            },
        }
        for row in rows
    }
