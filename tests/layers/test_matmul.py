"""Products of matrices: transposed sides, bias, broadcast batches, and a depth that no lane holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from bmlang.layers.errors import ShapeError
from tests.support.agreement import agree, numbers
from tests.support.effort import examples

PRODUCTS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((70, 33), (33, 130), {}),
    "b transposed": ((5, 70), (9, 70), {"transpose_b": True}),
    "a transposed": ((70, 5), (70, 9), {"transpose_a": True}),
    "both transposed": ((3, 70, 5), (3, 9, 70), {"transpose_a": True, "transpose_b": True}),
    "batches broadcast": ((2, 1, 5, 7), (3, 7, 4), {}),
    "rows of one batch": ((4, 5, 7), (7, 4), {}),
    "one left side for all": ((5, 7), (3, 7, 4), {}),
    "deep": ((3, 20000), (20000, 5), {}),
    "deep and transposed": ((3, 40000), (5, 40000), {"transpose_b": True}),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str) -> None:
    left, right, attrs = PRODUCTS[name]

    @bm.function
    def product(a: bm.Tensor, b: bm.Tensor) -> bm.Tensor:
        return bm.matmul(a, b, **attrs)

    agree(product, a=numbers(*left), b=numbers(*right, seed=1))


@pytest.mark.parametrize("name", ["plain", "b transposed", "both transposed", "rows of one batch"])
def test_known_sides_and_bias(name: str) -> None:
    left, right, attrs = PRODUCTS[name]
    b, bias = numbers(*right, seed=1), numbers(right[-2] if attrs.get("transpose_b") else right[-1], seed=2)

    @bm.function
    def product(a: bm.Tensor) -> bm.Tensor:
        return bm.relu(bm.matmul(a, b, bias, **attrs))

    agree(product, a=numbers(*left))
    stage = bm.compile(product, stages=[{"a": left}]).stages[0]
    swaps = [node for node in stage.graph.nodes if node.op == "bm::swap"]
    assert len(swaps) == int(bool(attrs.get("transpose_a"))), "a constant is transposed when the model is compiled"


def test_right_sides_are_read_transposed_in_16_bits() -> None:
    @bm.function
    def product(a: bm.Tensor, b: bm.Tensor) -> bm.Tensor:
        return bm.matmul(a, b, transpose_b=True)

    for mode, swaps in (("f32", 1), ("f16", 0), ("bf16", 0)):
        graph = bm.compile(product, stages=[{"a": (5, 70), "b": (9, 70)}], mode=mode).stages[0].graph
        assert [node.op for node in graph.nodes].count("bm::swap") == swaps


@settings(max_examples=examples(8), deadline=None)
@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70), st.integers(1, 70), st.booleans(), st.booleans())
def test_any_sizes(batch: int, m: int, depth: int, n: int, transpose_a: bool, transpose_b: bool) -> None:
    @bm.function
    def product(a: bm.Tensor, b: bm.Tensor, bias: bm.Tensor) -> bm.Tensor:
        return bm.matmul(a, b, bias, transpose_a=transpose_a, transpose_b=transpose_b)

    a, b, bias = numbers(batch, m, depth), numbers(batch, depth, n, seed=1), numbers(m, 1, seed=2)
    given_a, given_b = a.swapaxes(1, 2).copy() if transpose_a else a, b.swapaxes(1, 2).copy() if transpose_b else b
    (wanted,) = agree(product, modes=("f32", "f16"), a=given_a, b=given_b, bias=bias).values()
    exact = np.einsum("bik,bkj->bij", a.astype(np.float64), b.astype(np.float64)) + bias.astype(np.float64)
    np.testing.assert_allclose(np.asarray(wanted, np.float64), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("left", "right", "attrs"),
    [((3, 4), (3, 4), {}), ((4,), (4, 5), {}), ((3, 4), (4, 5), {"transpose_a": True}), ((2, 3, 4), (3, 4, 5), {})],
)
def test_sizes_that_do_not_fit(left: tuple[int, ...], right: tuple[int, ...], attrs: dict[str, Any]) -> None:
    @bm.function
    def product(a: bm.Tensor, b: bm.Tensor) -> bm.Tensor:
        return bm.matmul(a, b, **attrs)

    with pytest.raises(ShapeError):
        product.traced({"a": left, "b": right})


def test_a_bias_that_does_not_fit() -> None:
    @bm.function
    def product(a: bm.Tensor) -> bm.Tensor:
        return bm.matmul(a, numbers(4, 5), numbers(2, 3, 5))

    with pytest.raises(ShapeError):
        product.traced({"a": (3, 4)})


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 70), st.integers(1, 130), st.integers(1, 70), st.sampled_from((1, 1, 2, 5, 31, 70)), st.data())
def test_known_left_sides(batches: int, m: int, depth: int, n: int, data: st.DataObject) -> None:
    """One left side for many: known, it is computed in another form, to the same bits."""
    mode = data.draw(st.sampled_from(("f32", "f16", "bf16")))
    left, right = numbers(m, depth), numbers(batches, depth, n, seed=1)
    left[0, 0], right[-1, 0, 0] = np.inf, np.nan

    @bm.function
    def given_left(a: bm.Tensor, b: bm.Tensor) -> bm.Tensor:
        return bm.matmul(a, b)

    @bm.function
    def known_left(b: bm.Tensor) -> bm.Tensor:
        return bm.matmul(left, b)

    (wanted,) = given_left.run({"a": left, "b": right}, mode=mode).values()
    (found,) = known_left.run({"b": right}, mode=mode).values()
    np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))


@pytest.mark.parametrize(
    ("m", "right", "f32", "f16"),
    [
        pytest.param(64, (512, 64, 8), 42633, 42186, id="few columns"),  # 335130 with rows of 8 elements
        pytest.param(49, (3136, 49, 1), 32299, 32299, id="one column"),  # 1572356 as columns
        pytest.param(196, (16, 196, 64), 52312, 34894, id="many columns"),
    ],
)
def test_cycles_of_known_left_sides(m: int, right: tuple[int, ...], f32: int, f16: int) -> None:
    left = numbers(m, right[-2])

    @bm.function
    def product(b: bm.Tensor) -> bm.Tensor:
        return bm.matmul(left, b)

    cycles = [bm.compile(product, stages=[{"b": right}], mode=mode).stages[0].timeline().cycles for mode in ("f32", "f16")]
    assert cycles == pytest.approx([f32, f16], rel=0.1)
