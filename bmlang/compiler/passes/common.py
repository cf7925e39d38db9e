"""What is computed twice is computed once."""

from __future__ import annotations

from dataclasses import replace

from bmlang.graph.graph import Graph, Node

__all__ = ["common_subexpressions"]


def common_subexpressions(graph: Graph) -> Graph:
    """The graph with one node for all that do the same with the same tensors."""
    first: dict[object, Node] = {}
    names: dict[str, str] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(names.get(each, each) for each in node.inputs))
        key = (node.op, node.inputs, tuple(node.attrs.items()))
        same = first.get(key)
        if same is None or any(output in graph.outputs for output in node.outputs):
            first.setdefault(key, node)
            kept.append(node)
        else:
            names.update(zip(node.outputs, same.outputs, strict=True))
    return graph.with_nodes(kept)
