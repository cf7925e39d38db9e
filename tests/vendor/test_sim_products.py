"""CONV, PorD, MM and MM2 on the interpreter and on the official model: the same bits, for every function and every combination of types."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from tests.support.api_calls import emitting, instructions
from tests.support.differential import CASES, Case, compare
from tests.support.draws import accepted_dtypes, draw
from tests.support.effort import DAY, by_profile
from tests.support.operand_values import operand_values
from tpukernel.isa import Conv, MatMul, MatMul2, Pool

FUNCTIONS = sorted(accepted_dtypes().keys() & set(emitting(Conv, MatMul, MatMul2, Pool)))
DRAWS = CASES if CASES >= 20 else min(CASES, 2)
"""Cases for each function and combination of types: there are many combinations."""
MOST_MACS = 3_000_000
"""More take the official model seconds."""
COMBINATIONS = by_profile(smoke=8, normal=24, nightly=1000)
"""Combinations of types of a function, others each day."""


def cases(function: str, dtypes: dict[str, int], seed: int) -> Iterator[Case]:
    source, rng, found = Random(f"{function} {dtypes} {seed}"), np.random.default_rng(seed), 0
    for _ in range(DRAWS * 20):
        [instruction] = instructions(function, draw(function, source, dtypes=dtypes))
        if instruction.macs > MOST_MACS:
            continue
        yield Case(instruction, operand_values(instruction, found, rng))
        found += 1
        if found == DRAWS:
            return


@pytest.mark.vendor
@pytest.mark.parametrize("function", FUNCTIONS)
def test_products_have_the_official_bits(function: str) -> None:
    accepted = list(enumerate(accepted_dtypes()[function]))
    Random(function).shuffle(accepted)
    apart = -(-len(accepted) // COMBINATIONS)
    differences: list[str] = []
    for number, dtypes in accepted[DAY % apart :: apart]:
        differences += compare(cases(function, dtypes, number), seed=number)
    assert not differences, f"{len(differences)} differ\n" + "\n\n".join(differences[:3])
