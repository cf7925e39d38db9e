"""SGL on the official model and on the interpreter: both operations, every width."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.support.differential import CASES, CHIP, Arena, Case, compare
from tests.support.places import DMA_DTYPES
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import Dtype, u8, u16
from tpukernel.isa import GatherLine, GatherLineOp, lane_table

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize("index_dtype", [u8, u16], ids=str)
@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("op", GatherLineOp, ids=lambda op: op.name)
def test_lines(op: GatherLineOp, dtype: Dtype, index_dtype: Dtype) -> None:
    cases = [lines(Random(f"{op.name} {dtype} {index_dtype} {number}"), op, dtype, index_dtype) for number in range(CASES)]
    assert compare(cases, seed=1) == []


def lines(rng: Random, op: GatherLineOp, dtype: Dtype, index_dtype: Dtype) -> Case:
    arena, gathers = Arena(rng), op is GatherLineOp.GATHER
    n, c, w = rng.randint(1, 3), rng.choice((1, 3, 17, 64, 65, 130)), rng.choice((1, 7, 70))
    rows, count = rng.randint(1, 9), rng.randint(1, 9)
    dst = arena.tensor((n, c, count if gathers else rows, w), dtype, Layout.LINE_ALIGNED)
    src = arena.tensor((1, c, rows if gathers else count, w), dtype, Layout.LINE_ALIGNED)
    if rng.random() < 0.5:
        src = lane_table(CHIP, src.address, src.shape, dtype, line_aligned=True)
    index = arena.tensor((n, c, count, 1), index_dtype)
    skips = gathers and rng.random() < 0.5
    command = GatherLine(
        op=op,
        dst=dst,
        src=src,
        index=index,
        skip_invalid=skips,
        fill=arena.constant(dtype) if skips and rng.random() < 0.5 else None,
    )
    values = np.random.default_rng(rng.getrandbits(32)).integers(0, rows, index.shape)
    return Case(command, {"index": values.astype(index_dtype.numpy)})


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("value", [3, 0xFF])
@pytest.mark.parametrize("op", GatherLineOp, ids=lambda op: op.name)
def test_the_official_model_stops_at_an_index_outside(op: GatherLineOp, value: int, skips: bool) -> None:
    shape = 1, 1, 3, 5
    dst, src = (LocalTensor(place * CHIP.bank_bytes, shape, u8, Layout.LINE_ALIGNED) for place in range(2))
    index = LocalTensor(2 * CHIP.bank_bytes, (1, 1, 3, 1), u8)
    command = GatherLine(op=op, dst=dst, src=src, index=index, skip_invalid=skips and op is GatherLineOp.GATHER)
    [difference] = compare([Case(command, {"index": np.full(index.shape, value, np.uint8)})], seed=2)
    assert difference.startswith("rejected by the official model")
