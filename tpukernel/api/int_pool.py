"""TPUKernel functions: depthwise convolutions and pooling of 8-bit integers."""

from __future__ import annotations

from tpukernel.api.arguments import U8, Address, Dim2, Int, LocalIn, LocalOut, Padding, ScalarArg
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local, per_channel
from tpukernel.api.windows import Window, pairs, pool, roi_pool, taps, window
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, i32, u8, u32
from tpukernel.isa import Pool, PoolOp, Rounding

__all__ = [
    "tpu_bdc_int8_avg_pool2d",
    "tpu_bdc_int8_depthwise2d",
    "tpu_bdc_int8_depthwise2d_kernel_const",
    "tpu_bdc_int8_depthwise_for_deconv2d",
    "tpu_bdc_int8_ins_avg_pool2d",
    "tpu_bdc_int8_max_pool2d",
    "tpu_bdc_int8_pc_pad_depthwise2d",
    "tpu_bdc_int8_pc_pad_depthwise_for_deconv2d",
    "tpu_bdc_int8_roi_avg_pool2d",
    "tpu_bdc_int8_roi_depthwise2d",
    "tpu_bdc_int8_roi_max_pool2d",
]

GROUP = "BDC integer NN functions"


@function(GROUP, Pool)
def tpu_bdc_int8_max_pool2d(
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
def tpu_bdc_int8_ins_avg_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    ins: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    scale: U8,
    rshift: U8,
) -> Emitted:
    """output = (scale * the sum over each window of input with `ins` zeros, 0 to 14, between neighbours) >> rshift.

    Else as `tpu_bdc_int8_avg_pool2d`.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation, insert=ins)
    return pool(PoolOp.AVG_POOL, output_addr, output_dtype, source, around, scale=Constant.of(scale, u8), right_shift=rshift)


@function(GROUP, Pool)
def tpu_bdc_int8_avg_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    stride: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    scale: U8,
    rshift: U8,
) -> Emitted:
    """output = (scale * the sum of the elements of each window) >> rshift, rounded half up and saturated; padding is 0.

    output has 8, 16 or 32 bits and is signed as input is. scale is unsigned. padding is 0 to 15, stride and dilation are 1 to 15.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    return pool(PoolOp.AVG_POOL, output_addr, output_dtype, source, around, scale=Constant.of(scale, u8), right_shift=rshift)


@function(GROUP, Pool)
def tpu_bdc_int8_depthwise2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    pad_val: ScalarArg,
    input_shape: Dim4,
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
    rounding_mode: Rounding,
) -> Emitted:
    """output = (each channel of input convolved with its own kernel, plus its bias) >> rshift, rounded and saturated.

    Padding is pad_val. output has 8, 16 or 32 bits: signed when input, weight or bias is, with `result_relu` always unsigned (negative
    results become 0). weight (1, c, kh, kw) and bias (1, c, 1, 1) are compact; the bias has 32 bits, of `bias_dtype` only the sign counts,
    and without a bias nothing. padding is 0 to 15, stride and dilation are 1 to 15.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight, pad = taps(weight_addr, input_shape[1], kernel, weight_dtype), constant(pad_val, input_dtype)
    bias = _bias(bias_addr, input_shape[1], bias_dtype) if has_bias else None
    return _depthwise(output_addr, output_dtype, source, weight, bias, pad, around, rshift, rounding_mode, result_relu=result_relu)


@function(GROUP, Pool)
def tpu_bdc_int8_depthwise2d_kernel_const(
    output_addr: LocalOut,
    input_addr: LocalIn,
    bias_addr: LocalIn,
    C: ScalarArg,
    pad_val: ScalarArg,
    input_shape: Dim4,
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
    rounding_mode: Rounding,
) -> Emitted:
    """output = (each channel of input convolved with a kernel whose elements are all C, plus its bias) >> rshift.

    Else as `tpu_bdc_int8_depthwise2d`.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight, pad = constant(C, weight_dtype), constant(pad_val, input_dtype)
    bias = _bias(bias_addr, input_shape[1], bias_dtype) if has_bias else None
    return _depthwise(output_addr, output_dtype, source, weight, bias, pad, around, rshift, rounding_mode, result_relu=result_relu)


@function(GROUP, Pool)
def tpu_bdc_int8_pc_pad_depthwise2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    pad_addr: LocalIn,
    input_shape: Dim4,
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
    rounding_mode: Rounding,
) -> Emitted:
    """output = (each channel of input convolved with its own kernel, plus its bias) >> rshift, with padding of its own.

    pad has a pair (pad value, insert value) per channel, compact. Else as `tpu_bdc_int8_depthwise2d`.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, stride=stride, dilation=dilation)
    weight, pad = taps(weight_addr, input_shape[1], kernel, weight_dtype), pairs(pad_addr, input_shape[1], input_dtype)
    bias = _bias(bias_addr, input_shape[1], bias_dtype) if has_bias else None
    return _depthwise(output_addr, output_dtype, source, weight, bias, pad, around, rshift, rounding_mode, result_relu=result_relu)


@function(GROUP, Pool)
def tpu_bdc_int8_pc_pad_depthwise_for_deconv2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    pad_addr: LocalIn,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    insert: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    bias_dtype: Dtype,
    rshift: U8,
    has_bias: bool,
    result_relu: bool,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (each channel of input with elements inserted, convolved with its kernel rotated by 180 degrees, plus bias) >> rshift.

    `insert` elements (0 to 14) come between neighbours of input: a transposed depthwise convolution. pad has a pair (pad value, insert
    value) per channel, compact. Else as `tpu_bdc_int8_depthwise2d` with stride 1.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, dilation=dilation, insert=insert)
    weight, pad = taps(weight_addr, input_shape[1], kernel, weight_dtype), pairs(pad_addr, input_shape[1], input_dtype)
    bias = _bias(bias_addr, input_shape[1], bias_dtype) if has_bias else None
    return _depthwise(
        output_addr, output_dtype, source, weight, bias, pad, around, rshift, rounding_mode, result_relu=result_relu, kernel_rotate=True
    )


@function(GROUP, Pool)
def tpu_bdc_int8_depthwise_for_deconv2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    bias_addr: LocalIn,
    pad_val: ScalarArg,
    input_shape: Dim4,
    kernel: Dim2,
    padding: Padding,
    insert: Dim2,
    dilation: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    bias_dtype: Dtype,
    rshift: U8,
    has_bias: bool,
    result_relu: bool,
    rounding_mode: Rounding,
) -> Emitted:
    """output = (each channel of input with zeros inserted, convolved with its kernel rotated by 180 degrees, plus bias) >> rshift.

    `insert` zeros (0 to 14) come between neighbours of input: a transposed depthwise convolution. Else as `tpu_bdc_int8_depthwise2d` with
    stride 1.
    """
    source = local(input_addr, input_shape, input_dtype)
    around = window(kernel, padding, dilation=dilation, insert=insert)
    weight, pad = taps(weight_addr, input_shape[1], kernel, weight_dtype), constant(pad_val, input_dtype)
    bias = _bias(bias_addr, input_shape[1], bias_dtype) if has_bias else None
    return _depthwise(
        output_addr, output_dtype, source, weight, bias, pad, around, rshift, rounding_mode, result_relu=result_relu, kernel_rotate=True
    )


@function(GROUP, Pool)
def tpu_bdc_int8_roi_max_pool2d(
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
def tpu_bdc_int8_roi_avg_pool2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    roi_addr: LocalIn,
    input_shape: Dim4,
    output_w: Int,
    kernel: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    except_val: ScalarArg,
    scale: ScalarArg,
) -> Emitted:
    """output = scale * the sum over the window of each region, where elements outside the region are except_val.

    output has 16 bits, is signed as input is, and saturates; scale is an u8. Regions and output as in `tpu_bdc_int8_roi_max_pool2d`.
    """
    return roi_pool(
        PoolOp.ROI_AVG_POOL,
        output_addr,
        output_dtype,
        local(input_addr, input_shape, input_dtype),
        roi_addr,
        output_w,
        kernel,
        except_val,
        scale=constant(scale, u8),
    )


@function(GROUP, Pool)
def tpu_bdc_int8_roi_depthwise2d(
    output_addr: LocalOut,
    input_addr: LocalIn,
    weight_addr: LocalIn,
    roi_addr: LocalIn,
    input_shape: Dim4,
    output_w: Int,
    kernel: Dim2,
    output_dtype: Dtype,
    input_dtype: Dtype,
    weight_dtype: Dtype,
    except_val: ScalarArg,
) -> Emitted:
    """output = the weighted sum over the window of each region, where elements outside the region are except_val.

    output has 16 bits, is signed when input or weight is, and wraps. weight (1, c, kh, kw) is compact. Regions and output as in
    `tpu_bdc_int8_roi_max_pool2d`.
    """
    source, weight = local(input_addr, input_shape, input_dtype), taps(weight_addr, input_shape[1], kernel, weight_dtype)
    return roi_pool(PoolOp.ROI_DEPTHWISE, output_addr, output_dtype, source, roi_addr, output_w, kernel, except_val, weight=weight)


def _bias(address: Address, channels: int, dtype: Dtype) -> LocalTensor:
    """The chip reads 32 bits, whatever width the call names."""
    return per_channel(address, channels, i32 if dtype.is_signed else u32)


def _depthwise(
    output_addr: Address,
    output_dtype: Dtype,
    source: LocalTensor,
    weight: LocalTensor | Constant,
    bias: LocalTensor | None,
    pad: LocalTensor | Constant,
    around: Window,
    right_shift: int,
    mode: Rounding,
    *,
    result_relu: bool,
    kernel_rotate: bool = False,
) -> Emitted:
    op = PoolOp.DEPTHWISE_RELU if result_relu else PoolOp.DEPTHWISE
    return pool(
        op,
        output_addr,
        output_dtype,
        source,
        around,
        weight=weight,
        bias=bias,
        pad_value=pad,
        kernel_rotate=kernel_rotate,
        right_shift=right_shift,
        rounding=mode,
    )
