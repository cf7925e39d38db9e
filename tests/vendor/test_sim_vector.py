"""VC on the interpreter and on the official C model: every operation and legal combination of types, random bits."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from tests.support.differential import CHIP, Arena, compare
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.isa.vector import Vector, VectorOp

pytestmark = pytest.mark.vendor

SELECTS = (VectorOp.SELECT_GREATER, VectorOp.SELECT_EQUAL, VectorOp.SELECT_LESS)

Types = tuple[Dtype, Dtype, Dtype]


def draw(rng: Random, op: VectorOp, types: Types) -> Vector:
    dst, src0, src1 = types
    arena, other = Arena(rng), Arena(rng)
    c0, w0, c1, w1 = rng.choice((1, 3, 5)), rng.randint(1, 9), rng.choice((1, 3, 66)), rng.randint(1, 20)
    rows = (c0 - 1) * w0 + rng.randint(1, w0)
    left = other.tensor((1, c0, 1, w0), src0)
    arena.skip(4096)
    return Vector(
        op=op,
        dst=arena.tensor((rows, c1, 1, w1), dst),
        src0=left,
        src1=arena.tensor((1, c1, 1, w1), src1),
        true_value=Constant(rng.getrandbits(dst.bits), dst) if op in SELECTS else None,
        iterations=rng.randint(1, 4) if op is VectorOp.DIV else None,
    )


def combinations(op: VectorOp) -> list[Types]:
    every = [(dst, src0, src1) for dst in DTYPES.values() for src0, src1 in product(DTYPES.values(), repeat=2)]
    return [types for types in every if not draw(Random(0), op, types).problems(CHIP)]


@pytest.mark.parametrize("op", VectorOp)
def test_interpreter_repeats_the_official_model(op: VectorOp) -> None:
    types = combinations(op)
    rng = Random(f"{op}")
    assert compare([draw(rng, op, chosen) for chosen in types for _ in range(max(2, 40 // len(types)))], seed=1) == []
