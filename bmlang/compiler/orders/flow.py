"""A graph without its reshapes and swaps: nodes, and the moves on the way from what makes a tensor to what takes it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final, cast

from bmlang.compiler.orders.axes import Axes, Layout, Port, move_of, natural, shape_of
from bmlang.compiler.orders.moves import STAY, Move, exchanges, then
from bmlang.compiler.orders.rules import axes_of_node
from bmlang.graph.graph import Graph, Node
from bmlang.layers.swap_forms import RUN_BYTES
from tpukernel.dtypes import Dtype, f32

__all__ = ["TURNS", "Edge", "Flow", "Infeasible", "chained", "turn_of"]

MOVERS: Final = ("bm::reshape", "bm::swap")
TURNS: Final = {0: "transpose_a", 1: "transpose_b"}
"""Arguments of a product of matrices that say that an input lies transposed."""


class Infeasible(Exception):  # noqa: N818 - no error: it leads to another choice
    """Two ways to see a tensor do not fit together."""


@dataclass(frozen=True, eq=False)
class Edge:
    """The way of a tensor to a node, or out of the graph.

    Attributes:
        root: the tensor as it is made: an input, a constant, or what a node makes that is neither a reshape nor a swap.
        taker: the node; None for an output of the graph.
        index: which input of the node, or output of the graph.
        move: on the way.
        shape: that the taker wants.
        turns: the taker exchanges the last two dimensions for nothing.
    """

    root: str
    taker: Node | None
    index: int
    move: Move
    shape: tuple[int, ...]
    turns: bool = False


class Flow:
    """The nodes of a graph with the layouts that they have.

    Attributes:
        graph: the graph.
        nodes: those that neither reshape nor swap.
        makers: the node that makes a root; inputs and constants have none.
        takers: the edges that begin at a root.
        inputs: the edges that end at a node, by its name; None where an optional input is absent.
        layouts: of the nodes in which something has been moved, by name.
    """

    def __init__(self, graph: Graph, mode: Dtype, *, exact: bool) -> None:
        self.graph, self._mode = graph, mode
        self._exact = exact
        self._axes: dict[str, Axes | None] = {}
        self._sources: dict[str, tuple[str, Move]] = {name: (name, STAY) for name in (*graph.inputs, *graph.constants)}
        self.layouts: dict[str, Layout] = {}
        self.nodes: list[Node] = []
        self.makers: dict[str, Node] = {}
        self.takers: dict[str, list[Edge]] = {}
        self.inputs: dict[str, list[Edge | None]] = {}
        for node in graph.nodes:
            if not self._passes(node):
                self._keep(node)
        for index, name in enumerate(graph.outputs):
            root, move = self._sources[name]
            self.takers.setdefault(root, []).append(Edge(root, None, index, move, graph.specs[name].shape))

    def _passes(self, node: Node) -> bool:
        """Whether a node only moves elements, in a way that fits to the moves before it."""
        if node.op not in MOVERS:
            return False
        root, move = self._sources[node.inputs[0]]
        if node.op == "bm::swap":
            more = then(move, Move.of(cast("tuple[int, ...]", node.attrs["sizes"]), (0, 2, 1, 3)))
            if more is None:
                return False
            move = more
        self._sources[node.outputs[0]] = root, move
        return True

    def _keep(self, node: Node) -> None:
        self.nodes.append(node)
        for name in node.outputs:
            self._sources[name] = name, STAY
            self.makers[name] = node
        edges: list[Edge | None] = []
        for index, name in enumerate(node.inputs):
            edges.append(self._edge(node, index, name) if name else None)
        self.inputs[node.name] = edges
        for edge in edges:
            if edge is not None:
                self.takers.setdefault(edge.root, []).append(edge)

    def _edge(self, node: Node, index: int, name: str) -> Edge:
        root, move = self._sources[name]
        spec = self.graph.specs[name]
        if node.op != "bm::matmul" or index not in TURNS or self.axes(node) is None:
            return Edge(root, node, index, move, spec.shape)
        *leading, rows, columns = spec.shape
        turned = bool(node.attrs[TURNS[index]])
        whole = then(move, turn_of(spec.shape)) if turned else move
        if whole is None:
            raise Infeasible
        narrow = (self._mode if spec.dtype == f32 else spec.dtype) != f32
        free = index == 1 and narrow and root not in self.graph.constants
        return Edge(root, node, index, whole, (*leading, columns, rows) if turned else spec.shape, free)

    def axes(self, node: Node) -> Axes | None:
        """How the dimensions of a node may be ordered."""
        if node.name not in self._axes:
            self._axes[node.name] = axes_of_node(self.graph, node, exact=self._exact)
        return self._axes[node.name]

    def source(self, name: str) -> tuple[str, Move] | None:
        """The root of a tensor of the graph and the move from there; None for one that is not there any more."""
        return self._sources.get(name)

    def port(self, edge: Edge) -> Port | None:
        """The dimensions in which a node takes a tensor; None where it stays as it is."""
        axes = self.axes(edge.taker) if edge.taker is not None else None
        return axes.inputs[edge.index] if axes is not None else None

    def stored(self, root: str) -> Move:
        """How what is made differs from what the graph says."""
        maker = self.makers.get(root)
        layout = self.layouts.get(maker.name) if maker is not None else None
        if maker is None or layout is None:
            return STAY
        axes = self.axes(maker)
        assert axes is not None  # noqa: S101
        return move_of(layout, axes.output)

    def taken(self, edge: Edge) -> Move:
        """How what is taken differs from what the graph says."""
        layout = self.layouts.get(edge.taker.name) if edge.taker is not None else None
        port = self.port(edge)
        return STAY if layout is None or port is None else move_of(layout, port)

    def wanted(self, edge: Edge) -> tuple[int, ...]:
        """The shape in which a tensor is taken."""
        layout = self.layouts.get(edge.taker.name) if edge.taker is not None else None
        port = self.port(edge)
        if layout is None or port is None or edge.taker is None:
            return edge.shape
        axes = self.axes(edge.taker)
        assert axes is not None  # noqa: S101
        return shape_of(axes, layout, port)

    def whole(self, edge: Edge) -> Move:
        """What is done to a tensor on its way, with the layouts that the nodes have.

        Raises:
            Infeasible: the layouts do not fit together.
        """
        return chained(self.stored(edge.root).inverse(), edge.move, self.taken(edge))

    def turned(self, edge: Edge, whole: Move) -> Move | None:
        """The move that is left if the taker transposes the tensor; None where it does not, or not for less."""
        left = then(whole, turn_of(self.wanted(edge))) if edge.turns else None
        return left if left is not None and self.price(edge.root, left) < self.price(edge.root, whole) else None

    def price(self, root: str, move: Move) -> int:
        """What a move of a tensor costs, in bytes: nothing for constants."""
        if move == STAY or root in self.graph.constants:
            return 0
        return exchanges(move, self.itemsize(root))[0]

    def itemsize(self, name: str) -> int:
        """Bytes of an element of a tensor, in the mode."""
        dtype = self.graph.specs[name].dtype
        return (self._mode if dtype == f32 else dtype).itemsize

    def work(self, node: Node) -> int:
        """What a node costs more because what it reads and writes at once is short, in bytes: a run below 256 bytes counts as 256."""
        axes = self.axes(node)
        if axes is None:
            return 0
        run = axes.run(self.layouts.get(node.name) or natural(axes))
        found = 0
        for place, (name, port) in enumerate(zip((*node.inputs, *node.outputs), (*axes.inputs, axes.output), strict=True)):
            if port is not None and run and (axes.read is None or place in axes.read):
                itemsize = self.itemsize(name)
                found += prod(port.sizes) * max(RUN_BYTES // run - itemsize, 0)
        return found

    def turning(self, edge: Edge) -> int:
        """What a product of matrices pays for the transposition that is an argument of it."""
        node = edge.taker
        if (
            node is None
            or node.op != "bm::matmul"
            or self.axes(node) is None
            or edge.turns
            or not node.attrs.get(TURNS.get(edge.index, ""))
        ):
            return 0
        return self.price(edge.root, turn_of(edge.shape))

    def total(self) -> int:
        """What all moves and short runs cost."""
        return sum(self.cost(root) for root in self.takers) + sum(self.work(node) for node in self.nodes)

    def cost(self, root: str) -> int:
        """What all moves of a tensor cost; equal ones are done once.

        Raises:
            Infeasible: the layouts do not fit together.
        """
        moves: set[Move] = set()
        for edge in self.takers.get(root, ()):
            whole = self.whole(edge)
            left = self.turned(edge, whole)
            moves.add(whole if left is None else left)
        return sum(self.price(root, move) for move in moves)


def turn_of(shape: tuple[int, ...]) -> Move:
    """The exchange of the last two dimensions."""
    last = len(shape) - 1
    return Move.of(shape, (*range(last - 1), last, last - 1))


def chained(*moves: Move) -> Move:
    """Moves, one after the other.

    Raises:
        Infeasible: they do not fit together.
    """
    found = STAY
    for move in moves:
        more = then(found, move)
        if more is None:
            raise Infeasible
        found = more
    return found
