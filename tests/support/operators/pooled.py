"""Pooling of integers that stand for numbers in a scale."""

from __future__ import annotations

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import Draw, Example, Operator, one, wide
from tests.support.operators.products import Pooling, averaged
from tpukernel.dtypes import Dtype, i8, i16, u8, u16

__all__ = ["OPERATORS"]

NARROW = (i8, u8, i16, u16)
BYTES = (i8, u8)
TIE = 0.501
"""What is computed in f32 may fall on the other side of a half: off by one at most, and then by hardly more than half of one."""


def _point(draw: Draw, dtype: Dtype) -> int:
    return draw.choice([0, draw.integer(*(max(-99, dtype.limits[0]), min(99, dtype.limits[1])))])


def _pooled(draw: Draw, dtype: Dtype) -> tuple[Array, Pooling, int]:
    of = Pooling.drawn(draw, 2)
    return draw.numbers((draw.integer(1, 2), draw.size(70), *of.sizes(draw)), dtype), of, _point(draw, dtype)


def _sum_pool(draw: Draw, dtype: Dtype) -> Example:
    x, of, point = _pooled(draw, dtype)
    of = of._replace(ceil_mode=False)
    return one(
        [x],
        lambda tensor: bm.sum_pool(tensor, of.kernel, stride=of.stride, pad=of.pad, zero_point=point),
        of.taps(wide(x) - point, 0, 0).sum(0),
    )


def _avg_pool_int(draw: Draw, dtype: Dtype) -> Example:
    (x, of, point), padding = _pooled(draw, dtype), bool(draw.integer(0, 1))
    kind, scale = draw.choice(NARROW), draw.integer(1, 99) / 64
    result = _point(draw, kind)
    average, _ = averaged(of, wide(x) - point, padding=padding)

    def body(tensor: Tensor) -> Tensor:
        return bm.avg_pool_int(
            tensor,
            of.kernel,
            stride=of.stride,
            pad=of.pad,
            scale=scale,
            zero_points=(point, result),
            dtype=kind,
            ceil_mode=of.ceil_mode,
            count_include_pad=padding,
        )

    return one([x], body, np.clip(average * scale + result, *kind.limits), TIE)


OPERATORS = (
    Operator("sum_pool", BYTES, _sum_pool),
    Operator("avg_pool_int", BYTES, _avg_pool_int),
)
