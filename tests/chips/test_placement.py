"""Axes and placements by themselves."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tpukernel.chips.placement import Axis, Placement

axes = st.builds(
    Axis,
    count=st.integers(1, 300),
    outer=st.integers(0, 200),
    inner=st.integers(0, 200),
    period=st.integers(1, 80),
    start=st.integers(0, 200),
)


def offset(axis: Axis, index: int) -> int:
    return (axis.start + index) // axis.period * axis.outer + (axis.start + index) % axis.period * axis.inner


@given(axis=axes)
def test_axis(axis: Axis) -> None:
    wanted = [offset(axis, index) for index in range(axis.count)]
    assert axis.offsets().tolist() == wanted
    assert axis.reach == max(wanted)
    assert axis.turns == (axis.start + axis.count - 1) // axis.period + 1


@given(axis=axes)
def test_pieces_are_at_most_three_rectangles(axis: Axis) -> None:
    pieces = axis.pieces()
    assert len(pieces) <= 3
    found: list[int] = []
    for first, turns, places, start in pieces:
        assert first == len(found)
        found += [start + turn * axis.outer + place * axis.inner for turn in range(turns) for place in range(places)]
    assert found == axis.offsets().tolist()


@given(base=st.integers(0, 1000), first=axes, second=axes)
def test_placement(base: int, first: Axis, second: Axis) -> None:
    placement = Placement(base, 2, (first, second))
    assert placement.shape == (first.count, second.count)
    wanted = base + first.offsets()[:, None] + second.offsets()
    np.testing.assert_array_equal(placement.offsets(), wanted)
    assert placement.end == wanted.max() + 2
