"""SEG on the interpreter and on the official C model."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.differential import Arena, compare
from tpukernel.dtypes import i32, u32
from tpukernel.isa.index import IndexGen, IndexGenOp

pytestmark = pytest.mark.vendor


def test_interpreter_repeats_the_official_model() -> None:
    rng = Random(1)
    shapes = [(1, rng.choice((1, 3, 64, 70, 130)), 1, rng.randint(1, 70)) for _ in range(20)]
    drawn = [IndexGen(op=IndexGenOp.ELEMENT, dst=Arena(rng).tensor(shape, rng.choice((i32, u32)))) for shape in shapes]
    assert compare(drawn, seed=1) == []
