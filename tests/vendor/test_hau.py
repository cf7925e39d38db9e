"""The HAU leaves the memory that the official C model leaves, and refuses what that refuses."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.hau_cases import draw_case, official, ours

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize(("largest", "count"), [(12, 600), (40, 400), (300, 60)])
def test_random_work_leaves_the_official_memory(largest: int, count: int) -> None:
    cases = [draw_case(Random(f"hau {largest} {number}"), largest) for number in range(count)]
    for case, (outputs, refused) in zip(cases, official(cases), strict=True):
        assert ours(case) == (([], True) if refused else (outputs, False)), case
