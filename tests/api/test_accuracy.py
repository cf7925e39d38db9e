"""The page of accuracies is what the functions compute now, covers all that approximate, and agrees with the measured study."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.support.accuracy import (
    PAGE,
    SAME,
    error_rows,
    failure_rows,
    in_place_rows,
    measured,
    special_rows,
    study,
    table,
)
from tests.support.accuracy_cases import CASES, SAME_NUMBERS, Case
from tests.support.effort import EXAMPLES
from tpukernel.api import Function, rows
from tpukernel.isa import Special

EXACT = {"tpu_bdc_fp_taylor", "tpu_bdc_fp_exponent_part"}
"""What they compute depends on the coefficients of the caller, or is documented in full."""
REGENERATED = CASES if settings().max_examples > EXAMPLES["normal"] else CASES[::3]
"""The functions whose rows are compared: all in the nightly profile."""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return PAGE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("case", REGENERATED, ids=lambda case: case.title)
def test_the_page_is_current(case: Case, lines: list[str]) -> None:
    wanted = [*error_rows(case), *([] if case.second else [*special_rows(case), *failure_rows(case)])]
    missing = [line for row in wanted if (line := table(row, []).splitlines()[0]) not in lines]
    assert not missing, "run python -m tests.support.accuracy"
    assert sum(line.startswith(f"| `{case.title}` |") for line in lines) == len(wanted)


def test_what_may_be_written_over_is_current(lines: list[str]) -> None:
    assert not [line for row in in_place_rows(CASES) if (line := table(row, []).splitlines()[0]) not in lines]


def test_the_errors_are_those_that_the_study_measured_on_the_official_emulator(lines: list[str]) -> None:
    repeated = [(case, limits) for case in CASES for limits in case.ranges if measured(case, limits)]
    assert len(study()) == len(repeated) == 73
    assert sum(line.endswith(f"| {SAME} |") for line in lines) == len(repeated)


def test_every_function_that_approximates_is_measured() -> None:
    approximate = {name for name, row in rows().items() if isinstance(row, Function) and Special in row.emits}
    approximate |= {name for name in rows() if "_div" in name or "reciprocal" in name}
    known = {case.function for case in CASES} | SAME_NUMBERS.keys() | EXACT
    assert not approximate - known
    assert not known - rows().keys()
    assert set(SAME_NUMBERS.values()) <= {case.function for case in CASES}
