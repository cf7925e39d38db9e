"""Random legal calls: what the builders make is legal, and comes back from its bytes as it was."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import arith, builders, dma
from tests.support.draws import draw
from tpukernel import BM1684X
from tpukernel.isa import decode

SEEDS = st.integers(0, 2**32 - 1)


def check_call(function: str, seed: int) -> None:
    """Every instruction of a random call is legal, and its command says what it says."""
    for built in builders()[function](draw(function, Random(seed))):
        assert not built.problems(BM1684X)
        bits = built.encoded(BM1684X)
        record: int = bits.record
        [read] = decode(BM1684X, built.engine, record.to_bytes(bits.format.bytes, "little"))
        assert read == built
        for name, spec in built.specs.items():
            assert spec.same(built.value_of(name), read.value_of(name)), name


@given(st.sampled_from(sorted(arith.BUILDERS)), SEEDS)
def test_arithmetic_comes_back(function: str, seed: int) -> None:
    check_call(function, seed)


@given(st.sampled_from(sorted(dma.BUILDERS)), SEEDS)
def test_dma_comes_back(function: str, seed: int) -> None:
    check_call(function, seed)


@given(st.sampled_from(sorted(builders().keys() - arith.BUILDERS.keys() - dma.BUILDERS.keys())), SEEDS)
def test_everything_else_comes_back(function: str, seed: int) -> None:
    check_call(function, seed)
