"""Which nodes the host computes, what that makes of sizes, and an order in which the sides change as rarely as they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from bmlang.compiler.errors import BoundedShapeError
from bmlang.graph.graph import Graph, Node, unused_name
from bmlang.layers.base import Bounds, HostCall, HostUse
from bmlang.layers.registry import layer_of
from tpukernel.lang.signature import TensorSpec

__all__ = ["bounds_of", "bounds_so_far", "host_calls", "is_bounded", "on_host", "parted", "use_of"]


def use_of(specs: Mapping[str, TensorSpec], node: Node, bounds: Mapping[str, Bounds]) -> HostUse:
    """What a layer is told about a node."""
    inputs = tuple(specs[name] if name else None for name in node.inputs)
    outputs = tuple(specs[name] for name in node.outputs)
    return HostUse(inputs, outputs, node.attrs, tuple(bounds.get(name, ()) for name in node.inputs))


def bounds_so_far(graph: Graph) -> tuple[Mapping[str, Bounds], Node | None]:
    """The dimensions of tensors whose sizes depend on data, up to the first node that cannot take such a tensor; and that node.

    Tensors that are not named have no such dimensions. (Behind the first such node sizes have to be known, before it can be computed.)
    """
    found: dict[str, Bounds] = {}
    for node in graph.nodes:
        made = layer_of(node.op).bounded(use_of(graph.specs, node, found))
        if made is None:
            return found, node
        found.update((name, each) for name, each in zip(node.outputs, made, strict=True) if each)
    return found, None


def bounds_of(graph: Graph) -> Mapping[str, Bounds]:
    """The dimensions of tensors whose sizes depend on data; tensors that are not named have none.

    Raises:
        BoundedShapeError: a node cannot take such a tensor, as the TPU's commands are made for one shape.
    """
    found, node = bounds_so_far(graph)
    if node is None:
        return found
    name = next(name for name in node.inputs if found.get(name))
    axes = ", ".join(map(str, found[name]))
    raise BoundedShapeError(
        f"{node.op} takes {name}, of which the size of dimension {axes} depends on data",
        position=node.position,
        help=f"put bm.fill_up between: it has all {graph.specs[name].shape[found[name][0]]} elements that there can be",
    )


def on_host(graph: Graph, node: Node) -> bool:
    """Whether the host computes a node."""
    return layer_of(node.op).host(use_of(graph.specs, node, {})) is not None


def is_bounded(specs: Mapping[str, TensorSpec], node: Node) -> bool:
    """Whether sizes of results of a node depend on data even if those of its inputs do not."""
    return any(layer_of(node.op).bounded(use_of(specs, node, {})) or ())


def host_calls(graph: Graph, bounds: Mapping[str, Bounds]) -> Mapping[str, HostCall]:
    """The operator of the host for each node that has one, by name of the node."""
    found = {node.name: layer_of(node.op).host(use_of(graph.specs, node, bounds)) for node in graph.nodes}
    return {name: call for name, call in found.items() if call is not None}


def parted(graph: Graph) -> Graph:
    """The graph in an order with the fewest changes between TPU and host; what goes from one side to the other is a tensor of its own.

    Raises:
        BoundedShapeError: see `bounds_of`.
    """
    calls = host_calls(graph, bounds_of(graph))
    if not calls:
        return graph
    graph = _with_own_tensors(graph, calls)
    sides = _sides(graph, calls)
    orders = [_ordered(graph, sides, start) for start in (False, True)]
    return graph.with_nodes(min(orders, key=lambda order: sum(sides[a.name] != sides[b.name] for a, b in pairwise(order))))


def _with_own_tensors(graph: Graph, calls: Mapping[str, HostCall]) -> Graph:
    """A runtime knows what goes from one subnet to the next by its name. An input of the net, a constant or a result of the host that is
    seen with another shape, and then goes to the host or out of the net, becomes a copy, which the TPU makes."""
    wanted = {name for node in graph.nodes if node.name in calls for name in node.inputs} | set(graph.outputs)
    aliases = {node.outputs[0]: node for node in graph.nodes if layer_of(node.op).alias}
    for node in reversed(graph.nodes):
        if node.outputs[0] in aliases and node.outputs[0] in wanted:
            wanted.add(node.inputs[0])
    makers = graph.makers()
    nodes, specs = list[Node](), dict(graph.specs)
    names = {node.name for node in graph.nodes}
    for node in graph.nodes:
        if node.outputs[0] in aliases and node.outputs[0] in wanted:
            source = node.inputs[0]
            maker = makers.get(source)
            if maker is None or maker.name in calls:
                name, copy = unused_name(f"{node.name}_copy", names), unused_name(f"{source}_copy", specs)
                names.add(name)
                specs[copy] = specs[source]
                nodes.append(Node(name, "bm::copy", (source,), (copy,), {}, node.position))
                node = replace(node, inputs=(copy,))
        nodes.append(node)
    return graph.with_nodes(nodes, specs=specs)


def _sides(graph: Graph, calls: Mapping[str, HostCall]) -> Mapping[str, bool]:
    """By node whether it belongs to the host; what is another tensor seen with another shape belongs to where that is made."""
    found: dict[str, bool] = {}
    makers = graph.makers()
    for node in graph.nodes:
        maker = makers.get(node.inputs[0]) if layer_of(node.op).alias else None
        found[node.name] = node.name in calls if maker is None else found[maker.name]
    return found


def _ordered(graph: Graph, sides: Mapping[str, bool], start: bool) -> Sequence[Node]:
    """The nodes, all of one side as long as one of them can be computed, then all of the other, beginning with one side.

    No order has fewer changes for this beginning: by induction, whatever another order has computed before its k-th change, this has, too.
    """
    known = {*graph.inputs, *graph.constants, ""}
    left, order, side = list(graph.nodes), list[Node](), start
    while left:
        waiting: list[Node] = []
        for node in left:
            if sides[node.name] == side and known.issuperset(node.inputs):
                order.append(node)
                known.update(node.outputs)
            else:
                waiting.append(node)
        left, side = waiting, not side
    return order
