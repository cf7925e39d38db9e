"""Outputs that were found to be known when the model is compiled."""

from __future__ import annotations

from dataclasses import replace

from bmlang.graph.graph import Graph, Node, unused_name

__all__ = ["known_outputs"]


def known_outputs(graph: Graph) -> Graph:
    """The graph in which such outputs are copies of constants: an output has memory of its own, into which something has to be written."""
    known = [name for name in graph.outputs if name in graph.constants]
    if not known:
        return graph
    constants, specs = dict(graph.constants), dict(graph.specs)
    names = {node.name for node in graph.nodes}
    renames: dict[str, str] = {}
    copies: list[Node] = []
    for output in known:
        inner, node = unused_name(f"{output}_known", specs), unused_name(f"{output}_copy", names)
        renames[output] = inner
        names.add(node)
        specs[inner], constants[inner] = specs[output], constants.pop(output)
        copies.append(Node(node, "bm::copy", (inner,), (output,)))
    return replace(graph, specs=specs, constants=constants, nodes=(*graph.renamed(renames).nodes, *copies))
