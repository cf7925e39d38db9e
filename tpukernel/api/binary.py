"""TPUKernel functions of two operands: bits, minimum and maximum, shifts. For the comparisons see `comparison`."""

from __future__ import annotations

from tpukernel.api.arguments import S8, IntDtype, LocalIn, LocalOut, ScalarArg, Stride, UnsignedDtype
from tpukernel.api.elementwise import bits_of, elementwise, shift_constant
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local
from tpukernel.chips.tensors import Constant, Dim4
from tpukernel.dtypes import Dtype
from tpukernel.isa import Arith, ArithOp, Rounding

__all__ = [
    "tpu_bdc_and",
    "tpu_bdc_and_C",
    "tpu_bdc_arithmetic_shift",
    "tpu_bdc_arithmetic_shift_C",
    "tpu_bdc_logical_shift",
    "tpu_bdc_logical_shift_C",
    "tpu_bdc_max",
    "tpu_bdc_max_C",
    "tpu_bdc_min",
    "tpu_bdc_min_C",
    "tpu_bdc_or",
    "tpu_bdc_or_C",
    "tpu_bdc_xor",
    "tpu_bdc_xor_C",
]

GROUP = "BDC binary functions"


@function(GROUP, Arith)
def tpu_bdc_and(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """dst = src0 & src1, bit by bit."""
    dst, src0 = local(dst_addr, shape, bits_of(dtype), dst_stride), local(src0_addr, shape, bits_of(dtype), src0_stride)
    return elementwise(ArithOp.AND, dst, src0, local(src1_addr, shape, bits_of(dtype), src1_stride))


@function(GROUP, Arith)
def tpu_bdc_and_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst = src & C, bit by bit; C has the bits of a number of the type."""
    bits = bits_of(dtype)
    dst, src = local(dst_addr, shape, bits, dst_stride), local(src_addr, shape, bits, src_stride)
    return elementwise(ArithOp.AND, dst, src, Constant(constant(C, dtype).bits, bits))


@function(GROUP, Arith)
def tpu_bdc_or(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """dst = src0 | src1, bit by bit."""
    dst, src0 = local(dst_addr, shape, bits_of(dtype), dst_stride), local(src0_addr, shape, bits_of(dtype), src0_stride)
    return elementwise(ArithOp.OR, dst, src0, local(src1_addr, shape, bits_of(dtype), src1_stride))


@function(GROUP, Arith)
def tpu_bdc_or_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst = src | C, bit by bit; C has the bits of a number of the type."""
    bits = bits_of(dtype)
    dst, src = local(dst_addr, shape, bits, dst_stride), local(src_addr, shape, bits, src_stride)
    return elementwise(ArithOp.OR, dst, src, Constant(constant(C, dtype).bits, bits))


@function(GROUP, Arith)
def tpu_bdc_xor(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """dst = src0 ^ src1, bit by bit."""
    dst, src0 = local(dst_addr, shape, bits_of(dtype), dst_stride), local(src0_addr, shape, bits_of(dtype), src0_stride)
    return elementwise(ArithOp.XOR, dst, src0, local(src1_addr, shape, bits_of(dtype), src1_stride))


@function(GROUP, Arith)
def tpu_bdc_xor_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst = src ^ C, bit by bit; C has the bits of a number of the type."""
    bits = bits_of(dtype)
    dst, src = local(dst_addr, shape, bits, dst_stride), local(src_addr, shape, bits, src_stride)
    return elementwise(ArithOp.XOR, dst, src, Constant(constant(C, dtype).bits, bits))


@function(GROUP, Arith)
def tpu_bdc_min(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """dst = the smaller one of src0 and src1."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.MIN, dst, src0, local(src1_addr, shape, dtype, src1_stride))


@function(GROUP, Arith)
def tpu_bdc_min_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst = the smaller one of src and C."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.MIN, dst, src, constant(C, dtype))


@function(GROUP, Arith)
def tpu_bdc_max(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: Dtype,
) -> Emitted:
    """dst = the larger one of src0 and src1."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.MAX, dst, src0, local(src1_addr, shape, dtype, src1_stride))


@function(GROUP, Arith)
def tpu_bdc_max_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype
) -> Emitted:
    """dst = the larger one of src and C."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.MAX, dst, src, constant(C, dtype))


@function(GROUP, Arith)
def tpu_bdc_arithmetic_shift(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shift_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    shift_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    shift_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = src shifted by each element of shift, to the left if positive; to the right it is rounded. dst wraps."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    shift = local(shift_addr, shape, shift_dtype, shift_stride)
    return (Arith(op=ArithOp.ARITH_SHIFT, dst=dst, src0=src, src1=shift, rounding=rounding_mode),)


@function(GROUP, Arith)
def tpu_bdc_arithmetic_shift_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: S8,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = src shifted by C, to the left if positive; to the right it is rounded. dst wraps."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return (Arith(op=ArithOp.ARITH_SHIFT, dst=dst, src0=src, src1=shift_constant(C), rounding=rounding_mode),)


@function(GROUP, Arith)
def tpu_bdc_logical_shift(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shift_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    shift_stride: Stride,
    dst_dtype: UnsignedDtype,
    src_dtype: UnsignedDtype,
    shift_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = src shifted by each element of shift, to the left if positive; to the right it is rounded, of unsigned types. dst wraps."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    shift = local(shift_addr, shape, shift_dtype, shift_stride)
    return (Arith(op=ArithOp.LOGIC_SHIFT, dst=dst, src0=src, src1=shift, rounding=rounding_mode),)


@function(GROUP, Arith)
def tpu_bdc_logical_shift_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: S8,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: UnsignedDtype,
    src_dtype: UnsignedDtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = src shifted by C, to the left if positive; to the right it is rounded, of unsigned types. dst wraps."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return (Arith(op=ArithOp.LOGIC_SHIFT, dst=dst, src0=src, src1=shift_constant(C), rounding=rounding_mode),)
