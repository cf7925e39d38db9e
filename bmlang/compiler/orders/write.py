"""A flow as a graph again: every node with its layout, and reshapes and swaps where they are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bmlang.compiler.orders.axes import shape_of
from bmlang.compiler.orders.flow import TURNS, Edge, Flow, Infeasible, chained
from bmlang.compiler.orders.moves import STAY, Move, exchanges
from bmlang.graph.graph import Array, Attribute, Graph, Node, unused_name
from tpukernel.lang.signature import TensorSpec

__all__ = ["written"]

Key = tuple[str, Move, tuple[int, ...]]
"""A root, a move, and the shape in which its result is seen."""


def written(flow: Flow) -> Graph:
    """The graph of a flow. What nobody takes is not in it; tensors that are as they were keep their names."""
    return _Writer(flow).run()


class _Writer:
    def __init__(self, flow: Flow) -> None:
        self._flow, self._graph = flow, flow.graph
        self._specs = dict(self._graph.specs)
        self._constants: dict[str, Array] = dict(self._graph.constants)
        self._node_names = {node.name for node in self._graph.nodes}
        self._nodes: list[Node] = []
        self._named = self._old_names()
        self._made: dict[Key, str] = {}
        self._first: dict[tuple[str, Move], str] = {}
        self._makers = self._graph.makers()

    def _old_names(self) -> dict[Key, str]:
        """What tensors were called that are left; outputs come first, as they need their names."""
        found: dict[Key, str] = {}
        for name in (*self._graph.outputs, *self._graph.specs):
            source = self._flow.source(name)
            if source is None:
                continue
            root, move = source
            try:
                found.setdefault((root, chained(self._flow.stored(root).inverse(), move), self._graph.specs[name].shape), name)
            except Infeasible:
                continue
        return found

    def run(self) -> Graph:
        for name in (*self._graph.inputs, *self._graph.constants):
            self._put((name, STAY, self._specs[name].shape), name)
        for node in self._flow.nodes:
            self._node(node)
        for name, edge in self._outputs():
            found = self._brought(edge, self._flow.whole(edge), edge.shape)
            if found != name:
                self._add(found, name, "bm::reshape", {"shape": edge.shape}, edge)
        return self._graph.with_nodes(self._nodes, specs=self._specs, constants=self._constants)

    def _outputs(self) -> list[tuple[str, Edge]]:
        edges = [edge for edges in self._flow.takers.values() for edge in edges if edge.taker is None]
        return list({self._graph.outputs[edge.index]: edge for edge in sorted(edges, key=lambda edge: edge.index)}.items())

    def _put(self, key: Key, name: str) -> None:
        self._made[key] = name
        self._first.setdefault(key[:2], name)

    def _node(self, node: Node) -> None:
        axes, layout = self._flow.axes(node), self._flow.layouts.get(node.name)
        attrs: dict[str, Attribute] = dict(node.attrs if axes is None or layout is None else axes.attrs(layout))
        inputs: list[str] = []
        for index, edge in enumerate(self._flow.inputs[node.name]):
            if edge is None:
                inputs.append("")
                continue
            whole, shape = self._flow.whole(edge), self._flow.wanted(edge)
            if axes is not None and node.op == "bm::matmul" and index in TURNS:
                left = self._flow.turned(edge, whole)
                attrs[TURNS[index]] = left is not None
                if left is not None:
                    whole, shape = left, (*shape[:-2], shape[-1], shape[-2])
            inputs.append(self._brought(edge, whole, shape))
        outputs = list(node.outputs)
        for place, name in enumerate(node.outputs):
            spec = self._specs[name]
            if axes is not None and layout is not None:
                spec = replace(spec, shape=shape_of(axes, layout, axes.output))
                outputs[place] = self._new(f"{name}_moved", spec)
            self._put((name, STAY, spec.shape), outputs[place])
        self._nodes.append(replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attrs=attrs))

    def _new(self, wanted: str, spec: TensorSpec) -> str:
        name = unused_name(wanted, self._specs)
        self._specs[name] = spec
        return name

    def _brought(self, edge: Edge, move: Move, shape: tuple[int, ...]) -> str:
        """The name of a root, moved and seen in a shape; written down when it is wanted first."""
        key = (edge.root, move, shape)
        if key not in self._made:
            self._put(key, self._known(key) if edge.root in self._constants else self._moved(key, edge))
        return self._made[key]

    def _known(self, key: Key) -> str:
        root, move, shape = key
        spec = replace(self._graph.specs[root], shape=shape)
        name = self._named[key] if key in self._named else self._new(f"{root}_moved", spec)
        self._constants[name] = move.of_array(self._constants[root]).reshape(shape)
        return name

    def _moved(self, key: Key, edge: Edge) -> str:
        root, move, shape = key
        source = self._first.get((root, move))
        spec = replace(self._graph.specs[root], shape=shape)
        if source is None:
            source = self._first[root, STAY]
            *before, last = exchanges(move, self._flow.itemsize(root))[1]
            for outer, a, b, inner in before:
                between = self._new(f"{root}_swap", replace(spec, shape=(outer, b, a, inner)))
                self._add(source, between, "bm::swap", {"sizes": (outer, a, b, inner), "shape": (outer, b, a, inner)}, edge)
                source = between
            op, sizes = "bm::swap", {"sizes": last}
        else:
            op, sizes = "bm::reshape", dict[str, tuple[int, ...]]()
        name = self._named[key] if key in self._named else self._new(f"{root}_{op.removeprefix('bm::')}", spec)
        self._add(source, name, op, {**sizes, "shape": shape}, edge)
        return name

    def _add(self, source: str, result: str, op: str, attrs: Mapping[str, Attribute], edge: Edge) -> None:
        """A node in the name of the one that made its result before, or of the one that takes it."""
        cause = self._makers.get(result) or edge.taker or self._makers.get(edge.root)
        position = cause.position if cause is not None else None
        old = self._makers.get(result)
        if old is not None and old.op in ("bm::swap", "bm::reshape"):
            name = old.name
        else:
            name = unused_name(f"{result}_made", self._node_names)
            self._node_names.add(name)
        self._nodes.append(Node(name, op, (source,), (result,), attrs, position))
