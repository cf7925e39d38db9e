"""Timelines and programs as pictures and pages, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from tpukernel.chips.chip import Engine
from tpukernel.cost.report import table, totals
from tpukernel.errors import TpuError
from tpukernel.isa.listing import line
from tpukernel.markup import colour, element, svg, text

if TYPE_CHECKING:
    from tpukernel.cost.timeline import Entry, Timeline
    from tpukernel.isa.program import Program

__all__ = ["program_page", "timeline_page", "timeline_svg"]

SHOWN_LINES: Final = 200
"""Commands that a page lists; all of them are in the text and in the trace."""
_LEFT, _TRACK, _GAP, _FOOT = 50, 34, 10, 44
_TRACKS: Mapping[Engine, int] = {"gdma": 0, "tiu": 1}


# ---------------------------------------------------------------------------- picture


def timeline_svg(timeline: Timeline, width: int = 760) -> str:
    """Both engines as tracks over the cycles, each kind of command in a colour of its own.

    Commands that would be narrower than a pixel are drawn as one; the tip of a box tells how many it stands for.
    """
    height = 2 * _TRACK + _GAP + _FOOT
    per_cycle = (width - _LEFT - 8) / max(timeline.cycles, 1)
    titles = dict.fromkeys(entry.instruction.title for entry in timeline.entries)
    colours = {title: colour(number) for number, title in enumerate(titles)}
    parts: list[str] = []
    for engine, track in _TRACKS.items():
        y = track * (_TRACK + _GAP)
        parts.append(element("text", text(engine), x=4, y=y + _TRACK / 2 + 4))
        parts.append(element("line", x1=_LEFT, x2=width - 8, y1=y + _TRACK, y2=y + _TRACK, stroke="currentColor", stroke_opacity=0.3))
        parts += [_box(box, colours, y) for box in _boxes(timeline.of(engine), per_cycle)]
    clock = f"{timeline.cycles:,} cycles, {timeline.microseconds:,.3f} us at {timeline.table.mhz} MHz"
    parts += [element("text", text(clock), x=_LEFT, y=height - 26), *_legend(colours, width, height - 8)]
    return svg(width, height, *parts)


@dataclass
class _Box:
    """One command, or several that follow each other in less than a pixel."""

    first: Entry
    last: Entry
    begin: float
    end: float
    count: int = 1


def _boxes(entries: tuple[Entry, ...], per_cycle: float) -> Iterator[_Box]:
    box: _Box | None = None
    for entry in entries:
        begin, end = _LEFT + entry.start * per_cycle, _LEFT + entry.end * per_cycle
        if box is not None and end - box.begin < 1:
            box.last, box.end, box.count = entry, end, box.count + 1
            continue
        if box is not None:
            yield box
        box = _Box(entry, entry, begin, end)
    if box is not None:
        yield box


def _box(box: _Box, colours: Mapping[str, str], y: float) -> str:
    title = box.first.instruction.title
    if box.count == 1:
        place = f"\n{box.first.instruction.source}" if box.first.instruction.source else ""
        tip = f"{box.first.engine} {box.first.instruction.id} {title}\ncycles {box.first.start:,} to {box.first.end:,}{place}"
    else:
        tip = f"{box.count} commands, {box.first.engine} {box.first.instruction.id} to {box.last.instruction.id}"
    sizes = {"x": f"{box.begin:.2f}", "y": y, "width": f"{max(box.end - box.begin, 0.3):.2f}", "height": _TRACK}
    return element("g", element("title", text(tip)), element("rect", fill=colours[title], **sizes))


def _legend(colours: Mapping[str, str], width: int, y: float) -> Iterator[str]:
    x = float(_LEFT)
    for title, fill in colours.items():
        if x + 16 + 7 * len(title) > width:
            yield element("text", "...", x=x, y=y)
            return
        yield element("rect", x=x, y=y - 9, width=10, height=10, fill=fill)
        yield element("text", text(title), x=x + 14, y=y)
        x += 26 + 7 * len(title)


# ---------------------------------------------------------------------------- pages


def timeline_page(timeline: Timeline) -> str:
    """The picture, the totals, and the first commands of the table, as HTML."""
    shown = list(table(timeline.entries[:SHOWN_LINES]))
    return element("div", timeline_svg(timeline), _pre("\n".join(totals(timeline))), _details("commands", shown, len(timeline.entries)))


def program_page(program: Program) -> str:
    """The commands of a program as HTML: how many of which kind, the timeline where it is known, and the listing."""
    found = program.statistics()
    engines = ", ".join(f"{found.commands[engine]} {engine} commands" for engine in _TRACKS)
    units = ", ".join(f"{count} {unit}" for unit, count in found.units.items())
    head = f"program for the {program.chip.name}: {engines} ({units}); {found.macs:,} MACs, {found.bytes_moved:,} bytes moved"
    try:
        times = timeline_page(program.timeline())
    except TpuError as error:  # a chip or a command without known cycles
        times = _pre(f"no timeline: {error}")
    lines = (line(instruction, program.chip) for instruction in program)
    return element("div", element("p", text(head)), times, _details("listing", list(islice(lines, SHOWN_LINES)), len(program)))


def _pre(plain: str) -> str:
    return element("pre", text(plain), style="line-height:1.2")


def _details(title: str, lines: list[str], count: int) -> str:
    """Lines that can be opened, the first ones of so many commands."""
    more = [f"... and {count - SHOWN_LINES} more"] if count > SHOWN_LINES else []
    return element("details", element("summary", text(title)), _pre("\n".join([*lines, *more])))
