"""Convolutions, their transposes, and windows over single channels, against numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.single import COMPACT, PLAIN, WEIGHT, Floats, floats, integers, result, saturated, shifted, windows
from tests.support.effort import examples
from tpukernel.dtypes import Dtype
from tpukernel.isa.rounding import Rounding

FLOATS = (tpu.f32, tpu.f16, tpu.bf16)
BYTES = (tpu.i8, tpu.u8)
LOWEST = {tpu.f32: float(np.finfo(np.float32).min), tpu.f16: -65504.0, tpu.bf16: -(2.0**128 - 2.0**120)}
EPSILON = {tpu.f32: 2.0**-24, tpu.f16: 2.0**-11, tpu.bf16: 2.0**-8}


@dataclass(frozen=True)
class Around:
    """A window with an input that it fits into."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    insert: tuple[int, int]
    size: tuple[int, int]

    def of(self, x: Floats, *, insert: bool = False, pad: float = 0.0, between: float = 0.0) -> Floats:
        inserted = self.insert if insert else (0, 0)
        return windows(x, self.kernel, (1, 1) if insert else self.stride, self.padding, self.dilation, inserted, pad, between)


@st.composite
def around(draw: st.DrawFn) -> Around:
    two = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(two), draw(two), draw(two)
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    insert = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    size = (draw(st.integers(reach[0], reach[0] + 6)), draw(st.integers(reach[1], reach[1] + 9)))
    return Around(kernel, stride, padding, dilation, insert, size)


CHANNELS = st.sampled_from([1, 3, 31, 33, 64, 65])


@given(around(), st.integers(1, 2), CHANNELS, CHANNELS, st.sampled_from(FLOATS), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=examples(13))
def test_conv2d(a: Around, n: int, ic: int, oc: int, dtype: Dtype, bias: bool, transposed: bool) -> None:
    x, weight, offsets = floats((n, ic, *a.size), dtype), floats((oc, ic, *a.kernel), dtype, 1), floats((1, oc, 1, 1), tpu.f32, 2)
    taps = weight.astype(np.float64)
    under = a.of(x.astype(np.float64), insert=transposed)
    wanted = np.einsum("nchwij,ocij->nohw", under, taps[:, :, ::-1, ::-1] if transposed else taps)
    wanted = wanted + (offsets.astype(np.float64)[0] if bias else 0)

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, weights: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        if transposed:
            k.tiu.deconv2d(dst, src, weights, numbers, insert=a.insert, padding=a.padding, dilation=a.dilation)
        else:
            k.tiu.conv2d(dst, src, weights, numbers, stride=a.stride, padding=a.padding, dilation=a.dilation)

    inputs = [(x, PLAIN), (weight, WEIGHT), *([(offsets, COMPACT)] if bias else [])]
    found = result(step, wanted.shape, dtype, *inputs).astype(np.float64)
    bound = np.einsum("nchwij,ocij->nohw", np.abs(under), np.abs(taps)).max() + 4
    count = ic * a.kernel[0] * a.kernel[1] + 1
    np.testing.assert_allclose(found, wanted, rtol=0, atol=bound * (count * EPSILON[tpu.f32] + EPSILON[dtype]))


def test_conv2d_accumulates() -> None:
    x, weight = floats((1, 40, 5, 6), tpu.f16), floats((20, 40, 1, 1), tpu.f16, 1)
    wanted = np.einsum("nchw,oc->nohw", x.astype(np.float64), weight.astype(np.float64)[:, :, 0, 0])

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, weights: tpu.Tile) -> None:
        k.tiu.conv2d(dst, src, weights)
        k.tiu.conv2d(dst, src, weights, accumulate=True)

    found = result(step, wanted.shape, tpu.f32, (x, PLAIN), (weight, WEIGHT))
    np.testing.assert_allclose(found.astype(np.float64), 2 * wanted, rtol=1e-4, atol=1e-4)


def test_convolution_in_groups() -> None:
    groups, ic, oc = 3, 10, 7
    x, weight = floats((2, groups * ic, 6, 5), tpu.f16), floats((groups * oc, ic, 3, 3), tpu.f16, 1)

    def spec(x: tpu.TensorSpec, weight: tpu.TensorSpec) -> tpu.TensorSpec:
        return tpu.TensorSpec((2, weight.shape[0], 6, 5), x.dtype)

    @tpu.kernel(infer=spec)
    def kernel(k: tpu.Builder, x: tpu.In, weight: tpu.In, out: tpu.Out) -> None:
        for g in k.pipeline(groups):
            a, b = k.local((2, ic, 6, 5), x.dtype), k.local((2, oc, 6, 5), x.dtype)
            taps = k.local((oc, ic, 3, 3), x.dtype, layout=WEIGHT.layout)
            k.dma.load(a, x[:, g * ic : g * ic + ic])
            k.dma.load(taps, weight[g * oc : g * oc + oc])
            k.tiu.conv2d(b, a, taps, padding=(1, 1, 1, 1))
            k.dma.store(out[:, g * oc : g * oc + oc], b)

    under = windows(x.astype(np.float64), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)).reshape(2, groups, ic, 6, 5, 3, 3)
    wanted = np.einsum("ngchwij,gocij->ngohw", under, weight.astype(np.float64).reshape(groups, oc, ic, 3, 3))
    np.testing.assert_allclose(kernel(x, weight).astype(np.float64), wanted.reshape(2, groups * oc, 6, 5), rtol=0, atol=0.02)


@given(around(), CHANNELS, CHANNELS, st.sampled_from(BYTES), st.sampled_from(BYTES), st.booleans(), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=examples(13))
def test_conv2d_asym(a: Around, ic: int, oc: int, source: Dtype, weights: Dtype, single: bool, transposed: bool, wide: bool) -> None:
    x, weight = integers((2, ic, *a.size), source), integers((oc, ic, *a.kernel), weights, 1)
    points, pads = integers((1, oc, 1, 1), weights, 2), integers((1, ic, 1, 2), source, 3)
    point, pad, between = (5, 7, 9) if single else (points.astype(np.float64)[0, :, 0, 0], 0.0, 0.0)
    if single:
        under = a.of(x.astype(np.float64), insert=transposed, pad=pad, between=between)
    else:
        one = [
            a.of(x[:, c : c + 1].astype(np.float64), insert=transposed, pad=float(pads[0, c, 0, 0]), between=float(pads[0, c, 0, 1]))
            for c in range(ic)
        ]
        under = np.concatenate(one, 1)
    taps = weight.astype(np.float64) - (point if single else np.asarray(point)[:, None, None, None])
    wanted = np.einsum("nchwij,ocij->nohw", under, taps[:, :, ::-1, ::-1] if transposed else taps)
    dtype = tpu.i32 if wide else tpu.i16

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, taps: tpu.Tile, points: tpu.Tile | int = 5, pads: tpu.Tile | int = 7) -> None:
        if transposed:
            k.tiu.deconv2d_asym(
                dst, src, taps, insert=a.insert, zero_point=points, pad_value=pads, insert_value=9, padding=a.padding, dilation=a.dilation
            )
        else:
            k.tiu.conv2d_asym(dst, src, taps, zero_point=points, pad_value=pads, stride=a.stride, padding=a.padding, dilation=a.dilation)

    inputs = [(x, PLAIN), (weight, WEIGHT), *([] if single else [(points, COMPACT), (pads, COMPACT)])]
    np.testing.assert_array_equal(result(step, wanted.shape, dtype, *inputs), saturated(wanted, dtype))


@given(
    around(), CHANNELS, CHANNELS, st.sampled_from(BYTES), st.sampled_from(BYTES), st.booleans(), st.booleans(), st.booleans(), st.booleans()
)
@settings(deadline=None, max_examples=examples(13))
def test_conv2d_sym(
    a: Around, ic: int, oc: int, source: Dtype, weights: Dtype, bias: bool, relu: bool, transposed: bool, wide: bool
) -> None:
    x, weight, offsets = integers((2, ic, *a.size), source), integers((oc, ic, *a.kernel), weights, 1), integers((1, oc, 1, 1), tpu.i16, 2)
    taps = weight.astype(np.float64)
    sums = np.einsum("nchwij,ocij->nohw", a.of(x.astype(np.float64), insert=transposed), taps[:, :, ::-1, ::-1] if transposed else taps)
    sums = sums.astype(np.int64) + (offsets.astype(np.int64)[0] if bias else 0)
    signed = (source.is_signed or weights.is_signed or bias) and not relu
    dtype = {(True, True): tpu.i16, (True, False): tpu.i8, (False, True): tpu.u16, (False, False): tpu.u8}[signed, wide]
    wanted = saturated(shifted(np.maximum(sums, 0) if relu else sums, 6), dtype)

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, taps: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        if transposed:
            k.tiu.deconv2d_sym(dst, src, taps, numbers, insert=a.insert, right_shift=6, relu=relu, padding=a.padding, dilation=a.dilation)
        else:
            k.tiu.conv2d_sym(dst, src, taps, numbers, right_shift=6, relu=relu, stride=a.stride, padding=a.padding, dilation=a.dilation)

    inputs = [(x, PLAIN), (weight, WEIGHT), *([(offsets, COMPACT)] if bias else [])]
    np.testing.assert_array_equal(result(step, wanted.shape, dtype, *inputs), wanted)


# ---------------------------------------------------------------------------- single channels


@given(around(), CHANNELS, st.sampled_from(FLOATS), st.booleans(), st.sampled_from(["plain", "inserted", "transposed"]))
@settings(deadline=None, max_examples=examples(13))
def test_depthwise2d(a: Around, c: int, dtype: Dtype, bias: bool, form: str) -> None:
    x, weight, offsets = floats((2, c, *a.size), dtype), floats((1, c, *a.kernel), dtype, 1), floats((1, c, 1, 1), dtype, 2)
    taps = weight.astype(np.float64)[0]
    wide = x.astype(np.float64)
    if form == "inserted":
        under = windows(wide, a.kernel, a.stride, a.padding, a.dilation, a.insert)
    else:
        under = a.of(wide, insert=form == "transposed")
    wanted = np.einsum("nchwij,cij->nchw", under, taps[:, ::-1, ::-1] if form == "transposed" else taps)
    wanted = wanted + (offsets.astype(np.float64)[0] if bias else 0)

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, taps: tpu.Tile, numbers: tpu.Tile | None = None) -> None:
        if form == "transposed":
            k.tiu.depthwise_deconv2d(dst, src, taps, numbers, insert=a.insert, padding=a.padding, dilation=a.dilation)
        else:
            insert = a.insert if form == "inserted" else (0, 0)
            k.tiu.depthwise2d(dst, src, taps, numbers, stride=a.stride, padding=a.padding, dilation=a.dilation, insert=insert)

    found = result(step, wanted.shape, dtype, (x, PLAIN), (weight, COMPACT), *([(offsets, COMPACT)] if bias else []))
    np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=0, atol=40 * 11 * EPSILON[dtype])


@given(
    around(),
    CHANNELS,
    st.sampled_from(BYTES),
    st.sampled_from(BYTES),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["plain", "transposed"]),
    st.sampled_from(["number", "tensor"]),
    st.integers(0, 2),
)
@settings(deadline=None, max_examples=examples(15))
def test_depthwise2d_int(a: Around, c: int, source: Dtype, weights: Dtype, bias: bool, relu: bool, form: str, pads: str, size: int) -> None:
    x, weight = integers((2, c, *a.size), source), integers((1, c, *a.kernel), weights, 1)
    offsets, around_it = integers((1, c, 1, 1), tpu.i32, 2, -4000, 4000), integers((1, c, 1, 2), source, 3)
    transposed = form == "transposed"

    def under(channel: int) -> Floats:
        pad, between = (3.0, 0.0) if pads == "number" else (float(around_it[0, channel, 0, 0]), float(around_it[0, channel, 0, 1]))
        return a.of(x[:, channel : channel + 1].astype(np.float64), insert=transposed, pad=pad, between=between)

    taps = weight.astype(np.float64)[0]
    sums = np.einsum("nchwij,cij->nchw", np.concatenate([under(i) for i in range(c)], 1), taps[:, ::-1, ::-1] if transposed else taps)
    sums = sums.astype(np.int64) + (offsets.astype(np.int64)[0] if bias else 0)
    signed = (source.is_signed or weights.is_signed or bias) and not relu
    dtype = ((tpu.i8, tpu.i16, tpu.i32) if signed else (tpu.u8, tpu.u16, tpu.u32))[size]
    wanted = saturated(shifted(np.maximum(sums, 0) if relu else sums, 4), dtype)

    def step(k: tpu.Builder, dst: tpu.Tile, src: tpu.Tile, taps: tpu.Tile, *rest: tpu.Tile) -> None:
        numbers = rest[0] if bias else None
        pad: tpu.Tile | int = 3 if pads == "number" else rest[-1]
        if transposed:
            k.tiu.depthwise_deconv2d_int(
                dst, src, taps, numbers, insert=a.insert, right_shift=4, relu=relu, pad_value=pad, padding=a.padding, dilation=a.dilation
            )
        else:
            k.tiu.depthwise2d_int(
                dst, src, taps, numbers, right_shift=4, relu=relu, pad_value=pad, stride=a.stride, padding=a.padding, dilation=a.dilation
            )

    inputs = [(x, PLAIN), (weight, COMPACT), *([(offsets, COMPACT)] if bias else []), *([] if pads == "number" else [(around_it, COMPACT)])]
    np.testing.assert_array_equal(result(step, wanted.shape, dtype, *inputs), wanted)


def test_depthwise2d_int_with_a_number_for_all_taps() -> None:
    x = integers((1, 70, 5, 6), tpu.i8)
    wanted = shifted(-3 * windows(x.astype(np.float64), (2, 2), (1, 1), (0, 0, 0, 0), (1, 1)).sum((4, 5)).astype(np.int64), 1)
    found = result(lambda k, dst, src: k.tiu.depthwise2d_int(dst, src, -3, kernel=(2, 2), right_shift=1), wanted.shape, tpu.i32, (x, PLAIN))
    np.testing.assert_array_equal(found, wanted)


@given(around(), CHANNELS, st.sampled_from([*FLOATS, *BYTES]))
@settings(deadline=None, max_examples=examples(13))
def test_max_pool2d(a: Around, c: int, dtype: Dtype) -> None:
    x = floats((2, c, *a.size), dtype) if dtype.is_float else integers((2, c, *a.size), dtype)
    lowest = -np.inf if dtype.is_float else float(dtype.limits[0])
    wanted = a.of(x.astype(np.float64), pad=lowest).max((4, 5))
    if dtype.is_float:  # nothing but padding
        wanted = np.maximum(wanted, LOWEST[dtype])
    found = result(
        lambda k, dst, src: k.tiu.max_pool2d(dst, src, a.kernel, stride=a.stride, padding=a.padding, dilation=a.dilation),
        wanted.shape,
        dtype,
        (x, PLAIN),
    )
    np.testing.assert_array_equal(found.astype(np.float64), wanted)


@given(around(), CHANNELS, st.sampled_from(FLOATS), st.booleans())
@settings(deadline=None, max_examples=examples(13))
def test_avg_pool2d(a: Around, c: int, dtype: Dtype, inserted: bool) -> None:
    x, insert = floats((2, c, *a.size), dtype), a.insert if inserted else (0, 0)
    wanted = windows(x.astype(np.float64), a.kernel, a.stride, a.padding, a.dilation, insert).sum((4, 5)) / 4
    found = result(
        lambda k, dst, src: k.tiu.avg_pool2d(
            dst, src, a.kernel, 0.25, stride=a.stride, padding=a.padding, dilation=a.dilation, insert=insert
        ),
        wanted.shape,
        dtype,
        (x, PLAIN),
    )
    np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=0, atol=40 * EPSILON[dtype])


@given(around(), CHANNELS, st.sampled_from(BYTES), st.booleans(), st.integers(0, 2))
@settings(deadline=None, max_examples=examples(13))
def test_avg_pool2d_int(a: Around, c: int, source: Dtype, inserted: bool, size: int) -> None:
    x, insert = integers((2, c, *a.size), source), a.insert if inserted else (0, 0)
    dtype = ((tpu.i8, tpu.i16, tpu.i32) if source.is_signed else (tpu.u8, tpu.u16, tpu.u32))[size]
    sums = windows(x.astype(np.float64), a.kernel, a.stride, a.padding, a.dilation, insert).sum((4, 5)).astype(np.int64)
    wanted = saturated(shifted(57 * sums, 8), dtype)
    found = result(
        lambda k, dst, src: k.tiu.avg_pool2d_int(
            dst, src, a.kernel, 57, right_shift=8, stride=a.stride, padding=a.padding, dilation=a.dilation, insert=insert
        ),
        wanted.shape,
        dtype,
        (x, PLAIN),
    )
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [*FLOATS, *BYTES])
def test_regions(dtype: Dtype) -> None:
    x = floats((2, 5, 8, 9), dtype) if dtype.is_float else integers((2, 5, 8, 9), dtype)
    regions = np.array([[0, 0, 3, 4], [2, 1, 3, 2], [5, 3, 8, 7]], np.uint16)  # x and y of the first and of the last element
    wide, kernel = x.astype(np.float64), (3, 2)
    picked = np.zeros((2, 5, 3, *kernel))
    for number, (left, top, right, bottom) in enumerate(regions.astype(int)):
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                inside = top + i <= bottom and left + j <= right
                picked[:, :, number, i, j] = wide[:, :, top + i, left + j] if inside else 1
    inputs = (x, PLAIN), (regions.reshape(1, 3, 1, 4), COMPACT)
    found = result(lambda k, dst, src, roi: k.tiu.roi_max_pool2d(dst, src, roi, kernel, 1), (2, 5, 1, 3), dtype, *inputs)
    np.testing.assert_array_equal(found.astype(np.float64)[:, :, 0], picked.max((3, 4)))
    sums = dtype if dtype.is_float else tpu.i16 if dtype.is_signed else tpu.u16
    scale = 0.5 if dtype.is_float else 2
    found = result(lambda k, dst, src, roi: k.tiu.roi_avg_pool2d(dst, src, roi, kernel, scale, 1), (2, 5, 1, 3), sums, *inputs)
    np.testing.assert_allclose(found.astype(np.float64)[:, :, 0], picked.sum((3, 4)) * scale, rtol=0, atol=20 * EPSILON.get(dtype, 0))


@pytest.mark.parametrize("dtype", BYTES)
def test_sums_of_integers(dtype: Dtype) -> None:
    x = integers((2, 66, 3, 50), dtype)
    found = result(lambda k, dst, src: k.tiu.reduce_sum(dst, src, "hw"), (2, 66, 1, 1), tpu.i32 if dtype.is_signed else tpu.u32, (x, PLAIN))
    np.testing.assert_array_equal(found, x.astype(np.int64).sum((2, 3), keepdims=True))


def test_rounding_of_the_shift() -> None:
    x = integers((1, 3, 4, 5), tpu.i8)
    found = result(
        lambda k, dst, src: k.tiu.depthwise2d_int(dst, src, 1, right_shift=1, rounding=Rounding.DOWN), (1, 3, 4, 5), tpu.i8, (x, PLAIN)
    )
    np.testing.assert_array_equal(found, x.astype(np.int64) >> 1)
