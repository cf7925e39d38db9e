"""Strategies: what they draw is allowed, and the edges at which kernels go wrong come up often."""

from __future__ import annotations

import sys
from collections import Counter
from math import prod
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tpukernel.dtypes import Dtype, bf16, f16, f32, i8
from tpukernel.testing import FLOATS, INTEGERS, MissingPackageError, StrategyError, arrays, dtypes, random, shapes
from tpukernel.testing.values import odd_numbers, special_numbers


@given(st.data(), st.integers(1, 4), st.integers(1, 5000))
def test_shapes_keep_the_limits(data: st.DataObject, rank: int, elements: int) -> None:
    shape = data.draw(shapes(rank, max_n=2, max_c=70, max_h=4, max_w=90, max_elements=elements, tiles=[16]))
    assert len(shape) == rank and min(shape) >= 1 and prod(shape) <= elements
    limits = {1: (70,), 2: (70, 90), 3: (70, 4, 90), 4: (2, 70, 4, 90)}[rank]
    assert all(size <= limit for size, limit in zip(shape, limits, strict=True))


def counted(axis: int, many: int = 500, **limits: object) -> Counter[int]:
    found: Counter[int] = Counter()

    @given(shapes(4, **limits))  # pyright: ignore[reportArgumentType]
    @settings(max_examples=many, database=None, derandomize=True)
    def draw(shape: tuple[int, ...]) -> None:
        found[shape[axis]] += 1

    draw()
    return found


def test_edges_come_often() -> None:
    channels = counted(1)
    assert sum(channels[size] for size in (1, 63, 64, 65, 127, 128, 129)) > 0.4 * channels.total()
    assert all(channels[size] for size in (1, 63, 64, 65, 127, 128, 129))
    columns = counted(3, dtype=f16, tiles=[48], max_w=200)
    assert all(columns[size] for size in (1, 31, 32, 33, 63, 64, 65, 47, 48, 49, 95, 96, 97))
    banks = counted(3, dtype=f32, max_w=5000, max_c=4)
    assert all(banks[size] for size in (4095, 4096, 4097))


def test_failures_shrink_to_the_smallest_shape() -> None:
    assert find(shapes(4), lambda shape: shape[1] > 64) == (1, 65, 1, 1)
    assert find(shapes(4, max_elements=3000), lambda shape: shape[1] > 64) == (1, 65, 1, 1)
    assert find(shapes(4), lambda _: True) == (1, 1, 1, 1)


def test_dtypes() -> None:
    assert {find(dtypes(), lambda dtype, wanted=wanted: dtype is wanted) for wanted in (f32, f16, bf16)} == set(FLOATS)
    assert find(dtypes("all"), lambda dtype: dtype.is_int) in INTEGERS
    assert find(dtypes(["i8"]), lambda _: True) is i8


@given(st.data(), shapes(max_elements=500), dtypes("all"))
def test_arrays_have_shape_and_type(data: st.DataObject, shape: tuple[int, ...], dtype: Dtype) -> None:
    array = data.draw(arrays(shape, dtype))
    assert array.shape == shape and array.dtype == dtype.numpy
    assert np.isfinite(array.astype(np.float64)).all()


@given(st.data(), dtypes("all"), st.integers(-20, 0), st.integers(1, 20))
def test_arrays_keep_limits(data: st.DataObject, dtype: Dtype, low: int, high: int) -> None:
    low = max(low, 0) if dtype.kind == "u" else low
    values = data.draw(arrays((2, 30), dtype, low=low, high=high, specials=True)).astype(np.float64)
    assert values.min() >= low - 1e-6 and values.max() <= high * (1 + 2**-7)


@pytest.mark.parametrize("dtype", FLOATS)
def test_specials_are_an_option(dtype: Dtype) -> None:
    seen: set[bytes] = set()

    @given(arrays((4,), dtype, specials=True))
    @settings(max_examples=200, database=None, derandomize=True)
    def draw(array: NDArray[np.generic]) -> None:
        seen.update(each.tobytes() for each in array)

    draw()
    assert {np.array(special).astype(dtype.numpy).tobytes() for special in special_numbers(dtype)} <= seen
    assert len(set(special_numbers(dtype))) == 5 and 0 < special_numbers(dtype)[3] < special_numbers(dtype)[4]


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS])
def test_odd_numbers_are_numbers_of_the_type(dtype: Dtype) -> None:
    numbers = [number for number in odd_numbers(dtype) if abs(number) != 1 / 3]
    assert np.array(numbers).astype(dtype.numpy).astype(np.float64).tolist() == numbers


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS])
def test_random_arrays_are_the_same_each_time(dtype: Dtype) -> None:
    one, same, other = (random((3, 50), dtype, seed) for seed in (1, 1, 2))
    assert one.tobytes() == same.tobytes() != other.tobytes()
    limited = random((1000,), dtype, low=1, high=3).astype(np.float64)
    assert limited.min() >= 1 and limited.max() <= 3


@pytest.mark.parametrize("limits", [{"rank": 0}, {"max_w": 0}, {"max_elements": 0}])
def test_shapes_that_do_not_exist(limits: dict[str, int]) -> None:
    with pytest.raises(StrategyError):
        shapes(**limits)  # pyright: ignore[reportArgumentType]


def test_no_data_type() -> None:
    with pytest.raises(StrategyError):
        dtypes([])


def test_without_hypothesis() -> None:
    with patch.dict(sys.modules, {"hypothesis": None}):
        for strategy in (shapes, dtypes, lambda: arrays((1,))):
            with pytest.raises(MissingPackageError, match="pip install"):
                strategy()
