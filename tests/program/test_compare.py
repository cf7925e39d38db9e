"""Where a function on the TPU differs from numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import bmlang as bm
import tpukernel as tpu

X = np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)
KERNEL = np.random.default_rng(1).standard_normal((4, 3, 3, 3), np.float32)


@bm.function
def block(x: bm.Tensor) -> bm.Tensor:
    y = bm.conv(x, KERNEL, pad=1)
    z = bm.relu(bm.reshape(y, (4, 64)))
    return bm.sigmoid(z) * z


@tpu.kernel
def negative_kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a, b = k.local(x.shape, x.dtype), k.local(x.shape, x.dtype)
    k.dma.load(a, x)
    k.tiu.mul(b, a, -1.0)
    k.dma.store(out, b)


@bm.layer("tests::positive", kernel=negative_kernel)
def positive(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x


@bm.function
def wrong(x: bm.Tensor) -> bm.Tensor:
    a = bm.relu(x)
    b = positive(a)
    return bm.square(b) + a


@pytest.mark.parametrize("mode", ["f32", "f16", "bf16"])
def test_nothing_is_off(mode: str) -> None:
    found = block.compare(X, mode=mode)
    assert found and found.first is None
    ops = [each.node.op for each in found.tensors]
    assert [op for op in ops if op != "bm::cast"] == ["bm::conv", "bm::relu", "bm::sigmoid", "bm::mul"]
    last = found.tensors[-1]
    assert last.name == "output"
    assert (last.whole > 1e-4) == (mode != "f32")
    assert str(found).endswith("no operator is off by more than is allowed")


def test_the_first_operator_that_is_off_is_named() -> None:
    found = wrong.compare(X)
    assert not found
    first = found.first
    assert first is not None and (first.name, first.node.op) == ("b", "tests::positive")
    assert [each.differs for each in found.tensors] == [False, True, False, False], "what comes later does what it should with what it gets"
    assert found.tensors[-1].whole < 1e-5, "the square hides the sign"
    assert "the first difference arises in positive, which makes b:" in str(found)
    assert "     | b = positive(a)\n     |     ^^^^^^^^^^^" in str(found)


def test_a_tolerance_of_ones_own() -> None:
    assert not block.compare(X, tolerance=0.0)
    assert wrong.compare(X, tolerance=2.5)


def test_what_is_no_number_in_one_of_both_is_a_difference() -> None:
    @bm.function
    def divided(x: bm.Tensor) -> bm.Tensor:
        return positive(x / x)

    found = divided.compare(np.zeros((1, 1, 1, 4), np.float32))
    assert all(each.own in (0.0, float("inf")) for each in found.tensors)
