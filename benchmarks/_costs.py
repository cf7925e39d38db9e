"""What native execution costs beside the computation: compiling, loading, planning, dispatching."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._cases import CHIP, DDR_BYTES, Case, Memories
from benchmarks._elementwise import CONTIGUOUS, NUMPY, elementwise_cases, moving_as_much, tile_cases
from benchmarks._products import product_cases
from benchmarks._results import ONE_THREAD, Row
from benchmarks._timing import Effort, Timing, timed_in_turn
from benchmarks.codec import ENGINES, build
from tpukernel import f32
from tpukernel.cache import CACHE_FOLDER, Cache
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, DmaTensor, Program
from tpukernel.sim import Machine
from tpukernel.sim.jit import NativeExecution, plan_of
from tpukernel.sim.jit.fusion import unfused
from tpukernel.sim.jit.kernel import Kernel
from tpukernel.sim.jit.llvm import host_target, load_kernel
from tpukernel.sim.jit.plan import lower
from tpukernel.sim.memory import Memory

__all__ = ["CACHED", "COLD", "DISPATCH", "MEMORY", "NEW_PROCESS", "STREAM", "TILE", "TWO_NUMPY", "VARIED", "cost_rows"]

COLD, CACHED = "cold cache", "from the cache"
"""Names of contenders."""
DISPATCH, NEW_PROCESS = "dispatch in a stream", "new process, first convolution"
STREAM, VARIED = "10,000 commands", "10,000 commands of 150 kinds"
MEMORY, TWO_NUMPY = "memory, additions of 802,816 numbers", "numpy, 2 threads"
ALL_MODULES = "all modules of conv f32"
COMPILED = {
    "elementwise template f32": "AR ADD f32 3136/lane",
    "elementwise template f16": "AR ADD f16 3136/lane",
    "conv module f32": "conv 3x3 64x56x56 f32",
    "conv module f16": "conv 3x3 64x56x56 f16",
    "conv module i8": "conv 3x3 64x56x56 i8",
}
"""The largest module of a case."""


TILE = "tile "
"""Rows that compare with contiguous memory are named so."""
TILE_COMMANDS = 20


def cost_rows(effort: Effort) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Names, and what measures the row."""
    cases = dict((*elementwise_cases(small=False), *product_cases(small=False)))
    for name, case in COMPILED.items():
        if not effort.small or name.endswith("f32"):
            yield name, lambda name=name, make=cases[case]: _compiling(name, make(), effort)
    if not effort.small:
        yield ALL_MODULES, lambda: _compiling(ALL_MODULES, cases["conv 3x3 64x56x56 f32"](), effort, largest=False)
    for name, make in list(tile_cases(small=effort.small))[: 1 if effort.small else None]:
        yield f"{TILE}{name}", lambda name=name, make=make: _tile(f"{TILE}{name}", make(), effort)
    yield MEMORY, lambda: _memory(effort)
    yield DISPATCH, lambda: _dispatch(effort)
    commands = 500 if effort.small else 10_000
    for name, make in {STREAM: build, VARIED: _varied}.items():
        yield name, lambda name=name, make=make: _stream(name, make(commands), effort)
    yield NEW_PROCESS, lambda: _new_process(effort)


def _compiling(name: str, case: Case, effort: Effort, *, largest: bool = True) -> Row:
    """Kernels of an instruction: emitted, compiled, put into an empty cache and linked; and found in the cache and linked."""
    found = lower(case.instruction, Memory(CHIP, DDR_BYTES)) or []
    kernels = sorted({call.kernel.key: call.kernel for call in found}.values(), key=lambda kernel: len(kernel.emit(host_target())))
    if largest:
        kernels = kernels[-1:]
    with tempfile.TemporaryDirectory(prefix="cache") as folder:
        full, count = Cache(Path(folder) / "full"), 0
        _load_all(kernels, full)

        def cold() -> None:
            nonlocal count
            count += 1
            _load_all(kernels, Cache(Path(folder) / str(count)))

        timings = timed_in_turn({COLD: cold, CACHED: lambda: _load_all(kernels, full)}, effort)
    return Row(name, timings, notes=[f"modules: {len(kernels)}"])


def _load_all(kernels: list[Kernel], cache: Cache) -> None:
    for kernel in kernels:
        load_kernel(kernel, cache)


def _tile(name: str, case: Case, effort: Effort) -> Row:
    """Several equal commands in a program, and numpy moving as many bytes as often: what a command costs beside that is in other rows."""
    machine, program = Machine(CHIP, 1, ddr_bytes=DDR_BYTES), Program(CHIP)
    for _ in range(TILE_COMMANDS):
        program.append(case.instruction)
    move = moving_as_much(case.fill(machine))

    def moves() -> None:
        for _ in range(TILE_COMMANDS):
            move()

    with unfused():
        timings = timed_in_turn({ONE_THREAD: lambda: machine.run(program, "jit", check=False), CONTIGUOUS: moves}, effort)
    return Row(name, timings, TILE_COMMANDS * case.work, case.unit)


def _memory(effort: Effort) -> Row:
    """What a second thread gives where numbers come from memory: numpy adds f32 arrays, in one thread and half of them in each of two."""
    size = 64 * 12544
    one, other, total = (np.ones(size, np.float32) for _ in range(3))
    halves = [tuple(array[half * size // 2 : (half + 1) * size // 2] for array in (one, other, total)) for half in range(2)]
    with ThreadPoolExecutor(2) as pool:

        def in_two() -> None:
            for done in [pool.submit(_added, *half) for half in halves]:
                done.result()

        timings = timed_in_turn({NUMPY: lambda: _added(one, other, total), TWO_NUMPY: in_two}, effort)
    return Row(MEMORY, timings, size * TILE_COMMANDS, "element")


def _added(one: NDArray[np.float32], other: NDArray[np.float32], total: NDArray[np.float32]) -> None:
    for _ in range(TILE_COMMANDS):  # so that starting threads costs nothing beside it
        np.add(one, other, total)


def _dispatch(effort: Effort) -> Row:
    """Commands on 16 elements, one after the other: by the executor alone, and by a whole `run` of a program that has a plan."""
    commands, memories, program = 2_000 if effort.small else 20_000, Memories(), Program(CHIP)
    dst, one, other = (memories.tensor((1, 1, 1, 16), f32) for _ in range(3))
    for _ in range(commands):
        program.append(Arith(op=ArithOp.ADD, dst=dst, src0=one, src1=other))
    memory = Memory(CHIP, DDR_BYTES)
    with unfused():
        execution = NativeExecution(program, memory, 1)
        timings = timed_in_turn(
            {
                "executor": lambda: execution.run(0, commands),
                "run": lambda: NativeExecution(program, memory, 1).run(0, commands),
            },
            effort,
        )
    return Row(DISPATCH, timings, commands, "command")


def _varied(commands: int) -> Program:
    """A program in which neighbouring commands differ in everything, and each is like a later one."""
    program, ddr = Program(CHIP), CHIP.regions["ddr"].base
    operations = (ArithOp.ADD, ArithOp.SUB, ArithOp.MUL)
    for step in range(commands):
        shape = (1, 64, 1 + step % 50, 56)
        a, b, y = (LocalTensor(0x8000 * place + CHIP.eu_bytes * (step % 97), shape, f32) for place in range(3))
        if step % 4:
            program.append(Arith(op=operations[step % 3], dst=y, src0=a, src1=b))
        else:
            program.append(DmaTensor(dst=a, src=SystemTensor(ddr + 4096 * step, shape, f32)))
    return program.end()


def _stream(name: str, program: Program, effort: Effort) -> Row:
    """From the bytes of a program to a plan."""
    streams, memory = program.streams(), Memory(CHIP, 4 << 30)
    encoded = [streams[engine] for engine in ENGINES]

    def decoded() -> Program:
        return Program.from_streams(CHIP, *encoded)

    given = decoded()
    timings = timed_in_turn({"decode and plan": lambda: _planned(decoded(), memory), "decode": lambda: _ignored(decoded())}, effort)
    return Row(name, timings, len(given), "command")


def _planned(program: Program, memory: Memory) -> None:
    plan_of(program, memory)


def _ignored(program: Program) -> None:
    del program


_FIRST = """
from benchmarks._products import product_cases
from benchmarks._cases import CHIP
from tpukernel.sim import Machine
case = dict(product_cases(small=False))["conv 3x3 64x56x56 f32"]()
Machine(CHIP, ddr_bytes=1 << 28).run(case.program(), engine="jit", check=False)
"""


def _new_process(effort: Effort) -> Row:
    """From the start of Python to the result."""
    timings: dict[str, Timing] = {}
    with tempfile.TemporaryDirectory(prefix="cache") as folder:
        for turn in range(1 if effort.small else min(5, effort.rounds)):
            environment = {**os.environ, CACHE_FOLDER: f"{folder}/{turn}"}
            for name in (COLD,) if effort.small else (COLD, CACHED):
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", _FIRST], env=environment, check=True)
                timings.setdefault(name, Timing()).seconds.append(time.perf_counter() - start)
    return Row(NEW_PROCESS, timings)
