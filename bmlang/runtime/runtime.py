"""BMRuntime: loads BModels and runs their nets on the simulated chip."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING

from bmlang.bmodel.container import BModel, load
from bmlang.bmodel.dynamic_code import is_dynamic_code
from bmlang.bmodel.schema import Net
from bmlang.runtime.addresses import DeviceMemory
from bmlang.runtime.dynamic import DynamicStage
from bmlang.runtime.errors import NetworkNameError, RecordingStateError, RunChipError
from bmlang.runtime.events import Trace
from bmlang.runtime.network import Network
from bmlang.runtime.recorder import DEFAULT_BYTES, Selection, recording_to
from bmlang.runtime.recording import Keep, Recording
from bmlang.runtime.stage import Engine, Places, Stage
from tpukernel.chips.chip import CHIPS, Chip
from tpukernel.sim.choice import Numerics, checked_numerics
from tpukernel.sim.machine import Machine
from tpukernel.sim.memory import DEFAULT_DDR_BYTES, Array

if TYPE_CHECKING:
    from bmlang.compiler.dynamic import DynamicProgram

__all__ = ["Runtime"]

RUNNABLE = ("BM1684X",)
"""Chips whose commands the simulator executes."""


class Runtime:
    """A loaded BModel.

        runtime = Runtime("compilation.bmodel")
        outputs = runtime["net"](x=array)

    Args:
        source: a file, its bytes, or a BModel that was read or built. Every model loads, but only those for the BM1684X run.
        engine: what executes the commands (see `tpukernel.sim.Machine.run`).
        check: look for mistakes in the use of memory at each launch, too (see `Machine.check`): slow, for programs that are suspected. That
            each command is legal is checked in any case, once.
        ddr_bytes: device memory; of the host's it takes what is used.
        threads: threads to compute with (see `tpukernel.sim.Machine`).
        numerics: "exact" gives the chip's bits; "fast" does not in products of floats (see `tpukernel.sim.Machine`).

    Attributes:
        nets: the nets by name, in the order of the file.
        chip: name of the chip.
        numerics: as above.
        trace: a function that sees every step of every launch (see `bmlang.runtime.events`); None for none. `record` uses it.

    All nets share one simulated chip, and a net is made ready when it is first run. Launches from several threads wait for each other.

    Raises:
        BModelError: the file is damaged.
        NetworkNameError: two nets have the same name.
        StageDataError: a net has no stages, or they contradict each other.
        EngineChoiceError: no such numerics.
        OSError: the file cannot be read.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | bytearray | memoryview | BModel,
        engine: Engine = "jit",
        check: bool = False,
        *,
        ddr_bytes: int = DEFAULT_DDR_BYTES,
        threads: int | None = None,
        numerics: Numerics = "exact",
    ) -> None:
        self.model = (source if isinstance(source, BModel) else load(source)).model
        self.chip = self.model.chip
        self._engine: Engine = engine
        self._check = check
        self._ddr_bytes = ddr_bytes
        self._threads = threads
        self.numerics: Numerics = checked_numerics(numerics)
        self._lock = Lock()
        self._device: _Device | None = None
        self._programs: dict[tuple[str, int], DynamicProgram] = {}
        self.trace: Trace | None = None
        nets: dict[str, Network] = {}
        for net in self.model.net:
            if net.name in nets:
                raise NetworkNameError(f"two nets have the name {net.name!r}")
            nets[net.name] = Network(net, partial(self._launch, net), partial(self._program, net))
        self.nets: Mapping[str, Network] = MappingProxyType(nets)

    def __getitem__(self, name: str) -> Network:
        """The net of that name.

        Raises:
            NetworkNameError: there is none.
        """
        if name not in self.nets:
            raise NetworkNameError(f"there is no net {name!r}", help=f"the file has {', '.join(self.nets) or 'none'}")
        return self.nets[name]

    def __repr__(self) -> str:
        return f"<Runtime {self.chip}: {', '.join(self.nets) or 'no nets'}{', fast numerics' if self.numerics == 'fast' else ''}>"

    @contextmanager
    def record(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        keep: Keep = "results",
        engines: Collection[str] | None = None,
        units: Collection[str] | None = None,
        commands: range | None = None,
        max_bytes: int = DEFAULT_BYTES,
    ) -> Generator[Recording]:
        """Records every command of the launches in the context: what it read and wrote (see `bmlang.runtime.recording`).

            with runtime.record("run.npz") as recording:
                runtime["net"](x=array)

        Args:
            path: the file, which is there when the context ends, also when an error ended it; without it, the recording is in memory.
            keep: of what the elements are kept, beside their digests: "digests" (of nothing), "results", or "all" (also of inputs).
            engines, units, commands: which commands are recorded (see `Selection`); all by default.
            max_bytes: bytes of elements at most; what comes later has digests only, and the recording says of how many values.

        Raises:
            RecordingStateError: the runtime has a trace already.
            RecordingOptionError: the arguments make no sense.
            OSError: the file cannot be written.
        """
        if self.trace is not None:
            raise RecordingStateError("the runtime is being recorded or traced already", help="end the other recording first")
        with recording_to(path, self.chip, Selection(keep, engines, units, commands, max_bytes)) as recorder:
            self.trace = recorder
            try:
                yield recorder.recording
            except BaseException as error:
                recorder.recording.error = f"{type(error).__name__}: {error}"
                raise
            finally:
                self.trace = None

    def _launch(self, net: Net, number: int, inputs: Sequence[Array]) -> list[Array]:
        """Run a stage with inputs that were checked.

        Raises:
            RunChipError: the model is for another chip.
            TpuError: the stage cannot be run (see `Stage`), or a command fails (see `Machine.run`).
        """
        with self._lock:
            if self._device is None:
                self._device = _Device(self._runnable_chip(), self.model.net, self._ddr_bytes, self._threads, self.numerics)
            program = self._program(net, number)
            return self._device.run(net, number, program, inputs, engine=self._engine, check=self._check, trace=self.trace)

    def _program(self, net: Net, number: int) -> DynamicProgram | None:
        """What a dynamic stage makes its commands of; None for a static stage, or one of another compiler.

        Raises:
            DynamicCodeError, GraphError, KernelError: what the file has for it is damaged.
        """
        if not is_dynamic_code(net.stages[number]):
            return None
        if (net.name, number) not in self._programs:
            from bmlang.compiler.dynamic import DynamicProgram  # the compiler takes its time

            self._programs[net.name, number] = DynamicProgram.read(net.stages[number])
        return self._programs[net.name, number]

    def _runnable_chip(self) -> Chip:
        if self.chip not in RUNNABLE:
            raise RunChipError(
                f"the model is for {self.chip}, whose commands cannot be executed here",
                help=f"compile it for {', '.join(RUNNABLE)}; tpu_model shows what is in the file",
            )
        return CHIPS[self.chip]


class _Device:
    """One simulated chip with the stages that are ready."""

    def __init__(self, chip: Chip, nets: Sequence[Net], ddr_bytes: int, threads: int | None, numerics: Numerics) -> None:
        self._chip = chip
        memory, coefficients = DeviceMemory(chip, ddr_bytes), dict[bytes, int]()
        self._machine = Machine(chip, threads, ddr_bytes=ddr_bytes, numerics=numerics)
        self._places = {net.name: Places(memory, self._machine, coefficients) for net in nets}
        self._memory = memory
        self._stages: dict[tuple[str, int], Stage | DynamicStage] = {}

    def run(
        self,
        net: Net,
        number: int,
        program: DynamicProgram | None,
        inputs: Sequence[Array],
        *,
        engine: Engine,
        check: bool,
        trace: Trace | None,
    ) -> list[Array]:
        stage = self._stages.get((net.name, number))
        if stage is None:
            if program is None:
                stage = Stage(self._chip, net, number, self._places[net.name])
            else:
                stage = DynamicStage(self._chip, net, number, program, self._memory, self._machine)
            self._stages[net.name, number] = stage
        return stage.run(self._machine, inputs, engine=engine, check=check, trace=trace)
