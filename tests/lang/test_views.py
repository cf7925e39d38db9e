"""Memory maps, pictures and pages: what they tell is what the program does, and they are complete in themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.kernels import abs_add, axpy, conv3x3, matmul, softmax
from tests.support.effort import examples
from tpukernel.api import tpu_bdc_abs
from tpukernel.chips.tensors import LocalTensor
from tpukernel.isa import Program
from tpukernel.lang import Elaborated
from tpukernel.lang.views import MemoryMap

SVG = "{http://www.w3.org/2000/svg}"
REPR = "_repr_html_"
CASES: dict[str, Callable[[], Elaborated]] = {
    "abs_add": lambda: abs_add.elaborate({"x": (2, 70, 3, 200)}, c=1.5),
    "axpy": lambda: axpy.elaborate({"x": (1, 130, 4, 500), "y": (1, 130, 4, 500)}, alpha=2.0),
    "softmax": lambda: softmax.elaborate({"x": (100, 700)}),
    "matmul": lambda: matmul.elaborate({"left": (40, 70), "right": (70, 100)}),
    "conv3x3": lambda: conv3x3.elaborate({"x": (2, 64, 14, 14), "weight": (64, 64, 3, 3), "bias": (1, 64, 1, 1)}),
}


@tpu.kernel
def shares(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    """Five buffers of 12 banks in all that live one after the other. <script>alert("no")</script>"""
    size = (1, 64, 1, x.shape[3])
    a, b, c, d, e = (k.local(size, x.dtype) for _ in range(5))
    k.dma.load(a, x)
    k.tiu.abs(b, a)
    k.tiu.abs(c, b)
    k.tiu.abs(d, c)
    k.tiu.abs(e, d)
    k.dma.store(out, e)


@tpu.kernel
def by_hand(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local((1, 64, 1, 16), x.dtype, at=0x8000)
    k.dma.load(a, x)
    tpu_bdc_abs(0x10000, 0x8000, (1, 64, 1, 16), None, None, tpu.f32)
    k.dma.store(out, a)


def rects(picture: str) -> list[ET.Element]:
    return list(ET.fromstring(picture).iter(f"{SVG}rect"))  # noqa: S314 - it is ours


def page(view: object) -> str:
    """What a notebook shows."""
    return cast("Callable[[], str]", getattr(view, REPR))()


# ---------------------------------------------------------------------------- memory maps


@pytest.mark.parametrize("case", CASES)
def test_every_local_operand_lies_in_a_buffer_of_the_map(case: str) -> None:
    elaborated = CASES[case]()
    found = MemoryMap.of(elaborated)
    lane_bytes = found.chip.lane_bytes
    spans = [(each.address % lane_bytes, each.address % lane_bytes + each.bytes) for each in found.buffers]
    operands = [use.value for instruction in elaborated.program for use in instruction.operands()]
    local = [each.address % lane_bytes for each in operands if isinstance(each, LocalTensor)]
    assert local and all(any(begin <= byte < end for begin, end in spans) for byte in local)


@given(st.integers(1, 130), st.integers(1, 3000), st.sampled_from([64, 256, 700]), st.integers(1, 4))
@settings(deadline=None, max_examples=examples(10))
def test_buffers_that_live_at_one_time_have_bytes_of_their_own(channels: int, width: int, tile: int, copies: int) -> None:
    found = abs_add.memory_map({"x": (1, channels, 2, width)}, c=1.0, tile_w=tile, buffers=copies)
    for one in found.buffers:
        assert one.lanes == range(min(channels, 64)) or one.lanes == range(channels - 64)
        assert all(0 <= first <= last < found.commands for first, last in one.lives)
        assert one.banks == range(one.address // 16384, (one.address + one.bytes - 1) // 16384 + 1)
        for two in found.buffers:
            if one is not two and any(one.alive(first) for first, _ in two.lives):
                assert one.address + one.bytes <= two.address or two.address + two.bytes <= one.address
    assert found.peak == sum(each.bytes for each in found.buffers) <= found.chip.lane_bytes  # all of them live in the pipeline


def test_the_text_shows_banks_and_buffers() -> None:
    shapes = {"x": (1, 64, 1, 256)}
    lines = str(abs_add.memory_map(shapes, c=1.5, tile_w=256)).splitlines()
    assert lines[0] == ("local memory of abs_add on the BM1684X: 64 lanes of 262,144 bytes in 16 banks; 3,072 bytes in use at most (1%)")
    assert lines[2:5] == [f"bank {bank:2} {bank * 16384:#07x} |{letter * 4}{'.' * 60}|" for bank, letter in enumerate("abc")]
    assert lines[5].endswith("# where buffers share bytes at different times; banks without a buffer: 3-15")
    assert re.fullmatch(r"a +0x0 +1,024 +0 +0-63 +\w+ +f32\[1, 64, 1, 256\] +0-3 +kernels\.py:\d+:\d+", lines[8])


def test_shared_bytes_are_marked_and_count_once() -> None:
    found = shares.memory_map({"x": (1, 64, 1, 16384)})
    assert len(found.buffers) == 5 and found.peak == 2 * 65536
    assert "#" * 64 in str(found)
    assert [len(found.at(command)) for command in range(found.commands)] == [1, 2, 2, 2, 2, 1]


def test_addresses_of_the_author_are_not_hidden() -> None:
    found = by_hand.memory_map({"x": (1, 64, 1, 16)})
    assert found.raw == 1 and "1 calls with addresses of the author's own are not shown" in str(found)
    assert [(each.address, each.banks) for each in found.buffers] == [(0x8000, range(2, 3))]


@pytest.mark.parametrize("case", CASES)
def test_the_picture_has_a_box_for_each_life(case: str) -> None:
    found = MemoryMap.of(CASES[case]())
    assert len(rects(found.svg())) == sum(len(each.lives) for each in found.buffers)
    sizes = [[float(rect.attrib[name]) for name in ("x", "y", "width", "height")] for rect in rects(found.svg(600, 300))]
    assert all(x + width <= 600 and y + height <= 300 for x, y, width, height in sizes)


def test_a_kernel_without_buffers_has_a_map() -> None:
    @tpu.kernel
    def copies(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        k.dma.copy(out, x)

    found = copies.memory_map({"x": (1, 4, 2, 8)})
    assert found.buffers == () and found.peak == 0
    assert "banks without a buffer: 0-15" in str(found) and rects(found.svg()) == []


# ---------------------------------------------------------------------------- pages


def test_pages_are_complete_in_themselves_and_escape_what_they_show() -> None:
    shapes = {"x": (1, 64, 1, 16384)}
    pages = [
        page(shares.memory_map(shapes)),
        page(shares.timeline(shapes)),
        page(shares.program(shapes)),
        page(shares.ir(shapes)),
        page(shares),
    ]
    for shown in pages:
        root = ET.fromstring(shown)  # noqa: S314
        assert {each.tag.removeprefix(SVG) for each in root.iter()}.isdisjoint({"script", "style", "link", "img", "iframe"})
        assert "http" not in shown.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "&lt;script&gt;" in pages[-1]


def test_the_page_of_a_kernel_tells_its_elaborations() -> None:
    @tpu.kernel
    def copies(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, times: int = 1) -> None:
        for _ in range(times):
            k.dma.copy(out, x)

    assert "kernel copies(x: in, out: out; times = 1)" in page(copies) and "<table>" not in page(copies)
    copies.program({"x": (1, 4, 2, 8)}, times=3)
    assert "x: f32[1, 4, 2, 8], out: f32[1, 4, 2, 8]; times = 3" in page(copies)


def test_timelines_are_drawn_to_scale() -> None:
    timeline = abs_add.timeline({"x": (1, 64, 4, 4096)}, c=1.5)
    boxes = rects(timeline.svg(width=858))
    drawn = sum(float(box.attrib["width"]) for box in boxes if box.attrib["y"] == "0")
    assert drawn == pytest.approx(800 * timeline.figures.busy["gdma"] / timeline.cycles, rel=0.01)


def test_many_commands_make_no_large_picture() -> None:
    timeline = abs_add.timeline({"x": (40, 64, 1, 4096)}, c=1.5, tile_w=64)
    assert len(timeline.entries) == 256
    many = abs_add.timeline({"x": (1, 64, 1, 10000)}, c=1.5, tile_w=8)
    assert len(many.entries) == 5000
    assert len(rects(many.svg())) < 2200
    tips = [each.text or "" for each in ET.fromstring(many.svg()).iter(f"{SVG}title")]  # noqa: S314
    told = sum(int(found[1]) if (found := re.match(r"(\d+) commands", tip)) else 1 for tip in tips)
    assert told == 5000


def test_a_program_without_known_cycles_has_a_page() -> None:
    assert "no timeline: COST101" in page(Program(tpu.BM1684))


def test_roofs_count_inputs_and_outputs_once() -> None:
    figures = abs_add.timeline({"x": (1, 64, 4, 256)}, c=1.5).figures
    assert figures.compulsory.read == figures.compulsory.written == 64 * 4 * 256 * 4 and figures.traffic_ratio == 1.0
    found = matmul.timeline({"left": (64, 64), "right": (64, 192)}).figures
    assert found.traffic_ratio is not None and found.traffic_ratio > 1
