"""DMA_matrix on the official model and on the interpreter: both directions, every width."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import CASES, compare
from tests.support.places import DMA_DTYPES, LOCAL, SYSTEM, Places, lane_masks
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import DmaMatrix, DmaMatrixOp

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("dst", [LOCAL, SYSTEM])
@pytest.mark.parametrize("op", DmaMatrixOp, ids=lambda op: op.name)
def test_matrix(op: DmaMatrixOp, dst: str, dtype: Dtype) -> None:
    assert compare([matrix(Random(f"{op.name} {dst} {dtype} {number}"), op, dst, dtype) for number in range(CASES)], seed=1) == []


def matrix(rng: Random, op: DmaMatrixOp, dst: str, dtype: Dtype) -> DmaMatrix:
    places = Places(rng, strided=rng.random() < 0.6)
    rows, cols, width = rng.choice((1, 3, 8, 70)), rng.choice((1, 5, 64, 100, 130)), rng.choice((1, 2, 7, 40, 200))
    width = min(width, cols)
    packed = places.operand(LOCAL, (rows, -(-cols // width), 1, width), dtype, packed_w=True)
    if isinstance(packed, LocalTensor) and packed.strides is not None:
        n, c, _, w = packed.strides
        packed = LocalTensor(packed.address, packed.shape, dtype, Layout.FREE, (n, c, 0, w))
    turned = op is DmaMatrixOp.TRANSPOSE
    plain = places.operand(SYSTEM, (1, 1, cols, rows) if turned else (1, 1, rows, cols), dtype, packed_w=True)
    return DmaMatrix(op=op, dst=packed if dst == LOCAL else plain, src=plain if dst == LOCAL else packed, lane_mask=lane_masks(rng))
