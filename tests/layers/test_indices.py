"""Gathers and scatters: rows that fit into a lane and rows that do not, numbers of commands, arguments that do not fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import bmlang as bm
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.agreement import agree, numbers
from tpukernel.chips.chip import Engine

LONG = 70_000
"""Elements of a row that neither fits into a lane nor is counted in 16 bits."""


def some(count: int, size: int, *shape: int) -> NDArray[np.int32]:
    return np.random.default_rng(count).integers(0, size, (*shape, count)).astype(np.int32)


@pytest.mark.parametrize(("rows", "size", "count"), [(3, LONG, 50), (65, 30_000, 9), (1, 40, 66_000), (3, 129, 3 * 64 * 5), (130, 7, 3)])
def test_elements_of_rows(rows: int, size: int, count: int) -> None:
    x, one, several = numbers(rows, size), some(count, size), some(count, size, rows)

    @bm.function
    def gathered(x: bm.Tensor, one: bm.Tensor, several: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.gather(x, one, 1), bm.gather_elements(x, several)

    first, second = agree(gathered, modes=("f32",), exact=True, x=x, one=one, several=several).values()
    np.testing.assert_array_equal(first, np.take(x, one, 1))
    np.testing.assert_array_equal(second, np.take_along_axis(x, several, 1))


@pytest.mark.parametrize(("rows", "size", "count"), [(3, LONG, 50), (130, 7, 3)])
def test_elements_that_are_put_into_rows(rows: int, size: int, count: int) -> None:
    x, updates = numbers(rows, size), numbers(rows, count, seed=1)
    places = np.stack([np.random.default_rng(row).permutation(size)[:count] for row in range(rows)]).astype(np.int32)

    @bm.function
    def scattered(x: bm.Tensor, index: bm.Tensor, updates: bm.Tensor) -> bm.Tensor:
        return bm.scatter(x, index, updates, 1)

    (found,) = agree(scattered, modes=("f32",), exact=True, x=x, index=places, updates=updates).values()
    wanted = x.copy()
    np.put_along_axis(wanted, places, updates, 1)
    np.testing.assert_array_equal(found, wanted)


def commands(function: bm.Function, engine: Engine | None = None, **shapes: tuple[int, ...]) -> int:
    nodes = bm.compile(function, stages=[shapes]).stages[0].emission.nodes
    return sum(engine in (None, each) for _, each, _ in nodes)


REARRANGED: dict[str, Callable[[bm.Tensor], bm.Tensor]] = {
    "flip rows": lambda x: bm.flip(x, 2),
    "flip columns": lambda x: bm.flip(x, 3),
    "every other row": lambda x: x[:, :, ::2],
    "every third column": lambda x: x[..., ::3],
    "rows by an index": lambda x: bm.gather(x, np.arange(0, 100, 7), 2),
    "repeated columns": lambda x: bm.repeat(x, [place % 4 for place in range(100)], 3),
}


@pytest.mark.parametrize("name", REARRANGED)
def test_few_commands_move_an_image(name: str) -> None:
    @bm.function
    def moved(x: bm.Tensor) -> bm.Tensor:
        return REARRANGED[name](x)

    assert commands(moved, x=(1, 200, 100, 100)) < 150  # a copy for each element would be thousands


MISTAKES: list[tuple[Callable[[bm.Tensor], bm.Tensor], type[Exception]]] = [
    (lambda x: bm.gather_elements(x, x), OperatorDtypeError),
    (lambda x: bm.gather_elements(x, np.zeros((2, 3), np.int32)), ShapeError),
    (lambda x: bm.gather_elements(x, np.zeros((4, 4, 2), np.int32), 1), ShapeError),
    (lambda x: bm.index_select(x, np.zeros((2, 3), np.int32)), ShapeError),
    (lambda x: bm.scatter(x, np.zeros((1, 1, 1), np.int32), np.zeros((1, 1, 2), np.float32), 1), ShapeError),
    (lambda x: bm.scatter(x, np.zeros((1, 1, 1), np.int32), np.zeros((1, 1, 1), np.int8), 1), OperatorDtypeError),
    (lambda x: bm.gather_nd(x, np.zeros((2, 4), np.int32)), ShapeError),
    (lambda x: bm.gather_nd(x, np.zeros((2, 1), np.int32), 3), OperatorArgumentError),
    (lambda x: bm.scatter_nd(x, np.zeros((2, 1), np.int32), np.zeros((2, 4), np.float32)), ShapeError),
    (lambda x: bm.repeat(x, 0, 1), OperatorArgumentError),
    (lambda x: bm.repeat(x, [1, 2], 1), OperatorArgumentError),
    (lambda x: bm.roll(x, (1, 2)), OperatorArgumentError),
    (lambda x: bm.roll(x, (1, 2), 1), OperatorArgumentError),
    (lambda x: bm.extract(x, [0, 0]), OperatorArgumentError),
    (lambda x: bm.extract(x, stride=[1, 0, 1]), OperatorArgumentError),
    (lambda x: bm.extract(x, [3, 0, 0], [3, 1, 1]), ShapeError),
    (lambda x: x[:, 3:1:2], ShapeError),
    (lambda x: bm.upsample(x, 2), OperatorArgumentError),
]


@pytest.mark.parametrize(("use", "error"), MISTAKES)
def test_arguments_that_do_not_fit(use: Callable[[bm.Tensor], bm.Tensor], error: type[Exception]) -> None:
    @bm.function
    def used(x: bm.Tensor) -> bm.Tensor:
        return use(x)

    with pytest.raises(error):
        used.traced({"x": (3, 4, 5)})


def test_scatter_rows_says_what_it_needs() -> None:
    from bmlang.layers.tensor import apply

    @bm.function
    def used(x: bm.Tensor) -> bm.Tensor:
        return apply("bm::scatter_rows", x, np.zeros(2, np.int32), x)

    with pytest.raises(ShapeError, match=r"scatter_rows of \[3, 4\], \[2\], \[3, 4\]"):
        used.traced({"x": (3, 4)})
