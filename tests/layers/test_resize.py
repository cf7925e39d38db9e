"""Images of another size, and running sums."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bmlang as bm
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.sampling import COORDINATES, METHODS
from tests.support.agreement import agree, numbers
from tests.support.effort import examples

CASES = [
    ((10, 14), "nearest", "half_pixel"),
    ((10, 21), "nearest", "asymmetric"),
    ((7, 9), "nearest", "align_corners"),
    ((10, 14), "linear", "half_pixel"),
    ((3, 20), "linear", "align_corners"),
    ((12, 5), "linear", "asymmetric"),
    ((5, 7), "linear", "half_pixel"),
    ((1, 1), "linear", "align_corners"),
    ((1, 9), "linear", "pytorch_half_pixel"),
    ((9, 11), "cubic", "half_pixel"),
    ((4, 1), "cubic", "pytorch_half_pixel"),
]


def place_of(place: int, size: int, out: int, coordinates: str) -> float:
    """Where a pixel of the result lies."""
    match coordinates:
        case "half_pixel":
            return (place + 0.5) * size / out - 0.5
        case "pytorch_half_pixel":
            return (place + 0.5) * size / out - 0.5 if out > 1 else 0.0
        case "align_corners":
            return place * (size - 1) / (out - 1) if out > 1 else 0.0
        case _:
            return place * size / out


def pixel(row: NDArray[np.float64], where: float, method: str, coordinates: str) -> float:
    """The value of a row of pixels at a place."""
    last = len(row) - 1
    if method == "nearest":
        return float(row[min(max(floor(where) if coordinates == "asymmetric" else ceil(where - 0.5), 0), last)])
    if method == "cubic":
        first = floor(where)
        return float(sum(row[min(max(each, 0), last)] * cubic(where - each) for each in range(first - 1, first + 3)))
    inside = min(max(where, 0.0), float(last))
    first = floor(inside)
    return float(row[first] + (row[min(first + 1, last)] - row[first]) * (inside - first))


def cubic(distance: float, a: float = -0.75) -> float:
    """The factor of a pixel at a distance below 2."""
    far = abs(distance)
    if far <= 1:
        return (a + 2) * far**3 - (a + 3) * far**2 + 1
    return a * far**3 - 5 * a * far**2 + 8 * a * far - 4 * a


def by_hand(image: NDArray[np.float64], size: tuple[int, int], method: str, coordinates: str) -> NDArray[np.float64]:
    """One image, pixel by pixel."""
    rows, columns = image.shape
    across = [place_of(place, columns, size[1], coordinates) for place in range(size[1])]
    down = [place_of(place, rows, size[0], coordinates) for place in range(size[0])]
    wide = np.array([[pixel(row, where, method, coordinates) for where in across] for row in image])
    return np.array([[pixel(column, where, method, coordinates) for column in wide.T] for where in down])


@pytest.mark.parametrize(("size", "method", "coordinates"), CASES)
def test_sizes(size: tuple[int, int], method: str, coordinates: str) -> None:
    @bm.function
    def resized(x: bm.Tensor) -> bm.Tensor:
        return bm.resize(x, size, method, coordinates)

    x = numbers(2, 3, 5, 7)
    (reference,) = agree(resized, x=x).values()
    wanted = by_hand(x[1, 2].astype(np.float64), size, method, coordinates)
    np.testing.assert_allclose(np.asarray(reference, np.float64)[1, 2], wanted, atol=1e-6)
    if method == "nearest":
        agree(resized, modes=("f32",), exact=True, x=x)


SIDE = st.integers(1, 9)


@settings(max_examples=examples(20), deadline=None)
@given(st.tuples(SIDE, SIDE), st.tuples(SIDE, SIDE), st.sampled_from(METHODS), st.sampled_from(COORDINATES))
def test_the_reference(old: tuple[int, int], new: tuple[int, int], method: str, coordinates: str) -> None:
    @bm.function
    def resized(x: bm.Tensor) -> bm.Tensor:
        return bm.resize(x, new, method, coordinates)

    x = numbers(1, 1, *old)
    (found,) = resized.reference(x).values()
    wanted = by_hand(x[0, 0].astype(np.float64), new, method, coordinates)
    np.testing.assert_allclose(np.asarray(found, np.float64)[0, 0], wanted, atol=1e-6)


def test_whole_factors_are_one_operation() -> None:
    @bm.function
    def resized(x: bm.Tensor) -> bm.Tensor:
        return bm.relu(bm.resize(x, (20, 21)))

    graph = bm.compile(resized, stages=[{"x": (1, 3, 10, 7)}]).stages[0].graph
    assert [node.op for node in graph.nodes] == ["bm::conv", "bm::relu"]


@pytest.mark.parametrize(
    ("size", "method", "coordinates"), [((0, 3), "linear", "half_pixel"), ((3, 3), "sinc", "half_pixel"), ((3, 3), "linear", "corners")]
)
def test_arguments_that_do_not_fit(size: tuple[int, int], method: str, coordinates: str) -> None:
    @bm.function
    def resized(x: bm.Tensor) -> bm.Tensor:
        return bm.resize(x, size, method, coordinates)

    with pytest.raises(OperatorArgumentError):
        resized.traced({"x": (1, 1, 4, 4)})
    with pytest.raises(ShapeError):
        resized.traced({"x": (1, 4, 4)})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_running_sums(axis: int) -> None:
    @bm.function
    def summed(x: bm.Tensor) -> bm.Tensor:
        return bm.cumsum(x, axis)

    x = numbers(2, 70, 5)
    (found,) = agree(summed, x=x).values()
    np.testing.assert_allclose(np.asarray(found, np.float64), np.cumsum(x.astype(np.float64), axis), atol=1e-5)
    half = x.astype(np.float16)
    agree(summed, modes=("f32",), x=half)
