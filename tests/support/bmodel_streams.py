"""Extracts the raw command streams of static nets from BModel files, independently of the package under test.

Container: 64-byte header (magic, header size, flatbuffers size, binary size), a FlatBuffer with root table ``Model``, and the binary
section that every ``Binary{start, size}`` points into. The numbers below are those of the published schema ``bmodel.fbs`` of tpu-mlir.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0xFF55AAEE
HEADER_BYTES = 64

# Field numbers of the schema, by table.
MODEL_CHIP, MODEL_NET = 3, 4
NET_NAME, NET_PARAMETER = 0, 3
PARAMETER_CMD_GROUP, PARAMETER_SUB_NET = 8, 12
SUB_NET_CMD_GROUP, SUB_NET_CORE_COMMANDS = 1, 14
CORE_COMMANDS_GROUPS = 0
GROUP_BDC_NUM, GROUP_GDMA_NUM, GROUP_BDC, GROUP_GDMA = 0, 1, 2, 3


class BadModelError(ValueError):
    """The file is not a BModel, or one of its offsets leaves the file."""


@dataclass(frozen=True)
class CommandGroup:
    """One command group of a static stage: raw streams and the number of commands the file states (end commands included)."""

    chip: str
    net: str
    stage: int
    group: int
    tiu: bytes
    gdma: bytes
    tiu_commands: int
    gdma_commands: int


class _Buffer:
    """Bounds-checked little-endian reads."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def unpack(self, code: str, position: int) -> int:
        size = struct.calcsize(code)
        if position < 0 or position + size > len(self.data):
            raise BadModelError(f"offset {position} leaves the buffer of {len(self.data)} bytes")
        return int(struct.unpack_from("<" + code, self.data, position)[0])

    def take(self, position: int, size: int) -> bytes:
        if position < 0 or size < 0 or position + size > len(self.data):
            raise BadModelError(f"range {position}+{size} leaves the buffer of {len(self.data)} bytes")
        return self.data[position : position + size]


class _Table:
    """A FlatBuffers table at ``position``."""

    def __init__(self, buffer: _Buffer, position: int) -> None:
        self.buffer, self.position = buffer, position
        self.vtable = position - buffer.unpack("i", position)
        self.vtable_size = buffer.unpack("H", self.vtable)

    def _field(self, number: int) -> int | None:
        entry = 4 + 2 * number
        if entry + 2 > self.vtable_size:
            return None
        offset = self.buffer.unpack("H", self.vtable + entry)
        return self.position + offset if offset else None

    def _target(self, number: int) -> int | None:
        position = self._field(number)
        return None if position is None else position + self.buffer.unpack("I", position)

    def u32(self, number: int) -> int:
        position = self._field(number)
        return 0 if position is None else self.buffer.unpack("I", position)

    def string(self, number: int) -> str:
        position = self._target(number)
        if position is None:
            return ""
        return self.buffer.take(position + 4, self.buffer.unpack("I", position)).decode()

    def binary(self, number: int) -> tuple[int, int]:
        """The struct ``Binary`` as (start, size); (0, 0) when absent."""
        position = self._field(number)
        return (0, 0) if position is None else (self.buffer.unpack("Q", position), self.buffer.unpack("Q", position + 8))

    def tables(self, number: int) -> Iterator[_Table]:
        position = self._target(number)
        if position is None:
            return
        for k in range(self.buffer.unpack("I", position)):
            entry = position + 4 + 4 * k
            yield _Table(self.buffer, entry + self.buffer.unpack("I", entry))


def command_groups(model: bytes | Path) -> list[CommandGroup]:
    """All command groups of a BModel in file order; a group that the file lists twice is reported once.

    Raises ``BadModelError`` for a file that is not a BModel or whose offsets leave the file.
    """
    data = model.read_bytes() if isinstance(model, Path) else model
    file = _Buffer(data)
    if file.unpack("I", 0) != MAGIC:
        raise BadModelError("wrong magic number")
    header, table_bytes, binary_bytes = file.unpack("I", 4), file.unpack("I", 8), file.unpack("Q", 12)
    if header != HEADER_BYTES:
        raise BadModelError(f"header of {header} bytes")
    tables = _Buffer(file.take(header, table_bytes))
    binary = _Buffer(file.take(header + table_bytes, binary_bytes))
    root = _Table(tables, tables.unpack("I", 0))
    chip = root.string(MODEL_CHIP)
    found: list[CommandGroup] = []
    for net in root.tables(MODEL_NET):
        for stage, parameter in enumerate(net.tables(NET_PARAMETER)):
            seen: set[tuple[tuple[int, int], tuple[int, int]]] = set()
            for group in _groups(parameter):
                places = group.binary(GROUP_BDC), group.binary(GROUP_GDMA)
                if places in seen:
                    continue
                tiu, gdma = (binary.take(start, size) for start, size in places)
                counts = group.u32(GROUP_BDC_NUM), group.u32(GROUP_GDMA_NUM)
                found.append(CommandGroup(chip, net.string(NET_NAME), stage, len(seen), tiu, gdma, *counts))
                seen.add(places)
    return found


def _groups(parameter: _Table) -> Iterator[_Table]:
    """Command groups of a stage: per subnet, per core, and the copy in the stage itself."""
    for sub_net in parameter.tables(PARAMETER_SUB_NET):
        yield from sub_net.tables(SUB_NET_CMD_GROUP)
        for core in sub_net.tables(SUB_NET_CORE_COMMANDS):
            yield from core.tables(CORE_COMMANDS_GROUPS)
    yield from parameter.tables(PARAMETER_CMD_GROUP)
