"""TPUKernel functions: gather, scatter and select inside the lanes.

Results and parameters are EU-aligned. Indices are unsigned. In functions with is_param_repeated, param has one n; if the flag is set, it
has one channel, of which every lane holds a copy at the same byte. Every function emits one instruction.
"""

from __future__ import annotations

from dataclasses import dataclass

from tpukernel.api.arguments import Address, Int, LocalIn, LocalInOut, LocalOut, Scalar, ScalarArg
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local, need_one
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, i8, i16, u8, u16
from tpukernel.isa import Gather, GatherLine, GatherLineOp, GatherOp, lane_table, share_bank

__all__ = [
    "tpu_bdc_4bank_w_gather",
    "tpu_bdc_4bank_w_gather_exception",
    "tpu_bdc_batch_bcast_h_gather",
    "tpu_bdc_batch_bcast_h_gather_exception",
    "tpu_bdc_batch_bcast_h_scatter",
    "tpu_bdc_batch_bcast_w_gather",
    "tpu_bdc_batch_bcast_w_gather_exception",
    "tpu_bdc_batch_bcast_w_mask_select",
    "tpu_bdc_batch_bcast_w_scatter",
    "tpu_bdc_hw_gather",
    "tpu_bdc_hw_gather_exception",
    "tpu_bdc_hw_scatter",
    "tpu_bdc_w_gather",
    "tpu_bdc_w_gather_exception",
    "tpu_bdc_w_scatter",
]

GROUP = "Scatter and gather functions"

_UNSIGNED = {i8: u8, i16: u16}
"""What the chip takes an index for; of all functions only those of four banks may be given signed types."""


@dataclass(frozen=True)
class _Invalid:
    """What becomes of the elements whose index names none.

    Attributes:
        skip: an index of which all bits are set names none. Any other index has to be in range.
        fill: they get this number; without it they stay as they are.
    """

    skip: bool = False
    fill: Constant | None = None


def _invalid(fill: Scalar, dtype: Dtype, fill_const: bool) -> _Invalid:
    return _Invalid(skip=True, fill=constant(fill, dtype) if fill_const else None)


# ---------------------------------------------------------------------------- one index for all channels


@function(GROUP, Gather)
def tpu_bdc_w_gather(
    output_addr: LocalOut, param_addr: LocalIn, index_addr: LocalIn, shape: Dim4, param_w: Int, dtype: Dtype, index_dtype: Dtype
) -> Emitted:
    """output[n, c, 0, i] = param[n, c, 0, index[i]].

    shape is that of output: (n, c, 1, w); param is (n, c, 1, param_w). index is (1, w, 1, 1), compact, over
    the lanes from lane 0 on.
    """
    return _w_gather(output_addr, param_addr, index_addr, shape, param_w, dtype, index_dtype, _Invalid())


@function(GROUP, Gather)
def tpu_bdc_w_gather_exception(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    param_w: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    fill_const: bool,
) -> Emitted:
    """output[n, c, 0, i] = param[n, c, 0, index[i]]; C where all bits of index[i] are set, or output stays there without fill_const.

    Shapes and layouts are those of tpu_bdc_w_gather.
    """
    return _w_gather(output_addr, param_addr, index_addr, shape, param_w, dtype, index_dtype, _invalid(C, dtype, fill_const))


def _w_gather(
    output: Address, param: Address, index: Address, shape: Dim4, param_w: int, dtype: Dtype, index_dtype: Dtype, invalid: _Invalid
) -> Emitted:
    need_one("h", shape)
    n, c, _, w = shape
    dst, src = local(output, shape, dtype), local(param, (n, c, 1, param_w), dtype)
    return _by_one_index(GatherOp.GATHER_W, dst, src, local(index, (1, w, 1, 1), index_dtype, layout=Layout.COMPACT), invalid)


@function(GROUP, Gather)
def tpu_bdc_w_scatter(
    output_addr: LocalInOut, param_addr: LocalIn, index_addr: LocalIn, shape: Dim4, param_w: Int, dtype: Dtype, index_dtype: Dtype
) -> Emitted:
    """output[n, c, 0, index[i]] = param[n, c, 0, i], in the order of i; other elements stay as they are.

    shape is that of output: (n, c, 1, w); param is (n, c, 1, param_w). index is (1, param_w, 1, 1), compact: its elements lie over the
    lanes, from lane 0 on.
    """
    need_one("h", shape)
    n, c, _, _ = shape
    dst, src = local(output_addr, shape, dtype), local(param_addr, (n, c, 1, param_w), dtype)
    return _by_one_index(GatherOp.SCATTER_W, dst, src, local(index_addr, (1, param_w, 1, 1), index_dtype, layout=Layout.COMPACT))


@function(GROUP, Gather)
def tpu_bdc_hw_gather(
    output_addr: LocalOut, param_addr: LocalIn, index_addr: LocalIn, shape: Dim4, param_h: Int, param_w: Int, dtype: Dtype
) -> Emitted:
    """output[n, c, i] = param[n, c, index[i, 1], index[i, 0]], where i counts the h * w elements of output.

    shape is that of output; param is (n, c, param_h, param_w). index is (1, h * w, 1, 2) of u16, compact, from lane 0 on: column, then row.
    """
    return _hw_gather(output_addr, param_addr, index_addr, shape, param_h, param_w, dtype, _Invalid())


@function(GROUP, Gather)
def tpu_bdc_hw_gather_exception(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    param_h: Int,
    param_w: Int,
    dtype: Dtype,
    fill_const: bool,
) -> Emitted:
    """output[n, c, i] = param[n, c, index[i, 1], index[i, 0]]; where all bits of one of the two are set, C or what was there.

    C is written if fill_const is set. Shapes and layouts are those of tpu_bdc_hw_gather.
    """
    return _hw_gather(output_addr, param_addr, index_addr, shape, param_h, param_w, dtype, _invalid(C, dtype, fill_const))


def _hw_gather(
    output: Address, param: Address, index: Address, shape: Dim4, param_h: int, param_w: int, dtype: Dtype, invalid: _Invalid
) -> Emitted:
    n, c, h, w = shape
    dst, src = local(output, (n, c, 1, h * w), dtype), local(param, (n, c, param_h, param_w), dtype)
    return _by_one_index(GatherOp.GATHER_HW, dst, src, _pairs(index, h * w), invalid)


@function(GROUP, Gather)
def tpu_bdc_hw_scatter(
    output_addr: LocalInOut, param_addr: LocalIn, index_addr: LocalIn, shape: Dim4, param_h: Int, param_w: Int, dtype: Dtype
) -> Emitted:
    """output[n, c, index[i, 1], index[i, 0]] = param[n, c, i], where i counts the param_h * param_w elements of param, in the order of i.

    shape is that of output. index is (1, param_h * param_w, 1, 2) of u16, compact, from lane 0 on: column, then row. Other
    elements stay as they are.
    """
    n, c, _, _ = shape
    dst, src = local(output_addr, shape, dtype), local(param_addr, (n, c, 1, param_h * param_w), dtype)
    return _by_one_index(GatherOp.SCATTER_HW, dst, src, _pairs(index_addr, param_h * param_w))


def _pairs(address: Address, count: int) -> LocalTensor:
    return local(address, (1, count, 1, 2), u16, layout=Layout.COMPACT)


def _by_one_index(op: GatherOp, dst: LocalTensor, src: LocalTensor, index: LocalTensor, invalid: _Invalid = _Invalid()) -> Emitted:
    if index.address >= BM1684X.lane_bytes:
        raise ArgumentError(f"index_addr is {index.address:#x}, which is not in lane 0", help="an index for all channels starts there")
    return (Gather(op=op, dst=dst, src=src, index=index, skip_invalid=invalid.skip, fill=invalid.fill),)


# ---------------------------------------------------------------------------- an index for every channel: elements


@function(GROUP, Gather)
def tpu_bdc_batch_bcast_w_gather(
    output_addr: LocalOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    shape: Dim4,
    param_w: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
) -> Emitted:
    """output[n, c, 0, i] = param[0, c, 0, index[n, c, 0, i]].

    shape is that of output and index: (n, c, 1, w), both EU-aligned; param is (1, c, 1, param_w).
    """
    return _batch_gather(output_addr, param_addr, index_addr, shape, param_w, dtype, index_dtype, is_param_repeated, _Invalid())


@function(GROUP, Gather)
def tpu_bdc_batch_bcast_w_gather_exception(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    param_w: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
    fill_const: bool,
) -> Emitted:
    """output[n, c, 0, i] = param[0, c, 0, index[n, c, 0, i]]; where all bits of the index are set, C or what was there.

    C is written if fill_const is set. Shapes and layouts are those of tpu_bdc_batch_bcast_w_gather.
    """
    invalid = _invalid(C, dtype, fill_const)
    return _batch_gather(output_addr, param_addr, index_addr, shape, param_w, dtype, index_dtype, is_param_repeated, invalid)


def _batch_gather(
    output: Address,
    param: Address,
    index: Address,
    shape: Dim4,
    param_w: int,
    dtype: Dtype,
    index_dtype: Dtype,
    repeated: bool,
    invalid: _Invalid,
) -> Emitted:
    need_one("h", shape)
    dst, src = local(output, shape, dtype), _param(param, (1, shape[1], 1, param_w), dtype, repeated)
    which = local(index, shape, index_dtype)
    op = GatherOp.BATCH_GATHER_SHARED if share_bank(BM1684X, dst, src, which) else GatherOp.BATCH_GATHER
    return (Gather(op=op, dst=dst, src=src, index=which, skip_invalid=invalid.skip, fill=invalid.fill),)


@function(GROUP, Gather)
def tpu_bdc_batch_bcast_w_scatter(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    shape: Dim4,
    param_w: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
) -> Emitted:
    """output[n, c, 0, index[n, c, 0, i]] = param[0, c, 0, i], in the order of i; other elements stay as they are.

    shape is that of output: (n, c, 1, w); param is (1, c, 1, param_w), index (n, c, 1, param_w), EU-aligned.
    """
    need_one("h", shape)
    n, c, _, _ = shape
    dst, src = local(output_addr, shape, dtype), _param(param_addr, (1, c, 1, param_w), dtype, is_param_repeated)
    index = local(index_addr, (n, c, 1, param_w), index_dtype)
    op = GatherOp.BATCH_SCATTER_SHARED if share_bank(BM1684X, dst, src, index) else GatherOp.BATCH_SCATTER
    return (Gather(op=op, dst=dst, src=src, index=index),)


@function(GROUP, Gather)
def tpu_bdc_batch_bcast_w_mask_select(
    output_addr: LocalInOut,
    count_addr: LocalOut,
    param_addr: LocalIn,
    mask_addr: LocalIn,
    shape: Dim4,
    dtype: Dtype,
    mask_dtype: Dtype,
    is_param_repeated: bool,
) -> Emitted:
    """output[n, c, 0, :] starts with the elements of param[0, c, 0, :] whose mask[n, c, 0, :] is not 0; count[n, c, 0, 0] is their number.

    shape is that of output and mask: (n, c, 1, w); param is (1, c, 1, w), count (n, c, 1, 1) of u16, compact. The rest of output stays as
    it is.
    """
    need_one("h", shape)
    n, c, _, w = shape
    dst, src = local(output_addr, shape, dtype), _param(param_addr, (1, c, 1, w), dtype, is_param_repeated)
    mask, count = local(mask_addr, shape, mask_dtype), local(count_addr, (n, c, 1, 1), u16, layout=Layout.COMPACT)
    op = GatherOp.MASK_SELECT_SHARED if share_bank(BM1684X, dst, src, mask, count) else GatherOp.MASK_SELECT
    return (Gather(op=op, dst=dst, src=src, mask=mask, count=count),)


# ---------------------------------------------------------------------------- the same from four banks at once


@function(GROUP, Gather)
def tpu_bdc_4bank_w_gather(
    output_addr: LocalOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    shape: Dim4,
    param_w: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
) -> Emitted:
    """output[0, c, 0, i] = param[0, c, 0, index[0, c, 0, i]], where four banks of every lane hold param, so that they answer at once.

    shape is that of output and index: (1, c, 1, w); param is (1, c, 1, param_w). In every lane index lies in banks 0 to 3, output in 4 to
    7, param in 8 and 9, and the same param again at banks 10, 12 and 14; none of them may reach the end of its banks.
    """
    return _four_banks(output_addr, param_addr, index_addr, shape, param_w, dtype, index_dtype, is_param_repeated, _Invalid())


@function(GROUP, Gather)
def tpu_bdc_4bank_w_gather_exception(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    param_w: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
    fill_const: bool,
) -> Emitted:
    """As tpu_bdc_4bank_w_gather; where all bits of the index are set, output is C if fill_const is set, else it stays."""
    invalid = _invalid(C, dtype, fill_const)
    return _four_banks(output_addr, param_addr, index_addr, shape, param_w, dtype, index_dtype, is_param_repeated, invalid)


def _four_banks(
    output: Address,
    param: Address,
    index: Address,
    shape: Dim4,
    param_w: int,
    dtype: Dtype,
    index_dtype: Dtype,
    repeated: bool,
    invalid: _Invalid,
) -> Emitted:
    need_one("n", shape)
    need_one("h", shape)
    dst, which = local(output, shape, dtype), local(index, shape, _UNSIGNED.get(index_dtype, index_dtype))
    src = _param(param, (1, shape[1], 1, param_w), dtype, repeated, in_lines=not repeated)
    return (Gather(op=GatherOp.BATCH_GATHER_BANKS, dst=dst, src=src, index=which, skip_invalid=invalid.skip, fill=invalid.fill),)


# ---------------------------------------------------------------------------- an index for every channel: lines


@function(GROUP, GatherLine)
def tpu_bdc_batch_bcast_h_gather(
    output_addr: LocalOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    shape: Dim4,
    param_h: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
) -> Emitted:
    """output[n, c, h] = param[0, c, index[n, c, h, 0]], lines of w elements.

    shape is that of output: (n, c, h, w); param is (1, c, param_h, w). Their lines start at multiples of the EU bytes. index is
    (n, c, h, 1), EU-aligned.
    """
    return _h_gather(output_addr, param_addr, index_addr, shape, param_h, dtype, index_dtype, is_param_repeated, _Invalid())


@function(GROUP, GatherLine)
def tpu_bdc_batch_bcast_h_gather_exception(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    param_h: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
    fill_const: bool,
) -> Emitted:
    """output[n, c, h] = param[0, c, index[n, c, h, 0]]; where all bits of the index are set, C or what was there.

    C is written if fill_const is set. The official C model stops at such an index. Shapes and layouts are those of
    tpu_bdc_batch_bcast_h_gather.
    """
    invalid = _invalid(C, dtype, fill_const)
    return _h_gather(output_addr, param_addr, index_addr, shape, param_h, dtype, index_dtype, is_param_repeated, invalid)


def _h_gather(
    output: Address,
    param: Address,
    index: Address,
    shape: Dim4,
    param_h: int,
    dtype: Dtype,
    index_dtype: Dtype,
    repeated: bool,
    invalid: _Invalid,
) -> Emitted:
    n, c, h, w = shape
    dst, src = _in_lines(output, shape, dtype), _param(param, (1, c, param_h, w), dtype, repeated, in_lines=True)
    which = local(index, (n, c, h, 1), index_dtype)
    return (GatherLine(op=GatherLineOp.GATHER, dst=dst, src=src, index=which, skip_invalid=invalid.skip, fill=invalid.fill),)


@function(GROUP, GatherLine)
def tpu_bdc_batch_bcast_h_scatter(
    output_addr: LocalInOut,
    param_addr: LocalIn,
    index_addr: LocalIn,
    shape: Dim4,
    param_h: Int,
    dtype: Dtype,
    index_dtype: Dtype,
    is_param_repeated: bool,
) -> Emitted:
    """output[n, c, index[n, c, h, 0]] = param[0, c, h], lines of w elements, in the order of h; other lines stay as they are.

    shape is that of output: (n, c, h, w); param is (1, c, param_h, w). Their lines start at multiples of the EU bytes. index is
    (n, c, param_h, 1), EU-aligned.
    """
    n, c, _, w = shape
    dst, src = _in_lines(output_addr, shape, dtype), _param(param_addr, (1, c, param_h, w), dtype, is_param_repeated, in_lines=True)
    return (GatherLine(op=GatherLineOp.SCATTER, dst=dst, src=src, index=local(index_addr, (n, c, param_h, 1), index_dtype)),)


def _in_lines(address: Address, shape: Dim4, dtype: Dtype) -> LocalTensor:
    return local(address, shape, dtype, layout=Layout.LINE_ALIGNED)


def _param(address: Address, shape: Dim4, dtype: Dtype, repeated: bool, *, in_lines: bool = False) -> LocalTensor:
    """A param with c channels, or with one of which every lane has a copy."""
    if repeated:
        return lane_table(BM1684X, address.__index__(), shape, dtype, line_aligned=in_lines)
    return _in_lines(address, shape, dtype) if in_lines else local(address, shape, dtype)
