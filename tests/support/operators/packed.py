"""Operators on packed numbers: weights of few bits, images in brightness and colour."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, one, unit, wide
from tpukernel.dtypes import Dtype, f32, u8

__all__ = ["OPERATORS"]

LAYOUTS = ("i420", "yv12", "nv12", "nv21")
FORMULAS = {  # black; then for red, green and blue the factors of y, u and v, in hundred thousandths
    "601_limited": (16, ((116438, 0, 159603), (116438, -39176, -81297), (116438, 201723, 0))),
    "601_full": (0, ((100000, 0, 140189), (100000, -34581, -71490), (100000, 177098, 0))),
}


def _a16matmul(draw: Draw, dtype: Dtype) -> Example:
    bits, size, groups, n = draw.choice((4, 8)), 2 * draw.integer(1, 40), draw.integer(1, 3), draw.size(130)
    x = draw.numbers((2, draw.size(67), groups * size) if draw.integer(0, 1) else (draw.size(67), groups * size), dtype)
    weight = draw.random.integers(0, (1 << bits) - 1, (groups * size, n), endpoint=True)
    scale = draw.random.uniform(0.01, 0.1, (groups, n)).astype(np.float32)
    points = draw.random.integers(0, (1 << bits) - 1, (groups, n), endpoint=True) if draw.integer(0, 2) else np.zeros((groups, n), np.int64)
    bias = draw.numbers((n,), dtype) if draw.integer(0, 1) else None
    factors = (weight - points.repeat(size, 0)) * wide(scale.astype(dtype.numpy)).repeat(size, 0)
    plain, total = wide(x) @ factors, np.abs(wide(x)) @ np.abs(factors)
    wanted = plain if bias is None else plain + wide(bias)
    bound = (unit(dtype) + unit(f32) * (groups * size + 1)) * total + unit(dtype) * (np.abs(plain) + np.abs(wanted))

    def body(a: Tensor) -> Tensor:
        return bm.a16matmul(a, weight, scale, points, bias, bits=bits, group_size=size)

    return one([x], body, wanted, bound)


def _yuv2rgb(draw: Draw, dtype: Dtype) -> Example:
    n, h, w = draw.integer(1, 2), 2 * draw.integer(1, 9), 2 * draw.integer(1, 9)
    x = draw.integers((n, h * 3 // 2, w), dtype)
    layout, order, formula = draw.choice(LAYOUTS), draw.choice(("rgb", "bgr")), draw.choice(tuple(FORMULAS))
    black, factors = FORMULAS[formula]
    colours = wide(x)[:, h:].reshape(n, -1)
    if layout in ("i420", "yv12"):
        first, second = colours[:, : h * w // 4], colours[:, h * w // 4 :]
    else:
        first, second = colours[:, 0::2], colours[:, 1::2]
    u, v = (first, second) if layout in ("i420", "nv12") else (second, first)
    full = [np.kron(each.reshape(n, h // 2, w // 2), np.ones((1, 2, 2))) - 128 for each in (u, v)]
    planes = (wide(x)[:, :h] - black, *full)
    exact = np.stack([sum((factor * plane for factor, plane in zip(row, planes, strict=True)), np.zeros(1)) / 100000 for row in factors], 1)
    exact = exact if order == "rgb" else exact[:, ::-1]
    wanted = np.array([math.floor(Fraction(each) + Fraction(1, 2)) for each in np.clip(exact, 0, 255).reshape(-1)]).reshape(exact.shape)
    close = np.abs(2 * exact - np.rint(2 * exact)) < 2 * 0.001  # the factors as integers are off by less
    return one([x], lambda a: bm.yuv2rgb(a, layout, order, formula=formula), wanted.astype(np.float64), close.astype(np.float64))


OPERATORS = (
    Operator("a16matmul", FLOATS, _a16matmul, "weights of 4 or 8 bits are known when the model is compiled"),
    Operator("yuv2rgb", (u8,), _yuv2rgb),
)
