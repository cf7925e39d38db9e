"""TPUKernel functions: sorting, non-maximum suppression and gathering of lines on the HAU, and the host's memory.

The firmware drives the HAU while the kernel runs; a static command stream holds commands of the TIU and the GDMA only. So the functions of
the HAU work inside `executing`, where they first run what was emitted before. What they compute: `tpukernel.sim.hau`.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np

from tpukernel.api.arguments import (
    U64,
    HostBytes,
    HostMemory,
    Int,
    LocalIn,
    ScalarArg,
    SortDtype,
    Stride,
    SystemIn,
    SystemInOut,
    SystemOut,
    Uint,
)
from tpukernel.api.errors import ArgumentError
from tpukernel.api.executing import execution
from tpukernel.api.function import host_function
from tpukernel.api.operands import constant, local
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import Dtype, f32, i32, u32
from tpukernel.sim import hau
from tpukernel.sim.memory import Memory

__all__ = [
    "tpu_cache_line_size",
    "tpu_flush_cache",
    "tpu_hau_hard_nms",
    "tpu_hau_line_gather",
    "tpu_hau_soft_nms",
    "tpu_hau_sort",
    "tpu_hau_sort_general",
    "tpu_hau_sort_natural_index",
    "tpu_hau_sort_specific_index",
    "tpu_invalidate_cache",
    "tpu_kernel_memcpy",
    "tpu_kernel_memset",
    "tpu_print_local_mem_data",
]

GROUP = "HAU functions"
NOT_STATIC = "a static command stream holds commands of the TIU and the GDMA only, the HAU is driven by the firmware"
INSTEAD = "compute this part in a CPU subnet of the model, or "

CACHE_LINE_BYTES: Final = 64
"""Of the processor that runs the firmware (`tpu_cache_line_size` of the official library)."""

_GENERAL_DTYPES = (f32, i32, u32)
"""By the number that `tpu_hau_sort_general` takes."""


@host_function(GROUP)
def tpu_hau_sort(output_addr: SystemOut, input_addr: SystemIn, len: Int, K: Int, descended: bool, dtype: SortDtype) -> None:
    """The first K of `len` sorted numbers.

    Raises:
        StaticStreamError: in a recording.
        HauError: K is not from 1 to `len`, or an address is not a multiple of 4.
    """
    hau.sort(_memory("tpu_hau_sort"), int(output_addr), int(input_addr), len, K, descending=descended, dtype=dtype)


@host_function(GROUP)
def tpu_hau_sort_natural_index(
    output_data_addr: SystemOut,
    output_idx_addr: SystemOut,
    input_addr: SystemIn,
    len: Int,
    K: Int,
    descended: bool,
    dtype: SortDtype,
) -> None:
    """The first K of `len` sorted numbers and their positions (i32). Equal numbers keep their order, also when descending.

    Raises:
        StaticStreamError, HauError: as `tpu_hau_sort`.
    """
    memory = _memory("tpu_hau_sort_natural_index")
    outputs = int(output_data_addr), int(output_idx_addr)
    hau.sort_with_index(memory, *outputs, int(input_addr), None, len, K, descending=descended, dtype=dtype)


@host_function(GROUP)
def tpu_hau_sort_specific_index(
    output_data_addr: SystemOut,
    output_idx_addr: SystemOut,
    input_data_addr: SystemIn,
    input_idx_addr: SystemIn,
    len: Int,
    K: Int,
    descended: bool,
    dtype: SortDtype,
) -> None:
    """The first K of `len` sorted numbers and the 32-bit index that is given for each. Equal numbers are in the order of their unsigned
    indices, also when descending.

    Raises:
        StaticStreamError, HauError: as `tpu_hau_sort`.
    """
    memory = _memory("tpu_hau_sort_specific_index")
    outputs = int(output_data_addr), int(output_idx_addr)
    hau.sort_with_index(memory, *outputs, int(input_data_addr), int(input_idx_addr), len, K, descending=descended, dtype=dtype)


@host_function(GROUP)
def tpu_hau_sort_general(
    src_data_addr: SystemIn,
    src_idx_addr: SystemIn,
    dst_data_addr: SystemOut,
    dst_idx_addr: SystemOut,
    dtype_flags: Uint,
    len: Int,
    is_descend: bool,
    idx_enable: bool,
    idx_auto: bool,
    topk: Int,
) -> None:
    """One of the other three: without index, with positions (`idx_auto`), or with indices that are given.

    `dtype_flags` is 0 for f32, 1 for i32, 2 for u32.

    Raises:
        ArgumentError: `dtype_flags` is another number.
        StaticStreamError, HauError: as `tpu_hau_sort`.
    """
    memory = _memory("tpu_hau_sort_general")
    if dtype_flags > 2:
        raise ArgumentError(f"tpu_hau_sort_general: dtype_flags is {dtype_flags}", help="0 (f32), 1 (i32) or 2 (u32) is needed")
    data, source = int(dst_data_addr), int(src_data_addr)
    dtype = _GENERAL_DTYPES[dtype_flags]
    if not idx_enable:
        hau.sort(memory, data, source, len, topk, descending=is_descend, dtype=dtype)
        return
    index = None if idx_auto else int(src_idx_addr)
    hau.sort_with_index(memory, data, int(dst_idx_addr), source, index, len, topk, descending=is_descend, dtype=dtype)


@host_function(GROUP)
def tpu_hau_hard_nms(output_addr: SystemOut, input_addr: SystemIn, box_num: Int, keep_num: Int) -> None:
    """One bit for each box, lowest first: kept in the order of the boxes, unless a kept one before has a 0 for it in its row of the input.

    The input has box_num * box_num bytes, of which the lowest bit counts. `keep_num` ends the work; 0 means that it does not.

    Raises:
        StaticStreamError: in a recording.
        HauError: no box, or the output does not start at a multiple of 4.
    """
    hau.hard_nms(_memory("tpu_hau_hard_nms"), int(output_addr), int(input_addr), box_num, keep_num)


@host_function(GROUP)
def tpu_hau_soft_nms(
    output_addr: SystemOut, iou_addr: SystemIn, score_addr: SystemIn, threshold: float, box_num: Int, keep_num: Int
) -> None:
    """One bit for each box, lowest first: again and again the box of the largest score above the threshold, whose row of factors at
    `iou_addr` (box_num * box_num f32) then multiplies all scores. `keep_num` ends the work; 0 means that it does not.

    Scores are f32 and stay in memory as they are. Negative factors and NaNs: see `tpukernel.sim.hau.soft_nms`.

    Raises:
        StaticStreamError: in a recording.
        HauError: no box, or an address is not a multiple of 4.
    """
    addresses = int(output_addr), int(iou_addr), int(score_addr)
    hau.soft_nms(_memory("tpu_hau_soft_nms"), *addresses, threshold, box_num, keep_num)


@host_function(GROUP)
def tpu_hau_line_gather(
    output_addr: SystemOut,
    param_addr: SystemIn,
    index_addr: SystemIn,
    C: ScalarArg,
    line_num: Int,
    line_len: Int,
    index_len: Int,
    start: Int,
    end: Int,
    dtype: Dtype,
    fill_const: bool,
) -> None:
    """For each u32 index the line of that number, of `line_len` elements. `param_addr` is where line `start` begins; an index that is not
    from `start` to `end` gives a line of C, or leaves the output as it is.

    Raises:
        StaticStreamError: in a recording.
        HauError: not 0 <= start <= end < line_num, an address that is not a multiple of 64, or bits above the type of C that differ.
    """
    hau.gather_lines(
        _memory("tpu_hau_line_gather"),
        int(output_addr),
        int(param_addr),
        int(index_addr),
        constant(C, dtype),
        lines=line_num,
        length=line_len,
        count=index_len,
        start=start,
        end=end,
        fill_const=fill_const,
    )


@host_function(GROUP)
def tpu_invalidate_cache(address: SystemInOut, size: U64) -> None:
    """Nothing here: the host sees the memory itself.

    Raises:
        ArgumentError: address or size is not a multiple of the cache line, with which the firmware stops.
    """
    _check_cache("tpu_invalidate_cache", int(address), size)


@host_function(GROUP)
def tpu_flush_cache(address: SystemInOut, size: U64) -> None:
    """Nothing here: the host sees the memory itself.

    Raises:
        ArgumentError: address or size is not a multiple of the cache line, with which the firmware stops.
    """
    _check_cache("tpu_flush_cache", int(address), size)


@host_function(GROUP)
def tpu_cache_line_size() -> int:
    """Bytes of a cache line of the processor that runs the firmware."""
    return CACHE_LINE_BYTES


@host_function(GROUP)
def tpu_kernel_memcpy(dst: HostMemory, src: HostBytes, n: U64) -> memoryview:
    """Copy the first n bytes of memory of the host, and return the bytes of `dst`. Both may overlap.

    Raises:
        ArgumentError: one of them has fewer bytes.
    """
    to, source = cast("memoryview", dst), cast("memoryview", src)  # the checks have made them
    _check_size("tpu_kernel_memcpy", n, dst=to, src=source)
    to[:n] = bytes(source[:n])
    return to


@host_function(GROUP)
def tpu_kernel_memset(dst: HostMemory, c: Int, n: U64) -> memoryview:
    """Set the first n bytes of memory of the host to the lowest byte of c, and return the bytes of `dst`.

    Raises:
        ArgumentError: it has fewer bytes.
    """
    to = cast("memoryview", dst)
    _check_size("tpu_kernel_memset", n, dst=to)
    np.frombuffer(to, np.uint8)[:n] = c & 0xFF
    return to


@host_function(GROUP)
def tpu_print_local_mem_data(local_offset: LocalIn, start_idx: Uint, shape: Dim4, stride: Stride, dtype: Dtype) -> None:
    """Print a tensor in local memory, one row of w in a line: integers and floats as numbers.

    It starts at byte `local_offset` of lane `start_idx`, in the aligned layout or with strides. (C prints integers in hexadecimal.)

    Raises:
        StaticStreamError: in a recording.
        TpuError: there is no such tensor.
    """
    run = execution("tpu_print_local_mem_data", "the commands run later, there is no memory to look into yet")
    lane_bytes = run.machine.chip.lane_bytes
    if int(local_offset) >= lane_bytes:
        raise ArgumentError(f"tpu_print_local_mem_data: a lane has no byte {int(local_offset):#x}", help=f"it has {lane_bytes:#x} bytes")
    values = run.synchronize().load(local(start_idx * lane_bytes + int(local_offset), shape, dtype, stride))
    print(f"local memory, lane {start_idx}, byte {int(local_offset):#x}: {dtype}{list(shape)}")
    for n, c, h in np.ndindex(shape[:3]):
        print(f"  ({n}, {c}, {h}): {' '.join(str(value) for value in values[n, c, h].tolist())}")


def _memory(function: str) -> Memory:
    return execution(function, NOT_STATIC, INSTEAD).synchronize()


def _check_cache(function: str, address: int, size: int) -> None:
    if address % CACHE_LINE_BYTES or size % CACHE_LINE_BYTES:
        raise ArgumentError(f"{function}: {size} bytes at {address:#x}", help=f"both must be multiples of {CACHE_LINE_BYTES}")


def _check_size(function: str, count: int, **memories: memoryview) -> None:
    for name, memory in memories.items():
        if memory.nbytes < count:
            raise ArgumentError(f"{function}: {name} has {memory.nbytes} bytes, not {count}", help="give a larger array, or a smaller n")
