"""Whom commands wait for: against the definition, on random commands; and how much is compared for it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpukernel.chips import BM1684X
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.dtypes import f32
from tpukernel.isa import Arith, ArithOp, DmaTensor
from tpukernel.isa.instruction import Instruction
from tpukernel.lang.hazards import Hazards, SystemRange

DDR = BM1684X.regions["ddr"].base
SHAPE = (1, 64, 1, 16)
SYSTEM = SystemRange(DDR, (8, *SHAPE[1:]), 4)


def local(place: int) -> LocalTensor:
    return LocalTensor(place * 64, SHAPE, f32)


def system(place: int) -> SystemTensor:
    return SystemTensor(DDR + place * 4096, SHAPE, f32)


def copied(dst: int, src: int) -> Instruction:
    return Arith(op=ArithOp.COPY, dst=local(dst), src0=local(src))


def loaded(dst: int, src: int) -> Instruction:
    return DmaTensor(dst=local(dst), src=system(src))


def stored(dst: int, src: int) -> Instruction:
    return DmaTensor(dst=system(dst), src=local(src))


PLACES = st.integers(0, 7)
COMMANDS = st.tuples(st.one_of(*(st.builds(make, PLACES, PLACES) for make in (copied, loaded, stored))), st.integers(0, 2))


@settings(max_examples=100, deadline=None)
@given(st.lists(COMMANDS, max_size=40))
def test_the_last_command_that_meets(commands: list[tuple[Instruction, int]]) -> None:
    hazards = Hazards(BM1684X, [SYSTEM])
    done: dict[str, list[tuple[Instruction, int]]] = {"tiu": [], "gdma": []}
    finished = {"tiu": 0, "gdma": 0}
    for known, section in commands:
        instruction = known.replace()
        others = done["gdma" if instruction.engine == "tiu" else "tiu"]
        met = [
            place
            for place, (other, other_section) in enumerate(others)
            if not (section and section == other_section)
            and any((one.writes or two.writes) and one.meets(two) for one in hazards.touches(instruction) for two in hazards.touches(other))
        ]
        wanted = others[met[-1]][0] if met and met[-1] >= finished[instruction.engine] else None
        found = hazards.awaited(instruction, hazards.touches(instruction), section)
        assert found is wanted
        if found is not None:
            finished[instruction.engine] = met[-1] + 1
        hazards.issue(instruction, hazards.touches(instruction), section, [] if found is None else [found])
        done[instruction.engine].append((instruction, section))


@pytest.mark.parametrize("loads", [False, True])
def test_commands_on_the_same_buffers_are_looked_at_once(loads: bool) -> None:
    """What both engines do for long without waiting for each other takes a time that grows with its length."""
    hazards = Hazards(BM1684X, [SYSTEM])
    for number in range(400):
        for command in (copied(0, 1), loaded(2, number % 8) if loads else stored(number % 8, 2)):
            touches = hazards.touches(command)
            assert hazards.awaited(command, touches, 0) is None
            hazards.issue(command, touches, 0, [])
    assert hazards.compared <= 400 * 20
