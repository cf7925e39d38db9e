"""Every operation of k.tiu and k.dma against numpy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import tpukernel as tpu
from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import Dtype
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.dma import DmaOps
from tpukernel.lang.tiu import TiuOps

SHAPE = (2, 66, 3, 5)
Floats = NDArray[np.float64]
Step = Callable[[tpu.Builder, tpu.Tile, tpu.Tile, tpu.Tile], object]
"""k, dst, a, b."""

erf = np.vectorize(math.erf)


def gives(*specs: tuple[tuple[int, ...], Dtype]) -> Callable[..., list[tpu.TensorSpec]]:
    """An `infer` that says the same for all inputs."""
    return lambda *_inputs: [tpu.TensorSpec(shape, dtype) for shape, dtype in specs]  # pyright: ignore[reportUnknownLambdaType]


def run(step: Step, a: Floats, b: Floats, dtype: Dtype = tpu.f32, out_dtype: Dtype | None = None, out: tuple[int, ...] = SHAPE) -> Floats:
    """What an operation makes of two tensors in local memory."""
    result = out_dtype or dtype

    @tpu.kernel(infer=gives((out, result)))
    def kernel(k: tpu.Builder, x: tpu.In, y: tpu.In, z: tpu.Out) -> None:
        one, two, three = k.local(x.shape, x.dtype), k.local(y.shape, y.dtype), k.local(out, result)
        k.dma.load(one, x)
        k.dma.load(two, y)
        k.tiu.fill(three, 0)
        step(k, three, one, two)
        k.dma.store(z, three)

    return kernel(a.astype(dtype.numpy), b.astype(dtype.numpy)).astype(np.float64)


def random(low: float, high: float, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Floats:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32).astype(np.float64)


Case = tuple[Step, Callable[[Floats, Floats], object], float, float, float]
"""The operation, the same in numpy, the range of the operands, the relative tolerance."""

CASES: dict[str, Case] = {
    "add": (lambda k, d, a, b: k.tiu.add(d, a, b), lambda a, b: a + b, -4, 4, 1e-6),
    "sub": (lambda k, d, a, b: k.tiu.sub(d, a, b), lambda a, b: a - b, -4, 4, 1e-6),
    "sub number": (lambda k, d, a, b: k.tiu.sub(d, a, 2.5), lambda a, b: a - 2.5, -4, 4, 1e-6),
    "number sub": (lambda k, d, a, b: k.tiu.sub(d, 2.5, a), lambda a, b: 2.5 - a, -4, 4, 1e-6),
    "mul": (lambda k, d, a, b: k.tiu.mul(d, a, b), lambda a, b: a * b, -4, 4, 1e-6),
    "div": (lambda k, d, a, b: k.tiu.div(d, a, b), lambda a, b: a / b, 0.5, 4, 1e-6),
    "div number": (lambda k, d, a, b: k.tiu.div(d, a, 3), lambda a, b: a / 3, 0.5, 4, 1e-6),
    "number div": (lambda k, d, a, b: k.tiu.div(d, 3, a), lambda a, b: 3 / a, 0.5, 4, 1e-6),
    "diff_abs": (lambda k, d, a, b: k.tiu.diff_abs(d, a, b), lambda a, b: np.abs(a - b), -4, 4, 1e-6),
    "max": (lambda k, d, a, b: k.tiu.max(d, a, b), lambda a, b: np.where(a > b, a, b), -4, 4, 0),
    "min number": (lambda k, d, a, b: k.tiu.min(d, a, 0.5), lambda a, b: np.minimum(a, 0.5), -4, 4, 0),
    "mac": (lambda k, d, a, b: k.tiu.mac(d, a, b), lambda a, b: a * b, -4, 4, 1e-6),
    "mac number": (lambda k, d, a, b: k.tiu.mac(d, a, 3), lambda a, b: a * 3, -4, 4, 1e-6),
    "greater": (lambda k, d, a, b: k.tiu.greater(d, a, b), lambda a, b: (a > b) * 1.0, -4, 4, 0),
    "greater_equal": (lambda k, d, a, b: k.tiu.greater_equal(d, a, 1.0), lambda a, b: (a >= 1) * 1.0, -4, 4, 0),
    "less": (lambda k, d, a, b: k.tiu.less(d, a, b, value=2), lambda a, b: (a < b) * 2.0, -4, 4, 0),
    "less_equal": (lambda k, d, a, b: k.tiu.less_equal(d, a, b), lambda a, b: (a <= b) * 1.0, -4, 4, 0),
    "equal": (lambda k, d, a, b: k.tiu.equal(d, a, a), lambda a, b: a * 0 + 1, -4, 4, 0),
    "not_equal": (lambda k, d, a, b: k.tiu.not_equal(d, a, b), lambda a, b: (a != b) * 1.0, -4, 4, 0),
    "select_greater": (lambda k, d, a, b: k.tiu.select_greater(d, a, b, 1, b), lambda a, b: np.where(a > b, 1, b), -4, 4, 0),
    "select_less": (lambda k, d, a, b: k.tiu.select_less(d, a, 0, a, b), lambda a, b: np.where(a < 0, a, b), -4, 4, 0),
    "select_equal": (lambda k, d, a, b: k.tiu.select_equal(d, a, a, b, 0), lambda a, b: b, -4, 4, 0),
    "abs": (lambda k, d, a, b: k.tiu.abs(d, a), lambda a, b: np.abs(a), -4, 4, 0),
    "neg": (lambda k, d, a, b: k.tiu.neg(d, a), lambda a, b: -a, -4, 4, 0),
    "copy": (lambda k, d, a, b: k.tiu.copy(d, a), lambda a, b: a, -4, 4, 0),
    "relu": (lambda k, d, a, b: k.tiu.relu(d, a), lambda a, b: np.maximum(a, 0), -4, 4, 0),
    "square": (lambda k, d, a, b: k.tiu.square(d, a), lambda a, b: a * a, -4, 4, 1e-6),
    "sign": (lambda k, d, a, b: k.tiu.sign(d, a), lambda a, b: np.sign(a), -4, 4, 0),
    "floor": (lambda k, d, a, b: k.tiu.floor(d, a), lambda a, b: np.floor(a), -4, 4, 0),
    "ceil": (lambda k, d, a, b: k.tiu.ceil(d, a), lambda a, b: np.ceil(a), -4, 4, 0),
    "round": (lambda k, d, a, b: k.tiu.round(d, a), lambda a, b: np.rint(a), -4, 4, 0),
    "fill": (lambda k, d, a, b: k.tiu.fill(d, 2.5), lambda a, b: a * 0 + 2.5, -4, 4, 0),
    "lane_copy": (lambda k, d, a, b: k.tiu.lane_copy(d, a), lambda a, b: a, -4, 4, 0),
    "prelu": (lambda k, d, a, b: k.tiu.prelu(d, a, 0.25), lambda a, b: np.where(a > 0, a, a / 4), -4, 4, 0),
    "reciprocal": (lambda k, d, a, b: k.tiu.reciprocal(d, a), lambda a, b: 1 / a, 0.5, 4, 1e-6),
    "sqrt": (lambda k, d, a, b: k.tiu.sqrt(d, a), lambda a, b: np.sqrt(a), 0.5, 4, 1e-6),
    "rsqrt": (lambda k, d, a, b: k.tiu.rsqrt(d, a), lambda a, b: 1 / np.sqrt(a), 0.5, 4, 1e-6),
    "exp": (lambda k, d, a, b: k.tiu.exp(d, a), lambda a, b: np.exp(a), -4, 4, 2e-6),
    "expm1": (lambda k, d, a, b: k.tiu.expm1(d, a), lambda a, b: np.expm1(a), 0.5, 4, 2e-6),
    "log": (lambda k, d, a, b: k.tiu.log(d, a), lambda a, b: np.log(a), 1.5, 9, 2e-6),
    "log to a base": (lambda k, d, a, b: k.tiu.log(d, a, 10.0), lambda a, b: np.log10(a), 1.5, 9, 2e-6),
    "cot": (lambda k, d, a, b: k.tiu.cot(d, a), lambda a, b: 1 / np.tan(a), 0.5, 1.4, 2e-4),
    "div in 4 steps": (lambda k, d, a, b: k.tiu.div(d, a, b, iterations=4), lambda a, b: a / b, 0.5, 4, 6e-7),
    "div number in 2 steps": (lambda k, d, a, b: k.tiu.div(d, a, 3, iterations=2), lambda a, b: a / 3, 0.5, 4, 2e-5),
    "number div in 1 step": (lambda k, d, a, b: k.tiu.div(d, 3, a, iterations=1), lambda a, b: 3 / a, 0.5, 4, 8e-3),
    "reciprocal in 4 steps": (lambda k, d, a, b: k.tiu.reciprocal(d, a, iterations=4), lambda a, b: 1 / a, 0.5, 4, 5e-7),
    "sqrt in 4 steps": (lambda k, d, a, b: k.tiu.sqrt(d, a, iterations=4), lambda a, b: np.sqrt(a), 0.5, 4, 3e-7),
    "rsqrt in 2 steps": (lambda k, d, a, b: k.tiu.rsqrt(d, a, iterations=2), lambda a, b: 1 / np.sqrt(a), 0.5, 4, 1e-5),
    "log1p": (lambda k, d, a, b: k.tiu.log1p(d, a), lambda a, b: np.log1p(a), 0.5, 9, 2e-6),
    "sin": (lambda k, d, a, b: k.tiu.sin(d, a), lambda a, b: np.sin(a), 0.5, 3, 1e-5),
    "cos": (lambda k, d, a, b: k.tiu.cos(d, a), lambda a, b: np.cos(a), -1, 1, 1e-5),
    "tan": (lambda k, d, a, b: k.tiu.tan(d, a), lambda a, b: np.tan(a), 0.5, 1.4, 1e-4),
    "arcsin": (lambda k, d, a, b: k.tiu.arcsin(d, a), lambda a, b: np.arcsin(a), 0.2, 0.9, 1e-5),
    "arccos": (lambda k, d, a, b: k.tiu.arccos(d, a), lambda a, b: np.arccos(a), 0.2, 0.9, 1e-5),
    "sinh": (lambda k, d, a, b: k.tiu.sinh(d, a), lambda a, b: np.sinh(a), 0.5, 3, 1e-5),
    "cosh": (lambda k, d, a, b: k.tiu.cosh(d, a), lambda a, b: np.cosh(a), -3, 3, 1e-5),
    "tanh": (lambda k, d, a, b: k.tiu.tanh(d, a), lambda a, b: np.tanh(a), 0.5, 3, 1e-5),
    "arcsinh": (lambda k, d, a, b: k.tiu.arcsinh(d, a), lambda a, b: np.arcsinh(a), 0.5, 3, 1e-4),
    "arccosh": (lambda k, d, a, b: k.tiu.arccosh(d, a), lambda a, b: np.arccosh(a), 1.5, 9, 1e-4),
    "arctanh": (lambda k, d, a, b: k.tiu.arctanh(d, a), lambda a, b: np.arctanh(a), 0.2, 0.9, 1e-4),
    "sigmoid": (lambda k, d, a, b: k.tiu.sigmoid(d, a), lambda a, b: 1 / (1 + np.exp(-a)), -4, 4, 1e-5),
    "log_sigmoid": (lambda k, d, a, b: k.tiu.log_sigmoid(d, a), lambda a, b: -np.log1p(np.exp(-a)), -4, 1, 1e-5),
    "silu": (lambda k, d, a, b: k.tiu.silu(d, a), lambda a, b: a / (1 + np.exp(-a)), -4, 4, 1e-5),
    "swish": (lambda k, d, a, b: k.tiu.swish(d, a, 2.0), lambda a, b: a / (1 + np.exp(-2 * a)), -4, 4, 1e-5),
    "softplus": (lambda k, d, a, b: k.tiu.softplus(d, a), lambda a, b: np.log1p(np.exp(a)), -2, 4, 1e-5),
    "softsign": (lambda k, d, a, b: k.tiu.softsign(d, a), lambda a, b: a / (1 + np.abs(a)), -4, 4, 1e-5),
    "gelu": (lambda k, d, a, b: k.tiu.gelu(d, a), lambda a, b: a * (1 + erf(a / math.sqrt(2))) / 2, 0.5, 3, 1e-4),
    "gelu_fast": (lambda k, d, a, b: k.tiu.gelu_fast(d, a), lambda a, b: a * (1 + erf(a / math.sqrt(2))) / 2, 0.5, 3, 2e-3),
    "erf": (lambda k, d, a, b: k.tiu.erf(d, a), lambda a, b: erf(a), 0.5, 3, 1e-4),
    "erfc": (lambda k, d, a, b: k.tiu.erfc(d, a), lambda a, b: 1 - erf(a), -2, 1, 1e-4),
    "elu": (lambda k, d, a, b: k.tiu.elu(d, a, 2.0), lambda a, b: np.where(a > 0, a, 2 * np.expm1(a)), -4, 4, 1e-5),
    "selu": (
        lambda k, d, a, b: k.tiu.selu(d, a),
        lambda a, b: 1.0507009873554805 * np.where(a > 0, a, 1.6732632423543772 * np.expm1(a)),
        -4,
        4,
        1e-5,
    ),
    "mish": (lambda k, d, a, b: k.tiu.mish(d, a), lambda a, b: a * np.tanh(np.log1p(np.exp(a))), 0.5, 4, 1e-5),
    "pow": (lambda k, d, a, b: k.tiu.pow(d, a, b), lambda a, b: a**b, 0.5, 3, 1e-5),
    "pow number": (lambda k, d, a, b: k.tiu.pow(d, a, 2.5), lambda a, b: a**2.5, 0.5, 3, 1e-5),
    "number pow": (lambda k, d, a, b: k.tiu.pow(d, 2.5, a), lambda a, b: 2.5**a, 0.5, 3, 1e-5),
}


@pytest.mark.parametrize("name", CASES)
def test_elementwise(name: str) -> None:
    step, same, low, high, tolerance = CASES[name]
    a, b = random(low, high), random(low, high, seed=1)
    np.testing.assert_allclose(run(step, a, b), np.asarray(same(a, b), np.float64), rtol=tolerance, atol=tolerance)


WHOLE: dict[str, Case] = {
    "add": (lambda k, d, a, b: k.tiu.add(d, a, b), lambda a, b: np.clip(a + b, -128, 127), -128, 127, 0),
    "wraps": (lambda k, d, a, b: k.tiu.mul(d, a, b, saturate=False), lambda a, b: (a * b + 128) % 256 - 128, -128, 127, 0),
    "sub number": (lambda k, d, a, b: k.tiu.sub(d, a, 100), lambda a, b: np.clip(a - 100, -128, 127), -128, 127, 0),
    "number sub": (lambda k, d, a, b: k.tiu.sub(d, 100, a), lambda a, b: np.clip(100 - a, -128, 127), -128, 127, 0),
    "max": (lambda k, d, a, b: k.tiu.max(d, a, b), lambda a, b: np.where(a > b, a, b), -128, 127, 0),
    "bit_and": (lambda k, d, a, b: k.tiu.bit_and(d, a, b), lambda a, b: 1.0 * (a.astype(int) & b.astype(int)), -128, 127, 0),
    "bit_or": (lambda k, d, a, b: k.tiu.bit_or(d, a, 3), lambda a, b: 1.0 * (a.astype(int) | 3), -128, 127, 0),
    "bit_xor": (lambda k, d, a, b: k.tiu.bit_xor(d, a, b), lambda a, b: 1.0 * (a.astype(int) ^ b.astype(int)), -128, 127, 0),
    "bit_not": (lambda k, d, a, b: k.tiu.bit_not(d, a), lambda a, b: 1.0 * ~a.astype(int), -128, 127, 0),
    "arithmetic_shift": (
        lambda k, d, a, b: k.tiu.arithmetic_shift(d, a, -2, rounding=Rounding.DOWN),
        lambda a, b: np.floor(a / 4),
        -128,
        127,
        0,
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_integers(name: str) -> None:
    step, same, low, high, _ = WHOLE[name]
    a, b = np.rint(random(low, high)), np.rint(random(low, high, seed=1))
    np.testing.assert_array_equal(run(step, a, b, tpu.i8), np.asarray(same(a, b), np.float64))


def test_logical_shift() -> None:
    a = np.rint(random(0, 255))
    found = run(lambda k, d, a, b: k.tiu.logical_shift(d, a, -3, rounding=Rounding.DOWN), a, a, tpu.u8)
    np.testing.assert_array_equal(found, np.floor(a / 8))


def test_cast() -> None:
    a = random(-300, 300)
    found = run(lambda k, d, a, b: k.tiu.cast(d, a), a, a, tpu.f32, tpu.i8)
    np.testing.assert_array_equal(found, np.clip(np.rint(a), -128, 127))


@pytest.mark.parametrize("shape", [(2, 66, 3, 1), (2, 66, 1, 5), (1, 66, 3, 5), (1, 66, 1, 1)])
def test_sizes_of_one_are_repeated(shape: tuple[int, ...]) -> None:
    a, b = random(-4, 4), random(-4, 4, 1, shape)
    np.testing.assert_allclose(run(lambda k, d, a, b: k.tiu.mul(d, a, b), a, b), a * b, rtol=1e-6)


def test_boxes_of_buffers() -> None:
    a = random(-4, 4)

    def step(k: tpu.Builder, d: tpu.Tile, a: tpu.Tile, b: tpu.Tile) -> None:
        k.tiu.add(d[:, 3:, 1:, :4], a[:, 3:, 1:, 1:], 1.0)

    wanted = np.zeros(SHAPE)
    wanted[:, 3:, 1:, :4] = a[:, 3:, 1:, 1:] + 1
    np.testing.assert_allclose(run(step, a, a), wanted, rtol=1e-6)


def test_lane_broadcast() -> None:
    a = random(-4, 4, shape=(2, 1, 3, 5))
    found = run(lambda k, d, a, b: k.tiu.lane_broadcast(d, a), a, a, out=(2, 60, 3, 5))
    np.testing.assert_array_equal(found, np.broadcast_to(a, (2, 60, 3, 5)))


def test_wc_transpose() -> None:
    a = random(-4, 4, shape=(1, 40, 1, 30))
    found = run(lambda k, d, a, b: k.tiu.wc_transpose(d, a), a, a, out=(1, 30, 1, 40))
    np.testing.assert_array_equal(found, a.transpose(0, 3, 2, 1))


def test_iota() -> None:
    @tpu.kernel(infer=gives(((1, 5, 1, 100), tpu.i32)))
    def kernel(k: tpu.Builder, out: tpu.Out) -> None:
        a = k.local((1, 5, 1, 100), tpu.i32)
        k.tiu.iota(a, start=3, step=2)
        k.dma.store(out, a)

    np.testing.assert_array_equal(kernel(), np.broadcast_to(3 + 2 * np.arange(100), (1, 5, 1, 100)))


@pytest.mark.parametrize(("axes", "out"), [("w", (2, 66, 3, 1)), ("h", (2, 66, 1, 5)), ("hw", (2, 66, 1, 1))])
def test_reductions(axes: Literal["h", "w", "hw"], out: tuple[int, ...]) -> None:
    a = random(-4, 4)
    places = tuple("nchw".index(axis) for axis in axes)
    found = run(lambda k, d, a, b: k.tiu.reduce_max(d, a, axes), a, a, out=out)
    np.testing.assert_array_equal(found, a.max(places, keepdims=True))
    found = run(lambda k, d, a, b: k.tiu.reduce_sum(d, a, axes, scale=0.5), a, a, out=out)
    np.testing.assert_allclose(found, a.sum(places, keepdims=True) / 2, rtol=1e-5, atol=1e-5)


def test_pooling() -> None:
    a = random(-4, 4)
    windows = np.lib.stride_tricks.sliding_window_view(a, (2, 2), (2, 3))[:, :, :, ::2]
    out = windows.shape[:4]
    found = run(lambda k, d, a, b: k.tiu.max_pool2d(d, a, (2, 2), stride=(1, 2)), a, a, out=out)
    np.testing.assert_array_equal(found, windows.max((4, 5)))
    found = run(lambda k, d, a, b: k.tiu.avg_pool2d(d, a, (2, 2), 0.25, stride=(1, 2)), a, a, out=out)
    np.testing.assert_allclose(found, windows.mean((4, 5)), rtol=1e-5, atol=1e-6)


def test_per_channel() -> None:
    a, b = random(-4, 4), random(-4, 4, 1, (66,))

    def kernel_of(name: str) -> tpu.Kernel:
        @tpu.kernel
        def kernel(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out) -> None:
            one, two, three = k.local(SHAPE, tpu.f32), k.local((1, 66, 1, 1), tpu.f32, layout=Layout.COMPACT), k.local(SHAPE, tpu.f32)
            k.dma.load(one, x)
            k.dma.load(two, y)
            (k.tiu.scale if name == "scale" else k.tiu.bias)(three, one, two)
            k.dma.store(out, three)

        return kernel

    arrays = a.astype(np.float32), b.astype(np.float32)
    np.testing.assert_allclose(kernel_of("scale")(*arrays), a * b[:, None, None], rtol=1e-6)
    np.testing.assert_allclose(kernel_of("bias")(*arrays), a + b[:, None, None], rtol=1e-5, atol=1e-6)


def test_depthwise2d() -> None:
    a, weight = random(-1, 1), random(-1, 1, 1, (1, 66, 3, 3))

    @tpu.kernel(infer=gives(((2, 66, 3, 5), tpu.f32)))
    def kernel(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out) -> None:
        one, two, three = k.local(SHAPE, tpu.f32), k.local((1, 66, 3, 3), tpu.f32, layout=Layout.COMPACT), k.local(SHAPE, tpu.f32)
        k.dma.load(one, x)
        k.dma.load(two, y)
        k.tiu.depthwise2d(three, one, two, padding=(1, 1, 1, 1))
        k.dma.store(out, three)

    padded = np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    wanted = np.einsum("nchwij,cij->nchw", windows, weight[0])
    np.testing.assert_allclose(kernel(a.astype(np.float32), weight.astype(np.float32)), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [tpu.f32, tpu.i8])
def test_copies(dtype: Dtype) -> None:
    @tpu.kernel(infer=gives(((3, 2, 4, 5), dtype), ((2, 5, 4, 3), dtype), ((2, 3, 4, 5), dtype), ((2, 3, 4, 5), dtype)))
    def kernel(k: tpu.Builder, x: tpu.In, nc: tpu.Out, cw: tpu.Out, filled: tpu.Out, moved: tpu.Out) -> None:
        a, b, c = k.local(x.shape, dtype), k.local((3, 2, 4, 5), dtype), k.local(x.shape, dtype)
        k.dma.load(a, x)
        k.dma.transpose(b, a)
        k.dma.store(nc, b)
        k.dma.transpose(cw, x, "cw")
        k.dma.fill(filled, 3)
        k.dma.fill(filled[1:], 4)
        k.dma.copy(c, a)
        k.dma.copy(moved, c)

    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 4, 5)).astype(dtype.numpy)
    found = kernel.run(x.astype(dtype.numpy))
    np.testing.assert_array_equal(found["nc"], x.transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(found["cw"], x.transpose(0, 3, 2, 1))
    np.testing.assert_array_equal(found["filled"], np.stack([np.full((3, 4, 5), 3), np.full((3, 4, 5), 4)]).astype(dtype.numpy))
    np.testing.assert_array_equal(found["moved"], x)


def test_broadcast_of_a_channel() -> None:
    @tpu.kernel(infer=gives(((2, 50, 4, 5), tpu.f32)))
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a = k.local((2, 50, 4, 5), tpu.f32)
        k.dma.broadcast(a, x)
        k.dma.store(out, a)

    x = random(-1, 1, shape=(2, 1, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(kernel(x), np.broadcast_to(x, (2, 50, 4, 5)))


def test_transposed_matrices() -> None:
    left, right = random(-1, 1, 0, (20, 33)), random(-1, 1, 1, (20, 48))

    @tpu.kernel(infer=gives(((33, 48), tpu.f32)))
    def first(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out) -> None:
        a, b, c = k.matrix(20, 33, tpu.f32), k.matrix(20, 48, tpu.f32), k.matrix(33, 48, tpu.f32)
        k.dma.load(a, x)
        k.dma.load(b, y)
        k.tiu.matmul(c, a, b, transpose_left=True)
        k.dma.store(out, c)

    np.testing.assert_allclose(first(left.astype(np.float32), right.astype(np.float32)), left.T @ right, rtol=1e-4, atol=1e-4)

    @tpu.kernel(infer=gives(((33, 48), tpu.f32)))
    def second(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out) -> None:
        a, b, c = k.matrix(33, 20, tpu.f16), k.matrix(48, 20, tpu.f16), k.matrix(33, 48, tpu.f32, over_lanes="rows")
        k.dma.load(a, x)
        k.dma.load(b, y)
        k.tiu.matmul(c, a, b, transpose_right=True)
        k.dma.store(out, c)

    halves = left.T.astype(np.float16), right.T.astype(np.float16)
    np.testing.assert_allclose(second(*halves), halves[0].astype(np.float64) @ halves[1].T.astype(np.float64), rtol=1e-3, atol=1e-3)


def test_cw_transpose() -> None:
    @tpu.kernel(infer=gives(((1, 30, 2, 40), tpu.f32)))
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, tpu.f32), k.local((1, 30, 2, 40), tpu.f32, layout=Layout.LINE_ALIGNED)
        k.dma.load(a, x)
        k.tiu.cw_transpose(b, a)
        k.dma.store(out, b)

    x = random(-1, 1, shape=(1, 40, 2, 30)).astype(np.float32)
    np.testing.assert_array_equal(kernel(x), x.transpose(0, 3, 2, 1))


def test_every_operation_is_tested() -> None:
    names = {f"{group}.{name}" for group, ops in (("tiu", TiuOps), ("dma", DmaOps)) for name in dir(ops) if not name.startswith("_")}
    files = ("test_operations.py", "test_convolution.py", "test_matrices.py", "test_gathers.py", "test_numbers.py", "kernels.py")
    text = "".join((Path(__file__).parent / file).read_text(encoding="utf-8") for file in files)
    assert len(names) > 110
    assert {name for name in names if not re.search(rf"k\.{name}\b", text)} == set()
