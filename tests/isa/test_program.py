"""Programs: numbers and dependencies as the official library gives them, groups, order of execution, statistics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden import GoldenCase, golden_cases
from tests.support.streams import official_streams
from tpukernel import BM1684X, f32
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, DmaTensor, Instruction, Program, Sys, SysOp
from tpukernel.isa.errors import DeadlockError, DependencyError, EndCommandError, ParallelSectionError

SHAPE = (1, 8, 4, 4)
DDR = BM1684X.regions["ddr"].base
LOAD = DmaTensor(dst=LocalTensor(0, SHAPE, f32), src=SystemTensor(DDR, SHAPE, f32))
DOUBLE = Arith(op=ArithOp.MUL, dst=LocalTensor(64, SHAPE, f32), src0=LocalTensor(0, SHAPE, f32), src1=Constant.of(2.0, f32))

PROGRAMS = [case for case in golden_cases() if len(case.calls) > 1]


def numbers(instructions: list[Instruction]) -> list[tuple[int, int]]:
    return [(instruction.id, instruction.depends) for instruction in instructions]


@pytest.mark.parametrize("case", PROGRAMS, ids=lambda case: case.id)
def test_numbers_are_those_of_the_official_library(case: GoldenCase) -> None:
    """Replay the recorded calls: the same instructions without their numbers, appended in the order of the calls."""
    recorded = Program.from_streams(BM1684X, tiu=case.tiu, gdma=case.gdma).groups[0]
    program = Program(BM1684X)
    left = {"tiu": list(recorded.tiu), "gdma": list(recorded.gdma)}
    for call in case.calls:
        name = call.function.removeprefix("tpu_")
        if name == "parallel_start":
            program.parallel_start()
        elif name == "parallel_end":
            program.parallel_end()
        else:
            engine = "gdma" if name.startswith("gdma") else "tiu"
            program.append(left[engine].pop(0).numbered(0, 0))
    if recorded.ended:
        program.end()
    assert numbers(program.groups[0].tiu) == numbers(recorded.tiu)
    assert numbers(program.groups[0].gdma) == numbers(recorded.gdma)
    assert program.streams() == {"tiu": case.tiu, "gdma": case.gdma}


def test_there_are_golden_programs_of_both_kinds() -> None:
    names = [{call.function for call in case.calls} for case in PROGRAMS]
    assert sum("tpu_parallel_start" in used for used in names) >= 3 and sum("tpu_parallel_start" not in used for used in names) >= 3


def test_official_programs_run_in_an_order_that_keeps_every_dependency() -> None:
    streams = official_streams()
    stems = sorted({key.rpartition("/")[0] for key in streams})
    assert len(stems) > 30
    for stem in stems:
        program = Program.from_streams(BM1684X, tiu=streams[f"{stem}/tiu"].data, gdma=streams[f"{stem}/gdma"].data)
        check_order(program)
        assert program.streams() == {engine: streams[f"{stem}/{engine}"].data for engine in ("tiu", "gdma")}


def check_order(program: Program) -> None:
    count = 0
    for group in program.groups:
        finished = {"tiu": 0, "gdma": 0}
        for instruction in group:
            other = "gdma" if instruction.engine == "tiu" else "tiu"
            assert instruction.depends <= finished[other]
            assert instruction.id == finished[instruction.engine] + 1
            finished[instruction.engine] += 1
            count += 1
    assert count == len(program)


STEPS = st.lists(st.sampled_from(["load", "compute", "parallel"]), max_size=40)


@given(STEPS, st.integers(2, 6))
def test_groups_start_when_the_numbers_run_out(steps: list[str], limit: int) -> None:
    whole, cut = build(steps, Program(BM1684X)), build(steps, Program(BM1684X, group_limit=limit))
    check_order(whole)
    check_order(cut)
    assert len(whole.groups) == 1
    for group in cut.groups:
        assert group.ended and max(len(group.tiu), len(group.gdma)) <= limit
    for engine in ("tiu", "gdma"):
        work = [[i.numbered(0, 0) for g in program.groups for i in g.commands(engine) if not i.is_end] for program in (whole, cut)]
        assert work[0] == work[1]
    needed = max(sum(step == kind for step in steps) for kind in ("load", "compute"))
    assert (len(cut.groups) == 1) == (needed < limit)


def build(steps: list[str], program: Program) -> Program:
    for step in steps:
        match step:
            case "load":
                program.append(LOAD)
            case "compute":
                program.append(DOUBLE)
            case _ if program.in_parallel:
                program.parallel_end()
            case _:
                program.parallel_start()
    if program.in_parallel:
        program.parallel_end()
    return program.end()


def test_sections_do_not_nest_and_must_be_closed() -> None:
    program = Program(BM1684X)
    with pytest.raises(ParallelSectionError, match="no parallel section"):
        program.parallel_end()
    with program.parallel():
        with pytest.raises(ParallelSectionError, match="open already"):
            program.parallel_start()
        with pytest.raises(ParallelSectionError, match="cannot end"):
            program.end()
    program.end()
    with pytest.raises(EndCommandError, match="already"):
        program.end()
    with pytest.raises(EndCommandError, match=r"dma\.copy cannot be appended"):
        program.append(LOAD)
    with pytest.raises(EndCommandError, match=r"sys\.end cannot be appended"):
        Program(BM1684X).append(Sys(op=SysOp.END))


def test_a_number_that_never_comes_names_both_commands() -> None:
    program = Program(BM1684X)
    program.append(LOAD)
    program.groups[0].tiu.append(DOUBLE.numbered(1, 2))
    with pytest.raises(DependencyError, match=r"tiu command 1 \(arith.mul\) waits for gdma command 2, but the last gdma command is 1"):
        list(program)


def test_a_deadlock_names_both_commands() -> None:
    program = Program(BM1684X)
    program.groups[0].tiu.append(DOUBLE.numbered(1, 1))
    program.groups[0].gdma.append(LOAD.numbered(1, 1))
    with pytest.raises(
        DeadlockError, match=r"tiu command 1 \(arith.mul\) waits for gdma command 1 while gdma command 1 \(dma.copy\) waits for tiu"
    ):
        list(program)


def test_numbers_of_a_stream_must_count_up() -> None:
    program = Program(BM1684X)
    program.append(LOAD)
    data = bytearray(program.streams()["gdma"])
    data[1] = 4  # cmd_id starts at bit 9
    with pytest.raises(DependencyError, match=r"gdma command 1 .* has number 2"):
        Program.from_streams(BM1684X, gdma=bytes(data))


def test_statistics() -> None:
    program = Program(BM1684X)
    for instruction in (LOAD, LOAD, DOUBLE):
        program.append(instruction)
    found = program.end().statistics()
    assert found.commands == {"tiu": 1, "gdma": 2} and found.units == {"DMA_tensor": 2, "AR": 1}
    assert found.bytes_moved == 2 * 8 * 16 * 4 and found.macs == 0
    assert found.stream_bytes == {"tiu": 128, "gdma": 256}


def test_listing_has_a_line_for_every_command() -> None:
    program = Program(BM1684X)
    program.append(LOAD)
    program.append(DOUBLE)
    lines = program.end().listing().splitlines()
    words = [" ".join(text.split()) for text in lines]
    assert words[0] == "gdma 1 dma.copy dst f32[1,8,4,4] @0:0x0, src f32[1,8,4,4] @ddr+0x0"
    assert words[1] == "tiu 1 <- gdma 1 arith.mul dst f32[1,8,4,4] @0:0x40, src0 f32[1,8,4,4] @0:0x0, src1 2.0"
    assert len(lines) == 4


def test_every_official_command_has_a_listing_line() -> None:
    for case in golden_cases():
        program = Program(BM1684X)
        group = Program.from_streams(BM1684X, tiu=case.tiu, gdma=case.gdma).groups[0]
        program.groups[0] = group
        listed = program.listing().splitlines()
        assert len(listed) == len(program)
        assert all(len(text) < 400 and "None" not in text for text in listed)


def test_group_limit_is_checked() -> None:
    for limit in (1, BM1684X.max_command_id + 1):
        with pytest.raises(ValueError, match="group_limit"):
            Program(BM1684X, group_limit=limit)


def test_commands_wait_for_those_that_are_named() -> None:
    program = Program(BM1684X, group_limit=4)
    first, second = program.append(LOAD, after=[]), program.append(LOAD, after=[])
    assert program.append(DOUBLE, after=[first]).depends == 1
    third = program.append(DOUBLE, after=[second, first])
    assert third.depends == 2
    assert program.append(DOUBLE, after=[third]).depends == 0  # of its own engine
    assert program.append(DOUBLE, after=[second]).id == 1  # a new group, in which everything before is finished
    assert program.groups[1].tiu[0].depends == 0


def test_a_place_goes_with_an_instruction() -> None:
    program = Program(BM1684X)
    appended = program.append(LOAD.located("kernel.py:3:5"))
    assert appended.source == "kernel.py:3:5" and appended.where == "kernel.py:3:5" and LOAD.source is None
    assert appended == program.append(LOAD).numbered(1, 0)
