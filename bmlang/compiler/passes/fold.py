"""Nodes whose inputs are all known are computed when the model is compiled, in numpy."""

from __future__ import annotations

from bmlang.compiler.sides import is_bounded
from bmlang.graph.graph import Array, Graph, Node
from bmlang.layers.reference import evaluated

__all__ = ["fold_constants"]


def fold_constants(graph: Graph) -> Graph:
    """The graph with the results of such nodes as constants. (Not those whose sizes depend on data: what follows expects the largest.)"""
    constants: dict[str, Array] = dict(graph.constants)
    kept: list[Node] = []
    for node in graph.nodes:
        known = any(node.inputs) and all(name in constants for name in node.inputs if name)
        if known and not is_bounded(graph.specs, node):
            values = evaluated(node, [constants.get(name) for name in node.inputs], [graph.specs[name] for name in node.outputs])
            constants.update(zip(node.outputs, values, strict=True))
        else:
            kept.append(node)
    return graph.with_nodes(kept, constants=constants)
