"""DMA_nonzero on the official model and on the interpreter."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.support.differential import CASES, Case, compare
from tests.support.places import LOCAL, SYSTEM, Places, shape_of
from tpukernel.dtypes import Dtype, i8, i16, i32
from tpukernel.isa import DmaNonzero

pytestmark = pytest.mark.vendor

INTEGERS = (i8, i16, i32)


@pytest.mark.parametrize("index_dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("src", [LOCAL, SYSTEM])
def test_positions(src: str, dtype: Dtype, index_dtype: Dtype) -> None:
    cases = [positions(Random(f"{src} {dtype} {index_dtype} {number}"), src, dtype, index_dtype) for number in range(CASES)]
    assert compare(cases, seed=1) == []


def positions(rng: Random, src: str, dtype: Dtype, index_dtype: Dtype) -> Case:
    places, shape = Places(rng), shape_of(rng)
    chosen = np.random.default_rng(rng.getrandbits(32))
    values = chosen.integers(0, 1 << dtype.bits, shape, np.uint64) * (chosen.random(shape) < rng.choice((0.0, 0.3, 0.9, 1.0)))
    return Case(
        DmaNonzero(
            dst=places.operand(SYSTEM, shape, index_dtype, unit=dtype.itemsize),
            src=places.operand(src, shape, dtype),
            base_index=rng.choice((0, 1, 1000, 1 << 31, (1 << 32) - 5)),
        ),
        {"src": values.astype(f"u{dtype.itemsize}").view(dtype.numpy)},
    )
