"""Plans: what is to be done for a program, and running it.

A program is lowered once: each command becomes calls of kernels, or stays with the interpreter. The plan knows places as offsets in the
memories of a chip; bound to a machine, they become pointers. Plans are kept with their program, and made anew when its commands change.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate, pairwise
from threading import Lock
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim.jit.kernel import ARGUMENTS, REGISTERS, SCRATCH, Call, Kernel
from tpukernel.sim.jit.llvm import load_kernel
from tpukernel.sim.jit.stream import CONTROL_WORDS, NO_BARRIER, ROW, SMALL, WITH_DENORMALS
from tpukernel.sim.memory import Memory

__all__ = ["Bound", "Plan", "address_of", "lower", "plan_of", "unmet"]

SMALL_NANOSECONDS = 2000.0
"""A call that takes less is not worth splitting."""

Words = NDArray[np.int64]
Lower = Callable[[Instruction, Memory], "list[Call] | None"]


@cache
def _lowering(unit: type[Instruction]) -> Lower | None:
    """The function that lowers instructions of a unit: `lower` in the module of the unit's stem, if there is one."""
    name = f"tpukernel.sim.jit.{unit.__module__.rpartition('.')[2]}"
    return cast("Lower", import_module(name).lower) if find_spec(name) else None


def lower(instruction: Instruction, memory: Memory) -> list[Call] | None:
    """The calls that execute an instruction; None if the interpreter has to do it."""
    if instruction.family in _NOTHING_TO_DO:
        return []
    found = _lowering(type(instruction))
    try:
        return None if found is None else found(instruction, memory)
    except TpuError:  # an operand outside its memory, for example: the interpreter raises the error in its turn
        return None


_NOTHING_TO_DO = frozenset({"sys", "dma_sys"})


@dataclass(eq=False)
class Plan:
    """A lowered program.

    Attributes:
        order: the commands in the order in which they run.
        starts: by command, its first row of the table; one more at the end.
        native: by command, whether rows of the table do it.
        native_until: by command, the position of the first one from there on that the interpreter has to do.
        spent: by command, estimated nanoseconds of all rows before it; one more at the end.
    """

    order: list[Instruction]
    starts: list[int]
    native: list[bool]
    native_until: list[int]
    spent: list[float]
    _table: Words
    _records: Words
    _record_starts: Words
    _pointers: dict[str, Words]
    _scratch: int
    _bound: WeakKeyDictionary[Memory, Bound] = field(default_factory=WeakKeyDictionary["Memory", "Bound"])

    def bound(self, memory: Memory) -> Bound:
        """The plan with the addresses of a memory."""
        found = self._bound.get(memory)
        if found is None:
            found = self._bound[memory] = self._bind(memory)
        return found

    def _bind(self, memory: Memory) -> Bound:
        records, table = self._records.copy(), self._table.copy()
        scratch = np.empty(self._scratch + 64, np.uint8)
        bases = {name: space.ctypes.data for name, space in memory.spaces.items()}
        bases |= {SCRATCH: (scratch.ctypes.data + 63) // 64 * 64, ARGUMENTS: records.ctypes.data, REGISTERS: memory.registers.ctypes.data}
        for space, words in self._pointers.items():
            records[words] += bases[space]
        table[:, 1] = records.ctypes.data + 8 * self._record_starts
        words = np.zeros(CONTROL_WORDS, np.int64)
        return Bound(table.ctypes.data, words.ctypes.data, words, (table, records, scratch))


@dataclass(frozen=True, eq=False)
class Bound:
    """Table and records with the addresses of one machine, and what they point to.

    Attributes:
        table, control: addresses of the rows and of the words that the threads of a run share.
        words: the shared words.
    """

    table: int
    control: int
    words: Words
    _kept: tuple[object, ...]


# ---------------------------------------------------------------------------- making plans

_addresses: dict[str, int] = {}
_plans: WeakKeyDictionary[Program, _Kept] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True)
class _Kept:
    commands: list[list[Instruction]]
    ddr_bytes: int
    plan: Plan


def plan_of(program: Program, memory: Memory) -> Plan:
    """The plan of a program for memories of that size; the one from last time if the commands are still the same ones."""
    commands = [list(engine) for group in program.groups for engine in (group.tiu, group.gdma)]
    kept = _plans.get(program)
    if kept is not None and kept.ddr_bytes == memory.sizes["ddr"] and kept.commands == commands:
        return kept.plan
    with _without_collection():
        plan = _make(list(program), memory)
    _plans[program] = _Kept(commands, memory.sizes["ddr"], plan)
    return plan


@contextmanager
def _without_collection() -> Generator[None]:
    """No garbage collection meanwhile: it looks through the many small objects of a plan, and takes a quarter of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def address_of(kernel: Kernel) -> int:
    """The address of a kernel's code, compiled if it has not been."""
    found = _addresses.get(kernel.key)
    if found is None:
        with _lock:
            found = _addresses.get(kernel.key) or load_kernel(kernel)
            _addresses[kernel.key] = found
    return found


def _flags(call: Call) -> int:
    small = call.units == 1 or call.cost < SMALL_NANOSECONDS
    return (WITH_DENORMALS if call.kernel.ieee else 0) | (SMALL if small else 0)


def unmet(calls: Sequence[Call]) -> Words:
    """The flag `NO_BARRIER` for the rows behind which the threads need not meet: where one small row follows the other, and in stretches of
    large ones whose units stay in their lanes, so that each thread finds there what it has itself made.
    """
    flags = np.zeros(len(calls), np.int64)
    read: set[str] = set()
    written: set[str] = set()
    for row, (call, following) in enumerate(pairwise(calls)):
        small = _flags(call) & SMALL, _flags(following) & SMALL
        if any(small):
            flags[row] = NO_BARRIER if all(small) else 0
            continue
        if call.by_lane is None or following.by_lane is None or call.guarded or call.units != following.units:
            continue
        if row == 0 or not flags[row - 1] & NO_BARRIER:
            read, written = set(call.by_lane[0]), set(call.by_lane[1])
        if not following.by_lane[1] & (read | written) and not following.by_lane[0] & written:
            flags[row] = NO_BARRIER
            read |= following.by_lane[0]
            written |= following.by_lane[1]
    return flags


def _make(order: list[Instruction], memory: Memory) -> Plan:
    lowered = [lower(instruction, memory) for instruction in order]
    calls = [call for found in lowered for call in found or ()]
    starts = np.cumsum([0, *(len(found or ()) for found in lowered)]).tolist()
    record_starts = np.cumsum([0, *(len(call.record) for call in calls)], dtype=np.int64)
    table = np.zeros((len(calls), ROW), np.int64)
    pointers: dict[str, list[int]] = {}
    words: list[int] = []
    for row, (call, start) in enumerate(zip(calls, record_starts.tolist(), strict=False)):
        table[row] = (address_of(call.kernel), 0, call.units, _flags(call), 0, 0)
        for word, space in call.pointers:
            pointers.setdefault(space, []).append(start + word)
            if space == ARGUMENTS:
                call.record[word] += 8 * start
        words += call.record
    table[:, 3] |= unmet(calls)
    native = [found is not None for found in lowered]
    native_until: list[int] = [len(native)] * len(native)
    for position in range(len(native) - 1, -1, -1):
        following = native_until[position + 1] if position + 1 < len(native) else len(native)
        native_until[position] = following if native[position] else position
    return Plan(
        order=order,
        starts=starts,
        native=native,
        native_until=native_until,
        spent=[0.0, *accumulate(sum(call.cost for call in found or ()) for found in lowered)],
        _table=table,
        _records=np.array(words, np.int64),
        _record_starts=record_starts[:-1],
        _pointers={space: np.array(found, np.int64) for space, found in pointers.items()},
        _scratch=max((call.scratch for call in calls), default=0),
    )
