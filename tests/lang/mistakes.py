"""Kernels with one mistake each."""

from __future__ import annotations

import tpukernel as tpu

SHAPE = (1, 4, 2, 8)


@tpu.kernel
def branches(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for w0 in k.pipeline(0, x.shape[3], 4):
        if w0 > 0:
            k.dma.load(k.local(SHAPE, x.dtype), x)


@tpu.kernel
def leaves(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for _ in k.range(0, x.shape[3], 4):
        break


@tpu.kernel
def uses_the_index_later(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local(SHAPE, x.dtype)
    w0 = None
    for w0 in k.range(0, x.shape[3], 4):
        k.print(w0)
    assert w0 is not None
    k.dma.load(a, x[:, :, :, w0 : w0 + 8])


@tpu.kernel
def uses_a_buffer_later(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = None
    for _ in k.range(2):
        a = k.local(SHAPE, x.dtype)
        k.dma.load(a, x)
    assert a is not None
    k.dma.store(out, a)


@tpu.kernel
def misspells(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local(SHAPE, x.dtype)
    k.tiu.sigmiod(a, a)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


@tpu.kernel
def mixes_dtypes(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a, b = k.local(SHAPE, x.dtype), k.local(SHAPE, tpu.f16)
    k.tiu.add(b, a, a)


@tpu.kernel
def computes_in_ddr(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local(SHAPE, x.dtype)
    k.tiu.abs(a, x)  # pyright: ignore[reportArgumentType]


@tpu.kernel
def mixes_shapes(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for w0 in k.pipeline(0, 8, 4):
        a, b = k.local((1, 4, 2, 4), x.dtype), k.local((1, 4, 2, 3), x.dtype)
        k.dma.load(a, x[:, :, :, w0 : w0 + 4])
        k.tiu.abs(b, a)


@tpu.kernel
def reads_a_part(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a, b = k.local(SHAPE, x.dtype), k.local((1, 4, 2, 4), x.dtype)
    k.dma.load(a, x)
    k.tiu.exp(b, a[:, :, :, 4:])


@tpu.kernel
def forgets_the_tail(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for w0 in k.pipeline(0, x.shape[3], 3):
        a = k.local((1, 4, 2, 3), x.dtype)
        k.dma.load(a, x[:, :, :, w0 : w0 + 3])


@tpu.kernel
def needs_too_much(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for _ in k.pipeline(2):
        a = k.local((1, 64, 128, 200), x.dtype)
        b = k.local((1, 64, 64, 200), x.dtype)
        k.tiu.fill(a, 0)
        k.tiu.fill(b, 0)


@tpu.kernel
def needs_far_too_much(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local((1, 64, 1, 100000), x.dtype)
    k.tiu.fill(a, 0)


@tpu.kernel
def shares_a_buffer(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local((1, 4, 2, 2), x.dtype)
    for w0 in k.pipeline(0, x.shape[3], 2):
        k.dma.load(a, x[:, :, :, w0 : w0 + 2])
        k.tiu.add(a, a, 1)
        k.dma.store(out[:, :, :, w0 : w0 + 2], a)


@tpu.kernel
def asserts(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    k.assert_(k.chip.lanes > 100, "many lanes")  # noqa: PT009


@tpu.kernel
def leaves_a_part(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local((1, 4, 2, 6), x.dtype)
    k.dma.load(a, x[:, :, :, :6])
    k.dma.store(out[:, :, :, :6], a)


@tpu.kernel
def reads_nothing(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a, b = k.local(SHAPE, x.dtype), k.local(SHAPE, x.dtype)
    k.tiu.abs(b, a)
    k.dma.store(out, b)


@tpu.kernel
def reads_half_of_nothing(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a, b = k.local(SHAPE, x.dtype), k.local(SHAPE, x.dtype)
    for w0 in k.range(0, 8, 4):
        k.dma.load(a[:, :, :, w0 : w0 + 2], x[:, :, :, w0 : w0 + 2])
    for w0 in k.range(0, 8, 4):
        k.tiu.abs(b[:, :, :, w0 : w0 + 4], a[:, :, :, w0 : w0 + 4])
    k.dma.store(out, b)


@tpu.kernel
def races(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a, b = k.local(SHAPE, x.dtype), k.local(SHAPE, x.dtype)
    k.dma.load(a, x)
    k.tiu.fill(b, 0)
    with k.parallel():
        k.tiu.abs(b, a)
        k.dma.store(out, b)


@tpu.kernel
def breaks_a_rule(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a, b = k.local(SHAPE, x.dtype), k.local((1, 4, 2, 1), x.dtype)
    k.dma.load(a, x)
    k.tiu.max_pool2d(b, a, (1, 8), stride=(1, 16))
