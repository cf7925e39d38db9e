"""TRANS&BC on the official model and on the interpreter: every operation, every width."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import CASES, CHIP, Arena, compare
from tests.support.places import DMA_DTYPES, shape_of
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import LaneMove, LaneMoveOp

pytestmark = pytest.mark.vendor

STATIC = CHIP.regions["static"]


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("op", LaneMoveOp, ids=lambda op: op.name)
def test_move(op: LaneMoveOp, dtype: Dtype) -> None:
    assert compare([move(Random(f"{op.name} {dtype} {number}"), op, dtype) for number in range(CASES)], seed=1) == []


def move(rng: Random, op: LaneMoveOp, dtype: Dtype) -> LaneMove:
    arena = Arena(rng)
    match op:
        case LaneMoveOp.CW_TRANSPOSE | LaneMoveOp.WC_TRANSPOSE:
            n, c, h, w = shape_of(rng, largest=rng.choice((9, 70)))
            layout = Layout.LINE_ALIGNED if op is LaneMoveOp.CW_TRANSPOSE else Layout.EU_ALIGNED
            dst = _in_lane(arena, rng.choice((0, 1, 5, 63)) if op is LaneMoveOp.CW_TRANSPOSE else 0, (n, c, h, w), dtype, layout)
            src = _in_lane(arena, 0 if op is LaneMoveOp.CW_TRANSPOSE else rng.choice((0, 1, 5, 63)), (n, w, h, c), dtype)
        case LaneMoveOp.LANE_COPY:
            shape = shape_of(rng)
            dst, src = (_in_lane(arena, rng.choice((0, 1, 5, 60, 63)), shape, dtype) for _ in range(2))
        case LaneMoveOp.LANE_BROADCAST:
            lane = rng.choice((0, 1, 5, 60, 63))
            n, c, h, w = shape_of(rng, c=rng.randint(1, CHIP.lanes - lane))
            dst, src = _in_lane(arena, lane, (n, c, h, w), dtype), _in_lane(arena, rng.choice((0, 1, 5, 63)), (n, 1, h, w), dtype)
        case LaneMoveOp.STATIC_BROADCAST:
            lane, count = rng.choice((0, 1, 5, 60)), rng.choice((1, 7, 64, 300))
            dst = _in_lane(arena, lane, (1, rng.randint(1, CHIP.lanes - lane), 1, count), dtype)
            src = _static(rng, (1, 1, 1, count), dtype)
        case LaneMoveOp.STATIC_DISTRIBUTE:
            shape = 1, rng.choice((1, 5, 64, 65, 200)), 1, 1
            dst, src = _in_lane(arena, 0, shape, dtype, Layout.COMPACT), _static(rng, shape, dtype)
    return LaneMove(op=op, dst=dst, src=src)


def _in_lane(arena: Arena, lane: int, shape: tuple[int, int, int, int], dtype: Dtype, layout: Layout = Layout.EU_ALIGNED) -> LocalTensor:
    arena.lane = lane
    return arena.tensor(shape, dtype, layout)


def _static(rng: Random, shape: tuple[int, int, int, int], dtype: Dtype) -> LocalTensor:
    return LocalTensor(STATIC.base + CHIP.eu_bytes * rng.randrange(40), shape, dtype, Layout.COMPACT)
