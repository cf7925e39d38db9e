"""Boxes: what local forms and the compiler compute with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bmlang as bm
from bmlang.layers.region import Region, four, pieces
from bmlang.layers.windows import Windows
from tpukernel.chips.tensors import Dim4

Image = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
DIM4 = st.tuples(*[st.integers(1, 6)] * 4)


@st.composite
def boxes(draw: st.DrawFn, shape: Dim4) -> Region:
    n, c, h, w = (draw(st.integers(0, size - 1)) for size in shape)
    sizes = [draw(st.integers(1, size - start)) for size, start in zip(shape, (n, c, h, w), strict=True)]
    return Region((n, c, h, w), (sizes[0], sizes[1], sizes[2], sizes[3]))


def mask(region: Region, shape: Dim4) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    found = np.zeros(shape, np.bool_)
    found[region.slices()] = True
    return found


@given(st.data(), DIM4)
def test_join_is_the_smallest_box_around_both(data: st.DataObject, shape: Dim4) -> None:
    one, other = data.draw(boxes(shape)), data.draw(boxes(shape))
    both = one.join(other)
    joined = mask(both, shape)
    assert joined[mask(one, shape) | mask(other, shape)].all()
    for axis in range(4):
        assert both.start[axis] == min(one.start[axis], other.start[axis])
        assert both.end[axis] == max(one.end[axis], other.end[axis])
    assert both.elements == joined.sum()


@given(st.data(), DIM4)
def test_within_finds_the_same_elements(data: st.DataObject, shape: Dim4) -> None:
    outer = data.draw(boxes(shape))
    inner = data.draw(boxes(outer.size))
    n, c, h, w = (one + other for one, other in zip(inner.start, outer.start, strict=True))
    region = Region((n, c, h, w), inner.size)
    assert region.within(outer) == inner
    elements = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(elements[outer.slices()][region.within(outer).slices()], elements[region.slices()])


@given(st.data(), DIM4)
def test_broadcast_gives_what_numpy_repeats(data: st.DataObject, shape: Dim4) -> None:
    n, c, h, w = (1 if data.draw(st.booleans()) else size for size in shape)
    small = np.arange(n * c * h * w).reshape(n, c, h, w)
    region = data.draw(boxes(shape))
    assert np.array_equal(
        np.broadcast_to(small[region.broadcast((n, c, h, w)).slices()], region.size), np.broadcast_to(small, shape)[region.slices()]
    )


@given(DIM4, DIM4)
def test_pieces_hold_every_element_once(shape: Dim4, size: Dim4) -> None:
    counts = np.zeros(shape, int)
    for piece in pieces(shape, size):
        counts[piece.slices()] += 1
        assert all(found <= most for found, most in zip(piece.size, size, strict=True))
    assert (counts == 1).all()


@given(st.lists(st.integers(1, 5), max_size=6))
def test_four_dimensions_keep_the_order_of_elements(sizes: list[int]) -> None:
    elements = np.arange(int(np.prod(sizes))).reshape(sizes)
    assert np.array_equal(elements.reshape(four(tuple(sizes))).reshape(-1), elements.reshape(-1))
    if len(sizes) <= 4:
        assert elements[(None,) * (4 - len(sizes))].shape == four(tuple(sizes))


PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


INSERT = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(st.data(), st.tuples(st.integers(3, 9), st.integers(3, 9)), PAIR, PAIR, PAIR, st.tuples(*[st.integers(0, 3)] * 4), INSERT)
def test_a_part_of_a_window_operation_needs_the_part_that_it_names(
    data: st.DataObject,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pad: tuple[int, int, int, int],
    insert: tuple[int, int],
) -> None:
    windows = Windows(size, kernel, stride, dilation, pad, insert)
    if min(windows.out) < 1:
        return
    image = np.random.default_rng(0).integers(1, 100, (1, 2, *size))
    whole = window_sums(with_zeros(image, insert), kernel, stride, dilation, pad)
    assert whole.shape[2:] == windows.out
    box = data.draw(boxes((1, 2, *windows.out)))
    part = image[windows.region(box, (box.start[1], box.size[1])).slices()]
    top, bottom, left, right = windows.padding(box)
    cuts = windows.cut(1)
    if any(cuts[axis] == 0 and box.size[axis] < windows.out[axis - 2] for axis in (2, 3)):
        return  # a window may hold nothing but zeros: it is not cut so
    assert min(top, bottom, left, right) >= 0
    part = with_zeros(part, insert)
    assert np.array_equal(window_sums(part, kernel, stride, dilation, (top, left, bottom, right)), whole[box.slices()])


def with_zeros(image: Image, insert: tuple[int, int]) -> Image:
    """An image with so many zeros between neighbours."""
    n, c, h, w = image.shape
    found = np.zeros((n, c, (h - 1) * (insert[0] + 1) + 1, (w - 1) * (insert[1] + 1) + 1), image.dtype)
    found[:, :, :: insert[0] + 1, :: insert[1] + 1] = image
    return found


def window_sums(
    image: Image,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pad: tuple[int, int, int, int],
) -> Image:
    """The sum of the elements of each window, zeros around the image."""
    top, left, bottom, right = pad
    padded = np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    return seen[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]].sum((4, 5))


@pytest.mark.parametrize("pad", [(1, 0, 0, 0), (3, 2, 0, 0), (0, 1, 1, 0)], ids=str)
def test_a_convolution_that_sees_nothing_but_padding(pad: tuple[int, int, int, int]) -> None:
    x, weight = np.ones((1, 2, 1, 1), np.float32), np.ones((3, 2, 1, 1), np.float32)

    @bm.function
    def edge(x: bm.Tensor) -> bm.Tensor:
        return bm.conv(x, weight, np.array([1, 2, 3], np.float32), stride=10, pad=pad)

    np.testing.assert_array_equal(edge(x), np.array([1, 2, 3]).reshape(1, 3, 1, 1))
