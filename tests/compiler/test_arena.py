"""Addresses in local memory: what is alive at one time lies apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bmlang.compiler.arena import Buffer, Life, place
from tpukernel import BM1684X, f32
from tpukernel.chips.tensors import Layout

LIFE = st.tuples(st.integers(0, 30), st.integers(0, 10), st.integers(1, 40))


def buffers(lives: list[tuple[int, int, int]]) -> list[tuple[Buffer, Life]]:
    return [
        (Buffer(str(k), (1, 1, 1, 1), f32, Layout.EU_ALIGNED, 64 * lines), Life(begin, begin + more))
        for k, (begin, more, lines) in enumerate(lives)
    ]


def largest_together(lives: list[tuple[Buffer, Life]]) -> int:
    return max((sum(buffer.bytes for buffer, life in lives if life.first <= moment <= life.last) for moment in range(50)), default=0)


@given(st.lists(LIFE, max_size=25), st.integers(1, 150))
def test_what_lives_together_lies_apart(given_lives: list[tuple[int, int, int]], lines: int) -> None:
    lives = buffers(given_lives)
    limit = 64 * lines
    if not place(lives, lambda _: limit):
        assert sum(buffer.bytes for buffer, _ in lives) > limit
        return
    for number, (buffer, life) in enumerate(lives):
        assert buffer.address >= 0 and buffer.address + buffer.bytes <= limit
        assert buffer.address % 64 == 0
        for other, other_life in lives[:number]:
            together = life.first <= other_life.last and other_life.first <= life.last
            apart = buffer.address + buffer.bytes <= other.address or other.address + other.bytes <= buffer.address
            assert apart or not together


@given(st.lists(LIFE, max_size=25))
def test_what_cannot_fit_is_refused(given_lives: list[tuple[int, int, int]]) -> None:
    lives = buffers(given_lives)
    needed = largest_together(lives)
    if needed:
        assert not place(lives, lambda _: needed - 64)


def test_a_buffer_has_the_bytes_of_its_tensor() -> None:
    assert Buffer.of("x", (2, 65, 3, 5), f32, Layout.EU_ALIGNED, BM1684X).bytes == 2 * 2 * 64
