"""Random local tensors that fit, with sizes where layouts change: around lanes, EUs, groups and units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tpukernel.chips import BM1684, BM1684X, Chip
from tpukernel.chips.layout import lane_bytes_needed
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype

CHIPS = (BM1684X, BM1684)
MAX_ELEMENTS = 3000
EDGES = (1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129)


def sizes(largest: int) -> st.SearchStrategy[int]:
    """Sizes up to `largest`, mostly edges."""
    return st.sampled_from([edge for edge in EDGES if edge <= largest]) | st.integers(1, largest)


@st.composite
def shapes(draw: st.DrawFn) -> Dim4:
    """Shapes of at most MAX_ELEMENTS elements; any dimension may be the large one."""
    left, found = MAX_ELEMENTS, [1, 1, 1, 1]
    for dimension in draw(st.permutations(range(4))):
        found[dimension] = draw(sizes(min(left, 200)))
        left //= found[dimension]
    n, c, h, w = found
    return n, c, h, w


@st.composite
def free_strides(draw: st.DrawFn, chip: Chip, shape: Dim4, start: int) -> Dim4:
    """Strides whose elements do not overlap: the dimensions nested in any order, with gaps."""
    n, c, h, w = shape
    counts = (n, -(-(start + c) // chip.lanes), h, w)
    strides, extent = [0, 0, 0, 0], 1
    for dimension in draw(st.permutations(range(4))):
        strides[dimension] = extent + draw(st.integers(0, 3))
        extent = strides[dimension] * counts[dimension]
    return strides[0], strides[1], strides[2], strides[3]


@st.composite
def tensors(draw: st.DrawFn, chip: Chip, layout: Layout | None = None) -> LocalTensor:
    """A tensor of the chip that fits into its lanes; also at the very end of them."""
    layout = layout or draw(st.sampled_from(list(Layout)))
    dtype = draw(st.sampled_from(list(chip.weight_pack if layout is Layout.WEIGHT else chip.dtype_codes)))
    shape = draw(shapes())
    lane = draw(st.sampled_from([0, 1, chip.lanes - 1]) | st.integers(0, chip.lanes - 1))
    pack = 1 if layout is Layout.WEIGHT else draw(st.sampled_from([1, *chip.packs.get(dtype, ())]))
    strides = draw(free_strides(chip, shape, lane)) if layout is Layout.FREE else None
    tensor = LocalTensor(lane * chip.lane_bytes, shape, dtype, layout, strides, pack)
    unit = chip.eu_bytes if layout in (Layout.EU_ALIGNED, Layout.LINE_ALIGNED) else dtype.itemsize * pack
    last = (chip.lane_bytes - lane_bytes_needed(chip, tensor)) // unit
    return replace(tensor, address=tensor.address + unit * draw(st.sampled_from([0, last]) | st.integers(0, last)))


def random_array(seed: int, shape: tuple[int, ...], dtype: Dtype) -> NDArray[np.generic]:
    """Random bit patterns of a type: of floats also NaN, infinities and denormals."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    bits = np.random.default_rng(seed).integers(0, 1 << dtype.bits, shape, unsigned)
    return bits.view(dtype.numpy)
