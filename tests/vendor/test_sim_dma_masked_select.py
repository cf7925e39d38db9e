"""DMA_masked_select on the official model and on the interpreter."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.support.differential import CASES, Case, compare
from tests.support.places import DMA_DTYPES, LOCAL, SYSTEM, Places, shape_of
from tpukernel.dtypes import Dtype, i8, i16, i32
from tpukernel.isa import DmaMaskedSelect

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize("mask_dtype", [i8, i16, i32], ids=str)
@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize(("src", "mask"), [(LOCAL, LOCAL), (LOCAL, SYSTEM), (SYSTEM, LOCAL), (SYSTEM, SYSTEM)])
def test_select(src: str, mask: str, dtype: Dtype, mask_dtype: Dtype) -> None:
    cases = [select(Random(f"{src} {mask} {dtype} {mask_dtype} {number}"), src, mask, dtype, mask_dtype) for number in range(CASES)]
    assert compare(cases, seed=1) == []


def select(rng: Random, src: str, mask: str, dtype: Dtype, mask_dtype: Dtype) -> Case:
    places, shape = Places(rng), shape_of(rng)
    chosen = np.random.default_rng(rng.getrandbits(32))
    values = chosen.integers(0, 1 << mask_dtype.bits, shape, np.uint64) * (chosen.random(shape) < rng.choice((0.0, 0.3, 0.9, 1.0)))
    return Case(
        DmaMaskedSelect(
            dst=places.operand(SYSTEM, shape, dtype), src=places.operand(src, shape, dtype), mask=places.operand(mask, shape, mask_dtype)
        ),
        {"mask": values.astype(f"u{mask_dtype.itemsize}").view(mask_dtype.numpy)},
    )
