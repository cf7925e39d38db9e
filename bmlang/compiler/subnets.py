"""A program and the operators of the host between its commands: which tensors each part takes and gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bmlang.graph.graph import Graph, Node
from bmlang.layers.base import HostCall

__all__ = ["HostPart", "Segment", "TpuPart", "parts_of"]


@dataclass(frozen=True)
class TpuPart:
    """Command groups that run one after the other.

    Attributes:
        groups: their numbers in the program.
        inputs, outputs: names of tensors that come from other parts or the caller, and that go there.
    """

    groups: range
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class HostPart:
    """An operator of the host.

    Attributes:
        node: whose operator it is.
        call: the operator.
    """

    node: Node
    call: HostCall

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that it takes, constants among them."""
        return tuple(name for name in self.node.inputs if name)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the tensors that it makes."""
        return self.node.outputs


@dataclass
class Segment:
    """A part while it is written.

    Attributes:
        nodes: what is computed in it.
        kernels: numbers of the kernels that do so.
        call: of a part on the host.
    """

    nodes: list[Node] = field(default_factory=list[Node])
    kernels: list[int] = field(default_factory=list[int])
    call: HostCall | None = None


def parts_of(
    graph: Graph, segments: Sequence[Segment], owners: Mapping[str, str], begins: Sequence[int], groups: int
) -> tuple[TpuPart | HostPart, ...]:
    """The parts with what goes from one to the other.

    A runtime knows tensors by their names. The host takes each under its own; the TPU under that of the tensor which it is in memory.

    Args:
        graph: the graph.
        segments: the parts in order.
        owners: tensors that lie inside of another one, or are that one seen with another shape.
        begins: for each kernel the group in which it begins.
        groups: how many groups the program has.
    """
    made_in = {name: number for number, segment in enumerate(segments) for node in segment.nodes for name in node.outputs}
    inputs: list[dict[str, None]] = [{} for _ in segments]
    outputs: list[dict[str, None]] = [{} for _ in segments]
    for number, segment in enumerate(segments):
        for name in _taken(segment, owners):
            maker = made_in.get(owners.get(name, name))
            if maker != number and name not in graph.constants:
                inputs[number][name] = None
                if maker is not None:
                    outputs[maker][name] = None
    for name in graph.outputs:
        maker = made_in.get(owners.get(name, name))
        if maker is not None:
            outputs[maker][name] = None
    starts = [begins[segment.kernels[0]] if segment.kernels else -1 for segment in segments]
    ends = [*(start for start in starts[1:] if start >= 0), groups]
    parts: list[TpuPart | HostPart] = []
    for number, segment in enumerate(segments):
        if segment.call is not None:
            parts.append(HostPart(segment.nodes[0], segment.call))
        else:
            end = min(end for end in ends if end > starts[number])
            parts.append(TpuPart(range(starts[number], end), tuple(inputs[number]), tuple(outputs[number])))
    return tuple(parts)


def _taken(segment: Segment, owners: Mapping[str, str]) -> Iterable[str]:
    for node in segment.nodes:
        for name in node.inputs:
            if name:
                yield name if segment.call is not None else owners.get(name, name)
