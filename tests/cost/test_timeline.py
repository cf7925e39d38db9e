"""Timelines keep the order of the engines and the dependencies, and lose no cycle; traces and reports show them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.kernels import random_kernel
from tests.support.streams import official_streams
from tpukernel import BM1684, BM1684X, f32
from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.cost import Entry, NoCostTableError, Timeline, Traffic, UnknownCostError, timeline
from tpukernel.isa import Arith, ArithOp, DmaTensor, Instruction, Program
from tpukernel.isa.errors import DeadlockError, DependencyError

DDR = BM1684X.regions["ddr"].base
ENGINES: tuple[Engine, Engine] = ("tiu", "gdma")
OTHER: dict[Engine, Engine] = {"tiu": "gdma", "gdma": "tiu"}


def load(channels: int) -> Instruction:
    return DmaTensor(dst=LocalTensor(0, (1, channels, 8, 16), f32), src=SystemTensor(DDR, (1, channels, 8, 16), f32))


def double(channels: int) -> Instruction:
    x, y = (LocalTensor(address, (1, channels, 8, 16), f32) for address in (0x0000, 0x8000))
    return Arith(op=ArithOp.MUL, dst=y, src0=x, src1=Constant.of(2.0, f32))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Random commands of both engines, some in parallel sections, cut into groups."""
    program = Program(BM1684X, group_limit=draw(st.integers(2, 12)))
    for _ in range(draw(st.integers(0, 30))):
        choice = draw(st.integers(0, 4))
        if choice == 4:
            (program.parallel_end if program.in_parallel else program.parallel_start)()
        else:
            program.append((load if choice < 2 else double)(draw(st.integers(1, 200))))
    if program.in_parallel:
        program.parallel_end()
    return program if draw(st.booleans()) else program.end()


def spans(entries: Iterable[Entry]) -> list[tuple[int, int]]:
    return [(entry.start, entry.end) for entry in entries]


def expected_starts(found: Timeline) -> dict[tuple[int, Engine, int], int]:
    """The earliest start of every command by (group, engine, number), straight from the rule."""
    ends: dict[tuple[int, Engine, int], int] = {}
    starts: dict[tuple[int, Engine, int], int] = {}
    groups: dict[int, int] = {}
    for entry in sorted(found.entries, key=lambda entry: (entry.group, entry.start, entry.end)):
        begin = groups.setdefault(entry.group, max((end for key, end in ends.items() if key[0] < entry.group), default=0))
        number, depends = entry.instruction.id, entry.instruction.depends
        own = ends.get((entry.group, entry.engine, number - 1), begin)
        other = ends[entry.group, OTHER[entry.engine], depends] if depends else begin
        starts[entry.group, entry.engine, number] = max(own, other)
        ends[entry.group, entry.engine, number] = entry.end
    return starts


@given(programs())
def test_commands_start_as_early_as_order_and_dependencies_allow(program: Program) -> None:
    found = program.timeline()
    assert {(entry.group, entry.engine, entry.instruction.id): entry.start for entry in found.entries} == expected_starts(found)
    assert len(found.entries) == sum(not instruction.is_end for instruction in program)


@given(programs())
def test_the_total_lies_between_the_busier_engine_and_both_together(program: Program) -> None:
    figures = program.timeline().figures
    assert max(figures.busy.values()) <= figures.cycles <= sum(figures.busy.values())
    assert 0 <= figures.overlap <= 1
    assert figures.cycles == program.timeline().cycles


@given(programs())
def test_no_two_commands_of_an_engine_run_at_once(program: Program) -> None:
    found = program.timeline()
    for engine in ENGINES:
        assert all(first[1] <= second[0] for first, second in pairwise(spans(found.of(engine))))
        numbers = [(entry.group, entry.instruction.id) for entry in found.of(engine)]
        assert numbers == sorted(numbers)


@given(programs(), st.integers(1, 200), st.booleans())
def test_one_more_command_takes_no_less_time(program: Program, channels: int, computes: bool) -> None:
    before = program.timeline()
    if not program.groups[-1].ended:
        program.append((double if computes else load)(channels))
    after = program.timeline()
    assert after.cycles >= before.cycles
    assert set(spans(before.entries)) <= set(spans(after.entries))


@given(programs())
def test_guessed_starts_only_add(program: Program) -> None:
    peer, hw = program.timeline(), program.timeline(mode="hw")
    starts = sum(entry.cost.start_cycles for entry in hw.entries)
    assert peer.cycles <= hw.cycles <= peer.cycles + starts


@given(programs())
def test_traces_are_json_with_one_track_for_each_engine(program: Program) -> None:
    found = program.timeline()
    trace = json.loads(json.dumps(found.chrome_trace(title="kernel", process=3)))
    events = cast("list[dict[str, object]]", trace["traceEvents"])
    names = {event["tid"]: cast("dict[str, object]", event["args"])["name"] for event in events if event["name"] == "thread_name"}
    slices = [event for event in events if event["ph"] == "X"]
    assert names == {1: "TIU", 2: "GDMA"} and {event["pid"] for event in events} == {3}
    assert len(slices) == len(found.entries)
    for track, engine in ((1, "tiu"), (2, "gdma")):
        times = [(cast("float", event["ts"]), cast("float", event["dur"])) for event in slices if event["tid"] == track]
        assert times == [(entry.start / 1000, entry.cost.cycles / 1000) for entry in found.of(cast("Engine", engine))]
        assert all(start + length <= later + 1e-6 for (start, length), (later, _) in pairwise(times))


def test_a_trace_tells_what_a_command_does() -> None:
    program = Program(BM1684X)
    program.extend([load(64), double(64)])
    *_, copy, multiply = cast("list[dict[str, object]]", program.timeline().chrome_trace()["traceEvents"])
    assert (copy["name"], copy["cat"], multiply["name"]) == ("dma.copy", "DMA_tensor", "arith.mul")
    arguments = cast("dict[str, object]", multiply["args"])
    assert arguments["waits for"] == "gdma 1" and arguments["src1"] == "constant 2.0"
    assert str(arguments["src0"]).startswith("f32[1,64,8,16] @0:0x0")
    assert cast("dict[str, object]", copy["args"])["bytes"] == 64 * 8 * 16 * 4


@pytest.mark.parametrize("seed", range(12))
def test_reports_of_kernels(seed: int) -> None:
    found = random_kernel(seed).program.timeline()
    lines = found.text().splitlines()
    assert len(lines[1:][: len(found.entries)]) == len(found.entries)
    for entry, line in zip(found.entries, lines[1:], strict=False):
        words = line.split()
        assert words[:5] == [str(entry.start), str(entry.end), str(entry.cost.cycles), entry.engine, str(entry.instruction.id)]
        assert entry.instruction.title in words
    assert any(line.startswith(f"total: {found.cycles} cycles") for line in lines)
    assert [line.removeprefix("advice: ") for line in lines if line.startswith("advice: ")] == found.advice()
    data = json.loads(json.dumps(found.json()))
    assert data["cycles"] == found.cycles and len(data["commands"]) == len(found.entries)
    assert data["figures"]["busy"] == dict(found.figures.busy) and data["figures"]["traffic"]["read"] == found.figures.traffic.read


def official(model: str) -> Timeline:
    streams = {key.rpartition("/")[2]: stream.data for key, stream in official_streams().items() if key.startswith(f"{model}/")}
    return Program.from_streams(BM1684X, tiu=streams["tiu"], gdma=streams["gdma"]).timeline()


@pytest.mark.parametrize(
    ("model", "pieces"),
    [
        ("conv56_f16", ["below a DDR burst", "reach all DDR channels", "could run while the other one works (1% do)"]),
        ("add112_f32", []),
        ("exp112_f32", ["in place"]),
        ("bm1684x_f32_index_select_static", ["1 GDMA command is of kinds that the estimator does not model"]),
    ],
)
def test_advice_names_what_costs_time(model: str, pieces: list[str]) -> None:
    found = official(model).advice()
    for piece in pieces:
        assert any(piece in line for line in found), found
    if not pieces:
        assert found == []


def test_what_is_compulsory_can_be_said() -> None:
    program = Program(BM1684X)
    program.append(load(64))
    assert program.timeline().figures.traffic_ratio is None
    figures = program.timeline(compulsory=Traffic(read=64 * 8 * 16 * 2)).figures
    assert figures.traffic_ratio == 2.0 and figures.roof == 64 * 8 * 16 * 2 / 58 and figures.bound == "mem"


def test_an_empty_program_takes_no_time() -> None:
    found = Program(BM1684X).timeline()
    assert (found.cycles, found.entries, found.figures.overlap, found.figures.of_roof) == (0, (), 0.0, 0.0)
    assert found.text() and found.advice() == []


def test_programs_that_cannot_run_have_no_timeline() -> None:
    program = Program(BM1684X)
    program.extend([load(64), double(64)])
    group = program.groups[0]
    group.gdma[0] = group.gdma[0].numbered(1, 1)
    with pytest.raises(DeadlockError):
        timeline(program)
    group.gdma[0] = group.gdma[0].numbered(1, 7)
    group.tiu.clear()
    with pytest.raises(DependencyError):
        timeline(program)


def test_numbers_may_have_gaps() -> None:
    program = Program(BM1684X)
    program.extend([load(64), double(64)])
    plain = program.timeline()
    group = program.groups[0]
    group.gdma[0], group.tiu[0] = group.gdma[0].numbered(5, 0), group.tiu[0].numbered(9, 5)
    assert spans(program.timeline().entries) == spans(plain.entries)


def test_programs_of_other_chips_are_refused() -> None:
    with pytest.raises(NoCostTableError):
        Program(BM1684).timeline()


def test_the_unknown_command_is_named() -> None:
    from tpukernel import i32
    from tpukernel.isa import IndexGen, IndexGenOp

    program = Program(BM1684X)
    program.extend([double(3), IndexGen(op=IndexGenOp.ELEMENT, dst=LocalTensor(0, (1, 64, 1, 16), i32))])
    with pytest.raises(UnknownCostError, match="tiu command 2"):
        program.timeline()
