"""Changes of single commands of an elaborated kernel, as mistakes of the elaboration would make: waits, addresses, strides, copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tpukernel.chips.chip import Engine
from tpukernel.chips.layout import strides_of
from tpukernel.chips.tensors import Layout, LocalTensor, SystemTensor
from tpukernel.isa import Instruction, Program
from tpukernel.isa.program import Group
from tpukernel.lang.elaborate import Elaborated

__all__ = ["CommandEdit", "command_edits"]

OTHER: dict[Engine, Engine] = {"tiu": "gdma", "gdma": "tiu"}
EU_BYTES = 64
T = TypeVar("T")


@dataclass(frozen=True)
class CommandEdit:
    """A changed program: the kind of the change, what was changed, and a function that makes it."""

    kind: str
    what: str
    make: Callable[[], Elaborated]


def command_edits(found: Elaborated) -> Iterator[CommandEdit]:
    """Changes of a kernel whose program has one command group."""
    (group,) = found.program.groups
    for engine in OTHER:
        commands = group.commands(engine)
        for place in _chosen(found, engine, [place for place in range(len(commands)) if _binds(commands, place)], 3):
            one = commands[place]
            for what, number in (("no wait", 0), ("waits for one command less", one.depends - 1)):
                if what == "no wait" or number:
                    yield _edit(found, "wait", what, engine, place, lambda one=one, number=number: one.numbered(one.id, number))
        for place in _chosen(found, engine, range(len(commands) - 1), 1):
            yield CommandEdit("command", f"{_told(found, commands[place])}: dropped", lambda e=engine, p=place: _dropped(found, e, p))
            for kind, what, make in _operands(found, commands[place]):
                yield _edit(found, kind, what, engine, place, make)
    for name in dict.fromkeys(slot.key[0] for slot in found.allocation.slots if slot.key[1] == 1):
        yield CommandEdit("copies", f"{name}: the second copy lies on the first one", lambda name=name: _one_copy(found, name))


def _edit(found: Elaborated, kind: str, what: str, engine: Engine, place: int, make: Callable[[], Instruction]) -> CommandEdit:
    def made() -> Elaborated:
        (group,) = found.program.groups
        commands = list(group.commands(engine))
        commands[place] = make()
        return _with(found, engine, commands)

    return CommandEdit(kind, f"{_told(found, found.program.groups[0].commands(engine)[place])}: {what}", made)


def _told(found: Elaborated, instruction: Instruction) -> str:
    origin = found.origins.get((0, instruction.engine, instruction.id))
    return f"{instruction.engine} {instruction.id} {instruction.title} of {origin.name if origin else 'nothing'}"


def _chosen(found: Elaborated, engine: Engine, places: Sequence[int], most: int) -> Iterator[int]:
    """Of the commands at these places, the first, the middle, the last one of each operation: as many of those as are asked for."""
    commands = found.program.groups[0].commands(engine)
    alike: dict[object, list[int]] = {}
    for place in places:
        origin = found.origins.get((0, engine, commands[place].id))
        alike.setdefault((origin and id(origin.op), commands[place].title), []).append(place)
    for some in alike.values():
        yield from dict.fromkeys((some[len(some) // 2], some[0], some[-1])[:most])


def _binds(commands: Sequence[Instruction], place: int) -> bool:
    """Whether a command waits for more than those before it did."""
    return commands[place].depends > max((each.depends for each in commands[:place]), default=0)


def _operands(found: Elaborated, one: Instruction) -> Iterator[tuple[str, str, Callable[[], Instruction]]]:
    chip = found.program.chip
    for use in one.operands():
        value = use.value
        if use.name not in one.specs or not isinstance(value, LocalTensor | SystemTensor):
            continue

        def put(name: str, value: LocalTensor | SystemTensor, **changes: Any) -> Callable[[], Instruction]:
            return lambda: one.replace(**{name: replace(value, **changes)})

        for step in (EU_BYTES, chip.lane_bytes) if isinstance(value, LocalTensor) else (value.dtype.itemsize,):
            yield "address", f"{use.name} {step} bytes on", put(use.name, value, address=value.address + step)
        axis = next((axis for axis in (3, 2) if value.shape[axis] > 1), None)
        if axis is not None and _has_strides(found, value):
            strides = list(strides_of(chip, value))
            strides[axis] += 1
            layout = {"layout": Layout.FREE} if isinstance(value, LocalTensor) else {}
            yield "stride", f"{use.name} other stride {axis}", put(use.name, value, strides=tuple(strides), **layout)


def _has_strides(found: Elaborated, value: LocalTensor | SystemTensor) -> bool:
    """Tables of the chip and weights have none."""
    return isinstance(value, SystemTensor) or (value.address < found.program.chip.local_bytes and value.layout is not Layout.WEIGHT)


def _dropped(found: Elaborated, engine: Engine, place: int) -> Elaborated:
    """Without one command; the others keep waiting for whom they waited for."""
    (group,) = found.program.groups
    number = place + 1
    left = [each for each in group.commands(engine) if each.id != number]
    commands = [each.numbered(new, each.depends) for new, each in enumerate(left, 1)]
    others = [each.numbered(each.id, each.depends - (each.depends >= number)) for each in group.commands(OTHER[engine])]
    program = _program(found, Group(commands, others) if engine == "tiu" else Group(others, commands))
    return replace(
        found, program=program, origins=_renumbered(found.origins, engine, number), positions=_renumbered(found.positions, engine, number)
    )


def _renumbered(known: Mapping[tuple[int, Engine, int], T], engine: Engine, number: int) -> Mapping[tuple[int, Engine, int], T]:
    """What is known about commands, after that of a number was taken out."""
    kept = {key: value for key, value in known.items() if key[1:] != (engine, number)}
    return {(group, own, place - (own == engine and place > number)): value for (group, own, place), value in kept.items()}


def _one_copy(found: Elaborated, name: str) -> Elaborated:
    """The first two copies of a buffer at one address, as if a pipeline had one copy less."""
    first, second = (next(slot for slot in found.allocation.slots if slot.key == (name, copy)) for copy in (0, 1))

    def moved(one: Instruction) -> Instruction:
        changes = {
            use.name: replace(use.value, address=use.value.address - second.address + first.address)
            for use in one.operands()
            if use.name in one.specs and isinstance(use.value, LocalTensor) and second.address <= use.value.address < second.end
        }
        return one.replace(**changes) if changes else one

    (group,) = found.program.groups
    return replace(found, program=_program(found, Group([moved(each) for each in group.tiu], [moved(each) for each in group.gdma])))


def _with(found: Elaborated, engine: Engine, commands: list[Instruction]) -> Elaborated:
    (group,) = found.program.groups
    return replace(found, program=_program(found, Group(commands, group.gdma) if engine == "tiu" else Group(group.tiu, commands)))


def _program(found: Elaborated, group: Group) -> Program:
    program = Program(found.program.chip)
    program.groups[:] = [group]
    return program
