"""Convolutions and their transposes: every kind that is computed in its own way, in all modes, and cut into pieces."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bmlang as bm
from bmlang.graph.graph import Array, Attribute
from bmlang.layers.errors import ShapeError
from bmlang.layers.registry import layer_of
from tests.support.agreement import agree, numbers
from tests.support.effort import examples

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 5, 9, 11), (7, 5, 3, 3), {"pad": 1}),
    "more than the lanes": ((2, 65, 5, 7), (70, 65, 2, 3), {"stride": (2, 1), "dilation": (1, 2)}),
    "depthwise": ((2, 70, 9, 11), (70, 1, 3, 3), {"pad": 1, "groups": 70}),
    "depthwise, strides": ((1, 66, 9, 11), (66, 1, 1, 5), {"pad": (0, 2, 1, 0), "stride": 2, "groups": 66}),
    "groups that share the lanes": ((1, 128, 5, 6), (128, 4, 3, 3), {"pad": 1, "groups": 32}),
    "groups that do not": ((1, 30, 5, 6), (50, 3, 3, 3), {"groups": 10}),
    "groups wider than the lanes": ((1, 6, 5, 6), (140, 3, 1, 1), {"groups": 2}),
    "several results of each channel": ((1, 10, 5, 6), (30, 1, 3, 3), {"groups": 10}),
    "stride 16, windows apart": ((1, 3, 33, 35), (8, 3, 16, 15), {"stride": 16}),
    "stride 17, windows that overlap": ((1, 2, 25, 23), (3, 2, 2, 2), {"stride": (17, 1), "dilation": (19, 1), "pad": 1}),
    "dilation 16": ((1, 4, 40, 41), (8, 2, 3, 3), {"dilation": 16, "groups": 2}),
    "padding 20": ((1, 4, 6, 7), (8, 4, 3, 3), {"pad": 20}),
    "windows in the padding": ((1, 4, 6, 7), (8, 4, 1, 1), {"pad": 1}),
    "weights larger than a lane": ((1, 4000, 3, 3), (8, 4000, 3, 3), {}),
}
TRANSPOSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "stride 2": ((2, 5, 6, 7), (5, 9, 3, 3), {"stride": 2, "pad": 1, "output_padding": 1}),
    "stride 1": ((2, 5, 6, 7), (5, 9, 3, 2), {"dilation": (2, 1)}),
    "kernel below stride": ((2, 5, 6, 7), (5, 9, 2, 2), {"stride": 3, "output_padding": (2, 0)}),
    "groups": ((1, 6, 5, 7), (6, 3, 4, 4), {"stride": 2, "groups": 2, "pad": 1}),
    "depthwise": ((1, 70, 5, 7), (70, 1, 4, 4), {"stride": 2, "groups": 70, "pad": 1}),
    "stride 16": ((1, 3, 3, 4), (3, 5, 16, 16), {"stride": 16}),
    "padding above the kernel": ((1, 3, 6, 5), (3, 5, 2, 2), {"stride": 2, "pad": 2}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str) -> None:
    shape, kernel, attrs = CONVOLUTIONS[name]
    weight, bias = numbers(*kernel, seed=1), numbers(kernel[0], seed=2)

    @bm.function
    def convolved(x: bm.Tensor) -> bm.Tensor:
        return bm.relu(bm.conv(x, weight, bias, **attrs))

    agree(convolved, x=numbers(*shape))


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions(name: str) -> None:
    shape, kernel, attrs = TRANSPOSED[name]
    weight, bias = numbers(*kernel, seed=1), numbers(kernel[1] * attrs.get("groups", 1), seed=2)

    @bm.function
    def deconvolved(x: bm.Tensor) -> bm.Tensor:
        return bm.deconv(x, weight, bias, **attrs)

    agree(deconvolved, x=numbers(*shape))


@pytest.mark.parametrize("name", ["plain", "more than the lanes", "depthwise", "groups that do not"])
def test_weights_and_bias_that_the_caller_gives(name: str) -> None:
    shape, kernel, attrs = CONVOLUTIONS[name]

    @bm.function
    def convolved(x: bm.Tensor, weight: bm.Tensor, bias: bm.Tensor) -> bm.Tensor:
        return bm.conv(x, weight, bias, **attrs)

    agree(convolved, x=numbers(*shape), weight=numbers(*kernel, seed=1), bias=numbers(kernel[0], seed=2))


def test_transposed_kernels_that_the_caller_gives() -> None:
    @bm.function
    def deconvolved(x: bm.Tensor, weight: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.deconv(x, weight, stride=2, pad=1), bm.deconv(x, weight, groups=1)

    agree(deconvolved, x=numbers(1, 6, 5, 7), weight=numbers(6, 3, 3, 2, seed=1))


@pytest.mark.parametrize(("groups", "transposed"), [(1, False), (1, True), (96, False), (96, True), (24, False)])
def test_pieces(groups: int, transposed: bool) -> None:
    """Too large for local memory: rows are cut, also between inserted zeros."""
    weight = numbers(96, 96 // groups, 3, 3, seed=1)

    @bm.function
    def whole(x: bm.Tensor) -> bm.Tensor:
        return bm.deconv(x, weight, stride=2, groups=groups) if transposed else bm.conv(x, weight, pad=1, groups=groups)

    side = 70 if transposed else 150
    stage = bm.compile(whole, stages=[{"x": (1, 96, side, side)}]).stages[0]
    assert len(stage.emission.nodes) >= 10
    agree(whole, modes=("f32",), x=numbers(1, 96, side, side))


# ---------------------------------------------------------------------- the references


Wide = NDArray[np.float64]


def reference(op: str, x: Array, weight: Array, attrs: dict[str, Attribute]) -> Wide:
    return np.asarray(layer_of(op).reference([x, weight, None], attrs), np.float64)


def by_hand(x: Array, weight: Array, stride: int, pad: int, dilation: int, groups: int) -> Wide:
    """A convolution, as its definition says it."""
    (n, _, h, w), (oc, ic, kh, kw) = x.shape, weight.shape
    oh, ow = ((size + 2 * pad - (k - 1) * dilation - 1) // stride + 1 for size, k in ((h, kh), (w, kw)))
    found = np.zeros((n, oc, oh, ow))
    for b, o, r, s, i, p, q in product(*map(range, (n, oc, oh, ow, ic, kh, kw))):
        row, column = r * stride - pad + p * dilation, s * stride - pad + q * dilation
        if 0 <= row < h and 0 <= column < w:
            found[b, o, r, s] += float(x[b, o // (oc // groups) * ic + i, row, column]) * float(weight[o, i, p, q])
    return found


def transposed_by_hand(x: Array, weight: Array, stride: int, pad: int, dilation: int, groups: int, more: int) -> Wide:
    """A transposed convolution, as its definition says it."""
    (n, ic, h, w), (_, each, kh, kw) = x.shape, weight.shape
    oh, ow = ((size - 1) * stride + (k - 1) * dilation + 1 + more - 2 * pad for size, k in ((h, kh), (w, kw)))
    found = np.zeros((n, each * groups, oh, ow))
    for b, i, r, s, o, p, q in product(*map(range, (n, ic, h, w, each, kh, kw))):
        row, column = r * stride - pad + p * dilation, s * stride - pad + q * dilation
        if 0 <= row < oh and 0 <= column < ow:
            found[b, i // (ic // groups) * each + o, row, column] += float(x[b, i, r, s]) * float(weight[i, o, p, q])
    return found


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2), st.integers(0, 1))
def test_references(groups: int, ic: int, oc: int, stride: int, pad: int, dilation: int, more: int) -> None:
    x = numbers(2, groups * ic, 5, 6)
    attrs: dict[str, Any] = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
    weight = numbers(groups * oc, ic, 3, 2, seed=1)
    found = reference("bm::conv", x, weight, {**attrs, "insert": 0})
    np.testing.assert_allclose(found, by_hand(x, weight, stride, pad, dilation, groups), atol=1e-9)
    weight = numbers(groups * ic, oc, 3, 2, seed=1)
    found = reference("bm::deconv", x, weight, {**attrs, "output_padding": more})
    np.testing.assert_allclose(found, transposed_by_hand(x, weight, stride, pad, dilation, groups, more), atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "kernel", "attrs"),
    [
        ((1, 4, 5, 5), (4, 3, 3, 3), {}),
        ((1, 4, 5, 5), (4, 2, 3, 3), {"groups": 3}),
        ((4, 5, 5), (4, 4, 3, 3), {}),
        ((1, 4, 2, 2), (4, 4, 3, 3), {}),
    ],
)
def test_shapes_that_do_not_fit(shape: tuple[int, ...], kernel: tuple[int, ...], attrs: dict[str, Any]) -> None:
    @bm.function
    def convolved(x: bm.Tensor) -> bm.Tensor:
        return bm.conv(x, numbers(*kernel), **attrs)

    with pytest.raises(ShapeError):
        convolved.traced({"x": shape})


@pytest.mark.parametrize(("kernel", "attrs"), [((3, 4, 3, 3), {}), ((4, 4, 3, 3), {"pad": 5}), ((4, 4, 3, 3), {"groups": 3})])
def test_transposed_shapes_that_do_not_fit(kernel: tuple[int, ...], attrs: dict[str, Any]) -> None:
    @bm.function
    def deconvolved(x: bm.Tensor) -> bm.Tensor:
        return bm.deconv(x, numbers(*kernel), **attrs)

    with pytest.raises(ShapeError):
        deconvolved.traced({"x": (1, 4, 3, 3)})


def test_sums_in_parts_are_rounded_once() -> None:
    """The halves of what is added up are large and cancel: rounded to f16, each would be off by 0.01."""
    random, half = np.random.default_rng(1), 16500
    a = np.tile(random.uniform(-1, 1, (3, half)).astype(np.float16), 2)
    b = random.uniform(-1, 1, (half, 5)).astype(np.float16)
    b = np.concatenate([b, -b + random.uniform(-0.01, 0.01, b.shape).astype(np.float16)])
    wanted, columns = a.astype(np.float64) @ b.astype(np.float64), np.ascontiguousarray(b.T)

    @bm.function
    def products(a: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.matmul(a, b), bm.conv(bm.reshape(a, (3, 2 * half, 1, 1)), columns.reshape(5, 2 * half, 1, 1))

    for found in products.run({"a": a}).values():
        np.testing.assert_allclose(found.astype(np.float64).reshape(3, 5), wanted, rtol=2**-11, atol=1e-3)


def test_few_input_channels_are_convolved_in_f32() -> None:
    """What f16 would take three quarters more cycles for."""
    weight = numbers(64, 3, 7, 7, seed=1)

    @bm.function
    def stem(x: bm.Tensor) -> bm.Tensor:
        return bm.relu(bm.conv(x, weight, stride=2, pad=3))

    cycles = {mode: bm.compile(stem, stages=[{"x": (1, 3, 64, 64)}], mode=mode).stages[0].timeline().cycles for mode in ("f32", "f16")}
    assert cycles["f16"] < 1.2 * cycles["f32"]


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_groups_of_few_channels(data: st.DataObject) -> None:
    draw = data.draw
    ic, oc, taps = draw(st.integers(1, 6)), draw(st.sampled_from((1, 2, 3, 4, 8))), draw(st.sampled_from((1, 2, 3)))
    groups, stride, pad = draw(st.integers(2, 40)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
    weight, bias, x = numbers(groups * oc, ic, taps, 3, seed=1), numbers(groups * oc, seed=2), numbers(2, groups * ic, 5, 6)

    @bm.function
    def convolved(x: bm.Tensor) -> bm.Tensor:
        return bm.conv(x, weight, bias, stride=stride, pad=pad, dilation=(1, 2), groups=groups)

    agree(convolved, modes=("f32", "f16"), x=x)


@pytest.mark.parametrize(
    ("shape", "kernel", "attrs", "mode", "cycles"),
    [
        pytest.param((1, 128, 56, 56), (128, 4, 3, 3), {"pad": 1, "groups": 32}, "f32", 88226, id="few of each group"),  # 231329 with zeros
        pytest.param((1, 48, 20, 20), (48, 2, 5, 5), {"pad": 2, "groups": 24}, "f32", 3791, id="two of each group"),  # 36373
        pytest.param((1, 240, 28, 28), (240, 80, 1, 1), {"groups": 3}, "f16", 33576, id="groups across lanes"),  # 62304 one after the other
    ],
)
def test_cycles_of_groups(shape: tuple[int, ...], kernel: tuple[int, ...], attrs: dict[str, Any], mode: str, cycles: int) -> None:
    weight = numbers(*kernel, seed=1)

    @bm.function
    def convolved(x: bm.Tensor) -> bm.Tensor:
        return bm.conv(x, weight, **attrs)

    assert bm.compile(convolved, stages=[{"x": shape}], mode=mode).stages[0].timeline().cycles == pytest.approx(cycles, rel=0.1)


def test_infinite_groups() -> None:
    """Groups that are computed one channel at a time know nothing of each other."""
    weight, x = numbers(64, 4, 3, 3, seed=1), numbers(1, 64, 5, 6)
    x[0, :4] = np.inf

    @bm.function
    def convolved(x: bm.Tensor) -> bm.Tensor:
        return bm.conv(x, weight, groups=16)

    (found,) = convolved.run({"x": x}).values()
    assert not np.isfinite(found[0, :4]).any() and np.isfinite(found[0, 4:]).all()
