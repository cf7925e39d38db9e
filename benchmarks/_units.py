"""Single instructions of every unit: natively, on the interpreter, on the official C model, and with what else does about the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks._cases import DDR_BYTES, Case
from benchmarks._cmodel import CModel, Place, contents, digest
from benchmarks._elementwise import Make, elementwise_cases
from benchmarks._moves import move_cases
from benchmarks._products import product_cases
from benchmarks._results import INTERPRETER, OFFICIAL, ONE_THREAD, OURS, Row
from benchmarks._timing import Contender, Effort, timed_in_turn
from tpukernel import BM1684X
from tpukernel.chips.layout import lane_bytes_needed
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.isa import Program
from tpukernel.sim import Machine
from tpukernel.sim.jit import plan_of

__all__ = ["unit_cases", "unit_row"]


def unit_cases(*, small: bool) -> Iterator[tuple[str, Make]]:
    """All cases: names, and what makes them."""
    yield from elementwise_cases(small=small)
    yield from product_cases(small=small)
    yield from move_cases(small=small)


def _native(machine: Machine, program: Program, threads: int) -> Contender:
    def run() -> None:
        machine.threads = threads
        machine.run(program, engine="jit", check=False)

    return run


def unit_row(name: str, case: Case, effort: Effort, threads: int, cmodel: CModel | None, *, interpret: bool) -> Row:
    """Time one instruction.

    Raises:
        CModelError: the official model stopped at it.
    """
    machine, program = Machine(BM1684X, ddr_bytes=DDR_BYTES, numerics=effort.numerics), case.program()
    arrays = case.fill(machine)
    places = _places(machine, case)
    before = {key: piece.copy() for key, piece in contents(machine.memory, places)}
    notes = (
        [] if all(plan_of(program, machine.memory, machine.numerics).native) else ["executed by the interpreter: there is no native code"]
    )
    contenders: dict[str, Contender] = {OURS: _native(machine, program, threads), ONE_THREAD: _native(machine, program, 1)}
    if interpret:
        contenders[INTERPRETER] = lambda: machine.run(program, engine="interpreter", check=False)
    contenders |= {name: reference(arrays) for name, reference in case.references.items()}
    if cmodel is not None:
        cmodel.prepare(list(program), before)
        contenders[OFFICIAL] = cmodel.run
        machine.run(program, engine="jit", check=False)
        cmodel.run()
        if effort.numerics == "exact" and digest(machine.memory, places) != cmodel.digest(places):
            notes.append("THE BITS DIFFER from those of the official model")
    with np.errstate(all="ignore"):
        return Row(name, timed_in_turn(contenders, effort), case.work, case.unit, notes)


def _places(machine: Machine, case: Case) -> list[Place]:
    """Whole stretches of the memories, from their first byte (in local memory that of every lane) to the last one in use."""
    ends: dict[str, int] = {}
    for use in case.instruction.operands():
        if isinstance(use.value, LocalTensor) and use.value.address < BM1684X.local_bytes:
            in_lane = use.value.address % BM1684X.lane_bytes + lane_bytes_needed(BM1684X, use.value)
            ends["lmem"] = max(ends.get("lmem", 0), min(in_lane, BM1684X.lane_bytes))
        elif not isinstance(use.value, Constant):
            space, placement = machine.memory.place(use.value)
            ends[space] = max(ends.get(space, 0), placement.end)
    return [(space, 0, end) for space, end in ends.items()]
