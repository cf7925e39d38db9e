"""What the kernels of the examples should give, computed by numpy in f64, and how far they may be off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import erf
from typing import Any

import numpy as np

import tpukernel as tpu
from tests.lang.single import Array, Floats, Integers, floats, integers, windows
from tpukernel.dtypes import Dtype

__all__ = ["Case"]

EPSILON = {tpu.f32: 2.0**-24, tpu.f16: 2.0**-11, tpu.bf16: 2.0**-8}


@dataclass(frozen=True)
class Case:
    """Inputs of an example, with its keywords, and what comes out; no element may differ from that by more than `off`."""

    name: str
    arrays: Sequence[Array]
    wanted: Floats | Integers
    off: float = 0.0
    keywords: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def require(self, found: Array) -> None:
        """Raises AssertionError where an output is not what is wanted."""
        np.testing.assert_allclose(wide(found), self.wanted, rtol=0, atol=self.off)


def wide(x: Array) -> Floats:
    return x.astype(np.float64)


def within(wanted: Floats, dtype: Dtype, steps: float, rest: float = 0.0) -> float:
    """So many roundings of the largest number, and what the functions of f32 are off."""
    return max(float(np.abs(wanted).max()), 1.0) * (steps * EPSILON[dtype] + rest)


def abs_add(shape: Sequence[int], dtype: Dtype, **tiles: int) -> Case:
    x = floats(shape, dtype)
    wanted = np.abs(wide(x)) + 1.5
    return Case("abs_add", [x], wanted, within(wanted, dtype, 1), {"c": 1.5, **tiles})


def axpy(shape: Sequence[int], dtype: Dtype, **tiles: int) -> Case:
    x, y = floats(shape, dtype), floats(shape, dtype, 1)
    wanted = 2.5 * wide(x) + wide(y)
    return Case("axpy", [x, y], wanted, within(wanted, dtype, 2), {"alpha": 2.5, **tiles})


def scale_bias_relu(shape: Sequence[int], dtype: Dtype, **tiles: int) -> Case:
    x, scale, bias = floats(shape, dtype), floats(shape[1:2], dtype, 1), floats(shape[1:2], dtype, 2)
    wanted = np.maximum(wide(x) * wide(scale)[:, None, None] + wide(bias)[:, None, None], 0)
    return Case("scale_bias_relu", [x, scale, bias], wanted, within(wanted, dtype, 2), tiles)


def softmax(shape: Sequence[int], dtype: Dtype, scale: int = 1, **tiles: int) -> Case:
    x = (scale * floats(shape, dtype)).astype(dtype.numpy)
    powers = np.exp(wide(x) - wide(x).max(3, keepdims=True))
    wanted = powers / powers.sum(3, keepdims=True)
    return Case("softmax", [x], wanted, within(wanted, dtype, 1, 1e-5), tiles)


def layer_norm(shape: Sequence[int], dtype: Dtype, **tiles: int) -> Case:
    x, gamma, beta = floats(shape, dtype), floats((1, shape[3]), dtype, 1), floats((1, shape[3]), dtype, 2)
    centred = wide(x) - wide(x).mean(3, keepdims=True)
    wanted = centred / np.sqrt((centred**2).mean(3, keepdims=True) + 1e-2) * wide(gamma)[0] + wide(beta)[0]
    return Case("layer_norm", [x, gamma, beta], wanted, within(wanted, dtype, 2, 1e-5), {"epsilon": 1e-2, **tiles})


def rms_norm(shape: Sequence[int], dtype: Dtype, epsilon: float = 1e-6, **tiles: int) -> Case:
    x, gamma = floats(shape, dtype), floats((1, shape[3]), dtype, 1)
    wanted = wide(x) / np.sqrt((wide(x) ** 2).mean(3, keepdims=True) + epsilon) * wide(gamma)[0]
    return Case("rms_norm", [x, gamma], wanted, within(wanted, dtype, 2, 1e-5), {"epsilon": epsilon, **tiles})


def gelu(shape: Sequence[int], dtype: Dtype, **tiles: int) -> Case:
    x = floats(shape, dtype)
    wanted = wide(x) * (1 + np.vectorize(erf)(wide(x) / np.sqrt(2))) / 2
    return Case("gelu", [x], wanted, within(wanted, dtype, 1, 2e-6), tiles)


def matmul(m: int, depth: int, n: int, dtype: Dtype, **tiles: int) -> Case:
    left, right = floats((m, depth), dtype), floats((depth, n), dtype, 1)
    largest = float((np.abs(wide(left)) @ np.abs(wide(right))).max())
    off = largest * ((depth + 2) * 2.0**-24 + EPSILON[dtype])
    return Case("matmul", [left, right], wide(left) @ wide(right), off, tiles)


def conv3x3(n: int, ic: int, oc: int, h: int, w: int, dtype: Dtype, **tiles: int) -> Case:
    x, weight, bias = floats((n, ic, h, w), dtype), floats((oc, ic, 3, 3), dtype, 1), floats((oc,), tpu.f32, 2)
    under = windows(wide(x), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    wanted = np.einsum("nchwij,ocij->nohw", under, wide(weight)) + wide(bias)[:, None, None]
    off = within(wanted, dtype, 1, (9 * ic + 1) * 2.0**-23)
    return Case("conv3x3", [x, tpu.packed_weights(weight), bias], wanted, off, tiles)


def transpose(rows: int, columns: int, dtype: Dtype, **tiles: int) -> Case:
    x = floats((rows, columns), dtype) if dtype.is_float else integers((rows, columns), dtype)
    return Case("transpose", [x], wide(x).T, keywords=tiles)


def attention(queries: int, keys: int, d: int, dtype: Dtype, scale: int = 1, **tiles: int) -> Case:
    query, key, value = floats((queries, d), dtype), floats((keys, d), dtype, 1), floats((keys, d), dtype, 2)
    query = (scale * query).astype(dtype.numpy)
    scores = wide(query) @ wide(key).T / np.sqrt(d)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    wanted = powers / powers.sum(1, keepdims=True) @ wide(value)
    return Case("attention", [query, key, value], wanted, within(wanted, dtype, 3, 1e-5), tiles)


def int8_requant(shape: Sequence[int], **tiles: int) -> Case:
    x = integers(shape, tpu.i32, 0, -(2**24), 2**24)
    channels = shape[1]
    rng = np.random.default_rng(1)
    numbers = np.stack([rng.integers(1, 2**14, channels), -rng.integers(20, 31, channels), rng.integers(-99, 99, channels)], 1)
    factor, right, offset = (numbers[:, place, None, None] for place in range(3))
    product = x.astype(np.int64) * factor
    rounded = np.sign(product) * ((np.abs(product) + (1 << -right - 1)) >> -right)  # half away from zero
    return Case("int8_requant", [x, numbers.astype(np.int32)], np.clip(rounded + offset, -128, 127), keywords=tiles)


def argmax(shape: Sequence[int], dtype: Dtype, values: int, **tiles: int) -> Case:
    x = integers(shape, tpu.i8, 0, -values, values).astype(dtype.numpy)  # few values: the first of several largest ones
    return Case("argmax", [x], x.argmax(3)[..., None], keywords=tiles)
