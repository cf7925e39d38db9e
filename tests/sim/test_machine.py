"""The machine: its memories, running programs, watching them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tpukernel import BM1684, BM1684X, f32, i32
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, Conv, DmaTensor, Instruction, Program
from tpukernel.isa.errors import DeadlockError
from tpukernel.sim import Machine, Step
from tpukernel.sim.checks.errors import UninitialisedReadError
from tpukernel.sim.errors import EngineChoiceError, MemoryRangeError, MemorySpaceError

SHAPE = (2, 70, 3, 5)
DDR = BM1684X.regions["ddr"].base
SOURCE, TARGET = SystemTensor(DDR, SHAPE, f32), SystemTensor(DDR + 0x10000, SHAPE, f32)
X, Y = LocalTensor(0x0, SHAPE, f32), LocalTensor(0x800, SHAPE, f32)


def doubling() -> Program:
    program = Program(BM1684X)
    program.append(DmaTensor(dst=X, src=SOURCE))
    program.append(Arith(op=ArithOp.MUL, dst=Y, src0=X, src1=Constant.of(2.0, f32)))
    program.append(DmaTensor(dst=TARGET, src=Y))
    return program.end()


def data() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def test_a_program_runs() -> None:
    machine = Machine("BM1684X", ddr_bytes=1 << 20)
    machine.write("ddr", 0, data())
    machine.run(doubling())
    assert np.array_equal(machine.dump(TARGET), 2 * data())
    assert np.array_equal(np.frombuffer(machine.read("ddr", 0x10000, data().nbytes), np.float32), (2 * data()).reshape(-1))
    assert np.array_equal(machine.dump(X), data())


def test_bytes_of_every_space() -> None:
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    for space in ("ddr", "lmem", "l2", "static"):
        machine.write(space, 77, b"abc")
        assert machine.read(space, 76, 5)[1:4] == b"abc"
    with pytest.raises(MemorySpaceError, match="no memory 'dtcm'"):
        machine.read("dtcm", 0, 1)
    with pytest.raises(MemoryRangeError, match="ddr_bytes"):
        machine.write("ddr", (1 << 20) - 1, b"ab")
    with pytest.raises(MemoryRangeError):
        machine.read("lmem", -1, 1)


def test_a_large_ddr_costs_nothing_until_it_is_used() -> None:
    machine = Machine(BM1684X, ddr_bytes=1 << 36)
    machine.write("ddr", (1 << 36) - 4, b"last")
    assert machine.read("ddr", (1 << 36) - 4, 4) == b"last"


def test_arrays_as_tensors() -> None:
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    machine.load(X, data())
    assert np.array_equal(machine.dump(X), data())
    program = Program(BM1684X)
    program.append(Arith(op=ArithOp.COPY, dst=Y, src0=X))
    machine.run(program)
    assert np.array_equal(machine.dump(Y), data())


def test_an_uninitialised_read_stops_the_program_before_it_starts() -> None:
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    with pytest.raises(UninitialisedReadError, match="gdma command 1"):
        machine.run(doubling())
    assert not any(machine.read("lmem", 0, 1 << 16))
    machine.run(doubling(), check=False)
    machine.run(doubling())  # nobody looked at what ran in between: everything counts as written


def test_the_chips_must_agree_and_the_engine_must_exist() -> None:
    with pytest.raises(EngineChoiceError, match="cannot run on a BM1684"):
        Machine(BM1684, ddr_bytes=1 << 20).run(doubling())
    with pytest.raises(EngineChoiceError, match="no execution engine 'warp'"):
        Machine(BM1684X, ddr_bytes=1 << 20).run(doubling(), engine="warp")  # pyright: ignore[reportArgumentType]


def test_execution_follows_the_numbers_not_the_lists() -> None:
    """The store comes last although it is the second command of its list, and a deadlock names both commands."""
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    machine.write("ddr", 0, data())
    seen: list[str] = []
    machine.trace = lambda step: seen.append(step.instruction.title)
    machine.run(doubling())
    assert [title for title in seen if not title.endswith("end")] == ["dma.copy", "arith.mul", "dma.copy"]
    stuck = doubling()
    stuck.groups[0].gdma[0] = stuck.groups[0].gdma[0].numbered(1, 1)
    with pytest.raises(DeadlockError, match=r"tiu command 1 .* gdma command 1"):
        machine.run(stuck)


def test_breakpoints_and_traces_see_the_elements() -> None:
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    machine.write("ddr", 0, data())
    steps: list[Step] = []
    stops: list[tuple[int, str]] = []

    def stop(stopped: Machine, index: int, instruction: Instruction) -> None:
        stops.append((index, instruction.title))
        assert np.array_equal(stopped.dump(X), data())

    machine.trace = steps.append
    machine.breakpoints[1] = stop
    machine.run(doubling())
    assert stops == [(1, "arith.mul")]
    step = steps[1]
    assert step.index == 1 and set(step.inputs) == {"src0", "src1"} and set(step.outputs) == {"dst"}
    assert np.array_equal(step.inputs["src0"], data()) and np.array_equal(step.outputs["dst"], 2 * data())


def test_a_convolution_takes_less_than_two_seconds() -> None:
    """3 x 3, 64 to 64 channels, 56 x 56; some 0.1 s on an idle machine."""
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    image, weight = LocalTensor(0, (1, 64, 56, 56), f32), LocalTensor(0x8000, (64, 64, 3, 3), f32, Layout.WEIGHT)
    rng = np.random.default_rng(0)
    for tensor in (image, weight):
        machine.load(tensor, rng.standard_normal(tensor.shape).astype(np.float32))
    program = Program(BM1684X)
    program.append(Conv(dst=LocalTensor(0x10000, image.shape, f32), input=image, weight=weight, kernel=(3, 3), padding=(1, 1, 1, 1)))
    best = min(_seconds(machine, program) for _ in range(3))
    assert best < 2.0


def _seconds(machine: Machine, program: Program) -> float:
    start = time.perf_counter()
    machine.run(program)
    return time.perf_counter() - start


def test_checks_cost_at_most_three_times_the_run() -> None:
    """Over a kernel with tiles of a usual size; the best of several runs, for the computer may be busy."""
    tile = (1, 64, 28, 28)
    x, y, z = (LocalTensor(place * 0x1000, tile, f32) for place in range(3))
    program = Program(BM1684X)
    for step in range(20):
        program.append(DmaTensor(dst=x, src=SystemTensor(DDR + step * 0x40000, tile, f32)))
        program.append(Arith(op=ArithOp.MUL, dst=y, src0=x, src1=Constant.of(2.0, f32)))
        program.append(Arith(op=ArithOp.ADD, dst=z, src0=y, src1=x))
        program.append(DmaTensor(dst=SystemTensor(DDR + 0x1000000 + step * 0x40000, tile, f32), src=z))
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(5):
        for check in (True, False):
            machine = Machine(BM1684X, ddr_bytes=64 << 20)
            machine.memory.written.mark("ddr", 0, 64 << 20)
            start = time.process_time()
            machine.run(program, "interpreter", check=check)
            times[check].append(time.process_time() - start)
    assert min(times[True]) < 3 * min(times[False]), f"{min(times[True]) / min(times[False]):.1f} times"


def test_integers_run_too() -> None:
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    a = LocalTensor(0, (1, 3, 1, 4), i32)
    machine.load(a, np.arange(12, dtype=np.int32).reshape(a.shape))
    program = Program(BM1684X)
    program.append(Arith(op=ArithOp.ADD, dst=LocalTensor(64, a.shape, i32), src0=a, src1=Constant.of(-5, i32)))
    machine.run(program)
    assert machine.dump(LocalTensor(64, a.shape, i32)).reshape(-1).tolist() == list(range(-5, 7))


def test_absurd_operands_are_refused_and_repeated_elements_cost_nothing() -> None:
    """Strides of 0 let one command name 2**64 elements."""
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    absurd = LocalTensor(0, (65535, 64, 65535, 65535), f32, Layout.FREE, (0, 0, 0, 0))
    with pytest.raises(MemoryRangeError, match="more than 4294967296 elements"):
        machine.dump(absurd)
    repeated = LocalTensor(0, (60000, 64, 1, 1000), f32, Layout.FREE, (0, 0, 0, 0))
    assert machine.memory.written.missing(*machine.memory.place(repeated)) is not None
