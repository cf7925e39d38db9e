"""Writing files so that a reader sees the old contents or the new ones, never something in between."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import BinaryIO

__all__ = ["failure_text", "save_atomically", "written_atomically"]


def failure_text(error: Exception) -> str:
    """An error as a command line tells it; one of the system begins with the file."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def save_atomically(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Writes a file of these parts (see `written_atomically`)."""
    with written_atomically(path) as file:
        file.writelines(chunks)


@contextlib.contextmanager
def written_atomically(path: Path) -> Generator[BinaryIO]:
    """A file to write to, under a temporary name in the same folder; at the end it is brought to the disk and gets its name in one step.

    A link is followed; the permissions of a file that was there are kept. What is no regular file (a pipe, a device) is written directly.

    Raises:
        OSError: the file cannot be written. After any exception the temporary file is removed; only a killed process leaves it, as
            `.NAME.*.tmp`.
    """
    path = path.resolve()
    mode = _mode(path)
    if mode is None:
        with path.open("wb") as file:
            yield file
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def _mode(path: Path) -> int | None:
    """Permissions that the file gets; None when the name belongs to something that is no regular file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
    return stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else None


def _sync_folder(folder: Path) -> None:
    """Brings the new name to the disk as well, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
