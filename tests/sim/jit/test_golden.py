"""The native engine repeats every recorded run of the official library: every byte of local memory, DDR and L2."""

from __future__ import annotations

import pytest

from tests.sim.test_golden import check
from tests.support.golden import GoldenCase, golden_cases


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.id)
def test_final_memory_is_as_recorded(case: GoldenCase) -> None:
    check(case, "jit")
