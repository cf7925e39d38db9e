"""Benchmarks of kernels, sweeps, and keywords that are chosen by the cost model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.kernels import abs_add, axpy, matmul
from tests.lang.test_views import SVG, page
from tests.support.effort import examples
from tpukernel.cache import CACHE_FOLDER, default_cache
from tpukernel.lang import KernelIr, tuning
from tpukernel.lang.errors import CallError, SearchSpaceError, ShapeMismatchError, TuningError, UnwrittenBufferError

CACHED = "_cache"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own for each test."""
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "cache"))
    default_cache.cache_clear()
    yield tmp_path / "cache"
    default_cache.cache_clear()


def tiled(traced: list[int] | None = None) -> tpu.Kernel:
    """|x|, a tile of w at a time. `traced` gets the tile each time the kernel is traced."""

    @tpu.kernel
    def tiles(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, tile: int = 32, copies: int = 2) -> None:
        if traced is not None:
            traced.append(tile)
        n, c, h, w = x.shape
        for w0 in k.pipeline(0, w, tile, buffers=copies):
            ws = tpu.minimum(tile, w - w0)
            a, b = k.local((n, c, h, ws), x.dtype), k.local((n, c, h, ws), x.dtype)
            k.dma.load(a, x[:, :, :, w0 : w0 + ws])
            k.tiu.abs(b, a)
            k.dma.store(out[:, :, :, w0 : w0 + ws], b)

    return tiles


# ---------------------------------------------------------------------------- bench


def test_a_benchmark_agrees_with_the_timeline() -> None:
    shapes = {"x": (1, 70, 4, 500)}
    found, timeline = abs_add.bench(shapes, tpu.f16, c=1.5), abs_add.timeline(shapes, tpu.f16, c=1.5)
    figures = timeline.figures
    assert (found.cycles, found.tiu, found.gdma) == (timeline.cycles, figures.busy["tiu"], figures.busy["gdma"])
    assert found.of_roof == figures.of_roof and found.lane_bytes == abs_add.memory_map(shapes, tpu.f16, c=1.5).peak
    assert found.seconds is not None and 0 < found.seconds < 60
    assert [name for name, _ in found.tensors] == ["x", "out"] and dict(found.keywords)["c"] == "1.5"
    told = json.loads(json.dumps(found.json()))
    assert told["tensors"]["x"] == {"shape": [1, 70, 4, 500], "dtype": "f16"} and told["cycles"] == found.cycles
    assert f"{found.cycles:,} cycles" in str(found) and "simulator: " in str(found)


def test_a_benchmark_without_the_simulator() -> None:
    found = matmul.bench({"left": (40, 60), "right": (60, 96)}, simulate=0)
    assert found.seconds is None and "simulator" not in str(found)


def test_a_benchmark_checks_what_it_measures() -> None:
    @tpu.kernel
    def reads_nothing(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, x.dtype), k.local(x.shape, x.dtype)
        k.tiu.abs(b, a)
        k.dma.store(out, b)

    with pytest.raises(UnwrittenBufferError, match="test_search"):
        reads_nothing.bench({"x": (1, 4, 2, 8)})
    assert reads_nothing.bench({"x": (1, 4, 2, 8)}, simulate=0).cycles > 0


# ---------------------------------------------------------------------------- sweep


@given(st.lists(st.sampled_from([8, 16, 24, 100]), min_size=1, max_size=3, unique=True), st.booleans(), st.booleans())
@settings(max_examples=examples(5))
def test_a_sweep_is_the_benchmarks_of_all_combinations(tiles: list[int], two_types: bool, two_shapes: bool) -> None:
    types = [tpu.f32, tpu.f16] if two_types else [tpu.f32]
    shapes = [(1, 4, 2, 50), (1, 64, 2, 100)] if two_shapes else [(1, 4, 2, 50)]
    kernel = tiled()
    found = tpu.sweep(kernel, shapes, types, tile=tiles)
    wanted = [(shape, dtype, tile) for shape in shapes for dtype in types for tile in tiles]
    benches = [kernel.bench({"x": shape}, dtype, tile=tile, simulate=0) for shape, dtype, tile in wanted]
    assert [row.bench for row in found.rows] == benches
    assert found.axes == (*(("x",) if two_shapes else ()), *(("dtype",) if two_types else ()), *(("tile",) if len(tiles) > 1 else ()))
    assert found.best.bench == min(benches, key=lambda each: each.cycles)
    assert len(str(found).splitlines()) == 1 + len(wanted)


def test_rows_that_fail_say_why_and_are_kept() -> None:
    found = tpu.sweep(tiled(), (1, 64, 8, 8192), tile=[128, 4096, 8192])
    assert [row.error.code if row.error else None for row in found.rows] == [None, "KER120", "KER120"]
    lines = str(found).splitlines()
    assert lines[2].split() == ["4096", "KER120"] and lines[4].startswith("KER120: the buffers need ")
    assert [each["bench"] is None for each in found.json()] == [False, True, True]
    crosses = [each for each in ET.fromstring(found.plot()).iter(f"{SVG}text") if each.text == "\u00d7"]  # noqa: S314
    assert len(crosses) == 2
    assert "KER120" in page(found)
    nothing = tpu.sweep(tiled(), (1, 64, 8, 8192), tile=[4096, 8192])
    with pytest.raises(SearchSpaceError, match="KER120"):
        _ = nothing.best


def test_tensors_that_have_one_shape_are_one_axis() -> None:
    found = tpu.sweep(axpy, [(1, 4, 2, 8), (1, 4, 2, 16)], alpha=2.0)
    assert found.axes == ("shape",) and str(found).splitlines()[1].split()[0] == "1x4x2x8"
    other = tpu.sweep(matmul, [{"left": (8, 16), "right": (16, 8)}, {"left": (16, 16), "right": (16, 8)}])
    assert other.axes == ("left",)


def test_a_sweep_of_one_row() -> None:
    found = tpu.sweep(tiled(), [1, 4, 2, 8])  # a list of sizes is one shape
    assert found.axes == () and len(found.rows) == 1
    with pytest.raises(SearchSpaceError, match="nothing"):
        found.plot()
    assert "<svg" not in page(found)


def test_a_sweep_that_makes_no_sense() -> None:
    with pytest.raises(CallError, match="no keyword tiles"):
        tpu.sweep(tiled(), (1, 4, 2, 8), tiles=[1, 2])
    with pytest.raises(SearchSpaceError, match="no value for tile"):
        tpu.sweep(tiled(), (1, 4, 2, 8), tile=[])
    with pytest.raises(SearchSpaceError, match="no value for shapes"):
        tpu.sweep(tiled(), [])
    with pytest.raises(SearchSpaceError, match="no axis 'shape'"):
        tpu.sweep(tiled(), (1, 4, 2, 8), tile=[4, 8]).plot("shape")


def test_plots_have_a_line_for_each_combination_of_the_other_axes() -> None:
    found = tpu.sweep(tiled(), (1, 64, 2, 512), [tpu.f32, tpu.f16], tile=[16, 64, 256], simulate=1)
    lines = list(ET.fromstring(found.plot("tile", "seconds")).iter(f"{SVG}polyline"))  # noqa: S314
    assert len(lines) == 2
    xs = [float(point.split(",")[0]) for point in lines[0].attrib["points"].split()]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.3), "logarithmic: 16, 64, 256 are equally far apart"


# ---------------------------------------------------------------------------- autotune

TILES = [16, 64, 512, 4096]


@given(st.integers(1, 3), st.sampled_from([1, 65]), st.integers(1, 700), st.sampled_from([tpu.f32, tpu.f16]))
@settings(max_examples=examples(5))
def test_the_choice_takes_the_fewest_cycles(n: int, c: int, w: int, dtype: tpu.Dtype) -> None:
    plain = tiled()
    tuned = tpu.autotune(tile=TILES, copies=[1, 2])(plain)
    shapes = {"x": (n, c, 2, w)}
    rows = tpu.sweep(plain, shapes, dtype, tile=TILES, copies=[1, 2])
    chosen = tuned.tuned(shapes, dtype)
    assert rows.best.bench is not None and tuned.timeline(shapes, dtype).cycles == rows.best.bench.cycles
    assert plain.timeline(shapes, dtype, **cast("Mapping[str, int]", chosen)).cycles == rows.best.bench.cycles  # pyright: ignore[reportArgumentType]


def test_a_tuned_kernel_is_a_kernel() -> None:
    tuned = tpu.autotune(tile=TILES)(tiled())
    x = np.random.default_rng(0).standard_normal((1, 64, 2, 300), np.float32)
    assert np.array_equal(tuned(x), np.abs(x))
    chosen = tuned.tuned({"x": x.shape})["tile"]
    assert ("tile", str(chosen)) in tuned.ir({"x": x.shape}).attributes
    assert tuned.elaborate({"x": x.shape}) is tuned.elaborate({"x": x.shape}, tile=chosen)
    assert tuned.tuned({"x": x.shape}, tile=7) == {"tile": 7}
    assert ("tile", "32") in tuned.ir().attributes
    assert repr(tuned) == "<kernel tiles(x: in, out: out), autotune(tile=[16, 64, 512, 4096])>" and "autotune(tile=" in page(tuned)


def test_choices_that_do_not_fit_are_passed_over_and_others_are_not() -> None:
    tuned = tpu.autotune(tile=[8192, 4096, 128])(tiled())
    assert tuned.tuned({"x": (1, 64, 8, 8192)}) == {"tile": 128}
    with pytest.raises(TuningError) as caught:
        tpu.autotune(tile=[8192, 4096])(tiled()).program({"x": (1, 64, 8, 8192)})
    assert caught.value.message.count("KER120") == 2 and "tile=4096: KER120: the buffers need" in caught.value.message

    @tpu.autotune(tile=[4, 5])
    @tpu.kernel
    def has_a_mistake(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, tile: int) -> None:
        a, b = k.local((1, 4, 2, 4), x.dtype), k.local((1, 4, 2, tile), x.dtype)
        k.dma.load(a, x)
        k.tiu.abs(b, a)
        k.dma.store(out, b)

    with pytest.raises(ShapeMismatchError):
        has_a_mistake.program({"x": (1, 4, 2, 4)})


def elaborated(kernel: tpu.Kernel) -> int:
    """How many elaborations a kernel keeps."""
    return len(cast("Mapping[object, object]", getattr(kernel, CACHED)))


def test_choices_are_kept_on_disk_until_the_kernel_changes(folder: Path) -> None:
    shapes = {"x": (1, 64, 2, 512)}
    first = tpu.autotune(tile=TILES)(tiled())
    chosen = first.tuned(shapes)
    assert elaborated(first) == len(TILES) and len(list(folder.iterdir())) == 1
    second = tpu.autotune(tile=TILES)(tiled())
    assert second.tuned(shapes) == chosen and elaborated(second) == 0
    for other in (tpu.autotune(tile=TILES[:3])(tiled()), tpu.autotune(copies=[1, 2])(tiled())):
        other.tuned(shapes)
        assert elaborated(other) > 0, "other candidates are another choice"
    third = tpu.autotune(tile=TILES)(tiled())
    third.tuned({"x": (1, 64, 2, 513)})
    assert elaborated(third) == len(TILES), "other shapes are another choice"


def test_what_is_chosen_once_is_not_traced_again() -> None:
    traced: list[int] = []
    tuned = tpu.autotune(tile=TILES)(tiled(traced))
    tuned.program({"x": (1, 64, 2, 512)})
    count = len(traced)
    tuned.program({"x": (1, 64, 2, 512)})
    assert len(traced) == count


def scribble(content: bytes) -> Callable[[str], bytes]:
    return lambda key: content


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b'{"candidate": 99}', b'{"candidate": -1}', b'{"candidate": "0"}', b"{", b"\xff", b"[" * 100_000]
)
def test_a_kept_choice_that_makes_no_sense_is_made_again(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {"x": (1, 64, 2, 512)}
    wanted = tpu.autotune(tile=TILES)(tiled()).tuned(shapes)
    monkeypatch.setattr(default_cache(), "get", scribble(content))
    tuned = tpu.autotune(tile=TILES)(tiled())
    assert tuned.tuned(shapes) == wanted and elaborated(tuned) == len(TILES)


def test_the_key_has_everything_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other raw commands, another package, another chip: another key."""
    from tpukernel.api import tpu_bdc_abs, tpu_bdc_neg

    def raw(function: Callable[[], object]) -> KernelIr:
        @tpu.kernel
        def raws(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
            function()

        return raws.ir({"x": (1, 4, 2, 8)})

    shape = (1, 64, 1, 16)
    irs = [
        raw(partial(tpu_bdc_abs, 0x0, 0x4000, shape, None, None, tpu.f32)),
        raw(partial(tpu_bdc_abs, 0x0, 0x8000, shape, None, None, tpu.f32)),
        raw(partial(tpu_bdc_neg, 0x0, 0x4000, shape, None, None, tpu.f32)),
    ]
    key = tuning.key_of
    keys = {key(irs, tpu.BM1684X)}
    keys |= {key([irs[1], *irs[1:]], tpu.BM1684X), key([irs[2], *irs[1:]], tpu.BM1684X), key(irs[:2], tpu.BM1684X)}
    monkeypatch.setattr(tuning, "source_digest", lambda: "other")
    keys.add(key(irs, tpu.BM1684X))
    assert len(keys) == 5 and None not in keys
    monkeypatch.setattr(tuning, "source_digest", lambda: None)
    assert key(irs, tpu.BM1684X) is None, "a package whose source is not there keeps nothing"


def test_a_tuning_that_makes_no_sense() -> None:
    with pytest.raises(SearchSpaceError, match="no value for tile"):
        tpu.autotune(tile=[])
    with pytest.raises(SearchSpaceError, match="no keyword tiles"):
        tpu.autotune(tiles=[1])(tiled())
    with pytest.raises(SearchSpaceError, match="above @kernel"):
        tpu.autotune(tile=[1])(cast("tpu.Kernel", lambda: None))
