"""A cache of files by content: what takes long to make, such as machine code, is made once on a computer.

A key is the hash of everything that the content depends on, so that an entry is never out of date. Several processes may use one cache: an
entry appears all at once or not at all. A damaged entry counts as absent and is removed. When the cache is larger than its limit, the
entries that were not used for the longest time go.

Entries may be machine code that is executed, so the cache is a folder of the user that nobody else may write to. One that others can write
to is not used at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

__all__ = ["CACHE_FOLDER", "Cache", "Entry", "default_cache", "default_folder"]

CACHE_FOLDER = "TPUKERNEL_CACHE"
"""Environment variable: the folder of the cache; empty for none."""

LIMIT_BYTES = 256 << 20
_MAGIC = b"TPUC1\n"
_KEY = re.compile(r"[0-9a-f]{16,128}")
_FREED = 4
"""A full cache is emptied by that part of its limit, so that not every new entry has to look at all of them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its key, the bytes of its file, and when it was last used (seconds since 1970)."""

    key: str
    size: int
    used: float


class Cache:
    """A cache in a folder.

    Args:
        folder: where; it is made when something is put into it. None: a cache that keeps nothing.
        limit: bytes of all entries together.
    """

    def __init__(self, folder: Path | None, limit: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit = limit
        self._written: int | None = None

    def get(self, key: str) -> bytes | None:
        """The content for a key, or None. `key` is a hash in lower-case hexadecimal digits."""
        path = self._path(key)
        if path is None or not self._is_private():
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + 32
        content = data[start:]
        if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start] != hashlib.sha256(content).digest():
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep a content. A folder that cannot be written to is no error: nothing is kept then."""
        path = self._path(key)
        if path is None:
            return
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_private():
                return
            handle, name = tempfile.mkstemp(dir=path.parent, prefix="new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(content).digest() + content)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            self._shrink(len(content))

    def entries(self) -> list[Entry]:
        """All entries, the least recently used one first."""
        return sorted(self._found(), key=lambda entry: entry.used)

    def remove(self, keys: Iterator[str] | list[str] | None = None) -> int:
        """Remove these entries, or all of them. Returns how many there were."""
        removed = 0
        for key in [entry.key for entry in self._found()] if keys is None else keys:
            path = self._path(key)
            if path is not None:
                with suppress(FileNotFoundError):
                    path.unlink()
                    removed += 1
        return removed

    def _path(self, key: str) -> Path | None:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a hash in hexadecimal digits")
        return None if self.folder is None else self.folder / key

    def _is_private(self) -> bool:
        """Whether the folder is ours alone to write to (where the system knows owners)."""
        if self.folder is None:
            return False
        if not hasattr(os, "getuid"):
            return True
        try:
            status = self.folder.stat()
        except OSError:
            return False
        return status.st_uid == os.getuid() and not status.st_mode & 0o022

    def _found(self) -> Iterator[Entry]:
        if self.folder is None or not self.folder.is_dir():
            return
        for file in os.scandir(self.folder):
            if _KEY.fullmatch(file.name):
                with suppress(OSError):  # removed by another process meanwhile
                    status = file.stat()
                    yield Entry(file.name, status.st_size, status.st_mtime)

    def _shrink(self, added: int) -> None:
        self._written = sum(entry.size for entry in self._found()) if self._written is None else self._written + added
        if self._written <= self.limit:
            return
        entries = self.entries()
        left = sum(entry.size for entry in entries)
        for entry in entries:
            if left <= self.limit - self.limit // _FREED:
                break
            self.remove([entry.key])
            left -= entry.size
        self._written = left


def default_folder() -> Path | None:
    """The folder that `TPUKERNEL_CACHE` names, else one where the system keeps caches; None for no cache."""
    named = os.environ.get(CACHE_FOLDER)
    if named is not None:
        return Path(named) if named else None
    from platformdirs import user_cache_path

    return user_cache_path("tpukernel", appauthor=False) / "objects"


@once
def default_cache() -> Cache:
    """The cache of the user."""
    return Cache(default_folder())
