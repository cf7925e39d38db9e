"""TPUKernel functions: floating-point neural networks: one number per channel, convolutions, pooling.

f32, f16 and bf16 unless a function says otherwise.
"""

from __future__ import annotations

from tpukernel.api.arguments import Address, Dim2, Int, LocalIn, LocalInOut, LocalOut, Padding, ScalarArg, Stride
from tpukernel.api.function import Emitted, function, missing
from tpukernel.api.operands import constant, local, per_channel
from tpukernel.api.windows import Window, conv_input, conv_weight, pool, roi_pool, taps, window, window_output
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa import Conv, Linear, LinearOp, Pool, PoolOp

__all__ = [
    "tpu_bdc_fp_add_C_sqr",
    "tpu_bdc_fp_add_bias_sqr",
    "tpu_bdc_fp_avg_pool2d",
    "tpu_bdc_fp_bias",
    "tpu_bdc_fp_conv2d",
    "tpu_bdc_fp_conv2d_for_deconv2d",
    "tpu_bdc_fp_conv2d_kernel_const",
    "tpu_bdc_fp_depthwise2d",
    "tpu_bdc_fp_depthwise_for_deconv2d",
    "tpu_bdc_fp_ins_avg_pool2d",
    "tpu_bdc_fp_ins_depthwise",
    "tpu_bdc_fp_max_pool2d",
    "tpu_bdc_fp_roi_avg_pool2d",
    "tpu_bdc_fp_roi_depthwise2d",
    "tpu_bdc_fp_roi_max_pool2d",
    "tpu_bdc_fp_scale",
    "tpu_bdc_fp_scale_bias",
    "tpu_bdc_fp_scale_bias_C",
    "tpu_bdc_fp_sub_C_sqr",
    "tpu_bdc_fp_sub_bias_sqr",
]

GROUP = "BDC floating-point NN functions"


@function(GROUP, Linear)
def tpu_bdc_fp_bias(dst_addr: LocalOut, src_addr: LocalIn, bias_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src * 1 + bias with a bias per channel, compact."""
    return _linear(LinearOp.MAC, dst_addr, src_addr, shape, dtype, Constant.of(1.0, dtype), per_channel(bias_addr, shape[1], dtype))


@function(GROUP, Linear)
def tpu_bdc_fp_add_bias_sqr(dst_addr: LocalOut, src_addr: LocalIn, bias_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = (src + bias) ** 2 with a bias per channel, compact. The sum is rounded to the type before the product."""
    return _linear(LinearOp.SQUARE_SUM, dst_addr, src_addr, shape, dtype, per_channel(bias_addr, shape[1], dtype))


@function(GROUP, Linear)
def tpu_bdc_fp_add_C_sqr(dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = (src + C) ** 2. The sum is rounded to the type before the product."""
    return _linear(LinearOp.SQUARE_SUM, dst_addr, src_addr, shape, dtype, constant(C, dtype))


@function(GROUP, Linear)
def tpu_bdc_fp_sub_bias_sqr(dst_addr: LocalOut, src_addr: LocalIn, bias_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = (src - bias) ** 2 with a bias per channel, compact. The difference is rounded to the type before the product."""
    return _linear(LinearOp.SQUARE_DIFF, dst_addr, src_addr, shape, dtype, per_channel(bias_addr, shape[1], dtype))


@function(GROUP, Linear)
def tpu_bdc_fp_sub_C_sqr(dst_addr: LocalOut, src_addr: LocalIn, C: ScalarArg, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = (src - C) ** 2. The difference is rounded to the type before the product."""
    return _linear(LinearOp.SQUARE_DIFF, dst_addr, src_addr, shape, dtype, constant(C, dtype))


@function(GROUP, Linear)
def tpu_bdc_fp_scale(dst_addr: LocalOut, src_addr: LocalIn, scale_addr: LocalIn, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src * scale + 0 with a scale per channel, compact."""
    return _linear(LinearOp.MAC, dst_addr, src_addr, shape, dtype, per_channel(scale_addr, shape[1], dtype), Constant.of(0.0, dtype))


@function(GROUP, Linear)
def tpu_bdc_fp_scale_bias(
    dst_addr: LocalOut, src_addr: LocalIn, scale_addr: LocalIn, bias_addr: LocalIn, shape: Dim4, dtype: Dtype
) -> Emitted:
    """dst = src * scale + bias with a scale and a bias per channel, compact. The product is rounded to the type before the sum."""
    return _linear(
        LinearOp.MAC, dst_addr, src_addr, shape, dtype, per_channel(scale_addr, shape[1], dtype), per_channel(bias_addr, shape[1], dtype)
    )


@function(GROUP, Linear)
def tpu_bdc_fp_scale_bias_C(dst_addr: LocalOut, src_addr: LocalIn, scale: ScalarArg, bias: ScalarArg, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src * scale + bias for all channels. The product is rounded to the type before the sum."""
    return _linear(LinearOp.MAC, dst_addr, src_addr, shape, dtype, constant(scale, dtype), constant(bias, dtype))


@function(GROUP, Conv)
def tpu_bdc_fp_conv2d(
    output_addr: LocalInOut,
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
    has_bias: bool,
    result_add: bool,
) -> Emitted:
    """output = input convolved with weight, plus bias; `result_add` adds it to output.

    f32, or f16 or bf16 added up in f32; output is of the same type or f32 (what `result_add` adds to is always f32). Without the strides
    input is EU-aligned; unless it is f32 it starts in lane 0. weight (output_c, c, kh, kw) has the layout WEIGHT; the bias, one per output
    channel, is f32 and compact. Output, weight and bias start in the same lane. padding is 0 to 15 zeros, stride and dilation are 1 to 15.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight = conv_weight(weight_addr, output_c, source, kernel, input_dtype)
    bias = per_channel(bias_addr, output_c, f32) if has_bias else None
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    return _conv(dst, source, weight, bias, around, result_add=result_add)


@function(GROUP, Conv)
def tpu_bdc_fp_conv2d_for_deconv2d(
    output_addr: LocalInOut,
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
    has_bias: bool,
    result_add: bool,
) -> Emitted:
    """output = input with zeros inserted, convolved with weight rotated by 180 degrees, plus bias; `result_add` adds it to output.

    `insert` zeros (0 to 14) come between neighbours of input: a transposed convolution. Else as `tpu_bdc_fp_conv2d` with stride 1.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, dilation=dilation, insert=insert)
    weight = conv_weight(weight_addr, output_c, source, kernel, input_dtype)
    bias = per_channel(bias_addr, output_c, f32) if has_bias else None
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    return _conv(dst, source, weight, bias, around, result_add=result_add, kernel_rotate=True)


@function(GROUP, Pool)
def tpu_bdc_fp_depthwise_for_deconv2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    insert: Dim2,
    padding: Padding,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    kernel_is_const: bool,
    has_bias: bool,
) -> Emitted:
    """output = each channel of input with zeros inserted, convolved with its own kernel rotated by 180 degrees, plus its bias.

    `insert` zeros (0 to 14) come between neighbours of input: a transposed depthwise convolution. With `kernel_is_const` the 32 bits of
    `weight_addr` are one number for all weights, not an address. output_dtype is input_dtype. Else as `tpu_bdc_fp_depthwise2d` with stride
    1.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, dilation=dilation, insert=insert)
    weight = Constant(weight_addr.__index__(), input_dtype) if kernel_is_const else taps(weight_addr, input_shape[1], kernel, input_dtype)
    bias = per_channel(bias_addr, input_shape[1], input_dtype) if has_bias else None
    return pool(PoolOp.DEPTHWISE, output_addr, output_dtype, source, around, weight=weight, bias=bias, kernel_rotate=True)


@function(GROUP, Conv)
def tpu_bdc_fp_conv2d_kernel_const(
    output_addr: LocalInOut,
    input_addr: LocalIn,
    bias_addr: LocalIn,
    C: ScalarArg,
    input_shape: Dim4,
    input_stride: Stride,
    output_c: Int,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    has_bias: bool,
    result_add: bool,
) -> Emitted:
    """output = input convolved with a weight whose elements are all C, plus bias; `result_add` adds it to output.

    Else as `tpu_bdc_fp_conv2d`.
    """
    source = conv_input(input_addr, input_shape, input_dtype, input_stride)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight = constant(C, input_dtype)
    bias = per_channel(bias_addr, output_c, f32) if has_bias else None
    dst = window_output(output_addr, output_c, source, around, output_dtype)
    return _conv(dst, source, weight, bias, around, result_add=result_add)


@function(GROUP, Pool)
def tpu_bdc_fp_max_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    dtype: Dtype,
    pad_val: ScalarArg,
) -> Emitted:
    """output = the largest element of each window, where padding is pad_val.

    padding is 0 to 15, stride and dilation are 1 to 15.
    """
    source = local(input_addr, input_shape, dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    return pool(PoolOp.MAX_POOL, output_addr, dtype, source, around, pad_value=constant(pad_val, dtype))


@function(GROUP, Pool)
def tpu_bdc_fp_ins_avg_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    ins: Dim2,
    dtype: Dtype,
    scale: ScalarArg,
) -> Emitted:
    """output = the sum of (element * scale) over each window of input with `ins` zeros (0 to 14) between neighbours.

    Else as `tpu_bdc_fp_avg_pool2d`.
    """
    source = local(input_addr, input_shape, dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation, insert=ins)
    return pool(PoolOp.AVG_POOL, output_addr, dtype, source, around, scale=constant(scale, dtype))


@function(GROUP, Pool)
def tpu_bdc_fp_avg_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    dtype: Dtype,
    scale: ScalarArg,
) -> Emitted:
    """output = the sum of (element * scale) over each window, padded with zeros; scale is 1 / taps for an average.

    Each product and each sum is rounded to the type. padding is 0 to 15, stride and dilation are 1 to 15.
    """
    source = local(input_addr, input_shape, dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    return pool(PoolOp.AVG_POOL, output_addr, dtype, source, around, scale=constant(scale, dtype))


@function(GROUP, Pool)
def tpu_bdc_fp_ins_depthwise(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    ins: Dim2,
    dilation: Dim2,
    dtype: Dtype,
    has_bias: bool,
) -> Emitted:
    """output = each channel of input with zeros inserted, convolved with its own kernel, plus its bias.

    `ins` zeros (0 to 14) come between neighbours of input; the kernel is not rotated. Else as `tpu_bdc_fp_depthwise2d`.
    """
    source = local(input_addr, input_shape, dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation, insert=ins)
    weight = taps(weight_addr, input_shape[1], kernel, dtype)
    bias = per_channel(bias_addr, input_shape[1], dtype) if has_bias else None
    return pool(PoolOp.DEPTHWISE, output_addr, dtype, source, around, weight=weight, bias=bias)


@function(GROUP, Pool)
def tpu_bdc_fp_depthwise2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    dtype: Dtype,
    has_bias: bool,
) -> Emitted:
    """output = each channel of input convolved with its own kernel, plus its bias.

    weight (1, c, kh, kw) and bias (1, c, 1, 1) are compact and of the type of input. Each product and each sum is rounded to the type.
    padding is 0 to 15 zeros, stride and dilation are 1 to 15.
    """
    source = local(input_addr, input_shape, dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight = taps(weight_addr, input_shape[1], kernel, dtype)
    bias = per_channel(bias_addr, input_shape[1], dtype) if has_bias else None
    return pool(PoolOp.DEPTHWISE, output_addr, dtype, source, around, weight=weight, bias=bias)


@function(GROUP, Pool)
def tpu_bdc_fp_roi_max_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    roi_addr: LocalIn,
    input_shape: Dim4,
    output_w: Int,
    kernel: Dim2,
    dtype: Dtype,
    except_val: ScalarArg,
) -> Emitted:
    """output = the largest element of the window of each of output_w regions, where elements outside the region are except_val.

    The window starts at the first element of the region. The regions are four 16-bit integers each, x and y of the first and of the last
    element, compact from lane 0 on; output is (n, c, 1, output_w).
    """
    return roi_pool(PoolOp.ROI_MAX_POOL, output_addr, dtype, local(input_addr, input_shape, dtype), roi_addr, output_w, kernel, except_val)


@function(GROUP, Pool)
def tpu_bdc_fp_roi_avg_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    roi_addr: LocalIn,
    input_shape: Dim4,
    output_w: Int,
    kernel: Dim2,
    dtype: Dtype,
    except_val: ScalarArg,
    scale: ScalarArg,
) -> Emitted:
    """output = the sum of (element * scale) over the window of each region, where elements outside the region are except_val.

    Each product and each sum is rounded to the type. Regions and output as in `tpu_bdc_fp_roi_max_pool2d`.
    """
    return roi_pool(
        PoolOp.ROI_AVG_POOL,
        output_addr,
        dtype,
        local(input_addr, input_shape, dtype),
        roi_addr,
        output_w,
        kernel,
        except_val,
        scale=constant(scale, dtype),
    )


tpu_bdc_fp_roi_depthwise2d = missing(
    "tpu_bdc_fp_roi_depthwise2d", GROUP, "regions of interest have a depthwise convolution of 8-bit integers only"
)


def _linear(
    op: LinearOp,
    dst_addr: Address,
    src_addr: Address,
    shape: Dim4,
    dtype: Dtype,
    src1: LocalTensor | Constant,
    src2: LocalTensor | Constant | None = None,
) -> Emitted:
    return (Linear(op=op, dst=local(dst_addr, shape, dtype), src0=local(src_addr, shape, dtype), src1=src1, src2=src2),)


def _conv(
    dst: LocalTensor,
    source: LocalTensor,
    weight: LocalTensor | Constant,
    bias: LocalTensor | None,
    around: Window,
    *,
    result_add: bool,
    kernel_rotate: bool = False,
) -> Emitted:
    return (Conv(dst=dst, input=source, weight=weight, bias=bias, result_add=result_add, kernel_rotate=kernel_rotate, **around),)
