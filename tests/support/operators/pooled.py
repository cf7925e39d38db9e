"""Pooling of integers that stand for numbers in a scale."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from tests.support.operators.base import Draw, Example, Operator, Reals, one, wide
from tests.support.operators.products import windows
from tpukernel.dtypes import Dtype, i8, i16, u8, u16

__all__ = ["OPERATORS"]

NARROW = (i8, u8, i16, u16)
BYTES = (i8, u8)
TIE = 0.501
"""What is computed in f32 may fall on the other side of a half: off by one at most, and then by hardly more than half of one."""


def _point(draw: Draw, dtype: Dtype) -> int:
    return draw.choice([0, draw.integer(*(max(-99, dtype.limits[0]), min(99, dtype.limits[1])))])


class _Window(TypedDict):
    """Arguments of pooling."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, ...]


def _pooled(draw: Draw, dtype: Dtype) -> tuple[Array, _Window, int, Reals]:
    kernel, stride = (draw.integer(1, 4), draw.integer(1, 4)), (draw.integer(1, 3), draw.integer(1, 3))
    pad = tuple(draw.integer(0, kernel[axis % 2] - 1) for axis in range(4))
    x = draw.numbers((draw.integer(1, 2), draw.size(70), kernel[0] + draw.integer(0, 9), kernel[1] + draw.integer(0, 9)), dtype)
    point = _point(draw, dtype)
    taps = windows(wide(x) - point, kernel, stride, (1, 1), pad, 0.0)
    return x, _Window(kernel=kernel, stride=stride, pad=pad), point, taps


def _sum_pool(draw: Draw, dtype: Dtype) -> Example:
    x, more, point, taps = _pooled(draw, dtype)
    return one([x], lambda tensor: bm.sum_pool(tensor, **more, zero_point=point), taps.sum(0))


def _avg_pool_int(draw: Draw, dtype: Dtype) -> Example:
    x, more, point, taps = _pooled(draw, dtype)
    kind, scale = draw.choice(NARROW), draw.integer(1, 99) / 64
    result = _point(draw, kind)
    wanted = np.clip(taps.mean(0) * scale + result, *kind.limits)
    return one([x], lambda tensor: bm.avg_pool_int(tensor, **more, scale=scale, zero_points=(point, result), dtype=kind), wanted, TIE)


OPERATORS = (
    Operator("sum_pool", BYTES, _sum_pool),
    Operator("avg_pool_int", BYTES, _avg_pool_int),
)
