"""Nodes whose inputs are all known are computed when the model is compiled, in numpy."""

from __future__ import annotations

from bmlang.graph.graph import Array, Graph, Node
from bmlang.layers.reference import evaluated

__all__ = ["fold_constants"]


def fold_constants(graph: Graph) -> Graph:
    """The graph with the results of such nodes as constants."""
    constants: dict[str, Array] = dict(graph.constants)
    kept: list[Node] = []
    for node in graph.nodes:
        if all(name in constants for name in node.inputs if name) and any(node.inputs):
            values = evaluated(node, [constants.get(name) for name in node.inputs], [graph.specs[name] for name in node.outputs])
            constants.update(zip(node.outputs, values, strict=True))
        else:
            kept.append(node)
    return graph.with_nodes(kept, constants=constants)
