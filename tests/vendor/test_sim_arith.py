"""AR on the interpreter and on the official C model: every operation with every legal combination of types, random bits."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import compare
from tests.support.draw_arith import draw, type_combinations
from tpukernel.isa.arith_op import ArithOp

pytestmark = pytest.mark.vendor

FEWEST, ALL = 3, 60
"""Cases of a combination of types, and of an operation, at least; a case has up to some thousand elements."""


@pytest.mark.parametrize("op", ArithOp, ids=lambda op: op.name)
def test_interpreter_repeats_the_official_model(op: ArithOp) -> None:
    combinations = list(type_combinations(op))
    rng = Random(f"{op}")
    count = max(FEWEST, ALL // len(combinations))
    assert compare([draw(rng, op, types) for types in combinations for _ in range(count)], seed=1) == []
