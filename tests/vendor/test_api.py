"""Every TPUKernel function against the official library: random calls emit the same bytes, and leave the same memory on both models."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from tests.support.api_calls import encoded, instructions
from tests.support.differential import CASES, Case, compare
from tests.support.draws import draw, drawable_functions
from tests.support.operand_values import operand_values
from tests.support.oracle import Call, record
from tests.support.rebuild import rebuilt
from tpukernel import BM1684X
from tpukernel.api import Function, rows
from tpukernel.isa import decode, encode
from tpukernel.isa.program import ENGINES

pytestmark = pytest.mark.vendor

FUNCTIONS = sorted(name for name, row in rows().items() if isinstance(row, Function) and row.emits)
DRAWS = 30
"""Calls of each function whose bytes are compared; how many of them are executed, too, the hypothesis profile says."""
EXECUTED = DRAWS if CASES >= 20 else min(CASES, 2)
MOST_WORK = 3_000_000
"""Multiply-accumulates (or elements of a result) of a call that is executed: more take the official model seconds."""
LEFTOVERS = {"tpu_gdma_set_C_system": frozenset({"src_start_addr_l32", "src_start_addr_h8", "unused552"})}
"""Fields in which the library leaves numbers without an effect, by function."""


def test_every_function_that_emits_can_be_drawn() -> None:
    assert not set(FUNCTIONS) - set(drawable_functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_random_calls_emit_the_official_bytes(name: str) -> None:
    random = Random(name)
    calls = [draw(name, random) for _ in range(DRAWS)]
    for given, recorded in zip(calls, record(Call.of(name, each) for each in calls), strict=True):
        assert recorded.rejected is None, given
        made = instructions(name, given)
        assert encoded(made) == (recorded.tiu, recorded.gdma), given
        assert not [problem for instruction in made for problem in instruction.problems(BM1684X)], given
        for engine in ENGINES:
            data = recorded.tiu if engine == "tiu" else recorded.gdma
            decoded = decode(BM1684X, engine, data)
            unexplained = {field for instruction in decoded for field in instruction.residue} - LEFTOVERS.get(name, frozenset())
            assert not unexplained, given
            assert encode(BM1684X, [rebuilt(instruction) for instruction in decoded]) == data, given


def executed(name: str) -> Iterator[Case]:
    random, rng = Random(f"execute {name}"), np.random.default_rng(len(name))
    found = 0
    for number in range(20 * EXECUTED):
        first, *rest = instructions(name, draw(name, random, low_ddr=True))
        if max(each.macs for each in (first, *rest)) <= MOST_WORK:
            yield Case(first, operand_values(first, number, rng), rest)
            found += 1
        if found == EXECUTED:
            return


@pytest.mark.parametrize("name", FUNCTIONS)
def test_random_calls_leave_the_official_memory(name: str) -> None:
    differences = compare(executed(name), seed=len(name))
    assert not differences, f"{len(differences)} differ\n" + "\n\n".join(differences[:3])
