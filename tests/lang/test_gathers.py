"""Gather, scatter and select inside the lanes and by the DMA, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.single import COMPACT, LINES, PLAIN, Array, Floats, Place, Step, floats, integers, result
from tests.support.effort import examples
from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import Dtype
from tpukernel.lang import Global, Tensor
from tpukernel.lang.gathers import Missing

CHANNELS = st.sampled_from([1, 5, 64, 65])
DTYPES = st.sampled_from([tpu.f32, tpu.f16, tpu.i8])
INDICES = st.sampled_from([tpu.u8, tpu.u16])
MISSING = st.sampled_from([None, "keep", 7])


def numbers(shape: tuple[int, ...], dtype: Dtype, seed: int = 0) -> Array:
    return floats(shape, dtype, seed) if dtype.is_float else integers(shape, dtype, seed)


def holes(index: Array, missing: Missing) -> Array:
    """Some indices with all bits set, where that is allowed."""
    found = index.copy()
    if missing is not None:
        found.reshape(-1)[::3] = np.iinfo(index.dtype).max
    return found


def replaced(picked: Array, index: Array, before: Array, missing: Missing) -> Array:
    """The result, with what `missing` says where an index names nothing."""
    absent = np.broadcast_to(index == np.iinfo(index.dtype).max, picked.shape)
    if missing is None:
        return picked
    return np.where(absent, before if missing == "keep" else np.asarray(missing, picked.dtype), picked)


@given(CHANNELS, st.integers(1, 50), st.integers(1, 50), DTYPES, INDICES, MISSING)
@settings(deadline=None, max_examples=examples(8))
def test_w_gather(c: int, w: int, many: int, dtype: Dtype, kind: Dtype, missing: Missing) -> None:
    param, before = numbers((2, c, 1, many), dtype), numbers((2, c, 1, w), dtype, 1)
    index = holes(integers((1, w, 1, 1), kind, 2, 0, many - 1), missing)
    place = index[0, :, 0, 0]
    picked = np.take(param, np.minimum(place, many - 1), 3)
    found = result(
        lambda k, dst, x, i: k.tiu.w_gather(dst, x, i, missing=missing),
        (2, c, 1, w),
        dtype,
        (param, PLAIN),
        (index, COMPACT),
        before=before,
    )
    np.testing.assert_array_equal(found, replaced(picked, place, before, missing))


@given(CHANNELS, st.integers(1, 20), st.integers(20, 50), DTYPES, INDICES)
@settings(deadline=None, max_examples=examples(8))
def test_w_scatter(c: int, w: int, many: int, dtype: Dtype, kind: Dtype) -> None:
    param, before, index = numbers((2, c, 1, w), dtype), numbers((2, c, 1, many), dtype, 1), integers((1, w, 1, 1), kind, 2, 0, many - 1)
    wanted = before.copy()
    for i, place in enumerate(index[0, :, 0, 0]):
        wanted[..., place] = param[..., i]
    found = result(lambda k, dst, x, i: k.tiu.w_scatter(dst, x, i), before.shape, dtype, (param, PLAIN), (index, COMPACT), before=before)
    np.testing.assert_array_equal(found, wanted)


@given(CHANNELS, st.integers(1, 40), DTYPES, MISSING)
@settings(deadline=None, max_examples=examples(8))
def test_hw_gather_and_scatter(c: int, count: int, dtype: Dtype, missing: Missing) -> None:
    param, before = numbers((2, c, 5, 7), dtype), numbers((2, c, 1, count), dtype, 1)
    columns, rows = integers((count,), tpu.u16, 2, 0, 6), integers((count,), tpu.u16, 3, 0, 4)
    pairs = np.stack([holes(columns, missing), rows], 1).reshape(1, count, 1, 2)
    picked = param[:, :, rows, columns][:, :, None]
    found = result(
        lambda k, dst, x, i: k.tiu.hw_gather(dst, x, i, missing=missing),
        before.shape,
        dtype,
        (param, PLAIN),
        (pairs, COMPACT),
        before=before,
    )
    np.testing.assert_array_equal(found, replaced(picked, pairs[0, :, 0, 0], before, missing))
    wanted = param.copy()
    for i in range(count):
        wanted[:, :, rows[i], columns[i]] = before[:, :, 0, i]
    pairs = np.stack([columns, rows], 1).reshape(1, count, 1, 2)
    found = result(lambda k, dst, x, i: k.tiu.hw_scatter(dst, x, i), param.shape, dtype, (before, PLAIN), (pairs, COMPACT), before=param)
    np.testing.assert_array_equal(found, wanted)


@given(CHANNELS, st.integers(1, 30), st.integers(1, 30), DTYPES, INDICES, MISSING, st.booleans())
@settings(deadline=None, max_examples=examples(10))
def test_batch_w_gather(c: int, w: int, many: int, dtype: Dtype, kind: Dtype, missing: Missing, repeated: bool) -> None:
    param, before = numbers((1, 1 if repeated else c, 1, many), dtype), numbers((2, c, 1, w), dtype, 1)
    index = holes(integers((2, c, 1, w), kind, 2, 0, many - 1), missing)
    whole = np.broadcast_to(param, (2, c, 1, many))
    picked = np.take_along_axis(whole, np.minimum(index, many - 1).astype(np.int64), 3)
    found = result(
        lambda k, dst, x, i: k.tiu.batch_w_gather(dst, x, i, repeated=repeated, missing=missing),
        before.shape,
        dtype,
        (param, Place(repeated=min(c, 64)) if repeated else PLAIN),
        (index, PLAIN),
        before=before,
    )
    np.testing.assert_array_equal(found, replaced(picked, index, before, missing))


@given(CHANNELS, st.integers(1, 20), st.integers(1, 30), DTYPES, INDICES, st.booleans())
@settings(deadline=None, max_examples=examples(8))
def test_batch_w_scatter(c: int, w: int, many: int, dtype: Dtype, kind: Dtype, repeated: bool) -> None:
    param, before = numbers((1, 1 if repeated else c, 1, w), dtype), numbers((2, c, 1, many), dtype, 1)
    index = integers((2, c, 1, w), kind, 2, 0, many - 1)
    wanted = before.copy()
    whole = np.broadcast_to(param, (2, c, 1, w))
    for i in range(w):
        np.put_along_axis(wanted, index[..., i : i + 1].astype(np.int64), whole[..., i : i + 1], 3)
    found = result(
        lambda k, dst, x, i: k.tiu.batch_w_scatter(dst, x, i, repeated=repeated),
        before.shape,
        dtype,
        (param, Place(repeated=min(c, 64)) if repeated else PLAIN),
        (index, PLAIN),
        before=before,
    )
    np.testing.assert_array_equal(found, wanted)


@given(CHANNELS, st.integers(1, 6), st.integers(1, 9), st.integers(1, 20), DTYPES, INDICES, st.booleans())
@settings(deadline=None, max_examples=examples(8))
def test_lines(c: int, h: int, many: int, w: int, dtype: Dtype, kind: Dtype, repeated: bool) -> None:
    param, index = numbers((1, 1 if repeated else c, many, w), dtype), integers((2, c, h, 1), kind, 2, 0, many - 1)
    place = Place(Layout.LINE_ALIGNED, repeated=min(c, 64)) if repeated else LINES
    whole = np.broadcast_to(param, (2, c, many, w))
    found = result(
        lambda k, dst, x, i: k.tiu.batch_h_gather(dst, x, i, repeated=repeated),
        (2, c, h, w),
        dtype,
        (param, place),
        (index, PLAIN),
        place=LINES,
    )
    np.testing.assert_array_equal(found, np.take_along_axis(whole, index.astype(np.int64), 2))
    before, index = numbers((2, c, h, w), dtype, 1), integers((2, c, many, 1), kind, 3, 0, h - 1)
    wanted = before.copy()
    for i in range(many):
        np.put_along_axis(wanted, index[:, :, i : i + 1].astype(np.int64), whole[:, :, i : i + 1], 2)
    found = result(
        lambda k, dst, x, i: k.tiu.batch_h_scatter(dst, x, i, repeated=repeated),
        before.shape,
        dtype,
        (param, place),
        (index, PLAIN),
        place=LINES,
        before=before,
    )
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("repeated", [False, True])
def test_mask_select(repeated: bool) -> None:
    c, w = 66, 40
    param, before = floats((1, 1 if repeated else c, 1, w), tpu.f32), floats((2, c, 1, w), tpu.f32, 1)
    mask = integers((2, c, 1, w), tpu.u8, 2, 0, 1)
    place = Place(repeated=64) if repeated else PLAIN
    whole, wanted = np.broadcast_to(param, (2, c, 1, w)), before.copy()
    counts = mask.sum(3, keepdims=True)
    for n, channel in np.ndindex(2, c):
        picked = whole[n, channel, 0][mask[n, channel, 0] != 0]
        wanted[n, channel, 0, : picked.size] = picked

    def step(k: tpu.Builder, dst: tpu.Tile, x: tpu.Tile, chosen: tpu.Tile) -> None:
        k.tiu.mask_select(dst, k.local((2, c, 1, 1), tpu.u16, layout=Layout.COMPACT), x, chosen, repeated=repeated)

    found = result(step, before.shape, tpu.f32, (param, place), (mask, PLAIN), before=before)
    np.testing.assert_array_equal(found, wanted)

    def count(k: tpu.Builder, dst: tpu.Tile, x: tpu.Tile, chosen: tpu.Tile) -> None:
        k.tiu.mask_select(k.local((2, c, 1, w), tpu.f32), dst, x, chosen, repeated=repeated)

    found = result(count, (2, c, 1, 1), tpu.u16, (param, place), (mask, PLAIN), place=COMPACT)
    np.testing.assert_array_equal(found, counts)


@pytest.mark.parametrize("kind", [tpu.u8, tpu.u16])
def test_lookup(kind: Dtype) -> None:
    table, x = floats((1, 1, 1, 200), tpu.f16), integers((2, 66, 3, 5), kind, 1, 0, 199)
    found = result(lambda k, dst, src, numbers: k.tiu.lookup(dst, src, numbers), x.shape, tpu.f16, (x, PLAIN), (table, Place(repeated=64)))
    np.testing.assert_array_equal(found, table[0, 0, 0][x])


def test_selection_of_two_results() -> None:
    a, b, x, y = (floats((2, 66, 3, 5), tpu.f32, seed) for seed in range(4))
    inputs = [(each, PLAIN) for each in (a, b, x, y)]
    for name, better in (("max_select", a > b), ("min_select", a < b)):

        def chosen(k: tpu.Builder, dst: tpu.Tile, *tiles: tpu.Tile, name: str = name) -> None:
            spare = k.local(dst.shape, tpu.f32)
            (k.tiu.max_select if name == "max_select" else k.tiu.min_select)(spare, dst, *tiles)

        def best(k: tpu.Builder, dst: tpu.Tile, *tiles: tpu.Tile, name: str = name) -> None:
            spare = k.local(dst.shape, tpu.f32)
            (k.tiu.max_select if name == "max_select" else k.tiu.min_select)(dst, spare, *tiles)

        np.testing.assert_array_equal(result(chosen, a.shape, tpu.f32, *inputs), np.where(better, x, y))
        np.testing.assert_array_equal(result(best, a.shape, tpu.f32, *inputs), np.where(better, a, b))


@pytest.mark.parametrize("place", [COMPACT, PLAIN])
def test_channel_iota(place: Place) -> None:
    found = result(lambda k, dst: k.tiu.channel_iota(dst, start=3, step=2), (1, 130, 1, 1), tpu.i32, place=place)
    np.testing.assert_array_equal(found[0, :, 0, 0], 3 + 2 * np.arange(130))


@pytest.mark.parametrize("dtype", [tpu.f32, tpu.f16, tpu.bf16])
def test_squares_and_scales(dtype: Dtype) -> None:
    x, bias = floats((2, 66, 3, 5), dtype), floats((1, 66, 1, 1), dtype, 1)
    wide, offsets = x.astype(np.float64), bias.astype(np.float64)
    steps = {tpu.f32: 2.0**-22, tpu.f16: 2.0**-9, tpu.bf16: 2.0**-6}[dtype]
    cases: dict[str, tuple[Step, Floats]] = {
        "add": (lambda k, dst, src, numbers: k.tiu.add_square(dst, src, numbers), (wide + offsets) ** 2),
        "sub": (lambda k, dst, src, numbers: k.tiu.sub_square(dst, src, numbers), (wide - offsets) ** 2),
        "add number": (lambda k, dst, src, numbers: k.tiu.add_square(dst, src, 1.5), (wide + 1.5) ** 2),
        "sub number": (lambda k, dst, src, numbers: k.tiu.sub_square(dst, src, 1.5), (wide - 1.5) ** 2),
        "line": (lambda k, dst, src, numbers: k.tiu.scale_bias_constant(dst, src, 0.5, 1.5), wide * 0.5 + 1.5),
    }
    for step, wanted in cases.values():
        found = result(step, x.shape, dtype, (x, PLAIN), (bias, COMPACT)).astype(np.float64)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=steps * np.abs(wanted).max())


# ---------------------------------------------------------------------------- by the DMA


@pytest.mark.parametrize("dst_local", [False, True])
@pytest.mark.parametrize("param_local", [False, True])
@pytest.mark.parametrize("index_local", [False, True])
def test_dma_gather_and_scatter(dst_local: bool, param_local: bool, index_local: bool) -> None:
    c, h, many, w = 5, 7, 9, 20
    param, index = floats((1, c, many, w), tpu.f16), integers((1, c, h, 1), tpu.u32, 1, 0, many + 1)
    lines, before = floats((1, c, h, w), tpu.f16, 2), floats((1, c, many, w), tpu.f16, 3)
    places = np.minimum(index, many - 1)

    def specs(*_inputs: tpu.TensorSpec) -> list[tpu.TensorSpec]:
        return [tpu.TensorSpec((1, c, h, w), tpu.f16)]

    @tpu.kernel(infer=specs)
    def kernel(k: tpu.Builder, param: tpu.In, index: tpu.In, places: tpu.In, lines: tpu.In, scattered: tpu.InOut, out: tpu.Out) -> None:
        def there(x: Global, local: bool) -> Tensor:
            if not local:
                return x
            buffer = k.local(x.shape, x.dtype)
            k.dma.load(buffer, x)
            return buffer

        picked = k.local(out.shape, out.dtype) if dst_local else out
        k.dma.gather(picked, there(param, param_local), there(index, index_local), missing=1.5)
        if isinstance(picked, tpu.Tile):
            k.dma.store(out, picked)
        target = there(scattered, dst_local)
        k.dma.scatter(target, there(lines, param_local), there(places, index_local))
        if isinstance(target, tpu.Tile):
            k.dma.store(scattered, target)

    found = kernel.run(param, index, places, lines, before)
    picked = np.take_along_axis(param, places.astype(np.int64), 2)
    np.testing.assert_array_equal(found["out"], np.where(index < many, picked, np.float16(1.5)))
    wanted = before.copy()
    for i in range(h):
        np.put_along_axis(wanted, places[:, :, i : i + 1].astype(np.int64), lines[:, :, i : i + 1], 2)
    np.testing.assert_array_equal(found["scattered"], wanted)


@pytest.mark.parametrize("local", [False, True])
def test_dma_selection(local: bool) -> None:
    x, mask = floats((2, 5, 3, 7), tpu.f32), integers((2, 5, 3, 7), tpu.u8, 1, 0, 1)

    def specs(x: tpu.TensorSpec, *_rest: tpu.TensorSpec) -> list[tpu.TensorSpec]:
        return [tpu.TensorSpec((1, 1, 1, 210), x.dtype), tpu.TensorSpec((1, 1, 1, 210), tpu.u32)]

    @tpu.kernel(infer=specs)
    def kernel(k: tpu.Builder, x: tpu.In, mask: tpu.In, picked: tpu.Out, places: tpu.Out) -> None:
        k.dma.fill(picked, 7)
        k.dma.fill(places, 7)
        if local:
            a, b = k.local(x.shape, x.dtype), k.local(mask.shape, mask.dtype)
            k.dma.load(a, x)
            k.dma.load(b, mask)
            k.dma.mask_select(picked, a, b)
            k.dma.nonzero(places, b, first=100)
        else:
            k.dma.mask_select(picked, x, mask)
            k.dma.nonzero(places, mask, first=100)

    found, count = kernel.run(x, mask), int(mask.sum())
    wanted = np.full((2, 210), 7.0)
    wanted[0, :count], wanted[1, :count] = x[mask != 0], 100 + np.flatnonzero(mask)
    np.testing.assert_array_equal(found["picked"].reshape(-1), wanted[0].astype(np.float32))
    np.testing.assert_array_equal(found["places"].reshape(-1), wanted[1])


@given(st.integers(1, 70), st.integers(1, 130), st.sampled_from([tpu.f32, tpu.f16, tpu.i8]))
@settings(deadline=None, max_examples=examples(5))
def test_transposed_loads_and_stores(rows: int, columns: int, dtype: Dtype) -> None:
    def specs(x: tpu.TensorSpec) -> tpu.TensorSpec:
        return tpu.TensorSpec((columns, rows), x.dtype)

    @tpu.kernel(infer=specs)
    def load(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a = k.matrix(columns, rows, x.dtype, over_lanes="columns")
        k.dma.load_transposed(a, x, fill=0)
        k.dma.store(out, a)

    @tpu.kernel(infer=specs)
    def store(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a = k.matrix(rows, columns, x.dtype, over_lanes="columns")
        k.dma.load(a, x)
        k.dma.store_transposed(out, a)

    x = numbers((rows, columns), dtype)
    np.testing.assert_array_equal(load(x), x.T)
    np.testing.assert_array_equal(store(x), x.T)


@given(st.integers(1, 70), st.sampled_from([1, 31, 33, 64, 65]), st.sampled_from([1, 2]), st.sampled_from([tpu.f32, tpu.bf16, tpu.u8]))
@settings(deadline=None, max_examples=examples(5))
def test_packed_weights(oc: int, ic: int, size: int, dtype: Dtype) -> None:
    weight = numbers((oc, ic, size, 3), dtype)
    x = numbers((1, ic, 3, 4), dtype, 1)

    def spec(_x: tpu.TensorSpec, _weight: tpu.TensorSpec) -> tpu.TensorSpec:
        return tpu.TensorSpec((1, oc, 4 - size, 2), tpu.f32 if dtype.is_float else tpu.i32)

    @tpu.kernel(infer=spec)
    def kernel(k: tpu.Builder, x: tpu.In, weight: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, x.dtype), k.local(out.shape, out.dtype)
        taps = k.local((oc, ic, size, 3), x.dtype, layout=Layout.WEIGHT)
        k.dma.load(a, x)
        k.dma.load(taps, weight)
        (k.tiu.conv2d if dtype.is_float else k.tiu.conv2d_asym)(b, a, taps)
        k.dma.store(out, b)

    assert kernel(x, tpu.packed_weights(weight)).tobytes() == kernel(x, weight).tobytes()
