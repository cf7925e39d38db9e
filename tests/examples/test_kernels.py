"""The kernels of the examples against numpy, over odd shapes and all types; the interpreter and native execution give the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from math import erf
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.examples.load import FOLDER, example
from tests.lang.single import Array, Floats, floats, integers, windows
from tpukernel.dtypes import Dtype

FLOATS = st.sampled_from([tpu.f32, tpu.f16, tpu.bf16])
HALVES = st.sampled_from([tpu.f16, tpu.bf16])
EPSILON = {tpu.f32: 2.0**-24, tpu.f16: 2.0**-11, tpu.bf16: 2.0**-8}
CHANNELS = st.sampled_from([1, 2, 63, 64, 65, 130])
SHAPES = st.tuples(st.integers(1, 2), CHANNELS, st.integers(1, 5), st.integers(1, 70))
SIZES = st.sampled_from([1, 2, 31, 33, 64, 65, 130])
TILES = st.sampled_from([3, 7, 16])
normal = settings(deadline=None, max_examples=10)


def wide(x: Array) -> Floats:
    return x.astype(np.float64)


def both(name: str, *arrays: Array, **keywords: Any) -> Array:
    """What an example makes of the arrays, on both engines."""
    one, other = (next(iter(example(name).run(*arrays, engine=engine, **keywords).values())) for engine in ("interpreter", "jit"))
    assert one.tobytes() == other.tobytes()
    return one


def close(found: Array, wanted: Floats, dtype: Dtype, steps: float, rest: float = 0.0) -> None:
    """Within so many roundings of the largest number, and what the functions of f32 are off."""
    scale = max(float(np.abs(wanted).max()), 1.0)
    np.testing.assert_allclose(wide(found), wanted, rtol=0, atol=scale * (steps * EPSILON[dtype] + rest))


@given(SHAPES, FLOATS, TILES, TILES)
@normal
def test_abs_add(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    x = floats(shape, dtype)
    close(both("abs_add", x, c=1.5, tile_h=tile_h, tile_w=tile_w), np.abs(wide(x)) + 1.5, dtype, 1)


@given(SHAPES, FLOATS, TILES, TILES)
@normal
def test_axpy(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    x, y = floats(shape, dtype), floats(shape, dtype, 1)
    close(both("axpy", x, y, alpha=2.5, tile_h=tile_h, tile_w=tile_w), 2.5 * wide(x) + wide(y), dtype, 2)


@given(SHAPES, FLOATS, TILES, TILES)
@normal
def test_scale_bias_relu(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    x, scale, bias = floats(shape, dtype), floats(shape[1:2], dtype, 1), floats(shape[1:2], dtype, 2)
    wanted = np.maximum(wide(x) * wide(scale)[:, None, None] + wide(bias)[:, None, None], 0)
    close(both("scale_bias_relu", x, scale, bias, tile_h=tile_h, tile_w=tile_w), wanted, dtype, 2)


@given(SHAPES, FLOATS, TILES)
@normal
def test_softmax(shape: Sequence[int], dtype: Dtype, tile: int) -> None:
    x = floats(shape, dtype)
    powers = np.exp(wide(x) - wide(x).max(3, keepdims=True))
    close(both("softmax", x, tile_h=tile), powers / powers.sum(3, keepdims=True), dtype, 1, 1e-5)


@given(SHAPES, FLOATS, TILES)
@normal
def test_layer_norm(shape: Sequence[int], dtype: Dtype, tile: int) -> None:
    x, gamma, beta = floats(shape, dtype), floats((1, shape[3]), dtype, 1), floats((1, shape[3]), dtype, 2)
    centred = wide(x) - wide(x).mean(3, keepdims=True)
    wanted = centred / np.sqrt((centred**2).mean(3, keepdims=True) + 1e-2) * wide(gamma)[0] + wide(beta)[0]
    close(both("layer_norm", x, gamma, beta, epsilon=1e-2, tile_h=tile), wanted, dtype, 2, 1e-5)


@given(SHAPES, FLOATS, TILES)
@normal
def test_rms_norm(shape: Sequence[int], dtype: Dtype, tile: int) -> None:
    x, gamma = floats(shape, dtype), floats((1, shape[3]), dtype, 1)
    wanted = wide(x) / np.sqrt((wide(x) ** 2).mean(3, keepdims=True) + 1e-6) * wide(gamma)[0]
    close(both("rms_norm", x, gamma, tile_h=tile), wanted, dtype, 2, 1e-5)


@given(SHAPES, FLOATS, st.sampled_from([3, 28]), st.sampled_from([16, 64]))
@normal
def test_gelu(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    x = floats(shape, dtype)
    wanted = wide(x) * (1 + np.vectorize(erf)(wide(x) / np.sqrt(2))) / 2
    close(both("gelu", x, tile_h=tile_h, tile_w=tile_w), wanted, dtype, 1, 2e-6)


@given(SIZES, SIZES, SIZES, FLOATS, st.sampled_from([32, 64, 200]))
@normal
def test_matmul(m: int, depth: int, n: int, dtype: Dtype, tile: int) -> None:
    left, right = floats((m, depth), dtype), floats((depth, n), dtype, 1)
    bound = float((np.abs(wide(left)) @ np.abs(wide(right))).max())
    found = wide(both("matmul", left, right, tile_m=tile, tile_n=tile, tile_k=tile))
    np.testing.assert_allclose(found, wide(left) @ wide(right), rtol=0, atol=bound * ((depth + 2) * 2.0**-24 + EPSILON[dtype]))


@given(st.integers(1, 2), st.sampled_from([1, 31, 65]), st.sampled_from([1, 64, 65]), st.integers(1, 20), st.integers(1, 20), FLOATS,
       st.sampled_from([1, 5, 9]), st.sampled_from([1, 2, 4]))  # fmt: skip
@normal
def test_conv3x3(n: int, ic: int, oc: int, h: int, w: int, dtype: Dtype, stripe: int, tile: int) -> None:
    x, weight, bias = floats((n, ic, h, w), dtype), floats((oc, ic, 3, 3), dtype, 1), floats((oc,), tpu.f32, 2)
    under = windows(wide(x), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
    wanted = np.einsum("nchwij,ocij->nohw", under, wide(weight)) + wide(bias)[:, None, None]
    found = both("conv3x3", x, tpu.packed_weights(weight), bias, stripe=stripe, tile=tile, tile_oc=64)
    close(found, wanted, dtype, 1, (9 * ic + 1) * 2.0**-23)


@given(SIZES, SIZES, st.sampled_from([tpu.f32, tpu.bf16, tpu.i8]), st.sampled_from([32, 65, 512]))
@normal
def test_transpose(rows: int, columns: int, dtype: Dtype, tile: int) -> None:
    x = floats((rows, columns), dtype) if dtype.is_float else integers((rows, columns), dtype)
    np.testing.assert_array_equal(both("transpose", x, tile=tile), x.T)


@given(SIZES, SIZES, st.sampled_from([1, 32, 64]), HALVES, st.sampled_from([16, 64, 100]))
@normal
def test_attention(queries: int, keys: int, d: int, dtype: Dtype, tile: int) -> None:
    query, key, value = floats((queries, d), dtype), floats((keys, d), dtype, 1), floats((keys, d), dtype, 2)
    scores = wide(query) @ wide(key).T / np.sqrt(d)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    wanted = powers / powers.sum(1, keepdims=True) @ wide(value)
    close(both("attention", query, key, value, tile=tile), wanted, dtype, 3, 1e-5)


@given(SHAPES, TILES, TILES)
@normal
def test_int8_requant(shape: Sequence[int], tile_h: int, tile_w: int) -> None:
    x = integers(shape, tpu.i32, 0, -(2**24), 2**24)
    channels = shape[1]
    rng = np.random.default_rng(1)
    numbers = np.stack([rng.integers(1, 2**14, channels), -rng.integers(20, 31, channels), rng.integers(-99, 99, channels)], 1)
    factor, right, offset = (numbers[:, place, None, None] for place in range(3))
    product = x.astype(np.int64) * factor
    rounded = np.sign(product) * ((np.abs(product) + (1 << -right - 1)) >> -right)  # half away from zero
    found = both("int8_requant", x, numbers.astype(np.int32), tile_h=tile_h, tile_w=tile_w)
    np.testing.assert_array_equal(found, np.clip(rounded + offset, -128, 127))


@given(SHAPES, FLOATS, TILES, st.integers(1, 9))
@normal
def test_argmax(shape: Sequence[int], dtype: Dtype, tile: int, values: int) -> None:
    x = integers(shape, tpu.i8, 0, -values, values).astype(dtype.numpy)  # few values: the first of several largest ones
    np.testing.assert_array_equal(both("argmax", x, tile_h=tile), x.argmax(3)[..., None])


def test_every_example_is_tested() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert len(names) == 13
    assert names == {name.removeprefix("test_") for name in globals() if name.startswith("test_")} - {"every_example_is_tested"}
