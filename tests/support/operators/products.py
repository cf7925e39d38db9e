"""Products of matrices, convolutions, pooling."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tpukernel.dtypes import Dtype, f32, i8, u8

__all__ = ["OPERATORS", "convolved", "windows"]

SMALL = unit(f32)


def _matmul(draw: Draw, dtype: Dtype) -> Example:
    m, k, n = (draw.size(70) for _ in range(3))
    batch = tuple(draw.size(3) for _ in range(draw.integer(0, 2)))
    other = draw.integer(0, 2)
    a = draw.numbers((*batch, m, k), dtype)
    b = draw.numbers((k, n) if other == 0 else (*batch, k, n), dtype)
    left, right = wide(a)[..., :, :, None], wide(b)[..., None, :, :]
    wanted, size = (left * right).sum(-2), (np.abs(left) * np.abs(right)).sum(-2)
    if other == 1:
        return one([a], lambda tensor: bm.matmul(tensor, b), wanted, SMALL * k * size)
    return one([a, b], bm.matmul, wanted, SMALL * k * size)


def windows(
    x: Reals, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], pad: tuple[int, ...], fill: float
) -> Reals:
    """For each tap (row, column) of a window the elements that it sees: (taps, n, c, oh, ow)."""
    top, left, bottom, right = pad
    n, c, h, w = x.shape
    whole = np.full((n, c, h + top + bottom, w + left + right), fill)
    whole[:, :, top : top + h, left : left + w] = x
    oh, ow = ((whole.shape[2 + axis] - (kernel[axis] - 1) * dilation[axis] - 1) // stride[axis] + 1 for axis in (0, 1))
    taps = [
        whole[:, :, r * dilation[0] : r * dilation[0] + (oh - 1) * stride[0] + 1 : stride[0]][
            :, :, :, q * dilation[1] : q * dilation[1] + (ow - 1) * stride[1] + 1 : stride[1]
        ]
        for r, q in product(range(kernel[0]), range(kernel[1]))
    ]
    return np.stack(taps)


def convolved(taps: Reals, weight: Reals, groups: int) -> Reals:
    """What windows (taps, n, c, oh, ow) give with weight (oc, c / groups, kh, kw): one product of matrices for each group and tap."""
    oc, ic = weight.shape[:2]
    flat = weight.reshape(oc, ic, -1)
    parts: list[Reals] = []
    for group in range(groups):
        rows = slice(group * oc // groups, (group + 1) * oc // groups)
        seen = taps[:, :, group * ic : (group + 1) * ic]
        parts.append(sum((np.tensordot(seen[tap], flat[rows, :, tap], (1, 1)) for tap in range(len(taps))), np.zeros(1)))
    return np.moveaxis(np.concatenate(parts, -1), -1, 1)


def _conv(draw: Draw, dtype: Dtype) -> Example:
    n, ic, oc = draw.integer(1, 2), draw.size(67), draw.size(67)
    kernel = (draw.integer(1, 3), draw.integer(1, 3))
    stride = (draw.integer(1, 3), draw.integer(1, 3))
    dilation = (draw.integer(1, 2), draw.integer(1, 2))
    pad = tuple(draw.integer(0, 2) for _ in range(4))
    h, w = ((kernel[axis] - 1) * dilation[axis] + draw.integer(1, 9) for axis in (0, 1))
    x = draw.numbers((n, ic, h, w), dtype, -2, 2)
    weight = draw.numbers((oc, ic, *kernel), dtype, -1, 1)
    bias = draw.numbers((oc,), dtype) if draw.integer(0, 1) else None
    taps = windows(wide(x), kernel, stride, dilation, pad, 0.0)
    wanted = convolved(taps, wide(weight), 1)
    size = convolved(np.abs(taps), np.abs(wide(weight)), 1)
    if bias is not None:
        wanted = wanted + wide(bias).reshape(1, -1, 1, 1)
        size = size + np.abs(wide(bias)).reshape(1, -1, 1, 1)
    terms = ic * prod(kernel) + 1
    return one([x], lambda tensor: bm.conv(tensor, weight, bias, stride=stride, pad=pad, dilation=dilation), wanted, SMALL * terms * size)


def _pooled(draw: Draw, dtype: Dtype) -> tuple[Array, tuple[int, int], tuple[int, int], tuple[int, ...]]:
    kernel = (draw.integer(1, 4), draw.integer(1, 4))
    stride = (draw.integer(1, 3), draw.integer(1, 3))
    pad = tuple(draw.integer(0, kernel[axis % 2] - 1) for axis in range(4))
    shape = (draw.integer(1, 2), draw.size(70), kernel[0] + draw.integer(0, 9), kernel[1] + draw.integer(0, 9))
    return draw.numbers(shape, dtype), kernel, stride, pad


def _max_pool(draw: Draw, dtype: Dtype) -> Example:
    x, kernel, stride, pad = _pooled(draw, dtype)
    wanted = np.sort(windows(wide(x), kernel, stride, (1, 1), pad, -np.inf), 0)[-1]
    return one([x], lambda tensor: bm.max_pool(tensor, kernel, stride=stride, pad=pad), wanted)


def _avg_pool(draw: Draw, dtype: Dtype) -> Example:
    x, kernel, stride, pad = _pooled(draw, dtype)
    taps = windows(wide(x), kernel, stride, (1, 1), pad, 0.0)
    count, size = prod(kernel), np.abs(taps).sum(0) / prod(kernel)
    bound = (unit(dtype) + SMALL * (count + 1)) * size
    return one([x], lambda tensor: bm.avg_pool(tensor, kernel, stride=stride, pad=pad), taps.sum(0) / count, bound)


OPERATORS = (
    Operator("matmul", FLOATS, _matmul),
    Operator("conv", FLOATS, _conv),
    Operator("max_pool", (*FLOATS, i8, u8), _max_pool),
    Operator("avg_pool", FLOATS, _avg_pool),
)
