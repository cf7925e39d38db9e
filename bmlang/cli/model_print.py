"""`tpu_model --print`: every field of the tables, in the notation of the official tool or as JSON."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import cast

from bmlang.bmodel.fields import Binary, Struct, Table, plan_of

__all__ = ["print_data", "print_text"]


def print_text(table: Table | Struct, indent: str = "") -> str:
    """A table as FlatBuffers' text generator writes it: names without quotes, one element a line, scalars also where the file leaves them
    out.
    """
    return "\n".join(_lines(table, indent))


def _lines(table: Table | Struct | Binary, indent: str) -> Iterator[str]:
    yield "{"
    inner = indent + "  "
    members = _members(table)
    for k, (name, value) in enumerate(members):
        comma = "," if k + 1 < len(members) else ""
        first, *rest = _value(value, inner)
        lines = [f"{inner}{name}: {first}", *rest]
        yield from lines[:-1]
        yield lines[-1] + comma
    yield indent + "}"


def _members(table: Table | Struct | Binary) -> list[tuple[str, object]]:
    """Fields that are printed: those that are there, and all scalars."""
    if isinstance(table, Binary):
        return [("start", table.start or 0), ("size", table.size)]
    plan = plan_of(type(table))
    return [(one.name, value) for one in plan.fields if (value := getattr(table, one.name)) is not None]


def _value(value: object, indent: str) -> list[str]:
    """The lines of a value; the first one without indentation."""
    if isinstance(value, (tuple, bytes)):
        return _vector(list(cast("tuple[object, ...]", value)), indent)
    if isinstance(value, (Table, Struct, Binary)):
        return list(_lines(value, indent))
    if isinstance(value, str):
        return [_quoted(value)]
    return [_number(value) if isinstance(value, float) else str(value)]


def _vector(items: list[object], indent: str) -> list[str]:
    inner = indent + "  "
    lines = ["["]
    for k, item in enumerate(items):
        first, *rest = _value(item, inner)
        element = [inner + first, *rest]
        element[-1] += "," if k + 1 < len(items) else ""
        lines += element
    return [*lines, *([] if items else [""]), indent + "]"]


def _number(value: float) -> str:
    """Six decimals, without the zeros at the end but one."""
    if not math.isfinite(value):
        return str(value)
    text = f"{value:.6f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f", '"': '\\"', "\\": "\\\\"}


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character) or _character(character) for character in text) + '"'


def _character(character: str) -> str:
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return character
    if 0xDC80 <= code < 0xDD00:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02X}"
    units = struct.iter_unpack(">H", character.encode("utf-16-be", "surrogatepass"))
    return "".join(f"\\u{unit:04X}" for (unit,) in units)


def print_data(table: Table | Struct | Binary) -> dict[str, object]:
    """The same as data for JSON."""
    return {name: _data(value) for name, value in _members(table)}


def _data(value: object) -> object:
    if isinstance(value, (Table, Struct, Binary)):
        return print_data(value)
    if isinstance(value, bytes):
        return list(value)
    return [_data(item) for item in cast("tuple[object, ...]", value)] if isinstance(value, tuple) else value
