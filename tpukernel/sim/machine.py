"""One chip that runs programs: its memories, an execution engine, checks, and ways to watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim.checks import CheckError, find_mistakes, raise_findings
from tpukernel.sim.choice import Numerics, ShortInterpretation, checked_numerics, is_short
from tpukernel.sim.errors import EngineChoiceError
from tpukernel.sim.interpreter import Interpretation
from tpukernel.sim.memory import DEFAULT_DDR_BYTES, Array, Memory

__all__ = ["ExecutionEngine", "Machine", "Step"]

ExecutionEngine = Literal["interpreter", "jit"]
Space = str


@dataclass(frozen=True)
class Step:
    """What a trace sees of one instruction: its position in the run, and its operands' elements before and after."""

    index: int
    instruction: Instruction
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


class Runner(Protocol):
    """What an execution engine makes of a program."""

    @property
    def order(self) -> Sequence[Instruction]:
        """The commands in the order in which they run."""
        ...

    def run(self, begin: int, end: int) -> None:
        """Run the commands at these positions."""
        ...


Trace = Callable[[Step], None]
Breakpoint = Callable[["Machine", int, Instruction], None]


class Machine:
    """One simulated chip.

    Args:
        chip: the chip or its name.
        threads: threads to compute with; the interpreter uses one. By default what the environment variable
            `TPUKERNEL_THREADS` says, or as many as the process has processors.
        ddr_bytes: size of the DDR; memory is taken only for what is touched.
        numerics: "exact" gives the chip's bits. "fast" adds up the products of floats in CONV, MM and MM2 in any order, without rounding
            them and without cutting off bits of those of f16 and bf16: several times as fast, and at least as accurate as the chip, but
            with other last bits. All other units are the same, and the interpreter is always exact.

    A new machine has zeros in DDR, L2 and local memory (no byte of them counts as written) and the chip's tables in static memory.

    Raises:
        EngineChoiceError: no such numerics.
    """

    def __init__(
        self, chip: Chip | str, threads: int | None = None, *, ddr_bytes: int = DEFAULT_DDR_BYTES, numerics: Numerics = "exact"
    ) -> None:
        self.chip = chip_of(chip)
        self.threads = threads
        self.numerics: Numerics = checked_numerics(numerics)
        self.memory = Memory(self.chip, ddr_bytes)
        self.breakpoints: dict[int, Breakpoint] = {}
        self.trace: Trace | None = None

    def __repr__(self) -> str:
        return f"<Machine {self.chip.name}{', fast numerics' if self.numerics == 'fast' else ''}>"

    # ------------------------------------------------------------------ memories

    def write(self, space: Space, offset: int, data: bytes | bytearray | memoryview | Array) -> None:
        """Put bytes (or the bytes of an array) into a memory: `ddr`, `lmem` (lane times lane bytes plus byte), `l2` or `static`.

        Raises:
            MemorySpaceError: the chip has no such memory.
            MemoryRangeError: they do not fit there.
        """
        raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
        self.memory.write_bytes(space, offset, raw)
        self.memory.written.mark(space, offset, raw.size)

    def read(self, space: Space, offset: int, size: int) -> bytes:
        """Bytes of a memory.

        Raises:
            MemorySpaceError: the chip has no such memory.
            MemoryRangeError: they are not all there.
        """
        return self.memory.read_bytes(space, offset, size).tobytes()

    def dump(self, tensor: LocalTensor | SystemTensor) -> Array:
        """The elements of a tensor, in its shape and numpy dtype."""
        return self.memory.load(tensor)

    def load(self, tensor: LocalTensor | SystemTensor, values: Array) -> None:
        """Put an array of the tensor's shape and numpy dtype into the memory."""
        self.memory.store(tensor, values)
        self.memory.written.mark_elements(*self.memory.place(tensor))

    # ------------------------------------------------------------------ running

    def run(self, program: Program, engine: ExecutionEngine = "jit", check: bool = True) -> None:
        """Run a program: its commands in an order that their numbers allow, each group after the one before.

        Args:
            program: for this machine's chip.
            engine: what executes it; "interpreter" is the readable definition in numpy, "jit" makes machine code that gives the same bits
                (and leaves short programs to the interpreter while that is faster, see `tpukernel.sim.choice`).
            check: look for mistakes first (see `check`); a program with one is not started.

        Raises:
            CheckError: the program has a mistake; the first one is raised, with a note for each further one.
            DependencyError, DeadlockError: the engines cannot work the commands off.
            ExecutionError: a command met data with which the chip's model stops.
            EngineChoiceError: no such engine.
        """
        if engine not in get_args(ExecutionEngine):
            raise EngineChoiceError(f"there is no execution engine {engine!r}", help="use 'interpreter' or 'jit'")
        self._refuse_other_chip(program)
        runner = self._runner(program, engine)
        if check:
            raise_findings(self.check(program))
        else:
            self.memory.written.everything()
        done, length = 0, len(runner.order)
        for index in range(length) if self.trace else sorted(self.breakpoints):
            if 0 <= index < length:
                runner.run(done, index)
                self._step(runner, index)
                done = index + 1
        runner.run(done, length)

    def _runner(self, program: Program, engine: ExecutionEngine) -> Runner:
        if engine == "interpreter":
            return Interpretation(list(program), self.memory)
        if self.numerics == "exact" and is_short(program):
            return ShortInterpretation(list(program), self.memory)
        from tpukernel.sim.jit import NativeExecution

        return NativeExecution(program, self.memory, self.threads, self.numerics)

    def _step(self, runner: Runner, index: int) -> None:
        """Run one command that somebody watches."""
        instruction = runner.order[index]
        stop = self.breakpoints.get(index)
        if stop is not None:
            stop(self, index, instruction)
        trace = self.trace
        inputs = self._elements(instruction, "in") if trace else {}
        runner.run(index, index + 1)
        if trace:
            trace(Step(index, instruction, inputs, self._elements(instruction, "out")))

    def check(self, program: Program) -> list[CheckError]:
        """Every mistake that can be seen without running the program: operands out of bounds, misaligned or in different lanes, reads of
        bytes that nothing has written, results over operands where the unit forbids it, and accesses of both engines that the numbers
        leave unordered.

        What the program writes counts as written afterwards.
        """
        self._refuse_other_chip(program)
        return find_mistakes(program, self.memory)

    def _refuse_other_chip(self, program: Program) -> None:
        if program.chip is not self.chip:
            raise EngineChoiceError(
                f"a program for {program.chip} cannot run on a {self.chip}", help=f"make a Machine({program.chip.name!r})"
            )

    def _elements(self, instruction: Instruction, side: str) -> dict[str, Array]:
        return {use.name: self.memory.load(use.value) for use in instruction.operands() if use.direction in (side, "inout")}
