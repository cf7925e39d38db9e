"""`tpukernel cache`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.runs import Command
from tpukernel.cache import CACHE_FOLDER, Cache, default_cache

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cache]:
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "cache"))
    default_cache.cache_clear()
    yield default_cache()
    default_cache.cache_clear()


def test_entries_are_listed(tpukernel: Command, own: Cache) -> None:
    assert tpukernel("cache", "ls").lines == [f"0 entries, 0 of {own.limit} bytes in {own.folder}"]
    own.put(KEY, b"content")
    run = tpukernel("cache", "ls")
    assert run.code == 0 and run.lines[0].startswith(KEY) and run.lines[0].endswith("UTC")
    shown = json.loads(tpukernel("cache", "ls", "--json").out)
    assert shown["folder"] == str(own.folder) and shown["limit"] == own.limit
    assert [entry["key"] for entry in shown["entries"]] == [KEY]


def test_entries_are_removed(tpukernel: Command, own: Cache) -> None:
    own.put(KEY, b"content")
    own.put(OTHER, b"content")
    assert tpukernel("cache", "rm", KEY).lines == ["1 entries removed"]
    assert tpukernel("cache", "rm").lines == ["1 entries removed"]
    assert own.entries() == []
    assert tpukernel("cache", "rm", "../x").code == 1
