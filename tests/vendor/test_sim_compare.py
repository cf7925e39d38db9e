"""CMP on the interpreter and on the official C model: every operation and legal pair of types, random bits."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.support.differential import CHIP, SHAPES, Arena, compare
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.isa.compare import Compare, CompareOp

pytestmark = pytest.mark.vendor

TWO_RESULTS = (CompareOp.MAX_AND_SELECT, CompareOp.MIN_AND_SELECT)


def draw(rng: Random, op: CompareOp, compared: Dtype, selected: Dtype) -> Compare:
    arena = Arena(rng)
    shape = rng.choice(SHAPES)

    def source(dtype: Dtype) -> LocalTensor | Constant:
        return arena.constant(dtype) if rng.random() < 0.25 else arena.tensor(shape, dtype)

    def compared_source() -> LocalTensor | Constant:
        found = source(compared)
        one_per_lane = isinstance(found, LocalTensor) and rng.random() < 0.25
        return replace(found, layout=Layout.FREE, strides=(0, 0, 0, 0)) if one_per_lane else found

    two = op in TWO_RESULTS
    return Compare(
        op=op,
        dst=arena.tensor(shape, compared if two else selected),
        dst1=arena.tensor(shape, selected) if two else None,
        src0=compared_source(),
        src1=compared_source(),
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
