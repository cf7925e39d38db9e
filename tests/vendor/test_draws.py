"""The random arguments are accepted by the official library, and they reach every field of the encoding that depends on arguments."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.support.draw_coverage import measure
from tests.support.draws import draw, drawable_functions
from tests.support.oracle import Call, record

pytestmark = pytest.mark.vendor


def test_the_official_library_accepts_all_draws() -> None:
    rng = Random(5)
    drawn = [Call.of(function, draw(function, rng)) for function in drawable_functions() for _ in range(10)]
    recorded = record(drawn)
    rejected = Counter((call.function, result.rejected) for call, result in zip(drawn, recorded, strict=True) if result.rejected)
    assert not rejected
    assert all(result.tiu or result.gdma for result in recorded)


def test_every_variable_field_takes_at_least_three_values() -> None:
    coverage = list(measure())
    assert len({entry.function for entry in coverage}) >= 290 and len(coverage) >= 8000
    assert not [entry for entry in coverage if not entry.covered]
