"""The interpreter repeats every recorded run of the official library: every byte of local memory, DDR and L2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.golden import FILL, SPACES, GoldenCase, golden_cases, static_memory
from tpukernel.chips.static_memory import static_memory as chip_static_memory
from tpukernel.isa.program import Program
from tpukernel.sim.machine import ExecutionEngine, Machine

DDR_BYTES = 8 << 20
"""No case touches DDR behind that."""

_MACHINE: list[Machine] = []


def machine() -> Machine:
    """One machine for all cases: its pages stay in memory."""
    if not _MACHINE:
        _MACHINE.append(Machine("BM1684X", ddr_bytes=DDR_BYTES))
        _MACHINE[0].write("static", 0, static_memory())
    return _MACHINE[0]


def check(case: GoldenCase, engine: ExecutionEngine, threads: int | None = None) -> None:
    """Run a case, and compare all memories."""
    chip = machine()
    chip.threads = threads
    for space in SPACES:
        chip.memory.image(space)[...] = FILL[space]
        for run in case.initial[space]:
            chip.write(space, run.offset, run.data)
    expected = {space: chip.memory.image(space).flatten() for space in SPACES}
    for space in SPACES:
        for run in case.expected[space]:
            expected[space][run.offset : run.offset + run.data.size] = run.data
    chip.run(Program.from_streams(chip.chip, case.tiu, case.gdma), engine, check=False)
    for space in SPACES:
        wrong = np.flatnonzero(chip.memory.image(space).reshape(-1) != expected[space])
        assert not wrong.size, f"{wrong.size} bytes of {space} differ, the first at {wrong[:8]}"


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.id)
def test_final_memory_is_as_recorded(case: GoldenCase) -> None:
    check(case, "interpreter")


def test_the_tables_of_the_chip_are_those_of_the_recording() -> None:
    """Between the tables the recording holds what happened to be there, and the chip's data zeros."""
    recorded, ours = static_memory(), chip_static_memory(machine().chip)
    for table in machine().chip.static_tables.values():
        place = slice(table.offset, table.offset + table.count * table.dtype.itemsize)
        assert ours[place].any() and np.array_equal(ours[place], recorded[place]), table
