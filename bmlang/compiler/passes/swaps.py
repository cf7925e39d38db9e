"""Swaps are moved through the layers until they meet others that undo them, or where fewer elements have to be moved."""

from __future__ import annotations

from typing import cast

from bmlang.compiler.orders.flow import TURNS, Flow, Infeasible
from bmlang.compiler.orders.moves import price
from bmlang.compiler.orders.search import improve
from bmlang.compiler.orders.write import written
from bmlang.graph.graph import Graph
from tpukernel.dtypes import Dtype, f32

__all__ = ["fewer_swaps"]


def fewer_swaps(graph: Graph, mode: Dtype = f32, *, exact: bool = True) -> Graph:
    """The graph in which moving elements costs less; itself where nothing is won.

    Args:
        graph: a function for concrete shapes.
        mode: what f32 becomes later; f32 where that is decided.
        exact: no bit of a result changes; else sums may be added up in another order.
    """
    if not any(node.op == "bm::swap" or any(node.attrs.get(turn) for turn in TURNS.values()) for node in graph.nodes):
        return graph
    try:
        flow = Flow(graph, mode, exact=exact)
    except Infeasible:
        return graph
    paid = _paid(flow)
    improve(flow)
    found = written(flow)
    better = (flow.total(), _reshapes(found)) < (paid, _reshapes(graph))
    return found if better else graph


def _reshapes(graph: Graph) -> int:
    return sum(node.op == "bm::reshape" for node in graph.nodes)


def _paid(flow: Flow) -> int:
    """What the graph of a flow costs as it is written down."""
    found = sum(flow.work(node) for node in flow.nodes)
    left = {node.name for node in flow.nodes}
    for node in flow.graph.nodes:
        if node.op == "bm::swap" and node.name not in left:
            itemsize = flow.itemsize(node.outputs[0])
            found += price(cast("tuple[int, int, int, int]", node.attrs["sizes"]), itemsize)
    return found + sum(flow.turning(edge) for edges in flow.inputs.values() for edge in edges if edge is not None)
