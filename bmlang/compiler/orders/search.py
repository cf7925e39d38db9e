"""Which nodes get their dimensions in another order, so that fewer elements are moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bmlang.compiler.orders.axes import Layout, layouts_of, natural
from bmlang.compiler.orders.flow import Edge, Flow, Infeasible, turn_of
from bmlang.compiler.orders.moves import STAY, then
from bmlang.graph.graph import Node

__all__ = ["improve"]

PATIENCE: Final = 10
"""How many times the price of the move with which it began a region of changed nodes may cost more than nothing, before it is given up."""
LARGEST_REGION: Final = 1000
"""Nodes that are changed together."""


def improve(flow: Flow) -> None:
    """Change layouts as long as moves get cheaper.

    A move is taken over by the node before or behind it: its other tensors have to be moved instead. These moves are taken over by further
    nodes, the one first that makes all of it cheapest, until nothing is left to be taken over. Of the regions that were reached on the
    way the cheapest is kept, if it is cheaper than what was there.
    """
    cheaper = True
    while cheaper:
        cheaper = False
        for edge in _dearest(flow):
            firsts = [first for behind in (True, False) for first in _Region(flow, edge).steps(edge, behind)] if _price(flow, edge) else []
            gain, layouts = min((_Region(flow, edge).grown(first) for first in firsts), key=lambda each: each[0], default=(0, flow.layouts))
            if gain < 0:
                flow.layouts, cheaper = layouts, True


def _dearest(flow: Flow) -> list[Edge]:
    """All ways on which something is moved, those of the highest price first."""
    prices = {edge: _price(flow, edge) for root in flow.takers for edge in flow.takers[root]}
    return sorted((edge for edge, price in prices.items() if price), key=lambda edge: -prices[edge])


def _price(flow: Flow, edge: Edge) -> int:
    whole = flow.whole(edge)
    left = flow.turned(edge, whole)
    return flow.price(edge.root, whole if left is None else left)


@dataclass(frozen=True)
class Step:
    """A node that takes over a move.

    Attributes:
        added: what it costs more.
        node: the node.
        layout: that it gets; None where everything is as it was.
    """

    added: int
    node: Node
    layout: Layout | None


class _Region:
    """Nodes that are changed together, beginning at one move."""

    def __init__(self, flow: Flow, edge: Edge) -> None:
        self._flow, self._edge = flow, edge
        self._fixed: dict[str, Node] = {}
        self._costs: dict[str, int] = {}

    def grown(self, first: Step) -> tuple[int, dict[str, Layout]]:
        """What the cheapest region that begins with a node costs more, and all layouts with it. The flow stays as it is."""
        flow = self._flow
        before = dict(flow.layouts)
        gain, best, kept = 0, 0, before
        limit = PATIENCE * _price(flow, self._edge)
        step: Step | None = first
        while step is not None and len(self._fixed) < LARGEST_REGION and gain <= limit:
            self._put(step.node, step.layout)
            self._fixed[step.node.name] = step.node
            gain += step.added
            if gain < best:
                best, kept = gain, dict(flow.layouts)
            step = min(
                (step for edge, side in self._choices() for step in self.steps(edge, side)), key=lambda step: step.added, default=None
            )
        flow.layouts = before
        return best, kept

    def _choices(self) -> Iterator[tuple[Edge, bool]]:
        """Moves beside the region, and whether the node behind each may take it over or the one before it."""
        roots: dict[str, None] = {}
        for node in self._fixed.values():
            roots.update(dict.fromkeys(node.outputs))
            roots.update(dict.fromkeys(edge.root for edge in self._flow.inputs[node.name] if edge is not None))
        for root in roots:
            maker = self._flow.makers.get(root)
            for edge in self._flow.takers.get(root, ()):
                if self._flow.whole(edge) == STAY:
                    continue
                if edge.taker is not None and edge.taker.name not in self._fixed:
                    yield edge, True
                if maker is not None and maker.name not in self._fixed:
                    yield edge, False

    def steps(self, edge: Edge, behind: bool) -> Iterator[Step]:
        """The ways in which the node behind a move, or the one before it, takes it over; none where it cannot."""
        flow = self._flow
        node = edge.taker if behind else flow.makers.get(edge.root)
        axes = flow.axes(node) if node is not None else None
        port = None if axes is None else axes.inputs[edge.index] if behind else axes.output
        if node is None or axes is None or port is None:
            return
        wanted = then(edge.move.inverse(), flow.stored(edge.root)) if behind else then(edge.move, flow.taken(edge))
        turned = then(wanted, turn_of(flow.wanted(edge))) if wanted is not None and edge.turns and not behind else None
        old = flow.layouts.get(node.name)
        for move in (wanted, turned):
            for layout in layouts_of(axes, port, move) if move is not None else ():
                changed = None if layout == natural(axes) else layout
                added = self._added(node, changed) if changed != old else None
                if added is not None:
                    yield Step(added, node, changed)

    def _added(self, node: Node, layout: Layout | None) -> int | None:
        """What a layout costs more; None where it does not fit to those of other nodes."""
        flow, old = self._flow, self._flow.layouts.get(node.name)
        roots = dict.fromkeys((*node.outputs, *(each.root for each in flow.inputs[node.name] if each is not None)))
        try:
            cost = self._cost(roots, node)
            self._put(node, layout)
            return self._cost(roots, node) - cost
        except Infeasible:
            return None
        finally:
            self._put(node, old)

    def _put(self, node: Node, layout: Layout | None) -> None:
        if layout is None:
            self._flow.layouts.pop(node.name, None)
        else:
            self._flow.layouts[node.name] = layout

    def _cost(self, roots: Mapping[str, None], node: Node) -> int:
        return sum(self._flow.cost(root) for root in roots) + self._flow.work(node)
