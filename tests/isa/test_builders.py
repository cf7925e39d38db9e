"""Builders make the golden bytes out of the parameters of the recorded calls."""

from __future__ import annotations

import pytest

from tests.support.builders import builders
from tests.support.builders.common import encoded
from tests.support.golden import GoldenCase, golden_cases
from tests.support.signatures import signatures
from tpukernel import BM1684X

CASES = [case for case in golden_cases() if case.function in builders()]


def test_every_builder_is_of_a_known_function() -> None:
    assert builders().keys() <= signatures().keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_golden_bytes_are_built(case: GoldenCase) -> None:
    instructions = builders()[case.function](case.params)
    assert encoded(instructions) == (case.tiu, case.gdma)
    assert not [problem for instruction in instructions for problem in instruction.problems(BM1684X)]
