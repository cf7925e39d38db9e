"""The names of a function's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bmlang.graph.graph import Graph, Node, unused_name
from bmlang.layers.tensor import here

__all__ = ["with_output_names"]


def with_output_names(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph whose outputs have these names, none of which is that of an input.

    An output that is an input, a constant or another output becomes a copy of it: each output has memory of its own.
    """
    graph = _with_own_outputs(graph)
    renames = dict(zip(graph.outputs, names, strict=True))
    taken = set(graph.specs) | set(names)
    for other in set(names) & graph.specs.keys() - renames.keys():
        renames[other] = unused_name(f"{other}_inner", taken)
        taken.add(renames[other])
    return replace(
        graph,
        outputs=tuple(names),
        specs={renames.get(name, name): spec for name, spec in graph.specs.items()},
        constants={renames.get(name, name): value for name, value in graph.constants.items()},
        variation=graph.variation and graph.variation.renamed(renames),
        nodes=tuple(_renamed(node, renames) for node in graph.nodes),
    )


def _with_own_outputs(graph: Graph) -> Graph:
    nodes, specs, outputs = list(graph.nodes), dict(graph.specs), list[str]()
    names = {node.name for node in nodes}
    for source in graph.outputs:
        if source in graph.inputs or source in graph.constants or source in outputs:
            name, copy = unused_name("copy", names), unused_name(f"{source}_copy", specs)
            names.add(name)
            nodes.append(Node(name, "bm::copy", (source,), (copy,), {}, here()))
            specs[copy] = specs[source]
            source = copy
        outputs.append(source)
    return replace(graph, nodes=tuple(nodes), specs=specs, outputs=tuple(outputs))


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    return replace(
        node, inputs=tuple(names.get(each, each) for each in node.inputs), outputs=tuple(names.get(each, each) for each in node.outputs)
    )
