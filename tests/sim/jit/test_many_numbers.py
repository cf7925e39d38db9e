"""Operations on many numbers at once: all 16-bit ones through every cast, and 65536 hard ones through everything else."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest

from tests.support.differential import CASES, hard_values
from tests.support.draw_arith import draw, type_combinations
from tests.support.native import Comparison
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import DTYPES, Dtype, bf16, f16
from tpukernel.isa.arith import Arith
from tpukernel.isa.arith_op import ArithOp
from tpukernel.isa.arith_rules import CAST_ROUNDINGS
from tpukernel.sim.memory import Array

SHAPE = (1, 64, 8, 128)
SIZE = 1 << 16


def numbers(dtype: Dtype, seed: int) -> Array:
    """All numbers of a 16-bit type, else hard ones."""
    if dtype.bits == 16:
        return np.arange(SIZE, dtype=np.uint16).view(dtype.numpy).reshape(SHAPE)
    return hard_values(np.random.default_rng(seed), SHAPE, dtype)


CASTS = [(src, dst) for src, dst in product(DTYPES.values(), repeat=2) if {src, dst} != {f16, bf16}]


@pytest.mark.parametrize("src", DTYPES.values(), ids=repr)
def test_casts(comparison: Comparison, src: Dtype) -> None:
    pairs = [(dst, rounding) for source, dst in CASTS if source == src for rounding in CAST_ROUNDINGS]
    for number, (dst, rounding) in enumerate(Random(f"{src}").sample(pairs, min(len(pairs), 3 * CASES))):
        cast = Arith(op=ArithOp.CAST, dst=LocalTensor(0, SHAPE, dst), src0=LocalTensor(0x4000, SHAPE, src), rounding=rounding)
        assert comparison.differences([cast], src0=numbers(src, number)) == []


@pytest.mark.parametrize("op", [op for op in ArithOp if op is not ArithOp.CAST], ids=lambda op: op.name)
def test_arithmetic(comparison: Comparison, op: ArithOp) -> None:
    rng = Random(f"{op.name}")
    combinations = list(type_combinations(op))
    for _ in range(CASES):
        drawn = draw(rng, op, rng.choice(combinations))
        values: dict[str, object] = {"dst": LocalTensor(0, SHAPE, drawn.dst.dtype)}
        for name, place in (("src0", 0x4000), ("src1", 0x8000)):
            operand = getattr(drawn, name)
            if isinstance(operand, LocalTensor):
                values[name] = LocalTensor(place, SHAPE, operand.dtype)
        if isinstance(drawn.src2, LocalTensor):
            values["src2"] = Constant(rng.randrange(256), drawn.src2.dtype)
        assert comparison.differences([drawn.replace(**values)]) == []
