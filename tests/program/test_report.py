"""The report of a model: its numbers, its page, and the page in a browser."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang.bmodel import BModel, load
from bmlang.cli.bmlang import main
from bmlang.program.report import model_facts, report_page
from bmlang.program.report.boxes import MAX_BOXES, timeline_data
from bmlang.program.report.times import shared_cycles
from tests.support.bmodels import model_bytes, write_fixture
from tests.support.chromium import page_of
from tpukernel.cost import Timeline
from tpukernel.cost.timeline import Entry

WEIGHT = np.random.default_rng(0).standard_normal((32, 16, 3, 3), np.float32)


@bm.function
def block(x: bm.Tensor) -> bm.Tensor:
    return bm.softmax(bm.reshape(bm.relu(bm.conv(x, WEIGHT, pad=1)), (x.shape[0], -1)))


@pytest.fixture(scope="module")
def model() -> bm.Model:
    return bm.compile(block, stages=[{"x": (1, 16, 14, 14)}, {"x": (4, 16, 14, 14)}])


class Elements(HTMLParser):
    """Checks that elements are closed in order, and keeps texts and addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


# ------------------------------------------------------------------ numbers


def test_the_times_of_the_layers_are_the_time_of_the_stage(model: bm.Model) -> None:
    (net,) = model_facts(model.bmodel, "block").nets
    for stage, compiled in zip(net.stages, model.stages, strict=True):
        timeline = compiled.timeline()
        assert stage.timeline is not None and stage.timeline.cycles == timeline.cycles
        assert sum(layer.cycles for layer in stage.layers) == pytest.approx(timeline.cycles)
        for engine in ("tiu", "gdma"):
            assert sum(getattr(layer, engine) for layer in stage.layers) == timeline.figures.busy[engine]
            assert sum(kind.cycles for kind in stage.kinds if kind.engine == engine) == timeline.figures.busy[engine]
        assert sum(layer.commands for layer in stage.layers) == len(timeline.entries)
        assert sum(layer.macs for layer in stage.layers) == timeline.figures.macs
        assert {layer.node.op for layer in stage.layers if layer.node} >= {"bm::conv", "bm::softmax"}


def test_a_cycle_belongs_to_what_works_then(model: bm.Model) -> None:
    """Against every single cycle of a short timeline."""
    timeline = model.stages[0].timeline()
    shifted = Timeline(timeline.chip, timeline.mode, tuple(entry for entry in timeline.entries if entry.end < 40_000))
    wanted: dict[str, float] = {}
    for engine, other in (("tiu", "gdma"), ("gdma", "tiu")):
        busy = np.zeros(shifted.cycles, bool)
        for entry in shifted.entries:
            if entry.engine == other:
                busy[entry.start : entry.end] = True
        for entry in shifted.entries:
            if entry.engine == engine:
                title = f"{engine} {entry.instruction.title}"
                wanted[title] = wanted.get(title, 0) + float((1 - 0.5 * busy[entry.start : entry.end]).sum())

    def key(entry: Entry) -> str:
        return f"{entry.engine} {entry.instruction.title}"

    assert shared_cycles(shifted, key) == pytest.approx(wanted)


def test_where_things_lie(model: bm.Model) -> None:
    stage = model_facts(model.bmodel, "block").nets[0].stages[0]
    regions = {region.what: region for region in stage.memory}
    whole, x = regions["all neurons"], regions["input x"]
    assert x.bytes == 16 * 14 * 14 * 4 and whole.address <= x.address <= whole.address + whole.bytes - x.bytes
    assert regions["all coefficients"].bytes >= WEIGHT.nbytes
    assert [region.address for region in stage.memory] == sorted(region.address for region in stage.memory)


def test_a_long_program_is_few_boxes(model: bm.Model) -> None:
    timeline = model.stages[0].timeline()
    one = timeline_data(timeline, [])
    assert one["resolution"] == 0 and len(one["tiu"]) == len(timeline.of("tiu"))
    entries = [replace(entry, start=entry.start + turn * timeline.cycles) for turn in range(1000) for entry in timeline.entries]
    long = Timeline(timeline.chip, timeline.mode, tuple(entries))
    assert len(long.of("gdma")) > MAX_BOXES
    many = timeline_data(long, [])
    for engine in ("tiu", "gdma"):
        assert len(many[engine]) <= MAX_BOXES
        assert sum(box[4] for box in many[engine]) == len(long.of(engine))
        assert all(first[0] + first[1] <= second[0] for first, second in zip(many[engine], many[engine][1:], strict=False))


@pytest.mark.parametrize("name", sorted(model_bytes()))
def test_official_files(name: str) -> None:
    """Static files of the BM1684X have a timeline; for others the page says why there is none."""
    facts = model_facts(load(model_bytes()[name]), name)
    page = Elements(report_page(facts))
    for net in facts.nets:
        for stage in net.stages:
            assert stage.layers == ()
            static = [subnet for subnet in stage.subnets if subnet.runs_on == "TPU" and not subnet.dynamic]
            assert (stage.timeline is not None) == (facts.chip == "BM1684X" and bool(static))
            assert stage.timeline is not None or f"There is no timeline: {stage.no_timeline}" in page.texts
            assert any("not in it" in shown for shown in page.texts) == (stage.timeline is not None and len(static) < len(stage.subnets))
    json.dumps(facts.json(), allow_nan=False)


# ------------------------------------------------------------------ the page


def test_the_page_is_complete_in_itself_and_always_the_same(model: bm.Model, tmp_path: Path) -> None:
    page = model.report(tmp_path / "a" / ".." / "report.html")
    assert (tmp_path / "report.html").read_text("utf-8") == page == model.report()
    elements = Elements(page)
    assert not [tag for tag, attributes in elements.tags if {"src", "href"} & attributes.keys()]
    assert re.findall(r"(?:url\(|@import|https?:)", page.replace("http://www.w3.org/2000/svg", "")) == []


def test_names_of_a_file_stay_text() -> None:
    """Nothing that a file says ends an element or becomes one."""
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"

    @bm.function
    def odd(x: bm.Tensor) -> dict[str, bm.Tensor]:
        return {evil: bm.relu(x)}

    bmodel = bm.compile(odd, stages=[{"x": (1, 2, 3, 4)}]).bmodel
    (net,) = bmodel.model.net
    bmodel = BModel(replace(bmodel.model, net=(replace(net, name=evil),), chip=bmodel.model.chip))
    elements = Elements(report_page(model_facts(bmodel, evil)))
    assert [tag for tag, _ in elements.tags].count("script") == 2 and not [tag for tag, _ in elements.tags if tag == "img"]
    assert evil in elements.texts and f"net {evil} (static)" in elements.texts


# ------------------------------------------------------------------ the command


def test_the_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_fixture("bm1684x_f32_conv3x3_relu_static", tmp_path, "some.bmodel")
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out == "some.html\n"
    assert (tmp_path / "some.html").read_text("utf-8") == report_page(model_facts(load(path), "some.bmodel"))
    assert main(["report", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["chip"] == "BM1684X" and told["nets"][0]["stages"][0]["timeline"]["cycles"] > 0
    (tmp_path / "bad.bmodel").write_bytes(b"no model")
    assert main(["report", str(tmp_path / "bad.bmodel")]) == 1
    assert "BMODEL" in capsys.readouterr().err and not (tmp_path / "bad.html").exists()


# ------------------------------------------------------------------ in a browser


def column(table: str, number: int) -> str:
    """JavaScript for the cells of a column."""
    return f"[...document.querySelectorAll('#{table} tbody tr')].map(r => r.cells[{number}].textContent)"


@pytest.mark.slow
def test_in_a_browser(model: bm.Model, tmp_path: Path) -> None:
    """A person opens the page, sorts the layers, looks for one, zooms into the timeline; nothing goes wrong on the way."""
    path = tmp_path / "report.html"
    model.report(path)
    with page_of(path, tmp_path / "profile") as page:
        heads = page.evaluate("[...document.querySelectorAll('#layers-0-0 th')].map(h => h.textContent)")
        time, name = heads.index("time"), heads.index("layer")
        button = "#layers-0-0 th:nth-child({}) button"
        written = page.evaluate(column("layers-0-0", time))

        def numbers() -> list[int]:
            return [int(cell.replace(",", "")) for cell in page.evaluate(column("layers-0-0", time))]

        page.click(button.format(time + 1))
        assert numbers() == sorted((int(cell.replace(",", "")) for cell in written), reverse=True)
        page.click(button.format(time + 1))
        assert numbers() == sorted(numbers()) and len(set(numbers())) > 1
        page.click(button.format(name + 1))
        names = page.evaluate(column("layers-0-0", name))
        assert names == sorted(names, key=str.casefold)

        drawn = "document.querySelector('.timeline canvas').toDataURL()"
        before = page.evaluate(drawn)
        page.wheel(".timeline canvas", -400)
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        zoomed = page.evaluate(drawn)
        assert zoomed != before
        tips = list[str]()
        for right in (0.3, 0.5, 0.7, 0.9):
            page.hover(".timeline canvas", right, 0.6)
            tips.append(page.evaluate("document.querySelector('.timeline .tip').textContent"))
        assert any("cycles" in tip for tip in tips), tips
        page.click("#layers-0-0 tbody tr:nth-child(2)")
        assert page.evaluate("document.querySelectorAll('#layers-0-0 tr.chosen').length") == 1
        assert page.evaluate(drawn) not in (before, zoomed)

        page.evaluate("(f => { f.value = 'softmax'; f.dispatchEvent(new Event('input')); })(document.querySelector('input.filter'))")
        left = "[...document.querySelectorAll('#layers-0-0 tbody tr')].filter(r => !r.hidden).map(r => r.cells[0].textContent)"
        assert 0 < len(page.evaluate(left)) < len(names) and all("softmax" in each for each in page.evaluate(left))

        picture = page.screenshot()
        (tmp_path / "report.png").write_bytes(picture)
        assert picture[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", picture[16:24]) == (1200, 1600)
        assert len(picture) > 20_000, "a page with tables and pictures; an empty one has some 5 kB"
        assert page.complaints == []
