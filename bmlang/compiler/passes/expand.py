"""Layers that are made of other layers give way to them."""

from __future__ import annotations

from dataclasses import replace

from bmlang.graph.graph import Array, Graph, Node, unused_name
from bmlang.layers.registry import layer_of
from tpukernel.lang.signature import TensorSpec

__all__ = ["expand"]


def expand(graph: Graph) -> Graph:
    """The graph in which no node is left that is a graph of its own. (None can hold itself: it would never have been traced.)"""
    while True:
        expander = _Expander(graph)
        graph = expander.run()
        if not expander.found:
            return graph


class _Expander:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: list[Node] = []
        self._specs: dict[str, TensorSpec] = dict(graph.specs)
        self._constants: dict[str, Array] = dict(graph.constants)
        self._node_names = {node.name for node in graph.nodes}
        self.found = False

    def run(self) -> Graph:
        for node in self._graph.nodes:
            inner = layer_of(node.op).expand([self._graph.spec(name) for name in node.inputs], node.attrs)
            if inner is None:
                self._nodes.append(node)
            else:
                self.found = True
                self._insert(node, inner)
        return self._graph.with_nodes(self._nodes, specs=self._specs, constants=self._constants)

    def _insert(self, node: Node, inner: Graph) -> None:
        """The nodes of a graph in the place of one; their tensors get names that begin with its own."""
        names = {"": ""} | dict(zip(inner.inputs, node.inputs, strict=True)) | dict(zip(inner.outputs, node.outputs, strict=True))
        for name, spec in inner.specs.items():
            if name not in names:
                names[name] = unused_name(f"{node.name}_{name}", self._specs)
                self._specs[names[name]] = spec
        self._constants |= {names[name]: value for name, value in inner.constants.items()}
        for each in inner.nodes:
            name = unused_name(f"{node.name}_{each.name}", self._node_names)
            self._node_names.add(name)
            inputs, outputs = (tuple(names[tensor] for tensor in some) for some in (each.inputs, each.outputs))
            self._nodes.append(replace(each, name=name, inputs=inputs, outputs=outputs, position=each.position or node.position))
