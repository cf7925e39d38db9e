"""Elements in other places: shapes, repeats, stacks, selections by index."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.agreement import agree, numbers
from tests.support.effort import examples

X: NDArray[np.float32] = numbers(3, 1, 5, 4).astype(np.float32)
MOVES: dict[str, tuple[Callable[[bm.Tensor], bm.Tensor], Array]] = {
    "squeeze": (lambda x: bm.squeeze(x, -3), X.squeeze(1)),
    "squeeze all": (bm.squeeze, X.squeeze()),
    "unsqueeze": (lambda x: bm.unsqueeze(x, (0, -1)), X[None, ..., None]),
    "flatten": (lambda x: bm.flatten(x, 1, -2), X.reshape(3, 5, 4)),
    "stack": (lambda x: bm.stack([x, -x], 1), np.stack([X, np.negative(X)], 1)),
    "stack behind": (lambda x: bm.stack([x, -x], -1), np.stack([X, np.negative(X)], -1)),
    "broadcast_to": (lambda x: bm.broadcast_to(x, (2, 3, 7, 5, 4)), np.broadcast_to(X, (2, 3, 7, 5, 4))),
    "tile": (lambda x: bm.tile(x, (2, 5, 1, 3)), np.tile(X, (2, 5, 1, 3))),
    "flip": (lambda x: bm.flip(x, (0, -1)), np.flip(X, (0, -1))),
}


@pytest.mark.parametrize("name", MOVES)
def test_elements_are_where_numpy_has_them(name: str) -> None:
    move, wanted = MOVES[name]

    @bm.function
    def moved(x: bm.Tensor) -> bm.Tensor:
        return move(x)

    (reference,) = agree(moved, modes=("f32",), exact=True, x=X).values()
    np.testing.assert_array_equal(reference, wanted)


@settings(max_examples=examples(8), deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_repeats(shape: list[int], data: st.DataObject) -> None:
    repeats = [data.draw(st.integers(1, 7)) for _ in shape]

    @bm.function
    def repeated(x: bm.Tensor) -> bm.Tensor:
        return bm.tile(x, repeats)

    x = numbers(*shape)
    (reference,) = agree(repeated, modes=("f32",), exact=True, x=x).values()
    np.testing.assert_array_equal(reference, np.tile(x, repeats))


def test_many_repeats_take_few_commands() -> None:
    @bm.function
    def repeated(x: bm.Tensor) -> bm.Tensor:
        return bm.broadcast_to(x, (1000, 100))

    assert len(bm.compile(repeated, stages=[{"x": (1, 1)}]).stages[0].emission.nodes) < 30


MISTAKES: list[tuple[Callable[[bm.Tensor], bm.Tensor], type[Exception]]] = [
    (lambda x: bm.squeeze(x, 0), ShapeError),
    (lambda x: bm.squeeze(x, 7), OperatorArgumentError),
    (lambda x: bm.unsqueeze(x, (0, 0)), OperatorArgumentError),
    (lambda x: bm.flatten(x, 2, 1), OperatorArgumentError),
    (lambda x: bm.broadcast_to(x, (3, 1, 5, 8)), ShapeError),
    (lambda x: bm.broadcast_to(x, (5, 4)), ShapeError),
    (lambda x: bm.flip(x, 4), OperatorArgumentError),
    (lambda x: bm.gather(x, x), OperatorDtypeError),
    (lambda x: bm.gather(x, np.array([1]), 4), OperatorArgumentError),
]


@pytest.mark.parametrize(("move", "error"), MISTAKES)
def test_arguments_that_do_not_fit(move: Callable[[bm.Tensor], bm.Tensor], error: type[Exception]) -> None:
    @bm.function
    def moved(x: bm.Tensor) -> bm.Tensor:
        return move(x)

    with pytest.raises(error):
        moved.traced({"x": X.shape})


def test_embeddings() -> None:
    """More rows than a size of a command has bits; indices that name no row."""
    table = numbers(70_000, 3)

    @bm.function
    def embedded(index: bm.Tensor) -> bm.Tensor:
        return bm.embedding(index, table)

    nothing = np.zeros(3)
    index = np.array([[3, 69_999, 0], [1, -1, 70_000]], np.int32)
    (found,) = agree(embedded, modes=("f32",), exact=True, index=index).values()
    np.testing.assert_array_equal(found, [[table[3], table[69_999], table[0]], [table[1], nothing, nothing]])
    agree(embedded, modes=("f16", "bf16"), index=index)


@settings(max_examples=examples(8), deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_gather_is_take(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    places = data.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=9))
    dtype = data.draw(st.sampled_from([np.float32, np.float16, np.int8, np.int32]))

    @bm.function
    def gathered(x: bm.Tensor, index: bm.Tensor) -> bm.Tensor:
        return bm.gather(x, index, axis)

    x, index = np.multiply(numbers(*shape).astype(np.float32), 20).astype(dtype), np.array(places, np.int32)
    (reference,) = agree(gathered, modes=("f32",), exact=True, x=x, index=index).values()
    np.testing.assert_array_equal(reference, np.take(x, index, axis))


def test_a_known_index() -> None:
    @bm.function
    def gathered(x: bm.Tensor) -> bm.Tensor:
        return bm.gather(x, np.array([2, 0, 9, -1]), 2)

    agree(gathered, x=X)
