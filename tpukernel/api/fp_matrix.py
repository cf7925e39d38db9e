"""TPUKernel functions: products of floating-point matrices.

`tpu_bdc_fp32_mm...`: row r of a matrix is n = r, and its columns lie over the channels, as many to a channel as the
call says. `tpu_bdc_fp_mm...`: row r is channel r, column c is w = c, and all operands start in lane 0.
"""

from __future__ import annotations

from tpukernel.api.arguments import Address, Int, LocalIn, LocalInOut, LocalOut, ScalarArg
from tpukernel.api.function import Emitted, function, missing
from tpukernel.api.operands import constant
from tpukernel.api.products import Product, matrix, product2
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa import MatMul, MatMul2, MatMul2Op

__all__ = [
    "tpu_bdc_fp32_mm",
    "tpu_bdc_fp32_mm_L_const",
    "tpu_bdc_fp32_mm_L_trans",
    "tpu_bdc_fp_mm",
    "tpu_bdc_fp_mm_L_const",
    "tpu_bdc_fp_mm_L_const_R_trans",
    "tpu_bdc_fp_mm_L_const_R_trans_with_bias",
    "tpu_bdc_fp_mm_L_const_all_trans",
    "tpu_bdc_fp_mm_L_const_all_trans_with_bias",
    "tpu_bdc_fp_mm_L_const_with_bias",
    "tpu_bdc_fp_mm_R_const",
    "tpu_bdc_fp_mm_R_const_all_trans",
    "tpu_bdc_fp_mm_R_const_all_trans_with_bias",
    "tpu_bdc_fp_mm_R_const_with_bias",
    "tpu_bdc_fp_mm_R_trans",
    "tpu_bdc_fp_mm_R_trans_with_bias",
    "tpu_bdc_fp_mm_all_trans",
    "tpu_bdc_fp_mm_all_trans_with_bias",
    "tpu_bdc_fp_mm_with_bias",
]

GROUP = "BDC floating-point matrix functions"

NO_BIAS = "MM2 has no bias and no ReLU"


@function(GROUP, MatMul)
def tpu_bdc_fp32_mm(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    bias_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    has_bias: bool,
    result_add: bool,
) -> Emitted:
    """output = left @ right + bias in f32; with `result_add` this is added to what output holds.

    output is (left_rows, right_cols); the bias has one number per column, over the channels as the columns are.
    """
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    left, bias = sizes.left(left_addr, left_cols_per_channel, f32), sizes.per_column(bias_addr, f32) if has_bias else None
    return _fp32(sizes, output_addr, left, right_addr, bias, result_add=result_add)


@function(GROUP, MatMul)
def tpu_bdc_fp32_mm_L_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    bias_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    has_bias: bool,
    result_add: bool,
) -> Emitted:
    """output = left.T @ right + bias in f32, where left is (left_rows, left_cols). Else as `tpu_bdc_fp32_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel, left_tran=True)
    left, bias = sizes.left(left_addr, left_cols_per_channel, f32), sizes.per_column(bias_addr, f32) if has_bias else None
    return _fp32(sizes, output_addr, left, right_addr, bias, result_add=result_add)


@function(GROUP, MatMul)
def tpu_bdc_fp32_mm_L_const(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    bias_addr: LocalIn,
    C: float,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    right_cols_per_channel: Int,
    has_bias: bool,
    result_add: bool,
) -> Emitted:
    """output = left @ right + bias in f32, where all elements of left are C. Else as `tpu_bdc_fp32_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    left, bias = constant(C, f32), sizes.per_column(bias_addr, f32) if has_bias else None
    return _fp32(sizes, output_addr, left, right_addr, bias, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    output_dtype: Dtype,
    left_right_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ right; with `result_add` this is added to what output holds.

    left is (left_rows, left_cols), right (left_cols, right_cols). f16 or bf16, added up in f32; output is of the same type or f32 (what
    `result_add` adds to is always f32). All operands start in lane 0.
    """
    output = matrix(output_addr, left_rows, right_cols, output_dtype)
    left = matrix(left_addr, left_rows, left_cols, left_right_dtype)
    right = matrix(right_addr, left_cols, right_cols, left_right_dtype)
    return product2(MatMul2Op.NN, output, left, right, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm_R_trans(
    output_addr: LocalOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    output_dtype: Dtype,
    left_right_dtype: Dtype,
) -> Emitted:
    """output = left @ right.T.

    left is (left_rows, left_cols), right (right_rows, left_cols).
    """
    output = matrix(output_addr, left_rows, right_rows, output_dtype)
    left = matrix(left_addr, left_rows, left_cols, left_right_dtype)
    right = matrix(right_addr, right_rows, left_cols, left_right_dtype)
    return product2(MatMul2Op.NT, output, left, right)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm_all_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    output_dtype: Dtype,
    left_right_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = right @ left; with `result_add` this is added to what output holds.

    left is (left_rows, left_cols), right (right_rows, left_rows): their transposes are multiplied, and the result is transposed.
    """
    output = matrix(output_addr, right_rows, left_cols, output_dtype)
    left = matrix(left_addr, left_rows, left_cols, left_right_dtype)
    right = matrix(right_addr, right_rows, left_rows, left_right_dtype)
    return product2(MatMul2Op.TT, output, left, right, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm_L_const(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    output_dtype: Dtype,
    right_C_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ right, where all elements of left are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, left_rows, right_cols, output_dtype)
    left = constant(C, right_C_dtype)
    right = matrix(right_addr, left_cols, right_cols, right_C_dtype)
    return product2(MatMul2Op.NN, output, left, right, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm_R_const(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    output_dtype: Dtype,
    left_C_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ right, where all elements of right are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, left_rows, right_cols, output_dtype)
    left = matrix(left_addr, left_rows, left_cols, left_C_dtype)
    right = constant(C, left_C_dtype)
    return product2(MatMul2Op.NN, output, left, right, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm_L_const_R_trans(
    output_addr: LocalOut,
    right_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    output_dtype: Dtype,
    right_C_dtype: Dtype,
) -> Emitted:
    """output = left @ right.T, where all elements of left are C."""
    output = matrix(output_addr, left_rows, right_rows, output_dtype)
    left = constant(C, right_C_dtype)
    right = matrix(right_addr, right_rows, left_cols, right_C_dtype)
    return product2(MatMul2Op.NT, output, left, right)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm_L_const_all_trans(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    output_dtype: Dtype,
    right_C_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = right @ left, where all elements of left are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, right_rows, left_cols, output_dtype)
    left = constant(C, right_C_dtype)
    right = matrix(right_addr, right_rows, left_rows, right_C_dtype)
    return product2(MatMul2Op.TT, output, left, right, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_fp_mm_R_const_all_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    output_dtype: Dtype,
    left_C_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = right @ left, where all elements of right are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, right_rows, left_cols, output_dtype)
    left = matrix(left_addr, left_rows, left_cols, left_C_dtype)
    right = constant(C, left_C_dtype)
    return product2(MatMul2Op.TT, output, left, right, result_add=result_add)


tpu_bdc_fp_mm_with_bias = missing("tpu_bdc_fp_mm_with_bias", GROUP, NO_BIAS)
tpu_bdc_fp_mm_R_trans_with_bias = missing("tpu_bdc_fp_mm_R_trans_with_bias", GROUP, NO_BIAS)
tpu_bdc_fp_mm_all_trans_with_bias = missing("tpu_bdc_fp_mm_all_trans_with_bias", GROUP, NO_BIAS)
tpu_bdc_fp_mm_L_const_with_bias = missing("tpu_bdc_fp_mm_L_const_with_bias", GROUP, NO_BIAS)
tpu_bdc_fp_mm_R_const_with_bias = missing("tpu_bdc_fp_mm_R_const_with_bias", GROUP, NO_BIAS)
tpu_bdc_fp_mm_L_const_R_trans_with_bias = missing("tpu_bdc_fp_mm_L_const_R_trans_with_bias", GROUP, NO_BIAS)
tpu_bdc_fp_mm_L_const_all_trans_with_bias = missing("tpu_bdc_fp_mm_L_const_all_trans_with_bias", GROUP, NO_BIAS)
tpu_bdc_fp_mm_R_const_all_trans_with_bias = missing("tpu_bdc_fp_mm_R_const_all_trans_with_bias", GROUP, NO_BIAS)


def _fp32(
    sizes: Product, output_addr: Address, left: LocalTensor | Constant, right_addr: Address, bias: LocalTensor | None, *, result_add: bool
) -> Emitted:
    return (
        MatMul(
            dst=sizes.result(output_addr, f32),
            left=left,
            right=sizes.right(right_addr, f32),
            bias=bias,
            left_cols=sizes.left_cols,
            left_tran=sizes.left_tran,
            result_add=result_add,
        ),
    )
