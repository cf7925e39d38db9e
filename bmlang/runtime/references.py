"""Arrays to compare a run with: from memory, or from `.npz` and `.npy` files of unknown origin."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol
from zipfile import ZipFile

import numpy as np

from bmlang.runtime.errors import ReferenceArrayError
from bmlang.runtime.recording_file import ZIP_ERRORS
from tpukernel.npy import NPY_ERRORS, Header, read_elements, read_header
from tpukernel.sim.memory import Array

__all__ = ["ArrayFile", "Arrays", "MemoryArrays", "open_arrays"]

_BAD: Final = (*ZIP_ERRORS, *NPY_ERRORS, zlib.error)


class Arrays(Protocol):
    """Arrays by name."""

    def names(self) -> list[str]: ...

    def kind(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        """dtype and shape, known before any element is read."""
        ...

    def array(self, name: str) -> Array: ...


class MemoryArrays:
    """The arrays of a mapping."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays

    def names(self) -> list[str]:
        return [*self._arrays]

    def kind(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        return self._arrays[name].dtype, self._arrays[name].shape

    def array(self, name: str) -> Array:
        return self._arrays[name]


class ArrayFile:
    """The arrays of a file; elements are read when they are asked for.

    Attributes:
        is_single: whether it is an `.npy` file, whose one array has no name.
    """

    def __init__(self, path: Path, archive: ZipFile | None) -> None:
        self._path, self._archive = path, archive
        self.is_single = archive is None

    def names(self) -> list[str]:
        return [self._path.name] if self._archive is None else [name.removesuffix(".npy") for name in self._archive.namelist()]

    def kind(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        with self._member(name) as (_, header):
            return header.dtype, header.shape

    def array(self, name: str) -> Array:
        with self._member(name) as (member, header):
            return read_elements(member, header)

    @contextmanager
    def _member(self, name: str) -> Generator[tuple[IO[bytes], Header]]:
        try:
            with self._path.open("rb") if self._archive is None else self._archive.open(f"{name}.npy") as member:
                yield member, read_header(member)
        except _BAD as error:
            raise ReferenceArrayError(f"array {name!r} cannot be read: {error}", where=str(self._path)) from None


@contextmanager
def open_arrays(path: Path) -> Generator[ArrayFile]:
    """The arrays of an `.npz` or `.npy` file.

    Raises:
        ReferenceArrayError: it is neither.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":
            yield ArrayFile(path, None)
            return
        try:
            archive = ZipFile(file)
        except ZIP_ERRORS as error:
            raise ReferenceArrayError(f"{path} is no recording, .npz or .npy file: {error}") from None
        yield ArrayFile(path, archive)
