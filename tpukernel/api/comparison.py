"""TPUKernel functions that compare two operands.

A comparison writes a given value where it holds, and 0 elsewhere. The type of dst is not wider than that of the operands. Equality is
that of the bits: -0.0 is not 0.0, and a NaN is equal to the same NaN. A NaN counts as less than everything that differs from it.
"""

from __future__ import annotations

from tpukernel.api.arguments import LocalIn, LocalOut, Scalar, ScalarArg, Stride
from tpukernel.api.elementwise import elementwise, exclusive_or
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import Arith, ArithOp

__all__ = [
    "tpu_bdc_equal",
    "tpu_bdc_equal_C",
    "tpu_bdc_greater",
    "tpu_bdc_greater_C",
    "tpu_bdc_greater_equal",
    "tpu_bdc_greater_equal_C",
    "tpu_bdc_less",
    "tpu_bdc_less_C",
    "tpu_bdc_less_equal",
    "tpu_bdc_less_equal_C",
    "tpu_bdc_not_equal",
    "tpu_bdc_not_equal_C",
]

GROUP = "BDC binary functions"


@function(GROUP, Arith)
def tpu_bdc_greater(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src0 > src1, else 0."""
    dst = local(dst_addr, shape, dst_dtype, dst_stride)
    src0, src1 = local(src0_addr, shape, src_dtype, src0_stride), local(src1_addr, shape, src_dtype, src1_stride)
    return _compared(ArithOp.SELECT_GREATER, dst, src0, src1, true_val)


@function(GROUP, Arith)
def tpu_bdc_greater_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src > C, else 0."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _compared(ArithOp.SELECT_GREATER, dst, src, constant(C, src_dtype), true_val)


@function(GROUP, Arith)
def tpu_bdc_less(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src0 < src1, else 0."""
    dst = local(dst_addr, shape, dst_dtype, dst_stride)
    src0, src1 = local(src0_addr, shape, src_dtype, src0_stride), local(src1_addr, shape, src_dtype, src1_stride)
    return _compared(ArithOp.SELECT_LESS, dst, src0, src1, true_val)


@function(GROUP, Arith)
def tpu_bdc_less_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src < C, else 0."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _compared(ArithOp.SELECT_LESS, dst, src, constant(C, src_dtype), true_val)


@function(GROUP, Arith)
def tpu_bdc_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src0 == src1, else 0."""
    dst = local(dst_addr, shape, dst_dtype, dst_stride)
    src0, src1 = local(src0_addr, shape, src_dtype, src0_stride), local(src1_addr, shape, src_dtype, src1_stride)
    return _compared(ArithOp.SELECT_EQUAL, dst, src0, src1, true_val)


@function(GROUP, Arith)
def tpu_bdc_equal_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src == C, else 0."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _compared(ArithOp.SELECT_EQUAL, dst, src, constant(C, src_dtype), true_val)


@function(GROUP, Arith)
def tpu_bdc_greater_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src0 >= src1, else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst = local(dst_addr, shape, dst_dtype, dst_stride)
    src0, src1 = local(src0_addr, shape, src_dtype, src0_stride), local(src1_addr, shape, src_dtype, src1_stride)
    return _compared(ArithOp.SELECT_LESS, dst, src0, src1, true_val, negated=True)


@function(GROUP, Arith)
def tpu_bdc_greater_equal_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src >= C, else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _compared(ArithOp.SELECT_LESS, dst, src, constant(C, src_dtype), true_val, negated=True)


@function(GROUP, Arith)
def tpu_bdc_less_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src0 <= src1, else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst = local(dst_addr, shape, dst_dtype, dst_stride)
    src0, src1 = local(src0_addr, shape, src_dtype, src0_stride), local(src1_addr, shape, src_dtype, src1_stride)
    return _compared(ArithOp.SELECT_GREATER, dst, src0, src1, true_val, negated=True)


@function(GROUP, Arith)
def tpu_bdc_less_equal_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src <= C, else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _compared(ArithOp.SELECT_GREATER, dst, src, constant(C, src_dtype), true_val, negated=True)


@function(GROUP, Arith)
def tpu_bdc_not_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src0 != src1, else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst = local(dst_addr, shape, dst_dtype, dst_stride)
    src0, src1 = local(src0_addr, shape, src_dtype, src0_stride), local(src1_addr, shape, src_dtype, src1_stride)
    return _compared(ArithOp.SELECT_EQUAL, dst, src0, src1, true_val, negated=True)


@function(GROUP, Arith)
def tpu_bdc_not_equal_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    true_val: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst = true_val where src != C, else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _compared(ArithOp.SELECT_EQUAL, dst, src, constant(C, src_dtype), true_val, negated=True)


def _compared(
    op: ArithOp, dst: LocalTensor, src0: LocalTensor, src1: LocalTensor | Constant, true_val: Scalar, *, negated: bool = False
) -> Emitted:
    value = constant(true_val, dst.dtype)
    compared = elementwise(op, dst, src0, src1, src2=value)
    return (*compared, exclusive_or(dst, value)) if negated else compared
