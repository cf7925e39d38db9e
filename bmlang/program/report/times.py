"""How long the operators of a stage take, by the cost model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from bmlang.bmodel.nodes import NodeName
from tpukernel.chips.chip import Engine
from tpukernel.cost import Timeline
from tpukernel.cost.timeline import Entry

__all__ = ["KindTime", "LayerTime", "joined", "kind_times", "layer_times", "shared_cycles"]

Key = TypeVar("Key")
ENGINES: Final[tuple[Engine, Engine]] = ("tiu", "gdma")


@dataclass(frozen=True)
class LayerTime:
    """The commands of one operator.

    Attributes:
        node: the operator; None for commands that belong to none.
        cycles: what it contributes to the time of the stage: cycles in which both engines work for different operators count half for each.
            Those of all operators together are the time of the stage.
        tiu, gdma: cycles in which each engine works for it.
        commands: their number.
        macs: multiply-accumulates.
        bytes: bytes that the GDMA moves.
        start, end: the first cycle of its first command, and the first behind its last.
    """

    node: NodeName | None
    cycles: float
    tiu: int
    gdma: int
    commands: int
    macs: int
    bytes: int
    start: int
    end: int


@dataclass(frozen=True)
class KindTime:
    """The commands of one kind.

    Attributes:
        name: the kind, for example `CONV.NORMAL`.
        engine: what works them off.
        commands: their number.
        cycles: cycles in which the engine works on them.
        macs: multiply-accumulates.
        bytes: bytes that they move.
    """

    name: str
    engine: Engine
    commands: int
    cycles: int
    macs: int
    bytes: int


def joined(timelines: Sequence[Timeline]) -> Timeline | None:
    """Timelines that follow each other as one; None of none."""
    if not timelines:
        return None
    entries: list[Entry] = []
    begin = 0
    for number, each in enumerate(timelines):
        entries += [replace(entry, group=number, start=entry.start + begin) for entry in each.entries]
        begin += each.cycles
    known = timelines[0].compulsory if len(timelines) == 1 else None
    return replace(timelines[0], entries=tuple(entries), compulsory=known)


def layer_times(timeline: Timeline, nodes: Mapping[str, NodeName]) -> tuple[LayerTime, ...]:
    """The times of the operators in the order in which they begin.

    Args:
        timeline: of the stage; its commands know what they belong to.
        nodes: the operators by their text, which is what commands know.
    """
    found: dict[str, list[Entry]] = {}
    for entry in timeline.entries:
        found.setdefault(str(entry.instruction.source or ""), []).append(entry)
    cycles = shared_cycles(timeline, lambda entry: str(entry.instruction.source or ""))
    return tuple(
        LayerTime(
            node=nodes.get(name),
            cycles=cycles[name],
            tiu=sum(entry.cost.cycles for entry in entries if entry.engine == "tiu"),
            gdma=sum(entry.cost.cycles for entry in entries if entry.engine == "gdma"),
            commands=len(entries),
            macs=sum(entry.cost.macs for entry in entries),
            bytes=sum(entry.cost.bytes for entry in entries),
            start=min(entry.start for entry in entries),
            end=max(entry.end for entry in entries),
        )
        for name, entries in found.items()
    )


def shared_cycles(timeline: Timeline, key: Callable[[Entry], Key]) -> dict[Key, float]:
    """The time of a stage shared out: each cycle to what works then, half to each where both engines work for different things."""
    found: dict[Key, float] = {key(entry): 0.0 for entry in timeline.entries}
    tracks = [timeline.of(engine) for engine in ENGINES]
    places = [0, 0]
    now = 0
    while any(place < len(track) for place, track in zip(places, tracks, strict=True)):
        heads = [track[place] if place < len(track) else None for place, track in zip(places, tracks, strict=True)]
        working = [head for head in heads if head is not None and head.start <= now < head.end]
        edges = [edge for head in heads if head is not None for edge in (head.start, head.end) if edge > now]
        until = min(edges, default=now)
        for head in working:
            found[key(head)] += (until - now) / len(working)
        now = until
        places = [place + (head is not None and head.end <= now) for place, head in zip(places, heads, strict=True)]
    return found


def kind_times(timeline: Timeline) -> tuple[KindTime, ...]:
    """The times of the kinds of commands, the longest first."""
    found: dict[tuple[str, Engine], list[Entry]] = {}
    for entry in timeline.entries:
        found.setdefault((entry.instruction.title, entry.engine), []).append(entry)
    kinds = [
        KindTime(
            name,
            engine,
            len(entries),
            sum(entry.cost.cycles for entry in entries),
            sum(entry.cost.macs for entry in entries),
            sum(entry.cost.bytes for entry in entries),
        )
        for (name, engine), entries in found.items()
    ]
    return tuple(sorted(kinds, key=lambda kind: -kind.cycles))
