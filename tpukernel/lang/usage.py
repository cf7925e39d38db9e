"""Results that nobody uses, and buffers that are read although nobody wrote to them: mistakes that the operations alone show.

Both are found by name and box, before anything runs. Which single elements were written is a matter of the simulator's checks. Where
the author gives addresses, names say nothing about memory, and nothing is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tpukernel.lang.errors import KernelError, UnusedResultError, UnwrittenBufferError
from tpukernel.lang.ir import Op
from tpukernel.lang.operands import row_of
from tpukernel.lang.stages import direction_of
from tpukernel.lang.unroll import Box, Buffer, Command

__all__ = ["find_misuse", "raise_first"]

Accesses = Mapping[int, Sequence[tuple[int, Box]]]
"""By the life of a buffer: the number of the command, and what it touches."""


def find_misuse(commands: Sequence[Command]) -> list[KernelError]:
    """The mistakes, in the order in which they were written; one for each operation."""
    if any(_has_addresses(command) for command in commands):
        return []
    reads, writes = _accesses(commands, "in"), _accesses(commands, "out")
    return [*_unwritten(commands, writes), *_unused(commands, reads)]


def raise_first(mistakes: Sequence[KernelError]) -> None:
    """Raise the first mistake anew, with a note for each of the others.

    Raises:
        KernelError: there is one.
    """
    for mistake in mistakes:
        raised = type(mistake)(mistake.message, position=mistake.position, where=mistake.where, help=mistake.help)
        for other in mistakes[1:]:
            raised.add_note(str(other))
        raise raised


def _has_addresses(command: Command) -> bool:
    if not isinstance(command.op, Op) or any(isinstance(box.base, Buffer) and box.base.at is not None for _, box in command.boxes()):
        return True
    addresses = {parameter.name for parameter in row_of(command.op.row).parameters if parameter.kind.name in ("local", "system", "address")}
    return not addresses.isdisjoint(command.attributes)


def _boxes(command: Command, direction: str) -> Iterator[tuple[str, Box, Buffer]]:
    """Operands in buffers of the author's that a command reads (`in`) or writes (`out`); what is not sure counts as both."""
    for name, box in command.boxes():
        if not isinstance(box.base, Buffer) or box.base.local.position is None or not isinstance(command.op, Op):
            continue
        if direction_of(command.op, name) in (direction, "inout"):
            yield name, box, box.base


def _accesses(commands: Sequence[Command], direction: str) -> Accesses:
    found: dict[int, list[tuple[int, Box]]] = {}
    for index, command in enumerate(commands):
        for _, box, buffer in _boxes(command, direction):
            found.setdefault(buffer.life, []).append((index, box))
    return found


def _unwritten(commands: Sequence[Command], writes: Accesses) -> Iterator[UnwrittenBufferError]:
    told: set[int] = set()
    for index, command in enumerate(commands):
        for name, box, buffer in _boxes(command, "in"):
            before = (other for place, other in writes.get(buffer.life, ()) if place < index)
            if id(command.op) in told or _is_unsure(command, name) or any(box.meets(other) for other in before):
                continue
            told.add(id(command.op))
            made = buffer.local.position
            yield UnwrittenBufferError(
                f"{name} of {command.name} is {box}, to which nobody has written",
                position=command.position,
                where=f"{command.where()}\n  it is made at {made.rendered() if made else ''}",
                help="load or compute it first" if buffer.life not in writes else "what is written comes later, or to another part of it",
            )


def _is_unsure(command: Command, name: str) -> bool:
    return not isinstance(command.op, Op) or direction_of(command.op, name) == "inout"


def _unused(commands: Sequence[Command], reads: Accesses) -> Iterator[UnusedResultError]:
    """An operation none of whose commands has a result that a later command reads, or that lies in system memory."""
    by_op: dict[int, list[int]] = {}
    for index, command in enumerate(commands):
        by_op.setdefault(id(command.op), []).append(index)
    for places in by_op.values():
        results = [(index, box, buffer) for index in places for _, box, buffer in _boxes(commands[index], "out")]
        first = commands[places[0]]
        if not results or _writes_elsewhere(first):
            continue
        if any(place > index and box.meets(read) for index, box, buffer in results for place, read in reads.get(buffer.life, ())):
            continue
        yield UnusedResultError(
            f"nobody uses what {first.name} puts into {results[0][1]}",
            position=first.position,
            where=first.where(),
            help="use it, store it, or leave the operation out",
        )


def _writes_elsewhere(command: Command) -> bool:
    """Whether a result lies in system memory, or in working memory, of which nothing is known."""
    assert isinstance(command.op, Op)  # noqa: S101
    written = [box for name, box in command.boxes() if direction_of(command.op, name) != "in"]
    return any(not isinstance(box.base, Buffer) for box in written)
