"""Sequences whose operands are in one place: refused where the official library refuses them, else with the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import cast

import pytest

from tests.support.api_calls import encoded, instructions
from tests.support.draw_context import F32
from tests.support.oracle import Call, Value, record
from tests.support.signatures import signatures
from tpukernel.api import ArgumentError, Function, rows

pytestmark = pytest.mark.vendor

SHAPE = (1, 64, 8, 8)
PLACE_BYTES = 1 << 14
TABLES_AT = 1 << 17
NUMBERS: Mapping[str, Value] = {"float": 1.5, "int": 2, "dtype": F32, "stride": None, "dim4": SHAPE}
SERIES = "tpukernel.api.transcendental", "tpukernel.api.unary"
FUNCTIONS = sorted(name for name, row in rows().items() if isinstance(row, Function) and row.__module__ in SERIES)


def calls(name: str) -> Iterator[dict[str, Value]]:
    """Calls with every operand in a place of its own, and with every pair of them in one place."""
    parameters = cast("Function[...]", rows()[name]).parameters
    assert [each.name for each in parameters] == list(signatures()[name].names)
    operands = [each.name for each in parameters if each.kind.name == "local" and not each.name.endswith(("coeff_addr", "table_addr"))]
    tables = [each.name for each in parameters if each.kind.name == "local" and each.name not in operands]
    apart = {each.name: NUMBERS[each.kind.name] for each in parameters if each.kind.name != "local"}
    apart |= {operand: PLACE_BYTES * number for number, operand in enumerate(operands)}
    apart |= {table: TABLES_AT + 256 * number for number, table in enumerate(tables)}
    yield apart
    for one, other in combinations(operands, 2):
        yield apart | {other: apart[one]}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operands_in_one_place(name: str) -> None:
    given = list(calls(name))
    for call, recorded in zip(given, record(Call.of(name, each) for each in given), strict=True):
        if recorded.rejected is None:
            assert encoded(instructions(name, call)) == (recorded.tiu, recorded.gdma), call
        else:
            with pytest.raises(ArgumentError):
                instructions(name, call)
