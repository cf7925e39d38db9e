"""Operators along dimensions: positions of extremes, norms, turned pairs, sizes, channels of images."""

from __future__ import annotations

import math

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tests.support.operators.pointwise import EVERY, ROUNDINGS, each
from tpukernel.dtypes import Dtype, f32, i8, i16, u8, u16

__all__ = ["OPERATORS"]

NARROW = (i8, u8, i16, u16)
SMALL = unit(f32)


def _arg(name: str) -> Operator:
    def make(draw: Draw, dtype: Dtype) -> Example:
        x = draw.numbers(draw.shape(), dtype)
        if draw.integer(0, 1):
            x = np.rint(wide(x)).astype(dtype.numpy)  # several are equal; zeros with either sign
        axis, keep, last = draw.integer(0, x.ndim - 1), bool(draw.integer(0, 1)), bool(draw.integer(0, 1))
        rows = np.moveaxis(wide(x), axis, -1)
        wanted = np.zeros(rows.shape[:-1])
        for place in np.ndindex(rows.shape[:-1]):
            row = rows[place].tolist()
            extreme = max(row) if name == "argmax" else min(row)
            wanted[place] = len(row) - 1 - row[::-1].index(extreme) if last else row.index(extreme)
        wanted = np.expand_dims(wanted, axis) if keep else wanted.reshape(wanted.shape or (1,))
        given, call = axis - x.ndim if draw.integer(0, 1) else axis, bm.argmax if name == "argmax" else bm.argmin
        return one([x], lambda tensor: call(tensor, given, keep, last=last), wanted)

    return Operator(name, (*FLOATS, *NARROW), make, "of equal elements the first one, or the last one")


def _normalize(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    first = draw.integer(0, x.ndim - 1)
    axes = tuple(range(first, draw.integer(first, x.ndim - 1) + 1))
    p, eps = draw.choice((1.0, 2.0, 3.0, 2.5, math.inf)), draw.choice((1e-12, 0.5))
    rows = np.moveaxis(np.abs(wide(x)), axes, range(len(axes)))
    rows = rows.reshape(-1, *rows.shape[len(axes) :])
    norm = np.sort(rows, 0)[-1] if p == math.inf else np.add.reduce(each(lambda number: number**p)(rows)) ** (1 / p)
    wanted = wide(x) / np.maximum(norm, eps).reshape([1 if axis in axes else size for axis, size in enumerate(x.shape)])
    steps = 16 if p in (1.0, math.inf) else 32 if p == 2 else 200  # powers: as pow, of numbers up to 4 and of sums of them
    given = axes[0] if len(axes) == 1 else axes
    bound = SMALL * (len(rows) / p + steps) * np.abs(wanted)
    return one([x], lambda tensor: bm.normalize(tensor, p, given, eps), wanted, bound)


def _turned(x: Reals, interleaved: bool) -> Reals:
    found, half = np.zeros_like(x), x.shape[-1] // 2
    for place in range(half):
        a, b = (2 * place, 2 * place + 1) if interleaved else (place, place + half)
        found[..., a], found[..., b] = -x[..., b], x[..., a]
    return found


def _rope(draw: Draw, dtype: Dtype) -> Example:
    heads, rows, half = draw.integer(1, 3), draw.size(31), draw.size(31)
    x = draw.numbers((heads, rows, 2 * half), dtype)
    angle = draw.random.uniform(-4, 4, (rows, 2 * half))
    cos, sin = (function(angle).astype(dtype.numpy) for function in (np.cos, np.sin))
    interleaved = bool(draw.integer(0, 1))
    parts = wide(x) * wide(cos), _turned(wide(x), interleaved) * wide(sin)
    bound = unit(dtype) * (np.abs(parts[0]) + np.abs(parts[1])) * (1 + unit(dtype))
    if draw.integer(0, 1):
        return one([x], lambda tensor: bm.rope(tensor, cos, sin, interleaved), parts[0] + parts[1], bound)
    return one([x, cos, sin], lambda a, b, c: bm.rope(a, b, c, interleaved), parts[0] + parts[1], bound)


def _shape_fetch(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    begin, step = draw.integer(0, x.ndim - 1), draw.integer(1, 2)
    wanted = np.array(x.shape[begin::step])

    def body(tensor: Tensor) -> Tensor:
        return bm.cast(tensor[(0,) * tensor.ndim], bm.i32) * 0 + bm.shape_fetch(tensor, begin, None, step)

    return one([x], body, wanted)


def _mean_std_scale(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers((draw.integer(1, 2), draw.size(7), draw.size(13), draw.size(13)), dtype)
    count = x.shape[1] if draw.integer(0, 1) else 1
    across = (1, count, 1, 1)
    target = draw.choice((*FLOATS, *NARROW))
    if target.is_float:
        x = np.clip(wide(x), 0 if dtype.kind == "u" else -9999, 9999).astype(dtype.numpy)  # within the range of f16
        mean, std = draw.random.uniform(-9, 9, count), draw.random.uniform(0.5, 9, count)
        scaled, moved = wide(x) / std.reshape(across), (mean / std).reshape(across)
        bound = SMALL * 4 * (np.abs(scaled) + np.abs(moved))
        return one([x], lambda tensor: bm.mean_std_scale(tensor, mean, std, target), scaled - moved, bound)
    # powers of two: every step is exact but for the rounding
    mean, std = draw.random.integers(-9, 9, count).astype(np.float64), 2.0 ** draw.random.integers(-2, 3, count)
    scale, point, rounding = 2.0 ** draw.integer(-2, 4), draw.integer(0, 9), draw.choice(tuple(ROUNDINGS))
    x = np.clip(np.rint(wide(x)), -(2**20), 2**20).astype(dtype.numpy)
    numbers = (wide(x) - mean.reshape(across)) / std.reshape(across) / scale
    wanted = each(ROUNDINGS[rounding])(numbers) + point

    def body(tensor: Tensor) -> Tensor:
        return bm.mean_std_scale(tensor, mean, std, target, scale=scale, zero_point=point, rounding=rounding)

    return one([x], body, wanted)


OPERATORS = (
    _arg("argmax"),
    _arg("argmin"),
    Operator("normalize", FLOATS, _normalize, "computed in f32"),
    Operator("rope", FLOATS, _rope),
    Operator("shape_fetch", EVERY, _shape_fetch, "a constant; here added to zeros"),
    Operator("mean_std_scale", EVERY, _mean_std_scale, "the type is that of x; results of floats and narrow integers"),
)
