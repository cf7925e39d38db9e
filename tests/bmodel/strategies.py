"""Strategies: models, tables and values drawn from the declared schema, with everything a file could hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

from hypothesis import strategies as st

from bmlang.bmodel.fields import Binary, FieldPlan, Struct, Table, plan_of
from bmlang.bmodel.schema import Model

LIMITS = {"uint8": (0, 255), "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "uint64": (0, 2**64 - 1)}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
BINARIES = st.builds(Binary, st.sampled_from([b"", b"\0", b"ab", b"cd", bytes(4096), b"x" * 5000]))


def _single(one: FieldPlan) -> st.SearchStrategy[object]:
    if one.wire in LIMITS:
        return st.integers(*LIMITS[one.wire])
    if one.wire == "float32":
        return st.floats(width=32, allow_nan=False)
    if one.wire == "string":
        return TEXTS
    if one.wire == "binary":
        return BINARIES
    return tables(cast("type[Table]", one.target))


def _field(one: FieldPlan) -> st.SearchStrategy[object]:
    if one.vector:
        value = st.binary(max_size=40) if one.wire == "uint8" else st.lists(_single(one), max_size=2).map(tuple)
    else:
        value = _single(one)
    return st.none() | value if one.default is None and not one.required else value


@cache
def tables(cls: type[Table] | type[Struct]) -> st.SearchStrategy[object]:
    """Objects of a table or structure."""
    fields = {one.name: _field(one) for one in plan_of(cls).fields}
    return st.builds(cast("Callable[..., object]", cls), **fields)


def models() -> st.SearchStrategy[Model]:
    """Root tables."""
    return cast("st.SearchStrategy[Model]", tables(Model))
