"""Which nodes run together: neighbours whose results in between fit into local memory, as long as that is estimated to be faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bmlang.compiler.canonical import elementwise_parts
from bmlang.compiler.cut import MANY, Cut, best_cut, needed_cut
from bmlang.compiler.errors import NoFormError
from bmlang.compiler.inside import Inside, inside_of
from bmlang.compiler.sides import bounds_of, host_calls
from bmlang.compiler.steps import Group, Work
from bmlang.graph.graph import Graph, Node
from bmlang.layers.base import Call, HostCall, Layer
from bmlang.layers.region import four
from bmlang.layers.registry import layer_of
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.lang.signature import TensorSpec

__all__ = ["Alias", "Emitted", "Hosted", "Planned", "call_of", "plan"]


TOLERANCE = 1.05
"""A group may be estimated to be this much slower than its parts: what it spares shows when the node that joins them comes."""


@dataclass(frozen=True)
class Planned:
    """Nodes that run together, in one or several parts."""

    nodes: tuple[Node, ...]
    cuts: tuple[Cut, ...]

    @property
    def cycles(self) -> int:
        return sum(cut.cycles for cut in self.cuts)


@dataclass(frozen=True)
class Emitted:
    """A node with a global form.

    Attributes:
        node: the node.
        call: what is known about it.
        joined: inputs that lie inside of its result from the beginning: their first element there, by number of the input.
    """

    node: Node
    call: Call
    joined: Mapping[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True)
class Alias:
    """A node whose result is its input, seen with another shape, or elements of it from one on."""

    node: Node
    start: int = 0


@dataclass(frozen=True)
class Hosted:
    """A node that the host computes."""

    node: Node
    call: HostCall


def call_of(graph: Graph, node: Node, chip: Chip) -> Call:
    """What is known about a node."""
    return Call(
        tuple(graph.spec(name) for name in node.inputs),
        tuple(graph.specs[name] for name in node.outputs),
        tuple(graph.constants.get(name) for name in node.inputs),
        node.attrs,
        chip,
    )


def plan(graph: Graph, chip: Chip, *, together: bool = True) -> list[Planned | Emitted | Alias | Hosted]:
    """All nodes in groups, in order; with `together` as false each in a group of its own.

    Raises:
        NoFormError: the TPU cannot compute a node.
        LocalMemoryFullError: a node does not fit.
    """
    return list(_Planner(graph, chip, together).run())


class _Planner:
    def __init__(self, graph: Graph, chip: Chip, together: bool) -> None:
        self._graph, self._chip, self._together = graph, chip, together
        self._users = graph.users()
        self._calls = {node.name: call_of(graph, node, chip) for node in graph.nodes}
        self._alone: dict[str, Planned] = {}
        self._works: dict[object, Work] = {}
        self._hosted = host_calls(graph, bounds_of(graph))
        self._inside = inside_of(graph, self._calls, self._hosted) if together else Inside({}, {})

    def run(self) -> Iterator[Planned | Emitted | Alias | Hosted]:
        open_group: Planned | None = None
        for node in self._graph.nodes:
            layer = layer_of(node.op)
            alone = self._alone_form(layer, node)
            if alone is not None:
                if open_group:
                    yield open_group
                open_group = None
                yield alone
                continue
            joined = self._joined(open_group, node)
            if joined is None:
                if open_group:
                    yield open_group
                joined = self._single(node)
            open_group = joined
        if open_group:
            yield open_group

    def _alone_form(self, layer: Layer, node: Node) -> Emitted | Alias | Hosted | None:
        """A node that joins no group; None for one that may."""
        if node.name in self._hosted:
            return Hosted(node, self._hosted[node.name])
        if layer.alias:
            return Alias(node)
        if node.name in self._inside.cut:
            return Alias(node, self._inside.cut[node.name])
        return self._emitted(layer, node) if layer.local(self._calls[node.name]) is None else None

    def _emitted(self, layer: Layer, node: Node) -> Emitted:
        if type(layer).emit is Layer.emit:
            inputs = ", ".join(f"{spec.dtype.name}{list(spec.shape)}" for spec in self._calls[node.name].inputs if spec is not None)
            raise NoFormError(
                f"the TPU has no way to compute {node.op} of {inputs}",
                position=node.position,
                help="compute it in f32, or with other operators",
            )
        return Emitted(node, self._calls[node.name], self._inside.joined.get(node.name, {}))

    def _single(self, node: Node) -> Planned:
        if node.name not in self._alone:
            self._alone[node.name] = Planned((node,), tuple(needed_cut(group, self._chip) for group in self._groups((node,)) or ()))
        return self._alone[node.name]

    def _joined(self, group: Planned | None, node: Node) -> Planned | None:
        """The group with one node more; None when that is not possible or not faster."""
        if group is None or not self._together:
            return None
        nodes = (*group.nodes, node)
        groups = self._groups(nodes)
        if groups is None:
            return None
        cuts: list[Cut] = []
        known = len(groups) == len(group.cuts) == 1 and len(group.nodes) >= MANY
        near = group.cuts[0].fineness if known else None
        for each in groups:
            cut = best_cut(each, self._chip, near)
            if cut is None:
                return None
            cuts.append(cut)
        joined = Planned(nodes, tuple(cuts))
        apart = group.cycles + self._single(node).cycles
        return joined if joined.cycles <= apart * TOLERANCE else None

    def _groups(self, nodes: Sequence[Node]) -> list[Group] | None:
        """The parts of a group of these nodes; None when they do not fit together."""
        inside = {node.name for node in nodes}
        stored = frozenset(
            output
            for node in nodes
            for output in node.outputs
            if output in self._graph.outputs or any(user.name not in inside for user in self._users[output])
        )
        if all(layer_of(node.op).elementwise for node in nodes):
            if not _broadcast([self._graph.specs[name].shape for node in nodes for name in (*node.inputs, *node.outputs) if name]):
                return None
            groups = list(self._elementwise(nodes, stored))
            return groups if all(_agree(group.works) for group in groups) else None
        works = self._mixed(nodes)
        return [Group(tuple(works), stored)] if works is not None and _agree(works) else None

    def _mixed(self, nodes: Sequence[Node]) -> list[Work] | None:
        """Elementwise nodes among others: they see tensors in the shapes that the others give them."""
        fixed = {node.name: self._work(node, self._calls[node.name]) for node in nodes if not layer_of(node.op).elementwise}
        views: dict[str, Dim4] = {}
        for work in fixed.values():
            views.update((work.node.inputs[index], feed.shape) for index, feed in work.form.feeds.items())
            views.update(work.shapes())
        free = [node for node in nodes if node.name not in fixed]
        for node in (*free, *reversed(free), *free):
            full = self._full(node)
            known = next((views[name] for name in full if name in views), None)
            if known is not None:
                views.update((name, known) for name in full if name not in views)
        works: list[Work] = []
        for node in nodes:
            if node.name in fixed:
                works.append(fixed[node.name])
                continue
            specs = self._seen(node, views)
            if specs is None:
                return None
            works.append(self._work(node, _with_shapes(self._calls[node.name], node, specs)))
        return works

    def _full(self, node: Node) -> list[str]:
        """The tensors of an elementwise node that have the shape of its result."""
        shape = self._graph.specs[node.outputs[0]].shape
        return [name for name in (*node.outputs, *node.inputs) if name and self._graph.specs[name].shape == shape]

    def _seen(self, node: Node, views: Mapping[str, Dim4]) -> dict[str, TensorSpec] | None:
        """The tensors of an elementwise node in four dimensions; None where a repeated one cannot be seen like the result."""
        shape = self._graph.specs[node.outputs[0]].shape
        view = views.get(node.outputs[0], four(shape))
        found: dict[str, TensorSpec] = {}
        for name in (*node.outputs, *node.inputs):
            if name and not self._is_number(name):
                seen = _like(self._graph.specs[name].shape, shape, view)
                if seen is None:
                    return None
                found[name] = TensorSpec(seen, self._graph.specs[name].dtype)
        return found

    def _is_number(self, name: str) -> bool:
        return name in self._graph.constants and self._graph.constants[name].size == 1

    def _elementwise(self, nodes: Sequence[Node], stored: frozenset[str]) -> Iterator[Group]:
        names = dict.fromkeys(name for node in nodes for name in (*node.inputs, *node.outputs) if name)
        numbers = {name for name in names if self._is_number(name)}
        shapes = {name: self._graph.specs[name].shape for name in names if name not in numbers}
        widest = max(self._graph.specs[name].dtype.itemsize for name in shapes)
        for part in elementwise_parts(shapes, widest, self._chip):
            specs = {name: TensorSpec(shape, self._graph.specs[name].dtype) for name, (_, shape) in part.views.items()}
            works = [self._work(node, _with_shapes(self._calls[node.name], node, specs)) for node in nodes]
            yield Group(tuple(works), stored, {name: offset for name, (offset, _) in part.views.items()})

    def _work(self, node: Node, call: Call) -> Work:
        key = (node.name, call.inputs, call.outputs)
        if key not in self._works:
            form = layer_of(node.op).local(call)
            assert form is not None  # noqa: S101
            self._works[key] = Work(node, call, form)
        return self._works[key]


def _with_shapes(call: Call, node: Node, specs: Mapping[str, TensorSpec]) -> Call:
    inputs = tuple(specs.get(name, spec) for name, spec in zip(node.inputs, call.inputs, strict=True))
    return replace(call, inputs=inputs, outputs=tuple(specs.get(name, spec) for name, spec in zip(node.outputs, call.outputs, strict=True)))


def _like(shape: tuple[int, ...], whole: tuple[int, ...], view: Dim4) -> Dim4 | None:
    """A tensor that is broadcast to `whole`, seen in the way in which `whole` is seen as `view`; None where that has no such dimensions."""
    if shape == whole:
        return view
    sizes = [size for size in whole if size != 1]
    places = [axis for axis, size in enumerate(view) if size != 1]
    if sizes != [view[axis] for axis in places]:
        return None
    aligned = (1,) * (len(whole) - len(shape)) + shape
    own = [mine for mine, size in zip(aligned, whole, strict=True) if size != 1]
    found = [1, 1, 1, 1]
    for axis, size in zip(places, own, strict=True):
        found[axis] = size
    return found[0], found[1], found[2], found[3]


def _agree(works: Sequence[Work]) -> bool:
    """Whether each takes the results of the others in the shape in which they are made."""
    made = {name: shape for work in works for name, shape in work.shapes()}
    for work in works:
        for index, feed in work.form.feeds.items():
            source = work.node.inputs[index]
            if source in made and (made[source] != feed.shape or feed.layout is not Layout.EU_ALIGNED or feed.spread):
                return False
        if any(name in made for index, name in enumerate(work.node.inputs) if index not in work.form.feeds):
            return False
    return True


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether all of these shapes fit together, as numpy broadcasts."""
    rank = max(map(len, shapes))
    full = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return all(len(set(sizes) - {1}) < 2 for sizes in zip(*full, strict=True))
