"""Accesses of the two engines to common bytes that the command numbers leave unordered.

Within an engine the commands are in order. A command also comes after every command of the other engine up to the largest number that it,
or an earlier command of its own engine, waits for. Two commands of different engines of which neither comes after the other may run at
the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from tpukernel.chips.chip import Engine
from tpukernel.sim.checks.access import Access, bytes_text
from tpukernel.sim.checks.errors import RaceError
from tpukernel.sim.memory import Memory

__all__ = ["races"]

_Commands = dict[int, list[Access]]
"""The accesses of each command of an engine by its number, in ascending order."""


def races(accesses: Sequence[Access], memory: Memory) -> Iterator[RaceError]:
    """The races within a command group."""
    tiu, gdma = _by_number(accesses, "tiu"), _by_number(accesses, "gdma")
    tiu_waits, gdma_waits = _waits(tiu), _waits(gdma)
    numbers = list(gdma)
    start = 0
    for number, commands in tiu.items():
        while start < len(numbers) and numbers[start] <= tiu_waits[number]:
            start += 1  # these, and all before them, come before this command and all after it
        for other in numbers[start:]:
            if gdma_waits[other] >= number:
                break  # this one, and all after it, come after the command
            for access in commands:
                for conflicting in gdma[other]:
                    if access.writes or conflicting.writes:
                        yield from _race(access, conflicting, memory)


def _by_number(accesses: Sequence[Access], engine: Engine) -> _Commands:
    found: _Commands = {}
    for access in accesses:
        if access.instruction.engine == engine:
            found.setdefault(access.instruction.id, []).append(access)
    return dict(sorted(found.items()))


def _waits(commands: _Commands) -> dict[int, int]:
    depends = (accesses[0].instruction.depends for accesses in commands.values())
    return dict(zip(commands, accumulate(depends, max), strict=True))


def _race(one: Access, other: Access, memory: Memory) -> Iterator[RaceError]:
    common = one.common_bytes(other)
    if not common.size:
        return
    first, second = f"{one.instruction.engine} {one.instruction.id}", f"{other.instruction.engine} {other.instruction.id}"
    verbs = [f"{'writes' if access.writes else 'reads'}" for access in (one, other)]
    yield RaceError(
        f"{first} {verbs[0]} {one.text()} while {second} {verbs[1]} {other.text()}: {bytes_text(memory.chip, one.space, common)}",
        instructions=[one.instruction, other.instruction],
        operands=[one.use.name, other.use.name],
        help=f"let {first} wait for {second}, or {second} for {first}",
    )
