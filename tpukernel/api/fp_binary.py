"""TPUKernel functions of two floating-point operands: sums, products, quotients. For the powers see `transcendental`."""

from __future__ import annotations

from tpukernel.api.arguments import F32Dtype, FloatDtype, Int, LocalIn, LocalInOut, LocalOut, ScalarArg, Stride
from tpukernel.api.elementwise import elementwise
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local
from tpukernel.api.series import DIVISION_STEPS, c_float
from tpukernel.chips.tensors import Constant, Dim4
from tpukernel.dtypes import f32
from tpukernel.isa import Arith, ArithOp

__all__ = [
    "tpu_bdc_fp32_C_div",
    "tpu_bdc_fp32_div",
    "tpu_bdc_fp32_div_C",
    "tpu_bdc_fp32_mac",
    "tpu_bdc_fp32_mac_C",
    "tpu_bdc_fp32_tunable_C_div",
    "tpu_bdc_fp32_tunable_div",
    "tpu_bdc_fp32_tunable_div_C",
    "tpu_bdc_fp_C_div",
    "tpu_bdc_fp_C_sub",
    "tpu_bdc_fp_add",
    "tpu_bdc_fp_add_C",
    "tpu_bdc_fp_diff_abs",
    "tpu_bdc_fp_diff_abs_C",
    "tpu_bdc_fp_div",
    "tpu_bdc_fp_div_C",
    "tpu_bdc_fp_mul",
    "tpu_bdc_fp_mul_C",
    "tpu_bdc_fp_square",
    "tpu_bdc_fp_sub",
    "tpu_bdc_fp_sub_C",
    "tpu_bdc_fp_tunable_C_div",
    "tpu_bdc_fp_tunable_div",
    "tpu_bdc_fp_tunable_div_C",
]

GROUP = "BDC floating-point binary functions"


@function(GROUP, Arith)
def tpu_bdc_fp_add(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: FloatDtype,
) -> Emitted:
    """dst = src0 + src1."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.ADD, dst, src0, local(src1_addr, shape, dtype, src1_stride))


@function(GROUP, Arith)
def tpu_bdc_fp_add_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = src + C."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.ADD, dst, src, constant(C, dtype))


@function(GROUP, Arith)
def tpu_bdc_fp_sub(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: FloatDtype,
) -> Emitted:
    """dst = src0 - src1."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.SUB, dst, src0, local(src1_addr, shape, dtype, src1_stride))


@function(GROUP, Arith)
def tpu_bdc_fp_sub_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = src - C."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.SUB, dst, src, constant(C, dtype))


@function(GROUP, Arith)
def tpu_bdc_fp_C_sub(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = C - src."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.SUB, dst, constant(C, dtype), src)


@function(GROUP, Arith)
def tpu_bdc_fp_mul(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: FloatDtype,
) -> Emitted:
    """dst = src0 * src1."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.MUL, dst, src0, local(src1_addr, shape, dtype, src1_stride))


@function(GROUP, Arith)
def tpu_bdc_fp_mul_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = src * C."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.MUL, dst, src, constant(C, dtype))


@function(GROUP, Arith)
def tpu_bdc_fp_square(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = src * src."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.MUL, dst, src, src)


@function(GROUP, Arith)
def tpu_bdc_fp32_div(
    dst_addr: LocalOut, src0_addr: LocalIn, src1_addr: LocalIn, shape: Dim4, dst_stride: Stride, src0_stride: Stride, src1_stride: Stride
) -> Emitted:
    """dst = src0 / src1 by three Newton steps, f32.

    Largest error measured: 5.4 ULP.
    """
    dst, src0 = local(dst_addr, shape, f32, dst_stride), local(src0_addr, shape, f32, src0_stride)
    return elementwise(ArithOp.DIV, dst, src0, local(src1_addr, shape, f32, src1_stride), iterations=DIVISION_STEPS)


@function(GROUP, Arith)
def tpu_bdc_fp32_div_C(dst_addr: LocalOut, src_addr: LocalIn, C: float, shape: Dim4, dst_stride: Stride, src_stride: Stride) -> Emitted:
    """dst = src / C by three Newton steps, f32."""
    dst, src = local(dst_addr, shape, f32, dst_stride), local(src_addr, shape, f32, src_stride)
    return elementwise(ArithOp.DIV, dst, src, Constant.of(c_float(C), f32), iterations=DIVISION_STEPS)


@function(GROUP, Arith)
def tpu_bdc_fp32_C_div(dst_addr: LocalOut, src_addr: LocalIn, C: float, shape: Dim4, dst_stride: Stride, src_stride: Stride) -> Emitted:
    """dst = C / src by three Newton steps, f32."""
    dst, src = local(dst_addr, shape, f32, dst_stride), local(src_addr, shape, f32, src_stride)
    return elementwise(ArithOp.DIV, dst, Constant.of(c_float(C), f32), src, iterations=DIVISION_STEPS)


@function(GROUP, Arith)
def tpu_bdc_fp32_tunable_div(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    num_iter: Int,
) -> Emitted:
    """dst = src0 / src1 by 1 to 4 Newton steps, f32.

    Largest error measured: 58600, 156, 5.4 and 4.3 ULP with 1, 2, 3 and 4 steps.
    """
    dst, src0 = local(dst_addr, shape, f32, dst_stride), local(src0_addr, shape, f32, src0_stride)
    return elementwise(ArithOp.DIV, dst, src0, local(src1_addr, shape, f32, src1_stride), iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp32_tunable_div_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: float, shape: Dim4, dst_stride: Stride, src_stride: Stride, num_iter: Int
) -> Emitted:
    """dst = src / C by 1 to 4 Newton steps, f32."""
    dst, src = local(dst_addr, shape, f32, dst_stride), local(src_addr, shape, f32, src_stride)
    return elementwise(ArithOp.DIV, dst, src, Constant.of(c_float(C), f32), iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp32_tunable_C_div(
    dst_addr: LocalOut, src_addr: LocalIn, C: float, shape: Dim4, dst_stride: Stride, src_stride: Stride, num_iter: Int
) -> Emitted:
    """dst = C / src by 1 to 4 Newton steps, f32."""
    dst, src = local(dst_addr, shape, f32, dst_stride), local(src_addr, shape, f32, src_stride)
    return elementwise(ArithOp.DIV, dst, Constant.of(c_float(C), f32), src, iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp_div(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: F32Dtype,
) -> Emitted:
    """dst = src0 / src1 by three Newton steps, f32 only."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.DIV, dst, src0, local(src1_addr, shape, dtype, src1_stride), iterations=DIVISION_STEPS)


@function(GROUP, Arith)
def tpu_bdc_fp_div_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: F32Dtype
) -> Emitted:
    """dst = src / C by three Newton steps, f32 only."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.DIV, dst, src, constant(C, dtype), iterations=DIVISION_STEPS)


@function(GROUP, Arith)
def tpu_bdc_fp_C_div(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: F32Dtype
) -> Emitted:
    """dst = C / src by three Newton steps, f32 only."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.DIV, dst, constant(C, dtype), src, iterations=DIVISION_STEPS)


@function(GROUP, Arith)
def tpu_bdc_fp_tunable_div(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: F32Dtype,
    num_iter: Int,
) -> Emitted:
    """dst = src0 / src1 by 1 to 4 Newton steps, f32 only."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.DIV, dst, src0, local(src1_addr, shape, dtype, src1_stride), iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp_tunable_div_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: F32Dtype, num_iter: Int
) -> Emitted:
    """dst = src / C by 1 to 4 Newton steps, f32 only."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.DIV, dst, src, constant(C, dtype), iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp_tunable_C_div(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: F32Dtype, num_iter: Int
) -> Emitted:
    """dst = C / src by 1 to 4 Newton steps, f32 only."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.DIV, dst, constant(C, dtype), src, iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp32_mac(
    dst_addr: LocalInOut, src0_addr: LocalIn, src1_addr: LocalIn, shape: Dim4, dst_stride: Stride, src0_stride: Stride, src1_stride: Stride
) -> Emitted:
    """dst = dst + src0 * src1, f32."""
    dst, src0 = local(dst_addr, shape, f32, dst_stride), local(src0_addr, shape, f32, src0_stride)
    return elementwise(ArithOp.MAC, dst, src0, local(src1_addr, shape, f32, src1_stride))


@function(GROUP, Arith)
def tpu_bdc_fp32_mac_C(dst_addr: LocalInOut, src_addr: LocalIn, C: float, shape: Dim4, dst_stride: Stride, src_stride: Stride) -> Emitted:
    """dst = dst + src * C, f32."""
    dst, src = local(dst_addr, shape, f32, dst_stride), local(src_addr, shape, f32, src_stride)
    return elementwise(ArithOp.MAC, dst, src, Constant.of(c_float(C), f32))


@function(GROUP, Arith)
def tpu_bdc_fp_diff_abs(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dtype: FloatDtype,
) -> Emitted:
    """dst = |src0 - src1|."""
    dst, src0 = local(dst_addr, shape, dtype, dst_stride), local(src0_addr, shape, dtype, src0_stride)
    return elementwise(ArithOp.ABS_DIFF, dst, src0, local(src1_addr, shape, dtype, src1_stride))


@function(GROUP, Arith)
def tpu_bdc_fp_diff_abs_C(
    dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = |src - C|."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.ABS_DIFF, dst, src, constant(C, dtype))
