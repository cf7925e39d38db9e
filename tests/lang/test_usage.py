"""Results that nobody uses, and buffers to which nobody wrote; and what looks like one but is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tpukernel as tpu
from tests.lang import kernels
from tpukernel.lang.errors import KernelError, UnusedResultError, UnwrittenBufferError
from tpukernel.testing import run

X = np.ones((1, 4, 2, 8), np.float32)
Step = Callable[[tpu.Builder, tpu.In, tpu.Out, tpu.Tile, tpu.Tile], object]


def found(step: Step) -> tuple[KernelError, ...]:
    """The mistakes of a kernel that loads x into a, does something with a and b, and stores b."""

    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(X.shape, x.dtype), k.local(X.shape, x.dtype)
        k.dma.load(a, x)
        step(k, x, out, a, b)
        k.dma.store(out, b)

    return kernel.elaborate({"x": X.shape}).mistakes


def half(k: tpu.Builder, x: tpu.In, out: tpu.Out, a: tpu.Tile, b: tpu.Tile) -> None:
    """Only some steps use what was loaded in all of them."""
    k.tiu.fill(b, 0)
    for w0 in k.range(0, 8, 4):
        c = k.local((1, 4, 2, 4), x.dtype)
        k.dma.load(c, x[:, :, :, w0 : w0 + 4])
        with k.when(w0 > 0):
            k.tiu.add(b[:, :, :, :4], a[:, :, :, :4], c)


def other_half(k: tpu.Builder, x: tpu.In, out: tpu.Out, a: tpu.Tile, b: tpu.Tile) -> None:
    k.tiu.fill(b, 0)
    k.tiu.abs(b[:, :, :, :4], a[:, :, :, :4])
    c = k.local(X.shape, x.dtype)
    k.tiu.neg(c[:, :, :, :4], a[:, :, :, :4])
    k.tiu.abs(b[:, :, :, 4:], c[:, :, :, 4:])


Kinds = list[type[KernelError]]
CASES: list[tuple[Step, Kinds]] = [
    (lambda k, x, out, a, b: k.tiu.abs(b, a), []),
    (lambda k, x, out, a, b: k.tiu.fill(b, 0), [UnusedResultError]),
    (lambda k, x, out, a, b: None, [UnwrittenBufferError, UnusedResultError]),
    (half, []),
    (other_half, [UnwrittenBufferError, UnusedResultError]),
    (lambda k, x, out, a, b: (k.tiu.abs(b, a), k.tiu.neg(a, b)), [UnusedResultError]),
    (lambda k, x, out, a, b: k.tiu.abs(k.local(X.shape, x.dtype, at=0), a), []),  # an address: b may be the same memory
]


@pytest.mark.parametrize(("step", "kinds"), CASES)
def test_mistakes(step: Step, kinds: Kinds) -> None:
    assert [type(each) for each in found(step)] == kinds


@pytest.mark.parametrize("buffers", [1, 2, 3])
def test_right_kernels_have_none(buffers: int) -> None:
    assert not kernels.abs_add.elaborate({"x": (2, 70, 3, 50)}, c=1.0, tile_w=16, buffers=buffers).mistakes
    assert not kernels.matmul.elaborate({"left": (40, 70), "right": (70, 100)}).mistakes
    assert not kernels.softmax.elaborate({"x": (100, 50)}).mistakes
    assert not kernels.scale_bias_relu.elaborate({"x": (2, 70, 3, 5), "scale": (70,), "bias": (70,)}).mistakes
    assert not kernels.in_place_add.elaborate({"x": (1, 7, 1, 50)}, c=1.0).mistakes


def test_who_raises_what() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, unused: bool) -> None:
        a, b = k.local(X.shape, x.dtype), k.local(X.shape, x.dtype)
        k.dma.load(a, x)
        k.dma.store(out, a if unused else b)
        k.tiu.abs(b, a)

    np.testing.assert_array_equal(kernel(X, unused=True), X)
    with pytest.raises(UnusedResultError, match=r"nobody uses what tiu.abs puts into b"):
        run(kernel, X, unused=True)
    with pytest.raises(UnwrittenBufferError, match="src of dma.store is b") as caught:
        kernel(X, unused=False)
    assert "what is written comes later" in str(caught.value)
