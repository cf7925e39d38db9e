"""Reshapes that change no shape are left out: they keep names apart that may be one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bmlang.graph.graph import Graph, Node

__all__ = ["without_idle_reshapes"]


def without_idle_reshapes(graph: Graph) -> Graph:
    """The graph in which what only has another name has one; the names of inputs and outputs stay."""
    makers = graph.makers()
    names: dict[str, str] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        source, result = _name(node.inputs[0], names) if node.inputs else "", node.outputs[0]
        if node.op != "bm::reshape" or graph.specs[source] != graph.specs[result]:
            kept.append(node)
        elif result not in graph.outputs:
            names[result] = source
        elif source in makers and source not in graph.outputs:
            names[source] = result
        else:
            kept.append(node)
    if not names:
        return graph
    return graph.with_nodes([replace(node, inputs=_renamed(node.inputs, names), outputs=_renamed(node.outputs, names)) for node in kept])


def _renamed(given: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_name(each, names) for each in given)


def _name(name: str, names: Mapping[str, str]) -> str:
    while name in names:
        name = names[name]
    return name
