"""Operators over whole rows: sums and extremes, softmax, normalisation."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import cast

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tpukernel.dtypes import Dtype, f32

__all__ = ["OPERATORS"]

SMALL = unit(f32)


def _reduce(name: str) -> Operator:
    def make(draw: Draw, dtype: Dtype) -> Example:
        shape = draw.shape()
        x, rank = draw.numbers(shape, dtype), len(shape)
        first = draw.integer(0, rank - 1)
        last = draw.integer(first, rank - 1)
        axes = tuple(range(first, last + 1))
        given = None if len(axes) == rank and draw.integer(0, 1) else axes if len(axes) > 1 else draw.integer(0, 1) * -rank + first
        keep = bool(draw.integer(0, 1))
        rows = np.moveaxis(wide(x), axes, range(-len(axes), 0)).reshape(*(shape[axis] for axis in range(rank) if axis not in axes), -1)
        count = rows.shape[-1]
        total, size = rows @ np.ones(count), np.abs(rows) @ np.ones(count)
        wanted, bound = {
            "reduce_sum": (total, SMALL * count * size),
            "reduce_mean": (total / count, SMALL * (count + 4) * size / count),
            "reduce_max": (np.sort(rows)[..., -1], 0.0 * total),
            "reduce_min": (np.sort(rows)[..., 0], 0.0 * total),
        }[name]
        left = [1 if axis in axes else width for axis, width in enumerate(shape) if keep or axis not in axes] or [1]
        call = cast("Callable[..., Tensor]", getattr(bm, name))
        return one([x], lambda tensor: call(tensor, given, keep), wanted.reshape(left), bound.reshape(left))

    return Operator(name, FLOATS, make, "neighbouring dimensions; computed in f32")


def _softmax(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    axis = draw.integer(-x.ndim, x.ndim - 1)
    count = x.shape[axis]
    powers = np.exp(np.moveaxis(wide(x), axis, 0))
    wanted = np.moveaxis(powers / np.add.reduce(powers), 0, axis)
    # exp: 12 ulp, and what rounding its operand (up to 8) makes; as much for the sum, its additions, reciprocal and product
    return one([x], lambda tensor: bm.softmax(tensor, axis), wanted, wanted * SMALL * (2 * (24 + 8) + count + 16))


def _rows(draw: Draw, dtype: Dtype, scaled: str) -> tuple[Example, Reals]:
    shape = draw.shape()
    axis = draw.integer(0, len(shape) - 1)
    x = draw.numbers(shape, dtype)
    row = prod(shape[axis:])
    rows = wide(x).reshape(-1, row)
    centre = rows.sum(1, keepdims=True) / row if scaled == "layer_norm" else np.zeros((len(rows), 1))
    eps = draw.choice((1e-5, 1e-3, 1e-6))
    deviation = np.sqrt(((rows - centre) ** 2).sum(1, keepdims=True) / row + eps)
    wanted = (rows - centre) / deviation
    # rounding the average moves everything by as much as the largest number's rounding; the rest is relative
    bound = SMALL * ((row + 8) * np.abs(rows).max(1, keepdims=True) / deviation + (row + 24) * np.abs(wanted))
    inputs, names = [x], list[str]()
    factor: Reals = np.ones(row)
    shift: Reals = np.zeros(row)
    if draw.integer(0, 1):
        weight = draw.numbers(shape[axis:], dtype, 0.5, 2)
        inputs.append(weight)
        names.append("weight")
        factor = wide(weight).reshape(-1)
    if scaled == "layer_norm" and draw.integer(0, 1):
        bias = draw.numbers(shape[axis:], dtype)
        inputs.append(bias)
        names.append("bias")
        shift = wide(bias).reshape(-1)
    call = cast("Callable[..., Tensor]", getattr(bm, scaled))
    given = axis - len(shape) if draw.integer(0, 1) else axis

    def body(tensor: Tensor, *others: Tensor) -> Tensor:
        return call(tensor, **dict(zip(names, others, strict=True)), axis=given, eps=eps)

    final = wanted * factor + shift
    errors = (bound * np.abs(factor) + SMALL * (np.abs(wanted * factor) + np.abs(final))).reshape(shape)
    return one(inputs, body, final.reshape(shape), errors), deviation


def _layer_norm(draw: Draw, dtype: Dtype) -> Example:
    return _rows(draw, dtype, "layer_norm")[0]


def _rms_norm(draw: Draw, dtype: Dtype) -> Example:
    return _rows(draw, dtype, "rms_norm")[0]


def _batch_norm(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(ranks=(2, 4)), dtype)
    channels = x.shape[1]
    mean, weight, bias = (draw.numbers((channels,), f32, -2, 2) for _ in range(3))
    variance = draw.numbers((channels,), f32, 0.1, 3)
    across = (1, channels, *(1,) * (x.ndim - 2))
    factor = (wide(weight) / np.sqrt(wide(variance) + 1e-5)).reshape(across)
    shift = wide(bias).reshape(across) - wide(mean).reshape(across) * factor
    scaled = wide(x) * factor
    bound = unit(dtype) * (2 * np.abs(scaled) + np.abs(shift)) * (1 + unit(dtype))
    return one([x], lambda tensor: bm.batch_norm(tensor, mean, variance, weight, bias), scaled + shift, bound)


def _group_norm(draw: Draw, dtype: Dtype) -> Example:
    groups, each = draw.integer(1, 5), draw.integer(1, 5)
    x = draw.numbers((draw.integer(1, 3), groups * each, draw.size(13), draw.size(13)), dtype)
    rows = wide(x).reshape(x.shape[0] * groups, -1)
    count = rows.shape[1]
    centred = rows - rows.sum(1, keepdims=True) / count
    deviation = np.sqrt((centred**2).sum(1, keepdims=True) / count + 1e-5)
    bound = SMALL * ((count + 8) * np.abs(rows).max(1, keepdims=True) / deviation + (count + 24) * np.abs(centred / deviation))
    normal, bound = (
        (centred / deviation).reshape(x.shape),
        bound.reshape(x.shape) + unit(dtype) * np.abs(centred / deviation).reshape(x.shape),
    )
    if draw.integer(0, 1):
        return one([x], lambda tensor: bm.group_norm(tensor, groups), normal, bound)
    weight, bias = draw.numbers((groups * each,), dtype, 0.5, 2), draw.numbers((groups * each,), dtype)
    factor, shift = (wide(numbers).reshape(1, -1, 1, 1) for numbers in (weight, bias))
    scaled = normal * factor
    return one(
        [x], lambda tensor: bm.group_norm(tensor, groups, weight, bias), scaled + shift, bound * factor + 2 * unit(dtype) * np.abs(scaled)
    )


OPERATORS = (
    *(_reduce(name) for name in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")),
    Operator("softmax", FLOATS, _softmax),
    Operator("layer_norm", FLOATS, _layer_norm),
    Operator("rms_norm", FLOATS, _rms_norm),
    Operator("batch_norm", FLOATS, _batch_norm),
    Operator("group_norm", FLOATS, _group_norm),
)
