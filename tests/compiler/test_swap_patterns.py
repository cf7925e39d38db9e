"""Swaps as exporters write them: how many are left, what that spares, and the same results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

import bmlang as bm
from bmlang.compiler.passes.swaps import fewer_swaps
from bmlang.compiler.pipeline import PASSES, prepared
from bmlang.graph import Graph
from bmlang.layers.tensor import apply

RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> NDArray[np.float32]:
    return RANDOM.standard_normal(shape, np.float32) * np.float32(0.1)


KERNEL, DEPTHWISE, CHANNELS = numbers(64, 64, 3, 3), numbers(64, 1, 3, 3), numbers(64)
BOXES, PROJECTIONS = numbers(24, 64, 1, 1), numbers(4, 64, 64)


def conv(x: bm.Tensor) -> bm.Tensor:
    """A convolution of channels that come last."""
    return bm.permute(bm.conv(bm.permute(x, (0, 3, 1, 2)), KERNEL, pad=1), (0, 2, 3, 1))


def channels_last(x: bm.Tensor) -> bm.Tensor:
    for _ in range(3):
        x = bm.relu(conv(x) * CHANNELS + CHANNELS)
    return x


def residual(x: bm.Tensor) -> bm.Tensor:
    x = bm.relu(conv(x) + CHANNELS)
    for _ in range(2):
        x = bm.relu(conv(bm.relu(conv(x) + CHANNELS)) + x)
    return x


def padded_and_joined(x: bm.Tensor) -> bm.Tensor:
    x = bm.pad(bm.relu(conv(x)), (0, 1, 1, 0), (0, 1, 1, 0))
    return bm.concat([conv(x), bm.slice(conv(x), (0, 0, 0, 0), (1, 16, 16, 32))], 3)


def squeezed(x: bm.Tensor) -> bm.Tensor:
    x = conv(x)
    means = bm.reshape(bm.reduce_mean(x, (1, 2), keepdims=True), (1, 64))
    return conv(x * bm.reshape(bm.sigmoid(bm.matmul(means, PROJECTIONS[0])), (1, 1, 1, 64)))


def shuffled(x: bm.Tensor) -> bm.Tensor:
    x = bm.relu(bm.conv(x, KERNEL, CHANNELS, pad=1))
    x = bm.reshape(bm.permute(bm.reshape(x, (1, 4, 16, 14, 14)), (0, 2, 1, 3, 4)), (1, 64, 14, 14))
    return bm.conv(bm.conv(x, DEPTHWISE, pad=1, groups=64), KERNEL, pad=1)


def detector(x: bm.Tensor) -> bm.Tensor:
    def boxes(x: bm.Tensor) -> bm.Tensor:
        return bm.reshape(bm.permute(bm.conv(x, BOXES), (0, 2, 3, 1)), (1, -1, 4))

    return bm.sigmoid(bm.concat([boxes(x), boxes(bm.conv(x, KERNEL, pad=1, stride=2))], 1))


def attention(x: bm.Tensor) -> bm.Tensor:
    def heads(part: int) -> bm.Tensor:
        return bm.permute(bm.reshape(bm.matmul(x, PROJECTIONS[part], CHANNELS), (1, 32, 4, 16)), (0, 2, 1, 3))

    query, key, value = (heads(part) for part in range(3))
    weights = bm.softmax(bm.matmul(query, bm.permute(key, (0, 1, 3, 2))) * 0.25)
    return bm.matmul(bm.reshape(bm.permute(bm.matmul(weights, value), (0, 2, 1, 3)), (1, 32, 64)), PROJECTIONS[3]) + x


def volumes(x: bm.Tensor) -> bm.Tensor:
    weight = np.ones((4, 4, 3, 3, 3), np.float32)
    return bm.conv3d(bm.relu(bm.conv3d(x, weight, pad=1)), weight, pad=1)


Pattern = tuple[Callable[[bm.Tensor], bm.Tensor], tuple[int, ...], int, int, float]
PATTERNS: Mapping[str, Pattern] = {
    "channels last": (channels_last, (1, 14, 14, 64), 6, 2, 0.85),
    "residual": (residual, (1, 14, 14, 64), 10, 2, 0.7),
    "padded and joined": (padded_and_joined, (1, 14, 14, 64), 4, 2, 0.9),
    "squeezed": (squeezed, (1, 14, 14, 64), 4, 2, 0.6),
    "shuffled": (shuffled, (1, 64, 14, 14), 1, 0, 0.97),
    "detector": (detector, (1, 64, 16, 16), 2, 2, 0.97),
    "attention": (attention, (1, 32, 64), 5, 4, 0.97),
    "volumes": (volumes, (1, 4, 6, 14, 14), 4, 2, 0.99),
}
"""Function, shape, swaps of all layers, those that are left, and the cycles with fewer swaps over those without the passes, at most."""


def ops(graph: Graph) -> list[str]:
    return [node.op.removeprefix("bm::") for node in graph.nodes]


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_patterns(pattern: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    function, shape, before, after, ratio = pattern

    def net(x: bm.Tensor) -> object:
        return function(x)

    traced = bm.function(net)
    assert ops(prepared(traced.traced({"x": shape}), bm.f32, opt=0)).count("swap") == before
    model = bm.compile(traced, stages=[{"x": shape}])
    assert ops(model.stages[0].graph).count("swap") <= after
    x = RANDOM.standard_normal(shape, np.float32)
    found = cast("NDArray[np.float32]", model.run(x=x)["output"])
    wanted = cast("NDArray[np.float32]", traced.reference(x=x)["output"])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    monkeypatch.setattr("bmlang.compiler.pipeline.PASSES", [one for one in PASSES if not one.name.startswith("swaps")])
    plain = bm.compile(traced, stages=[{"x": shape}])
    assert model.stages[0].timeline().cycles <= ratio * plain.stages[0].timeline().cycles


def test_a_function_without_swaps_is_left_alone() -> None:
    def net(x: bm.Tensor) -> object:
        return bm.relu(bm.reshape(x, (3, 4)))

    graph = bm.function(net).traced({"x": (12,)})
    assert fewer_swaps(graph) is graph


def test_a_swap_that_moves_nothing_is_a_reshape() -> None:
    def net(x: bm.Tensor) -> object:
        return bm.relu(apply("bm::swap", x, sizes=(2, 1, 6, 1), shape=(2, 6)))

    assert ops(fewer_swaps(bm.function(net).traced({"x": (2, 1, 6)}))) == ["reshape", "relu"]


def test_sums_change_their_order_from_the_second_level_on() -> None:
    def net(x: bm.Tensor) -> object:
        return bm.reduce_sum(bm.permute(bm.exp(x), (0, 2, 1)), 1)

    graph = bm.function(net).traced({"x": (8, 40, 70)})
    assert {opt: ops(prepared(graph, bm.f32, opt=opt)).count("swap") for opt in (0, 1, 2)} == {0: 1, 1: 1, 2: 0}
