"""Plans: what is to be done for a program, and running it.

A program is lowered once: each command becomes calls of kernels, or stays with the interpreter. The plan knows places as offsets in the
memories of a chip; bound to a machine, they become pointers. Plans are kept with their program, and made anew when its commands change.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np

from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim.choice import Numerics
from tpukernel.sim.jit.alike import Lower, Lowered, lower_all
from tpukernel.sim.jit.assembly import Tables, Words, assemble
from tpukernel.sim.jit.fusion import Fusing
from tpukernel.sim.jit.kernel import ARGUMENTS, REGISTERS, SCRATCH, STOP, Call, Kernel
from tpukernel.sim.jit.llvm import is_cached, load_kernel
from tpukernel.sim.jit.stream import CONTROL_WORDS, STOPPED
from tpukernel.sim.memory import Memory

__all__ = ["Bound", "Plan", "address_of", "bound", "lower", "plan_of"]


@cache
def _lowering(unit: type[Instruction], numerics: Numerics) -> Lower | None:
    """The function that lowers instructions of a unit: `lower` in the module of the unit's stem, if there is one. Units that are quicker
    where they need not give the chip's bits have a `lower_fast`, too.
    """
    name = f"tpukernel.sim.jit.{unit.__module__.rpartition('.')[2]}"
    if not find_spec(name):
        return None
    module = import_module(name)
    return cast("Lower", getattr(module, "lower_fast", module.lower) if numerics == "fast" else module.lower)


def lower(instruction: Instruction, memory: Memory, numerics: Numerics = "exact") -> list[Call] | None:
    """The calls that execute an instruction; None if the interpreter has to do it."""
    if instruction.family in _NOTHING_TO_DO:
        return []
    found = _lowering(type(instruction), numerics)
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
        native: by command, whether rows of the table do it.
        native_until: by command, the position of the first one from there on that the interpreter has to do.
        tables: what the executor works off.
        fusing: of its stretches, by other tables.
    """

    order: list[Instruction]
    native: list[bool]
    native_until: list[int]
    tables: Tables
    fusing: Fusing

    def bound(self, memory: Memory) -> Bound:
        """The plan with the addresses of a memory."""
        return bound(self.tables, memory)


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


_bounds: WeakKeyDictionary[Memory, WeakKeyDictionary[Tables, Bound]] = WeakKeyDictionary()


def bound(tables: Tables, memory: Memory) -> Bound:
    """Tables with the addresses of a memory; those from last time if there are some."""
    known = _bounds.setdefault(memory, WeakKeyDictionary())
    found = known.get(tables)
    if found is None:
        found = known[tables] = _bind(tables, memory)
    return found


def _bind(tables: Tables, memory: Memory) -> Bound:
    records, table = tables.records.copy(), tables.rows.copy()
    scratch = np.empty(tables.scratch + 64, np.uint8)
    control = np.zeros(CONTROL_WORDS, np.int64)
    bases = {name: space.ctypes.data for name, space in memory.spaces.items()}
    bases |= {SCRATCH: (scratch.ctypes.data + 63) // 64 * 64, ARGUMENTS: records.ctypes.data, REGISTERS: memory.registers.ctypes.data}
    bases[STOP] = control.ctypes.data + 8 * STOPPED
    for space, words in tables.pointers.items():
        records[words] += bases[space]
    table[:, 1] = records.ctypes.data + 8 * tables.record_starts
    return Bound(table.ctypes.data, control.ctypes.data, control, (table, records, scratch))


# ---------------------------------------------------------------------------- making plans

_addresses: dict[str, int] = {}
_plans: dict[Numerics, WeakKeyDictionary[Program, _Kept]] = {"exact": WeakKeyDictionary(), "fast": WeakKeyDictionary()}
_lock = Lock()


@dataclass(frozen=True)
class _Kept:
    commands: list[list[Instruction]]
    ddr_bytes: int
    plan: Plan


def plan_of(program: Program, memory: Memory, numerics: Numerics = "exact") -> Plan:
    """The plan of a program for memories of that size; the one from last time if the commands are still the same ones."""
    commands = [list(engine) for group in program.groups for engine in (group.tiu, group.gdma)]
    kept = _plans[numerics].get(program)
    if kept is not None and kept.ddr_bytes == memory.sizes["ddr"] and kept.commands == commands:
        return kept.plan
    with _without_collection():
        plan = _make(list(program), memory, numerics)
    _plans[numerics][program] = _Kept(commands, memory.sizes["ddr"], plan)
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


def _is_made(kernel: Kernel) -> bool:
    return kernel.key in _addresses or is_cached(kernel)


def _make(order: list[Instruction], memory: Memory, numerics: Numerics) -> Plan:
    def lower_them(order: Sequence[Instruction], memory: Memory) -> list[Lowered]:
        return lower_all(order, memory, partial(lower, numerics=numerics))

    lowered = lower_them(order, memory)
    tables = assemble(lowered, address_of)
    native = [found.calls is not None for found in lowered]
    native_until: list[int] = [len(native)] * len(native)
    for position in range(len(native) - 1, -1, -1):
        following = native_until[position + 1] if position + 1 < len(native) else len(native)
        native_until[position] = following if native[position] else position
    fusing = Fusing(order, tables.spent[-1], lower_them, address_of, _is_made)
    return Plan(order, native, native_until, tables, fusing)
