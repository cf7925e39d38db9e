"""Operators on bits, and on what is 0 or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import bmlang as bm
from bmlang.graph.graph import Array
from tests.support.operators.base import Draw, Example, Operator, Reals, one, wide
from tests.support.operators.pointwise import EVERY, INTEGERS, operands, operator, two
from tpukernel.dtypes import Dtype

__all__ = ["OPERATORS"]

Flags = NDArray[np.bool_]


def _bits(name: str, compute: Callable[[int, int], int]) -> Operator:
    def of_arrays(a: Reals, b: Reals) -> Reals:
        pairs = [each.reshape(-1) for each in np.broadcast_arrays(a, b)]
        found = np.array([compute(int(x), int(y)) for x, y in zip(*pairs, strict=True)], np.float64)
        return found.reshape(np.broadcast_shapes(a.shape, b.shape))

    return two(name, of_arrays, INTEGERS)


def _bit_not(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    return one([x], bm.bit_not, -1 - wide(x) if dtype.is_signed else dtype.limits[1] - wide(x))


def _flags(draw: Draw, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Numbers of which about half are 0, floats with either sign."""
    x = draw.numbers(shape, dtype)
    nothing = np.asarray(-0.0 if dtype.is_float else 0).astype(dtype.numpy)
    return np.where(draw.random.integers(0, 2, shape) == 1, x, nothing * draw.random.choice([1, -1], shape).astype(x.dtype)).astype(x.dtype)


def _logical(name: str, compute: Callable[[Flags, Flags], Flags]) -> Operator:
    def make(draw: Draw, dtype: Dtype) -> Example:
        shape = draw.shape()
        a, b = (_flags(draw, each, dtype) for each in (shape, draw.part(shape)))
        kind = draw.integer(0, 2)
        inputs, body = operands(operator(name), a, b, kind)
        if kind == 2:
            b = b.reshape(-1)[:1]
        return one(inputs, body, compute(wide(a) != 0, wide(b) != 0).astype(np.float64))

    return Operator(name, EVERY, make)


def _logical_not(draw: Draw, dtype: Dtype) -> Example:
    x = _flags(draw, draw.shape(), dtype)
    return one([x], bm.logical_not, (wide(x) == 0).astype(np.float64))


OPERATORS = (
    _bits("bit_and", lambda a, b: a & b),
    _bits("bit_or", lambda a, b: a | b),
    _bits("bit_xor", lambda a, b: a ^ b),
    Operator("bit_not", INTEGERS, _bit_not),
    _logical("logical_and", lambda a, b: a & b),
    _logical("logical_or", lambda a, b: a | b),
    _logical("logical_xor", lambda a, b: a ^ b),
    Operator("logical_not", EVERY, _logical_not),
)
