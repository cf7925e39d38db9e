"""What a launch does, told step by step to whoever wants to see it: a function for `Runtime.trace`.

An event does not say what executed the command, so that every execution engine tells the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bmlang.bmodel.nodes import NodeMap
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Operand, SystemTensor
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.listing import line
from tpukernel.sim.machine import Step
from tpukernel.sim.memory import Array, Memory

__all__ = ["ENGINES", "INPUTS", "Event", "Place", "StageEvents", "Trace"]

ENGINES: Final = ("net", "tiu", "gdma", "host")
"""Who did something: `tiu` and `gdma` a command, `host` an operator of a CPU subnet; `net` stands for tensors that go in and out."""
INPUTS: Final = "inputs"
"""Title of the event that begins a launch."""


@dataclass(frozen=True)
class Place:
    """Where elements lie in the DDR: byte offset of the first one, and bytes from one to the next along each dimension."""

    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Event:
    """One thing that a launch did.

    Attributes:
        net, stage: which stage is running.
        subnet, group: which subnet and command group of it; None for inputs and outputs of the stage.
        engine: one of `ENGINES`.
        number: the number of the command; of `host` 0; of `net` it counts from 0 (the inputs) up.
        title: what it is: `arith.add`, `host.17`; of `net` `inputs`, `subnet` (the outputs of a subnet) or `outputs`.
        text: the command as a line of the listing, with the addresses of the file; of `net` `inputs` or `outputs`.
        inputs, results: the elements of what was read and written, by the name of the operand or tensor.
        places: where results lie in the DDR, of those that do.
        node: the operator that the command belongs to, and the user's line; empty where the file does not tell.
    """

    net: str
    stage: int
    subnet: int | None
    group: int | None
    engine: str
    number: int
    title: str
    text: str
    inputs: Mapping[str, Array] = field(default_factory=dict[str, Array])
    results: Mapping[str, Array] = field(default_factory=dict[str, Array])
    places: Mapping[str, Place] = field(default_factory=dict[str, Place])
    node: str = ""


Trace = Callable[[Event], None]
"""Sees every event of every launch, after it happened."""


class StageEvents:
    """Makes the events of one launch of a stage, and hands them on."""

    def __init__(self, chip: Chip, net: str, stage: int, trace: Trace, nodes: NodeMap | None = None) -> None:
        self._chip, self._net, self._stage, self._trace, self._nodes = chip, net, stage, trace, nodes
        self._tensor_events = 0

    def tensors(self, title: str, subnet: int | None, arrays: Mapping[str, Array], places: Mapping[str, Place]) -> None:
        """Tensors of the net at a point of the launch."""
        text = title if subnet is None else "outputs"
        number, self._tensor_events = self._tensor_events, self._tensor_events + 1
        self._trace(Event(self._net, self._stage, subnet, None, "net", number, title, text, results=arrays, places=places))

    def host(self, subnet: int, operator: int, inputs: Mapping[str, Array], results: Mapping[str, Array]) -> None:
        """A host operator ran."""
        node = self._nodes.hosted_node(subnet) if self._nodes else None
        title, both = f"host.{operator}", (results, inputs)
        shown = (f"{name} {array.dtype}{[*array.shape]}" for arrays in both for name, array in arrays.items())
        text = f"{title} {', '.join(shown)}"
        named = "" if node is None else str(node)
        self._trace(Event(self._net, self._stage, subnet, None, "host", 0, title, text, inputs, results, node=named))

    def command(self, subnet: int, group: int, before: int, gdma: Sequence[Instruction], memory: Memory, step: Step) -> None:
        """A command ran; `before`: groups of earlier subnets; `gdma`: the GDMA commands of the group with the addresses of the file."""
        listed = gdma[step.instruction.id - 1] if step.instruction.engine == "gdma" else step.instruction
        places = {use.name: _place(use.value, memory) for use in step.instruction.operands() if use.name in step.outputs}
        found = {name: place for name, place in places.items() if place}
        where = (self._net, self._stage, subnet, group, listed.engine, listed.id)
        node = self._nodes.node_of(before + group, listed.engine, listed.id) if self._nodes else None
        text = line(listed, self._chip)
        self._trace(Event(*where, listed.title, text, step.inputs, step.outputs, found, "" if node is None else str(node)))


def _place(operand: Operand, memory: Memory) -> Place | None:
    if not isinstance(operand, SystemTensor):
        return None
    space, placement = memory.place(operand)
    return Place(placement.base, tuple(axis.outer for axis in placement.axes)) if space == "ddr" else None
