"""How a table of the BModel schema is declared: a frozen dataclass whose annotations carry field number and type::

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Shape(Table):
        dim: Annotated[tuple[int, ...] | None, Field(0, "[uint64]")] = None

This one declaration drives reader, writer, printing, comparison and the mutants of the tests. A field without a default is required. `None`
means that the field is absent, which is not the same as empty: the official runtime follows some references without looking.
"""

from __future__ import annotations

import dataclasses
import struct
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

__all__ = ["SCALARS", "Binary", "Field", "FieldPlan", "Struct", "Table", "TablePlan", "UnknownField", "Wire", "walk"]

Wire = Literal["uint8", "int32", "uint32", "uint64", "float32", "string", "binary", "struct", "table"]
"""Type of a field in the file; `binary` is the struct that points into the binary section."""

Vector = Literal["[uint8]", "[int32]", "[uint64]", "[binary]", "[struct]", "[table]"]

SCALARS: Final[dict[str, str]] = {"uint8": "B", "int32": "i", "uint32": "I", "uint64": "Q", "float32": "f"}
"""Format letters of module `struct` by scalar type."""

BINARY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Field:
    """What the annotation of a field says: its number in the table and its type in the file."""

    id: int
    type: Wire | Vector


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field of a newer schema: its number, and its offset in the file."""

    id: int
    offset: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Base of the tables.

    Attributes:
        unknown: fields that a file has and the schema does not know. Such a table can be read and shown, but not written.
    """

    unknown: tuple[UnknownField, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Struct:
    """Base of the fixed-size structures."""


@dataclass(frozen=True, slots=True)
class Binary:
    """Bytes of the binary section: weights, commands, a module.

    Attributes:
        data: the bytes; of a file that was read they are a view into it.
        start: offset in the binary section of the file that it came from, None when it comes from none. Not compared, and only a hint
            about the order when it is written.
    """

    data: bytes | memoryview = field(repr=False)
    start: int | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """A field as reader and writer see it.

    Attributes:
        target: class of a table or structure, otherwise None.
        bytes: bytes that the field takes inside its table.
    """

    name: str
    id: int
    wire: Wire
    vector: bool
    required: bool
    default: object
    target: type[Table] | type[Struct] | None

    @property
    def bytes(self) -> int:
        """Bytes that the field takes inside its table; a reference takes four."""
        return 4 if self.vector or self.wire in ("string", "table") else self.element_bytes

    @property
    def element_bytes(self) -> int:
        """Bytes of one element."""
        if self.wire == "binary":
            return BINARY_BYTES
        if self.wire == "struct":
            return struct.calcsize(self.struct_format)
        return struct.calcsize("<" + SCALARS[self.wire]) if self.wire in SCALARS else 4

    @property
    def struct_format(self) -> str:
        """Format of the structure for module `struct`."""
        assert self.target is not None  # noqa: S101 - only structures are asked
        return "<" + "".join(SCALARS[member.wire] for member in plan_of(self.target).fields)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table as reader and writer see it; the fields in the order of their numbers."""

    cls: type[Table] | type[Struct]
    fields: tuple[FieldPlan, ...]

    @property
    def name(self) -> str:
        """Name of the table in the schema."""
        return self.cls.__name__

    @property
    def slots(self) -> int:
        """Number of field numbers."""
        return self.fields[-1].id + 1 if self.fields else 0


@cache
def plan_of(cls: type[Table] | type[Struct]) -> TablePlan:
    """The fields that the annotations of a table or structure declare."""
    hints = get_type_hints(cls, include_extras=True)
    declared = [_planned(member, hints[member.name]) for member in dataclasses.fields(cls) if get_origin(hints[member.name]) is Annotated]
    return TablePlan(cls, tuple(sorted(declared, key=lambda plan: plan.id)))


def _planned(member: dataclasses.Field[object], hint: object) -> FieldPlan:
    inner, spec = cast("tuple[object, Field]", get_args(hint))
    vector = spec.type.startswith("[")
    required = member.default is dataclasses.MISSING
    return FieldPlan(
        name=member.name,
        id=spec.id,
        wire=cast("Wire", spec.type.strip("[]")),
        vector=vector,
        required=required,
        default=None if required else member.default,
        target=_target(inner),
    )


def _target(hint: object) -> type[Table] | type[Struct] | None:
    """The table or structure in `X`, `X | None`, `tuple[X, ...]`."""
    if isinstance(hint, type) and issubclass(hint, (Table, Struct)):
        return hint
    if get_origin(hint) in (Union, types.UnionType, tuple):
        return next((found for part in get_args(hint) if (found := _target(part))), None)
    return None


T = TypeVar("T")


def walk(table: Table, kind: type[T], path: str = "") -> Iterator[tuple[str, T]]:
    """Every value of a class (`Binary`, `Tensor`, ...) below a table, with its path, in the order of the field numbers."""
    for plan in plan_of(type(table)).fields:
        value = getattr(table, plan.name)
        if value is None or plan.wire not in ("binary", "struct", "table"):
            continue
        place = f"{path}.{plan.name}" if path else plan.name
        items = [(f"{place}[{k}]", item) for k, item in enumerate(value)] if plan.vector else [(place, value)]
        for where, item in items:
            if isinstance(item, kind):
                yield where, item
            if isinstance(item, Table):
                yield from walk(item, kind, where)
