"""Loop nests visit every element once, and find every operand's element where the placement has it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpukernel.chips.placement import Axis, Placement
from tpukernel.sim.jit import nest as nest_module
from tpukernel.sim.jit.nest import CHUNK, DIMS, Nest, form_of, is_injective, nests, nests_of

LANES = 8


@st.composite
def groups(draw: st.DrawFn) -> list[Placement]:
    """A result that has all its elements in places of their own, and other operands of its shape, some dimensions repeated."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=3, max_size=4)))
    channels = draw(st.integers(1, 30))
    shape = (shape[0], channels, *shape[2:])
    result: list[Axis] = []
    stride = 4
    for size in reversed(shape):
        stride += draw(st.integers(0, 1)) * 4
        result.append(Axis(size, stride))
        stride *= size
    result.reverse()
    if draw(st.booleans()):
        result[1] = Axis(channels, stride, 100 * stride, LANES, draw(st.integers(0, LANES - 1)))
        result[0] = Axis(shape[0], 5 * stride)
    found = [Placement(0, 4, tuple(result))]
    for _ in range(draw(st.integers(0, 2))):
        axes = [Axis(size if draw(st.booleans()) else 1, draw(st.sampled_from((0, 4, 8, 36)))) for size in shape]
        if draw(st.booleans()):
            axes[1] = Axis(channels, 40, 1000, draw(st.sampled_from((LANES, LANES, 4))), draw(st.integers(0, 7)))
        found.append(Placement(draw(st.integers(0, 99)), 4, tuple(axes)))
    return found


def visited(placements: list[Placement], nest: Nest) -> list[tuple[int, ...]]:
    """For every turn of the loops the offset of each operand."""
    found: list[tuple[int, ...]] = []
    for index in product(*map(range, nest.sizes)):
        if index[0] == nest.sizes[0] - 1 and index[-1] >= nest.last:
            continue
        steps = [sum(i * s for i, s in zip(index, strides, strict=True)) for strides in nest.strides]
        found.append(tuple(p.base + o + s for p, o, s in zip(placements, nest.offsets, steps, strict=True)))
    return found


def expected(placements: list[Placement]) -> list[tuple[int, ...]]:
    shape = placements[0].shape
    columns = [np.broadcast_to(placement.offsets(), shape).reshape(-1).tolist() for placement in placements]
    return sorted(zip(*columns, strict=True))


@given(groups())
def test_every_element_is_visited_once(placements: list[Placement]) -> None:
    found = nests(placements)
    if found is None:
        return
    assert all(len(nest.sizes) == DIMS for nest in found)
    assert sorted(place for nest in found for place in visited(placements, nest)) == expected(placements)


def test_a_tensor_without_gaps_is_one_run() -> None:
    placement = Placement(64, 4, (Axis(2, 4800), Axis(3, 1600), Axis(20, 80), Axis(20, 4)))
    found = nests([placement, placement])
    assert found is not None and len(found) == 1
    assert found[0].sizes == (1, 1, 1, 1, 2400)


def test_a_long_run_is_cut_into_units() -> None:
    placement = Placement(0, 1, (Axis(5 * CHUNK + 7, 1),))
    found = nests([placement])
    assert found is not None and len(found) == 1
    nest = found[0]
    assert nest.sizes[0] == 6 and nest.last == 7
    assert visited([placement], nest) == [(k,) for k in range(5 * CHUNK + 7)]


def test_lanes_that_start_apart_take_few_nests() -> None:
    first = Placement(0, 4, (Axis(1000, 64, 1 << 18, 64, 3), Axis(16, 4)))
    second = Placement(0, 4, (Axis(1000, 64, 1 << 18, 64, 60), Axis(16, 4)))
    assert len(nests([first, second]) or ()) <= 6


@given(groups())
def test_injective_placements_do_not_overlap(placements: list[Placement]) -> None:
    assert is_injective(placements[0])
    for placement in placements:
        assert not is_injective(placement) or not placement.overlaps()


@given(groups())
def test_a_few_turns_with_many_elements_are_divided(placements: list[Placement]) -> None:
    """Where a number of elements counts as many, the outermost loop has many turns, or there are no others to divide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nest_module, "_MANY_ELEMENTS", 1)
        found = nests_of.__wrapped__(tuple(map(form_of, placements)))
    if found is not None:
        assert sorted(place for nest in found for place in visited(placements, nest)) == expected(placements)
        assert all(nest.sizes[0] >= min(16, max(nest.sizes[1:-1])) for nest in found)


def test_the_largest_copies_have_many_units() -> None:
    """So that threads share them and Ctrl-C ends them."""
    outer, rows = 1 << 31, 30_000
    strided = Placement(0, 1, (Axis(2, outer), Axis(1, 0), Axis(rows, 1 << 16), Axis(rows, 1)))
    lines = Placement(0, 1, (Axis(1, 0), Axis(2, outer), Axis(1, 0), Axis(1 << 27, 1)))
    for placement in (strided, lines):
        found = nests([placement, placement])
        assert found is not None and all(nest.sizes[0] >= 8192 for nest in found)
