"""The matrix of operators on the official runtime: the files that we compile compute the bits there that they compute on our simulator.

Every day a sample of about 40 files; all of them in the profile `nightly`, and when docs/operators.md is made.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings

from tests.support.official_runtime import Official, official_outputs
from tests.support.operator_matrix import Cell, cells, differences

pytestmark = pytest.mark.vendor

EVERY = cells()
SAMPLE = 40
BATCH = 60
SHOWN = EVERY if settings().max_examples >= 1000 else EVERY[:: len(EVERY) // SAMPLE]
BATCHES = [SHOWN[first : first + BATCH] for first in range(0, len(SHOWN), BATCH)]


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: f"{batch[0]}-to-{batch[-1]}")
def test_files_compute_the_same_bits_there(batch: list[Cell]) -> None:
    results = official_outputs([cell.request for cell in batch])
    wrong = [f"{cell}: {found}" for cell, result in zip(batch, results, strict=True) if (found := differences(cell.run, result))]
    assert not wrong, "\n".join(wrong)


def test_there_are_enough_files() -> None:
    assert len(EVERY) >= 300
    assert len({str(cell) for cell in EVERY}) == len(EVERY)


def test_a_difference_is_found() -> None:
    cell = next(cell for cell in EVERY if str(cell) == "relu_f32_0")
    (result,) = official_outputs([cell.request])
    assert not differences(cell.run, result)
    ours = cell.run.loaded["output"].copy()
    ours.reshape(-1).view(np.uint8)[-1] ^= 1
    assert differences(replace(cell.run, loaded={"output": ours}), result) == "other bits in output"


def test_a_file_that_the_runtime_dies_of_does_not_take_others_along() -> None:
    good = next(cell for cell in EVERY if str(cell) == "relu_f32_0").request
    other = next(cell for cell in EVERY if str(cell) == "relu_f16_0").request
    damaged = replace(good, model=good.model[:64])
    results = official_outputs([damaged, good, other, replace(good, net="none")])
    assert results[0].failure and results[3].failure
    assert results[1].outputs and results[2].outputs
    assert Official(failure="x").failure
