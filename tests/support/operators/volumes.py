"""Convolutions and pooling over depth, rows and columns."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tests.support.operators.integers import integer_convolution
from tests.support.operators.products import Pooling, averaged, error
from tpukernel.dtypes import Dtype, i8, u8

__all__ = ["OPERATORS", "convolved3d", "taps3d"]

Three = tuple[int, ...]


def taps3d(x: Reals, kernel: Three, stride: Three, dilation: Three, pad: Three, fill: float) -> Reals:
    """For each tap of a window the elements that it sees: (taps, n, c, od, oh, ow)."""
    whole = np.pad(x, ((0, 0), (0, 0), *((pad[axis], pad[axis + 3]) for axis in range(3))), constant_values=fill)
    size = [(whole.shape[2 + axis] - (kernel[axis] - 1) * dilation[axis] - 1) // stride[axis] + 1 for axis in range(3)]
    found: list[Reals] = []
    for tap in product(*map(range, kernel)):
        spans = [
            slice(at * step, at * step + (count - 1) * along + 1, along)
            for at, step, count, along in zip(tap, dilation, size, stride, strict=True)
        ]
        found.append(whole[(slice(None), slice(None), *spans)])
    return np.stack(found)


def convolved3d(taps: Reals, weight: Reals, groups: int) -> Reals:
    """What windows (taps, n, c, od, oh, ow) give with weight (oc, c / groups, kd, kh, kw)."""
    oc, ic = weight.shape[:2]
    seen = taps.reshape(taps.shape[0], taps.shape[1], groups, ic, *taps.shape[3:])
    return np.einsum("tngidhw,goit->ngodhw", seen, weight.reshape(groups, oc // groups, ic, -1)).reshape(taps.shape[1], oc, *taps.shape[3:])


def _scattered(x: Reals, weight: Reals, groups: int, stride: Three, dilation: Three, more: Three) -> Reals:
    """What each element of x (n, ic, d, h, w) adds to the full result, with weight (ic, oc / groups, kd, kh, kw)."""
    size = [(x.shape[2 + k] - 1) * stride[k] + (weight.shape[2 + k] - 1) * dilation[k] + 1 + more[k] for k in range(3)]
    n, ic, *counts = x.shape
    oc = weight.shape[1]
    full = np.zeros((n, groups, oc, *size))
    parts, kernels = x.reshape(n, groups, ic // groups, *counts), weight.reshape(groups, ic // groups, oc, *weight.shape[2:])
    for tap in product(*map(range, weight.shape[2:])):
        spans = [
            slice(at * step, at * step + (count - 1) * along + 1, along)
            for at, step, count, along in zip(tap, dilation, counts, stride, strict=True)
        ]
        full[(..., *spans)] += np.einsum("ngidhw,gio->ngodhw", parts, kernels[(..., *tap)])
    return full.reshape(n, groups * oc, *size)


class _Windows:
    """Random windows."""

    def __init__(self, draw: Draw) -> None:
        self.groups = draw.choice((1, 1, 2, 3))
        self.ic, self.oc = draw.size(13), draw.size(13)
        self.kernel = tuple(draw.integer(1, 3) for _ in range(3))
        self.stride = tuple(draw.integer(1, 3) for _ in range(3))
        self.dilation = tuple(draw.integer(1, 2) for _ in range(3))
        self.reach = tuple((size - 1) * step for size, step in zip(self.kernel, self.dilation, strict=True))
        self.pad = tuple(draw.integer(0, self.reach[axis % 3]) // 2 for axis in range(6))
        self.more = tuple(draw.integer(0, step - 1) for step in self.stride)
        sizes = [draw.integer(1, 4) for _ in range(3)]
        self.batch = draw.integer(1, 2)
        self.x = (self.batch, self.ic * self.groups, *(size + reach for size, reach in zip(sizes, self.reach, strict=True)))
        self.small = (self.batch, self.ic * self.groups, *sizes)
        self.weight = (self.oc * self.groups, self.ic, *self.kernel)
        self.transposed = (self.ic * self.groups, self.oc, *self.kernel)
        self.channels = self.oc * self.groups

    def box(self, full: Reals) -> Reals:
        """What is left of the full result of a transposed convolution."""
        spans = [slice(self.pad[axis], full.shape[2 + axis] - self.pad[3 + axis]) for axis in range(3)]
        return full[(slice(None), slice(None), *spans)]


def _conv3d(draw: Draw, dtype: Dtype) -> Example:
    to = _Windows(draw)
    x, weight = draw.numbers(to.x, dtype, -2, 2), draw.numbers(to.weight, dtype, -1, 1)
    bias = draw.numbers((to.channels,), dtype)
    taps = taps3d(wide(x), to.kernel, to.stride, to.dilation, to.pad, 0.0)
    plain, added = convolved3d(taps, wide(weight), to.groups), wide(bias).reshape(-1, 1, 1, 1)
    size = convolved3d(np.abs(taps), np.abs(wide(weight)), to.groups) + np.abs(added)
    bound = error(dtype, to.ic * prod(to.kernel) + 1, size, plain, of_channels=to.ic == 1 < to.groups)

    def body(a: Tensor, b: Tensor | Array = weight) -> Tensor:
        return bm.conv3d(a, b, bias, stride=to.stride, pad=to.pad, dilation=to.dilation, groups=to.groups)

    return one([x, weight] if draw.integer(0, 3) == 0 else [x], body, plain + added, bound)


def _deconv3d(draw: Draw, dtype: Dtype) -> Example:
    to = _Windows(draw)
    x, weight = draw.numbers(to.small, dtype, -2, 2), draw.numbers(to.transposed, dtype, -1, 1)
    bias = draw.numbers((to.channels,), dtype)
    plain, added = to.box(_scattered(wide(x), wide(weight), to.groups, to.stride, to.dilation, to.more)), wide(bias).reshape(-1, 1, 1, 1)
    size = to.box(_scattered(np.abs(wide(x)), np.abs(wide(weight)), to.groups, to.stride, to.dilation, to.more)) + np.abs(added)
    bound = error(dtype, to.ic * prod(to.kernel) + 1, size, plain, of_channels=to.ic == 1 < to.groups)

    def body(a: Tensor, b: Tensor | Array = weight) -> Tensor:
        more = {"dilation": to.dilation, "output_padding": to.more}
        return bm.deconv3d(a, b, bias, stride=to.stride, pad=to.pad, groups=to.groups, **more)

    return one([x, weight] if draw.integer(0, 3) == 0 else [x], body, plain + added, bound)


def _conv3d_int(draw: Draw, dtype: Dtype) -> Example:
    to = _Windows(draw)
    of = integer_convolution(draw, dtype, to.x, to.weight, to.channels)
    taps = taps3d(wide(of.x) - of.point, to.kernel, to.stride, to.dilation, to.pad, 0.0)
    sums = convolved3d(taps, wide(of.weight) - wide(of.points).reshape(-1, 1, 1, 1, 1), to.groups)

    def convolve(x: Tensor, weight: Tensor | Array, bias: Tensor | Array | None) -> Tensor:
        windows = {"stride": to.stride, "pad": to.pad, "dilation": to.dilation}
        return bm.conv3d_int(x, weight, bias, groups=to.groups, input_zero_point=of.point, weight_zero_point=of.given, **windows)

    return of.example(draw, sums, convolve)


def _deconv3d_int(draw: Draw, dtype: Dtype) -> Example:
    to = _Windows(draw)
    of = integer_convolution(draw, dtype, to.small, to.transposed, to.channels)
    points = np.broadcast_to(wide(of.points), to.channels).reshape(to.groups, 1, to.oc, 1, 1, 1)
    kernels = (wide(of.weight).reshape(to.groups, to.ic, to.oc, *to.kernel) - points).reshape(to.transposed)
    sums = to.box(_scattered(wide(of.x) - of.point, kernels, to.groups, to.stride, to.dilation, to.more))

    def convolve(x: Tensor, weight: Tensor | Array, bias: Tensor | Array | None) -> Tensor:
        windows = {"stride": to.stride, "pad": to.pad, "dilation": to.dilation, "output_padding": to.more}
        return bm.deconv3d_int(x, weight, bias, groups=to.groups, input_zero_point=of.point, weight_zero_point=of.given, **windows)

    return of.example(draw, sums, convolve)


def _max_pool3d(draw: Draw, dtype: Dtype) -> Example:
    of = Pooling.drawn(draw, 3, 3)
    x = draw.numbers((draw.integer(1, 2), draw.size(13), *of.sizes(draw, 4)), dtype)
    wanted = np.sort(of.taps(wide(x), -np.inf, -np.inf), 0)[-1]
    return one([x], lambda tensor: bm.max_pool3d(tensor, of.kernel, stride=of.stride, pad=of.pad, ceil_mode=of.ceil_mode), wanted)


def _avg_pool3d(draw: Draw, dtype: Dtype) -> Example:
    of, padding = Pooling.drawn(draw, 3, 3), bool(draw.integer(0, 1))
    x = draw.numbers((draw.integer(1, 2), draw.size(13), *of.sizes(draw, 4)), dtype)
    wanted, size = averaged(of, wide(x), padding=padding)
    bound = 2 * unit(dtype) * (prod(of.kernel) + 6) * size

    def body(a: Tensor) -> Tensor:
        return bm.avg_pool3d(a, of.kernel, stride=of.stride, pad=of.pad, ceil_mode=of.ceil_mode, count_include_pad=padding)

    return one([x], body, wanted, bound)


OPERATORS = (
    Operator("conv3d", FLOATS, _conv3d),
    Operator("deconv3d", FLOATS, _deconv3d),
    Operator("max_pool3d", (*FLOATS, i8, u8), _max_pool3d),
    Operator("avg_pool3d", FLOATS, _avg_pool3d),
    Operator("conv3d_int", (i8, u8), _conv3d_int),
    Operator("deconv3d_int", (i8, u8), _deconv3d_int),
)
