"""Commands that are alike are lowered once, and the calls of the others are those that a lowering of their own would give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from tests.support.api_calls import instructions
from tests.support.differential import CASES, CHIP
from tests.support.draws import draw, drawable_functions
from tests.support.native import as_decoded
from tpukernel.api import Function, rows
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.dtypes import f32
from tpukernel.errors import TpuError
from tpukernel.isa import Arith, ArithOp, DmaTensor, Program
from tpukernel.isa.instruction import Instruction
from tpukernel.sim import Machine
from tpukernel.sim.jit.alike import Lowered, lower_all
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.plan import lower, plan_of
from tpukernel.sim.memory import Memory

FUNCTIONS = [name for name in drawable_functions() if isinstance(row := rows().get(name), Function) and row.emits]
MEMORY = Memory(CHIP, 1 << 28)
COPIES = 12
DDR = CHIP.regions["ddr"].base


def moved(instruction: Instruction, rng: Random) -> Instruction:
    """The instruction with its operands somewhere else: together or one by one, aligned or not, in the same lanes or not, inside or not."""
    together = rng.random() < 0.7
    unit = rng.choice((1, 4, CHIP.eu_bytes, CHIP.eu_bytes, 1024, CHIP.lane_bytes))
    steps = rng.choice((3, 40, 500))

    def distance() -> int:
        return unit * rng.randint(-steps, steps)

    local, system = distance(), distance()
    changes: dict[str, object] = {}
    for use in instruction.operands():
        if use.name not in instruction.specs or isinstance(use.value, Constant):
            continue
        by = (local if isinstance(use.value, LocalTensor) else system) if together else rng.choice((0, distance()))
        if rng.random() < 0.9:
            changes[use.name] = replace(use.value, address=max(0, use.value.address + by))
    return instruction.replace(**changes)


def copies(instruction: Instruction, rng: Random) -> Iterator[Instruction]:
    """The instruction, built and decoded, and others that differ in addresses."""
    yield instruction
    for _ in range(COPIES):
        with suppress(TpuError):  # the command cannot say that address
            other = moved(instruction, rng).numbered(rng.randint(1, 99), rng.randint(0, 99))
            yield as_decoded(other) if rng.random() < 0.7 else other


def placed(lowered: Lowered) -> list[tuple[object, ...]] | None:
    """What is executed, with all pointers where they are to be."""
    return None if lowered.calls is None else [described(call, dict(lowered.shifts)) for call in lowered.calls]


def described(call: Call, shifts: dict[str, int]) -> tuple[object, ...]:
    record = list(call.record)
    for word, space in call.pointers:
        record[word] += shifts.get(space, 0)
    return call.kernel.key, record, tuple(call.pointers), call.units, call.cost, call.scratch, call.guarded, call.by_lane


def check(commands: Sequence[Instruction]) -> list[Lowered]:
    found = lower_all(commands, MEMORY, lower)
    for command, lowered in zip(commands, found, strict=True):
        assert placed(lowered) == placed(Lowered(lower(command, MEMORY))), command
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_calls_are_those_of_a_lowering_of_its_own(function: str) -> None:
    rng = Random(f"alike {function}")
    commands: list[Instruction] = []
    for _ in range(CASES):
        for instruction in instructions(function, draw(function, rng, low_ddr=True)):
            commands += copies(instruction, rng)
    rng.shuffle(commands)
    check(commands)


def loop(turns: int) -> Program:
    """A tiled kernel whose tiles take turns in local memory."""
    program, shape = Program(CHIP), (1, 64, 8, 8)
    for turn in range(turns):
        x, y = (LocalTensor(0x2000 * (turn % 4) + 0x400 * k, shape, f32) for k in range(2))
        program.append(DmaTensor(dst=x, src=SystemTensor(DDR + 0x4000 * turn, shape, f32)))
        program.append(Arith(op=ArithOp.ADD, dst=y, src0=x, src1=Constant.of(float(turn % 2), f32)))
        program.append(DmaTensor(dst=SystemTensor(DDR + 0x4000 * turn + 0x800000, shape, f32), src=y))
    return program.end()


def lowerings(commands: Sequence[Instruction]) -> int:
    """How many commands have been lowered, not only moved."""
    count = 0

    def counted(instruction: Instruction, memory: Memory) -> list[Call] | None:
        nonlocal count
        count += 1
        return lower(instruction, memory)

    lower_all(commands, MEMORY, counted)
    return count


@pytest.mark.parametrize("decoded", [True, False])
def test_a_loop_is_lowered_once(decoded: bool) -> None:
    """Two kinds of copies and two of additions; of each the one that lies farthest in a memory, of copies in each of both."""
    program = loop(40)
    if decoded:
        streams = program.streams()
        program = Program.from_streams(CHIP, streams["tiu"], streams["gdma"])
    commands = list(program)
    assert lowerings(commands) <= 2 * 2 + 2 + 2
    check(commands)


def test_a_command_that_does_not_fit_stays_with_the_interpreter() -> None:
    shape = (1, 64, 8, 8)
    inside, outside = CHIP.lane_bytes - 0x100, CHIP.lane_bytes - 0x80
    fills = [Arith(op=ArithOp.COPY, dst=LocalTensor(address, shape, f32), src0=Constant(0, f32)) for address in (0, outside, inside, 64)]
    assert [lowered.calls is not None for lowered in check(fills)] == [True, False, True, True]


def test_operands_that_lie_on_each_other_are_another_command() -> None:
    shape = (1, 64, 8, 8)
    commands = [
        Arith(op=ArithOp.ADD, dst=LocalTensor(0x1000, shape, f32), src0=LocalTensor(0x1000 + by, shape, f32), src1=Constant(0, f32))
        for by in (0, 0x40, 0x80, 0x100, 0x200)
    ]
    assert lowerings(commands) == len(commands)
    check(commands)


def test_records_of_alike_commands_have_their_own_pointers() -> None:
    """The loop leaves what it has to leave, on two machines with one plan."""
    program = loop(40)
    for seed in (1, 2):
        machine = Machine(CHIP, ddr_bytes=1 << 25)
        values = np.random.default_rng(seed).standard_normal((40, 64, 8, 8)).astype(np.float32)
        machine.write("ddr", 0, values)
        machine.run(program, "jit", check=False)
        found = machine.dump(SystemTensor(DDR + 0x800000, (40, 64, 8, 8), f32))
        assert np.array_equal(found, values + (np.arange(40, dtype=np.float32) % 2)[:, None, None, None])
    assert len(plan_of(program, machine.memory).tables.records) > 0


def test_local_memory_by_its_system_address() -> None:
    """No TIU command should have such an operand; it is one stretch then, whatever the lanes."""
    base, shape = CHIP.regions["lmem"].base, (1, 64, 8, 8)
    check(
        [
            Arith(op=ArithOp.ABS, dst=LocalTensor(base + by, shape, f32), src0=LocalTensor(64, shape, f32))
            for by in (0, 64, 0x40000, 0x40040)
        ]
    )
