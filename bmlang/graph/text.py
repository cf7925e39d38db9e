"""Graphs as text."""

from __future__ import annotations

from collections.abc import Iterator

from bmlang.graph.graph import Attribute, Graph, Node
from tpukernel.dtypes import Dtype
from tpukernel.lang.signature import TensorSpec

__all__ = ["text_of"]

SHOWN_ELEMENTS = 1
"""Constants up to this size are written out."""


def text_of(graph: Graph) -> str:
    """The graph as text."""
    inputs = ", ".join(f"{name}: {spec_text(graph.specs[name])}" for name in graph.inputs)
    return "\n".join([f"function {graph.name}({inputs}) -> ({', '.join(graph.outputs)}) {{", *_lines(graph), "}"])


def spec_text(spec: TensorSpec) -> str:
    """`f32[1, 64, 56, 56]`."""
    return f"{spec.dtype.name}[{', '.join(map(str, spec.shape))}]"


def _lines(graph: Graph) -> Iterator[str]:
    for name, value in graph.constants.items():
        shown = f" = {value.item()!r}" if value.size <= SHOWN_ELEMENTS else ""
        yield f"  constant {name}: {spec_text(graph.specs[name])}{shown};"
    for node in graph.nodes:
        yield f"  {_node_text(node, graph)}"


def _node_text(node: Node, graph: Graph) -> str:
    made = ", ".join(f"{name}: {spec_text(graph.specs[name])}" for name in node.outputs)
    arguments = [name or "none" for name in node.inputs]
    arguments += [f"{name}={_attribute_text(value)}" for name, value in node.attrs.items()]
    return f"{made} = {node.op}({', '.join(arguments)});"


def _attribute_text(value: Attribute) -> str:
    if isinstance(value, Dtype):
        return value.name
    if isinstance(value, tuple):
        return f"[{', '.join(map(_attribute_text, value))}]"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return repr(value)
