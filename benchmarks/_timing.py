"""Timing contenders in turn, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from statistics import median

from tpukernel.sim.choice import Numerics

__all__ = ["MEDIAN", "MINIMUM", "PROCESSOR", "Contender", "Effort", "Statistic", "Timing", "timed_in_turn"]

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
        numerics: of native execution.
    """

    rounds: int
    seconds: float
    small: bool = False
    numerics: Numerics = "exact"


Contender = Callable[[], object]
"""Does the work once. Returns the seconds that it took, a `float`, where they were measured elsewhere (in another process, for example)."""


@dataclass
class Timing:
    """All runs of one contender.

    Attributes:
        seconds: of each run.
        processor: seconds that each run kept the calling thread's processor busy, which other processes do not add to. Of work in other
            threads that says nothing; empty for work in other processes.
    """

    seconds: list[float] = field(default_factory=list[float])
    processor: list[float] = field(default_factory=list[float])

    @property
    def best(self) -> float:
        """Shortest time, in seconds."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Median time, in seconds."""
        return median(self.seconds)

    @property
    def best_processor(self) -> float:
        """Shortest time of the processor, in seconds; if it is not known, shortest time."""
        return min(self.processor or self.seconds)

    @property
    def median_processor(self) -> float:
        """Median time of the processor, in seconds; if it is not known, median time."""
        return median(self.processor or self.seconds)

    def add(self, found: Iterable[Run]) -> None:
        """Take runs into account."""
        for seconds, processor in found:
            self.seconds.append(seconds)
            if processor is not None:
                self.processor.append(processor)


Run = tuple[float, float | None]
"""Seconds of a run, and of the processor in it where that is known."""
Statistic = Callable[[Timing], float]
"""One number for all runs, in seconds."""
MEDIAN: Statistic = attrgetter("median")
MINIMUM: Statistic = attrgetter("best")
"""Of the runs that were disturbed least: for a machine that others use, too."""
PROCESSOR: Mapping[Statistic, Statistic] = {MEDIAN: attrgetter("median_processor"), MINIMUM: attrgetter("best_processor")}
"""For contenders of one thread: the same of the processor's time."""


def timed_in_turn(contenders: Mapping[str, Contender], effort: Effort) -> dict[str, Timing]:
    """Run all contenders in turn, the first one of a round always another; timings by name.

    The first run of each is not counted, unless it alone takes more time than there is.
    """
    timings: dict[str, Timing] = {}
    spent: dict[str, float] = {}
    last: dict[str, float] = {}
    for name, contender in contenders.items():
        first = _run(contender)
        spent[name] = last[name] = first[0]
        timings[name] = Timing()
        if first[0] > effort.seconds:
            timings[name].add([first])
    names = list(contenders)
    for turn in range(effort.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if spent[name] <= effort.seconds or not timings[name].seconds:
                found = _burst(contenders[name], warm=last[name] > LONG_SECONDS)
                last[name] = min(seconds for seconds, _ in found)
                timings[name].add(found)
                spent[name] += sum(seconds for seconds, _ in found)
    return timings


def _burst(contender: Contender, *, warm: bool) -> list[Run]:
    """Several runs, of which the first one only brings the data back into the caches (unless it is long enough for that not to matter)."""
    if not warm:
        _run(contender)
    found: list[Run] = []
    while sum(seconds for seconds, _ in found) < BURST_SECONDS and len(found) < MOST_IN_A_BURST:
        found.append(_run(contender))
    return found


def _run(contender: Contender) -> Run:
    start, busy = time.perf_counter(), time.thread_time()
    own = contender()
    return (own, None) if isinstance(own, float) else (time.perf_counter() - start, time.thread_time() - busy)
