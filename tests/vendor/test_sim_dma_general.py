"""DMA_general on the official model and on the interpreter: every route, every width, stretches over the ends of lanes."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import CASES, CHIP, compare
from tests.support.places import DMA_DTYPES, LOCAL, ROUTES, SYSTEM, Places, lane_masks
from tpukernel.chips.tensors import Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import DmaGeneral, DmaGeneralOp

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize(("dst", "src"), [*ROUTES, (LOCAL, "constant"), (SYSTEM, "constant")])
def test_copy(dst: str, src: str, dtype: Dtype) -> None:
    assert compare([copy(Random(f"{dst} {src} {dtype} {number}"), dst, src, dtype) for number in range(CASES)], seed=1) == []


def copy(rng: Random, dst: str, src: str, dtype: Dtype) -> DmaGeneral:
    places, count = Places(rng), rng.choice((1, 7, 100, 700))
    return DmaGeneral(
        dst=_stretch(places, rng, dst, count, dtype),
        src=places.constant(dtype) if src == "constant" else _stretch(places, rng, src, count, dtype, lanes=(5, 61)),
        lane_mask=lane_masks(rng),
    )


def _stretch(
    places: Places, rng: Random, place: str, count: int, dtype: Dtype, lanes: tuple[int, ...] = (0, 3, 62)
) -> LocalTensor | SystemTensor:
    shape = 1, 1, 1, count
    if place == SYSTEM:
        return places.operand(SYSTEM, shape, dtype)
    inside = places.tensor(shape, dtype, Layout.COMPACT)
    if rng.random() < 0.94:
        return inside
    before_the_end = CHIP.lane_bytes - dtype.itemsize * rng.randint(1, count + 1)
    return LocalTensor(rng.choice(lanes) * CHIP.lane_bytes + before_the_end, shape, dtype, Layout.COMPACT)


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("src", [LOCAL, SYSTEM, "constant"])
def test_broadcast(src: str, dtype: Dtype) -> None:
    assert compare([broadcast(Random(f"{src} {dtype} {number}"), src, dtype) for number in range(CASES)], seed=2) == []


def broadcast(rng: Random, src: str, dtype: Dtype) -> DmaGeneral:
    places, count = Places(rng), rng.choice((1, 7, 100))
    given = places.constant(dtype) if src == "constant" else _stretch(places, rng, src, count, dtype, lanes=(0,))
    places.lane = rng.choice((2, 5, 60, 63))
    dst = _stretch(places, rng, LOCAL, count, dtype, lanes=(3, 40))
    last_lane = (dst.address + count * dtype.itemsize - 1) // CHIP.lane_bytes
    return DmaGeneral(
        op=DmaGeneralOp.BROADCAST,
        dst=LocalTensor(dst.address, (1, rng.randint(1, CHIP.lanes - last_lane), 1, count), dtype, Layout.COMPACT),
        src=given,
        lane_mask=lane_masks(rng),
    )
