"""The functions that calculate on the host return what the official ones return, and refuse what these stop at."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.host_calls import FUNCTIONS, draw_args, official, ours

pytestmark = pytest.mark.vendor

CALLS, CASTS = 200, 1500


@pytest.mark.parametrize("function", FUNCTIONS)
def test_random_calls_return_the_official_results(function: str) -> None:
    calls = [draw_args(function, Random(f"vendor {function} {number}")) for number in range(CASTS if "cast" in function else CALLS)]
    for call, expected in zip(calls, official(function, calls), strict=True):
        assert ours(function, call) == expected, call
