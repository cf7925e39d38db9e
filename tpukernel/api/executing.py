"""TPUKernel functions that run on a simulated chip while the host code around them runs, as firmware runs a kernel.

A recording is a static command stream: nothing in it can depend on a result. Kernels that read results on the host, or that use the HAU,
need a chip that computes while they are called.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tpukernel.api.errors import StaticStreamError
from tpukernel.api.recording import Recorder, recorded_by, recorder
from tpukernel.chips.chip import Chip
from tpukernel.isa.program import Program
from tpukernel.sim.machine import ExecutionEngine, Machine
from tpukernel.sim.memory import Memory

__all__ = ["Execution", "executing", "execution"]


class Execution(Recorder):
    """Takes what TPUKernel functions emit, and runs it on a machine when a result is needed.

    Args:
        machine: the machine.
        engine: what executes the commands (see `Machine.run`).
        check: look for mistakes: each instruction when it is emitted, each piece of the program before it runs.

    Attributes:
        machine: the machine.
        program: the commands that have not run yet.
        programs: those that have, one program for each time that results were needed.
    """

    def __init__(self, machine: Machine, *, engine: ExecutionEngine = "jit", check: bool = True) -> None:
        super().__init__(Program(machine.chip), check=check)
        self.machine = machine
        self.programs: list[Program] = []
        self._engine: ExecutionEngine = engine

    def synchronize(self) -> Memory:
        """Run what was emitted, so that the memory holds all results, and return it. The numbers of commands begin again at 1; a parallel
        section that is open stays open.

        Raises:
            TpuError: as `Machine.run`; the commands that did not run are dropped.
        """
        waiting = self.program
        if len(waiting):
            self.program = Program(self.machine.chip)
            if waiting.in_parallel:
                self.program.parallel_start()
            self.machine.run(waiting, self._engine, check=self._check)
            self.programs.append(waiting)
        return self.machine.memory

    def expose(self) -> Memory:
        """The memory with all results, for host code that may write to it, too.

        From now on the checks let commands read bytes that no command has written: nobody sees what the host writes.
        """
        memory = self.synchronize()
        memory.written.everything()
        return memory

    def initialize(self) -> None:
        """Run what was emitted, and begin anew outside of any parallel section."""
        self.synchronize()
        self.program = Program(self.machine.chip)


@contextmanager
def executing(machine: Machine | Chip | str = "BM1684X", *, engine: ExecutionEngine = "jit", check: bool = True) -> Generator[Execution]:
    """TPUKernel functions that are called inside are executed.

        with executing(Machine("BM1684X")) as run:
            tpu_gdma_cpy_S2L(0, ddr, (1, 64, 8, 8), None, None, f32)
            tpu_poll()
            first = tpu_local_mem_addr(0, 0).view(np.float32)[0]

    Commands of the TIU and the GDMA are collected and run together when `tpu_poll`, a function of the HAU or one that gives access to
    memory is called, and at the end. An array that such a function gave shows results of later commands only after the next `tpu_poll`.

    Args:
        machine: the machine, or the chip for which to make one.
        engine: what executes the commands (see `Machine.run`).
        check: look for mistakes in the instructions and in each piece of the program that runs.

    Raises:
        TpuError: at the end, as `Machine.run`.
    """
    taker = Execution(machine if isinstance(machine, Machine) else Machine(machine), engine=engine, check=check)
    with recorded_by(taker):
        yield taker
    taker.synchronize()


def execution(function: str, why: str, instead: str = "") -> Execution:
    """The execution of the innermost context.

    Args:
        function: what was called.
        why: why a recording cannot do it.
        instead: what else to do, up to the "or"; nothing by default.

    Raises:
        NotRecordingError: there is no context.
        StaticStreamError: it is a recording.
    """
    found = recorder(function)
    if not isinstance(found, Execution):
        raise StaticStreamError(f"{function} in a recording: {why}", help=f"{instead}call it inside `with executing(machine):`")
    return found
