"""Layers that are made of other layers give way to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bmlang.graph.graph import Array, Graph, Node, unused_name
from bmlang.layers.base import Layer
from bmlang.layers.registry import layer_of
from tpukernel.lang.expr import Expr
from tpukernel.lang.signature import TensorSpec

__all__ = ["expand"]


def expand(graph: Graph, expands: Callable[[Layer], bool] = lambda _: True) -> Graph:
    """The graph in which no node is left that is a graph of its own. (None can hold itself: it would never have been traced.)

    Args:
        graph: the graph.
        expands: which layers give way.
    """
    while True:
        expander = _Expander(graph, expands)
        graph = expander.run()
        if not expander.found:
            return graph


class _Expander:
    def __init__(self, graph: Graph, expands: Callable[[Layer], bool]) -> None:
        self._graph, self._expands = graph, expands
        self._nodes: list[Node] = []
        self._specs: dict[str, TensorSpec] = dict(graph.specs)
        self._constants: dict[str, Array] = dict(graph.constants)
        self._node_names = {node.name for node in graph.nodes}
        self._numbers: dict[str, Expr] = dict(graph.variation.numbers) if graph.variation else {}
        self.found = False

    def run(self) -> Graph:
        for node in self._graph.nodes:
            layer = layer_of(node.op)
            inner = layer.expand([self._graph.spec(name) for name in node.inputs], node.attrs) if self._expands(layer) else None
            if inner is None:
                self._nodes.append(node)
            else:
                self.found = True
                self._insert(node, inner)
        found = self._graph.with_nodes(self._nodes, specs=self._specs, constants=self._constants)
        variation = self._graph.variation and replace(self._graph.variation, numbers=self._numbers)
        return replace(found, variation=variation)

    def _insert(self, node: Node, inner: Graph) -> None:
        """The nodes of a graph in the place of one; their tensors get names that begin with its own."""
        names = {"": ""} | dict(zip(inner.inputs, node.inputs, strict=True)) | dict(zip(inner.outputs, node.outputs, strict=True))
        for name, spec in inner.specs.items():
            if name not in names:
                names[name] = unused_name(f"{node.name}_{name}", self._specs)
                self._specs[names[name]] = spec
        self._constants |= {names[name]: value for name, value in inner.constants.items()}
        self._numbers |= {names[name]: expr for name, expr in inner.variation.numbers.items()} if inner.variation else {}
        for each in inner.nodes:
            name = unused_name(f"{node.name}_{each.name}", self._node_names)
            self._node_names.add(name)
            inputs, outputs = (tuple(names[tensor] for tensor in some) for some in (each.inputs, each.outputs))
            self._nodes.append(replace(each, name=name, inputs=inputs, outputs=outputs, position=each.position or node.position))
