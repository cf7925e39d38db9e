"""BModel files: header, tables, binary section.

| offset | field |
|---|---|
| 0 | u32 magic 0xFF55AAEE |
| 4 | u32 bytes of the header, 64 |
| 8 | u32 bytes of the tables, filling included |
| 12 | u64 bytes of the binary section |
| 20 | 44 bytes reserved |
| 64 | the tables: a FlatBuffer with root table `Model`; then the binary section |
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bmlang.bmodel.errors import BModelError, HeaderError, MagicError, SizeLimitError
from bmlang.bmodel.fields import Binary, walk
from bmlang.bmodel.reader import read_model
from bmlang.bmodel.schema import Model
from bmlang.bmodel.section import ALIGNMENT, Section, align
from bmlang.bmodel.writer import write_model
from tpukernel.files import save_atomically

__all__ = ["HEADER_BYTES", "MAGIC", "MAX_TABLE_BYTES", "BModel", "load"]

MAGIC = 0xFF55AAEE
HEADER_BYTES = 64
MAX_TABLE_BYTES = 1 << 28
"""Most bytes of the tables that are read."""
MAP_FROM_BYTES = 1 << 26
"""A file of this size or more is mapped into memory instead of being read."""

_HEADER = struct.Struct("<IIIQ")
_CUT = "the file was cut, or is no BModel"


@dataclass(frozen=True)
class BModel:
    """A BModel: its tables, which hold the binaries, and the little that a file has besides.

    Attributes:
        model: the root table.
        reserved: the reserved bytes of the header.
        trailing: what follows the binary section; the official tools ignore it.
        section: the binary section of the file it was read from; empty for a new one.
        aligned: whether tables and binaries of the file it was read from lie on 4 KiB boundaries; always true for a new one.
    """

    model: Model
    reserved: bytes = field(default=bytes(HEADER_BYTES - _HEADER.size), repr=False)
    trailing: bytes | memoryview = field(default=b"", repr=False)
    section: bytes | memoryview = field(default=b"", repr=False, compare=False)
    aligned: bool = field(default=True, compare=False)

    def __repr__(self) -> str:
        return f"BModel({self.model.chip}: {', '.join(net.name for net in self.model.net) or 'no nets'})"

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes of the file, in pieces; the same model always gives the same bytes.

        Raises:
            UnknownFieldError, RequiredFieldError, FieldRangeError: the tables cannot be written.
        """
        section = Section.of(self.model)
        tables = write_model(self.model, section.places)
        filling = align(HEADER_BYTES + len(tables)) - HEADER_BYTES - len(tables)
        yield _HEADER.pack(MAGIC, HEADER_BYTES, len(tables) + filling, section.size) + self.reserved
        yield tables
        yield bytes(filling)
        yield from section.chunks()
        yield self.trailing

    def to_bytes(self) -> bytes:
        """The bytes of the file (see `chunks`)."""
        return b"".join(self.chunks())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file. A file that is there already stays whole until the new one is complete, whatever happens in between.

        Raises:
            UnknownFieldError, RequiredFieldError, FieldRangeError: the tables cannot be written.
            OSError: the file cannot be written.
        """
        save_atomically(Path(path), self.chunks())


def load(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> BModel:
    """Reads a BModel from a file or from its bytes. Nothing of it is executed, and everything is checked before it is used.

    The binaries are views: into the bytes, or into a large file that is mapped. A mapped file must not be shortened while it is in use;
    replacing it, as `BModel.save` does, is harmless.

    Raises:
        MagicError: it does not begin like a BModel.
        HeaderError: its sizes do not fit the file.
        TableRangeError, RequiredFieldError, BinaryRangeError, BinaryOverlapError, SizeLimitError: it is damaged (see `read_model`).
        OSError: the file cannot be read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(memoryview(bytes(source)))
    path = Path(source)
    try:
        return _read(memoryview(_contents(path)))
    except BModelError as error:
        error.where = f"{path}: {error.where}" if error.where else str(path)
        raise


def _read(data: memoryview) -> BModel:
    table_bytes, binary_bytes = _header(data)
    section_at = HEADER_BYTES + table_bytes
    tables, section = data[HEADER_BYTES:section_at], data[section_at : section_at + binary_bytes]
    model = read_model(tables, section, tables_at=HEADER_BYTES, section_at=section_at)
    return BModel(
        model,
        reserved=bytes(data[_HEADER.size : HEADER_BYTES]),
        trailing=data[section_at + binary_bytes :],
        section=section,
        aligned=_aligned(model, section_at),
    )


def _aligned(model: Model, section_at: int) -> bool:
    starts: Iterable[int] = (binary.start or 0 for _, binary in walk(model, Binary) if binary.size)
    return not any(place % ALIGNMENT for place in (section_at, *starts))


def _contents(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < MAP_FROM_BYTES:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _header(data: memoryview) -> tuple[int, int]:
    """Bytes of the tables and of the binary section."""
    if len(data) < 4 or int.from_bytes(data[:4], "little") != MAGIC:
        text = f"begins with {int.from_bytes(data[:4], 'little'):#010x}" if len(data) >= 4 else f"has {len(data)} bytes"
        raise MagicError(
            f"this is no BModel: it {text} instead of {MAGIC:#x}", field="header.magic", offset=0, help="give a file that ends in .bmodel"
        )
    if len(data) < HEADER_BYTES:
        raise HeaderError(f"the file of {len(data)} bytes ends inside the header", field="header", offset=len(data), help=_CUT)
    _, header_bytes, table_bytes, binary_bytes = _HEADER.unpack_from(data)
    if header_bytes != HEADER_BYTES:
        raise HeaderError(f"the header has {header_bytes} bytes instead of {HEADER_BYTES}", field="header.header_size", offset=4, help=_CUT)
    left = len(data) - HEADER_BYTES
    if table_bytes > left:
        raise HeaderError(f"{table_bytes} bytes of tables, but {left} are left", field="header.flatbuffers_size", offset=8, help=_CUT)
    if table_bytes > MAX_TABLE_BYTES:
        raise SizeLimitError(f"{table_bytes} bytes of tables are more than {MAX_TABLE_BYTES}", field="header.flatbuffers_size", offset=8)
    if binary_bytes > left - table_bytes:
        raise HeaderError(
            f"{binary_bytes} bytes of binaries, but {left - table_bytes} are left", field="header.binary_size", offset=12, help=_CUT
        )
    return table_bytes, binary_bytes
