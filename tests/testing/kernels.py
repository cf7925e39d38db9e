"""Kernels for the tests of the test tools; some have a mistake that only some shapes or numbers show."""

from __future__ import annotations

import tpukernel as tpu
from tpukernel.lang import Size

STEP = 8
"""Used by a kernel, so that copies of it need it, too."""


def rest(size: int, start: Size) -> Size:
    """A helper of a kernel."""
    return tpu.minimum(STEP, size - start)


@tpu.kernel
def doubled(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, factor: float = 2.0) -> None:
    n, c, h, w = x.shape
    for w0 in k.pipeline(0, w, STEP):
        ws = rest(int(w), w0)
        a, b = k.local((n, c, h, ws), x.dtype), k.local((n, c, h, ws), x.dtype)
        k.dma.load(a, x[:, :, :, w0 : w0 + ws])
        k.tiu.mul(b, a, factor)
        k.dma.store(out[:, :, :, w0 : w0 + ws], b)


@tpu.kernel
def forgets_the_tail(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for w0 in k.pipeline(0, x.shape[3], STEP):
        a = k.local((1, 2, 1, STEP), x.dtype)
        k.dma.load(a, x[:, :, :, w0 : w0 + STEP])
        k.dma.store(out[:, :, :, w0 : w0 + STEP], a)


def two_like(x: tpu.TensorSpec) -> list[tpu.TensorSpec]:
    return [x, x]


@tpu.kernel(infer=two_like)
def both(k: tpu.Builder, x: tpu.In, low: tpu.Out, high: tpu.Out) -> None:
    a, b, c = (k.local(x.shape, x.dtype) for _ in range(3))
    k.dma.load(a, x)
    k.tiu.add(b, a, -1)
    k.tiu.add(c, a, 1)
    k.dma.store(low, b)
    k.dma.store(high, c)
