"""Kernels against numpy: odd shapes, all float types, tails in every dimension; the same bits from the native engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.lang.kernels import abs_add, axpy, conv3x3, halve_to_i8, in_place_add, matmul, scale_bias_relu, softmax
from tests.support.effort import examples
from tpukernel.dtypes import Dtype, bf16, f16, f32

FLOATS = (f32, f16, bf16)
EPSILON = {f32: 2.0**-24, f16: 2.0**-11, bf16: 2.0**-8}
CHANNELS = st.sampled_from([1, 2, 63, 64, 65, 127, 128, 130])
Floats = NDArray[np.float64]


def numbers(shape: Sequence[int], dtype: Dtype = f32, seed: int = 0) -> NDArray[np.generic]:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def wide(array: NDArray[np.generic]) -> Floats:
    return array.astype(np.float64)


def close(found: NDArray[np.generic], wanted: Floats, dtype: Dtype, steps: float) -> None:
    """Within so many roundings of the largest number."""
    scale = max(float(np.abs(wanted).max()), 1.0)
    np.testing.assert_allclose(wide(found), wanted, rtol=0, atol=steps * EPSILON[dtype] * scale)


@given(
    st.tuples(st.integers(1, 3), CHANNELS, st.integers(1, 3), st.integers(1, 70)),
    st.sampled_from(FLOATS),
    st.sampled_from([1, 7, 16, 33, 1024]),
    st.integers(1, 4),
)
@settings(deadline=None)
def test_abs_add(shape: tuple[int, int, int, int], dtype: Dtype, tile: int, buffers: int) -> None:
    x = numbers(shape, dtype)
    close(abs_add(x, c=1.5, tile_w=max(tile, shape[3] // 8), buffers=buffers), np.abs(wide(x)) + 1.5, dtype, 1)


@given(
    st.tuples(st.integers(1, 3), CHANNELS, st.integers(1, 3), st.integers(1, 200)),
    st.sampled_from(FLOATS),
    st.floats(-4, 4, width=16, allow_subnormal=False),
)
@settings(deadline=None)
def test_axpy(shape: tuple[int, int, int, int], dtype: Dtype, alpha: float) -> None:
    x, y = numbers(shape, dtype), numbers(shape, dtype, seed=1)
    close(axpy(x, y, alpha=alpha), alpha * wide(x) + wide(y), dtype, 2)


@given(st.tuples(st.integers(1, 4), CHANNELS, st.integers(1, 5), st.integers(1, 40)), st.sampled_from(FLOATS))
@settings(deadline=None)
def test_scale_bias_relu(shape: tuple[int, int, int, int], dtype: Dtype) -> None:
    x, scale, bias = numbers(shape, dtype), numbers(shape[1:2], dtype, 1), numbers(shape[1:2], dtype, 2)
    wanted = np.maximum(wide(x) * wide(scale)[:, None, None] + wide(bias)[:, None, None], 0)
    close(scale_bias_relu(x, scale, bias), wanted, dtype, 2)


@given(st.integers(1, 70), st.integers(1, 100), st.integers(1, 130), st.sampled_from(FLOATS))
@settings(deadline=None)
def test_matmul(m: int, depth: int, n: int, dtype: Dtype) -> None:
    left, right = numbers((m, depth), dtype), numbers((depth, n), dtype, 1)
    wanted = wide(left) @ wide(right)
    bound = float((np.abs(wide(left)) @ np.abs(wide(right))).max())
    np.testing.assert_allclose(wide(matmul(left, right)), wanted, rtol=0, atol=(depth + 2) * 2.0**-24 * max(bound, 1.0))


@given(st.integers(1, 150), st.integers(1, 60))
@settings(deadline=None)
def test_softmax(rows: int, columns: int) -> None:
    x = 4 * wide(numbers((rows, columns)))
    powers = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(wide(softmax(x.astype(np.float32))), powers / powers.sum(1, keepdims=True), rtol=2e-5, atol=1e-9)


@given(st.integers(1, 3), st.sampled_from([1, 3, 31, 32, 33, 64]), st.sampled_from([1, 64, 65]), st.sampled_from(FLOATS))
@settings(deadline=None, max_examples=examples(10))
def test_conv3x3(n: int, ic: int, oc: int, dtype: Dtype) -> None:
    x, weight, bias = numbers((n, ic, 5, 7), dtype), numbers((oc, ic, 3, 3), dtype, 1), numbers((oc,), f32, 2)
    padded = np.pad(wide(x), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    wanted = np.einsum("nchwij,ocij->nohw", windows, wide(weight)) + wide(bias)[:, None, None]
    close(conv3x3(x, weight, bias), wanted, dtype, 1 if dtype != f32 else 9 * ic)


@given(st.integers(1, 64), st.integers(1, 60))
@settings(deadline=None)
def test_in_place(channels: int, width: int) -> None:
    x = numbers((1, channels, 1, width))
    before = x.copy()
    np.testing.assert_array_equal(in_place_add(x, c=1.0), (wide(x) + 1).astype(np.float32))
    np.testing.assert_array_equal(x, before)


def test_integers() -> None:
    x = np.random.default_rng(0).integers(-400, 400, (3, 70, 5, 7)).astype(np.int32)
    np.testing.assert_array_equal(halve_to_i8(x), np.clip(np.floor(x / 2 + 0.5), -128, 127))


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_native_engine_gives_the_same_bits(dtype: Dtype) -> None:
    x = numbers((2, 70, 3, 50), dtype)
    (one,), (other,) = (abs_add.run(x, c=1.5, tile_w=16, engine=engine).values() for engine in ("interpreter", "jit"))
    assert one.tobytes() == other.tobytes()


def test_numbers_may_be_fast() -> None:
    rng = np.random.default_rng(3)
    left, right = (rng.standard_normal(shape).astype(np.float32) for shape in ((64, 300), (300, 96)))
    (exact,), (fast,) = (matmul.run(left, right, engine="jit", numerics=numerics).values() for numerics in ("exact", "fast"))
    assert exact.tobytes() == matmul(left, right).tobytes() != fast.tobytes()
    np.testing.assert_allclose(fast, exact, rtol=0, atol=600 * 2.0**-24 * float((np.abs(left) @ np.abs(right)).max()))


@pytest.mark.parametrize("shape", [(1, 64, 1, 64), (2, 65, 3, 50)])
def test_one_symbolic_trace_fits_every_shape(shape: tuple[int, int, int, int]) -> None:
    from tpukernel import BM1684X
    from tpukernel.lang import elaborate

    traced = abs_add.ir(c=1.5, tile_w=16)
    found = elaborate(traced, {"x": shape, "out": shape}, BM1684X)
    assert found.program.streams() == abs_add.program({"x": shape}, c=1.5, tile_w=16).streams()
