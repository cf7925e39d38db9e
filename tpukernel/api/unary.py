"""TPUKernel functions of one operand: absolute value, sign, reciprocals and roots."""

from __future__ import annotations

from tpukernel.api.arguments import F32Dtype, Int, IntDtype, LocalIn, LocalOut, LocalWork, Stride
from tpukernel.api.elementwise import elementwise
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import local
from tpukernel.api.series import DIVISION_STEPS, arith, distinct, divide, f32_tensors, rsqrt, select, sign, sqrt
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa import Arith, ArithOp, Compare, CompareOp, Special
from tpukernel.isa.instruction import Instruction

__all__ = [
    "tpu_bdc_abs",
    "tpu_bdc_fp32_compensate_reciprocal",
    "tpu_bdc_fp32_reciprocal",
    "tpu_bdc_fp32_rsqrt",
    "tpu_bdc_fp32_sqrt",
    "tpu_bdc_fp32_tunable_compensate_reciprocal",
    "tpu_bdc_fp32_tunable_reciprocal",
    "tpu_bdc_fp32_tunable_rsqrt",
    "tpu_bdc_fp32_tunable_sqrt",
    "tpu_bdc_fp_reciprocal",
    "tpu_bdc_fp_rsqrt",
    "tpu_bdc_fp_sqrt",
    "tpu_bdc_fp_tunable_reciprocal",
    "tpu_bdc_fp_tunable_rsqrt",
    "tpu_bdc_fp_tunable_sqrt",
    "tpu_bdc_neg",
    "tpu_bdc_not",
    "tpu_bdc_sign",
]

GROUP = "BDC unary functions"


@function(GROUP, Arith)
def tpu_bdc_abs(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = |src|; the smallest number of a signed integer type stays as it is, and an unsigned type is copied."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return (Arith(op=ArithOp.ABS if dtype.is_signed else ArithOp.COPY, dst=dst, src0=src),)


@function(GROUP, Arith)
def tpu_bdc_not(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: IntDtype) -> Emitted:
    """dst = the bits of src reversed; integer types."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return (Arith(op=ArithOp.NOT, dst=dst, src0=src),)


@function(GROUP, Arith)
def tpu_bdc_neg(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = 0 - src; integers wrap."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.SUB, dst, Constant(0, dtype), src)


@function(GROUP, Arith)
def tpu_bdc_fp32_reciprocal(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride) -> Emitted:
    """dst = 1 / src by three Newton steps, within 5 ULP."""
    dst, src = local(dst_addr, shape, f32, dst_stride), local(src_addr, shape, f32, src_stride)
    return elementwise(ArithOp.DIV, dst, Constant.of(1.0, f32), src, iterations=DIVISION_STEPS)


@function(GROUP, Arith)
def tpu_bdc_fp32_tunable_reciprocal(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, num_iter: Int
) -> Emitted:
    """dst = 1 / src by 1 to 4 Newton steps.

    Largest error measured: 57000, 146, 4.6 and 3.5 ULP with 1, 2, 3 and 4 steps.
    """
    dst, src = local(dst_addr, shape, f32, dst_stride), local(src_addr, shape, f32, src_stride)
    return elementwise(ArithOp.DIV, dst, Constant.of(1.0, f32), src, iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp_tunable_reciprocal(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: F32Dtype, num_iter: Int
) -> Emitted:
    """dst = 1 / src by 1 to 4 Newton steps; f32 only."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.DIV, dst, Constant.of(1.0, f32), src, iterations=num_iter)


@function(GROUP, Arith)
def tpu_bdc_fp_reciprocal(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: F32Dtype
) -> Emitted:
    """dst = 1 / src by three Newton steps; f32 only."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.DIV, dst, Constant.of(1.0, f32), src, iterations=DIVISION_STEPS)


@function(GROUP, Arith, Compare)
def tpu_bdc_fp32_compensate_reciprocal(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    work2_addr: LocalWork,
    shape: Dim4,
    src_stride: Stride,
    num_comp: Int,
) -> Emitted:
    """dst = 1 / src, f32, 1 + 9 num_comp instructions: a division, then corrections that are kept where they help.

    Largest error measured: 1.3 ULP with one correction, 1.2 ULP with more.
    """
    dst, work0, work1, work2 = f32_tensors(shape, dst_addr, work0_addr, work1_addr, work2_addr)
    return _compensated_reciprocal(dst, local(src_addr, shape, f32, src_stride), work0, work1, work2, DIVISION_STEPS, num_comp)


@function(GROUP, Arith, Compare)
def tpu_bdc_fp32_tunable_compensate_reciprocal(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    work2_addr: LocalWork,
    shape: Dim4,
    src_stride: Stride,
    num_iter: Int,
    num_comp: Int,
) -> Emitted:
    """dst = 1 / src, f32, 1 + 9 num_comp instructions: a division, then corrections that are kept where they help.

    The division makes `num_iter` Newton steps, 1 to 4.
    """
    dst, work0, work1, work2 = f32_tensors(shape, dst_addr, work0_addr, work1_addr, work2_addr)
    return _compensated_reciprocal(dst, local(src_addr, shape, f32, src_stride), work0, work1, work2, num_iter, num_comp)


@function(GROUP, Special, Compare)
def tpu_bdc_fp32_rsqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = 1 / sqrt(src) by three Newton steps, f32, 2 instructions; 0 where that is infinite.

    Largest error measured: 2.1 ULP.
    """
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return rsqrt(dst, src)


@function(GROUP, Special, Compare)
def tpu_bdc_fp32_tunable_rsqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, num_iter: Int) -> Emitted:
    """dst = 1 / sqrt(src) by 1 to 4 Newton steps, f32, 2 instructions; 0 where that is infinite.

    Largest error measured: 28400, 73, 2.1 and 1.6 ULP with 1, 2, 3 and 4 steps.
    """
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return rsqrt(dst, src, num_iter)


@function(GROUP, Special, Compare)
def tpu_bdc_fp_rsqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: F32Dtype) -> Emitted:
    """dst = 1 / sqrt(src) by three Newton steps, f32 only, 2 instructions; 0 where that is infinite."""
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return rsqrt(dst, src)


@function(GROUP, Special, Compare)
def tpu_bdc_fp_tunable_rsqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: F32Dtype, num_iter: Int) -> Emitted:
    """dst = 1 / sqrt(src) by 1 to 4 Newton steps, f32 only, 2 instructions; 0 where that is infinite."""
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return rsqrt(dst, src, num_iter)


@function(GROUP, Special, Compare, Arith)
def tpu_bdc_fp_sqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: F32Dtype) -> Emitted:
    """dst = sqrt(src) by three Newton steps, f32 only, 5 instructions; 0 of both zeros. `dst` must not be `src`."""
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return sqrt(dst, src)


@function(GROUP, Special, Compare, Arith)
def tpu_bdc_fp_tunable_sqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: F32Dtype, num_iter: Int) -> Emitted:
    """dst = sqrt(src) by 1 to 4 Newton steps, f32 only, 5 instructions; 0 of both zeros. `dst` must not be `src`."""
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return sqrt(dst, src, num_iter)


@function(GROUP, Special, Compare, Arith)
def tpu_bdc_fp32_sqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = sqrt(src) by three Newton steps, f32, 5 instructions; 0 of both zeros. `dst` must not be `src`.

    Largest error measured: 2.4 ULP.
    """
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return sqrt(dst, src)


@function(GROUP, Special, Compare, Arith)
def tpu_bdc_fp32_tunable_sqrt(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, num_iter: Int) -> Emitted:
    """dst = sqrt(src) by 1 to 4 Newton steps, f32, 5 instructions; 0 of both zeros. `dst` must not be `src`.

    Largest error measured: 28400, 76, 2.4 and 1.7 ULP with 1, 2, 3 and 4 steps.
    """
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return sqrt(dst, src, num_iter)


@function(GROUP, Compare)
def tpu_bdc_sign(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = 1, 0 or -1 as src is above, equal to or below 0; 2 instructions, 1 for unsigned types.

    0 means all bits 0: -0.0 has -1. `dst` must not be `src` where the type is signed.
    """
    dst, src = local(dst_addr, shape, dtype), local(src_addr, shape, dtype)
    if dtype.is_signed:
        return sign(dst, src)
    distinct(dst, src)
    zero = Constant(0, dtype)
    return (select(CompareOp.SELECT_GREATER, dst, src, zero, Constant(1, dtype), zero),)


def _compensated_reciprocal(
    dst: LocalTensor, src: LocalTensor, trial: LocalTensor, error: LocalTensor, new_error: LocalTensor, iterations: int, corrections: int
) -> Emitted:
    """Each correction adds `trial * (1 - trial * src)` to the trial, and keeps it unless `|1 - trial * src|` became larger."""
    distinct(dst, src, trial, error, new_error)
    if corrections < 0:
        raise ArgumentError(f"a reciprocal has {corrections} corrections", help="give 0 or more")
    found: list[Instruction] = [divide(dst, 1.0, src, iterations)]
    for _ in range(corrections):
        found += (
            arith(ArithOp.COPY, trial, dst),
            *elementwise(ArithOp.MUL, error, trial, src),
            arith(ArithOp.SUB, error, 1.0, error),
            arith(ArithOp.MAC, trial, trial, error),
            *elementwise(ArithOp.MUL, new_error, trial, src),
            arith(ArithOp.SUB, new_error, 1.0, new_error),
            arith(ArithOp.ABS, error, error),
            arith(ArithOp.ABS, new_error, new_error),
            select(CompareOp.SELECT_LESS, dst, error, new_error, dst, trial),
        )
    return found
