"""DMA_gather on the official model and on the interpreter: every route, every width, indices outside the table."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import CASES, Case, compare
from tests.support.places import DMA_DTYPES, LOCAL, ROUTES, SYSTEM, Places, lane_masks, line_index
from tpukernel.dtypes import Dtype, u32
from tpukernel.isa import DmaGather

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("index", [LOCAL, SYSTEM])
@pytest.mark.parametrize(("dst", "src"), ROUTES)
def test_gather(dst: str, src: str, index: str, dtype: Dtype) -> None:
    cases = [gather(Random(f"{dst} {src} {index} {dtype} {number}"), dst, src, index, dtype) for number in range(CASES)]
    assert compare(cases, seed=1) == []


def gather(rng: Random, dst: str, src: str, index: str, dtype: Dtype) -> Case:
    places = Places(rng, strided=rng.random() < 0.6)
    c, h, w, rows = rng.choice((1, 3, 64, 70, 130)), rng.randint(1, 6), rng.randint(1, 9), rng.randint(1, 9)
    src_c, index_c = rng.choice(((c, c), (1, c), (c, 1)))
    shape = (1, index_c, h, 1)
    return Case(
        DmaGather(
            dst=places.operand(dst, (1, c, h, w), dtype, packed_w=True, n_stride=0),
            src=places.operand(src, (1, src_c, rows, w), dtype, packed_w=True, n_stride=0, repeats=(1, 2)),
            index=places.operand(index, shape, u32, packed_w=True, n_stride=0, repeats=(1, 2)),
            fill=places.constant(dtype),
            lane_mask=lane_masks(rng),
        ),
        {"index": line_index(rng, shape, rows)},
    )
