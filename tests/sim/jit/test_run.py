"""Programs on the native engine: the same memories as with the interpreter, the same watching, the same errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.kernels import random_kernel
from tpukernel import BM1684X, f32, i32
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, DmaTensor, IndexGen, IndexGenOp, Instruction, LaneMove, LaneMoveOp, Program
from tpukernel.isa.errors import DeadlockError
from tpukernel.sim import Machine, Step
from tpukernel.sim.choice import Numerics
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.jit import plan, plan_of, run
from tpukernel.sim.jit.assembly import unmet
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.llvm import Target
from tpukernel.sim.machine import ExecutionEngine
from tpukernel.sim.memory import Memory

SHAPE = (1, 64, 1, 500)
X, Y = LocalTensor(0x0, SHAPE, f32), LocalTensor(0x1000, SHAPE, f32)
SYSTEM = SystemTensor(BM1684X.regions["ddr"].base, SHAPE, f32)


def filled(seed: int = 0) -> Machine:
    machine = Machine(BM1684X, ddr_bytes=1 << 24)
    machine.write("ddr", 0, np.random.default_rng(seed).standard_normal(1 << 22).astype(np.float32))
    return machine


def numbers(machine: Machine) -> NDArray[np.float32]:
    return machine.dump(SYSTEM).astype(np.float32)


def doubling(times: int = 1) -> Program:
    program = Program(BM1684X)
    program.append(DmaTensor(dst=X, src=SYSTEM))
    for _ in range(times):
        program.append(Arith(op=ArithOp.MUL, dst=Y, src0=X, src1=Constant.of(2.0, f32)))
    program.append(DmaTensor(dst=SYSTEM, src=Y))
    return program.end()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_kernels_leave_the_same_memory(seed: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PARALLEL_NANOSECONDS", 0.0)
    program = random_kernel(seed).program
    one, other = filled(seed), filled(seed)
    other.threads = threads
    one.run(program, "interpreter", check=False)
    other.run(program, engine="jit", check=False)
    for space in ("ddr", "lmem", "l2"):
        assert np.array_equal(one.memory.image(space), other.memory.image(space))


def test_many_rows_on_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large and small commands that depend on each other, in turn."""
    monkeypatch.setattr(run, "PARALLEL_NANOSECONDS", 0.0)
    large, small = (1, 64, 1, 2000), (1, 1, 1, 8)
    program = Program(BM1684X)
    one = Constant(1, i32)
    program.append(Arith(op=ArithOp.COPY, dst=LocalTensor(0, large, i32), src0=Constant(0, i32)))
    for _ in range(100):
        program.append(Arith(op=ArithOp.ADD, dst=LocalTensor(0, large, i32), src0=LocalTensor(0, large, i32), src1=one))
        program.append(Arith(op=ArithOp.ADD, dst=LocalTensor(0, small, i32), src0=LocalTensor(0, small, i32), src1=one))
    machine = Machine(BM1684X, threads=2, ddr_bytes=1 << 20)
    for _ in range(5):
        machine.run(program, engine="jit", check=False)
        found = machine.dump(LocalTensor(0, large, i32))
        assert (found[0, 0, 0, :8] == 200).all()
        assert (found[0, 1:] == 100).all() and (found[0, 0, 0, 8:] == 100).all()


def test_watching_is_the_same() -> None:
    logs: list[list[tuple[object, ...]]] = []
    engines: tuple[ExecutionEngine, ...] = ("interpreter", "jit")
    for engine in engines:
        machine, log = filled(), list[tuple[object, ...]]()

        def trace(step: Step, log: list[tuple[object, ...]] = log) -> None:
            log.append(
                (step.index, step.instruction.title, *(values.tobytes() for values in (*step.inputs.values(), *step.outputs.values())))
            )

        def stop(machine: Machine, index: int, instruction: Instruction, log: list[tuple[object, ...]] = log) -> None:
            log.append((index, instruction.title, machine.dump(Y).tobytes()))

        machine.trace = trace
        machine.breakpoints = {2: stop, 99: stop}
        machine.run(doubling(2), engine=engine)
        machine.trace = None
        machine.breakpoints = {3: stop}
        machine.run(doubling(2), engine=engine)
        logs.append(log)
    assert logs[0] == logs[1]
    assert len(logs[0]) == 8


def test_a_plan_is_made_once_and_again_when_commands_change() -> None:
    machine, program = filled(), doubling()
    first = plan_of(program, machine.memory)
    assert plan_of(program, machine.memory) is first
    group = program.groups[0]
    group.tiu[0] = group.tiu[0].replace(src1=Constant.of(3.0, f32))
    assert plan_of(program, machine.memory) is not first
    given = numbers(machine)
    machine.run(program, engine="jit", check=False)
    assert np.array_equal(numbers(machine), 3 * given)


def test_one_program_on_two_machines() -> None:
    program, one, other = doubling(), filled(1), filled(2)
    expected = [2 * numbers(machine) for machine in (one, other)]
    for machine in (one, other):
        machine.run(program, engine="jit", check=False)
    assert [numbers(machine).tolist() for machine in (one, other)] == [values.tolist() for values in expected]


def test_errors_come_at_their_command() -> None:
    program = Program(BM1684X)
    program.append(Arith(op=ArithOp.COPY, dst=X, src0=Constant.of(1.0, f32)))
    program.append(IndexGen(op=IndexGenOp.LANE, dst=LocalTensor(0x2000, (1, 70, 1, 9), i32)))
    program.append(Arith(op=ArithOp.COPY, dst=Y, src0=X))
    machine = filled()
    with pytest.raises(ExecutionError, match="tiu command 2"):
        machine.run(program, engine="jit", check=False)
    assert (machine.dump(X) == 1).all() and not machine.dump(Y).any()
    stuck = doubling()
    stuck.groups[0].gdma[0] = stuck.groups[0].gdma[0].numbered(1, 1)
    with pytest.raises(DeadlockError):
        machine.run(stuck, engine="jit")


def test_an_operand_outside_its_memory_is_the_interpreters_error() -> None:
    program = Program(BM1684X)
    far = SystemTensor(BM1684X.regions["ddr"].base + (1 << 24) - 4, SHAPE, f32)
    program.append(DmaTensor(dst=X, src=far))
    with pytest.raises(Exception, match="ends behind the end of ddr"):
        filled().run(program, engine="jit", check=False)


@dataclass(frozen=True)
class Refusing:
    """A kernel that does nothing and refuses."""

    key: str = "test.refusing"
    ieee: bool = False

    def emit(self, target: Target) -> str:
        del target
        return "define i64 @kernel(ptr %record, i64 %first, i64 %last) {\n  ret i64 1\n}\n"


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_kernel_refuses_the_interpreter_does(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PARALLEL_NANOSECONDS", 0.0)
    lower: Callable[[Instruction, Memory, Numerics], list[Call] | None] = plan.lower

    def lower_some(instruction: Instruction, memory: Memory, numerics: Numerics) -> list[Call] | None:
        if isinstance(instruction, Arith):
            return [Call(Refusing(), [0], [], units=4, cost=5000.0, guarded=True)]
        return lower(instruction, memory, numerics)

    monkeypatch.setattr(plan, "lower", lower_some)
    machine, program = filled(), doubling(3)
    machine.threads = threads
    expected = 2 * numbers(machine)
    machine.run(program, engine="jit", check=False)
    assert np.array_equal(numbers(machine), expected)
    assert all(plan_of(program, machine.memory).native)


def test_threads_meet_where_they_have_to() -> None:
    """Commands that stay in their lanes need no barrier between them; one that reads another lane, or DDR that was written, does."""
    first, second, third = (LocalTensor(k << 15, (1, 64, 1, 3000), f32) for k in range(3))
    system = SystemTensor(BM1684X.regions["ddr"].base, first.shape, f32)
    program = Program(BM1684X)
    program.append(DmaTensor(dst=first, src=system))
    program.append(Arith(op=ArithOp.ADD, dst=second, src0=first, src1=first))
    program.append(Arith(op=ArithOp.ADD, dst=third, src0=second, src1=first))
    program.append(DmaTensor(dst=system, src=third))
    program.append(DmaTensor(dst=first, src=system))
    program.append(LaneMove(op=LaneMoveOp.LANE_BROADCAST, dst=second, src=LocalTensor(0, (1, 1, 1, 3000), f32)))
    program.append(Arith(op=ArithOp.ADD, dst=third, src0=second, src1=second))
    memory = filled().memory
    calls = [call for instruction in program for call in plan.lower(instruction, memory) or ()]
    assert [bool(flag) for flag in unmet(calls)] == [True, True, False, False, False, False, False]


@pytest.mark.parametrize("threads", [2, 3])
def test_stretches_without_barriers(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PARALLEL_NANOSECONDS", 0.0)
    tensors = [LocalTensor(k << 14, (1, 64, 1, 2500), f32) for k in range(5)]
    system = SystemTensor(BM1684X.regions["ddr"].base, tensors[0].shape, f32)
    source, program = Random(threads), Program(BM1684X)
    for tensor in tensors:
        program.append(DmaTensor(dst=tensor, src=system))
    for _ in range(200):
        dst, src0, src1 = source.choices(tensors, k=3)
        program.append(Arith(op=source.choice((ArithOp.ADD, ArithOp.SUB, ArithOp.MAX)), dst=dst, src0=src0, src1=src1))
        if source.random() < 0.1:
            program.append(DmaTensor(dst=system, src=dst))
            program.append(DmaTensor(dst=src0, src=system))
    one, other = filled(), filled()
    one.threads, other.threads = 1, threads
    for machine in (one, other):
        machine.run(program, engine="jit", check=False)
    assert np.array_equal(one.memory.image("lmem"), other.memory.image("lmem"))
