"""TPUKernel functions: convolutions of 8-bit integers."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.api.arguments import U8, Dim2, Int, LocalIn, LocalInOut, LocalOut, Padding, ScalarArg, Stride
from tpukernel.api.function import Emitted, function, missing
from tpukernel.api.operands import SIGNED, constant, per_channel
from tpukernel.api.windows import Window, conv_input, conv_weight, pairs, window, window_output
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, i16, i32, u16, u32
from tpukernel.isa import Conv, ConvOp

__all__ = [
    "tpu_bdc_conv2d_requant_C",
    "tpu_bdc_conv2d_requant_C_asym_C",
    "tpu_bdc_conv2d_requant_C_asym_pc",
    "tpu_bdc_conv2d_requant_pc",
    "tpu_bdc_conv2d_requant_pc_asym_C",
    "tpu_bdc_conv2d_requant_pc_asym_pc",
    "tpu_bdc_depthwise2d_requant_C_sym_C",
    "tpu_bdc_depthwise2d_requant_pc_asym_C",
    "tpu_bdc_int8_asym_pc_quant_conv2d",
    "tpu_bdc_int8_asym_pc_quant_conv2d_for_deconv2d",
    "tpu_bdc_int8_asym_quant_conv2d",
    "tpu_bdc_int8_asym_quant_conv2d_for_deconv2d",
    "tpu_bdc_int8_asym_quant_conv2d_kernel_const",
    "tpu_bdc_int8_sym_quant_conv2d",
    "tpu_bdc_int8_sym_quant_conv2d_for_deconv2d",
]

GROUP = "BDC integer NN functions"

NO_REQUANT = "its convolutions shift their sums, but neither multiply them nor saturate to a symmetric range"


@function(GROUP, Conv)
def tpu_bdc_int8_asym_quant_conv2d(
    output_addr: LocalInOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    kzp_val: ScalarArg,
    pad_val: ScalarArg,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    kzp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = 8-bit input convolved with (weight - kzp_val), where padding is pad_val; `result_add` adds it to output.

    32-bit results are i32; 16-bit results saturate, and `result_add` needs 32 bits. The zero point is subtracted under padding, too. The
    sign of `output_dtype` does not count: 16-bit results are signed, and saturate so, unless input, weight and zero point are unsigned and
    the zero point is the number 0. weight (output_c, c, kh, kw) has the layout WEIGHT and starts in the lane of output; input starts in
    lane 0. padding is 0 to 15, stride and dilation are 1 to 15.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight = conv_weight(weight_addr, output_c, source, kernel, weight_dtype)
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    zero_point, pad = constant(kzp_val, kzp_dtype), constant(pad_val, input_dtype)
    return _asymmetric(dst, source, weight, zero_point, pad, around, result_add=result_add)


@function(GROUP, Conv)
def tpu_bdc_int8_asym_pc_quant_conv2d(
    output_addr: LocalInOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    kzp_addr: LocalIn,
    pad_addr: LocalIn,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    kzp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = 8-bit input convolved with (weight - zero point), both given per channel; `result_add` adds it to output.

    kzp has one zero point per output channel, pad a pair (pad value, insert value) per input channel; both are compact, kzp starts in the
    lane of output, pad in lane 0. Results are signed, whatever the sign of `output_dtype`. Else as `tpu_bdc_int8_asym_quant_conv2d`.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight = conv_weight(weight_addr, output_c, source, kernel, weight_dtype)
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    zero_point, pad = per_channel(kzp_addr, output_c, kzp_dtype), pairs(pad_addr, input_shape[1], input_dtype)
    return _asymmetric(dst, source, weight, zero_point, pad, around, result_add=result_add)


@function(GROUP, Conv)
def tpu_bdc_int8_asym_quant_conv2d_kernel_const(
    output_addr: LocalInOut,
    input_addr: LocalIn,
    C: ScalarArg,
    kzp_val: ScalarArg,
    pad_val: ScalarArg,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    kzp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = 8-bit input convolved with (C - kzp_val), where padding is pad_val; `result_add` adds it to output.

    Else as `tpu_bdc_int8_asym_quant_conv2d`.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight = constant(C, weight_dtype)
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    zero_point, pad = constant(kzp_val, kzp_dtype), constant(pad_val, input_dtype)
    return _asymmetric(dst, source, weight, zero_point, pad, around, result_add=result_add)


@function(GROUP, Conv)
def tpu_bdc_int8_asym_quant_conv2d_for_deconv2d(
    output_addr: LocalInOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    kzp_val: ScalarArg,
    pad_val: ScalarArg,
    insert_val: ScalarArg,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    insert: Dim2,
    padding: Padding,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    kzp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = 8-bit input with insert_val inserted, convolved with the rotated (weight - kzp_val); `result_add` adds it to output.

    `insert` elements (0 to 14) come between neighbours of input, and the kernel is rotated by 180 degrees: a transposed convolution.
    Padding is pad_val. Else as `tpu_bdc_int8_asym_quant_conv2d` with stride 1.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, dilation=dilation, insert=insert)
    weight = conv_weight(weight_addr, output_c, source, kernel, weight_dtype)
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    zero_point, pad = constant(kzp_val, kzp_dtype), constant(pad_val, input_dtype)
    return _asymmetric(
        dst,
        source,
        weight,
        zero_point,
        pad,
        around,
        result_add=result_add,
        insert_value=constant(insert_val, input_dtype),
        kernel_rotate=True,
    )


@function(GROUP, Conv)
def tpu_bdc_int8_asym_pc_quant_conv2d_for_deconv2d(
    output_addr: LocalInOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    kzp_addr: LocalIn,
    pad_insert_addr: LocalIn,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    insert: Dim2,
    padding: Padding,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    kzp_dtype: Dtype,
    result_add: bool,
) -> Emitted:
    """output = 8-bit input with elements inserted, convolved with the rotated (weight - zero point); `result_add` adds it to output.

    Zero points and the pairs (pad value, insert value) as in `tpu_bdc_int8_asym_pc_quant_conv2d`, else as
    `tpu_bdc_int8_asym_quant_conv2d_for_deconv2d`. The library wants an unsigned `output_dtype`; results are signed, whatever it is.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, dilation=dilation, insert=insert)
    weight = conv_weight(weight_addr, output_c, source, kernel, weight_dtype)
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    zero_point, pad = per_channel(kzp_addr, output_c, kzp_dtype), pairs(pad_insert_addr, input_shape[1], input_dtype)
    return _asymmetric(dst, source, weight, zero_point, pad, around, result_add=result_add, kernel_rotate=True)


@function(GROUP, Conv)
def tpu_bdc_int8_sym_quant_conv2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    bias_dtype: Dtype,
    rshift: U8,
    has_bias: bool,
    result_relu: bool,
) -> Emitted:
    """output = (8-bit input convolved with weight, plus bias) >> rshift, rounded half up and saturated; padding is 0.

    output has 8 or 16 bits: signed when input, weight or bias is, with `result_relu` always unsigned (negative results become 0). The bias
    has one 16-bit integer per output channel, compact. Without it a signed `bias_dtype` still makes the chip saturate as a signed type,
    also when `output_dtype` is unsigned, as it has to be then with unsigned input and weight. weight (output_c, c, kh, kw) has the layout
    WEIGHT and starts in the lane of output; input starts in lane 0. padding is 0 to 15, stride and dilation are 1 to 15.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight = conv_weight(weight_addr, output_c, source, kernel, weight_dtype)
    bias = per_channel(bias_addr, output_c, bias_dtype) if has_bias else _no_bias(bias_dtype)
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    return _symmetric(dst, source, weight, bias, around, rshift, result_relu=result_relu)


@function(GROUP, Conv)
def tpu_bdc_int8_sym_quant_conv2d_for_deconv2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    insert: Dim2,
    padding: Padding,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    bias_dtype: Dtype,
    rshift: U8,
    has_bias: bool,
    result_relu: bool,
) -> Emitted:
    """output = (8-bit input with zeros inserted, convolved with weight rotated by 180 degrees, plus bias) >> rshift.

    `insert` zeros (0 to 14) come between neighbours of input: a transposed convolution. Else as `tpu_bdc_int8_sym_quant_conv2d` with stride
    1.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, dilation=dilation, insert=insert)
    weight = conv_weight(weight_addr, output_c, source, kernel, weight_dtype)
    bias = per_channel(bias_addr, output_c, bias_dtype) if has_bias else _no_bias(bias_dtype)
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    return _symmetric(dst, source, weight, bias, around, rshift, result_relu=result_relu, kernel_rotate=True)


tpu_bdc_conv2d_requant_pc = missing("tpu_bdc_conv2d_requant_pc", GROUP, NO_REQUANT)
tpu_bdc_conv2d_requant_C = missing("tpu_bdc_conv2d_requant_C", GROUP, NO_REQUANT)
tpu_bdc_conv2d_requant_pc_asym_pc = missing("tpu_bdc_conv2d_requant_pc_asym_pc", GROUP, NO_REQUANT)
tpu_bdc_conv2d_requant_C_asym_pc = missing("tpu_bdc_conv2d_requant_C_asym_pc", GROUP, NO_REQUANT)
tpu_bdc_conv2d_requant_C_asym_C = missing("tpu_bdc_conv2d_requant_C_asym_C", GROUP, NO_REQUANT)
tpu_bdc_conv2d_requant_pc_asym_C = missing("tpu_bdc_conv2d_requant_pc_asym_C", GROUP, NO_REQUANT)
tpu_bdc_depthwise2d_requant_pc_asym_C = missing("tpu_bdc_depthwise2d_requant_pc_asym_C", GROUP, NO_REQUANT)
tpu_bdc_depthwise2d_requant_C_sym_C = missing("tpu_bdc_depthwise2d_requant_C_sym_C", GROUP, NO_REQUANT)


def _asymmetric(
    dst: LocalTensor,
    source: LocalTensor,
    weight: LocalTensor | Constant,
    zero_point: LocalTensor | Constant,
    pad: LocalTensor | Constant,
    around: Window,
    *,
    result_add: bool,
    insert_value: Constant | None = None,
    kernel_rotate: bool = False,
) -> Emitted:
    signed = any(operand.dtype.is_signed for operand in (source, weight, zero_point)) or zero_point != Constant(0, zero_point.dtype)
    chip_dtype = {i16: i16, u16: i16, i32: i32, u32: i32} if signed else {i16: u16, u16: u16, i32: i32, u32: i32}
    return (
        Conv(
            dst=replace(dst, dtype=chip_dtype.get(dst.dtype, dst.dtype)),
            input=source,
            weight=weight,
            kernel_zero_point=zero_point,
            pad_value=pad,
            insert_value=insert_value,
            result_add=result_add,
            kernel_rotate=kernel_rotate,
            **around,
        ),
    )


def _no_bias(bias_dtype: Dtype) -> Constant:
    """What the library writes for an absent bias: its sign makes the chip saturate as a signed type."""
    return Constant(0, i16 if bias_dtype.is_signed else u16)


def _symmetric(
    dst: LocalTensor,
    source: LocalTensor,
    weight: LocalTensor,
    bias: LocalTensor | Constant,
    around: Window,
    right_shift: int,
    *,
    result_relu: bool,
    kernel_rotate: bool = False,
) -> Emitted:
    only_absent_bias_is_signed = bias == Constant(0, i16) and not source.dtype.is_signed and not weight.dtype.is_signed
    if only_absent_bias_is_signed and not result_relu:
        dst = replace(dst, dtype=SIGNED[dst.dtype.bits])
    return (
        Conv(
            op=ConvOp.REQUANT_RELU if result_relu else ConvOp.REQUANT,
            dst=dst,
            input=source,
            weight=weight,
            bias=bias,
            kernel_rotate=kernel_rotate,
            right_shift=right_shift,
            **around,
        ),
    )
