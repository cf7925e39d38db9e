"""TPUKernel functions that calculate on the host: places, strides and sizes, data types, conversion of numbers, ranges.

They need no recording. The numbers are exact: where a C function wraps beyond 31 bits, these go on. Numbers that cannot be negative in a
kernel (counts, channels, start lanes) are refused when they are. A C function that writes a `dim4` through a pointer returns it here.

Source of the rules: compared with the official functions on random arguments (`tests/vendor/test_utils.py`).
"""

from __future__ import annotations

from tpukernel.api.arguments import Dim5, Int, LocalAddress, Range, Ranges, Uint
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import host_function
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.layout import aligned_strides, compact_strides, continuous_strides, line_aligned_strides
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import Dtype, i8, i16, i32, u8, u16, u32

__all__ = [
    "tpu_aligned_feature_size",
    "tpu_aligned_stride",
    "tpu_any_range_overlapped",
    "tpu_bank_index",
    "tpu_bank_range",
    "tpu_channle_num_per_npu",
    "tpu_compact_stride",
    "tpu_continuous_stride",
    "tpu_data_type_bits",
    "tpu_data_type_size",
    "tpu_get_local_cstride",
    "tpu_get_local_nstride",
    "tpu_get_local_size",
    "tpu_is_data_type_fp",
    "tpu_is_data_type_int",
    "tpu_is_data_type_int4",
    "tpu_is_data_type_int8",
    "tpu_is_data_type_int16",
    "tpu_is_data_type_int32",
    "tpu_is_data_type_signed",
    "tpu_is_data_type_signed_int",
    "tpu_is_data_type_unsigned_int",
    "tpu_line_aligned_stride",
    "tpu_local_shape_5d_to_4d",
    "tpu_npu_c_offset",
    "tpu_npu_index",
    "tpu_range_overlapped",
    "tpu_unified_c_offset",
]

GROUP = "Utilities"

_ADDRESSES = 1 << 32
"""Local addresses are calculated with 32 bits."""


# ---------------------------------------------------------------------------- places


@host_function(GROUP)
def tpu_npu_index(addr: LocalAddress) -> int:
    """The lane of a local address. Addresses behind the last lane count on: the caller sees it from the number."""
    return addr.__index__() // BM1684X.lane_bytes


@host_function(GROUP)
def tpu_bank_index(addr: LocalAddress) -> int:
    """The bank of a local address within its lane."""
    return _bank(addr.__index__())


@host_function(GROUP)
def tpu_bank_range(addr: LocalAddress, size: Int) -> Range:
    """The banks of the first and of the last of `size` bytes from a local address on.

    Only these two places count: bytes that go on in the next lane, or a size of 0, give an end before the start or a range too large.
    """
    first = addr.__index__()
    return Range(_bank(first), _bank((first + size - 1) % _ADDRESSES))


@host_function(GROUP)
def tpu_range_overlapped(r0: Range, r1: Range) -> bool:
    """Whether two ranges, both ends included, have a number in common."""
    return _overlap(r0, r1)


@host_function(GROUP)
def tpu_any_range_overlapped(ranges: Ranges, num: Uint) -> bool:
    """Whether any two of the first `num` ranges have a number in common.

    Raises:
        ArgumentError: fewer than two ranges, or fewer than `num`.
    """
    if not 2 <= num <= len(ranges):
        raise ArgumentError(f"tpu_any_range_overlapped: num is {num} of {len(ranges)} ranges", help="at least two ranges are needed")
    return any(_overlap(ranges[a], ranges[b]) for b in range(num) for a in range(b))


@host_function(GROUP)
def tpu_npu_c_offset(c: Uint, c_stride: Int, dtype: Dtype) -> int:
    """Bytes from channel 0 to channel c within the lane, for a tensor that starts in lane 0; `c_stride` is in elements."""
    return c // BM1684X.lanes * c_stride * dtype.itemsize


@host_function(GROUP)
def tpu_unified_c_offset(c: Uint, c_stride: Int, dtype: Dtype) -> int:
    """What to add to a local address in lane 0 to come from channel 0 to channel c; `c_stride` is in elements."""
    return c // BM1684X.lanes * c_stride * dtype.itemsize + c % BM1684X.lanes * BM1684X.lane_bytes


# ---------------------------------------------------------------------------- strides and sizes


@host_function(GROUP)
def tpu_channle_num_per_npu(start_idx: Uint, num_channels: Uint) -> int:
    """Rows of channels in a lane: channels that start in lane `start_idx`, over the number of lanes, rounded up. (Its name is so in C.)"""
    return _rows(start_idx, num_channels)


@host_function(GROUP)
def tpu_aligned_feature_size(h: Uint, w: Uint, dtype: Dtype) -> int:
    """Bytes of h * w elements with the fill up to the next alignment unit."""
    return aligned_strides(BM1684X, (1, 1, h, w), dtype)[1] * dtype.itemsize


@host_function(GROUP)
def tpu_aligned_stride(start_idx: Uint, shape: Dim4, dtype: Dtype) -> Dim4:
    """The strides, in elements, of a tensor in the aligned layout that starts in lane `start_idx` (in C written to `stride`)."""
    return aligned_strides(BM1684X, shape, dtype, start=start_idx)


@host_function(GROUP)
def tpu_compact_stride(start_idx: Uint, shape: Dim4) -> Dim4:
    """The strides, in elements, of a tensor in the compact layout that starts in lane `start_idx` (in C written to `stride`)."""
    return compact_strides(BM1684X, shape, start=start_idx)


@host_function(GROUP)
def tpu_line_aligned_stride(start_idx: Uint, shape: Dim4, dtype: Dtype) -> Dim4:
    """The strides, in elements, of a tensor in the line-aligned layout that starts in lane `start_idx` (in C written to `stride`)."""
    return line_aligned_strides(BM1684X, shape, dtype, start=start_idx)


@host_function(GROUP)
def tpu_continuous_stride(shape: Dim4) -> Dim4:
    """The strides, in elements, of a system tensor without gaps (in C written to `stride`)."""
    return continuous_strides(shape)


@host_function(GROUP)
def tpu_get_local_cstride(h: Uint, w: Uint, align: bool, dtype: Dtype) -> int:
    """The c stride, in elements, of the aligned or else the compact layout."""
    return aligned_strides(BM1684X, (1, 1, h, w), dtype)[1] if align else h * w


@host_function(GROUP)
def tpu_get_local_nstride(c_stride: Int, c: Uint, start_idx: Uint) -> int:
    """The n stride that belongs to a c stride, for c channels that start in lane `start_idx`."""
    return _rows(start_idx, c) * c_stride


@host_function(GROUP)
def tpu_get_local_size(shape: Dim4, dtype: Dtype, start_idx: Uint, align: bool) -> int:
    """Bytes that a tensor takes in a lane, in the aligned or else the compact layout."""
    strides = aligned_strides(BM1684X, shape, dtype, start=start_idx) if align else compact_strides(BM1684X, shape, start=start_idx)
    return shape[0] * strides[0] * dtype.itemsize


@host_function(GROUP)
def tpu_local_shape_5d_to_4d(shape_5d: Dim5) -> Dim4:
    """The shape (n * d, c, h, w) of (n, c, d, h, w): in local memory d lies inside n (in C written to `shape_4d`)."""
    n, c, d, h, w = shape_5d
    return n * d, c, h, w


# ---------------------------------------------------------------------------- data types


@host_function(GROUP)
def tpu_is_data_type_signed(dtype: Dtype) -> bool:
    """Whether the type is a signed integer or a float."""
    return dtype.is_signed


@host_function(GROUP)
def tpu_is_data_type_int(dtype: Dtype) -> bool:
    """Whether the type is an integer."""
    return dtype.is_int


@host_function(GROUP)
def tpu_is_data_type_int4(dtype: Dtype) -> bool:
    """Whether the type is a 4-bit integer: never, the chip has none."""
    return dtype.bits == 4


@host_function(GROUP)
def tpu_is_data_type_int8(dtype: Dtype) -> bool:
    """Whether the type is i8 or u8."""
    return dtype in (i8, u8)


@host_function(GROUP)
def tpu_is_data_type_int16(dtype: Dtype) -> bool:
    """Whether the type is i16 or u16."""
    return dtype in (i16, u16)


@host_function(GROUP)
def tpu_is_data_type_int32(dtype: Dtype) -> bool:
    """Whether the type is i32 or u32."""
    return dtype in (i32, u32)


@host_function(GROUP)
def tpu_is_data_type_signed_int(dtype: Dtype) -> bool:
    """Whether the type is a signed integer."""
    return dtype.is_int and dtype.is_signed


@host_function(GROUP)
def tpu_is_data_type_unsigned_int(dtype: Dtype) -> bool:
    """Whether the type is an unsigned integer."""
    return not dtype.is_signed


@host_function(GROUP)
def tpu_is_data_type_fp(dtype: Dtype) -> bool:
    """Whether the type is a float."""
    return dtype.is_float


@host_function(GROUP)
def tpu_data_type_size(dtype: Dtype) -> int:
    """Bytes of an element."""
    return dtype.itemsize


@host_function(GROUP)
def tpu_data_type_bits(dtype: Dtype) -> int:
    """Bits of an element."""
    return dtype.bits


# ---------------------------------------------------------------------------- shared


def _bank(address: int) -> int:
    return address % BM1684X.lane_bytes // BM1684X.bank_bytes


def _overlap(a: Range, b: Range) -> bool:
    return a.start <= b.end and b.start <= a.end


def _rows(start: int, channels: int) -> int:
    return compact_strides(BM1684X, (1, channels, 1, 1), start=start)[0]
