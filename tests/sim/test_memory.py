"""Local memory has gaps between the lanes in the computer, and nobody who uses the chip's addresses sees them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpukernel import BM1684X
from tpukernel.chips.placement import Axis, Placement
from tpukernel.sim.errors import MemoryRangeError
from tpukernel.sim.memory import Memory

LANE, LANES, SIZE = BM1684X.lane_bytes, BM1684X.lanes, BM1684X.local_bytes

_MEMORY = Memory(BM1684X, 1 << 12)
_FLAT = np.random.default_rng(5).integers(0, 256, SIZE, np.uint8)


def memory() -> Memory:
    """One memory for all cases; local memory holds `_FLAT`."""
    _MEMORY.write_bytes("lmem", 0, _FLAT)
    return _MEMORY


@given(st.integers(0, SIZE - 1), st.integers(0, 3 * LANE))
def test_bytes_go_on_in_the_next_lane(offset: int, size: int) -> None:
    size = min(size, SIZE - offset)
    assert np.array_equal(memory().read_bytes("lmem", offset, size), _FLAT[offset : offset + size])


def test_the_image_is_what_the_chip_has() -> None:
    assert np.array_equal(memory().image("lmem").reshape(-1), _FLAT)
    assert memory().image("ddr").shape == (1 << 12,)


def test_a_view_is_in_one_lane() -> None:
    assert np.array_equal(memory().range("lmem", LANE - 8, 8), _FLAT[LANE - 8 : LANE])
    with pytest.raises(MemoryRangeError, match="2 lanes"):
        memory().range("lmem", LANE - 8, 9)


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    """Elements anywhere in local memory: over the lanes, inside a lane, from one lane to the next in odd steps."""
    itemsize = draw(st.sampled_from((1, 2, 4)))
    strides = st.sampled_from((0, 1, 12, 64, LANE - 4, LANE, LANE + 8, 2 * LANE, 3000))
    axes = [Axis(draw(st.integers(1, 5)), draw(strides) * draw(st.integers(0, 1))) for _ in range(3)]
    start = draw(st.integers(0, LANES - 1))
    wraps = Axis(draw(st.integers(1, 140)), draw(st.sampled_from((64, 256))), LANE, LANES, start)
    axes.insert(draw(st.integers(0, 3)), wraps if draw(st.booleans()) else Axis(draw(st.integers(1, 9)), draw(strides)))
    base = draw(st.one_of(st.integers(0, 4096), st.integers(LANE - 64, LANE + 64)))
    placement = Placement(base, itemsize, tuple(axes))
    return placement if placement.end <= SIZE else Placement(0, itemsize, tuple(Axis(axis.count, 0) for axis in axes))


@given(placements())
def test_elements_are_where_the_chip_has_them(placement: Placement) -> None:
    used = memory()
    assert np.array_equal(used.read("lmem", placement), _bytewise(placement))
    if not placement.overlaps():
        bits = np.random.default_rng(1).integers(0, 256, (*placement.shape, placement.itemsize), np.uint8)
        used.write("lmem", placement, bits.view(f"u{placement.itemsize}")[..., 0])
        expected = _FLAT.copy()
        expected[placement.offsets()[..., None] + np.arange(placement.itemsize)] = bits
        assert np.array_equal(used.image("lmem").reshape(-1), expected)


def _bytewise(placement: Placement) -> np.ndarray[tuple[int, ...], np.dtype[np.unsignedinteger]]:
    return _FLAT[placement.offsets()[..., None] + np.arange(placement.itemsize)].view(f"u{placement.itemsize}")[..., 0]
