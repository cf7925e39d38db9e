"""A report as one page of HTML that needs nothing else: no file beside it, nothing from the net, and it may do nothing but show itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Final

from bmlang.program.report.boxes import timeline_data
from bmlang.program.report.facts import ModelFacts, NetFacts, Region, StageFacts
from tpukernel.cost.report import totals
from tpukernel.markup import colour, element, svg, text

__all__ = ["report_page"]


@dataclass(frozen=True)
class _Cell:
    """A cell of a table: what it shows, and the number that it is sorted by."""

    shown: str
    value: float | None = None


def _number(value: float) -> _Cell:
    return _Cell(f"{value:,.0f}", value)


def _share(value: float, whole: float) -> _Cell:
    part = value / whole if whole else 0.0
    return _Cell(f"{part:.1%}", part)


def _hex(value: int) -> _Cell:
    return _Cell(f"{value:#x}", value)


# ------------------------------------------------------------------ the page


def report_page(facts: ModelFacts) -> str:
    """The page; the same facts always give the same text."""
    style, script = (files("bmlang.program.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    # Names in a file may come from anyone. They are escaped; besides, the page allows no script but its own, and no connection.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_digest(script)}'"
    head = element(
        "head",
        '<meta charset="utf-8"/>',
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
        element("title", text(f"{facts.title}: report")),
        element("style", style),
    )
    nets = [part for number, net in enumerate(facts.nets) for part in _net(number, net)]
    body = element("body", element("h1", text(facts.title)), _overview(facts), *nets, element("script", script))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _overview(facts: ModelFacts) -> str:
    rows = [("chip", facts.chip), ("version", facts.version), ("created", facts.time)]
    memory = [(f"{field.name.replace('_', ' ')} bytes", f"{getattr(facts.memory, field.name):,}") for field in fields(facts.memory)]
    return _table("overview", ("", ""), [[_Cell(name), _Cell(value)] for name, value in (*rows, *memory)], sortable=False)


def _net(number: int, net: NetFacts) -> Iterator[str]:
    yield element("h2", text(f"net {net.name} ({'dynamic' if net.dynamic else 'static'})"))
    for place, stage in enumerate(net.stages):
        content = "".join(_stage(f"{number}-{place}", stage))
        shapes = ", ".join(f"{each.name} {list(each.shape)}" for each in stage.tensors if each.direction == "input")
        summary = element("summary", element("strong", text(f"stage {place}: {shapes}")))
        yield f"<details{'' if place else ' open'}>{summary}{content}</details>"


def _stage(key: str, stage: StageFacts) -> Iterator[str]:
    yield element("h3", "inputs and outputs")
    yield _tensors(key, stage)
    if len(stage.subnets) > 1:
        yield element("h3", "subnets")
        yield _subnets(key, stage)
    yield element("h3", "time")
    if stage.timeline is None:
        yield element("p", text(f"There is no timeline: {stage.no_timeline}"))
    else:
        others = [subnet for subnet in stage.subnets if subnet.dynamic or subnet.runs_on != "TPU"]
        if others:
            names = ", ".join(str(subnet.number) for subnet in others)
            yield element("p", text(f"The time of the static TPU subnets; what the subnets {names} take is not known, and not in it."))
        yield element("pre", text("\n".join(totals(stage.timeline))))
        yield from _timeline(key, stage)
        yield from _layers(key, stage)
        yield element("h3", "kinds of commands")
        yield _kinds(key, stage)
    yield element("h3", "device memory")
    yield _memory(key, stage.memory)


# ------------------------------------------------------------------ time


def _timeline(key: str, stage: StageFacts) -> Iterator[str]:
    assert stage.timeline is not None  # noqa: S101
    data = timeline_data(stage.timeline, [each.node for each in stage.layers])
    # `<` ends up as an escape of JSON, so that no name can end the element.
    told = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    yield element("script", told, type="application/json", id=f"data-{key}")
    shown = element("canvas", "", role="img", aria_label="commands of both engines over time") + '<div class="tip" hidden></div>'
    yield element("div", shown, class_="timeline", data_source=f"data-{key}", data_layers=f"layers-{key}")
    limit = f" Neighbours shorter than {data['resolution']} cycles are drawn together." if data["resolution"] else ""
    yield element("p", text(f"Wheel: zoom. Drag: move. Double click: everything.{limit}"), class_="hint")


_LAYER_HEAD: Final = (
    "layer",
    "operator",
    "place",
    "#time",
    "#share",
    "#TIU",
    "#GDMA",
    "#commands",
    "#MACs",
    "#bytes moved",
    "#start",
    "#end",
)


def _layers(key: str, stage: StageFacts) -> Iterator[str]:
    yield element("h3", "layers")
    if not stage.layers or stage.timeline is None:
        yield element("p", "The file does not tell which operator its commands belong to.")
        return
    rows = [
        [
            *(map(_Cell, (each.node.name, each.node.op, each.node.place) if each.node else ("", "commands of no operator", ""))),
            _number(each.cycles),
            _share(each.cycles, stage.timeline.cycles),
            *(_number(value) for value in (each.tiu, each.gdma, each.commands, each.macs, each.bytes, each.start, each.end)),
        ]
        for each in stage.layers
    ]
    yield element(
        "p",
        "All numbers are cycles but those of commands, multiply-accumulates and bytes. ",
        "Where both engines work for different layers, each gets half of the time. Click on a head to sort, on a row to see it above.",
        class_="hint",
    )
    yield element("input", class_="filter", type="search", placeholder="filter layers", data_table=f"layers-{key}")
    yield element("div", _table(f"layers-{key}", _LAYER_HEAD, rows, layers=True), class_="scroll")


def _kinds(key: str, stage: StageFacts) -> str:
    whole = stage.timeline.cycles if stage.timeline else 0
    rows = [
        [
            _Cell(kind.name),
            _Cell(kind.engine),
            _number(kind.cycles),
            _share(kind.cycles, whole),
            *map(_number, (kind.commands, kind.macs, kind.bytes)),
        ]
        for kind in stage.kinds
    ]
    return _table(f"kinds-{key}", ("command", "engine", "#cycles", "#of the time", "#commands", "#MACs", "#bytes"), rows)


# ------------------------------------------------------------------ tensors, memory, subnets


def _tensors(key: str, stage: StageFacts) -> str:
    rows = [
        [
            *map(_Cell, (each.direction, each.name, each.dtype, str(list(each.shape)), f"{each.scale:g}", str(each.zero_point))),
            _hex(each.address),
            _number(each.bytes),
        ]
        for each in stage.tensors
    ]
    return _table(f"tensors-{key}", ("", "name", "type", "shape", "scale", "zero point", "#address", "#bytes"), rows)


def _subnets(key: str, stage: StageFacts) -> str:
    rows = [
        [
            _number(each.number),
            _Cell(f"{each.runs_on}{', dynamic' if each.dynamic else ''}"),
            _Cell(", ".join(each.operators)),
            _Cell(", ".join(each.inputs)),
            _Cell(", ".join(each.outputs)),
        ]
        for each in stage.subnets
    ]
    return _table(f"subnets-{key}", ("#number", "runs on", "operators", "inputs", "outputs"), rows)


_MAP_WIDTH: Final = 760
_SEGMENTS: Final = ("coefficients", "neurons", "io")


def _memory(key: str, regions: Sequence[Region]) -> str:
    """A bar for each segment, whose pieces are as long as they are large, and a table."""
    pictures = "".join(_bar([region for region in regions if region.segment == segment]) for segment in _SEGMENTS)
    rows = [[_hex(each.address), _number(each.bytes), _Cell(each.segment), _Cell(each.what)] for each in regions]
    table = _table(f"memory-{key}", ("#address", "#bytes", "segment", "what"), rows)
    return pictures + element("div", table, class_="scroll")


def _bar(regions: Sequence[Region]) -> str:
    if not regions:
        return ""
    begin = min(region.address for region in regions)
    size = max(max(region.address + region.bytes for region in regions) - begin, 1)
    boxes: list[str] = []
    whole = [region for region in regions if region.what.startswith("all ")]
    for number, region in enumerate([*whole, *(region for region in regions if region not in whole)]):
        tip = f"{region.what}\n{region.bytes:,} bytes at {region.address:#x}"
        boxes.append(
            element(
                "g",
                element("title", text(tip)),
                element(
                    "rect",
                    x=f"{(region.address - begin) * _MAP_WIDTH / size:.2f}",
                    y=16,
                    width=f"{max(region.bytes * _MAP_WIDTH / size, 0.5):.2f}",
                    height=22,
                    fill="#8884" if region in whole else colour(number),
                ),
            )
        )
    title = f"{regions[0].segment}: {size:,} bytes from {begin:#x} on"
    return svg(_MAP_WIDTH, 42, element("text", text(title), x=0, y=11), *boxes)


# ------------------------------------------------------------------ tables


def _table(key: str, head: Sequence[str], rows: Sequence[Sequence[_Cell]], *, sortable: bool = True, layers: bool = False) -> str:
    """A table; a `#` in front of a head means numbers. The rows of a table of layers carry their numbers."""
    heads = "".join(_head(name, sortable) for name in head) if any(head) else ""
    body = "".join(
        element(
            "tr",
            *(_cell(cell, name) for cell, name in zip(row, head, strict=True)),
            **({"data_layer": place} if layers else {}),
        )
        for place, row in enumerate(rows)
    )
    parts = [element("thead", element("tr", heads))] if heads else []
    return element("table", *parts, element("tbody", body), id=key, **({"class_": "sortable"} if sortable else {}))


def _head(name: str, sortable: bool) -> str:
    shown = text(name.removeprefix("#")) or "&#160;"
    return element("th", element("button", shown, type="button") if sortable else shown, **_side(name))


def _cell(cell: _Cell, head: str) -> str:
    value = {} if cell.value is None else {"data_value": f"{cell.value:.12g}"}
    return element("td", text(cell.shown) or "&#160;", **_side(head), **value)


def _side(head: str) -> dict[str, str]:
    return {"class_": "number"} if head.startswith("#") else {}
