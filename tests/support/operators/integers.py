"""Operators between floats and integers in a scale, and those of integers alone: all are exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple, cast

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tests.support.operators.products import convolved, scattered, windows
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16

__all__ = ["OPERATORS", "Convolution", "integer_convolution"]

NARROW = (i8, u8, i16, u16)
SUMS = (i32, i16, u16)
HALF = Fraction(1, 2)


def _half_away(x: Fraction) -> int:
    return math.floor(x + HALF) if x >= 0 else math.ceil(x - HALF)


OF_FLOATS: Mapping[str, Callable[[Fraction], int]] = {
    "half_to_even": round,
    "half_away_from_zero": _half_away,
    "towards_zero": math.trunc,
    "down": math.floor,
    "up": math.ceil,
}
OF_SHIFTS: Mapping[str, Callable[[Fraction], int]] = {
    **OF_FLOATS,
    "half_up": lambda x: math.floor(x + HALF),
    "half_down": lambda x: math.ceil(x - HALF),
}


def _rounded(numbers: Array, rounding: str) -> Reals:
    """Numbers of f32, rounded by the definition."""
    return np.array([float(OF_FLOATS[rounding](Fraction(float(each)))) for each in numbers.reshape(-1)]).reshape(numbers.shape)


def _scales(draw: Draw, shape: tuple[int, ...], low: float, high: float) -> tuple[Array, int, tuple[int, ...]]:
    """One scale, or one for each element of a dimension: the scales, the dimension, and the shape in which numpy repeats them."""
    axis = draw.integer(0, len(shape) - 1)
    count = shape[axis] if draw.integer(0, 1) else 1
    across = tuple(count if place == axis else 1 for place in range(len(shape)))
    return draw.random.uniform(low, high, count).astype(np.float32), axis, across


def _times(x: Array, factor: Array) -> Array:
    """The product, rounded to f32: that of two f32 is exact in float64."""
    return (wide(x) * wide(factor)).astype(np.float32)


def _quantise(draw: Draw, dtype: Dtype) -> Example:
    x, target, rounding = draw.numbers(draw.shape(), dtype, -60, 60), draw.choice(NARROW), draw.choice(tuple(OF_FLOATS))
    scale, axis, across = _scales(draw, x.shape, 0.1, 1)
    points = draw.random.integers(0, 99, scale.shape) if draw.integer(0, 1) else np.zeros(scale.shape, np.int64)
    numbers = _times(x, (1 / wide(scale)).astype(np.float32).reshape(across))
    wanted = _rounded(numbers, rounding) + points.reshape(across)
    return one([x], lambda tensor: bm.quantise(tensor, scale, points, target, axis=axis, rounding=rounding), wanted)


def _dequantise(draw: Draw, dtype: Dtype) -> Example:
    x, target = draw.numbers(draw.shape(), dtype), draw.choice(FLOATS)
    if dtype == i32:
        x = np.clip(x, -40_000_000, 40_000_000)
    scale, axis, across = _scales(draw, x.shape, 0.0002, 0.001)
    points = draw.random.integers(0, 99, scale.shape) if draw.integer(0, 1) else np.zeros(scale.shape, np.int64)
    wanted = (wide(x) - points.reshape(across)) * wide(scale).reshape(across)
    bound = 2 * unit(f32) * np.abs(wanted)
    return one([x], lambda tensor: bm.dequantise(tensor, scale, points, target, axis=axis), wanted, bound)


def _requant(draw: Draw, dtype: Dtype) -> Example:
    x, target, rounding = draw.numbers(draw.shape(), dtype), draw.choice(NARROW), draw.choice(tuple(OF_FLOATS))
    scale, axis, across = _scales(draw, x.shape, 0.0005, 0.01)
    offset = draw.random.integers(-9, 9, scale.shape).astype(np.float32)
    moved = (wide(_times(x.astype(np.float32), scale.reshape(across))) + wide(offset).reshape(across)).astype(np.float32)
    return one([x], lambda tensor: bm.requant(tensor, scale, offset, target, axis=axis, rounding=rounding), _rounded(moved, rounding))


def _requant_int(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape(1500)
    x, target, rounding = draw.numbers(shape, dtype), draw.choice(NARROW), draw.choice(tuple(OF_SHIFTS))
    axis = draw.integer(0, len(shape) - 1)
    count = shape[axis] if draw.integer(0, 1) else 1
    multiplier = draw.random.integers(-9, 2**20, count)
    shift = -draw.random.integers(0, 30, count)
    point = draw.random.integers(0, 99, count)
    places = np.broadcast_to(np.arange(count).reshape(tuple(count if place == axis else 1 for place in range(len(shape)))), shape).reshape(
        -1
    )
    exact = [
        OF_SHIFTS[rounding](Fraction(int(each) * int(multiplier[place]), 2 ** -int(shift[place]))) + int(point[place])
        for each, place in zip(x.reshape(-1), places, strict=True)
    ]
    wanted = np.array(exact, np.float64).reshape(shape)
    return one(
        [x],
        lambda tensor: bm.requant_int(tensor, multiplier, shift, point, target, axis=axis, rounding=rounding),
        wanted,
    )


def _dequant_int(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape(1500)
    x, target, rounding = draw.numbers(shape, dtype), draw.choice(SUMS), draw.choice(tuple(OF_SHIFTS))
    axis = draw.integer(0, len(shape) - 1)
    count = shape[axis] if draw.integer(0, 1) else 1
    low, high = max(dtype.limits[0], -99), 99
    multiplier, shift, point = (draw.random.integers(*ends, count) for ends in ((-9, 2**20), (-30, 1), (low, high)))
    places = np.broadcast_to(np.arange(count).reshape([count if place == axis else 1 for place in range(len(shape))]), shape).reshape(-1)
    exact = [
        OF_SHIFTS[rounding]((int(each) - int(point[place])) * int(multiplier[place]) * Fraction(2) ** int(shift[place]))
        for each, place in zip(x.reshape(-1), places, strict=True)
    ]
    wanted = np.array(exact, np.float64).reshape(shape)
    return one([x], lambda tensor: bm.dequant_int(tensor, multiplier, shift, point, target, axis=axis, rounding=rounding), wanted)


def _requant_fp_to_int(draw: Draw, dtype: Dtype) -> Example:
    x, target, rounding = draw.numbers(draw.shape(), dtype, -60, 60), draw.choice(NARROW), draw.choice(tuple(OF_FLOATS))
    scale, axis, across = _scales(draw, x.shape, -3, 3)
    offset = draw.random.integers(0, 99, scale.shape)
    wanted = _rounded(_times(x, scale.reshape(across)), rounding) + offset.reshape(across)
    return one([x], lambda tensor: bm.requant_fp_to_int(tensor, scale, offset, target, axis=axis, rounding=rounding), wanted)


def _wrapped(sums: Reals) -> Reals:
    """Sums as i32 keeps them: the last 32 bits."""
    return ((sums.astype(np.int64) + 2**31) % 2**32 - 2**31).astype(np.float64)


def _points(draw: Draw, dtype: Dtype, count: int) -> Array:
    """Zero points: none, one, or one for each of several."""
    kind = draw.integer(0, 2)
    return np.zeros(1, np.int64) if kind == 0 else draw.random.integers(*dtype.limits, 1 if kind == 1 else count, endpoint=True)


class Convolution(NamedTuple):
    """What a convolution of integers is of."""

    x: Array
    weight: Array
    bias: Array | None
    point: int
    points: Array

    @property
    def given(self) -> int | Array:
        """Zero points of weights as an argument."""
        return int(self.points[0]) if self.points.size == 1 else self.points

    def added(self, sums: Reals) -> Reals:
        """Sums with the bias."""
        return sums if self.bias is None else sums + wide(self.bias).reshape(1, -1, *(1,) * (sums.ndim - 2))

    def example(self, draw: Draw, sums: Reals, convolve: Callable[..., Tensor]) -> Example:
        """The use whose sums, without the bias, are known; the weights come from the caller or are a constant."""
        weight, bias = self.weight, self.bias
        if draw.integer(0, 2) == 0:
            inputs = [self.x, weight] if bias is None else [self.x, weight, bias]

            def of_tensors(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
                return convolve(a, b, c)

            return one(inputs, of_tensors, _wrapped(self.added(sums)))
        return one([self.x], lambda a: convolve(a, weight, bias), _wrapped(self.added(sums)))


def integer_convolution(draw: Draw, dtype: Dtype, x: tuple[int, ...], weight: tuple[int, ...], channels: int) -> Convolution:
    """Operands of these shapes."""
    kind = draw.choice((i8, u8))
    bias = draw.random.integers(-(2**20), 2**20, channels).astype(np.int32) if draw.integer(0, 1) else None
    point, points = int(draw.choice((0, *dtype.limits, 3))), _points(draw, kind, channels)
    return Convolution(draw.integers(x, dtype), draw.integers(weight, kind), bias, point, points)


def _conv_int(draw: Draw, dtype: Dtype) -> Example:
    groups = draw.choice((1, 1, 1, 2, 3))
    ic, oc = (max(1, draw.size(67) // groups) for _ in range(2))
    if draw.integer(0, 4) == 0:  # each channel by itself
        groups, ic, oc = draw.size(67), 1, 1
    kernel, stride, dilation = ((draw.integer(1, most), draw.integer(1, most)) for most in (3, 3, 2))
    pad = tuple(draw.integer(0, 2) for _ in range(4))
    if draw.integer(0, 5) == 0:  # more than one command can do
        stride, pad = (draw.integer(1, 17), draw.integer(14, 17)), (draw.integer(0, 17), 0, 1, draw.integer(14, 17))
    h, w = ((kernel[axis] - 1) * dilation[axis] + draw.integer(1, 7) for axis in (0, 1))
    of = integer_convolution(draw, dtype, (draw.integer(1, 2), ic * groups, h, w), (oc * groups, ic, *kernel), oc * groups)
    taps = windows(wide(of.x) - of.point, kernel, stride, dilation, pad, 0.0)
    sums = convolved(taps, wide(of.weight) - wide(of.points).reshape(-1, 1, 1, 1), groups)

    def convolve(x: Tensor, weight: Tensor | Array, bias: Tensor | Array | None) -> Tensor:
        return bm.conv_int(
            x,
            weight,
            bias,
            stride=stride,
            pad=pad,
            dilation=dilation,
            groups=groups,
            input_zero_point=of.point,
            weight_zero_point=of.given,
        )

    return of.example(draw, sums, convolve)


def _deconv_int(draw: Draw, dtype: Dtype) -> Example:
    groups = draw.choice((1, 1, 2, 3))
    ic, oc = draw.size(31), draw.size(31)
    if draw.integer(0, 4) == 0:  # each channel by itself
        groups, ic, oc = draw.size(67), 1, 1
    kernel, stride, dilation = ((draw.integer(1, most), draw.integer(1, most)) for most in (4, 3, 2))
    more = (draw.integer(0, stride[0] - 1), draw.integer(0, stride[1] - 1))
    top, left, bottom, right = pad = tuple(draw.integer(0, (kernel[axis % 2] - 1) * dilation[axis % 2] // 2) for axis in range(4))
    shape = (draw.integer(1, 2), ic * groups, draw.integer(1, 7), draw.integer(1, 7))
    of = integer_convolution(draw, dtype, shape, (ic * groups, oc, *kernel), oc * groups)
    points = np.broadcast_to(wide(of.points), oc * groups).reshape(groups, 1, oc, 1, 1)
    kernels = wide(of.weight).reshape(groups, ic, oc, *kernel) - points
    full = scattered(wide(of.x) - of.point, kernels.reshape(of.weight.shape), groups, stride, dilation, more)
    sums = full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]

    def convolve(x: Tensor, weight: Tensor | Array, bias: Tensor | Array | None) -> Tensor:
        return bm.deconv_int(
            x,
            weight,
            bias,
            stride=stride,
            pad=pad,
            dilation=dilation,
            output_padding=more,
            groups=groups,
            input_zero_point=of.point,
            weight_zero_point=of.given,
        )

    return of.example(draw, sums, convolve)


def _matmul_int(draw: Draw, dtype: Dtype) -> Example:
    m, k, n = (draw.size(67) for _ in range(3))
    kind, turned = draw.choice((i8, u8)), bool(draw.integer(0, 1))
    a = draw.integers((2, m, k) if draw.integer(0, 1) else (m, k), dtype)
    b = draw.integers((k, n), kind)
    point, points = int(draw.choice((0, *dtype.limits, 3))), _points(draw, kind, n)
    bias = draw.random.integers(-(2**20), 2**20, n).astype(np.int32) if draw.integer(0, 1) else None
    products = (wide(a) - point)[..., :, :, None] * (wide(b) - points.astype(np.float64))
    wanted = _wrapped(products.sum(-2) + (np.zeros(n) if bias is None else wide(bias)))
    given, other = int(points[0]) if points.size == 1 else points, np.ascontiguousarray(b.T) if turned else b
    inputs = [a, other] if draw.integer(0, 2) == 0 else [a]

    def body(one: Tensor, two: Tensor | Array = other) -> Tensor:
        return bm.matmul_int(one, two, bias, a_zero_point=point, b_zero_point=given, transpose_b=turned)

    return one(inputs, body, wanted)


TWO: Mapping[str, Callable[[Array, Array], Array]] = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
COMPARED: Mapping[str, Callable[[Array, Array], Array]] = {
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
ALL: Mapping[str, Callable[[Array, Array], Array]] = {**TWO, "max": np.maximum, "min": np.minimum, **COMPARED}


def _shift(operation: str) -> Operator:
    def make(draw: Draw, dtype: Dtype) -> Example:
        shape, other = draw.shape(1500), draw.choice((dtype, i8, u8, i16))
        a, b = draw.numbers(shape, dtype), draw.numbers(draw.part(shape), other)
        signed = dtype.is_signed or other.is_signed or operation == "sub"
        target, rounding = draw.choice((i8, i16, i32) if signed else (u8, u16)), draw.choice(tuple(OF_SHIFTS))
        amount = draw.integer(-20, 4)
        made = TWO[operation](a.astype(np.int64), b.astype(np.int64))
        exact = [OF_SHIFTS[rounding](int(each) * Fraction(2) ** amount) for each in made.reshape(-1)]
        call = cast("Callable[..., Tensor]", getattr(bm, f"{operation}_shift"))
        wanted = np.array(exact, np.float64).reshape(made.shape)
        return one([a, b], lambda x, y: call(x, y, amount, target, rounding=rounding), wanted)

    return Operator(f"{operation}_shift", (i8, u8, i16, u16, i32), make)


def _scaled(operation: str) -> Operator:
    def make(draw: Draw, dtype: Dtype) -> Example:
        shape, other = draw.shape(1500), draw.choice((dtype, i8, u8))
        a, b = draw.integers(shape, dtype), draw.integers(draw.part(shape), other)
        target, rounding = draw.choice(NARROW), draw.choice(tuple(OF_FLOATS))
        scales = (draw.integer(1, 30) / 100, draw.integer(1, 30) / 100, draw.integer(20, 90) / (100 if operation != "mul" else 5))
        points = (draw.integer(0, 9), draw.integer(0, 9), draw.integer(0, 9))
        if operation in COMPARED:  # often equal, and powers of two: the numbers themselves are exact
            scales = (draw.integer(1, 2) / 8, draw.integer(1, 2) / 8, 1 / draw.integer(1, 9))
        left, right = (wide(a) - points[0]) * scales[0], (wide(b) - points[1]) * scales[1]
        numbers = wide(ALL[operation](left, right)) / scales[2]
        size = (np.abs(left * right) if operation == "mul" else np.abs(left) + np.abs(right)) / scales[2]
        # rounding f32 may decide otherwise where the exact number lies as close to a half or a whole one as f32 can be off
        close = np.abs(2 * numbers - np.rint(2 * numbers)) <= 16 * unit(f32) * (size + 1)
        call = cast("Callable[..., Tensor]", getattr(bm, f"{operation}_scaled"))
        wanted = _rounded(numbers, rounding) + points[2]
        return one([a, b], lambda x, y: call(x, y, scales, points, target, rounding=rounding), wanted, close.astype(np.float64))

    return Operator(f"{operation}_scaled", NARROW, make)


OPERATORS = (
    *(_shift(operation) for operation in TWO),
    *(_scaled(operation) for operation in ALL),
    Operator("matmul_int", (i8, u8), _matmul_int),
    Operator("conv_int", (i8, u8), _conv_int),
    Operator("deconv_int", (i8, u8), _deconv_int),
    Operator("quantise", FLOATS, _quantise),
    Operator("dequantise", (*NARROW, i32), _dequantise),
    Operator("requant", SUMS, _requant),
    Operator("requant_int", SUMS, _requant_int),
    Operator("dequant_int", NARROW, _dequant_int),
    Operator("requant_fp_to_int", FLOATS, _requant_fp_to_int),
)
