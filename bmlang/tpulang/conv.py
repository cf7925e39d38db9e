"""NN operators: convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bmlang as bm
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import DTYPES
from bmlang.tpulang.operator import BYTES, FLOATS, check, given, lists, made, needs, operator, plain, single, value
from bmlang.tpulang.tensor import Numbers, Tensor, Whole

__all__ = ["conv", "conv3d", "conv3d_int", "conv3d_quant", "conv_int", "conv_quant", "deconv", "deconv3d", "deconv_int"]

Lengths = Sequence[int] | None


@operator
def conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    group: int = 1,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Convolution of float32 or float16.

    Args:
        input: (n, ic, h, w).
        weight: (oc, ic / group, kh, kw), of the same type.
        bias: oc numbers, float32.
        stride, dilation: rows and columns.
        pad: zeros at the top, left, bottom, right.
        group: number of groups of channels.
        out_dtype: the type of the input, or nothing.
        out_name: name of the result.
    """
    _floats(input, weight, out_dtype)
    return made(bm.conv(value(input), value(weight), _bias(input, bias), groups=group, **_windows(2, stride, dilation, pad)), out_name)


@operator
def conv_int(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    group: int = 1,
    input_zp: Whole | None = None,
    weight_zp: Whole | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Exact sums, int32, of a convolution of integers of 8 bits: (input - input_zp) with (weight - weight_zp), plus bias.

    Args:
        input: (n, ic, h, w), int8 or uint8.
        weight: (oc, ic / group, kh, kw), int8 or uint8.
        bias: oc numbers, int32.
        stride, dilation: rows and columns.
        pad: rows and columns that mean 0, at the top, left, bottom, right.
        group: number of groups of channels.
        input_zp: the integer of the input that means 0; that of the tensor by default, else 0.
        weight_zp: that of the weight; or one for each output channel.
        out_dtype: "int32", or nothing.
        out_name: name of the result.
    """
    return made(_sums(2, input, weight, bias, stride, dilation, pad, group, input_zp, weight_zp, out_dtype), out_name)


@operator
def conv_quant(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    group: int = 1,
    input_scale: Numbers | None = None,
    weight_scale: Numbers | None = None,
    output_scale: Numbers | None = None,
    input_zp: Whole | None = None,
    weight_zp: Whole | None = None,
    output_zp: Whole | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Convolution of integers of 8 bits that stand for numbers: the sums of `conv_int`, brought to the scale of the result.

    Args:
        input, weight, bias, stride, dilation, pad, group: as of `conv_int`.
        input_scale, weight_scale: what a step means; that of the tensor by default. One for each output channel of the weight, too.
        output_scale: what a step of the result means.
        input_zp, weight_zp, output_zp: the integers that mean 0.
        out_dtype: "int8" or "uint8"; that of the input by default.
        out_name: name of the result.
    """
    input.quantization(input_scale, None)
    weight.quantization(weight_scale, None)
    windows = _windows(2, stride, dilation, pad)
    return _quantised(bm.conv_quant, windows, input, weight, bias, group, output_scale, input_zp, weight_zp, output_zp, out_dtype, out_name)


@operator
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    group: int = 1,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Convolution over depth, rows and columns: input (n, ic, d, h, w), weight (oc, ic / group, kd, kh, kw); otherwise as `conv`.

    Args:
        input, weight, bias, group, out_dtype, out_name: as of `conv`.
        stride, dilation: depth, rows and columns.
        pad: zeros at the front, top, left, back, bottom, right.
    """
    _floats(input, weight, out_dtype)
    return made(bm.conv3d(value(input), value(weight), _bias(input, bias), groups=group, **_windows(3, stride, dilation, pad)), out_name)


@operator
def conv3d_int(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    group: int = 1,
    input_zp: Whole | None = None,
    weight_zp: Whole | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The sums of `conv_int` over depth, rows and columns; shapes as of `conv3d`."""
    return made(_sums(3, input, weight, bias, stride, dilation, pad, group, input_zp, weight_zp, out_dtype), out_name)


@operator
def conv3d_quant(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    group: int = 1,
    input_scale: Numbers | None = None,
    weight_scale: Numbers | None = None,
    output_scale: Numbers | None = None,
    input_zp: Whole | None = None,
    weight_zp: Whole | None = None,
    output_zp: Whole | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """`conv_quant` over depth, rows and columns; shapes as of `conv3d`."""
    input.quantization(input_scale, None)
    weight.quantization(weight_scale, None)
    windows = _windows(3, stride, dilation, pad)
    return _quantised(
        bm.conv3d_quant, windows, input, weight, bias, group, output_scale, input_zp, weight_zp, output_zp, out_dtype, out_name
    )


@operator
def deconv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    output_padding: Lengths = None,
    group: int = 1,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The transpose of a convolution, of float32 or float16.

    Args:
        input: (n, ic, h, w).
        weight: (oc, ic / group, kh, kw): TpuLang has the output channels first here, too.
        bias: oc numbers, float32.
        stride, dilation: rows and columns.
        pad: what is cut off the full result at the top, left, bottom, right.
        output_padding: rows and columns more, at the bottom and at the right.
        group: number of groups of channels.
        out_dtype: the type of the input, or nothing.
        out_name: name of the result.
    """
    _floats(input, weight, out_dtype)
    more = lists(output_padding, (0, 0), "output_padding")
    windows = _windows(2, stride, dilation, pad)
    kernels = _inputs_first(weight, group)
    return made(bm.deconv(value(input), kernels, _bias(input, bias), output_padding=more, groups=group, **windows), out_name)


@operator
def deconv_int(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    output_padding: Lengths = None,
    group: int = 1,
    input_zp: Whole | None = None,
    weight_zp: Whole | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Exact sums, int32, of the transpose of a convolution of integers of 8 bits; shapes as of `deconv`, numbers as of `conv_int`."""
    _integers(input, weight, bias, out_dtype)
    zero, kernel_zero = _zero_points(input, weight, input_zp, weight_zp)
    found = bm.deconv_int(
        value(input),
        _inputs_first(weight, group),
        None if bias is None else bm.reshape(value(bias), (-1,)),
        output_padding=lists(output_padding, (0, 0), "output_padding"),
        groups=group,
        input_zero_point=zero,
        weight_zero_point=kernel_zero,
        **_windows(2, stride, dilation, pad),
    )
    return made(found, out_name)


@operator
def deconv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Lengths = None,
    dilation: Lengths = None,
    pad: Lengths = None,
    output_padding: Lengths = None,
    group: int = 1,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The transpose of `conv3d`; weight (oc, ic / group, kd, kh, kw)."""
    _floats(input, weight, out_dtype)
    more = lists(output_padding, (0, 0, 0), "output_padding")
    windows = _windows(3, stride, dilation, pad)
    kernels = _inputs_first(weight, group)
    return made(bm.deconv3d(value(input), kernels, _bias(input, bias), output_padding=more, groups=group, **windows), out_name)


def _floats(input: Tensor, weight: Tensor, out_dtype: str | None) -> None:
    needs(input, *FLOATS)
    needs(weight, input.dtype)
    check(out_dtype in (None, input.dtype), f"out_dtype is {out_dtype}", f"the result is {input.dtype}, as the input")


def _integers(input: Tensor, weight: Tensor, bias: Tensor | None, out_dtype: str | None) -> None:
    needs(input, *BYTES)
    needs(weight, *BYTES)
    if bias is not None:
        needs(bias, "int32")
    check(out_dtype in (None, "int32"), f"out_dtype is {out_dtype}", "the sums are int32; cast them for another type")


def _windows(rank: int, stride: Lengths, dilation: Lengths, pad: Lengths) -> dict[str, list[int]]:
    return {
        "stride": lists(stride, (1,) * rank, "stride"),
        "dilation": lists(dilation, (1,) * rank, "dilation"),
        "pad": lists(pad, (0,) * 2 * rank, "pad"),
    }


def _bias(input: Tensor, bias: Tensor | None) -> Value | None:
    """The bias, which TpuLang has in float32 with inputs of float16, too."""
    if bias is None:
        return None
    needs(bias, *FLOATS)
    flat = bm.reshape(value(bias), (-1,)) if len(bias.shape) != 1 else value(bias)
    return flat if bias.dtype == input.dtype else bm.cast(flat, input.kind)


def _zero_points(input: Tensor, weight: Tensor, input_zp: Whole | None, weight_zp: Whole | None) -> tuple[int, int | list[int]]:
    input.quantization(None, input_zp)
    weight.quantization(None, weight_zp)
    own = int(single(0 if input.zero_point is None else input.zero_point, "input_zp"))
    kernel = 0 if weight.zero_point is None else weight.zero_point
    return own, kernel if isinstance(kernel, int) else list(kernel)


def _sums(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Lengths,
    dilation: Lengths,
    pad: Lengths,
    group: int,
    input_zp: Whole | None,
    weight_zp: Whole | None,
    out_dtype: str | None,
) -> Value:
    _integers(input, weight, bias, out_dtype)
    zero, kernel_zero = _zero_points(input, weight, input_zp, weight_zp)
    compute = bm.conv_int if rank == 2 else bm.conv3d_int
    return compute(
        value(input),
        value(weight),
        None if bias is None else bm.reshape(value(bias), (-1,)),
        groups=group,
        input_zero_point=zero,
        weight_zero_point=kernel_zero,
        **_windows(rank, stride, dilation, pad),
    )


def _quantised(
    compute: Callable[..., Value],
    windows: dict[str, list[int]],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    group: int,
    output_scale: Numbers | None,
    input_zp: Whole | None,
    weight_zp: Whole | None,
    output_zp: Whole | None,
    out_dtype: str | None,
    name: str | None,
) -> Tensor:
    """A convolution whose sums are brought to the scale of the result."""
    dtype = out_dtype or input.dtype
    check(dtype in BYTES, f"out_dtype is {out_dtype}", "choose int8 or uint8")
    _integers(input, weight, bias, None)
    zero, kernel_zero = _zero_points(input, weight, input_zp, weight_zp)
    point = single(0 if output_zp is None else output_zp, "output_zp")
    found = compute(
        value(input),
        value(weight),
        None if bias is None else bm.reshape(value(bias), (-1,)),
        input_scale=single(input.scale, "input_scale"),
        weight_scale=plain(given(weight.scale, "weight_scale")),
        output_scale=single(output_scale, "output_scale"),
        input_zero_point=zero,
        weight_zero_point=kernel_zero,
        output_zero_point=int(point),
        groups=group,
        dtype=DTYPES[dtype],
        rounding="half_away_from_zero",
        **windows,
    )
    return made(found, name, output_scale, int(point))


def _inputs_first(weight: Tensor, group: int) -> Value:
    """Kernels (oc, ic / group, ...) as `bmlang` has them for transposed convolutions: (ic, oc / group, ...)."""
    outputs, inputs, *kernel = weight.shape
    check(outputs % group == 0, f"{outputs} output channels in {group} groups", "give a divisor")
    grouped = bm.reshape(value(weight), (group, outputs // group, inputs, *kernel))
    swapped = bm.permute(grouped, (0, 2, 1, *range(3, len(kernel) + 3)))
    return bm.reshape(swapped, (group * inputs, outputs // group, *kernel))
