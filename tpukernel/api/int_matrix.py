"""TPUKernel functions: products of integer matrices with rows in n.

The columns lie over the channels, as many to a channel as the call says. Those with rows in c are in `int_matrix_zero_point`.
"""

from __future__ import annotations

from tpukernel.api.arguments import S8, U8, Address, Int, LocalIn, LocalInOut, LocalOut, ScalarArg
from tpukernel.api.function import Emitted, function, missing
from tpukernel.api.operands import constant
from tpukernel.api.products import Product
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, i8, i32, u32
from tpukernel.isa import MatMul, MatMulOp, Rounding

__all__ = [
    "tpu_bdc_int8_mm",
    "tpu_bdc_int8_mm_L_const",
    "tpu_bdc_int8_mm_L_trans",
    "tpu_bdc_int_mm",
    "tpu_bdc_int_mm_L_const",
    "tpu_bdc_int_mm_L_trans",
    "tpu_bdc_int_pcs_mm",
    "tpu_bdc_int_pcs_mm_L_const",
    "tpu_bdc_int_pcs_mm_L_trans",
    "tpu_bdc_quant_mm",
]

GROUP = "BDC integer matrix functions"


@function(GROUP, MatMul)
def tpu_bdc_int_mm(
    output_addr: LocalOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    left_dtype: Dtype,
    right_dtype: Dtype,
    shift: S8,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (left @ right) << shift for integers of 8, 16 or 32 bits; a negative shift goes to the right and rounds.

    output is (left_rows, right_cols), i32 when left or right is signed, else u32. Sums of 32-bit integers are shifted and saturate; the
    chip ignores the shift of narrower ones.
    """
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    return _int(
        sizes,
        output_addr,
        sizes.left(left_addr, left_cols_per_channel, left_dtype),
        sizes.right(right_addr, right_dtype),
        constant(shift, i8),
        rounding_mode,
    )


@function(GROUP, MatMul)
def tpu_bdc_int_mm_L_trans(
    output_addr: LocalOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    left_dtype: Dtype,
    right_dtype: Dtype,
    shift: S8,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (left.T @ right) << shift; left is (left_rows, left_cols). Else as `tpu_bdc_int_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel, left_tran=True)
    return _int(
        sizes,
        output_addr,
        sizes.left(left_addr, left_cols_per_channel, left_dtype),
        sizes.right(right_addr, right_dtype),
        constant(shift, i8),
        rounding_mode,
    )


@function(GROUP, MatMul)
def tpu_bdc_int_mm_L_const(
    output_addr: LocalOut,
    right_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    right_cols_per_channel: Int,
    C_dtype: Dtype,
    right_dtype: Dtype,
    shift: S8,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (left @ right) << shift, where all elements of left are C. Else as `tpu_bdc_int_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    return _int(sizes, output_addr, constant(C, C_dtype), sizes.right(right_addr, right_dtype), constant(shift, i8), rounding_mode)


@function(GROUP, MatMul)
def tpu_bdc_int_pcs_mm(
    output_addr: LocalOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    shift_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    left_dtype: Dtype,
    right_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (left @ right) << shift with a shift per column, i8, over the channels as the columns are. Else as `tpu_bdc_int_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    return _int(
        sizes,
        output_addr,
        sizes.left(left_addr, left_cols_per_channel, left_dtype),
        sizes.right(right_addr, right_dtype),
        sizes.per_column(shift_addr, i8),
        rounding_mode,
    )


@function(GROUP, MatMul)
def tpu_bdc_int_pcs_mm_L_trans(
    output_addr: LocalOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    shift_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    left_dtype: Dtype,
    right_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (left.T @ right) << shift with a shift per column; left is (left_rows, left_cols). Else as `tpu_bdc_int_pcs_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel, left_tran=True)
    return _int(
        sizes,
        output_addr,
        sizes.left(left_addr, left_cols_per_channel, left_dtype),
        sizes.right(right_addr, right_dtype),
        sizes.per_column(shift_addr, i8),
        rounding_mode,
    )


@function(GROUP, MatMul)
def tpu_bdc_int_pcs_mm_L_const(
    output_addr: LocalOut,
    right_addr: LocalIn,
    shift_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    right_cols_per_channel: Int,
    C_dtype: Dtype,
    right_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (left @ right) << shift with a shift per column, where all elements of left are C. Else as `tpu_bdc_int_pcs_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    return _int(
        sizes, output_addr, constant(C, C_dtype), sizes.right(right_addr, right_dtype), sizes.per_column(shift_addr, i8), rounding_mode
    )


tpu_bdc_quant_mm = missing("tpu_bdc_quant_mm", GROUP, "MM2 does not requantise")


@function(GROUP, MatMul)
def tpu_bdc_int8_mm(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    bias_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    output_dtype: Dtype,
    left_dtype: Dtype,
    right_dtype: Dtype,
    bias_dtype: Dtype,
    lshift: U8,
    rshift: U8,
    has_bias: bool,
    result_add: bool,
    result_relu: bool,
) -> Emitted:
    """output = (left @ right + bias) >> rshift for 8-bit integers, rounded half up and saturated.

    output is (left_rows, right_cols) with 8 or 16 bits: signed when left, right or the bias is, with `result_relu` always unsigned
    (negative results become 0). The bias has one 16-bit integer per column, over the channels as the columns are; without it `bias_dtype`
    does not matter. With `result_add` the 16-bit numbers at output, shifted left by `lshift`, belong to the sum, also when output has 8
    bits.
    """
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    bias = sizes.per_column(bias_addr, bias_dtype) if has_bias else None
    output, left, right = (
        sizes.result(output_addr, output_dtype),
        sizes.left(left_addr, left_cols_per_channel, left_dtype),
        sizes.right(right_addr, right_dtype),
    )
    return _int8(sizes, output, left, right, bias, lshift, rshift, result_relu=result_relu, result_add=result_add)


@function(GROUP, MatMul)
def tpu_bdc_int8_mm_L_trans(
    output_addr: LocalInOut,
    left_addr: LocalIn,
    right_addr: LocalIn,
    bias_addr: LocalIn,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    left_cols_per_channel: Int,
    right_cols_per_channel: Int,
    output_dtype: Dtype,
    left_dtype: Dtype,
    right_dtype: Dtype,
    bias_dtype: Dtype,
    lshift: U8,
    rshift: U8,
    has_bias: bool,
    result_add: bool,
    result_relu: bool,
) -> Emitted:
    """output = (left.T @ right + bias) >> rshift; left is (left_rows, left_cols). Else as `tpu_bdc_int8_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel, left_tran=True)
    bias = sizes.per_column(bias_addr, bias_dtype) if has_bias else None
    output, left, right = (
        sizes.result(output_addr, output_dtype),
        sizes.left(left_addr, left_cols_per_channel, left_dtype),
        sizes.right(right_addr, right_dtype),
    )
    return _int8(sizes, output, left, right, bias, lshift, rshift, result_relu=result_relu, result_add=result_add)


@function(GROUP, MatMul)
def tpu_bdc_int8_mm_L_const(
    output_addr: LocalInOut,
    right_addr: LocalIn,
    bias_addr: LocalIn,
    C: ScalarArg,
    left_rows: Int,
    left_cols: Int,
    right_cols: Int,
    right_cols_per_channel: Int,
    output_dtype: Dtype,
    C_dtype: Dtype,
    right_dtype: Dtype,
    bias_dtype: Dtype,
    lshift: U8,
    rshift: U8,
    has_bias: bool,
    result_add: bool,
    result_relu: bool,
) -> Emitted:
    """output = (left @ right + bias) >> rshift, where all elements of left are C. Else as `tpu_bdc_int8_mm`."""
    sizes = Product(left_rows, left_cols, right_cols, right_cols_per_channel)
    bias = sizes.per_column(bias_addr, bias_dtype) if has_bias else None
    output, left, right = sizes.result(output_addr, output_dtype), constant(C, C_dtype), sizes.right(right_addr, right_dtype)
    return _int8(sizes, output, left, right, bias, lshift, rshift, result_relu=result_relu, result_add=result_add)


def _int(
    sizes: Product, output_addr: Address, left: LocalTensor | Constant, right: LocalTensor, shift: LocalTensor | Constant, mode: Rounding
) -> Emitted:
    result = i32 if left.dtype.is_signed or right.dtype.is_signed else u32
    return (
        MatMul(
            dst=sizes.result(output_addr, result),
            left=left,
            right=right,
            shift=shift,
            left_cols=sizes.left_cols,
            left_tran=sizes.left_tran,
            rounding=mode,
        ),
    )


def _int8(
    sizes: Product,
    output: LocalTensor,
    left: LocalTensor | Constant,
    right: LocalTensor,
    bias: LocalTensor | None,
    left_shift: int,
    right_shift: int,
    *,
    result_relu: bool,
    result_add: bool,
) -> Emitted:
    return (
        MatMul(
            op=MatMulOp.REQUANT_RELU if result_relu else MatMulOp.REQUANT,
            dst=output,
            left=left,
            right=right,
            bias=bias,
            left_cols=sizes.left_cols,
            left_tran=sizes.left_tran,
            result_add=result_add,
            left_shift=left_shift,
            right_shift=right_shift,
        ),
    )
