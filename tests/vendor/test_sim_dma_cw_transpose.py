"""DMA_cw_transpose on the official model and on the interpreter: every route, every width."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import CASES, compare
from tests.support.places import DMA_DTYPES, ROUTES, Places, lane_masks, shape_of
from tpukernel.dtypes import Dtype
from tpukernel.isa import DmaCwTranspose

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize(("dst", "src"), ROUTES)
def test_exchange(dst: str, src: str, dtype: Dtype) -> None:
    assert compare([exchange(Random(f"{dst} {src} {dtype} {number}"), dst, src, dtype) for number in range(CASES)], seed=1) == []


def exchange(rng: Random, dst: str, src: str, dtype: Dtype) -> DmaCwTranspose:
    places = Places(rng, strided=rng.random() < 0.7)
    n, c, h, w = shape_of(rng, largest=rng.choice((9, 70)))
    return DmaCwTranspose(
        dst=places.operand(dst, (n, w, h, c), dtype, packed_w=True, repeats=(0, 1, 2)),
        src=places.operand(src, (n, c, h, w), dtype, packed_w=True, repeats=(0, 1, 2)),
        lane_mask=lane_masks(rng),
    )
