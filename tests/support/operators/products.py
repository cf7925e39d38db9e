"""Products of matrices, convolutions, pooling."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tpukernel.dtypes import Dtype, f32, i8, u8

__all__ = ["OPERATORS", "Pooling", "averaged", "convolved", "error", "scattered", "windows"]

SMALL = unit(f32)


def _error(dtype: Dtype, terms: int, size: Reals, *, of_channels: bool = False) -> Reals:
    """How far a sum of so many products may be off, given the sum of their absolute values.

    Sums are kept in f32; those of depthwise convolution and average pooling are rounded to the data type after each product and each
    addition (measured instruction-set study).
    """
    return (2 * unit(dtype) if of_channels else SMALL) * (terms + 1) * size


def _matmul(draw: Draw, dtype: Dtype) -> Example:
    m, k, n = (draw.size(70) for _ in range(3))
    batch = tuple(draw.size(3) for _ in range(draw.integer(0, 2)))
    other = draw.integer(0, 2)
    a = draw.numbers((*batch, m, k), dtype)
    b = draw.numbers((k, n) if other == 0 else (*batch, k, n), dtype)
    left, right = wide(a)[..., :, :, None], wide(b)[..., None, :, :]
    wanted, size = (left * right).sum(-2), (np.abs(left) * np.abs(right)).sum(-2)
    bound = _error(dtype, k, size)
    bias = draw.numbers((n,), dtype) if draw.integer(0, 2) == 0 else None
    if bias is not None:  # may be added to the sum when this has been rounded
        wanted, bound = wanted + wide(bias), bound + unit(dtype) * np.abs(wanted)
    turns = (draw.integer(0, 3) == 0, draw.integer(0, 3) == 0)
    a, b = (np.ascontiguousarray(np.swapaxes(each, -1, -2)) if turned else each for each, turned in zip((a, b), turns, strict=True))

    def body(one: Tensor, two: Tensor | Array = b) -> Tensor:
        return bm.matmul(one, two, bias, transpose_a=turns[0], transpose_b=turns[1])

    return one([a] if other == 1 else [a, b], body, wanted, bound)


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
    groups = draw.choice((1, 1, 2, 3, 5))
    ic, oc = (max(1, each // groups) for each in (ic, oc))
    if draw.integer(0, 4) == 0:  # each channel by itself
        groups, ic, oc = draw.size(67), 1, draw.integer(1, 2)
    kernel = (draw.integer(1, 3), draw.integer(1, 3))
    stride = (draw.integer(1, 3), draw.integer(1, 3))
    dilation = (draw.integer(1, 2), draw.integer(1, 2))
    pad = tuple(draw.integer(0, 2) for _ in range(4))
    if draw.integer(0, 5) == 0:  # more than one command can do
        stride, pad = (draw.integer(1, 17), draw.integer(14, 17)), (draw.integer(0, 17), 0, 1, draw.integer(14, 17))
    h, w = ((kernel[axis] - 1) * dilation[axis] + draw.integer(1, 9) for axis in (0, 1))
    x = draw.numbers((n, ic * groups, h, w), dtype, -2, 2)
    weight = draw.numbers((oc * groups, ic, *kernel), dtype, -1, 1)
    bias = draw.numbers((oc * groups,), dtype) if draw.integer(0, 1) else None
    taps = windows(wide(x), kernel, stride, dilation, pad, 0.0)
    wanted = convolved(taps, wide(weight), groups)
    size = convolved(np.abs(taps), np.abs(wide(weight)), groups)
    if bias is not None:
        wanted = wanted + wide(bias).reshape(1, -1, 1, 1)
        size = size + np.abs(wide(bias)).reshape(1, -1, 1, 1)
    bound = _error(dtype, ic * prod(kernel) + 1, size, of_channels=ic == 1 < groups)
    if bias is not None:  # may be added to the sum when this has been rounded
        bound = bound + unit(dtype) * np.abs(wanted - wide(bias).reshape(1, -1, 1, 1))
    if draw.integer(0, 2) == 0:
        inputs = [x, weight] if bias is None else [x, weight, bias]

        def at_run_time(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
            return bm.conv(a, b, c, stride=stride, pad=pad, dilation=dilation, groups=groups)

        return one(inputs, at_run_time, wanted, bound)
    return one([x], lambda a: bm.conv(a, weight, bias, stride=stride, pad=pad, dilation=dilation, groups=groups), wanted, bound)


def scattered(x: Reals, weight: Reals, groups: int, stride: tuple[int, int], dilation: tuple[int, int], more: tuple[int, int]) -> Reals:
    """What each element of x (n, ic, h, w) adds to the full result, with weight (ic, oc / groups, kh, kw)."""
    n, ic, h, w = x.shape
    _, oc, kh, kw = weight.shape
    size = [(each - 1) * stride[axis] + (weight.shape[2 + axis] - 1) * dilation[axis] + 1 + more[axis] for axis, each in enumerate((h, w))]
    full = np.zeros((n, oc * groups, *size))
    for group, r, q in product(range(groups), range(kh), range(kw)):
        rows = slice(group * ic // groups, (group + 1) * ic // groups)
        part = np.moveaxis(np.tensordot(x[:, rows], weight[rows, :, r, q], (1, 0)), -1, 1)
        top, left = r * dilation[0], q * dilation[1]
        down, right = top + (h - 1) * stride[0] + 1, left + (w - 1) * stride[1] + 1
        full[:, group * oc : (group + 1) * oc, top : down : stride[0], left : right : stride[1]] += part
    return full


def _deconv(draw: Draw, dtype: Dtype) -> Example:
    groups = draw.choice((1, 1, 2, 3))
    n, ic, oc = draw.integer(1, 2), draw.size(31), draw.size(31)
    kernel = (draw.integer(1, 4), draw.integer(1, 4))
    stride = (draw.integer(1, 3), draw.integer(1, 3))
    dilation = (draw.integer(1, 2), draw.integer(1, 2))
    more = (draw.integer(0, stride[0] - 1), draw.integer(0, stride[1] - 1))
    top, left, bottom, right = pad = tuple(draw.integer(0, (kernel[axis % 2] - 1) * dilation[axis % 2] // 2) for axis in range(4))
    x = draw.numbers((n, ic * groups, draw.integer(1, 7), draw.integer(1, 7)), dtype, -2, 2)
    weight = draw.numbers((ic * groups, oc, *kernel), dtype, -1, 1)
    bias = draw.numbers((oc * groups,), dtype) if draw.integer(0, 1) else None
    full = scattered(wide(x), wide(weight), groups, stride, dilation, more)
    size = scattered(np.abs(wide(x)), np.abs(wide(weight)), groups, stride, dilation, more)
    box = np.s_[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]
    added = np.zeros(oc * groups) if bias is None else wide(bias)
    wanted, size = full[box] + added.reshape(1, -1, 1, 1), size[box] + np.abs(added).reshape(1, -1, 1, 1)
    bound = _error(dtype, ic * prod(kernel) + 1, size, of_channels=ic == 1 < groups) + unit(dtype) * np.abs(full[box]) * bool(added.any())

    def body(a: Tensor) -> Tensor:
        return bm.deconv(a, weight, bias, stride=stride, pad=pad, dilation=dilation, output_padding=more, groups=groups)

    return one([x], body, wanted, bound)


class Pooling(NamedTuple):
    """Windows of pooling, one number for each of some dimensions."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    ceil_mode: bool

    @classmethod
    def drawn(cls, draw: Draw, rank: int, most: int = 4) -> Pooling:
        """Random windows, now and then with strides or padding that no command has."""
        kernel = tuple(draw.integer(1, most) for _ in range(rank))
        stride = tuple(draw.integer(1, 3) if draw.integer(0, 9) else draw.integer(16, 21) for _ in range(rank))
        return cls(kernel, stride, tuple(draw.integer(0, kernel[axis % rank] - 1) for axis in range(2 * rank)), bool(draw.integer(0, 1)))

    def sizes(self, draw: Draw, most: int = 9) -> list[int]:
        """Sizes of dimensions that hold a window each."""
        return [size + draw.integer(0, most if stride < 16 else 40) for size, stride in zip(self.kernel, self.stride, strict=True)]

    def taps(self, x: Reals, fill: float, around: float) -> Reals:
        """What each tap sees of x (n, c, ...): (taps, n, c, ...); `fill` stands for padding, `around` for what lies beyond it."""
        rank, sizes = len(self.kernel), x.shape[2:]
        whole = np.pad(x, ((0, 0), (0, 0), *((self.pad[k], self.pad[k + rank]) for k in range(rank))), constant_values=fill)
        out: list[int] = []
        for size, kernel, stride, before, padded in zip(sizes, self.kernel, self.stride, self.pad, whole.shape[2:], strict=False):
            starts = range(0, padded - (0 if self.ceil_mode else kernel - 1), stride)
            reached = [at for at in starts if at + kernel <= padded or (at - stride + kernel < padded and at < size + before)]
            out.append(len(reached))
        more = [
            max((count - 1) * s + k - have, 0) for count, s, k, have in zip(out, self.stride, self.kernel, whole.shape[2:], strict=True)
        ]
        whole = np.pad(whole, ((0, 0), (0, 0), *((0, each) for each in more)), constant_values=around)
        return np.stack(
            [
                whole[(..., *(slice(at, at + (n - 1) * s + 1, s) for at, n, s in zip(tap, out, self.stride, strict=True)))]
                for tap in product(*map(range, self.kernel))
            ]
        )


def _pooled(draw: Draw, dtype: Dtype) -> tuple[Array, Pooling]:
    of = Pooling.drawn(draw, 2)
    return draw.numbers((draw.integer(1, 2), draw.size(70), *of.sizes(draw)), dtype), of


def _max_pool(draw: Draw, dtype: Dtype) -> Example:
    x, of = _pooled(draw, dtype)
    wanted = np.sort(of.taps(wide(x), -np.inf, -np.inf), 0)[-1]
    return one([x], lambda tensor: bm.max_pool(tensor, of.kernel, stride=of.stride, pad=of.pad, ceil_mode=of.ceil_mode), wanted)


def averaged(of: Pooling, x: Reals, *, padding: bool) -> tuple[Reals, Reals]:
    """The averages of windows and those of the absolute values; `padding` counts."""
    count = of.taps(np.ones((1, 1, *x.shape[2:])), float(padding), 0.0).sum(0)
    taps = of.taps(x, 0.0, 0.0)
    return taps.sum(0) / count, np.abs(taps).sum(0) / count


def _avg_pool(draw: Draw, dtype: Dtype) -> Example:
    (x, of), padding = _pooled(draw, dtype), bool(draw.integer(0, 1))
    wanted, size = averaged(of, wide(x), padding=padding)
    bound = _error(dtype, prod(of.kernel) + 2, size, of_channels=True)

    def body(a: Tensor) -> Tensor:
        return bm.avg_pool(a, of.kernel, stride=of.stride, pad=of.pad, ceil_mode=of.ceil_mode, count_include_pad=padding)

    return one([x], body, wanted, bound)


def _max_pool_with_index(draw: Draw, dtype: Dtype) -> Example:
    of = Pooling.drawn(draw, 2, draw.integer(2, 3))
    shape = (draw.integer(1, 2), draw.size(13), *of.sizes(draw))
    x = draw.random.integers(-3, 3, shape).astype(dtype.numpy)  # several are the largest
    taps = of.taps(wide(x), -np.inf, -np.inf)
    places = of.taps(wide(np.broadcast_to(np.arange(shape[2] * shape[3]).reshape(1, 1, *shape[2:]), shape)), 0.0, 0.0)
    largest = np.sort(taps, 0)[-1]
    first = np.where(taps == largest, places, np.inf).min(0)

    def body(a: Tensor) -> tuple[Tensor, Tensor]:
        return bm.max_pool_with_index(a, of.kernel, stride=of.stride, pad=of.pad, ceil_mode=of.ceil_mode)

    return Example((x,), body, (largest, first), (0.0, 0.0))


def error(dtype: Dtype, terms: int, size: Reals, sums: Reals, *, of_channels: bool = False) -> Reals:
    """How far a sum of so many products may be off to which a bias is added: to the sum itself, or when it has been rounded."""
    return _error(dtype, terms, size, of_channels=of_channels) + unit(dtype) * np.abs(sums)


OPERATORS = (
    Operator("matmul", FLOATS, _matmul),
    Operator("conv", FLOATS, _conv),
    Operator("deconv", FLOATS, _deconv),
    Operator("max_pool", (*FLOATS, i8, u8), _max_pool),
    Operator("avg_pool", FLOATS, _avg_pool),
    Operator("max_pool_with_index", FLOATS, _max_pool_with_index),
)
