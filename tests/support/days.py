"""Tests that are too many for every run take turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import settings

__all__ = ["of_today"]

_T = TypeVar("_T")


def of_today(cases: Sequence[_T], parts: int) -> list[_T]:
    """Those cases that are tried today: one of so many, all of them in the profile `nightly`, always the same in continuous integration."""
    day = 0 if "CI" in os.environ else datetime.now(UTC).toordinal()
    return [case for place, case in enumerate(cases) if settings().max_examples >= 1000 or place % parts == day % parts]
