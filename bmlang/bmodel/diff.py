"""How two BModels differ, field by field. Where a binary lies in its file is no difference, what it contains is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import cast

from bmlang.bmodel.container import BModel
from bmlang.bmodel.fields import Binary, Struct, Table, plan_of

__all__ = ["differences"]


def differences(first: BModel, second: BModel) -> Iterator[str]:
    """One line for each difference: the path of the field, what the first file has, what the second has."""
    if first.reserved != second.reserved:
        yield f"header.reserved: {first.reserved.hex()} -> {second.reserved.hex()}"
    yield from _table("", first.model, second.model)
    if first.trailing != second.trailing:
        yield f"after the binary section: {len(first.trailing)} bytes -> {len(second.trailing)} bytes"


def _table(path: str, first: Table | Struct, second: Table | Struct) -> Iterator[str]:
    for one in plan_of(type(first)).fields:
        place = f"{path}.{one.name}" if path else one.name
        yield from _value(place, getattr(first, one.name), getattr(second, one.name))
    if isinstance(first, Table) and isinstance(second, Table):
        numbers = [[one.id for one in table.unknown] for table in (first, second)]
        if numbers[0] != numbers[1]:
            yield f"{path or 'Model'}: unknown fields {numbers[0]} -> {numbers[1]}"


def _value(path: str, first: object, second: object) -> Iterator[str]:
    if first is None or second is None:
        if first is not second:
            yield f"{path}: {_short(first)} -> {_short(second)}"
    elif isinstance(first, Binary) and isinstance(second, Binary):
        yield from _binary(path, first, second)
    elif isinstance(first, (Table, Struct)) and isinstance(second, (Table, Struct)):
        yield from _table(path, first, second)
    elif _tables_in(first) or _tables_in(second):
        for k, (left, right) in enumerate(zip_longest(_items(first), _items(second))):
            yield from _value(f"{path}[{k}]", left, right)
    elif first != second and not (first != first and second != second):  # a number that is none equals itself here
        yield f"{path}: {_short(first)} -> {_short(second)}"


def _items(value: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()


def _tables_in(value: object) -> bool:
    return any(isinstance(item, (Table, Struct, Binary)) for item in _items(value))


def _binary(path: str, first: Binary, second: Binary) -> Iterator[str]:
    if first == second:
        return
    if first.size != second.size:
        yield f"{path}: {first.size} bytes -> {second.size} bytes"
        return
    different = [k for k, (left, right) in enumerate(zip(first.data, second.data, strict=True)) if left != right]
    yield f"{path}: {len(different)} of {first.size} bytes differ, the first at {different[0]:#x}"


def _short(value: object) -> str:
    """A value in a few words."""
    if value is None:
        return "absent"
    if isinstance(value, Binary):
        return f"{value.size} bytes"
    if isinstance(value, (Table, Struct)):
        name = getattr(value, "name", None)
        return f"{type(value).__name__} {name!r}" if isinstance(name, str) else type(value).__name__
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_short, _items(cast("object", value)))) + "]"
    return repr(value)
