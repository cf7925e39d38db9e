"""The pytest marker ``vendor``: tests that need the official libraries are skipped, with the reason, where these cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from tests.support.oracle import oracle_available


def skip_vendor_tests(items: Iterable[pytest.Item]) -> None:
    """Skip the ``vendor`` tests when the oracle is not available; call it from ``pytest_collection_modifyitems``."""
    marked = [item for item in items if item.get_closest_marker("vendor")]
    if marked and (reason := oracle_available()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def each(name: str, values: Sequence[object], *, reason: str, ids: Callable[[Any], str] = str) -> pytest.MarkDecorator:
    """One test for each of `values`, or one skipped test that says the reason when there are none, as on a fresh machine."""
    if not values:
        return pytest.mark.parametrize(name, [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))])
    return pytest.mark.parametrize(name, values, ids=ids)
