"""Runs the Python blocks of README.md, CONTRIBUTING.md and docs/ as tests.

A block that starts with `>>>` is a doctest: its output, or the error that it raises, must be what the page shows. Any other block must run
without an error. The blocks of one page share their names; the layers that they register are forgotten after the page.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

from bmlang.layers.registry import forgotten


def _begin(names: dict[str, Any]) -> None:
    names["_layers_of_page"] = ExitStack()
    names["_layers_of_page"].enter_context(forgotten())


def _end(names: dict[str, Any]) -> None:
    names["_layers_of_page"].close()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/**/*.md"],
    excludes=["docs/_build/**", "grammar/*"],
    setup=_begin,
    teardown=_end,
).pytest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples of pages as `docs`."""
    for item in items:
        if isinstance(item, SybilItem):
            item.add_marker(pytest.mark.docs)
