"""The random arguments are accepted by the official library, and they reach every field of the encoding that depends on arguments."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.support.commands import split
from tests.support.draw_coverage import measure
from tests.support.draws import accepted_dtypes, draw, draw_program, drawable_functions
from tests.support.oracle import Call, Job, record, run_jobs
from tests.support.sweep_dtypes import candidates, dtype_names, plain_draw

pytestmark = pytest.mark.vendor


def test_the_official_library_accepts_all_draws() -> None:
    rng = Random(5)
    drawn = [Call.of(function, draw(function, rng)) for function in drawable_functions() for _ in range(10)]
    recorded = record(drawn)
    rejected = Counter((call.function, result.rejected) for call, result in zip(drawn, recorded, strict=True) if result.rejected)
    assert not rejected
    assert all(result.tiu or result.gdma for result in recorded)


@pytest.mark.slow
def test_every_variable_field_takes_at_least_three_values() -> None:
    coverage = list(measure())
    assert len({entry.function for entry in coverage}) >= 290 and len(coverage) >= 8000
    assert not [entry for entry in coverage if not entry.covered]


def test_drawn_programs_are_accepted_and_use_both_engines_and_dependencies() -> None:
    programs = [Job(calls=draw_program(Random(seed), 20), end=True) for seed in range(60)]
    kinds: Counter[str] = Counter()
    for result in run_jobs(programs, arithmetic=False):
        assert result.rejected is None
        for engine, stream in (("tiu", result.tiu), ("gdma", result.gdma)):
            commands = list(split(engine, stream))
            assert [command.fields["cmd_id"] for command in commands] == list(range(1, len(commands) + 1))
            kinds.update(engine for command in commands if command.fields["cmd_id_dep"])
    assert min(kinds["tiu"], kinds["gdma"]) > 200


def test_combinations_of_data_types_outside_the_table_are_rejected() -> None:
    rng = Random(11)
    others = [
        (function, combination)
        for function, assignments in accepted_dtypes().items()
        for combination in sorted(set(candidates(function)) - {dtype_names(assignment) for assignment in assignments})
    ]
    drawn = [Call.of(function, plain_draw(function, combination, rng)) for function, combination in rng.sample(others, 150)]
    assert [call for call, result in zip(drawn, record(drawn), strict=True) if not result.rejected] == []
