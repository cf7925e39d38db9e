"""Native execution in a process that does other things, too: threads, interrupts, forks, the floating-point mode, thousands of runs."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from threading import Timer

import numpy as np
import pytest

from tests.sim.jit.test_run import doubling
from tests.sim.test_golden import check
from tests.support.differential import CASES
from tests.support.golden import GoldenCase, golden_cases
from tests.support.kernels import random_kernel
from tests.support.native_program import digest_of, filled
from tpukernel import BM1684X, Dtype, f16, f32, i8, i32, u8, u32
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, Conv, DmaNonzero, IndexGen, IndexGenOp, Instruction, Program, Rounding
from tpukernel.sim import Machine
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.jit import plan_of, run
from tpukernel.sim.jit.llvm import host_target, load
from tpukernel.sim.jit.threads import team

NIGHTLY = CASES == 20
LARGE = (1, 64, 56, 56)


@pytest.fixture
def always_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to do."""
    monkeypatch.setattr(run, "PARALLEL_NANOSECONDS", 0.0)


def long_program(commands: int = 20_000) -> Program:
    """A program that takes several seconds."""
    shape = (1, 64, 112, 112)
    program, x, y = Program(BM1684X), LocalTensor(0, shape, f32), LocalTensor(1 << 16, shape, f32)
    command = Arith(op=ArithOp.ADD, dst=y, src0=x, src1=Constant.of(1.0, f32)).numbered(1, 0)
    for _ in range(commands):
        program.append(command)
    return program


# ---------------------------------------------------------------------------- threads


@pytest.mark.usefixtures("always_parallel")
@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("case", [case for case in golden_cases() if case.is_program], ids=lambda case: case.id)
def test_recorded_programs_on_several_threads(case: GoldenCase, threads: int) -> None:
    check(case, "jit", threads)


@pytest.mark.usefixtures("always_parallel")
@pytest.mark.parametrize("channels", [64, 40, 37])
@pytest.mark.parametrize("kind", [f32, f16, i8], ids=str)
def test_a_product_on_several_threads(kind: Dtype, channels: int) -> None:
    """The threads share what one of them has prepared; with 64 channels it fills whole cache lines."""
    source, weight = LocalTensor(0x8000, (1, channels, 15, 13), kind), LocalTensor(0x10000, (70, channels, 3, 3), kind, Layout.WEIGHT)
    program, rng = Program(BM1684X), np.random.default_rng(1)
    program.append(
        Conv(
            dst=LocalTensor(0, (1, 70, 15, 13), i32 if kind == i8 else kind),
            input=source,
            weight=weight,
            kernel_zero_point=Constant(0, i8) if kind == i8 else None,
            kernel=(3, 3),
            padding=(1, 1, 1, 1),
        )
    )
    machine = Machine(BM1684X, ddr_bytes=1 << 20)
    for tensor in (source, weight):
        machine.load(tensor, (30 * rng.standard_normal(tensor.shape)).astype(np.int8 if kind == i8 else np.float32).astype(kind.numpy))
    found: list[bytes] = []
    for threads in (1, *(2, 3) * 5):
        machine.threads = threads
        machine.memory.image("lmem")[:, :0x8000] = 0
        machine.run(program, "jit", check=False)
        found.append(machine.memory.image("lmem").tobytes())
    assert any(found[0][:0x1000]) and all(image == found[0] for image in found)


@pytest.mark.usefixtures("always_parallel")
def test_machines_in_several_threads() -> None:
    """Each on its own machine; programs are shared, and so are the helpers."""
    seeds = [0, 1, 2] * 4
    wanted = {seed: digest_of(seed, "interpreter") for seed in set(seeds)}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(digest_of, seeds, repeat("jit"), repeat(2)))
    assert found == [wanted[seed] for seed in seeds]


def test_one_program_in_several_threads() -> None:
    program = random_kernel(1).program
    machines = [filled(1, 1) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Machine.run, machines, repeat(program), repeat("jit"), repeat(False)))
    images = [machine.memory.image("ddr") for machine in machines]
    assert all(np.array_equal(images[0], image) for image in images[1:])


@pytest.mark.usefixtures("always_parallel")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    wanted = digest_of(0, "jit", 2)  # makes the helpers, which a fork does not copy
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends the child where it waits for ever
        try:
            os.write(write, digest_of(0, "jit", 2).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        found = answer.read()
    _, status = os.waitpid(child, 0)
    assert (found, status) == (wanted, 0)


# ---------------------------------------------------------------------------- Ctrl-C


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also in a process that was started in the background (where SIGINT is ignored)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_a_long_run(threads: int, interruptible: None) -> None:
    machine = Machine(BM1684X, threads, ddr_bytes=1 << 24)
    program = long_program()
    plan_of(program, machine.memory)
    asked, ended = 0.0, False

    def interrupt() -> None:
        nonlocal asked
        asked = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    timer = Timer(0.3, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012  also where the program ends before the interrupt, which must not end the tests
        machine.run(program, "jit", check=False)
        ended = True
        timer.join()
        time.sleep(1)
    assert not ended and time.monotonic() - asked < 1
    given = np.random.default_rng(2).standard_normal((1, 64, 1, 500)).astype(np.float32)
    source = SystemTensor(BM1684X.regions["ddr"].base, (1, 64, 1, 500), f32)
    for _ in range(3):
        machine.load(source, given)
        machine.run(doubling(), "jit", check=False)
        assert np.array_equal(machine.dump(source), 2 * given)


CONV = Conv(
    dst=LocalTensor(0x20000, (1, 64, 64, 64), f32),
    input=LocalTensor(0, (1, 64, 120, 120), f32),
    weight=Constant.of(1.0, f32),
    kernel=(57, 57),
)
"""Fifty billion products, whose work can be divided."""
NONZERO = DmaNonzero(
    dst=SystemTensor(BM1684X.regions["ddr"].base + (3 << 30), (1, 1, 65535, 32767), u32),
    src=SystemTensor(BM1684X.regions["ddr"].base, (1, 1, 65535, 32767), u8),
)
"""A search through two gigabytes from the first to the last one."""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("command", [CONV, NONZERO], ids=lambda command: command.title)
def test_an_interrupt_ends_a_single_long_command(command: Instruction, threads: int, interruptible: None) -> None:
    machine = Machine(BM1684X, threads, ddr_bytes=12 << 30)
    program = Program(BM1684X)
    program.append(command)
    assert plan_of(program, machine.memory).native == [True]
    asked, ended = 0.0, False

    def interrupt() -> None:
        nonlocal asked
        asked = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    Timer(0.3, interrupt).start()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012  also where the command ends before the interrupt, which must not end the tests
        machine.run(program, "jit", check=False)
        ended = True
        time.sleep(1)
    assert not ended and time.monotonic() - asked < 1
    given = np.random.default_rng(3).standard_normal((1, 64, 1, 500)).astype(np.float32)
    source = SystemTensor(BM1684X.regions["ddr"].base, (1, 64, 1, 500), f32)
    machine.load(source, given)
    machine.run(doubling(), "jit", check=False)
    assert np.array_equal(machine.dump(source), 2 * given)


def test_helpers_end_their_work_before_an_error_comes_out() -> None:
    """Work of a helper that is not waited for would write into memory that the caller uses again."""
    events: list[str] = []

    def work(number: int) -> None:
        if number == 0:
            raise KeyboardInterrupt
        time.sleep(0.2)
        events.append("helper ended")

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            team(2).run(work, stop=lambda: events.append("told to stop"))
        assert events == ["told to stop", "helper ended"]
        events.clear()
    team(2).run(lambda number: events.append(f"{number}"), stop=lambda: events.append("told to stop"))
    assert sorted(events) == ["0", "1"]
    events.clear()
    team(3).run(lambda number: events.append(f"{number}"), stop=lambda: events.append("told to stop"), wait=True)
    assert sorted(events) == ["0", "1"]


# ---------------------------------------------------------------------------- the floating-point mode

_MODE = """
define i64 @kernel(i64 %new) nounwind {
  %cell = alloca i64
  store i64 0, ptr %cell
  call void @llvm.x86.sse.stmxcsr(ptr %cell)
  %old = load i64, ptr %cell
  %keep = icmp eq i64 %new, 0
  br i1 %keep, label %out, label %set
set:
  store i64 %new, ptr %cell
  call void @llvm.x86.sse.ldmxcsr(ptr %cell)
  br label %out
out:
  ret i64 %old
}
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
"""
"""Returns MXCSR, and sets it to another value if one is given."""

DEFAULT, UPWARD, FLUSHING = 0x1F80, 0x5F80, 0x9FC0
"""MXCSR with all exceptions masked: as programs start with it; rounding up; with denormal numbers taken for zeros."""


def mxcsr() -> ctypes._CFunctionType:  # pyright: ignore[reportPrivateUsage]
    if not host_target().is_x86:
        pytest.skip(f"{host_target().triple} has no MXCSR")
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(load(_MODE))


@pytest.mark.usefixtures("always_parallel")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", [DEFAULT, UPWARD, FLUSHING], ids=["default", "upward", "flushing"])
def test_the_callers_floating_point_mode(mode: int, threads: int) -> None:
    """It has no influence, and it is as it was: after runs, and after errors."""
    register, program = mxcsr(), Program(BM1684X)
    x, y = LocalTensor(0, LARGE, f32), LocalTensor(1 << 15, LARGE, f32)
    program.append(Arith(op=ArithOp.MUL, dst=y, src0=x, src1=x))
    program.append(Arith(op=ArithOp.CAST, dst=LocalTensor(1 << 16, LARGE, f16), src0=y, rounding=Rounding.HALF_EVEN))
    program.append(Arith(op=ArithOp.ADD, dst=x, src0=x, src1=Constant.of(0.1, f32)))
    failing = Program(BM1684X)
    failing.append(Arith(op=ArithOp.ADD, dst=y, src0=x, src1=x))
    failing.append(IndexGen(op=IndexGenOp.LANE, dst=LocalTensor(0, (1, 70, 1, 9), i32)))
    values = (np.random.default_rng(1).standard_normal(LARGE) * 10.0 ** np.random.default_rng(2).integers(-22, 3, LARGE)).astype(np.float32)
    images: list[bytes] = []
    for engine in ("interpreter", "jit"):
        machine = Machine(BM1684X, threads, ddr_bytes=1 << 20)
        machine.load(x, values)
        if engine == "interpreter":
            machine.run(program, "interpreter", check=False)
        else:
            plan_of(program, machine.memory)
            before = register(mode)
            try:
                machine.run(program, "jit", check=False)
                after = register(0)
            finally:
                register(before)
            assert (after & ~0x3F) == mode  # the lowest bits tell which exceptions there were
            register(mode)
            try:
                with pytest.raises(ExecutionError):
                    machine.run(failing, "jit", check=False)
                assert register(0) & ~0x3F == mode
            finally:
                register(before)
            machine.load(y, values)
            machine.load(x, values)
            machine.run(program, "jit", check=False)
        images.append(machine.memory.image("lmem").tobytes())
    assert images[0] == images[1]


# ---------------------------------------------------------------------------- thousands of runs

_MANY_RUNS = """
import gc, sys, time
from tests.sim.jit.test_run import doubling
from tpukernel import BM1684X
from tpukernel.sim import Machine

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

what, runs = sys.argv[1], int(sys.argv[2])
def new_machine():
    return Machine(BM1684X, 2, ddr_bytes=1 << 20)

machine, program = new_machine(), doubling()

def once():
    if what == "runs":
        machine.run(program, "jit", check=False)
    elif what == "programs":
        machine.run(doubling(), "jit", check=False)
    else:
        new_machine().run(program, "jit", check=False)

start = time.process_time()
while time.process_time() - start < 1.0:  # a program is fused, by a compiler that is loaded then, when it has run for a while
    once()
before = resident()
for _ in range(runs):
    once()
print(resident() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="this system does not tell how much memory is in use")  # noqa: PTH110
@pytest.mark.parametrize(
    ("what", "runs"),
    [("runs", 20_000 if NIGHTLY else 2000), ("programs", 5000 if NIGHTLY else 400), ("machines", 1000 if NIGHTLY else 60)],
)
def test_memory_does_not_grow(what: str, runs: int) -> None:
    """A leaked plan would take a few kilobytes a time, a leaked machine the pages that it touched."""
    done = subprocess.run([sys.executable, "-c", _MANY_RUNS, what, str(runs)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1 << 20
