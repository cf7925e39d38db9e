"""LIN on the interpreter and on the official C model: every operation and type, random bits."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import SHAPES, Arena, compare
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa.linear import Linear, LinearOp

pytestmark = pytest.mark.vendor


def draw(rng: Random, op: LinearOp, dtype: Dtype) -> Linear:
    arena = Arena(rng)
    shape = rng.choice(SHAPES)

    def per_channel() -> LocalTensor | Constant:
        return rng.choice((arena.constant(dtype), arena.tensor((1, shape[1], 1, 1), dtype, Layout.COMPACT)))

    return Linear(
        op=op,
        dst=arena.tensor(shape, dtype),
        src0=arena.tensor(shape, dtype),
        src1=per_channel(),
        src2=per_channel() if op is LinearOp.MAC else None,
    )


@pytest.mark.parametrize("dtype", [f32, f16, bf16])
@pytest.mark.parametrize("op", LinearOp)
def test_interpreter_repeats_the_official_model(op: LinearOp, dtype: Dtype) -> None:
    rng = Random(f"{op}{dtype}")
    assert compare([draw(rng, op, dtype) for _ in range(20)], seed=1) == []
