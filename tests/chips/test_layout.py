"""Layouts: each element lies where a formula per element, written from the measured rules, puts it."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.chips.strategies import CHIPS, free_strides, random_array, shapes, sizes, tensors
from tpukernel.chips import BM1684, BM1684X, Chip
from tpukernel.chips.layout import (
    bank_of,
    byte_offsets,
    lane_bytes_needed,
    lane_offset,
    local_placement,
    matrix_offsets,
    matrix_tensor,
    read_matrix,
    read_system,
    read_tensor,
    start_lane,
    strides_of,
    with_strides,
    write_matrix,
    write_system,
    write_tensor,
)
from tpukernel.chips.tensors import Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, u8, u16

any_chip = pytest.mark.parametrize("chip", CHIPS, ids=repr)
seeds = st.integers(0, 1 << 32)

WEIGHT_GROUP = {
    "BM1684X": {"i8": 64, "u8": 64, "f16": 32, "bf16": 32, "f32": 1, "i16": 1, "u16": 1, "i32": 1, "u32": 1},
    "BM1684": {"i8": 4, "u8": 4, "f32": 2},
}


def ceil_div(value: int, unit: int) -> int:
    return -(-value // unit)


def element_offset(chip: Chip, tensor: LocalTensor, index: tuple[int, ...]) -> int:
    """Where one element starts, by the rules of the measured instruction-set study; slow and independent of the code under test."""
    (_, count_c, count_h, count_w), (n, c, h, w) = tensor.shape, index
    start, byte = tensor.address // chip.lane_bytes, tensor.address % chip.lane_bytes
    size, eu = tensor.dtype.bits // 8, {"BM1684X": 64, "BM1684": 128}[chip.name]
    if tensor.layout is Layout.WEIGHT:
        group = WEIGHT_GROUP[chip.name][tensor.dtype.name]
        lane, row = (start + n) % 64, (start + n) // 64
        taps = count_h * count_w
        place = ((row * ceil_div(count_c, group) + c // group) * taps + h * count_w + w) * group + c % group
        return lane * chip.lane_bytes + byte + place * size
    unit, inside = size * tensor.pack, n % tensor.pack * size
    aligned = eu // size if tensor.pack == 1 else eu // 4
    lane, row, rows = (start + c) % 64, (start + c) // 64, ceil_div(start + count_c, 64)
    match tensor.layout:
        case Layout.EU_ALIGNED:
            h_stride, c_stride = count_w, ceil_div(count_h * count_w, aligned) * aligned
            strides = (c_stride * rows, c_stride, h_stride, 1)
        case Layout.COMPACT:
            strides = (count_h * count_w * rows, count_h * count_w, count_w, 1)
        case Layout.LINE_ALIGNED:
            h_stride = ceil_div(count_w, aligned) * aligned
            strides = (count_h * h_stride * rows, count_h * h_stride, h_stride, 1)
        case _:
            assert tensor.strides is not None
            strides = tensor.strides
    places = n // tensor.pack * strides[0] + row * strides[1] + h * strides[2] + w * strides[3]
    return lane * chip.lane_bytes + byte + places * unit + inside


def all_offsets(chip: Chip, tensor: LocalTensor) -> NDArray[np.int64]:
    indices = product(*map(range, tensor.shape))
    return np.array([element_offset(chip, tensor, index) for index in indices], np.int64).reshape(tensor.shape)


def bytes_of(offsets: NDArray[np.int64], itemsize: int) -> NDArray[np.int64]:
    return (offsets.reshape(-1, 1) + np.arange(itemsize)).reshape(-1)


@cache
def noise(size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, size, np.uint8)


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.int64]:
    words = np.flatnonzero(before.view(np.uint64) != after.view(np.uint64)) if before.size % 8 == 0 else np.arange(before.size // 8 + 1)
    candidates = (words.reshape(-1, 1) * 8 + np.arange(8)).reshape(-1)
    candidates = candidates[candidates < before.size]
    return candidates[before[candidates] != after[candidates]]


@any_chip
@given(data=st.data())
def test_offsets_follow_the_rules(chip: Chip, data: st.DataObject) -> None:
    tensor = data.draw(tensors(chip))
    np.testing.assert_array_equal(byte_offsets(chip, tensor), all_offsets(chip, tensor))


@any_chip
@given(data=st.data(), seed=seeds)
def test_round_trip(chip: Chip, data: st.DataObject, seed: int) -> None:
    tensor = data.draw(tensors(chip))
    array, before = random_array(seed, tensor.shape, tensor.dtype), noise(chip.local_bytes)
    memory = before.copy()
    write_tensor(chip, memory, tensor, array)
    unsigned = f"u{tensor.dtype.itemsize}"
    back = read_tensor(chip, memory, tensor)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back.view(unsigned), array.view(unsigned))
    # What lies in memory is the array, byte by byte, at the offsets; nothing else changed except the fill of a weight.
    inside = bytes_of(byte_offsets(chip, tensor), tensor.dtype.itemsize)
    np.testing.assert_array_equal(memory[inside], np.ascontiguousarray(array).view(np.uint8).reshape(-1))
    outside = np.setdiff1d(changed(before, memory), inside)
    if tensor.layout is Layout.WEIGHT:
        outside = np.setdiff1d(outside, weight_fill(chip, tensor))
        assert not memory[weight_fill(chip, tensor)].any()
    assert outside.size == 0


def weight_fill(chip: Chip, tensor: LocalTensor) -> NDArray[np.int64]:
    oc, ic, kh, kw = tensor.shape
    filled = ceil_div(ic, WEIGHT_GROUP[chip.name][tensor.dtype.name]) * WEIGHT_GROUP[chip.name][tensor.dtype.name]
    indices = product(range(oc), range(ic, filled), range(kh), range(kw))
    return bytes_of(np.array([element_offset(chip, tensor, index) for index in indices], np.int64), tensor.dtype.itemsize)


@any_chip
@given(data=st.data())
def test_elements_share_no_byte_and_stay_in_the_needed_bytes(chip: Chip, data: st.DataObject) -> None:
    tensor = data.draw(tensors(chip))
    inside = bytes_of(byte_offsets(chip, tensor), tensor.dtype.itemsize)
    assert np.unique(inside).size == inside.size
    start, end = lane_offset(chip, tensor.address), int((inside % chip.lane_bytes).max()) + 1
    reserved = start + lane_bytes_needed(chip, tensor)
    assert end <= reserved <= chip.lane_bytes
    if tensor.pack == 1 and tensor.layout is not Layout.WEIGHT:
        unit = chip.eu_bytes if tensor.layout in (Layout.EU_ALIGNED, Layout.LINE_ALIGNED) else 1
        assert reserved - start == ceil_div(end - start, unit) * unit


@any_chip
@given(data=st.data())
def test_strides_describe_the_offsets(chip: Chip, data: st.DataObject) -> None:
    tensor = data.draw(tensors(chip).filter(lambda tensor: tensor.layout is not Layout.WEIGHT))
    same = with_strides(chip, tensor)
    assert same == LocalTensor(tensor.address, tensor.shape, tensor.dtype, Layout.FREE, strides_of(chip, tensor), tensor.pack)
    np.testing.assert_array_equal(byte_offsets(chip, same), byte_offsets(chip, tensor))


@any_chip
@given(data=st.data(), shape=shapes(), strides=st.tuples(*[st.integers(0, 40)] * 4))
def test_overlap_is_found(chip: Chip, data: st.DataObject, shape: tuple[int, int, int, int], strides: tuple[int, int, int, int]) -> None:
    tensor = LocalTensor(data.draw(st.integers(0, 63)) * chip.lane_bytes, shape, f32, Layout.FREE, strides)
    offsets = byte_offsets(chip, tensor)
    assert local_placement(chip, tensor).overlaps() == (np.unique(offsets).size < offsets.size)


@any_chip
@given(data=st.data(), seed=seeds)
def test_reading_broadcasts(chip: Chip, data: st.DataObject, seed: int) -> None:
    n, c, h, w = shape = data.draw(shapes())
    strides = list(data.draw(free_strides(chip, shape, 0)))
    plain = LocalTensor(0, shape, f32, Layout.FREE, (strides[0], strides[1], strides[2], strides[3]))
    zero = data.draw(st.sets(st.sampled_from([0, 2, 3])))  # a zero c stride repeats rows, not lanes: tested by the offsets
    for dimension in zero:
        strides[dimension] = 0
    memory, array = np.zeros(chip.local_bytes, np.uint8), random_array(seed, shape, f32)
    write_tensor(chip, memory, plain, array)
    found = read_tensor(chip, memory, LocalTensor(0, shape, f32, Layout.FREE, (strides[0], strides[1], strides[2], strides[3])))
    wanted = array[tuple(slice(0, 1) if dimension in zero else slice(None) for dimension in range(4))]
    np.testing.assert_array_equal(found.view("u4"), np.broadcast_to(wanted, (n, c, h, w)).view("u4"))


@any_chip
@given(data=st.data(), rows=sizes(5), cols=sizes(200), width=sizes(33), seed=seeds)
def test_matrix(chip: Chip, data: st.DataObject, rows: int, cols: int, width: int, seed: int) -> None:
    dtype = data.draw(st.sampled_from(list(chip.dtype_codes)))
    lane = data.draw(st.integers(0, chip.lanes - 1))
    tensor = matrix_tensor(lane * chip.lane_bytes + 128, rows, cols, dtype, cols_per_channel=width)
    array, before = random_array(seed, (rows, cols), dtype), noise(chip.local_bytes)
    memory = before.copy()
    write_matrix(chip, memory, tensor, array)
    unsigned = f"u{dtype.itemsize}"
    np.testing.assert_array_equal(read_matrix(chip, memory, tensor, cols).view(unsigned), array.view(unsigned))
    wanted = [[element_offset(chip, tensor, (row, col // width, 0, col % width)) for col in range(cols)] for row in range(rows)]
    np.testing.assert_array_equal(matrix_offsets(chip, tensor, cols), wanted)
    inside = bytes_of(np.array(wanted, np.int64), dtype.itemsize)
    np.testing.assert_array_equal(memory[inside], np.ascontiguousarray(array).view(np.uint8).reshape(-1))
    assert np.setdiff1d(changed(before, memory), inside).size == 0


@any_chip
@given(data=st.data(), shape=shapes(), base=st.sampled_from([0, 1 << 32]), skip=st.integers(0, 100), seed=seeds)
def test_system_memory(chip: Chip, data: st.DataObject, shape: tuple[int, int, int, int], base: int, skip: int, seed: int) -> None:
    dtype: Dtype = data.draw(st.sampled_from(list(chip.dtype_codes)))
    # With that many lanes every channel has a row of its own, as in system memory.
    strides = data.draw(st.none() | free_strides(chip, (shape[0], shape[1] * chip.lanes, shape[2], shape[3]), 0))
    tensor = SystemTensor(base + skip, shape, dtype, strides)
    places = strides or (shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1)
    index = np.indices(shape).reshape(4, -1)
    offsets = skip + sum(index[dimension] * places[dimension] for dimension in range(4)) * dtype.itemsize
    inside = bytes_of(np.asarray(offsets, np.int64), dtype.itemsize)
    before = noise(int(inside.max()) + 1 + data.draw(st.integers(0, 9)))
    memory, array = before.copy(), random_array(seed, shape, dtype)
    write_system(chip, memory, tensor, array, base=base)
    unsigned = f"u{dtype.itemsize}"
    np.testing.assert_array_equal(read_system(chip, memory, tensor, base=base).view(unsigned), array.view(unsigned))
    np.testing.assert_array_equal(memory[inside], np.ascontiguousarray(array).view(np.uint8).reshape(-1))
    assert np.setdiff1d(changed(before, memory), inside).size == 0


@any_chip
@given(data=st.data())
def test_addresses(chip: Chip, data: st.DataObject) -> None:
    lane, byte = data.draw(st.integers(0, chip.lanes - 1)), data.draw(st.integers(0, chip.lane_bytes - 1))
    address = lane * chip.lane_bytes + byte
    assert (start_lane(chip, address), lane_offset(chip, address)) == (lane, byte)
    assert bank_of(chip, address) == byte * chip.banks // chip.lane_bytes


def test_wrapped_channels_start_one_row_further() -> None:
    tensor = LocalTensor(63 * BM1684X.lane_bytes, (2, 3, 1, 16), f32)
    lanes, bytes_ = np.divmod(byte_offsets(BM1684X, tensor)[:, :, 0, 0], BM1684X.lane_bytes)
    assert lanes.tolist() == [[63, 0, 1]] * 2
    assert bytes_.tolist() == [[0, 64, 64], [128, 192, 192]]


def test_weight_example() -> None:
    # 64 output channels fill the lanes, the next one starts a row; 33 input channels of f16 are a group of 32 and one of 1.
    tensor = LocalTensor(0, (65, 33, 2, 3), f16, Layout.WEIGHT)
    offsets = byte_offsets(BM1684X, tensor)
    assert offsets[0, 1, 0, 0] == 2
    assert offsets[0, 0, 0, 1] == 64
    assert offsets[0, 0, 1, 0] == 3 * 64
    assert offsets[0, 32, 0, 0] == 6 * 64
    assert offsets[64, 0, 0, 0] == 2 * 6 * 64
    assert lane_bytes_needed(BM1684X, tensor) == 2 * 2 * 6 * 64


def test_packed_examples() -> None:
    four = LocalTensor(0, (5, 1, 1, 40), u8, pack=4)
    assert byte_offsets(BM1684, four)[:, 0, 0, 1].tolist() == [4, 5, 6, 7, 256 + 4]
    two = LocalTensor(0, (3, 1, 1, 2), u16, pack=2)
    assert byte_offsets(BM1684, two)[:, 0, 0, 1].tolist() == [4, 6, 128 + 4]
    wide = LocalTensor(0, (5, 65, 1, 1), u16, pack=4)
    assert byte_offsets(BM1684, wide)[3:, 64, 0, 0].tolist() == [256 + 6, 3 * 256]


def test_nan_bits_survive() -> None:
    signalling = np.array([0x7F81, 0xFFA0], np.uint16).view(bf16.numpy).reshape(1, 1, 1, 2)
    memory = np.zeros(BM1684X.local_bytes, np.uint8)
    tensor = LocalTensor(0, (1, 1, 1, 2), bf16)
    write_tensor(BM1684X, memory, tensor, signalling)
    assert read_tensor(BM1684X, memory, tensor).view(np.uint16).reshape(-1).tolist() == [0x7F81, 0xFFA0]


def test_arrays_need_not_be_contiguous() -> None:
    memory = np.zeros(BM1684X.local_bytes, np.uint8)
    array = np.arange(2 * 70 * 6 * 5, dtype=np.int8).reshape(5, 6, 70, 2).T[:, ::-1]
    tensor = LocalTensor(7 * BM1684X.lane_bytes, (2, 70, 6, 5), i8)
    write_tensor(BM1684X, memory, tensor, array)
    np.testing.assert_array_equal(read_tensor(BM1684X, memory, tensor), array)
