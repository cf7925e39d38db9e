"""What convolutions take over from their neighbours: zeros around their input, factors and summands of their channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bmlang as bm
from bmlang.compiler.passes.dead import dead_code
from bmlang.compiler.passes.pads import fold_pads
from bmlang.compiler.passes.scales import fold_scales
from bmlang.compiler.pipeline import prepared
from bmlang.graph import Graph, verify
from bmlang.layers.reference import run_reference
from tests.support.effort import examples

Build = Callable[[bm.Tensor], bm.Tensor]
RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.standard_normal((2, 6, 7, 8), np.float32)


def traced(function: Callable[[bm.Tensor], object]) -> Graph:
    def net(x: bm.Tensor) -> object:
        return function(x)

    return bm.function(net).traced({"x": IMAGE.shape})


def ops(graph: Graph) -> list[str]:
    return [node.op.removeprefix("bm::") for node in graph.nodes]


def result(graph: Graph) -> np.ndarray:
    return run_reference(graph, {"x": IMAGE})[graph.outputs[0]]


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape, np.float32)


# ------------------------------------------------------------------ zeros


@settings(max_examples=examples(10), deadline=None)
@given(
    before=st.tuples(*[st.integers(0, 3)] * 2),
    after=st.tuples(*[st.integers(0, 3)] * 2),
    own=st.tuples(*[st.integers(0, 2)] * 4),
    groups=st.sampled_from([1, 2, 6]),
)
def test_zeros_around_an_image_become_padding(
    before: tuple[int, int], after: tuple[int, int], own: tuple[int, int, int, int], groups: int
) -> None:
    weight = numbers(12, 6 // groups, 3, 3)

    def padded(x: bm.Tensor) -> bm.Tensor:
        return bm.conv(bm.pad(x, (0, 0, *before), (0, 0, *after)), weight, pad=own, groups=groups)

    graph = traced(padded)
    changed = dead_code(fold_pads(graph))
    verify(changed)
    assert "pad" not in ops(changed)
    np.testing.assert_array_equal(result(changed), result(graph))


PADDINGS: Mapping[str, Build] = {
    "other numbers": lambda x: bm.pad(x, (0, 0, 1, 1), (0, 0, 1, 1), value=1.0),
    "images": lambda x: bm.pad(x, (1, 0, 1, 1), (0, 0, 1, 1)),
    "channels": lambda x: bm.pad(x[:, :5], (0, 0, 1, 1), (0, 1, 1, 1)),
}


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
def test_what_is_no_padding_stays(padding: Build) -> None:
    weight = numbers(4, 6, 3, 3)
    assert ops(dead_code(fold_pads(traced(lambda x: bm.conv(padding(x), weight)))))[-2:] == ["pad", "conv"]


def test_a_padded_image_that_others_take_stays_for_them() -> None:
    weight = numbers(6, 6, 3, 3)

    def two(x: bm.Tensor) -> bm.Tensor:
        padded = bm.pad(x, (0, 0, 1, 1), (0, 0, 1, 1))
        return bm.conv(padded, weight, pad=1) + padded

    graph = traced(two)
    changed = dead_code(fold_pads(graph))
    assert ops(changed) == ["pad", "conv", "add"] and changed.nodes[1].inputs[0] == "x"
    np.testing.assert_array_equal(result(changed), result(graph))


# ------------------------------------------------------------------ factors and summands

WEIGHT, BIAS = numbers(10, 6, 3, 3), numbers(10)
UP, CHANNELS = numbers(6, 10, 2, 2), numbers(1, 10, 1, 1)


STATISTICS = (numbers(10), RANDOM.uniform(0.5, 2, 10).astype(np.float32), numbers(10), numbers(10))


def normalised(x: bm.Tensor) -> bm.Tensor:
    return bm.relu(bm.batch_norm(bm.conv(x, WEIGHT, pad=1), *STATISTICS))


LEFT: Mapping[str, tuple[Build, list[str]]] = {
    "normalisation": (normalised, ["conv", "relu"]),
    "chain": (lambda x: bm.conv(x, WEIGHT, BIAS) * CHANNELS - CHANNELS + 0.5, ["conv"]),
    "groups": (lambda x: CHANNELS * bm.conv(x, WEIGHT[:, :3], groups=2) + CHANNELS[0], ["conv"]),
    "deconv": (lambda x: bm.deconv(x, UP, stride=2) * CHANNELS, ["deconv"]),
    "deconv groups": (lambda x: bm.deconv(x, UP[:, :5], groups=2) * CHANNELS, ["deconv", "mul"]),
    "from": (lambda x: CHANNELS - bm.conv(x, WEIGHT), ["conv", "sub"]),
    "places": (lambda x: bm.conv(x, WEIGHT) * numbers(1, 10, 5, 1), ["conv", "mul"]),
    "rank": (lambda x: bm.conv(x, WEIGHT) * numbers(3, 1, 1, 1, 1), ["conv", "mul"]),
    "repeated": (lambda x: bm.conv(x, WEIGHT[:1]) * CHANNELS, ["conv", "mul"]),
    "unknown weights": (lambda x: bm.conv(x, bm.reshape(x[:1, :, :3, :3], (1, 6, 3, 3))) * 2.0, ["slice", "conv", "mul"]),
}
"""Functions, and the operators that are left of them."""


@pytest.mark.parametrize(("function", "left"), LEFT.values(), ids=LEFT)
def test_channels(function: Build, left: list[str]) -> None:
    graph = traced(function)
    changed = dead_code(fold_scales(graph, bm.f32))
    verify(changed)
    assert [op for op in ops(changed) if op not in ("reshape", "copy")] == left
    np.testing.assert_allclose(result(changed), result(graph), rtol=1e-5, atol=1e-5)


def test_results_that_others_take_are_left_alone() -> None:
    def two(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        made = bm.conv(x, WEIGHT)
        return made, made * CHANNELS

    assert ops(dead_code(fold_scales(traced(two), bm.f32))) == ["conv", "mul"]


def test_the_same_weights_twice_are_changed_for_one() -> None:
    def two(x: bm.Tensor) -> bm.Tensor:
        return bm.conv(x, WEIGHT) * CHANNELS + bm.exp(bm.conv(x, WEIGHT))

    graph = traced(two)
    np.testing.assert_allclose(result(fold_scales(graph, bm.f32)), result(graph), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("factor", "mode", "folded"), [(1e6, bm.f32, True), (1e6, bm.f16, False), (1e39, bm.f32, False), (1e6, bm.bf16, True)]
)
def test_weights_stay_in_the_range_of_the_mode(factor: float, mode: bm.Dtype, folded: bool) -> None:
    large = (np.ones(CHANNELS.shape) * factor).astype(np.float32) if factor < 1e38 else np.full(CHANNELS.shape, 3e38, np.float32)
    graph = fold_scales(traced(lambda x: bm.conv(x, WEIGHT * 4) * large), mode)
    assert ops(dead_code(graph)) == (["conv"] if folded else ["conv", "mul"])


def test_levels() -> None:
    """Level 2 folds, 1 does not, 0 leaves each operator by itself; all of them compute the same."""
    function = bm.function(normalised)
    graph = function.traced({"x": IMAGE.shape})
    assert {opt: ops(prepared(graph, bm.f32, opt=opt)) for opt in (1, 2)} == {1: ["conv", "mul", "add", "relu"], 2: ["conv", "relu"]}
    models = [bm.compile(function, stages=[{"x": IMAGE.shape}], opt=opt) for opt in (0, 1, 2)]
    cycles = [model.stages[0].timeline().cycles for model in models]
    assert cycles[0] > cycles[1] > cycles[2]
    first, *others = [cast("NDArray[np.float32]", model.run(x=IMAGE)["output"]) for model in models]
    np.testing.assert_array_equal(first, others[0])
    np.testing.assert_allclose(first, others[1], rtol=1e-4, atol=1e-4)
