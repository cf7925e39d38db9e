"""Layers that the TPU does only in several steps become other layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bmlang.compiler.sides import is_bounded, use_of
from bmlang.graph.graph import Attribute, Graph, Node, unused_name
from bmlang.layers.base import Bounds
from bmlang.layers.reference import evaluated
from bmlang.layers.registry import layer_of
from bmlang.layers.tensor import Tensor, Tracer
from tpukernel.lang.signature import TensorSpec
from tpukernel.source import pinned

__all__ = ["decompose"]


def decompose(graph: Graph) -> Graph:
    """The graph without nodes whose layers have an `decompose` for them; what they become stands at the user's line, too."""
    made = _Decomposition(graph.name, list(graph.inputs), dict(graph.specs), dict(graph.constants), [], {node.name for node in graph.nodes})
    for node in graph.nodes:
        made.put(node)
    return graph.with_nodes(made.nodes, specs=made.specs, constants=made.constants)


@dataclass
class _Decomposition(Tracer):
    """A graph in the making, to which layers add what they become.

    Attributes:
        cause: the node that is being decomposed.
        bounds: dimensions whose sizes depend on data. What takes such tensors stays as it is: only the host can.
    """

    cause: Node | None = None
    bounds: dict[str, Bounds] = field(default_factory=dict[str, Bounds])

    def put(self, node: Node) -> None:
        """Add a node, or what it becomes; the value of its result where its inputs are known, so that other layers see a constant."""
        if any(node.inputs) and all(name in self.constants for name in node.inputs if name) and not is_bounded(self.specs, node):
            inputs = [self.constants.get(name) for name in node.inputs]
            self.constants.update(zip(node.outputs, evaluated(node, inputs, [self.specs[name] for name in node.outputs]), strict=True))
            return
        first, self.cause = len(self.nodes), node
        with pinned(node.position):
            made = self._made(node)
            if made is None:
                self._keep(node)
                return
            names: dict[str, str] = {}
            for tensor, output in zip(made, node.outputs, strict=True):
                if tensor.name in names or all(tensor.name not in new.outputs for new in self.nodes[first:]):
                    (tensor,) = self.node("bm::copy", [tensor.name], [tensor.spec], {})
                names[tensor.name] = output
        new = self.nodes[first:]
        del self.nodes[first:]
        for each in new:
            inputs, outputs = (tuple(names.get(name, name) for name in several) for several in (each.inputs, each.outputs))
            self.put(replace(each, inputs=inputs, outputs=outputs))

    def _made(self, node: Node) -> Sequence[Tensor] | None:
        """What a node becomes."""
        if any(self.bounds.get(name) for name in node.inputs):
            return None
        made = layer_of(node.op).decompose([Tensor(self, name) if name else None for name in node.inputs], node.attrs)
        return [made] if isinstance(made, Tensor) else made

    def _keep(self, node: Node) -> None:
        self.nodes.append(node)
        bounds = layer_of(node.op).bounded(use_of(self.specs, node, self.bounds)) or ()
        self.bounds.update((name, each) for name, each in zip(node.outputs, bounds, strict=False) if each)

    def node(self, op: str, inputs: Sequence[str], specs: Sequence[TensorSpec], attrs: Mapping[str, Attribute]) -> list[Tensor]:
        """Add a node in the name of the one that is being decomposed."""
        assert self.cause is not None  # noqa: S101
        name = unused_name(f"{self.cause.name}_{op.rpartition('::')[2]}", self.node_names)
        self.node_names.add(name)
        outputs: list[str] = []
        for spec in specs:
            outputs.append(unused_name(name, self.specs))
            self.specs[outputs[-1]] = spec
        self.nodes.append(Node(name, op, tuple(inputs), tuple(outputs), dict(attrs), self.cause.position))
        return [Tensor(self, output) for output in outputs]
