"""Reading the tables: a FlatBuffer of unknown origin becomes the dataclasses of the schema.

Every offset and length is checked before it is followed, and the error says which field it belongs to and where it is in the file. A buffer
may refer to one table many times; limits keep such a file from growing in memory without end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from bmlang.bmodel.errors import BinaryOverlapError, BinaryRangeError, RequiredFieldError, SizeLimitError, TableRangeError
from bmlang.bmodel.fields import SCALARS, Binary, FieldPlan, Struct, Table, TablePlan, UnknownField, plan_of
from bmlang.bmodel.schema import Model

__all__ = ["MAX_ELEMENTS", "MAX_TABLES", "read_model"]

MAX_TABLES = 1_000_000
"""Most tables in a file; the official reader has the same limit."""
MAX_ELEMENTS = 8_000_000
"""Most elements of vectors in a file, all together."""
SHARING = 8
"""How often the bytes of the tables may be used on average: shared tables are legal, a chain that multiplies is not."""

_BROKEN = "the file is damaged, or was written by a faulty program"


def read_model(tables: memoryview, section: memoryview, *, tables_at: int, section_at: int) -> Model:
    """The model that the tables describe.

    Args:
        tables: the FlatBuffer.
        section: the binary section.
        tables_at, section_at: where they begin in the file, for messages.

    Raises:
        TableRangeError: an offset or length leads out of the tables.
        RequiredFieldError: a required field is missing.
        BinaryRangeError, BinaryOverlapError: a binary is outside of the section or covers a part of another one.
        SizeLimitError: there are more tables or elements than a BModel can need.
    """
    return cast("Model", _Reader(tables, section, tables_at, section_at).root(plan_of(Model)))


@dataclass
class _Reader:
    tables: memoryview
    section: memoryview
    tables_at: int
    section_at: int
    path: list[str] = field(default_factory=list[str])
    tables_left: int = MAX_TABLES
    elements_left: int = MAX_ELEMENTS
    bytes_left: int = 0
    ranges: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict[tuple[int, int], tuple[str, int]])

    def root(self, plan: TablePlan) -> Table:
        self.bytes_left = SHARING * len(self.tables)
        self.path.append(plan.name)
        root = self._table(plan, self._reference(0))
        self._check_overlaps()
        return root

    # ------------------------------------------------------------------ places

    def _where(self) -> str:
        return ".".join(self.path).replace(".[", "[")

    def _out(self, message: str, position: int) -> TableRangeError:
        return TableRangeError(message, field=self._where(), offset=self.tables_at + position, help=_BROKEN)

    def _number(self, code: str, position: int) -> int:
        size = struct.calcsize("<" + code)
        if position + size > len(self.tables):
            raise self._out(f"{size} bytes at {position} leave the tables of {len(self.tables)} bytes", position)
        return int(struct.unpack_from("<" + code, self.tables, position)[0])

    def _reference(self, position: int) -> int:
        distance = self._number("I", position)
        if not 4 <= distance <= len(self.tables) - position:
            raise self._out(f"the reference {distance} leads out of the tables of {len(self.tables)} bytes", position)
        return position + distance

    def _charge(self, position: int, *, bytes: int = 0, tables: int = 0, elements: int = 0) -> None:
        self.bytes_left -= bytes
        self.tables_left -= tables
        self.elements_left -= elements
        for left, message in (
            (self.tables_left, f"there are more than {MAX_TABLES} tables"),
            (self.elements_left, f"there are more than {MAX_ELEMENTS} elements of vectors"),
            (self.bytes_left, f"the {len(self.tables)} bytes of tables are used again and again"),
        ):
            if left < 0:
                raise SizeLimitError(message, field=self._where(), offset=self.tables_at + position, help=_BROKEN)

    # ------------------------------------------------------------------ tables

    def _table(self, plan: TablePlan, position: int) -> Table:
        vtable = position - self._number("i", position)
        if not 0 <= vtable <= len(self.tables) - 4:
            raise self._out(f"the field list at {vtable} is not in the tables of {len(self.tables)} bytes", position)
        vtable_bytes, table_bytes = self._number("H", vtable), self._number("H", vtable + 2)
        if vtable_bytes < 4 or vtable_bytes % 2 or vtable + vtable_bytes > len(self.tables):
            raise self._out(f"the field list of {vtable_bytes} bytes leaves the tables of {len(self.tables)} bytes", vtable)
        if table_bytes < 4 or position + table_bytes > len(self.tables):
            raise self._out(f"the table of {table_bytes} bytes leaves the tables of {len(self.tables)} bytes", vtable + 2)
        self._charge(position, bytes=table_bytes + vtable_bytes, tables=1)
        slots = struct.unpack_from(f"<{vtable_bytes // 2 - 2}H", self.tables, vtable + 4)
        values: dict[str, object] = {}
        for one in plan.fields:
            self.path.append(one.name)
            offset = slots[one.id] if one.id < len(slots) else 0
            if offset:
                if offset < 4 or offset + one.bytes > table_bytes:
                    raise self._out(f"the field lies at {offset} of a table of {table_bytes} bytes", vtable + 4 + 2 * one.id)
                values[one.name] = self._field(one, position + offset)
            elif one.required:
                raise RequiredFieldError(
                    f"{self._where()} is missing, which no {plan.name} can be without",
                    where=f"offset {self.tables_at + position} (0x{self.tables_at + position:x})",
                    help=_BROKEN,
                )
            self.path.pop()
        known = {one.id for one in plan.fields}
        unknown = tuple(
            UnknownField(number, self.tables_at + position + offset)
            for number, offset in enumerate(slots)
            if offset and number not in known
        )
        return cast("Callable[..., Table]", plan.cls)(**values, unknown=unknown)

    def _field(self, one: FieldPlan, position: int) -> object:
        if one.vector:
            return self._vector(one, self._reference(position))
        if one.wire == "string":
            return self._string(self._reference(position))
        if one.wire == "table":
            return self._table(_table_plan(one), self._reference(position))
        return self._inline(one, position)

    def _vector(self, one: FieldPlan, position: int) -> object:
        count, size = self._number("I", position), one.element_bytes
        first = position + 4
        if first + count * size > len(self.tables):
            raise self._out(f"{count} elements of {size} bytes leave the tables of {len(self.tables)} bytes", position)
        self._charge(position, bytes=4 + count * size, elements=0 if one.wire == "uint8" else count)
        if one.wire == "uint8":
            return bytes(self.tables[first : first + count])
        if one.wire in SCALARS:
            return struct.unpack_from(f"<{count}{SCALARS[one.wire]}", self.tables, first)
        if one.wire == "struct":
            raw = self.tables[first : first + count * size]
            return tuple(_structure(one, values) for values in struct.iter_unpack(one.struct_format, raw))
        found: list[object] = []
        plan = _table_plan(one) if one.wire == "table" else None
        for k in range(count):
            self.path.append(f"[{k}]")
            at = first + k * size
            found.append(self._inline(one, at) if plan is None else self._table(plan, self._reference(at)))
            self.path.pop()
        return tuple(found)

    def _string(self, position: int) -> str:
        count = self._number("I", position)
        first = position + 4
        if first + count >= len(self.tables):
            raise self._out(f"a text of {count} bytes leaves the tables of {len(self.tables)} bytes", position)
        if self.tables[first + count] != 0:
            raise self._out(f"the text of {count} bytes has no zero at its end", position)
        self._charge(position, bytes=4 + count)
        return bytes(self.tables[first : first + count]).decode("utf-8", "surrogateescape")

    def _inline(self, one: FieldPlan, position: int) -> object:
        if one.wire == "binary":
            start, size = struct.unpack_from("<QQ", self.tables, position)
            return self._binary(start, size, position)
        if one.wire == "struct":
            return _structure(one, struct.unpack_from(one.struct_format, self.tables, position))
        return struct.unpack_from("<" + SCALARS[one.wire], self.tables, position)[0]

    # ------------------------------------------------------------------ binaries

    def _binary(self, start: int, size: int, position: int) -> Binary:
        if start + size > len(self.section):
            raise BinaryRangeError(
                f"[start {start}, size {size}] leaves the binary section of {len(self.section)} bytes",
                field=self._where(),
                offset=self.tables_at + position,
                help=_BROKEN,
            )
        if size:
            self.ranges.setdefault((start, size), (self._where(), self.tables_at + position))
        return Binary(self.section[start : start + size], start)

    def _check_overlaps(self) -> None:
        end, before = 0, ""
        for (start, size), (where, offset) in sorted(self.ranges.items()):
            if start < end:
                raise BinaryOverlapError(
                    f"[start {start}, size {size}] covers a part of {before}, which ends at {end}", field=where, offset=offset, help=_BROKEN
                )
            end, before = start + size, where


def _table_plan(one: FieldPlan) -> TablePlan:
    return plan_of(cast("type[Table]", one.target))


def _structure(one: FieldPlan, values: tuple[object, ...]) -> Struct:
    return cast("Callable[..., Struct]", one.target)(*values)
