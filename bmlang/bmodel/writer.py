"""Writing the tables: the dataclasses of the schema become a FlatBuffer, without anything of them being lost."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from bmlang.bmodel.errors import FieldRangeError, RequiredFieldError, UnknownFieldError
from bmlang.bmodel.fields import BINARY_BYTES, SCALARS, Binary, FieldPlan, Struct, Table, plan_of
from bmlang.bmodel.schema import Model

__all__ = ["Places", "refuse_unknown", "write_model"]

Places = Mapping[int, tuple[int, int]]
"""Start and size in the binary section by the identity (`id`) of the `Binary`."""


class Builder(Protocol):
    """What is used of `flatbuffers.Builder`, which has no annotations."""

    def StartObject(self, numfields: int) -> None: ...  # noqa: N802 - the names of the library
    def EndObject(self) -> int: ...  # noqa: N802
    def StartVector(self, elem_size: int, num_elems: int, alignment: int) -> None: ...  # noqa: N802
    def EndVector(self) -> int: ...  # noqa: N802
    def CreateString(self, text: bytes) -> int: ...  # noqa: N802
    def CreateByteVector(self, data: bytes) -> int: ...  # noqa: N802
    def Prep(self, size: int, additional_bytes: int) -> None: ...  # noqa: N802
    def Slot(self, slotnum: int) -> None: ...  # noqa: N802
    def Offset(self) -> int: ...  # noqa: N802
    def PrependUint64(self, number: int) -> None: ...  # noqa: N802
    def PrependUOffsetTRelative(self, offset: int) -> None: ...  # noqa: N802
    def PrependUOffsetTRelativeSlot(self, slot: int, offset: int, default: int) -> None: ...  # noqa: N802
    def PrependStructSlot(self, slot: int, place: int, default: int) -> None: ...  # noqa: N802
    def Finish(self, root: int) -> None: ...  # noqa: N802
    def Output(self) -> bytearray: ...  # noqa: N802


def write_model(model: Model, places: Places) -> bytes:
    """The FlatBuffer of a model.

    Args:
        model: the root table.
        places: where its binaries lie in the binary section.

    Raises:
        UnknownFieldError: a table came from a file of a newer schema.
        RequiredFieldError: a required field is None.
        FieldRangeError: a value does not fit its field.
    """
    import flatbuffers

    builder = cast("Builder", flatbuffers.Builder(1 << 12))
    builder.Finish(_Writer(builder, places, ["Model"]).table(model))
    return bytes(builder.Output())


def refuse_unknown(table: Table, path: str) -> None:
    """Refuses a table that has fields of a newer schema.

    Raises:
        UnknownFieldError: it has some.
    """
    if table.unknown:
        numbers = ", ".join(f"{one.id} (offset {one.offset})" for one in table.unknown)
        raise UnknownFieldError(
            f"{path}: the file has fields of {type(table).__name__} that this version does not know: {numbers}",
            help="they would be lost: use the tool that wrote the file, or a newer version of this package",
        )


@dataclass
class _Writer:
    builder: Builder
    places: Places
    path: list[str]

    def _where(self) -> str:
        return ".".join(self.path).replace(".[", "[")

    def table(self, table: Table) -> int:
        """Writes a table, what it refers to first; returns its place."""
        plan = plan_of(type(table))
        refuse_unknown(table, self._where())
        ready: list[tuple[FieldPlan, object]] = []
        for one in plan.fields:
            self.path.append(one.name)
            value = getattr(table, one.name)
            if value is None and one.required:
                raise RequiredFieldError(f"{self._where()} is None, but no {plan.name} can be without it", help="give it a value")
            if value is not None:
                ready.append((one, self._referred(one, value)))
            self.path.pop()
        self.builder.StartObject(plan.slots)
        for one, value in ready:
            self._slot(one, value)
        return self.builder.EndObject()

    def _referred(self, one: FieldPlan, value: object) -> object:
        """The value itself, or the place of what a reference refers to."""
        if one.vector:
            return self._vector(one, value)
        if one.wire == "string":
            return self.builder.CreateString(self._text(value))
        if one.wire == "table":
            return self.table(cast("Table", value))
        return self._checked(one, value)

    def _slot(self, one: FieldPlan, value: object) -> None:
        builder = self.builder
        if one.vector or one.wire in ("string", "table"):
            builder.PrependUOffsetTRelativeSlot(one.id, cast("int", value), 0)
        elif one.wire in ("binary", "struct"):
            self._inline(one, value)
            builder.PrependStructSlot(one.id, builder.Offset(), 0)
        elif value != one.default:
            self._scalar(one.wire, value)
            builder.Slot(one.id)

    def _vector(self, one: FieldPlan, value: object) -> int:
        builder = self.builder
        if one.wire == "uint8":
            return builder.CreateByteVector(bytes(cast("bytes", value)))
        items: list[object] = []
        for k, item in enumerate(cast("tuple[object, ...]", value)):
            self.path.append(f"[{k}]")
            items.append(self.table(cast("Table", item)) if one.wire == "table" else self._checked(one, item))
            self.path.pop()
        alignment = {"uint64": 8, "binary": 8}.get(one.wire, 4)
        builder.StartVector(one.element_bytes, len(items), alignment)
        for item in reversed(items):
            if one.wire == "table":
                builder.PrependUOffsetTRelative(cast("int", item))
            else:
                self._inline(one, item)
        return builder.EndVector()

    # ------------------------------------------------------------------ values

    def _inline(self, one: FieldPlan, value: object) -> None:
        builder = self.builder
        if one.wire == "binary":
            start, size = self.places[id(value)]
            builder.Prep(8, BINARY_BYTES)
            builder.PrependUint64(size)
            builder.PrependUint64(start)
        elif one.wire == "struct":
            members = plan_of(cast("type[Struct]", one.target)).fields
            builder.Prep(4, one.element_bytes)
            for member in reversed(members):
                self._scalar(member.wire, getattr(value, member.name))
        else:
            self._scalar(one.wire, value)

    def _scalar(self, wire: str, value: object) -> None:
        getattr(self.builder, "Prepend" + wire.capitalize())(value)

    def _checked(self, one: FieldPlan, value: object) -> object:
        if one.wire == "struct":
            for member in plan_of(cast("type[Struct]", one.target)).fields:
                self._fits(member.wire, getattr(value, member.name), f".{member.name}")
        elif one.wire == "binary":
            if not isinstance(value, Binary):
                raise FieldRangeError(f"{self._where()} must be a Binary, not {value!r}")
        else:
            self._fits(one.wire, value)
        return value

    def _fits(self, wire: str, value: object, member: str = "") -> None:
        try:
            cast("Callable[..., bytes]", struct.pack)("<" + SCALARS[wire], value)
        except (struct.error, OverflowError, TypeError):
            raise FieldRangeError(f"{self._where()}{member} is {value!r}, which is no {wire}", help="give a number in its range") from None

    def _text(self, value: object) -> bytes:
        if not isinstance(value, str):
            raise FieldRangeError(f"{self._where()} is {value!r}, which is no text")
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise FieldRangeError(f"{self._where()} is {value!r}, which cannot be written in UTF-8") from None
