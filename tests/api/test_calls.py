"""Random calls of every TPUKernel function: what they emit is legal, and comes back from its bytes as it was."""

from __future__ import annotations

from typing import cast

from hypothesis import given

from tests.support.api_calls import encoded, instructions
from tests.support.draws import calls, drawable_functions
from tests.support.oracle import Call
from tests.support.signatures import signatures
from tpukernel import BM1684X
from tpukernel.api import Function, rows
from tpukernel.isa import decode
from tpukernel.isa.program import ENGINES

EMITTING = tuple(sorted(name for name, row in rows().items() if isinstance(row, Function) and row.emits))


def test_every_function_can_be_drawn() -> None:
    assert not set(EMITTING) - set(drawable_functions())


def test_parameters_have_the_names_of_the_header() -> None:
    for name in EMITTING:
        row = cast("Function[...]", rows()[name])
        assert tuple(parameter.name for parameter in row.parameters) == signatures()[name].names


@given(calls(EMITTING))
def test_random_calls_survive_encoding(call: Call) -> None:
    params = dict(zip(signatures()[call.function].names, call.args, strict=True))
    made = instructions(call.function, params)
    row = cast("Function[...]", rows()[call.function])
    assert list(dict.fromkeys(type(instruction) for instruction in made)) == [unit for unit in row.emits if unit in map(type, made)]
    for engine, data in zip(ENGINES, encoded(made), strict=True):
        built_all = [instruction for instruction in made if instruction.engine == engine]
        again = decode(BM1684X, engine, data)
        assert [type(instruction) for instruction in again] == [type(instruction) for instruction in built_all]
        for read, built in zip(again, built_all, strict=True):
            assert not built.problems(BM1684X) and dict(read.residue) == dict(built.residue) and read == built
            for name, spec in built.specs.items():
                assert spec.same(built.value_of(name), read.value_of(name)), (built, name)
