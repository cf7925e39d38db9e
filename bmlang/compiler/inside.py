"""Which tensors lie inside of others in system memory, so that joining and cutting needs no copy.

What a concat joins is written to its place in the result by whoever makes it, and a slice is read where it lies, if the elements follow
each other there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bmlang.graph.graph import Graph
from bmlang.layers.base import Call
from bmlang.layers.registry import layer_of

__all__ = ["Inside", "inside_of"]


@dataclass(frozen=True)
class Inside:
    """Tensors that are parts of others.

    Attributes:
        cut: nodes whose result lies inside of their first input: its first element, by name of the node.
        joined: nodes whose inputs lie inside of their result: their first elements, by name of the node and number of the input.
    """

    cut: Mapping[str, int]
    joined: Mapping[str, Mapping[int, int]]


def inside_of(graph: Graph, calls: Mapping[str, Call], hosted: Collection[str]) -> Inside:
    """What can lie inside of something else.

    Args:
        graph: the graph, in the order in which it is computed.
        calls: by node.
        hosted: nodes that the host computes.
    """
    exposed = _exposed(graph, hosted)
    owners: dict[str, str] = {}
    free: dict[str, int] = {}  # results of the TPU that may still get a place of their own, with the part in which they are made
    cut: dict[str, int] = {}
    joined: dict[str, Mapping[int, int]] = {}
    part = 0
    for node in graph.nodes:
        if node.name in hosted:
            part += 1
            continue
        layer = layer_of(node.op)
        if layer.alias:
            owners[node.outputs[0]] = owners.get(node.inputs[0], node.inputs[0])
            continue
        start = layer.lies_at(calls[node.name])
        if start is not None and node.inputs[0] not in graph.constants and node.outputs[0] not in exposed:
            cut[node.name] = start
            continue
        found: dict[int, int] = {}
        for index, place in enumerate(layer.joined(calls[node.name]) or ()):
            owner = owners.get(node.inputs[index], node.inputs[index])
            if free.get(owner) == part:
                found[index] = place
                del free[owner]
        if found:
            joined[node.name] = found
        free.update((name, part) for name in node.outputs if name not in exposed)
    return Inside(cut, joined)


def _exposed(graph: Graph, hosted: Collection[str]) -> Collection[str]:
    """Tensors that are known outside of the program by their names: those of the caller and of the host, however they are seen there."""
    found = {*graph.outputs, *(name for node in graph.nodes if node.name in hosted for name in node.inputs)}
    for node in reversed(graph.nodes):
        if node.outputs[0] in found and layer_of(node.op).alias:
            found.add(node.inputs[0])
    return found
