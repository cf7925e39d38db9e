"""In what order the commands of neighbouring groups are issued: coefficients come while the DMA engine would wait for the tensor unit.

Commands of an engine run in their order, so that a store that waits for its computation holds up all loads behind it. Where it would wait
long enough, coefficients that are needed later are loaded before it, those of the next groups among them, as far as there is room. A group
whose computations take longer than its transfers may be cut finer for that: then there is more room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bmlang.compiler.arena import Buffer, Life, place
from bmlang.compiler.cut import Cut, finer_cuts
from bmlang.compiler.estimate import Clock, cycles_of, load_cycles
from bmlang.compiler.steps import Compute, Event, Load, Store, lives_of
from bmlang.graph.graph import Node
from tpukernel.chips.chip import Chip

__all__ = ["Batch", "Issued", "scheduled"]

MOST = 5_000
"""More commands are issued as they are: many small steps wait for nothing long, and looking for a better order would take its time."""
SHARES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Parts of local memory that coefficients may take before their time: the first one for which there is room."""
FINER = 3
"""How many finer ways to cut a group are tried."""


@dataclass(frozen=True, eq=False)
class Issued:
    """A command.

    Attributes:
        event: what is done.
        node: for which node.
        part: the number of the cut with which it is issued.
        since: of a load that comes early: the number of the first command that may still run when it begins.
    """

    event: Event
    node: Node
    part: int
    since: int | None = None


@dataclass(frozen=True)
class Batch:
    """The commands that are issued with a part of a group, and the bytes of a lane that they use besides buffers."""

    commands: Sequence[Issued]
    scratch: int


@dataclass(frozen=True)
class _Schedule:
    """An order of commands, how long they take, and where buffers lie."""

    cuts: Sequence[Cut]
    commands: Sequence[Issued]
    cycles: int
    addresses: Mapping[Buffer, int]


def scheduled(cuts: Sequence[Cut], constants: Collection[str], chip: Chip) -> list[Batch]:
    """The commands of groups that run one after the other. Buffers get new addresses where that is needed.

    Args:
        cuts: the groups, or parts of groups.
        constants: names of tensors that are there from the beginning.
        chip: the chip.
    """
    best = _scheduled(cuts, _in_order(cuts), chip)
    if len(best.commands) <= MOST:
        best = _better(best, _with_early_loads(cuts, constants, chip))
        for part, cut in enumerate(cuts[:-1]):
            for finer in finer_cuts(cut, chip, FINER) if _waits(cut, chip) else ():
                others = [*best.cuts[:part], finer, *best.cuts[part + 1 :]]
                best = _better(best, _with_early_loads(others, constants, chip))
    for buffer, address in best.addresses.items():
        buffer.address = address
    batches: list[list[Issued]] = [[] for _ in cuts]
    for each in best.commands:
        batches[each.part].append(each)
    return [Batch(commands, cut.steps.scratch) for commands, cut in zip(batches, best.cuts, strict=True)]


def _better(one: _Schedule, other: _Schedule | None) -> _Schedule:
    return one if other is None or one.cycles <= other.cycles else other


def _in_order(cuts: Sequence[Cut]) -> list[Issued]:
    """The commands of cuts, one after the other."""
    return [Issued(event, work.node, part) for part, cut in enumerate(cuts) for event, work in cut.steps.issued()]


def _scheduled(cuts: Sequence[Cut], commands: Sequence[Issued], chip: Chip) -> _Schedule:
    """An order with the places that buffers have at the moment."""
    events = [each.event for each in commands]
    return _Schedule(cuts, commands, cycles_of(events, chip, placed=True), {buffer: buffer.address for buffer, _ in lives_of(events)})


def _waits(cut: Cut, chip: Chip) -> bool:
    """Whether the DMA engine has little to do."""
    clock = Clock(chip)
    for event in cut.steps.events():
        clock.run(event)
    return clock.waited > clock.cycles / 8


def _with_early_loads(cuts: Sequence[Cut], constants: Collection[str], chip: Chip) -> _Schedule | None:
    """Loads where the DMA engine would wait; None where there are none, or no room."""
    plain = _in_order(cuts)
    rooms = [chip.lane_bytes - cut.steps.scratch for cut in cuts]
    best: _Schedule | None = None
    tried: list[int] = []
    for share in SHARES:
        commands = list(_early(plain, constants, int(share * chip.lane_bytes), chip))
        order = [id(each.event) for each in commands]
        if all(each.since is None for each in commands):
            break
        if order != tried and _placed(commands, rooms):
            found = _scheduled(cuts, commands, chip)
            best = found if best is None else _better(best, found)
        tried = order
    return best


def _placed(commands: Sequence[Issued], rooms: Sequence[int]) -> bool:
    """Give all buffers new addresses; False where there is no room in some part."""
    return place(_lives(commands), lambda life: min(rooms[commands[life.first].part : commands[life.last].part + 1]))


def _lives(commands: Sequence[Issued]) -> list[tuple[Buffer, Life]]:
    """When each buffer is needed; one that is loaded early does not lie where something runs at that time, so that it waits for nothing."""
    since = {each.event.buffer: each.since for each in commands if isinstance(each.event, Load) and each.since is not None}
    lives = lives_of(each.event for each in commands)
    return [(buffer, Life(min(life.first, since.get(buffer, life.first)), life.last)) for buffer, life in lives]


def _early(plain: Sequence[Issued], constants: Collection[str], most: int, chip: Chip) -> Iterator[Issued]:
    """The commands in another order: loads of coefficients where the DMA engine would wait.

    Args:
        plain: the commands.
        constants: names of tensors that are there from the beginning.
        most: bytes of a lane that coefficients which came early may have until their time comes.
        chip: the chip.
    """
    loads = ((number, each) for number, each in enumerate(plain) if _is_known(each.event, constants))
    waiting = deque((number, each, each.event) for number, each in loads if isinstance(each.event, Load))
    early: set[int] = set()
    running: deque[tuple[int, float]] = deque()  # number of a computation in the new order, when it ends
    taken = issued = 0
    clock = Clock(chip)
    for number, each in enumerate(plain):
        if number in early and isinstance(each.event, Load):
            taken -= each.event.buffer.bytes
            continue
        while waiting and waiting[0][0] <= number:
            waiting.popleft()
        if isinstance(each.event, Store):
            until = clock.ready(each.event.held.buffer)
            while waiting and taken + waiting[0][2].buffer.bytes <= most and clock.dma + load_cycles(waiting[0][2], chip) <= until:
                place_of_load, load, event = waiting.popleft()
                while running and running[0][1] <= clock.dma:
                    running.popleft()
                early.add(place_of_load)
                taken += event.buffer.bytes
                clock.run(event)
                yield replace(load, part=each.part, since=running[0][0] if running else None)
                issued += 1
        clock.run(each.event)
        if isinstance(each.event, Compute):
            running.append((issued, clock.ready(each.event.outs[0].buffer)))
        yield each
        issued += 1


def _is_known(event: Event, constants: Collection[str]) -> bool:
    return isinstance(event, Load) and (not isinstance(event.source, str) or event.source in constants)
