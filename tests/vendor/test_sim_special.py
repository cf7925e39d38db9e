"""SFU on the interpreter and on the official C model: every operation and type, random bits."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import CHIP, SHAPES, Arena, compare
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i16, i32
from tpukernel.isa.lane_table import lane_table_strides
from tpukernel.isa.special import Special, SpecialOp

pytestmark = pytest.mark.vendor


def coefficients(arena: Arena, channels: int, dtype: Dtype) -> LocalTensor:
    shape = (1, channels, 1, arena.rng.randint(2, 20))
    arena.align(64)
    return arena.tensor(shape, dtype, Layout.FREE, lane_table_strides(CHIP, shape, dtype))


def draw(rng: Random, op: SpecialOp, dst: Dtype, src: Dtype) -> Special:
    arena = Arena(rng)
    shape = rng.choice(SHAPES)
    return Special(
        op=op,
        coeff=coefficients(arena, shape[1], src) if op is SpecialOp.TAYLOR else None,
        dst=arena.tensor(shape, dst),
        src=arena.tensor(shape, src),
        iterations=rng.randint(1, 4) if op is SpecialOp.RSQRT else None,
    )


CASES = (
    *((SpecialOp.TAYLOR, dtype, dtype) for dtype in (f32, f16, bf16)),
    *((SpecialOp.EXPONENT, dst, src) for dst, src in ((i32, f32), (i16, f16), (i16, bf16))),
    (SpecialOp.RSQRT, f32, f32),
)


@pytest.mark.parametrize(("op", "dst", "src"), CASES)
def test_interpreter_repeats_the_official_model(op: SpecialOp, dst: Dtype, src: Dtype) -> None:
    rng = Random(f"{op}{src}")
    assert compare([draw(rng, op, dst, src) for _ in range(20)], seed=1) == []
