"""Dynamic stages of this package: programs are made when the shapes are known, and kept for the next time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bmlang.bmodel.schema import Net
from bmlang.runtime.addresses import DeviceMemory, Lease
from bmlang.runtime.errors import DeviceMemoryError, EmptyTensorError
from bmlang.runtime.events import Trace
from bmlang.runtime.stage import Engine, Places, Stage
from tpukernel.chips.chip import Chip
from tpukernel.sim.machine import Machine
from tpukernel.sim.memory import Array

if TYPE_CHECKING:
    from bmlang.compiler.dynamic import DynamicProgram

__all__ = ["KEPT", "DynamicStage"]

KEPT: Final = 32
"""Programs that a stage keeps: one for each part and each set of shapes."""


@dataclass(frozen=True)
class _Made:
    """A program in device memory."""

    stage: Stage
    lease: Lease


class DynamicStage:
    """A stage that makes its programs when it runs.

    Args:
        chip: the chip of the model.
        net, number: which stage.
        program: what it executes.
        memory, machine: device memory, and the chip that it belongs to.
    """

    def __init__(self, chip: Chip, net: Net, number: int, program: DynamicProgram, memory: DeviceMemory, machine: Machine) -> None:
        self._chip, self._net, self._number = chip, net, number
        self._program, self._memory, self._machine = program, memory, machine
        self._made: dict[object, _Made] = {}

    def run(self, machine: Machine, inputs: Sequence[Array], *, engine: Engine, check: bool, trace: Trace | None = None) -> list[Array]:
        """Run the stage: arrays of its inputs, in order, give those of its outputs. `trace` sees every step.

        Raises:
            GraphSizeError: the function was not made for these sizes.
            EmptyTensorError: nothing was found, but commands need an element.
            GraphError, TpuError: it cannot be compiled for these shapes.
            DeviceMemoryError: it does not fit into the device memory.
        """
        from bmlang.compiler.concrete import check_guards, sizes_of

        graph, program = self._program.graph, self._program
        values: dict[str, Array] = dict(zip(graph.inputs, inputs, strict=True))
        sizes = sizes_of(graph, {name: array.shape for name, array in values.items()})
        for part, segment in enumerate(program.segments):
            given = {name: values[name] for name in segment.inputs}
            if empty := [name for name, array in given.items() if not array.size]:
                raise EmptyTensorError(
                    f"{empty[0]} of net {self._net.name!r} has no elements: nothing was found in the data",
                    help="the TPU computes with one element or more",
                )
            stage = self._stage(part, sizes, given)
            results = stage.run(machine, list(given.values()), engine=engine, check=check, trace=trace)
            values.update(zip(segment.outputs, results, strict=True))
            sizes |= {name: values[tensor].shape[axis] for name, (tensor, axis) in program.found.items() if tensor in segment.outputs}
        check_guards(graph, sizes)
        return [values[name] for name in graph.outputs]

    def _stage(self, part: int, sizes: Mapping[str, int], inputs: Mapping[str, Array]) -> Stage:
        """The program of a part for the shapes of its inputs; the one that was not used for the longest time makes room."""
        key = (part, tuple(sizes.items()), tuple(array.shape for array in inputs.values()))
        made = self._made.pop(key, None)
        if made is None:
            made = self._make(part, sizes)
        self._made[key] = made
        return made.stage

    def _make(self, part: int, sizes: Mapping[str, int]) -> _Made:
        while len(self._made) >= KEPT:
            self._drop()
        parameter = self._program.parameter(part, sizes, self._chip)
        net = Net(name=self._net.name, parameter=(parameter,))
        while True:
            lease = Lease(self._memory)
            try:
                with self._program.with_layers():
                    return _Made(Stage(self._chip, net, 0, Places(lease, self._machine, {}), shown=self._number), lease)
            except DeviceMemoryError:
                lease.end()
                if not self._made:
                    raise
                self._drop()

    def _drop(self) -> None:
        oldest = next(iter(self._made))
        self._made.pop(oldest).lease.end()
