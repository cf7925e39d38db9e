"""Every lowered unit gives the interpreter's bits: random legal instructions of every operation, on numbers that provoke mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from random import Random

import pytest

from tests.support.differential import CASES, CHIP
from tests.support.draw_arith import draw as draw_arith
from tests.support.draw_arith import type_combinations
from tests.support.native import Comparison
from tests.support.places import DMA_DTYPES, LOCAL, ROUTES, SYSTEM
from tests.vendor import test_sim_compare as compare
from tests.vendor import test_sim_dma_general as dma_general
from tests.vendor import test_sim_dma_matrix as dma_matrix
from tests.vendor import test_sim_dma_tensor as dma_tensor
from tests.vendor import test_sim_linear as linear
from tests.vendor import test_sim_special as special
from tests.vendor import test_sim_transpose as transpose
from tests.vendor import test_sim_vector as vector
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i16, i32
from tpukernel.isa.arith_op import ArithOp
from tpukernel.isa.compare import CompareOp
from tpukernel.isa.dma_matrix import DmaMatrixOp
from tpukernel.isa.dma_tensor import DmaTensor
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.lane_table import lane_table
from tpukernel.isa.linear import LinearOp
from tpukernel.isa.special import Special, SpecialOp
from tpukernel.isa.transpose import LaneMoveOp
from tpukernel.isa.vector import VectorOp

FLOATS = (f32, f16, bf16)
MANY = 4 * CASES
"""Instructions of an operation that has many combinations of types."""

Draws = Iterator[Instruction]


def check(comparison: Comparison, instructions: Draws, *, all_native: bool = True) -> None:
    comparison.interpreted.clear()
    assert comparison.differences(instructions) == []
    if all_native:
        assert comparison.interpreted == []


@pytest.mark.parametrize("op", ArithOp, ids=lambda op: op.name)
def test_arith(comparison: Comparison, op: ArithOp) -> None:
    rng = Random(f"{op.name}")
    combinations = list(type_combinations(op))
    check(comparison, (draw_arith(rng, op, rng.choice(combinations)) for _ in range(MANY)))


@pytest.mark.parametrize("op", CompareOp, ids=lambda op: op.name)
def test_compare(comparison: Comparison, op: CompareOp) -> None:
    rng, pairs = Random(f"{op.name}"), compare.type_pairs(op)
    check(comparison, (compare.draw(rng, op, *rng.choice(pairs)) for _ in range(MANY)))


@pytest.mark.parametrize("op", VectorOp, ids=lambda op: op.name)
def test_vector(comparison: Comparison, op: VectorOp) -> None:
    rng, combinations = Random(f"{op.name}"), vector.combinations(op)
    check(comparison, (vector.draw(rng, op, rng.choice(combinations)) for _ in range(CASES)))


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
@pytest.mark.parametrize("op", LinearOp, ids=lambda op: op.name)
def test_linear(comparison: Comparison, op: LinearOp, dtype: Dtype) -> None:
    rng = Random(f"{op.name} {dtype}")
    check(comparison, (linear.draw(rng, op, dtype) for _ in range(CASES)))


SPECIAL = [
    *((SpecialOp.TAYLOR, dtype, dtype) for dtype in FLOATS),
    *((SpecialOp.EXPONENT, result, dtype) for result, dtype in zip((i32, i16, i16), FLOATS, strict=True)),
    (SpecialOp.RSQRT, f32, f32),
]


@pytest.mark.parametrize(("op", "dst", "src"), SPECIAL)
def test_special(comparison: Comparison, op: SpecialOp, dst: Dtype, src: Dtype) -> None:
    rng = Random(f"{op.name} {src}")
    check(comparison, (special.draw(rng, op, dst, src) for _ in range(CASES)))


@pytest.mark.parametrize("shape", [(1, 70, 1, 1), (3, 5, 1, 1), (1, 1, 1, 1)])
def test_series_on_single_elements(comparison: Comparison, shape: Dim4) -> None:
    coeff = lane_table(CHIP, 0x2000, (1, shape[1], 1, 5), f32)
    check(
        comparison, iter([Special(op=SpecialOp.TAYLOR, dst=LocalTensor(0, shape, f32), src=LocalTensor(0x1000, shape, f32), coeff=coeff)])
    )


@pytest.mark.parametrize("op", LaneMoveOp, ids=lambda op: op.name)
def test_transpose(comparison: Comparison, op: LaneMoveOp) -> None:
    rng = Random(f"{op.name}")
    check(comparison, (transpose.move(rng, op, dtype) for dtype in DMA_DTYPES for _ in range(CASES)))


@pytest.mark.parametrize(("dst", "src"), ROUTES)
@pytest.mark.parametrize(
    "make", [dma_tensor.same_shape, dma_tensor.other_shape, dma_tensor.transpose, dma_general.copy], ids=lambda make: make.__name__
)
def test_copies(comparison: Comparison, make: Callable[[Random, str, str, Dtype], Instruction], dst: str, src: str) -> None:
    rng = Random(f"{make.__name__} {dst} {src}")
    check(comparison, (make(rng, dst, src, dtype) for dtype in DMA_DTYPES for _ in range(3 * CASES)), all_native=False)
    assert len(comparison.interpreted) < len(comparison.native)


@pytest.mark.parametrize("src", [LOCAL, SYSTEM, "constant"])
@pytest.mark.parametrize("make", [dma_tensor.broadcast, dma_general.broadcast], ids=("tensor", "general"))
def test_broadcasts(comparison: Comparison, make: Callable[[Random, str, Dtype], Instruction], src: str) -> None:
    rng = Random(f"{make.__module__} {src}")
    check(comparison, (make(rng, src, dtype) for dtype in DMA_DTYPES for _ in range(3 * CASES)), all_native=False)


@pytest.mark.parametrize(("op", "dst"), list(product(DmaMatrixOp, (LOCAL, SYSTEM))))
def test_matrices(comparison: Comparison, op: DmaMatrixOp, dst: str) -> None:
    rng = Random(f"{op.name} {dst}")
    check(comparison, (dma_matrix.matrix(rng, op, dst, dtype) for dtype in DMA_DTYPES for _ in range(3 * CASES)))


@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=repr)
def test_exchanged_dimensions(comparison: Comparison, dtype: Dtype) -> None:
    """Sizes around those of the blocks that are transposed in registers, alone and inside of other loops."""
    base, rng = CHIP.regions["ddr"].base, Random(f"{dtype}")
    copies: list[Instruction] = []
    for c, h, w in ((8, 1, 8), (7, 1, 9), (9, 1, 7), (16, 2, 24), (15, 3, 17), (64, 1, 64), (65, 1, 8), (70, 5, 31), (3, 128, 2)):
        n = rng.choice((1, 2))
        gap = rng.choice((0, 0, 3))
        channels_last = SystemTensor(base, (n, c, h, w), dtype, ((c + gap) * w * h, 1, (c + gap) * w, c + gap))
        local = LocalTensor(rng.choice((0, 5, 63)) * CHIP.lane_bytes, (n, c, h, w), dtype, Layout.FREE, (2 * h * w, h * w, w, 1))
        plain = SystemTensor(base + (1 << 20), (n, c, h, w), dtype, (c * h * w, h * w, w, 1))
        copies += [DmaTensor(dst=a, src=b) for a, b in ((local, channels_last), (channels_last, local), (plain, channels_last))]
    check(comparison, iter(copies))
