"""Activation operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bmlang as bm
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import rounding_named
from bmlang.tpulang.operator import BYTES, FLOATS, check, coefficient, is_bytes, made, needs, number_of, operand, operator, value
from bmlang.tpulang.scaled import Meaning, by_table, meanings
from bmlang.tpulang.tensor import Scalar, Tensor

__all__ = [
    "abs", "arccos", "arctanh", "ceil", "cos", "cosh", "elu", "erf", "exp", "floor", "gelu", "hsigmoid", "hswish", "leaky_relu", "ln",
    "log_sigmoid", "mish", "pow", "prelu", "relu", "round", "rsqrt", "sigmoid", "sign", "silu", "sin", "sinh", "softmax",
    "softmax_int", "sqrt", "square", "swish", "tan", "tanh",
]  # fmt: skip

Scales = Sequence[float] | None
Points = Sequence[int] | None
Unary = Callable[[Value], Value]


@operator
def relu(input: Tensor, out_name: str | None = None) -> Tensor:
    """The larger one of x and 0; of integers that stand for numbers, of x and the integer that means 0.

    Args:
        input: float32, float16, int8 or uint8.
        out_name: name of the result, which is of the same scale.
    """
    needs(input, *FLOATS, *BYTES)
    if not is_bytes(input):
        return made(bm.relu(value(input)), out_name)
    return made(bm.max(value(input), _zero(input)), out_name, input.scale, input.zero_point)


@operator
def prelu(input: Tensor, slope: Tensor, out_name: str | None = None) -> Tensor:
    """x above 0, else slope * x.

    Args:
        input: float32 or float16.
        slope: a coefficient that is broadcast to the input.
        out_name: name of the result.
    """
    needs(input, *FLOATS)
    return made(bm.prelu(value(input), bm.cast(coefficient(slope, "slope"), input.kind)), out_name)


@operator
def leaky_relu(input: Tensor, negative_slope: float = 0.01, out_name: str | None = None, round_mode: str = "half_away_from_zero") -> Tensor:
    """x above 0, else negative_slope * x; integers keep their scale.

    Args:
        input: float32, float16, int8 or uint8.
        negative_slope: the factor.
        out_name: name of the result.
        round_mode: of integers.
    """
    return _same_scale(lambda x: bm.leaky_relu(x, negative_slope), input, out_name, round_mode)


@operator
def abs(input: Tensor, out_name: str | None = None) -> Tensor:
    """The absolute value; integers keep their scale."""
    return _same_scale(bm.abs, input, out_name, "half_away_from_zero")


@operator
def ln(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The natural logarithm of x.

    Args:
        input: float32 or float16; int8 or uint8 with `scale`.
        scale: what a step of the input and of the result means, for integers that stand for numbers.
        zero_point: the integers of both that mean 0.
        out_name: name of the result.
    """
    return _unary(bm.log, input, scale, zero_point, out_name)


@operator
def ceil(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The smallest whole number that is not below x. Arguments as of `ln`."""
    return _unary(bm.ceil, input, scale, zero_point, out_name)


@operator
def floor(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The largest whole number that is not above x. Arguments as of `ln`."""
    return _unary(bm.floor, input, scale, zero_point, out_name)


@operator
def round(input: Tensor, out_name: str | None = None) -> Tensor:
    """The nearest whole number; halves go away from zero. Floats."""
    return _floats(lambda x: bm.round(x, "half_away_from_zero"), input, out_name)


@operator
def sin(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The sine of x. Arguments as of `ln`."""
    return _unary(bm.sin, input, scale, zero_point, out_name)


@operator
def cos(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The cosine of x. Arguments as of `ln`."""
    return _unary(bm.cos, input, scale, zero_point, out_name)


@operator
def exp(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """e to the power x. Arguments as of `ln`."""
    return _unary(bm.exp, input, scale, zero_point, out_name)


@operator
def tanh(
    input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None, round_mode: str = "half_away_from_zero"
) -> Tensor:
    """The hyperbolic tangent of x.

    Args:
        input, scale, zero_point, out_name: as of `ln`.
        round_mode: of the integers of the result.
    """
    return _unary(bm.tanh, input, scale, zero_point, out_name, round_mode)


@operator
def sigmoid(
    input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None, round_mode: str = "half_away_from_zero"
) -> Tensor:
    """1 / (1 + exp(-x)). Arguments as of `tanh`."""
    return _unary(bm.sigmoid, input, scale, zero_point, out_name, round_mode)


@operator
def log_sigmoid(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The logarithm of the sigmoid of x. Arguments as of `ln`."""
    return _unary(bm.log_sigmoid, input, scale, zero_point, out_name)


@operator
def elu(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """x above 0, else exp(x) - 1. Arguments as of `ln`."""
    return _unary(bm.elu, input, scale, zero_point, out_name)


@operator
def square(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """x * x. Arguments as of `ln`."""
    return _unary(bm.square, input, scale, zero_point, out_name)


@operator
def sqrt(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The square root of x. Arguments as of `ln`."""
    return _unary(bm.sqrt, input, scale, zero_point, out_name)


@operator
def rsqrt(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 / sqrt(x). Arguments as of `ln`."""
    return _unary(bm.rsqrt, input, scale, zero_point, out_name)


@operator
def silu(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """x * sigmoid(x). Arguments as of `ln`."""
    return _unary(bm.silu, input, scale, zero_point, out_name)


@operator
def swish(
    input: Tensor,
    beta: float,
    scale: Scales = None,
    zero_point: Points = None,
    round_mode: str = "half_away_from_zero",
    out_name: str | None = None,
) -> Tensor:
    """x * sigmoid(beta * x).

    Args:
        input, scale, zero_point, out_name: as of `ln`.
        beta: the factor.
        round_mode: of the integers of the result.
    """
    return _unary(lambda x: bm.swish(x, beta), input, scale, zero_point, out_name, round_mode)


@operator
def erf(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The error function of x. Arguments as of `ln`."""
    return _unary(bm.erf, input, scale, zero_point, out_name)


@operator
def tan(input: Tensor, out_name: str | None = None) -> Tensor:
    """The tangent of x. Floats."""
    return _floats(bm.tan, input, out_name)


@operator
def softmax(input: Tensor, axis: int, out_name: str | None = None) -> Tensor:
    """exp(x) over its sum along a dimension; floats."""
    needs(input, *FLOATS)
    return made(bm.softmax(value(input), axis), out_name)


@operator
def softmax_int(
    input: Tensor,
    axis: int,
    scale: Sequence[float],
    zero_point: Points = None,
    out_name: str | None = None,
    round_mode: str = "half_away_from_zero",
) -> Tensor:
    """Softmax of integers that stand for numbers: round(probability * scale[1]) + zero_point[1].

    Args:
        input: int8 or uint8.
        axis: the dimension.
        scale: what a step of the input means; and how many steps of the result are a probability of 1, as TpuLang's manual has it.
        zero_point: the integers of both that mean 0.
        out_name: name of the result.
        round_mode: of the results.
    """
    needs(input, *BYTES)
    check(len(scale) == 2 and scale[1] != 0, f"scale is {list(scale)}", "give two numbers")
    means = meanings([scale[0], 1.0 / scale[1]], zero_point, (input,))
    assert means is not None  # noqa: S101
    source, target = means
    rounding = rounding_named(round_mode, floats=True)
    scales, points = (source.scale, target.scale), (source.zero_point, target.zero_point)
    return made(bm.softmax_int(value(input), axis, scales, points, rounding=rounding), out_name, target.scale, target.zero_point)


@operator
def mish(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """x * tanh(ln(1 + exp(x))). Arguments as of `ln`."""
    return _unary(bm.mish, input, scale, zero_point, out_name)


@operator
def hswish(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """x * hsigmoid(x). Arguments as of `ln`."""
    return _unary(bm.hard_swish, input, scale, zero_point, out_name)


@operator
def arccos(input: Tensor, out_name: str | None = None) -> Tensor:
    """The angle in 0 .. pi whose cosine is x. Floats."""
    return _floats(bm.arccos, input, out_name)


@operator
def arctanh(input: Tensor, out_name: str | None = None) -> Tensor:
    """The number whose hyperbolic tangent is x. Floats."""
    return _floats(bm.arctanh, input, out_name)


@operator
def sinh(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The hyperbolic sine of x. Arguments as of `ln`."""
    return _unary(bm.sinh, input, scale, zero_point, out_name)


@operator
def cosh(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """The hyperbolic cosine of x. Arguments as of `ln`."""
    return _unary(bm.cosh, input, scale, zero_point, out_name)


@operator
def sign(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1, 0 or -1 as x is above, equal to or below 0. Arguments as of `ln`."""
    return _unary(bm.sign, input, scale, zero_point, out_name)


@operator
def gelu(
    input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None, round_mode: str = "half_away_from_zero"
) -> Tensor:
    """x * 0.5 * (1 + erf(x / sqrt(2))). Arguments as of `tanh`."""
    return _unary(bm.gelu, input, scale, zero_point, out_name, round_mode)


@operator
def hsigmoid(input: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """x / 6 + 0.5, limited to 0 .. 1. Arguments as of `ln`."""
    return _unary(bm.hard_sigmoid, input, scale, zero_point, out_name)


@operator
def pow(base: Tensor | Scalar | float, expn: Tensor | Scalar | float, out_name: str | None = None) -> Tensor:
    """base to the power expn; at least one of them is a float tensor, shapes are broadcast."""
    tensors = [each for each in (base, expn) if isinstance(each, Tensor)]
    check(bool(tensors), "there is no tensor", "give a tensor: numbers alone are computed by Python")
    for tensor in tensors:
        needs(tensor, *FLOATS)
    one, other = (operand(each) if isinstance(each, Tensor) else float(number_of(each)) for each in (base, expn))
    return made(bm.pow(one, other), out_name)


def _floats(function: Unary, input: Tensor, out_name: str | None) -> Tensor:
    needs(input, *FLOATS)
    return made(function(value(input)), out_name)


def _unary(
    function: Unary, input: Tensor, scale: Scales, zero_point: Points, out_name: str | None, round_mode: str = "half_away_from_zero"
) -> Tensor:
    """A function of floats, or of the numbers that integers stand for."""
    rounding = rounding_named(round_mode, floats=True)
    if not is_bytes(input):
        return _floats(function, input, out_name)
    means = meanings(scale, zero_point, (input,))
    check(means is not None, f"{input.name} is {input.dtype}, without scale", "give scale=[that of the input, that of the result]")
    source, target = means or (Meaning(1.0), Meaning(1.0))
    return made(by_table(value(input), function, source, target, input.dtype, rounding), out_name, target.scale, target.zero_point)


def _same_scale(function: Unary, input: Tensor, out_name: str | None, round_mode: str) -> Tensor:
    """A function for which f(s * x) is s * f(x): the scale need not be known."""
    rounding = rounding_named(round_mode, floats=True)
    if not is_bytes(input):
        return _floats(function, input, out_name)
    meaning = Meaning(1.0, _zero(input))
    found = by_table(value(input), function, meaning, meaning, input.dtype, rounding)
    return made(found, out_name, input.scale, input.zero_point)


def _zero(input: Tensor) -> int:
    """The integer that means 0."""
    found = 0 if input.zero_point is None else input.zero_point
    check(isinstance(found, int), f"{input.name} has several zero points", "requantise it to one")
    assert isinstance(found, int)  # noqa: S101
    return found
