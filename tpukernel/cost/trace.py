"""Timelines in the Chrome Trace Event Format: one process for a program, one track for an engine, times in microseconds.

Format: "Trace Event Format" (public document of the Chromium project); complete events `X` and metadata events `M`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Operand
from tpukernel.cost.report import cost_notes, waits_for
from tpukernel.isa.listing import operand_text

if TYPE_CHECKING:
    from tpukernel.cost.timeline import Entry, Timeline

__all__ = ["chrome_trace", "join_traces"]

_TRACKS: Mapping[Engine, tuple[int, str]] = {"tiu": (1, "TIU"), "gdma": (2, "GDMA")}


def chrome_trace(timeline: Timeline, title: str, process: int) -> dict[str, object]:
    """A trace that Perfetto and chrome://tracing load."""
    name = f"{title} ({timeline.chip}, {timeline.mode})"
    return {
        "displayTimeUnit": "ns",
        "traceEvents": [*_names(name, process), *(_slice(entry, timeline, process) for entry in timeline.entries)],
    }


def join_traces(traces: list[dict[str, object]]) -> dict[str, object]:
    """One trace of several; their processes must have different numbers."""
    events: list[object] = []
    for trace in traces:
        found = trace["traceEvents"]
        events += found if isinstance(found, list) else []
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _names(name: str, process: int) -> Iterator[dict[str, object]]:
    yield {"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": name}}
    for track, engine in _TRACKS.values():
        yield {"ph": "M", "name": "thread_name", "pid": process, "tid": track, "args": {"name": engine}}
        yield {"ph": "M", "name": "thread_sort_index", "pid": process, "tid": track, "args": {"sort_index": track}}


def _slice(entry: Entry, timeline: Timeline, process: int) -> dict[str, object]:
    return {
        "ph": "X",
        "name": entry.instruction.title,
        "cat": entry.instruction.unit,
        "pid": process,
        "tid": _TRACKS[entry.engine][0],
        "ts": entry.start / timeline.table.mhz,
        "dur": entry.cost.cycles / timeline.table.mhz,
        "args": _arguments(entry, timeline.chip),
    }


def _arguments(entry: Entry, chip: Chip) -> dict[str, object]:
    instruction, cost = entry.instruction, entry.cost
    told: dict[str, object] = {"command": f"{entry.engine} {instruction.id}", "cycles": cost.cycles}
    told |= {"group": entry.group} if entry.group else {}
    told |= {"waits for": waits_for(entry)} if instruction.depends else {}
    told |= {"bytes": cost.bytes} if cost.bytes else {}
    told |= {"MACs": cost.macs} if cost.macs else {}
    told |= {"source": instruction.source} if instruction.source else {}
    notes = cost_notes(cost)
    told |= {"notes": ", ".join(notes)} if notes else {}
    return told | {use.name: _operand(use.value, chip) for use in instruction.operands()}


def _operand(value: Operand, chip: Chip) -> str:
    return f"constant {operand_text(value, chip)}" if isinstance(value, Constant) else operand_text(value, chip)
