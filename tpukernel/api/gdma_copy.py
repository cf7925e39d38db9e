"""TPUKernel functions of the GDMA engine: copies and transposes of tensors, broadcast to lanes, fills, and linear copies.

The last letters of a name say where the operands are: `S2L` copies from system memory (DDR or L2) to local memory. Every function emits one
instruction.
"""

from __future__ import annotations

from dataclasses import replace

from tpukernel.api.arguments import LocalIn, LocalOut, ScalarArg, Stride, SystemIn, SystemOut, Uint
from tpukernel.api.function import Emitted, function
from tpukernel.api.gdma_operands import Memory, alike, explicit, filling, in_lane_0, need_unit_stride, system
from tpukernel.api.operands import local
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype
from tpukernel.isa import DmaCwTranspose, DmaGeneral, DmaTensor, DmaTensorOp
from tpukernel.isa.format import Bits

__all__ = [
    "tpu_gdma_channel_bcast_L2L",
    "tpu_gdma_channel_bcast_S2L",
    "tpu_gdma_compact_L2S",
    "tpu_gdma_compact_S2L",
    "tpu_gdma_compact_nc_trans_L2S",
    "tpu_gdma_compact_nc_trans_S2L",
    "tpu_gdma_cpy_L2L",
    "tpu_gdma_cpy_L2S",
    "tpu_gdma_cpy_S2L",
    "tpu_gdma_cpy_S2S",
    "tpu_gdma_cpy_cw_trans_L2L",
    "tpu_gdma_cpy_cw_trans_L2S",
    "tpu_gdma_cpy_cw_trans_S2L",
    "tpu_gdma_cpy_cw_trans_S2S",
    "tpu_gdma_cpy_nc_trans_L2L",
    "tpu_gdma_cpy_nc_trans_L2S",
    "tpu_gdma_cpy_nc_trans_S2L",
    "tpu_gdma_cpy_nc_trans_S2S",
    "tpu_gdma_general_cpy_L2S",
    "tpu_gdma_general_cpy_S2L",
    "tpu_gdma_set_C_local",
    "tpu_gdma_set_C_system",
    "tpu_gdma_system_cpy",
]

GROUP = "GDMA functions"


# ---------------------------------------------------------------------------- copies


@function(GROUP, DmaTensor)
def tpu_gdma_general_cpy_S2L(
    dst_addr: LocalOut, src_addr: SystemIn, dst_shape: Dim4, src_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst = src, element by element in the order of (n, c, h, w): the shapes need only have the same number of elements."""
    return _copy(local(dst_addr, dst_shape, dtype, dst_stride), system(src_addr, src_shape, dtype, src_stride))


@function(GROUP, DmaTensor)
def tpu_gdma_general_cpy_L2S(
    dst_addr: SystemOut, src_addr: LocalIn, dst_shape: Dim4, src_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst = src, element by element in the order of (n, c, h, w): the shapes need only have the same number of elements."""
    return _copy(system(dst_addr, dst_shape, dtype, dst_stride), local(src_addr, src_shape, dtype, src_stride))


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_S2L(dst_addr: LocalOut, src_addr: SystemIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = src.

    Without strides dst is EU-aligned, with the n stride of a tensor that starts in lane 0: give strides for several n that start in
    another lane.
    """
    return _copy(in_lane_0(dst_addr, shape, dtype, dst_stride), system(src_addr, shape, dtype, src_stride), one_shape=True)


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_L2S(dst_addr: SystemOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = src.

    Without strides src is EU-aligned, with the n stride of a tensor that starts in lane 0: give strides for several n that start in
    another lane.
    """
    return _copy(system(dst_addr, shape, dtype, dst_stride), in_lane_0(src_addr, shape, dtype, src_stride), one_shape=True)


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_L2L(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = src; the start lanes may differ."""
    return _copy(local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride))


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_S2S(dst_addr: SystemOut, src_addr: SystemIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = src."""
    return _copy(system(dst_addr, shape, dtype, dst_stride), system(src_addr, shape, dtype, src_stride))


def _copy(dst: Memory, src: Memory, *, one_shape: bool = False) -> Emitted:
    return (DmaTensor(dst=explicit(dst), src=explicit(src), one_shape=one_shape),)


@function(GROUP, DmaTensor)
def tpu_gdma_compact_S2L(dst_addr: LocalOut, src_addr: SystemIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src, where dst is compact (channels without gaps, as bias and coefficients lie)."""
    return _copy(local(dst_addr, shape, dtype, layout=Layout.COMPACT), system(src_addr, shape, dtype), one_shape=True)


@function(GROUP, DmaTensor)
def tpu_gdma_compact_L2S(dst_addr: SystemOut, src_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src, where src is compact (channels without gaps)."""
    return _copy(system(dst_addr, shape, dtype), local(src_addr, shape, dtype, layout=Layout.COMPACT), one_shape=True)


# ---------------------------------------------------------------------------- exchange of n and c


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_nc_trans_S2L(
    dst_addr: LocalOut, src_addr: SystemIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c] = src[c, n], planes of h x w; src has dst_shape with n and c exchanged. The w strides count as 1."""
    return _nc_trans(
        *alike(local(dst_addr, dst_shape, dtype, dst_stride), system(src_addr, _nc_swapped(dst_shape), dtype, src_stride)), one_shape=True
    )


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_nc_trans_L2S(
    dst_addr: SystemOut, src_addr: LocalIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c] = src[c, n], planes of h x w; src has dst_shape with n and c exchanged. The w strides count as 1."""
    return _nc_trans(
        *alike(system(dst_addr, dst_shape, dtype, dst_stride), local(src_addr, _nc_swapped(dst_shape), dtype, src_stride)), one_shape=True
    )


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_nc_trans_L2L(
    dst_addr: LocalOut, src_addr: LocalIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c] = src[c, n], planes of h x w; src has dst_shape with n and c exchanged. The w strides count as 1."""
    dst, src = local(dst_addr, dst_shape, dtype, dst_stride), local(src_addr, _nc_swapped(dst_shape), dtype, src_stride)
    return _nc_trans(explicit(dst), explicit(src))


@function(GROUP, DmaTensor)
def tpu_gdma_cpy_nc_trans_S2S(
    dst_addr: SystemOut, src_addr: SystemIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c] = src[c, n], planes of h x w; src has dst_shape with n and c exchanged. The w strides count as 1."""
    dst, src = system(dst_addr, dst_shape, dtype, dst_stride), system(src_addr, _nc_swapped(dst_shape), dtype, src_stride)
    return _nc_trans(explicit(dst), explicit(src))


@function(GROUP, DmaTensor)
def tpu_gdma_compact_nc_trans_S2L(dst_addr: LocalOut, src_addr: SystemIn, dst_shape: Dim4, dtype: Dtype) -> Emitted:
    """dst[n, c] = src[c, n], planes of h x w, where dst is compact; src has dst_shape with n and c exchanged."""
    dst, src = local(dst_addr, dst_shape, dtype, layout=Layout.COMPACT), system(src_addr, _nc_swapped(dst_shape), dtype)
    return _nc_trans(explicit(dst), explicit(src), one_shape=True)


@function(GROUP, DmaTensor)
def tpu_gdma_compact_nc_trans_L2S(dst_addr: SystemOut, src_addr: LocalIn, dst_shape: Dim4, dtype: Dtype) -> Emitted:
    """dst[n, c] = src[c, n], planes of h x w, where src is compact; src has dst_shape with n and c exchanged."""
    dst, src = system(dst_addr, dst_shape, dtype), local(src_addr, _nc_swapped(dst_shape), dtype, layout=Layout.COMPACT)
    return _nc_trans(explicit(dst), explicit(src), one_shape=True)


def _nc_swapped(shape: Dim4) -> Dim4:
    n, c, h, w = shape
    return c, n, h, w


def _nc_trans(dst: Memory, src: Memory, *, one_shape: bool = False) -> Emitted:
    return (DmaTensor(op=DmaTensorOp.TRANSPOSE, dst=dst, src=src, one_shape=one_shape),)


# ---------------------------------------------------------------------------- exchange of c and w


@function(GROUP, DmaCwTranspose)
def tpu_gdma_cpy_cw_trans_S2L(
    dst_addr: LocalOut, src_addr: SystemIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c, h, w] = src[n, w, h, c]; src has dst_shape with c and w exchanged. The w strides are 1."""
    return _cw_trans(local(dst_addr, dst_shape, dtype, dst_stride), system(src_addr, _cw_swapped(dst_shape), dtype, src_stride))


@function(GROUP, DmaCwTranspose)
def tpu_gdma_cpy_cw_trans_L2S(
    dst_addr: SystemOut, src_addr: LocalIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c, h, w] = src[n, w, h, c]; src has dst_shape with c and w exchanged. The w strides are 1."""
    return _cw_trans(system(dst_addr, dst_shape, dtype, dst_stride), local(src_addr, _cw_swapped(dst_shape), dtype, src_stride))


@function(GROUP, DmaCwTranspose)
def tpu_gdma_cpy_cw_trans_L2L(
    dst_addr: LocalOut, src_addr: LocalIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c, h, w] = src[n, w, h, c]; src has dst_shape with c and w exchanged. The w strides are 1."""
    return _cw_trans(local(dst_addr, dst_shape, dtype, dst_stride), local(src_addr, _cw_swapped(dst_shape), dtype, src_stride))


@function(GROUP, DmaCwTranspose)
def tpu_gdma_cpy_cw_trans_S2S(
    dst_addr: SystemOut, src_addr: SystemIn, dst_shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c, h, w] = src[n, w, h, c]; src has dst_shape with c and w exchanged. The w strides are 1."""
    return _cw_trans(system(dst_addr, dst_shape, dtype, dst_stride), system(src_addr, _cw_swapped(dst_shape), dtype, src_stride))


def _cw_swapped(shape: Dim4) -> Dim4:
    n, c, h, w = shape
    return n, w, h, c


def _cw_trans(dst: Memory, src: Memory) -> Emitted:
    need_unit_stride("w", dst=dst, src=src)
    dst, src = alike(dst, src)
    return (DmaCwTranspose(dst=dst, src=src),)


# ---------------------------------------------------------------------------- one channel to several lanes


@function(GROUP, DmaTensor)
def tpu_gdma_channel_bcast_S2L(
    dst_addr: LocalOut, src_addr: SystemIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c] = src[n, 0] in c lanes from the start lane on, at most up to the last one.

    src is (n, 1, h, w). The w strides are 1, and the c strides do not count.
    """
    return _channel_bcast(local(dst_addr, shape, dtype, dst_stride), system(src_addr, _one_channel(shape), dtype, src_stride))


@function(GROUP, DmaTensor)
def tpu_gdma_channel_bcast_L2L(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst[n, c] = src[n, 0] in c lanes from the start lane on, at most up to the last one.

    src is (n, 1, h, w). The w strides are 1, and the c strides do not count.
    """
    return _channel_bcast(local(dst_addr, shape, dtype, dst_stride), local(src_addr, _one_channel(shape), dtype, src_stride))


def _one_channel(shape: Dim4) -> Dim4:
    n, _, h, w = shape
    return n, 1, h, w


def _channel_bcast(dst: Memory, src: Memory) -> Emitted:
    need_unit_stride("w", dst=dst, src=src)
    dst, src = (_without_c_and_w(tensor) for tensor in alike(dst, src))
    return (DmaTensor(op=DmaTensorOp.BROADCAST, dst=dst, src=src),)


def _without_c_and_w(tensor: Memory) -> Memory:
    """The command has no strides of c and w."""
    if tensor.strides is None:
        return tensor
    n, _, h, _ = tensor.strides
    return replace(tensor, strides=(n, 0, h, 1))


# ---------------------------------------------------------------------------- fills


@function(GROUP, DmaTensor)
def tpu_gdma_set_C_local(dst_addr: LocalOut, C: ScalarArg, shape: Dim4, dst_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = C.

    Without strides dst is EU-aligned, with the n stride of a tensor that starts in lane 0: give strides for several n that start in
    another lane.
    """
    return (DmaTensor(dst=in_lane_0(dst_addr, shape, dtype, dst_stride), src=filling(C, dtype)),)


@function(GROUP, DmaTensor)
def tpu_gdma_set_C_system(dst_addr: SystemOut, C: ScalarArg, shape: Dim4, dst_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = C. The library leaves the n and c stride in the source address of the command, which a fill does not read."""
    dst = system(dst_addr, shape, dtype, dst_stride)
    n, c, _, _ = explicit(dst).strides or shape
    return (_with_source_address(DmaTensor(dst=explicit(dst), src=filling(C, dtype)), c << 32 | n),)


def _with_source_address(fill: DmaTensor, leftover: int) -> DmaTensor:
    bits = fill.encoded(BM1684X)
    low = bits.format.fields["src_start_addr_l32"][0]
    return DmaTensor.view(Bits(bits.format, bits.record | leftover << low))


# ---------------------------------------------------------------------------- linear


@function(GROUP, DmaGeneral)
def tpu_gdma_system_cpy(dst_addr: SystemOut, src_addr: SystemIn, count: Uint, dtype: Dtype) -> Emitted:
    """dst = src: count elements one after the other. dst and src may also be the system addresses of local memory, lane after lane."""
    dst, src = (system(address, (1, 1, 1, count), dtype) for address in (dst_addr, src_addr))
    return (DmaGeneral(dst=dst, src=src),)
