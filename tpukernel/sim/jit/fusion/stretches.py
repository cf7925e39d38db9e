"""Which stretches of a program are fused, and when that is worth the time it takes.

Fusing costs time for each command, and a new kernel has to be compiled. A program that runs once would gain nothing. So one is fused when
it has run for as long as fusing it takes: together that is never more than twice what the better choice would have been.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from threading import Lock

from tpukernel.isa.instruction import Instruction
from tpukernel.sim.jit.alike import Lowered
from tpukernel.sim.jit.assembly import Tables, assemble
from tpukernel.sim.jit.fusion.fuse import fuse
from tpukernel.sim.jit.kernel import Call, Kernel
from tpukernel.sim.memory import Memory

__all__ = ["Fused", "Fusing", "Stretch", "unfused"]

PAYBACK = 1.0
"""A program is fused when it has run that many times as long as fusing takes. 0: before it runs for the first time."""

COMMAND_NANOSECONDS = 3e5
"""Time to look at a command."""

KERNEL_NANOSECONDS = 4e7
"""Time to compile a kernel of several operations."""

STRETCH_NANOSECONDS = 5e7
"""Estimated time of a stretch, at most: in between Python sees an interrupt."""


_switched_off: ContextVar[bool] = ContextVar("_switched_off", default=False)


@contextmanager
def unfused() -> Generator[None]:
    """Runs of this thread are not fused meanwhile: to measure commands that repeat each other, of which fusing would leave one."""
    token = _switched_off.set(True)
    try:
        yield
    finally:
        _switched_off.reset(token)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Commands that are done as a whole.

    Attributes:
        begin, end: positions of the first command and of the one behind the last.
        first, last: the first row of the table and the one behind the last.
        cost: nanoseconds that it takes, about.
    """

    begin: int
    end: int
    first: int
    last: int
    cost: float


@dataclass(frozen=True, eq=False)
class Fused:
    """Stretches by the position of their first command, and their table."""

    stretches: dict[int, Stretch]
    tables: Tables

    def following(self, position: int) -> int:
        """Where the next stretch behind a position begins."""
        return min((begin for begin in self.stretches if begin > position), default=sys.maxsize)


Found = list[tuple[int, int, list[Call]]]
"""(position of the first command, that of the one behind the last, the calls for them)."""


@dataclass(eq=False)
class Fusing:
    """Fuses a program when it is worth it.

    Args:
        order: the commands in the order in which they run.
        spent: estimated nanoseconds of a run.
        lower: how commands are executed.
        address_of: the address of a kernel's code.
        is_made: whether that would not have to be compiled.
    """

    order: Sequence[Instruction]
    spent: float
    lower: Callable[[Sequence[Instruction], Memory], list[Lowered]]
    address_of: Callable[[Kernel], int]
    is_made: Callable[[Kernel], bool]
    _ran: float = 0.0
    _found: Found | None = None
    _fused: Fused | None = None
    _lock: Lock = field(default_factory=Lock)

    def next_run(self, memory: Memory) -> Fused | None:
        """What is fused in the run that begins; None: nothing (so far)."""
        if _switched_off.get():
            return None
        if self._fused is None:
            with self._lock:
                self._advance(memory)
        return self._fused

    def _advance(self, memory: Memory) -> None:
        budget = self._ran / PAYBACK if PAYBACK else math.inf
        self._ran += self.spent
        budget -= COMMAND_NANOSECONDS * len(self.order)
        if self._fused is not None or budget < 0:
            return
        if self._found is None:
            self._found = _stretches(self.order, self.lower(self.order, memory), memory)
        if budget < KERNEL_NANOSECONDS * self._missing(self._found):
            return
        tables = assemble([Lowered(calls) for _, _, calls in self._found], self.address_of)
        starts, spent = tables.starts, tables.spent
        self._fused = Fused(
            {
                begin: Stretch(begin, end, starts[number], starts[number + 1], spent[number + 1] - spent[number])
                for number, (begin, end, _) in enumerate(self._found)
            },
            tables,
        )

    def _missing(self, found: Found) -> int:
        """How many kernels would have to be compiled."""
        kernels = {call.kernel.key: call.kernel for _, _, calls in found for call in calls}
        return sum(not self.is_made(kernel) for kernel in kernels.values())


def _stretches(order: Sequence[Instruction], lowered: Sequence[Lowered], memory: Memory) -> Found:
    found: Found = []
    begin, cost = 0, 0.0
    commands: list[tuple[Instruction, list[Call]]] = []

    def close(end: int) -> None:
        nonlocal begin, cost, commands
        calls = fuse(commands, memory) if len(commands) > 1 else None
        if calls is not None:
            found.append((begin, end, calls))
        begin, cost, commands = end, 0.0, []

    for position, (instruction, each) in enumerate(zip(order, lowered, strict=True)):
        calls = _shifted(each)
        if calls is None or any(call.guarded for call in calls):
            close(position)
            begin = position + 1
            continue
        commands.append((instruction, calls))
        cost += sum(call.cost for call in calls)
        if cost >= STRETCH_NANOSECONDS:
            close(position + 1)
    close(len(order))
    return found


def _shifted(lowered: Lowered) -> list[Call] | None:
    """The calls of one command, with their own pointers."""
    if lowered.calls is None or not lowered.shifts:
        return lowered.calls
    shifts = dict(lowered.shifts)
    calls: list[Call] = []
    for call in lowered.calls:
        record = list(call.record)
        for word, space in call.pointers:
            record[word] += shifts.get(space, 0)
        calls.append(replace(call, record=record))
    return calls
