"""Operators of quantised models: products of 8-bit integers and what makes 8 bits of them again, functions of integers by tables.

Sums are made narrow by integers: by a multiplier of 31 bits and a shift, which are nearer to the scale than f32 is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.conv3d import conv3d_int
from bmlang.layers.conv_int import BYTES, conv_int, deconv_int
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.lookup import LENGTH, lut
from bmlang.layers.matmul_int import matmul_int
from bmlang.layers.quantise import dequantise, quantise
from bmlang.layers.reference import run_reference
from bmlang.layers.requant_int import requant_int
from bmlang.layers.softmax import softmax
from bmlang.layers.tensor import Operand, Tensor, Tracer, here
from tpukernel.dtypes import Dtype, dtype_of, i8
from tpukernel.lang.signature import TensorSpec

__all__ = ["activation_int", "conv3d_quant", "conv_quant", "deconv_quant", "matmul_quant", "softmax_int"]

Numbers = float | Sequence[float] | Array
Points = int | Sequence[int] | Array
BITS = 31
"""Of a multiplier, without its sign."""
ROUNDING = "half_away_from_zero"


def fixed_point(scale: Array) -> tuple[Array, Array]:
    """Scales as integers: multiplier * 2 ** shift, where the multiplier has 31 bits.

    Args:
        scale: numbers above 0.

    Returns:
        Multipliers from 2 ** 30 to 2 ** 31 - 1, and shifts, both i64.
    """
    fraction, exponent = np.frexp(scale.astype(np.float64))
    multiplier = np.rint(fraction * 2.0**BITS).astype(np.int64)
    whole = multiplier == 1 << BITS
    return np.where(whole, 1 << (BITS - 1), multiplier), exponent.astype(np.int64) - BITS + whole


def _narrowed(
    name: str, sums: Tensor, scales: tuple[float, Numbers, float], zero_point: int, dtype: Dtype | str, axis: int, rounding: str
) -> Tensor:
    """Sums of products as integers of the third scale."""
    one, other, result = (np.asarray(each, np.float64) for each in scales)
    factor = one * other / result
    if one.size != 1 or result.size != 1 or not (np.isfinite(factor).all() and (factor > 0).all()):
        told = ", ".join(str(each) for each in scales)
        raise OperatorArgumentError(f"scales of {name} are {told}", position=here(), help="give numbers above 0; several for weights only")
    multiplier, shift = fixed_point(factor)
    return requant_int(sums, multiplier, shift, zero_point, dtype, axis=axis, rounding=rounding)


def conv_quant(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    input_scale: float,
    weight_scale: Numbers,
    output_scale: float,
    input_zero_point: int = 0,
    weight_zero_point: Points = 0,
    output_zero_point: int = 0,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    dtype: Dtype | str = i8,
    rounding: str = ROUNDING,
) -> Tensor:
    """A convolution of 8-bit integers that stand for numbers, as such integers: exact sums, made narrow by a multiplier and a shift.

    Args:
        x: (n, ic, h, w), i8 or u8.
        weight: (oc, ic / groups, kh, kw), i8 or u8.
        bias: (oc), i32, in steps of input_scale * weight_scale.
        input_scale, weight_scale, output_scale: what a step of x, of weight (possibly one for each output channel) and of the result means.
        input_zero_point, weight_zero_point, output_zero_point: the integers that mean 0, likewise.
        stride, pad, dilation, groups: as of `conv_int`.
        dtype: of the result: bm.i8, bm.u8, bm.i16 or bm.u16.
        rounding: as of `requant_int`.
    """
    windows = {"stride": stride, "pad": pad, "dilation": dilation}
    sums = conv_int(x, weight, bias, **windows, groups=groups, input_zero_point=input_zero_point, weight_zero_point=weight_zero_point)
    return _narrowed("conv_quant", sums, (input_scale, weight_scale, output_scale), output_zero_point, dtype, 1, rounding)


def deconv_quant(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    input_scale: float,
    weight_scale: Numbers,
    output_scale: float,
    input_zero_point: int = 0,
    weight_zero_point: Points = 0,
    output_zero_point: int = 0,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    dilation: int | Sequence[int] = (1, 1),
    output_padding: int | Sequence[int] = (0, 0),
    groups: int = 1,
    dtype: Dtype | str = i8,
    rounding: str = ROUNDING,
) -> Tensor:
    """A transposed convolution of 8-bit integers that stand for numbers: the transpose of `conv_quant`, of whose kind the arguments are."""
    windows = {"stride": stride, "pad": pad, "dilation": dilation, "output_padding": output_padding}
    sums = deconv_int(x, weight, bias, **windows, groups=groups, input_zero_point=input_zero_point, weight_zero_point=weight_zero_point)
    return _narrowed("deconv_quant", sums, (input_scale, weight_scale, output_scale), output_zero_point, dtype, 1, rounding)


def conv3d_quant(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    input_scale: float,
    weight_scale: Numbers,
    output_scale: float,
    input_zero_point: int = 0,
    weight_zero_point: Points = 0,
    output_zero_point: int = 0,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    dtype: Dtype | str = i8,
    rounding: str = ROUNDING,
) -> Tensor:
    """`conv_quant` over depth, rows and columns; windows as of `conv3d`."""
    windows = {"stride": stride, "pad": pad, "dilation": dilation}
    sums = conv3d_int(x, weight, bias, **windows, groups=groups, input_zero_point=input_zero_point, weight_zero_point=weight_zero_point)
    return _narrowed("conv3d_quant", sums, (input_scale, weight_scale, output_scale), output_zero_point, dtype, 1, rounding)


def matmul_quant(
    a: Tensor,
    b: Operand,
    bias: Array | None = None,
    *,
    a_scale: float,
    b_scale: Numbers,
    output_scale: float,
    a_zero_point: int = 0,
    b_zero_point: Points = 0,
    output_zero_point: int = 0,
    transpose_b: bool = False,
    dtype: Dtype | str = i8,
    rounding: str = ROUNDING,
) -> Tensor:
    """A product of matrices of 8-bit integers that stand for numbers, as such integers.

    Args:
        a, b, bias, a_zero_point, b_zero_point, transpose_b: as of `matmul_int`; bias in steps of a_scale * b_scale.
        a_scale, b_scale, output_scale: what a step of a, of b and of the result means; of b also one for each column of the result.
        output_zero_point: the integer of the result that means 0.
        dtype: of the result: bm.i8, bm.u8, bm.i16 or bm.u16.
        rounding: as of `requant_int`.
    """
    sums = matmul_int(a, b, bias, a_zero_point=a_zero_point, b_zero_point=b_zero_point, transpose_b=transpose_b)
    return _narrowed("matmul_quant", sums, (a_scale, b_scale, output_scale), output_zero_point, dtype, -1, rounding)


def softmax_int(
    x: Tensor,
    axis: int,
    scales: tuple[float, float],
    zero_points: tuple[int, int] = (0, 0),
    dtype: Dtype | str | None = None,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """softmax of integers that stand for numbers, as such integers; computed as floats.

    Args:
        x: i8, u8, i16 or u16.
        axis: the dimension along which the results add up to 1.
        scales: what a step of x and of the result means: numbers above 0.
        zero_points: the integers of x and of the result that mean 0.
        dtype: of the result: that of x, bm.i8, bm.u8, bm.i16 or bm.u16.
        rounding: as of `quantise`.
    """
    numbers = softmax(dequantise(x, scales[0], zero_points[0]), axis)
    return quantise(numbers, scales[1], zero_points[1], x.dtype if dtype is None else dtype, rounding=rounding)


def activation_int(
    x: Tensor,
    function: Callable[[Tensor], Tensor],
    scales: tuple[float, float],
    zero_points: tuple[int, int] = (0, 0),
    dtype: Dtype | str | None = None,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """A function of each number by itself, on integers that stand for numbers; of 8 bits by a table, which numpy makes beforehand.

    Args:
        x: i8 or u8; i16 and u16 are computed as floats.
        function: what numbers become, made of operators that work element by element: `bm.sigmoid`, `lambda x: bm.elu(x, 0.5)`.
        scales: what a step of x and of the result means: numbers above 0.
        zero_points: the integers of x and of the result that mean 0.
        dtype: of the result: that of x, bm.i8, bm.u8, bm.i16 or bm.u16.
        rounding: as of `quantise`.

    Raises:
        ShapeError: the function gives another shape.
    """
    target = x.dtype if dtype is None else dtype_of(dtype)

    def through(numbers: Tensor) -> Tensor:
        return quantise(function(dequantise(numbers, scales[0], zero_points[0])), scales[1], zero_points[1], target, rounding=rounding)

    if x.dtype not in BYTES:
        return through(x)
    tracer = Tracer("table")
    made = through(tracer.input("every", TensorSpec((LENGTH,), x.dtype)))
    if made.shape != (LENGTH,):
        raise ShapeError(
            f"the function of activation_int makes {list(made.shape)} of {LENGTH} numbers",
            position=here(),
            help="use operators that work element by element",
        )
    every = np.arange(LENGTH).astype(np.uint8).view(x.dtype.numpy)
    return lut(x, run_reference(tracer.graph({"table": made}), {"every": every})[made.name])
