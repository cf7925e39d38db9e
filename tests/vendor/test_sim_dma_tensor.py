"""DMA_tensor on the official model and on the interpreter: every route, every width."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from random import Random

import pytest

from tests.support.differential import CASES, compare
from tests.support.places import DMA_DTYPES, LOCAL, ROUTES, SYSTEM, Places, lane_masks, shape_of
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import Dtype
from tpukernel.isa import DmaTensor, DmaTensorOp

pytestmark = pytest.mark.vendor

Make = Callable[[Random, str, str, Dtype], DmaTensor]


def same_shape(rng: Random, dst: str, src: str, dtype: Dtype) -> DmaTensor:
    places, shape = Places(rng, strided=rng.random() < 0.7), shape_of(rng)
    return DmaTensor(
        one_shape=rng.random() < 0.5,
        dst=places.operand(dst, shape, dtype, repeats=(0, 1, 2)),
        src=places.operand(src, shape, dtype, repeats=(0, 1, 2)),
        lane_mask=lane_masks(rng),
    )


def other_shape(rng: Random, dst: str, src: str, dtype: Dtype) -> DmaTensor:
    places, shape = Places(rng, strided=rng.random() < 0.7), shape_of(rng)
    return DmaTensor(
        dst=places.operand(dst, shape, dtype, repeats=(0, 1, 2)),
        src=places.operand(src, _factored(rng, prod(shape)), dtype, repeats=(0, 1, 2)),
        lane_mask=lane_masks(rng),
    )


def _factored(rng: Random, size: int) -> Dim4:
    """Some shape of as many elements."""
    dims = [1, 1, 1, 1]
    for prime in (2, 3, 5, 7, 13, 17):
        while size % prime == 0:
            dims[rng.randrange(4)] *= prime
            size //= prime
    n, c, h, w = dims
    return n, c, h, w


def transpose(rng: Random, dst: str, src: str, dtype: Dtype) -> DmaTensor:
    places = Places(rng, strided=rng.random() < 0.7)
    n, c, h, w = shape_of(rng, n=rng.choice((1, 2, 5, 66)))
    return DmaTensor(
        op=DmaTensorOp.TRANSPOSE,
        one_shape=rng.random() < 0.5,
        dst=places.operand(dst, (n, c, h, w), dtype, packed_w=True),
        src=places.operand(src, (c, n, h, w), dtype, packed_w=True, repeats=(0, 1, 2)),
        lane_mask=lane_masks(rng),
    )


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize(("dst", "src"), ROUTES)
@pytest.mark.parametrize("make", [same_shape, other_shape, transpose], ids=lambda make: make.__name__)
def test_between_tensors(make: Make, dst: str, src: str, dtype: Dtype) -> None:
    rng = Random(f"{make.__name__} {dst} {src} {dtype}")
    assert compare([make(rng, dst, src, dtype) for _ in range(CASES)], seed=1) == []


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("src", [LOCAL, SYSTEM, "constant"])
def test_broadcast(src: str, dtype: Dtype) -> None:
    assert compare([broadcast(Random(f"{src} {dtype} {number}"), src, dtype) for number in range(CASES)], seed=2) == []


def broadcast(rng: Random, src: str, dtype: Dtype) -> DmaTensor:
    lane = rng.choice((0, 1, 5, 60, 63))
    places = Places(rng, strided=rng.random() < 0.7)
    n, c, h, w = shape_of(rng, c=rng.randint(1, 64 - lane))
    return DmaTensor(
        op=DmaTensorOp.BROADCAST,
        dst=places.operand(LOCAL, (n, c, h, w), dtype, lane=lane, packed_w=True, c_stride=0),
        src=places.constant(dtype) if src == "constant" else places.operand(src, (n, 1, h, w), dtype, packed_w=True, c_stride=0),
        lane_mask=lane_masks(rng),
    )


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("dst", [LOCAL, SYSTEM])
def test_fill(dst: str, dtype: Dtype) -> None:
    def fill(rng: Random) -> DmaTensor:
        places = Places(rng, strided=rng.random() < 0.7)
        return DmaTensor(dst=places.operand(dst, shape_of(rng), dtype), src=places.constant(dtype), lane_mask=lane_masks(rng))

    assert compare([fill(Random(f"{dst} {dtype} {number}")) for number in range(CASES)], seed=3) == []
