"""How much tests try: little for a quick look, enough for every day, much at night. tests/conftest.py makes hypothesis' profiles of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import settings

__all__ = ["DAY", "DAY_VARIABLE", "EXAMPLES", "by_profile", "examples", "of_today", "tries_all"]

_T = TypeVar("_T")

DAY_VARIABLE = "TPUKERNEL_TEST_DAY"
DAY = int(os.environ.get(DAY_VARIABLE) or (0 if "CI" in os.environ else datetime.now(UTC).toordinal()))
"""A number for what is tried on one day and not on the next; 0 where runs have to be alike. The variable repeats the tests of a day."""

EXAMPLES = {"smoke": 5, "normal": 30, "nightly": 3000}
"""Examples of a property, by profile."""
_MOST_TIMES = 10


def by_profile(*, smoke: int, normal: int, nightly: int) -> int:
    """The number of the profile; of `nightly` for any other number of examples than that of the profiles."""
    return {EXAMPLES["smoke"]: smoke, EXAMPLES["normal"]: normal}.get(settings().max_examples, nightly)


def examples(normal: int) -> int:
    """For a property whose examples take long: as many on a normal day, fewer for a quick look and ten times as many at night."""
    return max(1, min(_MOST_TIMES * normal, normal * settings().max_examples // EXAMPLES["normal"]))


def tries_all() -> bool:
    """Whether nothing is left for another day: at night, and in continuous integration."""
    return settings().max_examples >= 1000 or "CI" in os.environ


def of_today(cases: Sequence[_T], parts: int) -> list[_T]:
    """Those cases that are tried today: one of so many, or all."""
    return [case for place, case in enumerate(cases) if tries_all() or place % parts == DAY % parts]
