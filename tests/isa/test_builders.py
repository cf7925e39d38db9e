"""Builders make the golden bytes out of the parameters of the recorded calls."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.support.builders import builders
from tests.support.builders.common import encoded
from tests.support.draws import calls, drawable_functions
from tests.support.golden import GoldenCase, golden_cases
from tests.support.oracle import Call
from tests.support.signatures import signatures
from tpukernel import BM1684X
from tpukernel.isa import decode

CASES = [case for case in golden_cases() if case.function in builders()]


def test_every_builder_is_of_a_known_function() -> None:
    assert builders().keys() <= signatures().keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_golden_bytes_are_built(case: GoldenCase) -> None:
    instructions = builders()[case.function](case.params)
    assert encoded(instructions) == (case.tiu, case.gdma)
    assert not [problem for instruction in instructions for problem in instruction.problems(BM1684X)]


@given(calls(tuple(sorted(builders().keys() & set(drawable_functions())))))
def test_random_calls_survive_encoding(call: Call) -> None:
    params = dict(zip(signatures()[call.function].names, call.args, strict=True))
    built_all = builders()[call.function](params)
    for engine, data in zip(("tiu", "gdma"), encoded(built_all), strict=True):
        instructions = [instruction for instruction in built_all if instruction.engine == engine]
        again = decode(BM1684X, engine, data)
        assert [type(instruction) for instruction in again] == [type(instruction) for instruction in instructions]
        for read, built in zip(again, instructions, strict=True):
            assert not built.problems(BM1684X) and dict(read.residue) == dict(built.residue)
            for name, spec in built.specs.items():
                assert spec.same(built.value_of(name), read.value_of(name)), (built, name)
