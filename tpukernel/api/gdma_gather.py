"""TPUKernel functions of the GDMA engine: lines chosen by an index, elements chosen by a mask, positions of elements that are not 0.

Every function emits one instruction. An index or mask is in local memory if a flag says so: its address is then a local address, or, as C
code has it, the system address of local memory. The w strides of lines and the h stride of their index are 1.
"""

from __future__ import annotations

from dataclasses import replace

from tpukernel.api.arguments import (
    Address,
    AddressIn,
    Int,
    LocalIn,
    LocalInOut,
    LocalOut,
    ScalarArg,
    Stride,
    SystemIn,
    SystemInOut,
    SystemOut,
    Uint,
)
from tpukernel.api.errors import ArgumentError
from tpukernel.api.executing import Execution, execution
from tpukernel.api.function import Emitted, function, host_function
from tpukernel.api.gdma_operands import Memory, alike, anywhere, filling, need_unit_stride, system
from tpukernel.api.operands import local, need_one
from tpukernel.chips.tensors import Constant, Dim4, SystemTensor
from tpukernel.dtypes import Dtype, u32
from tpukernel.isa import DmaGather, DmaMaskedSelect, DmaNonzero, DmaScatter

__all__ = [
    "tpu_gdma_get_filter_num",
    "tpu_gdma_h_gather_L2L",
    "tpu_gdma_h_gather_L2S",
    "tpu_gdma_h_gather_S2L",
    "tpu_gdma_h_gather_S2S",
    "tpu_gdma_h_scatter_L2L",
    "tpu_gdma_h_scatter_L2S",
    "tpu_gdma_h_scatter_S2L",
    "tpu_gdma_h_scatter_S2S",
    "tpu_gdma_mask_select_L2S",
    "tpu_gdma_mask_select_S2S",
    "tpu_gdma_mask_select_S2S_with_ret",
    "tpu_gdma_nonzero_L2S",
    "tpu_gdma_nonzero_S2S",
]

GROUP = "GDMA functions"

NOT_STATIC = "the commands run later, and no number of elements is known yet"


# ---------------------------------------------------------------------------- gather


@function(GROUP, DmaGather)
def tpu_gdma_h_gather_S2L(
    output_addr: LocalOut,
    param_addr: SystemIn,
    index_addr: AddressIn,
    index_is_local: bool,
    C: ScalarArg,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, h] = param[0, c, index[0, c, h, 0]], lines of w elements; C where the index is param_h or more.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, h, 1) of u32.
    """
    output, param = local(output_addr, shape, dtype, output_stride), system(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _gather(output, param, _index(index_addr, index_is_local, shape, shape[2], index_stride), filling(C, dtype))


@function(GROUP, DmaGather)
def tpu_gdma_h_gather_L2S(
    output_addr: SystemOut,
    param_addr: LocalIn,
    index_addr: AddressIn,
    index_is_local: bool,
    C: ScalarArg,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, h] = param[0, c, index[0, c, h, 0]], lines of w elements; C where the index is param_h or more.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, h, 1) of u32.
    """
    output, param = system(output_addr, shape, dtype, output_stride), local(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _gather(output, param, _index(index_addr, index_is_local, shape, shape[2], index_stride), filling(C, dtype))


@function(GROUP, DmaGather)
def tpu_gdma_h_gather_L2L(
    output_addr: LocalOut,
    param_addr: LocalIn,
    index_addr: AddressIn,
    index_is_local: bool,
    C: ScalarArg,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, h] = param[0, c, index[0, c, h, 0]], lines of w elements; C where the index is param_h or more.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, h, 1) of u32.
    """
    output, param = local(output_addr, shape, dtype, output_stride), local(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _gather(output, param, _index(index_addr, index_is_local, shape, shape[2], index_stride), filling(C, dtype))


@function(GROUP, DmaGather)
def tpu_gdma_h_gather_S2S(
    output_addr: SystemOut,
    param_addr: SystemIn,
    index_addr: AddressIn,
    index_is_local: bool,
    C: ScalarArg,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, h] = param[0, c, index[0, c, h, 0]], lines of w elements; C where the index is param_h or more.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, h, 1) of u32.
    """
    output, param = system(output_addr, shape, dtype, output_stride), system(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _gather(output, param, _index(index_addr, index_is_local, shape, shape[2], index_stride), filling(C, dtype))


def _lines(shape: Dim4, rows: int) -> Dim4:
    n, c, _, w = shape
    return n, c, rows, w


def _index(address: Address, in_lanes: bool, shape: Dim4, rows: int, stride: Dim4 | None) -> Memory:
    need_one("n", shape)
    index = anywhere("index_addr", address, in_lanes, (1, shape[1], rows, 1), u32, stride)
    need_unit_stride("h", index=index)
    if stride is not None and 0 < stride[1] < rows:
        raise ArgumentError(f"the c stride of index is {stride[1]}, but it has {rows} rows", help="give 0 for one channel, or as many")
    return index


def _gather(output: Memory, param: Memory, index: Memory, fill: Constant) -> Emitted:
    need_unit_stride("w", output=output, param=param)
    output, param, index = alike(output, param, index)
    return (DmaGather(dst=output, src=param, index=index, fill=fill),)


# ---------------------------------------------------------------------------- scatter


@function(GROUP, DmaScatter)
def tpu_gdma_h_scatter_S2L(
    output_addr: LocalInOut,
    param_addr: SystemIn,
    index_addr: AddressIn,
    index_is_local: bool,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, index[0, c, h, 0]] = param[0, c, h], lines of w elements, in the order of h; other lines stay as they are.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, param_h, 1) of u32.
    """
    output, param = local(output_addr, shape, dtype, output_stride), system(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _scatter(*alike(output, param, _index(index_addr, index_is_local, shape, param_h, index_stride)))


@function(GROUP, DmaScatter)
def tpu_gdma_h_scatter_L2S(
    output_addr: SystemInOut,
    param_addr: LocalIn,
    index_addr: AddressIn,
    index_is_local: bool,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, index[0, c, h, 0]] = param[0, c, h], lines of w elements, in the order of h; other lines stay as they are.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, param_h, 1) of u32. A param or index whose c stride is
    given as 0 counts as one channel for all. Where both have c stride 0, the library writes the first channel of output only.
    """
    index = _index(index_addr, index_is_local, shape, param_h, index_stride)
    param = local(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _scatter(*_one_channel_for_all(*alike(system(output_addr, shape, dtype, output_stride), param, index)))


@function(GROUP, DmaScatter)
def tpu_gdma_h_scatter_L2L(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: AddressIn,
    index_is_local: bool,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, index[0, c, h, 0]] = param[0, c, h], lines of w elements, in the order of h; other lines stay as they are.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, param_h, 1) of u32.
    """
    output, param = local(output_addr, shape, dtype, output_stride), local(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _scatter(*alike(output, param, _index(index_addr, index_is_local, shape, param_h, index_stride)))


@function(GROUP, DmaScatter)
def tpu_gdma_h_scatter_S2S(
    output_addr: SystemInOut,
    param_addr: SystemIn,
    index_addr: AddressIn,
    index_is_local: bool,
    shape: Dim4,
    param_h: Int,
    output_stride: Stride,
    param_stride: Stride,
    index_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """output[0, c, index[0, c, h, 0]] = param[0, c, h], lines of w elements, in the order of h; other lines stay as they are.

    shape is that of output: (1, c, h, w); param is (1, c, param_h, w), index (1, c, param_h, 1) of u32.
    """
    output, param = system(output_addr, shape, dtype, output_stride), system(param_addr, _lines(shape, param_h), dtype, param_stride)
    return _scatter(*alike(output, param, _index(index_addr, index_is_local, shape, param_h, index_stride)))


def _one_channel_for_all(output: Memory, param: Memory, index: Memory) -> tuple[Memory, Memory, Memory]:
    """The operands where c stride 0 says one channel."""
    param, index = (_channels(each, 1) if each.strides is not None and each.strides[1] == 0 else each for each in (param, index))
    return _channels(output, max(param.shape[1], index.shape[1])), param, index


def _channels(tensor: Memory, c: int) -> Memory:
    n, _, h, w = tensor.shape
    return replace(tensor, shape=(n, c, h, w))


def _scatter(output: Memory, param: Memory, index: Memory) -> Emitted:
    need_unit_stride("w", output=output, param=param)
    return (DmaScatter(dst=output, src=param, index=index),)


# ---------------------------------------------------------------------------- elements


@function(GROUP, DmaMaskedSelect)
def tpu_gdma_mask_select_L2S(
    dst_addr: SystemInOut, src_addr: LocalIn, mask_addr: AddressIn, mask_in_lmem: bool, shape: Dim4, data_dtype: Dtype, mask_dtype: Dtype
) -> Emitted:
    """dst = the elements of src whose mask is not 0, in the order of (n, c, h, w), without gaps.

    What lies behind the last of them stays as it is; their number is written nowhere. src and a mask in local memory are EU-aligned.
    """
    mask = anywhere("mask_addr", mask_addr, mask_in_lmem, shape, mask_dtype)
    return _select(dst_addr, local(src_addr, shape, data_dtype), mask)


@function(GROUP, DmaMaskedSelect)
def tpu_gdma_mask_select_S2S(
    dst_addr: SystemInOut, src_addr: SystemIn, mask_addr: AddressIn, mask_in_lmem: bool, shape: Dim4, data_dtype: Dtype, mask_dtype: Dtype
) -> Emitted:
    """dst = the elements of src whose mask is not 0, in the order of (n, c, h, w), without gaps.

    What lies behind the last of them stays as it is; their number is written nowhere. A mask in local memory is EU-aligned.
    """
    mask = anywhere("mask_addr", mask_addr, mask_in_lmem, shape, mask_dtype)
    return _select(dst_addr, system(src_addr, shape, data_dtype), mask)


def _select(dst: Address, src: Memory, mask: Memory) -> Emitted:
    return (DmaMaskedSelect(dst=SystemTensor(dst.__index__(), src.shape, src.dtype), src=src, mask=mask),)


@host_function(GROUP)
def tpu_gdma_mask_select_S2S_with_ret(
    dst_addr: SystemInOut, src_addr: SystemIn, mask_addr: AddressIn, mask_in_lmem: bool, shape: Dim4, data_dtype: Dtype, mask_dtype: Dtype
) -> int:
    """As tpu_gdma_mask_select_S2S, and returns the number of selected elements, inside of `executing`.

    Raises:
        StaticStreamError: in a recording: the number exists only when the chip has run.
    """
    run = execution("tpu_gdma_mask_select_S2S_with_ret", NOT_STATIC)
    tpu_gdma_mask_select_S2S(dst_addr, src_addr, mask_addr, mask_in_lmem, shape, data_dtype, mask_dtype)
    return _take_filter_num(run)


@host_function(GROUP)
def tpu_gdma_get_filter_num() -> int:
    """The number of elements that the last mask select or nonzero function found, inside of `executing`; 0 the next time (measured).

    Raises:
        StaticStreamError: in a recording: the number exists only when the chip has run.
    """
    return _take_filter_num(execution("tpu_gdma_get_filter_num", NOT_STATIC))


def _take_filter_num(run: Execution) -> int:
    memory = run.synchronize()
    number, memory.filter_num = memory.filter_num, 0
    return number


@function(GROUP, DmaNonzero)
def tpu_gdma_nonzero_L2S(dst_addr: SystemInOut, src_addr: LocalIn, shape: Dim4, data_dtype: Dtype, base_idx: Uint) -> Emitted:
    """dst = base_idx plus the positions, in the order of (n, c, h, w), of the elements of src that are not 0; u32, without gaps.

    What lies behind the last of them stays as it is; their number is written nowhere. src is EU-aligned.
    """
    return _nonzero(dst_addr, local(src_addr, shape, data_dtype), base_idx)


@function(GROUP, DmaNonzero)
def tpu_gdma_nonzero_S2S(dst_addr: SystemInOut, src_addr: SystemIn, shape: Dim4, data_dtype: Dtype, base_idx: Uint) -> Emitted:
    """dst = base_idx plus the positions, in the order of (n, c, h, w), of the elements of src that are not 0; u32, without gaps.

    What lies behind the last of them stays as it is; their number is written nowhere.
    """
    return _nonzero(dst_addr, system(src_addr, shape, data_dtype), base_idx)


def _nonzero(dst: Address, src: Memory, base: int) -> Emitted:
    return (DmaNonzero(dst=SystemTensor(dst.__index__(), src.shape, u32), src=src, base_index=base),)
