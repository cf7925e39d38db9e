"""Each way in which a tensor can be wrong is refused by its own error, which names the values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from tpukernel.chips import BM1684, BM1684X, Chip
from tpukernel.chips.errors import (
    AlignmentError,
    ArrayMismatchError,
    ChipDtypeError,
    LaneOverflowError,
    LayoutError,
    LocalAddressError,
    MemoryImageError,
    OverlapError,
    ShapeError,
    StrideError,
    SystemAddressError,
)
from tpukernel.chips.layout import (
    bank_of,
    byte_offsets,
    lane_bytes_needed,
    lane_offset,
    matrix_offsets,
    matrix_tensor,
    read_system,
    read_tensor,
    start_lane,
    strides_of,
    system_placement,
    write_matrix,
    write_system,
    write_tensor,
)
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16
from tpukernel.errors import TpuError


@dataclass(frozen=True)
class Wrong:
    error: type[TpuError]
    pattern: str
    tensor: LocalTensor
    chip: Chip = BM1684X


LANE = BM1684X.lane_bytes
UNIT: Dim4 = (1, 1, 1, 1)

WRONG_TENSORS = {
    "behind local memory": Wrong(LocalAddressError, r"0x1000000 is outside.* 0x1000000 bytes", LocalTensor(64 * LANE, UNIT, f32)),
    "negative": Wrong(LocalAddressError, "-0x40", LocalTensor(-64, UNIT, f32)),
    "system address": Wrong(LocalAddressError, "0x8000000", LocalTensor(0x800_0000, UNIT, f32)),
    "static memory": Wrong(LocalAddressError, "0x9000400", LocalTensor(0x900_0400, UNIT, f32, Layout.COMPACT)),
    "larger than a lane": Wrong(LaneOverflowError, "262400 bytes of a lane, but 262144", LocalTensor(0, (1, 1, 1025, 64), f32)),
    "behind its lane": Wrong(LaneOverflowError, "64 bytes of a lane, but 4 are", LocalTensor(LANE - 4, (1, 1, 4, 4), f32, Layout.COMPACT)),
    "wrapped row": Wrong(LaneOverflowError, "128 bytes", LocalTensor(64 * LANE - 64, (1, 2, 1, 1), f32)),
    "gap at the end": Wrong(LaneOverflowError, "needs 8 bytes", LocalTensor(LANE - 4, (1, 1, 1, 2), f32, Layout.FREE, (1, 1, 1, 1))),
    "fill of a weight": Wrong(LaneOverflowError, "needs 64 bytes", LocalTensor(LANE - 32, UNIT, i8, Layout.WEIGHT)),
    "packed units": Wrong(
        LaneOverflowError,
        "needs 8 bytes of a lane, but 4",
        LocalTensor(BM1684.lane_bytes - 4, (1, 1, 1, 2), u8, Layout.COMPACT, pack=4),
        BM1684,
    ),
    "unaligned": Wrong(AlignmentError, "0x20, not at a multiple of 64", LocalTensor(0x20, UNIT, f32)),
    "unaligned line": Wrong(AlignmentError, "multiple of 64", LocalTensor(1, UNIT, i8, Layout.LINE_ALIGNED)),
    "unaligned BM1684": Wrong(AlignmentError, "0x40, not at a multiple of 128", LocalTensor(0x40, UNIT, f32), BM1684),
    "odd compact": Wrong(AlignmentError, "0x2, not at a multiple of 4", LocalTensor(2, UNIT, f32, Layout.COMPACT)),
    "odd free": Wrong(AlignmentError, "0x1, not at a multiple of 2", LocalTensor(1, UNIT, f16, Layout.FREE, UNIT)),
    "odd weight": Wrong(AlignmentError, "multiple of 2", LocalTensor(1, UNIT, bf16, Layout.WEIGHT)),
    "dtype": Wrong(ChipDtypeError, "BM1684 has no data type f16", LocalTensor(0, UNIT, f16), BM1684),
    "dtype of a weight": Wrong(ChipDtypeError, "BM1684 has no weight layout for i16", LocalTensor(0, UNIT, i16, Layout.WEIGHT), BM1684),
    "zero": Wrong(ShapeError, r"\(1, 0, 1, 1\)", LocalTensor(0, (1, 0, 1, 1), f32)),
    "negative size": Wrong(ShapeError, r"\(1, 1, -3, 1\)", LocalTensor(0, (1, 1, -3, 1), f32)),
    "too large": Wrong(ShapeError, "65536.*1 to 65535", LocalTensor(0, (1, 1, 1, 65536), i8)),
    "three sizes": Wrong(ShapeError, r"\(1, 2, 3\)", LocalTensor(0, (1, 2, 3), f32)),  # pyright: ignore[reportArgumentType]
    "three strides": Wrong(StrideError, r"\(1, 2, 3\)", LocalTensor(0, UNIT, f32, Layout.FREE, (1, 2, 3))),  # pyright: ignore[reportArgumentType]
    "negative stride": Wrong(StrideError, r"\(1, 1, 1, -1\)", LocalTensor(0, UNIT, f32, Layout.FREE, (1, 1, 1, -1))),
    "pack of another chip": Wrong(LayoutError, "BM1684X does not pack 4 n of i8.*EU_ALIGNED", LocalTensor(0, UNIT, i8, pack=4)),
    "pack of another type": Wrong(LayoutError, "does not pack 2 n of u8", LocalTensor(0, UNIT, u8, pack=2), BM1684),
    "packed weight": Wrong(LayoutError, "4 n of i8 in layout WEIGHT", LocalTensor(0, UNIT, i8, Layout.WEIGHT, pack=4), BM1684),
    "no pack": Wrong(LayoutError, "does not pack 0 n", LocalTensor(0, UNIT, u16, pack=0), BM1684),
}


@pytest.mark.parametrize("wrong", WRONG_TENSORS.values(), ids=WRONG_TENSORS.keys())
def test_wrong_local_tensors(wrong: Wrong) -> None:
    memory = np.zeros(wrong.chip.local_bytes, np.uint8)
    uses: list[Callable[[], object]] = [
        lambda: byte_offsets(wrong.chip, wrong.tensor),
        lambda: read_tensor(wrong.chip, memory, wrong.tensor),
        lambda: write_tensor(wrong.chip, memory, wrong.tensor, np.ones(wrong.tensor.shape, wrong.tensor.dtype.numpy)),
    ]
    if min(wrong.tensor.shape) < 0:
        uses.pop()
    for use in uses:
        with pytest.raises(wrong.error, match=wrong.pattern) as caught:
            use()
        assert type(caught.value) is wrong.error
        assert caught.value.help
        assert repr(wrong.tensor.dtype) in caught.value.message or wrong.error in (ShapeError, StrideError)
    assert not memory.any()


@pytest.mark.parametrize("address", [-1, 64 * LANE, 1 << 40])
@pytest.mark.parametrize("function", [start_lane, lane_offset, bank_of])
def test_addresses_outside_local_memory(function: Callable[[Chip, int], int], address: int) -> None:
    with pytest.raises(LocalAddressError, match=f"{address:#x} is outside"):
        function(BM1684X, address)
    assert function(BM1684X, 64 * LANE - 1) in (63, LANE - 1, 15)


def test_needed_bytes_of_a_tensor_that_does_not_fit() -> None:
    assert lane_bytes_needed(BM1684X, LocalTensor(0, (2, 65, 1025, 64), f32)) == 4 * 1025 * 64 * 4
    with pytest.raises(ChipDtypeError):
        lane_bytes_needed(BM1684, LocalTensor(0, UNIT, bf16, Layout.WEIGHT))


def test_a_weight_has_no_strides() -> None:
    with pytest.raises(LayoutError, match=r"\(1, 1, 1, 1\) i8 of layout WEIGHT has no strides"):
        strides_of(BM1684X, LocalTensor(0, UNIT, i8, Layout.WEIGHT))


@pytest.mark.parametrize("layout", list(Layout))
def test_strides_go_with_free(layout: Layout) -> None:
    with pytest.raises(LayoutError, match=layout.name):
        LocalTensor(0, UNIT, f32, layout, None if layout is Layout.FREE else UNIT)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((1, 2, 3), "f4"), ((1, 2, 3, 5), "f4"), ((2, 2, 3, 4), "f4"), ((1, 2, 3, 4), "f8"), ((1, 2, 3, 4), "i4"), ((1, 2, 3, 4), ">f4")],
)
def test_wrong_arrays(shape: tuple[int, ...], dtype: str) -> None:
    memory = np.zeros(BM1684X.local_bytes, np.uint8)
    array = np.ones(shape, dtype)
    with pytest.raises(ArrayMismatchError, match=re.escape(f"{shape} {array.dtype} does not fill a tensor (1, 2, 3, 4) f32")):
        write_tensor(BM1684X, memory, LocalTensor(0, (1, 2, 3, 4), f32), array)
    with pytest.raises(ArrayMismatchError):
        write_system(BM1684X, memory, SystemTensor(0, (1, 2, 3, 4), f32), array)
    assert not memory.any()


@pytest.mark.parametrize("strides", [(16, 16, 4, 0), (0, 16, 4, 1), (16, 0, 4, 1), (16, 16, 3, 1), (3, 16, 4, 1)])
def test_overlapping_tensors_are_not_written(strides: Dim4) -> None:
    memory = np.zeros(BM1684X.local_bytes, np.uint8)
    shape = (2, 65, 4, 4)
    with pytest.raises(OverlapError, match=re.escape(str(strides))):
        write_tensor(BM1684X, memory, LocalTensor(0, shape, f32, Layout.FREE, strides), np.ones(shape, np.float32))
    with pytest.raises(OverlapError):
        write_system(BM1684X, memory, SystemTensor(0, shape, f32, strides), np.ones(shape, np.float32))
    assert not memory.any()


@pytest.mark.parametrize(
    "memory",
    [
        np.zeros(100, np.uint8),
        np.zeros(BM1684X.local_bytes, np.int8),
        np.zeros((BM1684X.lanes, BM1684X.lane_bytes), np.uint8),
        np.zeros(2 * BM1684X.local_bytes, np.uint8)[::2],
    ],
    ids=["short", "signed", "two dimensions", "every second byte"],
)
def test_wrong_memory_images(memory: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    tensor, array = LocalTensor(0, UNIT, f32), np.ones(UNIT, np.float32)
    for use in (lambda: read_tensor(BM1684X, memory, tensor), lambda: write_tensor(BM1684X, memory, tensor, array)):
        with pytest.raises(MemoryImageError, match=re.escape(f"{memory.shape} {memory.dtype}")):
            use()
    if memory.size > 100:
        with pytest.raises(MemoryImageError):
            read_system(BM1684X, memory, SystemTensor(0, UNIT, f32))


def test_read_only_memory_is_not_written() -> None:
    memory = np.zeros(BM1684X.local_bytes, np.uint8)
    memory.flags.writeable = False
    assert read_tensor(BM1684X, memory, LocalTensor(0, UNIT, f32)).tolist() == [[[[0.0]]]]
    with pytest.raises(MemoryImageError, match="read-only"):
        write_tensor(BM1684X, memory, LocalTensor(0, UNIT, f32), np.ones(UNIT, np.float32))


@pytest.mark.parametrize(("address", "base", "size"), [(96, 100, 64), (100, 100, 63), (1 << 32, 0, 64), (161, 100, 64)])
def test_system_tensors_outside_the_memory(address: int, base: int, size: int) -> None:
    tensor = SystemTensor(address, (1, 4, 2, 2), f32)
    for use in (
        lambda: read_system(BM1684X, np.zeros(size, np.uint8), tensor, base=base),
        lambda: write_system(BM1684X, np.zeros(size, np.uint8), tensor, np.ones((1, 4, 2, 2), np.float32), base=base),
    ):
        with pytest.raises(SystemAddressError, match=f"{address:#x} to {address + 64:#x}.*{base:#x} to {base + size:#x}"):
            use()


def test_wrong_system_tensors() -> None:
    with pytest.raises(SystemAddressError, match="-0x4"):
        system_placement(BM1684X, SystemTensor(-4, UNIT, f32))
    with pytest.raises(ShapeError):
        system_placement(BM1684X, SystemTensor(0, (1, 1, 1, 0), f32))
    with pytest.raises(StrideError):
        system_placement(BM1684X, SystemTensor(0, UNIT, f32, (-1, 1, 1, 1)))
    with pytest.raises(ChipDtypeError):
        system_placement(BM1684, SystemTensor(0, UNIT, bf16))


@pytest.mark.parametrize(("rows", "cols", "width"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-2, 3, 1)])
def test_empty_matrices(rows: int, cols: int, width: int) -> None:
    with pytest.raises(ShapeError, match=f"{rows} x {cols}"):
        matrix_tensor(0, rows, cols, f32, cols_per_channel=width)


@pytest.mark.parametrize("cols", [0, 8, 13, 100])
def test_matrices_of_another_width(cols: int) -> None:
    tensor = matrix_tensor(0, 2, 10, i32, cols_per_channel=4)
    with pytest.raises(ShapeError, match=f"{cols} columns"):
        matrix_offsets(BM1684X, tensor, cols)
    with pytest.raises(ShapeError, match=f"{cols} columns"):
        write_matrix(BM1684X, np.zeros(BM1684X.local_bytes, np.uint8), tensor, np.zeros((2, cols), np.int32))


@pytest.mark.parametrize(("shape", "dtype"), [((3, 10), i32), ((2, 10), f32), ((2, 10, 1), i32), ((10,), i32)])
def test_matrices_that_do_not_match(shape: tuple[int, ...], dtype: Dtype) -> None:
    tensor = matrix_tensor(0, 2, 10, i32, cols_per_channel=4)
    with pytest.raises(ArrayMismatchError, match=re.escape(str(shape))):
        write_matrix(BM1684X, np.zeros(BM1684X.local_bytes, np.uint8), tensor, np.zeros(shape, dtype.numpy))
