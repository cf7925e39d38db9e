"""Fusing: from the calls of a stretch of commands to fewer calls that leave the same memories behind.

Calls are put into groups, each of which becomes one kernel (`group`). A call joins a group some places back if nothing in between minds,
and small preparations in between (a table that is copied into local memory) are done before the group. Then stores to local memory are
dropped that something later in the stretch overwrites before anything reads them. What is in the memories behind the stretch is the same
in every byte; inside of it is not, so that a stretch is done as a whole, or command by command by the calls that were not fused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tpukernel.chips.tensors import Constant
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.jit.access import place_of
from tpukernel.sim.jit.fusion.group import Group
from tpukernel.sim.jit.fusion.loops import Area, Loops, loops_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.memory import Memory

__all__ = ["fuse"]

LOOKBACK = 12
"""Groups that are looked at for a call to join."""

MOST_BLOCKERS = 2
"""Groups that are moved before another one for a call to join it."""

MOST_COVERS = 64
"""Areas that are known to be overwritten."""

LEAST_NANOSECONDS = 3000.0
"""A group that takes less is left as it is."""

_DECLARED = frozenset(
    {"Arith", "Compare", "Conv", "DmaMatrix", "DmaTensor", "LaneMove", "Linear", "MatMul", "MatMul2", "Pool", "Quant", "Special"}
)
"""Units that touch nothing but their operands."""


@dataclass(eq=False)
class _Fixed:
    """The calls of a command that stays as it is.

    Attributes:
        touched: what it reads, and what it writes; None: nobody knows.
    """

    calls: list[Call]
    touched: tuple[list[Area], list[Area]] | None


_Item = Group | _Fixed


def fuse(commands: Sequence[tuple[Instruction, list[Call]]], memory: Memory) -> list[Call] | None:
    """The calls for a stretch of commands that is done as a whole; None where they are the ones that there were.

    Args:
        commands: the commands in their order, and the calls of each, none of which may refuse.
        memory: what they work on.
    """
    items: list[_Item] = []
    for instruction, calls in commands:
        loops = [loops_of(call, memory.lane_stride) for call in calls]
        known = [each for each in loops if each is not None]
        if len(known) < len(loops):
            items.append(_Fixed(calls, _touched(instruction, memory)))
            continue
        for call, each in zip(calls, known, strict=True):
            _place(items, call, each)
    return _calls(_settled(items), sum(len(calls) for _, calls in commands))


def _touched(instruction: Instruction, memory: Memory) -> tuple[list[Area], list[Area]] | None:
    if type(instruction).__name__ not in _DECLARED:
        return None
    read, written = list[Area](), list[Area]()
    for use in instruction.operands():
        if isinstance(use.value, Constant):
            continue
        place = place_of(memory, use.value)
        if place is None:
            return None
        low, high, first, last = place.box
        area = Area(place.space, low, high, first, last)
        if use.direction != "out":
            read.append(area)
        if use.direction != "in":
            written.append(area)
    return read, written


# ---------------------------------------------------------------------------- groups


def _place(items: list[_Item], call: Call, loops: Loops) -> None:
    """Put a call into a group, or make a new one of it."""
    blockers: list[int] = []
    for index in range(len(items) - 1, max(-1, len(items) - 1 - LOOKBACK), -1):
        item = items[index]
        if isinstance(item, _Fixed):
            if item.touched is None or any(_conflict(item.touched, what) for what in _moved(items, blockers, loops)):
                break
            continue
        held = any(_conflict((item.read, item.written), what) for what in _moved(items, blockers))
        if not held and item.try_join(call, loops):
            moved = [items.pop(blocker) for blocker in blockers]
            items[index:index] = reversed(moved)
            return
        if held or _conflict((item.read, item.written), (loops.read, loops.written)):
            blockers.append(index)
            if len(blockers) > MOST_BLOCKERS:
                break
    items.append(Group.of(call, loops))


_Touched = tuple[Sequence[Area | None], Sequence[Area]]


def _moved(items: Sequence[_Item], blockers: Sequence[int], loops: Loops | None = None) -> Iterator[_Touched]:
    """What is read and written by groups that are to be done earlier, and by a call."""
    for blocker in blockers:
        item = items[blocker]
        if isinstance(item, Group):
            yield item.read, item.written
    if loops is not None:
        yield loops.read, loops.written


def _conflict(one: _Touched, other: _Touched) -> bool:
    """Whether the order matters in which two things are done."""
    (read, written), (other_read, other_written) = one, other
    return _meet(written, other_read) or _meet(written, other_written) or _meet(read, other_written)


def _meet(some: Sequence[Area | None], others: Sequence[Area | None]) -> bool:
    return any(area is not None and other is not None and area.meets(other) for area in some for other in others)


# ---------------------------------------------------------------------------- stores


@dataclass
class _Use:
    """By member of a group: which results are stored, and whether it is computed at all."""

    live: list[list[bool]]
    needed: list[bool]


def _settled(items: list[_Item]) -> list[tuple[_Item, _Use | None]]:
    """The items with what each of them stores, groups cut where stores forbid to compute them at once."""
    items = [part for item in items for part in _worthwhile(item)]
    while True:
        uses = _uses(items)
        cuts: list[_Item] = []
        for item, use in zip(items, uses, strict=True):
            place = item.first_wrong(use.live) if isinstance(item, Group) and use is not None else None
            cuts += [item] if place is None or isinstance(item, _Fixed) else item.cut(place)
        if len(cuts) == len(items):
            return list(zip(items, uses, strict=True))
        items = cuts


def _worthwhile(item: _Item) -> list[_Item]:
    """The item, or its calls alone if they are too small for a kernel of their own."""
    if isinstance(item, _Fixed) or len(item.members) == 1:
        return [item]
    if sum(member.call.cost for member in item.members) >= LEAST_NANOSECONDS:
        all_live = [[True] * len(member.loops.results) for member in item.members]
        if item.fused_call(all_live, [True] * len(item.members)) is not None:
            return [item]
    return [Group.of(member.call, member.loops) for member in item.members]


def _uses(items: Sequence[_Item]) -> list[_Use | None]:
    """What is stored, looking back from the end of the stretch, where all of local memory can be seen."""
    covers: list[Area] = []
    found: list[_Use | None] = []
    for item in reversed(items):
        if isinstance(item, _Fixed):
            covers = [] if item.touched is None else [cover for cover in covers if not _meet([cover], item.touched[0])]
            found.append(None)
            continue
        use = _Use([[] for _ in item.members], [False] * len(item.members))
        for number in range(len(item.members) - 1, -1, -1):
            member = item.members[number]
            written = member.loops.written
            live = [area.space != "lmem" or not any(cover.covers(area) for cover in covers) for area in written]
            use.live[number] = live
            use.needed[number] |= any(live)
            if use.needed[number]:
                for origin in member.origins:
                    if origin is not None:
                        use.needed[origin.member] = True
                stored = [area for area, is_live in zip(written, live, strict=True) if is_live and area.space == "lmem"]
                covers = [*stored, *covers][:MOST_COVERS]
                for _, area in member.reads():
                    covers = [cover for cover in covers if not cover.meets(area)]
        found.append(use)
    return list(reversed(found))


def _calls(settled: Sequence[tuple[_Item, _Use | None]], count: int) -> list[Call] | None:
    calls: list[Call] = []
    for item, use in settled:
        if isinstance(item, _Fixed) or use is None:
            calls += item.calls if isinstance(item, _Fixed) else []
        elif not any(use.needed):
            continue
        elif len(item.members) == 1:
            calls.append(item.members[0].call)
        else:
            call = item.fused_call(use.live, use.needed)
            calls += [member.call for member in item.members] if call is None else [call]
    return calls if len(calls) < count else None
