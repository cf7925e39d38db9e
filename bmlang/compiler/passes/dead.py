"""Nodes whose results nobody takes are dropped."""

from __future__ import annotations

from bmlang.graph.graph import Graph, Node

__all__ = ["dead_code"]


def dead_code(graph: Graph) -> Graph:
    """The graph without nodes on which no output depends."""
    needed = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if needed & set(node.outputs):
            kept.append(node)
            needed |= set(node.inputs)
    return graph.with_nodes(kept[::-1])
