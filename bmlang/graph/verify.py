"""The verifier of graphs, which runs after every pass."""

from __future__ import annotations

from bmlang.graph.errors import GraphStructureError
from bmlang.graph.graph import Graph

__all__ = ["verify"]


def verify(graph: Graph, after: str = "") -> None:
    """Every tensor has one maker that comes before its users, and a spec; names are unique.

    Args:
        graph: the graph.
        after: what was done with it last, for the message.

    Raises:
        GraphStructureError: otherwise.
    """
    late = f" after {after}" if after else ""
    made: set[str] = set()
    names: set[str] = set()
    for name in (*graph.inputs, *graph.constants):
        _made(graph, name, made, late)
    for node in graph.nodes:
        if node.name in names:
            raise GraphStructureError(f"two nodes of {graph.name} are called {node.name}{late}", position=node.position)
        names.add(node.name)
        for name in node.inputs:
            if name and name not in made:
                raise GraphStructureError(
                    f"{node.name} of {graph.name} takes {name}, which nothing made before{late}", position=node.position
                )
        for name in node.outputs:
            _made(graph, name, made, late)
    for name in graph.outputs:
        if name not in made:
            raise GraphStructureError(f"nothing makes the output {name} of {graph.name}{late}")
    for name, value in graph.constants.items():
        spec = graph.specs[name]
        if value.shape != spec.shape or value.dtype != spec.dtype.numpy:
            raise GraphStructureError(f"constant {name} of {graph.name} is {value.dtype}{value.shape}, not {spec}{late}")


def _made(graph: Graph, name: str, made: set[str], late: str) -> None:
    if name in made:
        raise GraphStructureError(f"tensor {name} of {graph.name} is made twice{late}")
    if name not in graph.specs:
        raise GraphStructureError(f"tensor {name} of {graph.name} has no shape{late}")
    made.add(name)
