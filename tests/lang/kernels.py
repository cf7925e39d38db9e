"""Kernels of the tests, as a user would write them."""

from __future__ import annotations

import tpukernel as tpu
from tpukernel.chips.tensors import Layout
from tpukernel.isa.rounding import Rounding


@tpu.kernel
def abs_add(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, c: float, tile_w: int = 1024, buffers: int = 2) -> None:
    n, ch, h, w = x.shape
    for c0 in k.range(0, ch, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, ch - c0)
        for w0 in k.pipeline(0, w, tile_w, buffers=buffers):
            ws = tpu.minimum(tile_w, w - w0)
            a, b, d = (k.local((n, cs, h, ws), x.dtype) for _ in range(3))
            k.dma.load(a, x[:, c0 : c0 + cs, :, w0 : w0 + ws])
            k.tiu.abs(b, a)
            k.tiu.add(d, b, c)
            k.dma.store(out[:, c0 : c0 + cs, :, w0 : w0 + ws], d)


@tpu.kernel
def axpy(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out, *, alpha: float, tile_w: int = 64) -> None:
    n, c, h, w = x.shape
    for c0 in k.range(0, c, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, c - c0)
        for w0 in k.pipeline(0, w, tile_w, buffers=2):
            ws = tpu.minimum(tile_w, w - w0)
            tile = (n, cs, h, ws)
            a, b = k.local(tile, x.dtype), k.local(tile, x.dtype)
            scaled, total = k.local(tile, x.dtype), k.local(tile, x.dtype)
            k.dma.load(a, x[:, c0 : c0 + cs, :, w0 : w0 + ws])
            k.dma.load(b, y[:, c0 : c0 + cs, :, w0 : w0 + ws])
            k.tiu.mul(scaled, a, alpha)
            k.tiu.add(total, scaled, b)
            k.dma.store(out[:, c0 : c0 + cs, :, w0 : w0 + ws], total)


@tpu.kernel
def scale_bias_relu(k: tpu.Builder, x: tpu.In, scale: tpu.In, bias: tpu.In, out: tpu.Out) -> None:
    n, c, h, w = x.shape
    for c0 in k.range(0, c, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, c - c0)
        factors = k.local((1, cs, 1, 1), x.dtype, layout=Layout.COMPACT)
        offsets = k.local((1, cs, 1, 1), x.dtype, layout=Layout.COMPACT)
        k.dma.load(factors, scale[c0 : c0 + cs])
        k.dma.load(offsets, bias[c0 : c0 + cs])
        for n0 in k.pipeline(n):
            a, b, d = (k.local((1, cs, h, w), x.dtype) for _ in range(3))
            k.dma.load(a, x[n0 : n0 + 1, c0 : c0 + cs])
            k.tiu.scale_bias(b, a, factors, offsets)
            k.tiu.relu(d, b)
            k.dma.store(out[n0 : n0 + 1, c0 : c0 + cs], d)


def product_spec(left: tpu.TensorSpec, right: tpu.TensorSpec, **_: object) -> tpu.TensorSpec:
    return tpu.TensorSpec((left.shape[0], right.shape[1]), tpu.f32)


@tpu.kernel(infer=product_spec)
def matmul(k: tpu.Builder, left: tpu.In, right: tpu.In, out: tpu.Out, *, tile_m: int = 32, tile_k: int = 32, tile_n: int = 96) -> None:
    (m, depth), (_, n) = left.shape, right.shape
    for m0 in k.range(0, m, tile_m):
        ms = tpu.minimum(tile_m, m - m0)
        for n0 in k.range(0, n, tile_n):
            ns = tpu.minimum(tile_n, n - n0)
            acc = k.matrix(ms, ns, tpu.f32, over_lanes="columns" if left.dtype == tpu.f32 else "rows")
            for k0 in k.pipeline(0, depth, tile_k):
                ks = tpu.minimum(tile_k, depth - k0)
                a, b = k.matrix(ms, ks, left.dtype), k.matrix(ks, ns, left.dtype)
                k.dma.load(a, left[m0 : m0 + ms, k0 : k0 + ks])
                k.dma.load(b, right[k0 : k0 + ks, n0 : n0 + ns], fill=0)
                k.tiu.matmul(acc, a, b, accumulate=k0 > 0)
            k.dma.store(out[m0 : m0 + ms, n0 : n0 + ns], acc)


@tpu.kernel
def softmax(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    """Over the last axis of (rows, columns): rows over the lanes."""
    rows, columns = x.shape
    for r0 in k.pipeline(0, rows, k.chip.lanes):
        rs = tpu.minimum(k.chip.lanes, rows - r0)
        shape, one = (1, rs, 1, columns), (1, rs, 1, 1)
        a, result = k.local(shape, tpu.f32), k.local(shape, tpu.f32)
        shifted, powers = k.scratch(shape, tpu.f32), k.scratch(shape, tpu.f32)
        largest, total, inverse = (k.scratch(one, tpu.f32) for _ in range(3))
        k.dma.load(a, x[r0 : r0 + rs])
        k.tiu.reduce_max(largest, a)
        k.tiu.sub(shifted, a, largest)
        k.tiu.exp(powers, shifted)
        k.tiu.reduce_sum(total, powers)
        k.tiu.reciprocal(inverse, total)
        k.tiu.mul(result, powers, inverse)
        k.dma.store(out[r0 : r0 + rs], result)


def conv_spec(x: tpu.TensorSpec, weight: tpu.TensorSpec, bias: tpu.TensorSpec, **_: object) -> tpu.TensorSpec:
    return tpu.TensorSpec((x.shape[0], weight.shape[0], *x.shape[2:]), x.dtype)


@tpu.kernel(infer=conv_spec)
def conv3x3(k: tpu.Builder, x: tpu.In, weight: tpu.In, bias: tpu.In, out: tpu.Out) -> None:
    n, ic, h, w = x.shape
    oc = weight.shape[0]
    kernel = k.local((oc, ic, 3, 3), x.dtype, layout=Layout.WEIGHT)
    offsets = k.local((1, oc, 1, 1), tpu.f32, layout=Layout.COMPACT)
    k.dma.load(kernel, weight)
    k.dma.load(offsets, bias)
    for n0 in k.pipeline(n):
        a, b = k.local((1, ic, h, w), x.dtype), k.local((1, oc, h, w), x.dtype)
        k.dma.load(a, x[n0 : n0 + 1])
        k.tiu.conv2d(b, a, kernel, offsets, padding=(1, 1, 1, 1))
        k.dma.store(out[n0 : n0 + 1], b)


@tpu.kernel
def in_place_add(k: tpu.Builder, x: tpu.InOut, *, c: float) -> None:
    """One buffer that is loaded, changed in place and stored, and a tensor that is read and written."""
    _, c_size, _, w = x.shape
    for w0 in k.pipeline(0, w, 8, buffers=2):
        ws = tpu.minimum(8, w - w0)
        a = k.local((1, c_size, 1, ws), x.dtype)
        k.dma.load(a, x[:, :, :, w0 : w0 + ws])
        k.tiu.add(a, a, c)
        k.dma.store(x[:, :, :, w0 : w0 + ws], a)


def requantise_spec(x: tpu.TensorSpec, **_: object) -> tpu.TensorSpec:
    return tpu.TensorSpec(x.shape, tpu.i8)


@tpu.kernel(infer=requantise_spec)
def halve_to_i8(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    """i32 to i8: half of it, rounded and limited."""
    n, c, h, w = x.shape
    for n0 in k.pipeline(n):
        a, b = k.local((1, c, h, w), x.dtype), k.local((1, c, h, w), tpu.i8)
        k.dma.load(a, x[n0 : n0 + 1])
        k.tiu.add(b, a, 0, shift=-1, rounding=Rounding.HALF_UP)
        k.dma.store(out[n0 : n0 + 1], b)
