"""Operators of quantised models: from 8-bit integers to 8-bit integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import Draw, Example, Operator, Reals, one, unit, wide
from tests.support.operators.integers import integer_convolution
from tests.support.operators.products import convolved, scattered, windows
from tests.support.operators.volumes import convolved3d, taps3d
from tpukernel.dtypes import Dtype, f32, i8, i16, u8, u16

__all__ = ["OPERATORS"]

BYTES = (i8, u8)
NARROW = (i8, u8, i16, u16)

FUNCTIONS: Sequence[tuple[Callable[[Tensor], Tensor], Callable[[Reals], Reals]]] = (
    (bm.tanh, np.tanh),
    (bm.relu, lambda x: np.maximum(x, 0)),
    (lambda x: bm.exp(x) * 0.25, lambda x: np.exp(x) / 4),
)


class _Scales:
    """Scales of the operands and of the result, and its zero point and type."""

    def __init__(self, draw: Draw, channels: int, largest: float) -> None:
        self.dtype = draw.choice(NARROW)
        self.point = draw.integer(0, 9)
        self.one = draw.integer(1, 30) / 100
        other = draw.random.uniform(0.01, 0.1, channels if draw.integer(0, 1) else 1)
        self.other = other if other.size > 1 else float(other[0])
        self.result = max(largest, 1.0) * self.one * float(other.max()) / (self.dtype.limits[1] * draw.integer(1, 3))

    def wanted(self, sums: Reals, axis: int) -> tuple[Reals, Reals]:
        """What exact sums come to, and where the 31 bits of a multiplier may round it otherwise."""
        across = [1] * sums.ndim
        across[axis] = -1
        exact = sums * (self.one * np.reshape(self.other, across) / self.result)
        rounded = np.array([math.floor(abs(Fraction(each)) + Fraction(1, 2)) for each in exact.reshape(-1)]).reshape(sums.shape)
        close = np.abs(2 * exact - np.rint(2 * exact)) <= 2.0**-28 * (np.abs(exact) + 1)
        return np.copysign(rounded, exact) + self.point, close.astype(np.float64)


def _conv_quant(draw: Draw, dtype: Dtype) -> Example:
    groups = draw.choice((1, 1, 2, 5))
    ic, oc, kernel, stride = (
        draw.size(13),
        draw.size(31),
        (draw.integer(1, 3), draw.integer(1, 3)),
        (draw.integer(1, 2), draw.integer(1, 2)),
    )
    pad = tuple(draw.integer(0, size - 1) for size in (*kernel, *kernel))
    shape = (draw.integer(1, 2), ic * groups, kernel[0] + draw.integer(0, 5), kernel[1] + draw.integer(0, 5))
    of = integer_convolution(draw, dtype, shape, (oc * groups, ic, *kernel), oc * groups)
    taps = windows(wide(of.x) - of.point, kernel, stride, (1, 1), pad, 0.0)
    sums = of.added(convolved(taps, wide(of.weight) - wide(of.points).reshape(-1, 1, 1, 1), groups))
    to = _Scales(draw, oc * groups, float(np.abs(sums).max()))

    def body(x: Tensor) -> Tensor:
        return bm.conv_quant(
            x,
            of.weight,
            of.bias,
            input_scale=to.one,
            weight_scale=to.other,
            output_scale=to.result,
            input_zero_point=of.point,
            weight_zero_point=of.given,
            output_zero_point=to.point,
            stride=stride,
            pad=pad,
            groups=groups,
            dtype=to.dtype,
        )

    return one([of.x], body, *to.wanted(sums, 1))


def _deconv_quant(draw: Draw, dtype: Dtype) -> Example:
    ic, oc, kernel, stride = (
        draw.size(13),
        draw.size(31),
        (draw.integer(1, 3), draw.integer(1, 3)),
        (draw.integer(1, 2), draw.integer(1, 2)),
    )
    of = integer_convolution(draw, dtype, (2, ic, draw.integer(1, 5), draw.integer(1, 5)), (ic, oc, *kernel), oc)
    kernels = wide(of.weight) - wide(of.points).reshape(1, -1, 1, 1)
    sums = of.added(scattered(wide(of.x) - of.point, kernels, 1, stride, (1, 1), (0, 0)))
    to = _Scales(draw, oc, float(np.abs(sums).max()))

    def body(x: Tensor) -> Tensor:
        return bm.deconv_quant(
            x,
            of.weight,
            of.bias,
            input_scale=to.one,
            weight_scale=to.other,
            output_scale=to.result,
            input_zero_point=of.point,
            weight_zero_point=of.given,
            output_zero_point=to.point,
            stride=stride,
            dtype=to.dtype,
        )

    return one([of.x], body, *to.wanted(sums, 1))


def _conv3d_quant(draw: Draw, dtype: Dtype) -> Example:
    ic, oc, kernel = draw.size(7), draw.size(13), tuple(draw.integer(1, 3) for _ in range(3))
    pad = tuple(draw.integer(0, size - 1) for size in (*kernel, *kernel))
    of = integer_convolution(draw, dtype, (1, ic, *(size + draw.integer(0, 3) for size in kernel)), (oc, ic, *kernel), oc)
    taps = taps3d(wide(of.x) - of.point, kernel, (1,) * 3, (1,) * 3, pad, 0.0)
    sums = of.added(convolved3d(taps, wide(of.weight) - wide(of.points).reshape(-1, 1, 1, 1, 1), 1))
    to = _Scales(draw, oc, float(np.abs(sums).max()))

    def body(x: Tensor) -> Tensor:
        return bm.conv3d_quant(
            x,
            of.weight,
            of.bias,
            input_scale=to.one,
            weight_scale=to.other,
            output_scale=to.result,
            input_zero_point=of.point,
            weight_zero_point=of.given,
            output_zero_point=to.point,
            pad=pad,
            dtype=to.dtype,
        )

    return one([of.x], body, *to.wanted(sums, 1))


def _matmul_quant(draw: Draw, dtype: Dtype) -> Example:
    m, k, n = (draw.size(67) for _ in range(3))
    a, b = draw.integers((2, m, k), dtype), draw.integers((k, n), draw.choice(BYTES))
    bias = draw.random.integers(-(2**20), 2**20, n).astype(np.int32)
    points = (draw.integer(0, 9), draw.integer(0, 9))
    sums = (wide(a) - points[0]) @ (wide(b) - points[1]) + wide(bias)
    to, turned = _Scales(draw, n, float(np.abs(sums).max())), bool(draw.integer(0, 1))
    other = np.ascontiguousarray(b.T) if turned else b

    def body(one: Tensor, two: Tensor | Array = other) -> Tensor:
        return bm.matmul_quant(
            one,
            two,
            bias,
            a_scale=to.one,
            b_scale=to.other,
            output_scale=to.result,
            a_zero_point=points[0],
            b_zero_point=points[1],
            output_zero_point=to.point,
            transpose_b=turned,
            dtype=to.dtype,
        )

    return one([a, other] if draw.integer(0, 2) == 0 else [a], body, *to.wanted(sums, -1))


def _softmax_int(draw: Draw, dtype: Dtype) -> Example:
    x = draw.integers(draw.shape(1500), dtype)
    axis, target = draw.integer(-x.ndim, x.ndim - 1), draw.choice(NARROW)
    scales, points = (8 / dtype.limits[1], 1 / target.limits[1]), (draw.integer(0, 9), draw.integer(0, 9))
    powers = np.exp((wide(x) - points[0]) * scales[0])
    numbers = powers / powers.sum(axis, keepdims=True) / scales[1]
    wanted = np.rint(numbers) + points[1]
    # exp, the sum and the quotient are off by some roundings of f32; a half may then fall to either side
    close = np.abs(2 * numbers - np.rint(2 * numbers)) <= 2 * (x.shape[axis] + 64) * unit(f32) * (numbers + 1)
    return one([x], lambda tensor: bm.softmax_int(tensor, axis, scales, points, target), wanted, close.astype(np.float64))


def _activation_int(draw: Draw, dtype: Dtype) -> Example:
    x, target = draw.integers(draw.shape(1500), dtype), draw.choice(NARROW)
    scales = (6 / dtype.limits[1], 4 / target.limits[1])
    points = (draw.integer(0, 9), draw.integer(0, 9))
    function, numpy = draw.choice(FUNCTIONS)
    numbers = numpy((wide(x) - points[0]) * scales[0]) / scales[1]
    close = np.abs(2 * numbers - np.rint(2 * numbers)) <= 2 * 64 * unit(f32) * (np.abs(numbers) + 1)
    wanted = np.clip(np.rint(np.clip(numbers, -1e9, 1e9)) + points[1], *target.limits)
    return one([x], lambda tensor: bm.activation_int(tensor, function, scales, points, target), wanted, close.astype(np.float64))


OPERATORS = (
    Operator("conv_quant", BYTES, _conv_quant),
    Operator("deconv_quant", BYTES, _deconv_quant),
    Operator("conv3d_quant", BYTES, _conv3d_quant),
    Operator("matmul_quant", BYTES, _matmul_quant),
    Operator("softmax_int", NARROW, _softmax_int),
    Operator("activation_int", NARROW, _activation_int, "of 8 bits: a table that numpy makes when the model is compiled"),
)
