"""Timing contenders in turn, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from statistics import median

__all__ = ["MEDIAN", "MINIMUM", "Contender", "Effort", "Statistic", "Timing", "timed_in_turn"]

BURST_SECONDS = 0.003
"""A contender runs for that long before it is the turn of the next one; quick ones several times."""

MOST_IN_A_BURST = 50

LONG_SECONDS = 0.1
"""For a run that takes longer it does not matter what is in the caches when it begins."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: turns of each contender.
        seconds: time that a contender may take altogether; it is then left out of further rounds.
        small: small shapes, for a run that only shows that everything works.
    """

    rounds: int
    seconds: float
    small: bool = False


Contender = Callable[[], object]
"""Does the work once. Returns the seconds that it took, a `float`, where they were measured elsewhere (in another process, for example)."""


@dataclass
class Timing:
    """Seconds of all runs of one contender."""

    seconds: list[float] = field(default_factory=list[float])

    @property
    def best(self) -> float:
        """Shortest time, in seconds."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Median time, in seconds."""
        return median(self.seconds)


Statistic = Callable[[Timing], float]
"""One number for all runs, in seconds."""
MEDIAN: Statistic = attrgetter("median")
MINIMUM: Statistic = attrgetter("best")
"""Of the runs that were disturbed least: for a machine that others use, too."""


def timed_in_turn(contenders: Mapping[str, Contender], effort: Effort) -> dict[str, Timing]:
    """Run all contenders in turn, the first one of a round always another; timings by name.

    The first run of each is not counted, unless it alone takes more time than there is.
    """
    timings: dict[str, Timing] = {}
    spent: dict[str, float] = {}
    last: dict[str, float] = {}
    for name, contender in contenders.items():
        first = _run(contender)
        spent[name] = last[name] = first
        timings[name] = Timing([first] if first > effort.seconds else [])
    names = list(contenders)
    for turn in range(effort.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if spent[name] <= effort.seconds or not timings[name].seconds:
                found = _burst(contenders[name], warm=last[name] > LONG_SECONDS)
                last[name] = min(found)
                timings[name].seconds += found
                spent[name] += sum(found)
    return timings


def _burst(contender: Contender, *, warm: bool) -> list[float]:
    """Several runs, of which the first one only brings the data back into the caches (unless it is long enough for that not to matter)."""
    if not warm:
        _run(contender)
    found: list[float] = []
    while sum(found) < BURST_SECONDS and len(found) < MOST_IN_A_BURST:
        found.append(_run(contender))
    return found


def _run(contender: Contender) -> float:
    start = time.perf_counter()
    own = contender()
    return own if isinstance(own, float) else time.perf_counter() - start
