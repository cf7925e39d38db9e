"""TPUKernel functions that move and fill tensors."""

from __future__ import annotations

from tpukernel.api.arguments import LocalIn, LocalOut, ScalarArg, Stride
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import Arith, ArithOp, LaneMove, LaneMoveOp

__all__ = [
    "tpu_bdc_cpy",
    "tpu_bdc_cpy_cross_npu",
    "tpu_bdc_cw_trans",
    "tpu_bdc_npu_bcast",
    "tpu_bdc_set_C",
    "tpu_bdc_wc_trans",
]

GROUP = "BDC common functions"


@function(GROUP, Arith)
def tpu_bdc_cpy(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = src."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return (Arith(op=ArithOp.COPY, dst=dst, src0=src),)


@function(GROUP, LaneMove)
def tpu_bdc_cpy_cross_npu(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src, from any lane to any other; EU-aligned."""
    return _moved(LaneMoveOp.LANE_COPY, local(dst_addr, shape, dtype), local(src_addr, shape, dtype))


@function(GROUP, LaneMove)
def tpu_bdc_npu_bcast(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = the one channel of src, (n, 1, h, w), in every channel; EU-aligned."""
    n, _, h, w = shape
    return _moved(LaneMoveOp.LANE_BROADCAST, local(dst_addr, shape, dtype), local(src_addr, (n, 1, h, w), dtype))


@function(GROUP, Arith)
def tpu_bdc_set_C(dst_addr: LocalOut, C: ScalarArg, shape: Dim4, dst_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = C."""
    return (Arith(op=ArithOp.COPY, dst=local(dst_addr, shape, dtype, dst_stride), src0=constant(C, dtype)),)


@function(GROUP, LaneMove)
def tpu_bdc_cw_trans(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src with C and W exchanged.

    `shape` is that of dst, whose lines each start at a multiple of the EU bytes; src is EU-aligned and starts in lane 0.
    """
    n, c, h, w = shape
    dst = local(dst_addr, shape, dtype, layout=Layout.LINE_ALIGNED)
    return _moved(LaneMoveOp.CW_TRANSPOSE, dst, local(src_addr, (n, w, h, c), dtype))


@function(GROUP, LaneMove)
def tpu_bdc_wc_trans(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src with C and W exchanged.

    `shape` is that of dst, which starts in lane 0; both are EU-aligned.
    """
    n, c, h, w = shape
    return _moved(LaneMoveOp.WC_TRANSPOSE, local(dst_addr, shape, dtype), local(src_addr, (n, w, h, c), dtype))


def _moved(op: LaneMoveOp, dst: LocalTensor, src: LocalTensor) -> Emitted:
    return (LaneMove(op=op, dst=dst, src=src),)
