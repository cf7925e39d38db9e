"""Recordings as files.

A file is a zip archive without compression: one `.npy` member per kept value, named by its path, and `index.json`, which is written last
and has everything else. So `numpy.load` opens it, too (elements of bfloat16 are then 16 bits as `uint16`).

A file is untrusted when it is read: sizes are limited and compared with the index before anything is read, nothing is executed, and the
digest of elements is checked.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Final, cast
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from bmlang.runtime.errors import RecordingElementsError, RecordingFormatError, RecordingOptionError, RecordingStateError
from bmlang.runtime.events import ENGINES, Place
from bmlang.runtime.recording import KEEP, Entry, Keep, Recording, Value, digest_of, value_path
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.files import written_atomically
from tpukernel.npy import NPY_ERRORS, read_elements, read_header
from tpukernel.sim.memory import Array

__all__ = ["INDEX", "MAX_INDEX_BYTES", "ZIP_ERRORS", "is_recording", "load_recording", "written_recording"]

INDEX: Final = "index.json"
FORMAT: Final = "bmlang-recording"
VERSION: Final = 1
MAX_INDEX_BYTES: Final = 256 << 20
"""Largest index: that of about half a million commands."""
MAX_DIMENSIONS: Final = 32
MAX_ELEMENTS: Final = 1 << 32
"""Most elements of one value, as in the simulator."""

ZIP_ERRORS: Final = (BadZipFile, NotImplementedError, RuntimeError, ValueError, KeyError, EOFError, OverflowError, struct.error, OSError)
"""What zipfile raises for damaged archives; also OSError, when it follows an offset to nowhere."""


# ------------------------------------------------------------------ writing


class _ArchiveWriter:
    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive

    def put(self, path: str, array: Array) -> None:
        bits = np.asarray(array, order="C")
        if bits.dtype.kind == "V":  # bfloat16, of which the .npy format knows nothing
            bits = bits.view(np.uint16)
        with self._archive.open(ZipInfo(f"{path}.npy"), "w", force_zip64=True) as member:
            np.lib.format.write_array(member, bits, allow_pickle=False)

    def get(self, value: Value) -> Array:
        raise RecordingStateError(
            f"{value.path} is in a file that is still being written", help="use the recording behind the `with` block"
        )


@contextmanager
def written_recording(path: Path, chip: str, keep: Keep) -> Generator[Recording]:
    """A recording whose elements go to a file at once; the file gets its name at the end, also when the context is left by an error.

    Raises:
        OSError: the file cannot be written.
        RecordingOptionError: there are more commands than an index may have.
    """
    failure: BaseException | None = None
    with written_atomically(path) as file:
        with ZipFile(file, "w", ZIP_STORED) as archive:
            recording = Recording(chip, keep, [], _ArchiveWriter(archive))
            try:
                yield recording
            except BaseException as error:  # noqa: BLE001 - what was recorded before is what one wants to look at
                failure = error
            archive.writestr(ZipInfo(INDEX), _index_text(recording))
        recording.store = _ArchiveReader(path)
    if failure:
        raise failure


def _index_text(recording: Recording) -> bytes:
    index = {
        "format": FORMAT,
        "version": VERSION,
        "chip": recording.chip,
        "keep": recording.keep,
        "error": recording.error,
        "dropped": recording.dropped,
        "entries": [_entry_data(entry) for entry in recording.entries],
    }
    text = json.dumps(index, separators=(",", ":")).encode()
    if len(text) > MAX_INDEX_BYTES:
        raise RecordingOptionError(
            f"the index of {len(recording.entries)} commands has {len(text)} bytes, more than {MAX_INDEX_BYTES}",
            help="record fewer launches",
        )
    return text


def _entry_data(entry: Entry) -> dict[str, object]:
    inputs, results = ([*map(_value_data, values.values())] for values in (entry.inputs, entry.results))
    return dict[str, object](vars(entry)) | {"inputs": inputs, "results": results}


def _value_data(value: Value) -> dict[str, object]:
    place = vars(value.place) if value.place else None
    return {"name": value.name, "dtype": value.dtype.name, "shape": value.shape, "digest": value.digest, "kept": value.kept, "place": place}


# ------------------------------------------------------------------ reading


def is_recording(path: Path) -> bool:
    """Whether a file is an archive with an index; what is in it may be damaged all the same.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            return INDEX in ZipFile(file).namelist()
        except ZIP_ERRORS:
            return False


def load_recording(path: str | os.PathLike[str]) -> Recording:
    """A recording that was written to a file. Elements are read when they are asked for.

    Raises:
        RecordingFormatError: the file is none, or is damaged.
        OSError: it cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            archive = ZipFile(file)
            info = archive.getinfo(INDEX)
            if info.compress_type != ZIP_STORED or info.file_size > MAX_INDEX_BYTES:
                raise ValueError(f"its index is compressed, or has more than {MAX_INDEX_BYTES} bytes")
            with archive.open(info) as member:
                data: object = json.loads(member.read(MAX_INDEX_BYTES + 1))
        except (*ZIP_ERRORS, RecursionError) as error:
            text = str(error).strip("'\"") or type(error).__name__
            raise RecordingFormatError(f"this is no recording: {text}", where=str(path), help="Runtime.record writes recordings") from None
    return _recording(_Table(data, INDEX, path), path)


class _ArchiveReader:
    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._archive: ZipFile | None = None

    def put(self, path: str, array: Array) -> None:
        raise RecordingStateError(f"{path} ({array.dtype}) cannot be added to a recording that was read", help="make a new one")

    def get(self, value: Value) -> Array:
        wanted = value.dtype.numpy if value.dtype.kind != "b" else np.dtype(np.uint16)
        try:
            if self._archive is None:
                self._archive = ZipFile(self._path)  # is closed when nobody has it any more
            info = self._archive.getinfo(f"{value.path}.npy")
            if info.compress_type != ZIP_STORED:
                raise ValueError("it is compressed")
            with self._archive.open(info) as member:
                header = read_header(member)
                if (header.dtype, header.shape, header.is_fortran) != (wanted, value.shape, False):
                    raise ValueError(f"it is {header.dtype}{header.shape} instead of {wanted}{value.shape}")
                found = read_elements(member, header).view(value.dtype.numpy)
        except (*ZIP_ERRORS, *NPY_ERRORS) as error:
            raise RecordingElementsError(f"{value.path}.npy cannot be read: {error}", where=str(self._path)) from None
        if digest_of(found) != value.digest:
            raise RecordingElementsError(f"the elements of {value.path}.npy are not those of the digest", where=str(self._path))
        return found


class _Table:
    """An object of the index whose fields have to be of certain types."""

    def __init__(self, data: object, place: str, path: Path) -> None:
        self._place, self._path = place, path
        if not isinstance(data, Mapping):
            raise self.wrong("an object", data)
        self._data = cast("Mapping[str, object]", data)

    def wrong(self, wanted: str, found: object) -> RecordingFormatError:
        return RecordingFormatError(f"{self._place} has to be {wanted}, but is {str(found)[:40]!r}", where=str(self._path))

    def field(self, name: str) -> object:
        if name not in self._data:
            raise RecordingFormatError(f"{self._place} has no {name}", where=str(self._path))
        return self._data[name]

    def text(self, name: str, choices: Sequence[str] | None = None) -> str:
        found = self.field(name)
        if not isinstance(found, str) or (choices is not None and found not in choices):
            raise self._wrong_field(name, f"one of {', '.join(choices)}" if choices else "a text", found)
        return found

    def optional_text(self, name: str) -> str | None:
        return None if self.field(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        found = self.field(name)
        if not isinstance(found, bool):
            raise self._wrong_field(name, "true or false", found)
        return found

    def number(self, name: str) -> int:
        return self._number(name, self.field(name))

    def optional_number(self, name: str) -> int | None:
        return None if self.field(name) is None else self.number(name)

    def numbers(self, name: str) -> tuple[int, ...]:
        return tuple(self._number(name, item) for item in self._list(name))

    def optional_table(self, name: str) -> _Table | None:
        found = self.field(name)
        return None if found is None else _Table(found, f"{self._place}.{name}", self._path)

    def tables(self, name: str) -> Iterator[_Table]:
        for k, item in enumerate(self._list(name)):
            yield _Table(item, f"{self._place}.{name}[{k}]", self._path)

    def _list(self, name: str) -> list[object]:
        found = self.field(name)
        if not isinstance(found, list):
            raise self._wrong_field(name, "a list", found)
        return cast("list[object]", found)

    def _number(self, name: str, found: object) -> int:
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 1 << 63:
            raise self._wrong_field(name, "a number from 0 on", found)
        return found

    def _wrong_field(self, name: str, wanted: str, found: object) -> RecordingFormatError:
        return _Table({}, f"{self._place}.{name}", self._path).wrong(wanted, found)


def _recording(index: _Table, path: Path) -> Recording:
    index.text("format", [FORMAT])
    if index.number("version") != VERSION:
        raise RecordingFormatError(f"version {index.number('version')} of the format is not known, only {VERSION}", where=str(path))
    keep = cast("Keep", index.text("keep", KEEP))
    entries = [*map(_entry, index.tables("entries"))]
    if len({entry.key for entry in entries}) != len(entries):
        raise RecordingFormatError("a command is there twice", where=str(path))
    return Recording(index.text("chip"), keep, entries, _ArchiveReader(path), index.optional_text("error"), index.number("dropped"))


def _entry(table: _Table) -> Entry:
    launch, position = table.number("launch"), table.number("position")
    subnet, group = table.optional_number("subnet"), table.optional_number("group")
    engine, number, title = table.text("engine", ENGINES), table.number("number"), table.text("title")
    where = (launch, subnet, group, engine, number, title)
    return Entry(
        launch,
        position,
        table.text("net"),
        table.number("stage"),
        subnet,
        group,
        engine,
        number,
        title,
        table.text("text"),
        table.flag("selected"),
        {value.name: value for value in (_value(item, where, is_input=True) for item in table.tables("inputs"))},
        {value.name: value for value in (_value(item, where, is_input=False) for item in table.tables("results"))},
        table.text("node"),
    )


def _value(table: _Table, where: tuple[int, int | None, int | None, str, int, str], *, is_input: bool) -> Value:
    name, dtype, shape = table.text("name"), _dtype(table), table.numbers("shape")
    if len(shape) > MAX_DIMENSIONS or prod(shape) > MAX_ELEMENTS:
        raise table.wrong(f"a value of at most {MAX_DIMENSIONS} dimensions and {MAX_ELEMENTS} elements", shape)
    path = value_path(*where, name, is_input=is_input)
    return Value(path, name, dtype, shape, table.text("digest"), table.flag("kept"), _place(table, len(shape)))


def _dtype(table: _Table) -> Dtype:
    return DTYPES[table.text("dtype", [*DTYPES])]


def _place(table: _Table, dimensions: int) -> Place | None:
    place = table.optional_table("place")
    if place is None:
        return None
    strides = place.numbers("strides")
    if len(strides) != dimensions:
        raise place.wrong(f"a place with {dimensions} strides", strides)
    return Place(place.number("offset"), strides)
