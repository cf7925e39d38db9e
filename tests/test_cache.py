"""The cache of files: what was put in comes out, or nothing; damage and lack of room are no errors."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpukernel import cache
from tpukernel.cache import CACHE_FOLDER, Cache, default_cache

KEYS = [sha256(str(number).encode()).hexdigest() for number in range(20)]


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    own = Cache(tmp_path / "new" / "cache")
    assert own.get(KEYS[0]) is None and own.entries() == []
    own.put(KEYS[0], b"content")
    own.put(KEYS[1], b"")
    assert own.get(KEYS[0]) == b"content" and own.get(KEYS[1]) == b""
    assert Cache(tmp_path / "new" / "cache").get(KEYS[0]) == b"content"
    assert {entry.key for entry in own.entries()} == set(KEYS[:2])
    assert own.remove([KEYS[0], KEYS[5]]) == 1 and own.get(KEYS[0]) is None
    assert own.remove() == 1 and own.entries() == []


@given(st.integers(0, 60), st.integers(1, 255))
def test_damage_is_a_miss_and_is_removed(tmp_path_factory: pytest.TempPathFactory, place: int, flip: int) -> None:
    own = Cache(tmp_path_factory.mktemp("cache"))
    assert own.folder is not None
    own.put(KEYS[0], b"some content of 24 bytes")
    file = own.folder / KEYS[0]
    data = bytearray(file.read_bytes())
    data[place % len(data)] ^= flip
    file.write_bytes(data)
    assert own.get(KEYS[0]) is None
    assert not file.exists()


def test_the_least_recently_used_entries_go(tmp_path: Path) -> None:
    own = Cache(tmp_path, limit=10_000)
    for number, key in enumerate(KEYS[:9]):
        own.put(key, bytes(1000))
        os.utime(tmp_path / key, (number, number))
    assert own.get(KEYS[0]) is not None  # used just now
    own.put(KEYS[9], bytes(1000))
    left = {entry.key for entry in own.entries()}
    assert KEYS[0] in left and KEYS[9] in left and KEYS[1] not in left
    assert sum(entry.size for entry in own.entries()) <= 10_000


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    if not hasattr(os, "getuid"):
        pytest.skip("this system knows no owners of files")
    own = Cache(tmp_path)
    own.put(KEYS[0], b"content")
    tmp_path.chmod(0o777)
    assert own.get(KEYS[0]) is None
    own.put(KEYS[1], b"content")
    assert not (tmp_path / KEYS[1]).exists()


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    own = Cache(tmp_path / "file" / "cache")
    own.put(KEYS[0], b"content")
    assert own.get(KEYS[0]) is None and own.entries() == [] and own.remove() == 0


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "ABCDEF0123456789", "0123"])
def test_a_key_is_a_hash(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a hash"):
        Cache(tmp_path).put(key, b"")


def test_the_folder_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, folder in ((str(tmp_path), tmp_path), ("", None)):
        default_cache.cache_clear()
        monkeypatch.setenv(CACHE_FOLDER, value)
        assert default_cache().folder == folder
    default_cache().put(KEYS[0], b"content")
    assert default_cache().get(KEYS[0]) is None
    monkeypatch.delenv(CACHE_FOLDER)
    default_cache.cache_clear()
    assert cache.default_cache().folder is not None
    default_cache.cache_clear()


def test_using_an_entry_makes_it_young(tmp_path: Path) -> None:
    own = Cache(tmp_path)
    own.put(KEYS[0], b"content")
    os.utime(tmp_path / KEYS[0], (0, 0))
    own.get(KEYS[0])
    assert own.entries()[0].used > time.time() - 1000
