"""Parts of a graph between which a size becomes known: what finds elements, and what then works on as many as were found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from bmlang.graph.dims import Dim, Variation, expr_of
from bmlang.graph.graph import Attribute, Graph, Node
from tpukernel.lang.expr import Var, variables
from tpukernel.lang.signature import TensorSpec

__all__ = ["found_sizes", "segments"]


def found_sizes(graph: Graph) -> Mapping[str, tuple[str, int]]:
    """The sizes that depend on the data: by variable the tensor and its dimension that tell it."""
    known = {name for tensor in graph.inputs for name in _names(graph.specs[tensor].shape)}
    found: dict[str, tuple[str, int]] = {}
    for node in graph.nodes:
        for tensor in node.outputs:
            for axis, size in enumerate(graph.specs[tensor].shape):
                expr = expr_of(size)
                if isinstance(expr, Var) and expr.name not in known:
                    known.add(expr.name)
                    found[expr.name] = (tensor, axis)
    return found


def segments(graph: Graph) -> tuple[Graph, ...]:
    """The graph in parts that run one after the other: each is made for sizes that are known before it runs. Mostly there is one.

    Inputs and outputs of a part are tensors of the whole graph, by their names.
    """
    makers, tellers = graph.makers(), found_sizes(graph)
    levels: dict[str, int] = {}
    for node in graph.nodes:
        own = {name for name, (tensor, _) in tellers.items() if tensor in node.outputs}
        before = [levels[makers[name].name] for name in node.inputs if name in makers]
        awaited = {name for name in _used(graph, node) if name in tellers} - own
        levels[node.name] = max([0, *before, *(levels[makers[tellers[name][0]].name] + 1 for name in awaited)])
    last = max(levels.values(), default=0)
    return tuple(_part(graph, [node for node in graph.nodes if levels[node.name] == level], level, last) for level in range(last + 1))


def _used(graph: Graph, node: Node) -> Iterator[str]:
    """The variables that a node needs to know."""
    numbers: Mapping[str, object] = graph.variation.numbers if graph.variation else {}
    for name in (*node.inputs, *node.outputs):
        if name:
            yield from _names(graph.specs[name].shape)
        if name in numbers and graph.variation:
            yield from variables(graph.variation.numbers[name])
    yield from _names(tuple(node.attrs.values()))


def _names(value: Attribute | Sequence[int]) -> Iterator[str]:
    if isinstance(value, Dim):
        yield from variables(value.expr)
    elif isinstance(value, tuple):
        for each in cast("tuple[Attribute, ...]", value):
            yield from _names(each)


def _part(graph: Graph, nodes: Sequence[Node], level: int, last: int) -> Graph:
    if last == 0:
        return graph
    made = {name for node in nodes for name in node.outputs}
    taken = {name for node in nodes for name in node.inputs if name}
    later = {name for node in graph.nodes if node not in nodes for name in node.inputs} | set(graph.outputs)
    inputs = tuple(name for name in graph.specs if name in taken - made - graph.constants.keys())
    specs: dict[str, TensorSpec] = {name: spec for name, spec in graph.specs.items() if name in made | taken}
    constants = {name: value for name, value in graph.constants.items() if name in taken}
    variation = graph.variation or Variation({})
    return replace(
        graph,
        name=f"{graph.name}_{level}",
        inputs=inputs,
        outputs=tuple(name for name in specs if name in made & later),
        specs=specs,
        constants=constants,
        nodes=tuple(nodes),
        variation=variation.kept(constants),
    )
