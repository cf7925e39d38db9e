"""Tolerances: right results pass whatever the shape, wrong ones do not, and the message tells where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lang.kernels import matmul
from tpukernel.dtypes import Dtype, bf16, dtype_of, f16, f32, i8
from tpukernel.testing import FLOATS, NotCloseError, assert_close, random, tolerance_of, ulps

ROUNDED = {f32: 24, f16: 11, bf16: 8}


@given(st.floats(-1e4, 1e4), st.sampled_from(FLOATS))
def test_one_rounding_is_always_allowed(number: float, dtype: Dtype) -> None:
    array = np.array([number]).astype(dtype.numpy)
    assert_close(array, np.array([number]))


@given(st.floats(1, 1e4), st.sampled_from(FLOATS), st.sampled_from([-1, 1]))
def test_two_steps_of_the_type_are_not(number: float, dtype: Dtype, sign: int) -> None:
    array = np.array([number]).astype(dtype.numpy)
    moved = array.view(f"i{dtype.itemsize}") + np.array(2 * sign, f"i{dtype.itemsize}")
    with pytest.raises(NotCloseError):
        assert_close(moved.view(dtype.numpy), array.astype(np.float64))
    assert ulps(moved.view(dtype.numpy), array).tolist() == [2]


@given(st.integers(1, 60), st.integers(2, 300), st.integers(1, 40), st.sampled_from(FLOATS), st.integers(0, 99))
def test_products_of_matrices_are_close(m: int, depth: int, n: int, dtype: Dtype, seed: int) -> None:
    left, right = random((m, depth), dtype, seed), random((depth, n), dtype, seed + 1)
    one, other = left.astype(np.float64), right.astype(np.float64)
    assert_close(matmul(left, right), one @ other, reduction=depth, magnitude=np.abs(one) @ np.abs(other))


def test_a_forgotten_term_is_found() -> None:
    left, right = random((8, 200), f32), random((200, 40), f32, 1)
    one, other = left.astype(np.float64), right.astype(np.float64)
    with pytest.raises(NotCloseError, match=r"320 of 320 elements differ .* \(f32, 1 rounding, sums of 200\)"):
        assert_close(matmul(left, right), one[:, :-1] @ other[:-1], reduction=200, magnitude=np.abs(one) @ np.abs(other))


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_formula(dtype: Dtype) -> None:
    unit = 2.0 ** -ROUNDED[dtype]
    found = tolerance_of(dtype, reduction=64, roundings=3)
    assert found.relative == 3 * unit / (1 - 3 * unit)
    assert found.of_sum == 66 * 2.0**-24 / (1 - 66 * 2.0**-24)
    assert tolerance_of(dtype).of_sum == 0
    assert tolerance_of(i8, reduction=1000).allowed(np.ones(1), 1.0) == 0


@pytest.mark.parametrize("dtype", FLOATS)
def test_specials(dtype: Dtype) -> None:
    numbers = np.array([np.nan, np.inf, -np.inf, 0.0]).astype(dtype.numpy)
    assert_close(numbers, np.array([np.nan, np.inf, -np.inf, -0.0]))
    for place in range(3):
        for other in (1.0, np.nan, np.inf, -np.inf):
            wanted = numbers.astype(np.float64)
            if not (wanted[place] == other or (np.isnan(other) and place == 0)):
                wanted[place] = other
                with pytest.raises(NotCloseError, match="1 of 4 elements"):
                    assert_close(numbers, wanted)


def test_what_is_too_large_for_the_type_is_infinite() -> None:
    assert_close(np.array([np.inf], np.float16), [70000.0])
    with pytest.raises(NotCloseError):
        assert_close(np.array([np.inf], np.float16), [65504.0])


def test_integers_are_exact_unless_something_else_is_said() -> None:
    found = np.array([1, 2, 3], np.int8)
    assert_close(found, [1, 2, 3])
    assert_close(found, [1, 2, 4], atol=1)
    with pytest.raises(NotCloseError, match=r"1 of 3 elements .* \(i8\)"):
        assert_close(found, [1, 2, 4])
    with pytest.raises(NotCloseError):
        assert_close(np.array([44], np.uint8), [300])  # no cast hides the difference


def test_shapes_have_to_agree() -> None:
    with pytest.raises(NotCloseError, match=r"shape \(3,\), but \(1, 3\) is wanted"):
        assert_close(np.ones(3, np.float32), np.ones((1, 3)))


def test_the_message_tells_first_and_worst() -> None:
    found = np.zeros((2, 3, 4), dtype_of("bf16").numpy)
    wanted = np.zeros((2, 3, 4))
    found[1, 2, 3] = 2.0
    wanted[0, 1, 2], wanted[1, 2, 3] = 0.5, -2.0
    with pytest.raises(NotCloseError) as caught:
        assert_close(found, wanted, roundings=2)
    assert str(caught.value).splitlines() == [
        "KER181: 2 of 24 elements differ by more than is allowed (bf16, 2 roundings)",
        "     | first [0, 1, 2]: found 0.0, wanted 0.5, difference 0.5, allowed 0.00394, 16,128 ULP",
        "     | worst [1, 2, 3]: found 2.0, wanted -2.0, difference 4, allowed 0.0157, 32,768 ULP",
    ]
