"""Fused commands leave behind what the interpreter leaves, in every byte of every memory."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from tests.support.differential import CASES
from tests.support.kernels import random_kernel
from tpukernel import BM1684X, f16, f32, i8, i16, i32
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import (
    Arith,
    ArithOp,
    Compare,
    CompareOp,
    DmaTensor,
    Instruction,
    LaneMove,
    LaneMoveOp,
    Linear,
    LinearOp,
    Program,
    Rounding,
    Special,
    SpecialOp,
    lane_table,
)
from tpukernel.sim import Machine, Step
from tpukernel.sim.jit import plan_of, run
from tpukernel.sim.jit.fusion import fuse, stretches
from tpukernel.sim.jit.fusion.loops import common_sizes
from tpukernel.sim.jit.llvm import Target, aarch64_target, baseline_target, compile_object
from tpukernel.sim.jit.plan import lower
from tpukernel.sim.machine import ExecutionEngine

SHAPES: tuple[Dim4, ...] = (
    (1, 64, 1, 256),
    (2, 64, 1, 128),
    (1, 64, 4, 64),
    (1, 128, 1, 128),
    (2, 70, 3, 20),
    (1, 3, 5, 100),
    (1, 1, 1, 37),
)
DDR = BM1684X.regions["ddr"].base


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fuse before the first run, and however little it gains."""
    monkeypatch.setattr(stretches, "PAYBACK", 0.0)
    monkeypatch.setattr(fuse, "LEAST_NANOSECONDS", 0.0)


def filled(seed: int = 0, threads: int = 1) -> Machine:
    machine = Machine(BM1684X, threads=threads, ddr_bytes=1 << 24)
    rng = np.random.default_rng(seed)
    machine.write("ddr", 0, rng.standard_normal(1 << 16).astype(np.float32))
    for lane in range(BM1684X.lanes):
        machine.write("lmem", lane * BM1684X.lane_bytes, rng.standard_normal(1 << 12).astype(np.float32))
    return machine


def compare_engines(program: Program, threads: int = 1) -> Machine:
    one, other = filled(), filled(threads=threads)
    one.run(program, "interpreter", check=False)
    other.run(program, "jit", check=False)
    for space in ("ddr", "lmem", "l2"):
        assert np.array_equal(one.memory.image(space), other.memory.image(space)), space
    return other


def rows(program: Program) -> tuple[int, int]:
    """Rows of the table without and with fusing."""
    memory = Machine(BM1684X, ddr_bytes=1 << 24).memory
    plan = plan_of(program, memory)
    fused = plan.fusing.next_run(memory)
    assert fused is not None
    outside = sum(
        plan.tables.starts[k + 1] - plan.tables.starts[k]
        for k in range(len(plan.order))
        if not any(stretch.begin <= k < stretch.end for stretch in fused.stretches.values())
    )
    return plan.tables.starts[-1], len(fused.tables.rows) + outside


# ---------------------------------------------------------------------------- random programs


def random_commands(rng: Random, count: int) -> Iterator[Instruction]:
    """Operations on a few buffers of a few shapes that partly lie on each other, with copies to and from DDR in between."""
    shapes = rng.sample(SHAPES, 2)
    places = [rng.choice((256, 1024, 2048)) * k for k in range(5)]
    table = lane_table(BM1684X, 0x3000, (1, 64, 1, 4), f32)

    def local(dtype: Dtype, shape: Dim4) -> LocalTensor:
        return LocalTensor(rng.choice(places), shape, dtype)

    def source(dtype: Dtype, shape: Dim4) -> LocalTensor | Constant:
        kind = rng.randrange(6)
        if kind == 0:
            return Constant.of(rng.choice((0.5, 2.0, -1.0)) if dtype.is_float else 3, dtype)
        return local(dtype, (1, shape[1], 1, 1) if kind == 1 else shape)

    for _ in range(count):
        shape, dtype = rng.choice((shapes[0], *shapes)), rng.choice((f32, f32, f32, f16, i16))
        match rng.randrange(10):
            case 0:
                yield DmaTensor(dst=local(dtype, shape), src=SystemTensor(DDR + rng.choice((0, 4096)), shape, dtype))
            case 1:
                yield DmaTensor(dst=SystemTensor(DDR + rng.choice((0, 1 << 15)), shape, dtype), src=local(dtype, shape))
            case 2:
                to, given = rng.choice(((f32, f16), (f16, f32), (i16, f32), (i32, i16), (f32, f32)))
                rounding = rng.choice((Rounding.DOWN, Rounding.HALF_EVEN))
                yield Arith(op=ArithOp.CAST, dst=local(to, shape), src0=local(given, shape), rounding=rounding)
            case 3:
                operands = [local(f32, shape), *(local(f32, (1, shape[1], 1, 1)) for _ in range(2))]
                yield Linear(op=LinearOp.MAC, dst=local(f32, shape), src0=operands[0], src1=operands[1], src2=operands[2])
            case 4:
                a, b, c, d = (source(dtype, shape) for _ in range(4))
                two = rng.random() < 0.5
                op = CompareOp.MAX_AND_SELECT if two else CompareOp.SELECT_LESS
                dst, *dst1 = (LocalTensor(place, shape, dtype) for place in rng.sample(places, 1 + two))
                yield Compare(op=op, dst=dst, dst1=dst1[0] if two else None, src0=a, src1=b, src2=c, src3=d)
            case 6 if shape == (1, 64, 4, 64):
                op = rng.choice((LaneMoveOp.CW_TRANSPOSE, LaneMoveOp.WC_TRANSPOSE))
                layout = Layout.LINE_ALIGNED if op is LaneMoveOp.CW_TRANSPOSE else Layout.EU_ALIGNED
                yield LaneMove(op=op, dst=LocalTensor(rng.choice(places), shape, dtype, layout), src=local(dtype, shape))
            case 5 if shape[1] <= 64:
                coeff = LocalTensor(table.address, (1, shape[1], 1, 4), f32, table.layout, table.strides)
                yield Special(op=SpecialOp.TAYLOR, dst=local(f32, shape), src=local(f32, shape), coeff=coeff)
            case _:
                op = rng.choice((ArithOp.ADD, ArithOp.SUB, ArithOp.MUL, ArithOp.MAX, ArithOp.MIN))
                yield Arith(op=op, dst=local(dtype, shape), src0=source(dtype, shape), src1=source(dtype, shape))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", range(8 * CASES))
def test_random_programs(seed: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PARALLEL_NANOSECONDS", 0.0)
    program = Program(BM1684X)
    for instruction in random_commands(Random(seed), 24):
        program.append(instruction)
    compare_engines(program.end(), threads)


@pytest.mark.parametrize("seed", range(3 * CASES))
def test_kernels(seed: int) -> None:
    compare_engines(random_kernel(seed).program)


# ---------------------------------------------------------------------------- what is fused

SHAPE: Dim4 = (1, 64, 1, 512)


def at(place: int, dtype: Dtype = f32) -> LocalTensor:
    return LocalTensor(0x1000 * place, SHAPE, dtype)


def tile(program: Program, number: int) -> None:
    """Loads, five operations that use two temporary buffers, and stores."""
    system = [SystemTensor(DDR + (number + 10 * k) * 0x20000, SHAPE, f32) for k in range(2)]
    program.append(DmaTensor(dst=at(0), src=system[0]))
    program.append(Arith(op=ArithOp.MUL, dst=at(1), src0=at(0), src1=Constant.of(3.0, f32)))
    program.append(Arith(op=ArithOp.CAST, dst=at(2, i16), src0=at(1), rounding=Rounding.DOWN))
    program.append(Arith(op=ArithOp.CAST, dst=at(1), src0=at(2, i16), rounding=Rounding.HALF_EVEN))
    program.append(Arith(op=ArithOp.SUB, dst=at(2), src0=at(1), src1=at(0)))
    program.append(Arith(op=ArithOp.MAX, dst=at(2), src0=at(2), src1=at(1)))
    program.append(DmaTensor(dst=system[1], src=at(2)))


def test_a_tile_is_one_kernel_and_its_buffers_are_stored_at_the_end() -> None:
    program = Program(BM1684X)
    for number in range(3):
        tile(program, number)
    program.end()
    compare_engines(program)
    assert rows(program) == (21, 3)


def test_a_store_that_is_read_stays() -> None:
    """A broadcast of one element of the buffer is no element-on-element use."""
    program = Program(BM1684X)
    program.append(Arith(op=ArithOp.ADD, dst=at(1), src0=at(0), src1=at(0)))
    program.append(Arith(op=ArithOp.MUL, dst=at(2), src0=at(1), src1=at(0)))
    program.append(Arith(op=ArithOp.MUL, dst=at(3), src0=at(2), src1=LocalTensor(at(1).address, (1, 64, 1, 1), f32)))
    program.append(Arith(op=ArithOp.COPY, dst=at(1), src0=at(0)))
    compare_engines(program.end())


def test_stores_that_overlap_in_part_keep_their_order() -> None:
    """Elements of 16 bits lie on those of 32 bits, and neither covers the other for good."""
    program = Program(BM1684X)
    program.append(Arith(op=ArithOp.ADD, dst=at(1), src0=at(0), src1=at(0)))
    program.append(Arith(op=ArithOp.MUL, dst=at(2), src0=at(1), src1=at(0)))
    program.append(Arith(op=ArithOp.CAST, dst=at(1, f16), src0=at(2), rounding=Rounding.HALF_EVEN))
    compare_engines(program.end())
    assert rows(program) == (3, 2)


def test_in_place_over_the_source() -> None:
    program = Program(BM1684X)
    for _ in range(4):
        program.append(Arith(op=ArithOp.ADD, dst=at(0), src0=at(0), src1=at(1)))
    compare_engines(program.end())
    assert rows(program) == (4, 1)


def test_bytes_wrap_in_registers_too() -> None:
    program = Program(BM1684X)
    program.append(Arith(op=ArithOp.ADD, dst=at(1, i8), src0=at(0, i8), src1=at(0, i8)))
    program.append(Arith(op=ArithOp.CAST, dst=at(2, i32), src0=at(1, i8), rounding=Rounding.HALF_EVEN))
    program.append(Arith(op=ArithOp.MUL, dst=at(3, i32), src0=at(2, i32), src1=at(2, i32)))
    compare_engines(program.end())
    assert rows(program) == (3, 1)


@pytest.mark.parametrize("target", [baseline_target(), aarch64_target()], ids=lambda target: target.arch)
def test_other_processors(target: Target) -> None:
    program = Program(BM1684X)
    tile(program, 0)
    memory = Machine(BM1684X, ddr_bytes=1 << 24).memory
    calls = fuse.fuse([(instruction, lower(instruction, memory) or []) for instruction in program], memory)
    assert calls is not None and len(calls) == 1
    assert compile_object(calls[0].kernel.emit(target), target, verify=True)


# ---------------------------------------------------------------------------- when


def test_a_program_is_fused_when_it_has_run_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(BM1684X)
    tile(program, 0)
    memory = Machine(BM1684X, ddr_bytes=1 << 24).memory
    fusing = plan_of(program.end(), memory).fusing
    monkeypatch.setattr(stretches, "PAYBACK", 1.0)
    monkeypatch.setattr(stretches, "COMMAND_NANOSECONDS", 3.5 * fusing.spent / len(fusing.order))
    monkeypatch.setattr(stretches, "KERNEL_NANOSECONDS", 0.0)
    assert [fusing.next_run(memory) is not None for _ in range(6)] == [False, False, False, False, True, True]


def test_nothing_is_fused_where_that_is_switched_off() -> None:
    program = Program(BM1684X)
    tile(program, 0)
    memory = Machine(BM1684X, ddr_bytes=1 << 24).memory
    fusing = plan_of(program.end(), memory).fusing
    with stretches.unfused():
        assert all(fusing.next_run(memory) is None for _ in range(1000))
    assert fusing.next_run(memory) is not None


def test_kernels_that_have_to_be_compiled_need_more_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(BM1684X)
    tile(program, 0)
    memory = Machine(BM1684X, ddr_bytes=1 << 24).memory
    fusing = plan_of(program.end(), memory).fusing
    monkeypatch.setattr(stretches, "PAYBACK", 1.0)
    monkeypatch.setattr(stretches, "COMMAND_NANOSECONDS", 0.0)
    monkeypatch.setattr(stretches, "KERNEL_NANOSECONDS", 1.5 * fusing.spent)
    fusing.is_made = lambda kernel: not kernel.key.startswith("fused")
    assert [fusing.next_run(memory) is not None for _ in range(4)] == [False, False, True, True]


def test_single_commands_are_not_fused() -> None:
    """Who watches sees every command with its result."""
    program = Program(BM1684X)
    tile(program, 0)
    program.end()
    logs: list[list[bytes]] = []
    engines: tuple[ExecutionEngine, ...] = ("interpreter", "jit")
    for engine in engines:
        machine, log = filled(), list[bytes]()

        def trace(step: Step, log: list[bytes] = log) -> None:
            log.extend(values.tobytes() for values in step.outputs.values())

        machine.trace = trace
        machine.run(program, engine=engine, check=False)
        logs.append(log)
    assert logs[0] == logs[1] and len(logs[0]) == 7


def test_common_sizes() -> None:
    assert common_sizes((64, 3328), (64, 13, 256)) == (64, 13, 256)
    assert common_sizes((12, 10), (6, 20)) == (6, 2, 10)
    assert common_sizes((64, 10), (64, 11)) is None
    assert common_sizes((6, 10), (15, 4)) is None
    assert common_sizes((), ()) == ()
