"""Softmax, normalisation and reduction of rows that are few or long: over several lanes, or by other layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from tests.support.agreement import agree, numbers

LAYERS: dict[str, Callable[[bm.Tensor], bm.Tensor]] = {
    "softmax": bm.softmax,
    "layer_norm": lambda x: bm.layer_norm(x, numbers(x.shape[-1], seed=1), numbers(x.shape[-1], seed=2)),
    "rms_norm": lambda x: bm.rms_norm(x, numbers(x.shape[-1], seed=1)),
    "sum": lambda x: bm.reduce_sum(x, -1),
    "mean": lambda x: bm.reduce_mean(x, -1, keepdims=True),
    "max": lambda x: bm.reduce_max(x, -1),
    "min": lambda x: bm.reduce_min(x, -1),
}


def function(name: str) -> bm.Function:
    layer = LAYERS[name]

    @bm.function
    def rows(x: bm.Tensor) -> bm.Tensor:
        return layer(x)

    return rows


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(sorted(LAYERS)), st.integers(1, 9), st.integers(1, 64), st.integers(1, 70))
def test_few_rows(name: str, count: int, lanes: int, part: int) -> None:
    agree(function(name), modes=("f32", "f16"), x=np.abs(numbers(count, lanes * part)))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shape", [(2, 8191), (1, 64 * 300), (70, 6400)])
def test_long_rows(name: str, shape: tuple[int, ...]) -> None:
    """A prime number of elements, and more than a lane has room for; of one sign, so that sums do not cancel."""
    agree(function(name), modes=("f32",), x=np.abs(numbers(*shape)))


def test_rows_with_infinities() -> None:
    x = numbers(3, 640)
    x[0, 100], x[1, 639], x[2, :] = -np.inf, np.nan, 88.0
    (found,) = function("softmax").run({"x": x}).values()
    assert found[0, 100] == 0 and np.isfinite(found[0]).all() and np.isnan(found[1]).all()
    np.testing.assert_allclose(found[2], 1 / 640, rtol=1e-5)


@pytest.mark.parametrize("shape", [(70, 9), (3, 640), (2, 8191)])
@pytest.mark.parametrize(("name", "infinity"), [("max", -np.inf), ("min", np.inf)])
def test_extremes_of_infinities_alone(name: str, infinity: float, shape: tuple[int, ...]) -> None:
    """The command finds no less than the smallest finite number."""
    x = numbers(*shape)
    x[0], x[1, 1:] = infinity, infinity
    agree(function(name), modes=("f32",), exact=True, x=x)


@pytest.mark.parametrize(
    ("name", "shape", "cycles"),
    [
        ("softmax", (1, 1000), 497),  # 3702 in one lane
        ("softmax", (8, 4096), 5232),  # 19604
        ("softmax", (1, 32000), 7054),
        ("layer_norm", (1, 4096), 1222),  # 9647
        ("sum", (1, 8192), 766),  # 8761
        ("min", (4, 4096), 1413),  # 5505
        ("softmax", (70, 1024), 15423),  # enough rows for the lanes
    ],
)
def test_cycles(name: str, shape: tuple[int, ...], cycles: int) -> None:
    assert bm.compile(function(name), stages=[{"x": shape}]).stages[0].timeline().cycles == pytest.approx(cycles, rel=0.1)
