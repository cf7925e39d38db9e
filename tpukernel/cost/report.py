"""Timelines as text and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tpukernel.chips.chip import Engine
from tpukernel.cost.figures import Figures
from tpukernel.cost.result import Cost, Traffic
from tpukernel.markup import text_table

if TYPE_CHECKING:
    from tpukernel.cost.timeline import Entry, Timeline

__all__ = ["cost_notes", "data", "table", "text", "totals", "waits_for"]

_ENGINES: tuple[Engine, Engine] = ("tiu", "gdma")
_HEAD = ("start", "end", "cycles", "engine", "id", "waits", "command", "bytes", "notes")
_RIGHT = tuple(_HEAD.index(name) for name in ("start", "end", "cycles", "id", "bytes"))


def cost_notes(cost: Cost) -> list[str]:
    """Short notes on a command: `unmodelled`, and the cycles that each cause loses."""
    notes = ["unmodelled"] if cost.unmodelled else []
    return notes + [f"{loss.name.lower().replace('_', ' ')} {cycles}" for loss, cycles in cost.losses.items()]


def waits_for(entry: Entry) -> str:
    """The command of the other engine that a command waits for; empty for none."""
    depends = entry.instruction.depends
    return f"{'gdma' if entry.engine == 'tiu' else 'tiu'} {depends}" if depends else ""


# ---------------------------------------------------------------------------- text


def text(timeline: Timeline) -> str:
    """A table of the commands, totals, advice."""
    return "\n".join([*table(timeline.entries), "", *totals(timeline)])


def table(entries: Sequence[Entry]) -> Iterator[str]:
    """The lines of a table of commands."""
    return text_table([_HEAD, *map(_row, entries)], _RIGHT)


def totals(timeline: Timeline) -> list[str]:
    """The lines of totals and advice."""
    return [*_totals(timeline), *(f"advice: {line}" for line in timeline.advice())]


def _row(entry: Entry) -> tuple[str, ...]:
    instruction, cost = entry.instruction, entry.cost
    numbers = (str(entry.start), str(entry.end), str(cost.cycles), entry.engine, str(instruction.id))
    notes = [*([instruction.source] if instruction.source else []), *cost_notes(cost)]
    return (*numbers, waits_for(entry), instruction.title, str(cost.bytes or ""), ", ".join(notes))


def _totals(timeline: Timeline) -> Iterator[str]:
    figures = timeline.figures
    clock = f"{timeline.microseconds:.3f} us at {timeline.table.mhz} MHz"
    yield f"total: {figures.cycles} cycles, {clock} ({timeline.chip}, mode {timeline.mode})"
    busy = ", ".join(f"{engine} {figures.busy[engine]} in {figures.commands[engine]} commands" for engine in _ENGINES)
    yield f"busy: {busy}; overlap {figures.overlap:.0%}"
    moved = f"{figures.traffic.read} bytes read, {figures.traffic.written} written{_ratio_text(figures)}"
    yield f"traffic: {moved}; DMA efficiency {figures.dma_eff:.0%}"
    if figures.macs:
        yield (
            f"matrix: {figures.macs} MACs, {figures.mac_util:.1%} of the peak, {figures.mac_eff:.0%} during matrix commands; "
            f"{figures.intensity:.1f} operations per byte"
        )
    yield f"roof: {round(figures.roof)} cycles ({_bound_text(figures)}); the program reaches {figures.of_roof:.0%} of it"


def _ratio_text(figures: Figures) -> str:
    return "" if figures.traffic_ratio is None else f", {figures.traffic_ratio:.2f} times what is needed"


def _bound_text(figures: Figures) -> str:
    return "multiply-accumulates at the peak rate" if figures.bound == "mac" else "memory at the peak rate"


# ---------------------------------------------------------------------------- data


def data(timeline: Timeline) -> dict[str, object]:
    """Commands, figures and advice as data for `json.dumps`; cycles, bytes, and shares from 0 to 1."""
    return {
        "chip": timeline.chip.name,
        "mode": timeline.mode,
        "mhz": timeline.table.mhz,
        "cycles": timeline.cycles,
        "microseconds": timeline.microseconds,
        "figures": _figures(timeline.figures),
        "advice": timeline.advice(),
        "commands": [_command(entry) for entry in timeline.entries],
    }


def _figures(figures: Figures) -> dict[str, object]:
    plain: dict[str, object] = {
        name: asdict(value) if isinstance(value, Traffic) else value
        for name, value in ((name, getattr(figures, name)) for name in figures.__dataclass_fields__)
        if name not in ("losses", "commands", "busy")
    }
    by_engine = {"commands": dict(figures.commands), "busy": dict(figures.busy)}
    losses = {loss.name.lower(): {"cycles": cycles, "commands": count} for loss, (cycles, count) in figures.losses.items()}
    return plain | by_engine | {"losses": losses}


def _command(entry: Entry) -> dict[str, object]:
    instruction, cost = entry.instruction, entry.cost
    return {
        "group": entry.group,
        "engine": entry.engine,
        "id": instruction.id,
        "depends": instruction.depends,
        "name": instruction.title,
        "start": entry.start,
        "end": entry.end,
        "cycles": cost.cycles,
        "start_cycles": cost.start_cycles,
        "macs": cost.macs,
        "bytes": cost.bytes,
        "unmodelled": cost.unmodelled,
        "losses": _named(cost),
    }


def _named(cost: Cost) -> dict[str, int]:
    return {loss.name.lower(): cycles for loss, cycles in cost.losses.items()}
