"""Zeros around a tensor become the padding of the convolution that takes it, which costs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from bmlang.graph.graph import Graph, Node
from bmlang.layers.windows import quad

__all__ = ["fold_pads"]


def fold_pads(graph: Graph) -> Graph:
    """The graph whose convolutions pad what they take by themselves. (What nobody takes any more is dropped by another pass.)"""
    makers = graph.makers()
    return graph.with_nodes([_folded(node, makers.get(node.inputs[0])) if node.op == "bm::conv" else node for node in graph.nodes])


def _folded(conv: Node, pad: Node | None) -> Node:
    if pad is None or pad.op != "bm::pad" or pad.attrs["value"] != 0 or conv.attrs["insert"] not in (0, (0, 0)):
        return conv
    before, after = (cast("tuple[int, ...]", pad.attrs[name]) for name in ("before", "after"))
    if any(before[:2]) or any(after[:2]):
        return conv
    around = zip(quad("pad", conv.attrs["pad"]), (*before[2:], *after[2:]), strict=True)
    inputs = (pad.inputs[0], *conv.inputs[1:])
    return replace(conv, inputs=inputs, attrs={**conv.attrs, "pad": tuple(own + more for own, more in around)})
