"""How much tests try: little for a quick look, enough for every day, much at night. tests/conftest.py makes hypothesis' profiles of it."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["EXAMPLES", "by_profile", "examples"]

EXAMPLES = {"smoke": 5, "normal": 30, "nightly": 3000}
"""Examples of a property, by profile."""
_MOST_TIMES = 10


def by_profile(*, smoke: int, normal: int, nightly: int) -> int:
    """The number of the profile; of `nightly` for any other number of examples than that of the profiles."""
    return {EXAMPLES["smoke"]: smoke, EXAMPLES["normal"]: normal}.get(settings().max_examples, nightly)


def examples(normal: int) -> int:
    """For a property whose examples take long: as many on a normal day, fewer for a quick look and ten times as many at night."""
    return max(1, min(_MOST_TIMES * normal, normal * settings().max_examples // EXAMPLES["normal"]))
