"""TPUKernel functions: products of 8-bit integer matrices with rows in c, less the zero point of the right one.

Row r is channel r, column c is w = c. All operands start in lane 0.
"""

from __future__ import annotations

from tpukernel.api.arguments import Address, Int, LocalIn, LocalInOut, LocalOut, ScalarArg
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, per_channel
from tpukernel.api.products import matrix, product2
from tpukernel.chips import BM1684X
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import Dtype, i32
from tpukernel.isa import MatMul2, MatMul2Op
from tpukernel.isa.lane_table import lane_table

__all__ = [
    "tpu_bdc_int8_pc_zp_mm",
    "tpu_bdc_int8_pc_zp_mm_L_const",
    "tpu_bdc_int8_pc_zp_mm_L_const_R_trans",
    "tpu_bdc_int8_pc_zp_mm_L_const_all_trans",
    "tpu_bdc_int8_pc_zp_mm_R_const",
    "tpu_bdc_int8_pc_zp_mm_R_const_all_trans",
    "tpu_bdc_int8_pc_zp_mm_R_trans",
    "tpu_bdc_int8_pc_zp_mm_all_trans",
    "tpu_bdc_int8_zp_mm",
    "tpu_bdc_int8_zp_mm_L_const",
    "tpu_bdc_int8_zp_mm_L_const_R_trans",
    "tpu_bdc_int8_zp_mm_L_const_all_trans",
    "tpu_bdc_int8_zp_mm_R_const",
    "tpu_bdc_int8_zp_mm_R_const_all_trans",
    "tpu_bdc_int8_zp_mm_R_trans",
    "tpu_bdc_int8_zp_mm_all_trans",
]

GROUP = "BDC integer matrix functions"


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ (right - zp_val) in i32; with `result_add` this is added to what output holds.

    left is (left_rows, left_cols), right (left_cols, right_cols).
    """
    output = matrix(output_addr, left_rows, right_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = matrix(right_addr, left_cols, right_cols, right_zp_dtype)
    return product2(MatMul2Op.NN, output, left, right, constant(zp_val, right_zp_dtype), result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm_R_trans(
    output_addr: LocalOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    left_dtype: Dtype,
    right_zp_dtype: Dtype,
) -> Emitted:
    """output = left @ (right - zp_val).T in i32.

    left is (left_rows, left_cols), right (right_rows, left_cols).
    """
    output = matrix(output_addr, left_rows, right_rows, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = matrix(right_addr, right_rows, left_cols, right_zp_dtype)
    return product2(MatMul2Op.NT, output, left, right, constant(zp_val, right_zp_dtype))


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm_all_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    left_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = (right - zp_val) @ left in i32; with `result_add` this is added to what output holds.

    left is (left_rows, left_cols), right (right_rows, left_rows): their transposes are multiplied, and the result is transposed.
    """
    output = matrix(output_addr, right_rows, left_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = matrix(right_addr, right_rows, left_rows, right_zp_dtype)
    return product2(MatMul2Op.TT, output, left, right, constant(zp_val, right_zp_dtype), result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm_L_const(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    C: ScalarArg,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    C_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ (right - zp_val), where all elements of left are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, left_rows, right_cols, i32)
    left = constant(C, C_dtype)
    right = matrix(right_addr, left_cols, right_cols, right_zp_dtype)
    return product2(MatMul2Op.NN, output, left, right, constant(zp_val, right_zp_dtype), result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm_R_const(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    C: ScalarArg,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_dtype: Dtype,
    C_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ (right - zp_val), where all elements of right are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, left_rows, right_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = constant(C, C_zp_dtype)
    return product2(MatMul2Op.NN, output, left, right, constant(zp_val, C_zp_dtype), result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm_L_const_R_trans(
    output_addr: LocalOut,
    right_addr: LocalIn,
    C: ScalarArg,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    C_dtype: Dtype,
    right_zp_dtype: Dtype,
) -> Emitted:
    """output = left @ (right - zp_val).T, where all elements of left are C."""
    output = matrix(output_addr, left_rows, right_rows, i32)
    left = constant(C, C_dtype)
    right = matrix(right_addr, right_rows, left_cols, right_zp_dtype)
    return product2(MatMul2Op.NT, output, left, right, constant(zp_val, right_zp_dtype))


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm_L_const_all_trans(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    C: ScalarArg,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    C_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = (right - zp_val) @ left, where all elements of left are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, right_rows, left_cols, i32)
    left = constant(C, C_dtype)
    right = matrix(right_addr, right_rows, left_rows, right_zp_dtype)
    return product2(MatMul2Op.TT, output, left, right, constant(zp_val, right_zp_dtype), result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_zp_mm_R_const_all_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    C: ScalarArg,
    zp_val: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    left_dtype: Dtype,
    C_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = (right - zp_val) @ left, where all elements of right are C; with `result_add` this is added to what output holds."""
    output = matrix(output_addr, right_rows, left_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = constant(C, C_zp_dtype)
    return product2(MatMul2Op.TT, output, left, right, constant(zp_val, C_zp_dtype), result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    zp_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ (right - zp) in i32; with `result_add` this is added to what output holds.

    left is (left_rows, left_cols), right (left_cols, right_cols). zp has one number per column of output; every lane that has a row of
    right holds a copy of this line.
    """
    output = matrix(output_addr, left_rows, right_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = matrix(right_addr, left_cols, right_cols, right_zp_dtype)
    zero_point = _per_column(zp_addr, left_cols, right_cols, right_zp_dtype)
    return product2(MatMul2Op.NN, output, left, right, zero_point, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm_R_trans(
    output_addr: LocalOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    zp_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    left_dtype: Dtype,
    right_zp_dtype: Dtype,
) -> Emitted:
    """output = left @ (right.T - zp) in i32.

    left is (left_rows, left_cols), right (right_rows, left_cols). zp has one number per column of output; every lane that has a row of
    right holds a copy of this line.
    """
    output = matrix(output_addr, left_rows, right_rows, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = matrix(right_addr, right_rows, left_cols, right_zp_dtype)
    zero_point = _per_column(zp_addr, right_rows, right_rows, right_zp_dtype)
    return product2(MatMul2Op.NT, output, left, right, zero_point)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm_all_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    zp_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    left_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = (right - zp) @ left in i32; with `result_add` this is added to what output holds.

    left is (left_rows, left_cols), right (right_rows, left_rows): their transposes are multiplied, and the result is transposed. zp has one
    number per row of right and output, compact.
    """
    output = matrix(output_addr, right_rows, left_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = matrix(right_addr, right_rows, left_rows, right_zp_dtype)
    zero_point = per_channel(zp_addr, right_rows, right_zp_dtype)
    return product2(MatMul2Op.TT, output, left, right, zero_point, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm_L_const(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    zp_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    C_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ (right - zp), where all elements of left are C; with `result_add` this is added to what output holds.

    zp has one number per column of output; every lane that has a row of right holds a copy of this line.
    """
    output = matrix(output_addr, left_rows, right_cols, i32)
    left = constant(C, C_dtype)
    right = matrix(right_addr, left_cols, right_cols, right_zp_dtype)
    zero_point = _per_column(zp_addr, left_cols, right_cols, right_zp_dtype)
    return product2(MatMul2Op.NN, output, left, right, zero_point, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm_R_const(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    zp_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_dtype: Dtype,
    C_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = left @ (right - zp), where all elements of right are C; with `result_add` this is added to what output holds.

    zp has one number per column of output; every lane that has a row of right holds a copy of this line.
    """
    output = matrix(output_addr, left_rows, right_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = constant(C, C_zp_dtype)
    zero_point = _per_column(zp_addr, left_cols, right_cols, C_zp_dtype)
    return product2(MatMul2Op.NN, output, left, right, zero_point, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm_L_const_R_trans(
    output_addr: LocalOut,
    right_addr: LocalIn,
    zp_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    C_dtype: Dtype,
    right_zp_dtype: Dtype,
) -> Emitted:
    """output = left @ (right.T - zp), where all elements of left are C.

    zp has one number per column of output; every lane that has a row of right holds a copy of this line.
    """
    output = matrix(output_addr, left_rows, right_rows, i32)
    left = constant(C, C_dtype)
    right = matrix(right_addr, right_rows, left_cols, right_zp_dtype)
    zero_point = _per_column(zp_addr, right_rows, right_rows, right_zp_dtype)
    return product2(MatMul2Op.NT, output, left, right, zero_point)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm_L_const_all_trans(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    zp_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    C_dtype: Dtype,
    right_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = (right - zp) @ left, where all elements of left are C; with `result_add` this is added to what output holds.

    zp has one number per row of right and output, compact.
    """
    output = matrix(output_addr, right_rows, left_cols, i32)
    left = constant(C, C_dtype)
    right = matrix(right_addr, right_rows, left_rows, right_zp_dtype)
    zero_point = per_channel(zp_addr, right_rows, right_zp_dtype)
    return product2(MatMul2Op.TT, output, left, right, zero_point, result_add=result_add)


@function(GROUP, MatMul2)
def tpu_bdc_int8_pc_zp_mm_R_const_all_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    zp_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_rows: Int,
    left_dtype: Dtype,
    C_zp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = (right - zp) @ left, where all elements of right are C; with `result_add` this is added to what output holds.

    zp has one number per row of right and output, compact.
    """
    output = matrix(output_addr, right_rows, left_cols, i32)
    left = matrix(left_addr, left_rows, left_cols, left_dtype)
    right = constant(C, C_zp_dtype)
    zero_point = per_channel(zp_addr, right_rows, C_zp_dtype)
    return product2(MatMul2Op.TT, output, left, right, zero_point, result_add=result_add)


def _per_column(address: Address, rows: int, cols: int, dtype: Dtype) -> LocalTensor:
    """A number for each of the columns of the result: a line of which every lane with one of the rows of the right matrix has a copy."""
    return lane_table(BM1684X, address.__index__(), (1, rows, 1, cols), dtype)
