"""Operators along a dimension: long rows, and arguments that do not fit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.agreement import agree, numbers
from tests.support.operators.base import Reals

LONG = 100_003
"""A prime number of elements that no lane has room for."""
REDUCED: dict[str, tuple[Callable[[bm.Tensor], bm.Tensor], Callable[[Reals], Array]]] = {
    "max": (lambda x: bm.reduce_max(x, 1), lambda x: x.max(1)),
    "min": (lambda x: bm.reduce_min(x, 1, keepdims=True), lambda x: x.min(1, keepdims=True)),
    "sum": (lambda x: bm.reduce_sum(x, 1), lambda x: x.sum(1)),
    "mean": (lambda x: bm.reduce_mean(x, 1), lambda x: x.mean(1)),
    "argmax": (lambda x: bm.argmax(x, 1), lambda x: np.argmax(x, 1)),
}


@pytest.mark.parametrize("name", REDUCED)
@pytest.mark.parametrize("shape", [(2, LONG), (1, 1111, 70)])
def test_long_rows_are_reduced_in_steps(name: str, shape: tuple[int, ...]) -> None:
    reduce, wanted = REDUCED[name]

    @bm.function
    def reduced(x: bm.Tensor) -> bm.Tensor:
        return reduce(x)

    x = numbers(*shape)
    np.testing.assert_allclose(
        reduced(x), np.asarray(wanted(x.astype(np.float64)), np.float64), rtol=1e-4, atol=1e-3 if name == "sum" else 1e-6
    )


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("shape", [(1, 130, 7, 7), (3, 64, 5, 1), (2, 70, 1, 9), (1, 3, 4, 8), (2, 3, 4, 8)])
def test_images_are_reduced_where_they_were_made(kind: str, shape: tuple[int, int, int, int]) -> None:
    """The same bits as with each operator by itself, and where channels fill the lanes, nothing but x and the result is moved."""
    weight = numbers(shape[1], shape[1], 1, 1, seed=2)

    @bm.function
    def reduced(x: bm.Tensor) -> bm.Tensor:
        return getattr(bm, f"reduce_{kind}")(bm.relu(bm.conv(x, weight)), (2, 3))

    x = numbers(*shape)
    together, apart = (bm.compile(reduced, stages=[{"x": shape}], opt=opt) for opt in (1, 0))
    assert together.run(x=x)["output"].tobytes() == apart.run(x=x)["output"].tobytes()
    if shape[0] == 1 or shape[1] >= 64:
        assert together.stages[0].emission.memory.size < 4 * x.size + 2 * 4096 + 4 * shape[0] * shape[1]


def test_the_extreme_of_an_index_is_computed_once() -> None:
    @bm.function
    def both(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.reduce_max(x, 1, keepdims=True), bm.argmax(x, 1)

    nodes = bm.compile(both, stages=[{"x": (3, 70)}]).stages[0].graph.nodes
    assert [node.op for node in nodes].count("bm::reduce_max") == 1
    agree(both, modes=("f32", "f16"), x=np.random.default_rng(0).permutation(210).reshape(3, 70).astype(np.float32))


@pytest.mark.parametrize("shape", [(2, 1, 5, 8), (5, 8), (8,), (3, 1, 8), (1, 5, 1), (2, 3, 5, 8)])
@pytest.mark.parametrize("interleaved", [True, False])
def test_tables_of_rotations_are_repeated(shape: tuple[int, ...], interleaved: bool) -> None:
    """To heads before the rows, between rows and pairs, and to all rows."""

    @bm.function
    def turned(x: bm.Tensor, cos: bm.Tensor, sin: bm.Tensor) -> bm.Tensor:
        return bm.rope(x, cos, sin, interleaved)

    agree(turned, modes=("f32",), x=numbers(2, 3, 5, 8), cos=numbers(*shape), sin=numbers(*shape, seed=1))


@pytest.mark.parametrize("axis", [0, 1])
def test_long_running_sums(axis: int) -> None:
    @bm.function
    def summed(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.cumsum(x, axis), bm.cumsum(x, axis, exclusive=True, reverse=True)

    agree(summed, modes=("f32",), x=numbers(300, 300))


def test_sizes_are_a_constant() -> None:
    @bm.function
    def sizes(x: bm.Tensor) -> bm.Tensor:
        return bm.shape_fetch(x, 1)

    np.testing.assert_array_equal(sizes(numbers(3, 4, 5)), [4, 5])


def test_outputs_that_are_known() -> None:
    table = numbers(3, 70)

    @bm.function
    def known(x: bm.Tensor) -> tuple[bm.Tensor, ...]:
        one, row = bm.shape_fetch(x, 0, 1), bm.cast(bm.shape_fetch(x), bm.f32)
        return bm.exp(row), one, x + bm.exp(bm.reshape(row, (-1, 1, 1)) - 9), bm.exp(row)

    first, second, third, fourth = agree(known, modes=("f32", "f16"), x=table.reshape(3, 7, 10)).values()
    np.testing.assert_array_equal(first, np.exp([3, 7, 10]).astype(np.float32))
    np.testing.assert_array_equal(second, [3])
    np.testing.assert_array_equal(first, fourth)
    assert third.shape == (3, 7, 10)


MISTAKES: list[tuple[Callable[[bm.Tensor], bm.Tensor], type[Exception]]] = [
    (lambda x: bm.argmax(x, 3), OperatorArgumentError),
    (lambda x: bm.argmax(bm.cast(x, bm.i32)), OperatorDtypeError),
    (lambda x: bm.argmin(bm.broadcast_to(x, (1 << 24, 3, 4, 5)), 0), ShapeError),
    (lambda x: bm.normalize(x, 0.0), OperatorArgumentError),
    (lambda x: bm.normalize(x, math.nan), OperatorArgumentError),
    (lambda x: bm.normalize(x, axis=(0, 2)), OperatorArgumentError),
    (lambda x: bm.rope(x, x, x), ShapeError),
    (lambda x: bm.shape_fetch(x, 3), OperatorArgumentError),
    (lambda x: bm.mean_std_scale(x, 0.0, 0.0), OperatorArgumentError),
    (lambda x: bm.mean_std_scale(x, [1.0, 2.0], 1.0), ShapeError),
    (lambda x: bm.mean_std_scale(x, 0.0, 1.0, zero_point=3), OperatorArgumentError),
]


@pytest.mark.parametrize(("use", "error"), MISTAKES)
def test_arguments_that_do_not_fit(use: Callable[[bm.Tensor], bm.Tensor], error: type[Exception]) -> None:
    @bm.function
    def used(x: bm.Tensor) -> bm.Tensor:
        return use(x)

    with pytest.raises(error):
        used.traced({"x": (3, 4, 5)})


def test_the_method_of_an_index() -> None:
    from bmlang.layers.tensor import apply

    @bm.function
    def used(x: bm.Tensor) -> bm.Tensor:
        return apply("bm::arg", x, method="median", axis=0)

    with pytest.raises(OperatorArgumentError, match="arg of the method 'median'"):
        used.traced({"x": (3,)})
