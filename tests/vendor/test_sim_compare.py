"""CMP on the interpreter and on the official C model: every operation and legal pair of types, random bits."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import CHIP, SHAPES, Arena, compare
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.isa.compare import Compare, CompareOp

pytestmark = pytest.mark.vendor

TWO_RESULTS = (CompareOp.MAX_AND_SELECT, CompareOp.MIN_AND_SELECT)


def draw(rng: Random, op: CompareOp, compared: Dtype, selected: Dtype) -> Compare:
    arena = Arena(rng)
    shape = rng.choice(SHAPES)

    def source(dtype: Dtype) -> LocalTensor | Constant:
        return arena.constant(dtype) if rng.random() < 0.25 else arena.tensor(shape, dtype)

    two = op in TWO_RESULTS
    return Compare(
        op=op,
        dst=arena.tensor(shape, compared if two else selected),
        dst1=arena.tensor(shape, selected) if two else None,
        src0=source(compared),
        src1=source(compared),
        src2=source(selected),
        src3=source(selected),
    )


def type_pairs(op: CompareOp) -> list[tuple[Dtype, Dtype]]:
    pairs = [(compared, selected) for compared in DTYPES.values() for selected in DTYPES.values()]
    return [pair for pair in pairs if not draw(Random(0), op, *pair).problems(CHIP)]


@pytest.mark.parametrize("op", CompareOp)
def test_interpreter_repeats_the_official_model(op: CompareOp) -> None:
    pairs = type_pairs(op)
    assert len(pairs) > 20
    rng = Random(f"{op}")
    assert compare([draw(rng, op, *pair) for pair in pairs for _ in range(5)], seed=1) == []
