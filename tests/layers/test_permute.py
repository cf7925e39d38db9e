"""Dimensions in another order: the right elements, and in local memory where single elements would have to be moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from bmlang.layers.arrange import Swap
from bmlang.layers.base import Call
from tests.support.agreement import agree, numbers
from tests.support.effort import examples

ORDERS = {
    "few channels inward": ((2, 3, 20, 64), (0, 2, 3, 1)),
    "few channels outward": ((2, 20, 64, 3), (0, 3, 1, 2)),
    "channels inward": ((2, 70, 7, 9), (0, 2, 3, 1)),
    "channels outward": ((2, 7, 9, 70), (0, 3, 1, 2)),
    "matrix": ((130, 140), (1, 0)),
    "a few elements": ((3, 5), (1, 0)),
    "everything": ((2, 3, 4, 5), (3, 1, 0, 2)),
    "heads": ((2, 9, 3, 70), (0, 2, 1, 3)),
    "in pieces, few channels inward": ((1, 30, 128, 130), (0, 2, 3, 1)),
    "in pieces, few channels outward": ((1, 128, 130, 30), (0, 3, 1, 2)),
    "in pieces, matrix": ((700, 900), (1, 0)),
}


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_orders(name: str, dtype: type[np.generic]) -> None:
    shape, order = ORDERS[name]

    @bm.function
    def permuted(x: bm.Tensor) -> bm.Tensor:
        return bm.permute(x, order)

    x = np.random.default_rng(0).integers(-128, 128, shape).astype(dtype)
    (reference,) = agree(permuted, modes=("f32",), exact=True, x=x).values()
    np.testing.assert_array_equal(reference, x.transpose(order))


@settings(max_examples=examples(13), deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3, 5, 16, 33, 64]), min_size=2, max_size=4), st.data())
def test_any_order_with_neighbours(shape: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))

    @bm.function
    def permuted(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        y = abs(x)
        z = bm.permute(y, order)
        return bm.relu(z) + z, y * 2

    x = numbers(*shape[:3]) if np.prod(shape) > 40_000 else numbers(*shape)
    if x.ndim == len(order):
        agree(permuted, modes=("f32", "f16"), x=x)


@pytest.mark.parametrize("dtype", ["f32", "f16"])
@pytest.mark.parametrize(
    ("shape", "order"),
    [((1, 3, 112, 112), (0, 2, 3, 1)), ((1, 112, 112, 3), (0, 3, 1, 2)), ((1, 64, 28, 28), (0, 2, 3, 1)), ((1, 28, 28, 64), (0, 3, 1, 2))],
)
def test_orders_of_images_are_many_times_faster_than_single_elements(
    shape: tuple[int, ...], order: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @bm.function
    def permuted(x: bm.Tensor) -> bm.Tensor:
        return bm.permute(x, order)

    def cycles() -> int:
        return bm.compile(permuted, stages=[{"x": bm.spec(shape, dtype)}]).stages[0].timeline().cycles

    def no_form(self: Swap, call: Call) -> None:
        return None

    fast = cycles()
    monkeypatch.setattr(Swap, "local", no_form)
    assert fast * 20 < cycles()
