"""Graphs as text. `bmlang.graph.parse` reads it: parse(print(graph)) is the graph, to the bits of its constants."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from bmlang.graph.graph import Array, Attribute, Graph, Node, unused_name
from tpukernel.dtypes import Dtype
from tpukernel.lang.signature import TensorSpec

__all__ = ["SHOWN_ELEMENTS", "WORDS", "default_name", "spec_text", "text_of"]

SHOWN_ELEMENTS: Final = 16
"""Constants up to this size are written out; larger ones are given beside the text."""
WORDS: Final = frozenset({"function", "constant", "as", "none", "true", "false", "inf", "nan"})
"""Words of the language, which stand in backticks where they are names."""

_PLAIN_NAME = re.compile(r"[^\W\d]\w*")


def text_of(graph: Graph) -> str:
    """The graph as text."""
    inputs = ", ".join(_typed(name, graph) for name in graph.inputs)
    outputs = ", ".join(map(_name, graph.outputs))
    return "\n".join([f"function {_name(graph.name)}({inputs}) -> ({outputs}) {{", *_lines(graph), "}"])


def spec_text(spec: TensorSpec) -> str:
    """`f32[1, 64, 56, 56]`."""
    return f"{spec.dtype.name}[{', '.join(map(str, spec.shape))}]"


def default_name(op: str, taken: set[str]) -> str:
    """The name of a node of which the text says none."""
    return unused_name(op.rpartition("::")[2], taken)


def _lines(graph: Graph) -> Iterator[str]:
    for name, value in graph.constants.items():
        yield f"  constant {_typed(name, graph)}{_constant_text(value)};"
    taken: set[str] = set()
    for node in graph.nodes:
        usual = default_name(node.op, taken)
        taken.add(node.name)
        yield f"  {_node_text(node, graph)}{'' if node.name == usual else f' as {_name(node.name)}'};"


def _typed(name: str, graph: Graph) -> str:
    return f"{_name(name)}: {spec_text(graph.specs[name])}"


def _node_text(node: Node, graph: Graph) -> str:
    arguments = [_name(name) if name else "none" for name in node.inputs]
    arguments += [f"{name}={_value_text(value)}" for name, value in node.attrs.items()]
    return f"{', '.join(_typed(name, graph) for name in node.outputs)} = {node.op}({', '.join(arguments)})"


def _name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name) and name not in WORDS:
        return name
    return f"`{json.dumps(name)[1:-1].replace('`', chr(92) + 'u0060')}`"


def _constant_text(value: Array) -> str:
    if value.size > SHOWN_ELEMENTS:
        return ""
    elements = [_element_text(each) for each in value.reshape(-1)]
    return f" = {elements[0] if value.shape == () else '[' + ', '.join(elements) + ']'}"


def _element_text(element: np.generic) -> str:
    """A number; a NaN by its bits, of which there are many."""
    value: object = element.item()
    if isinstance(value, float) and math.isnan(value):
        return f"0x{int.from_bytes(element.tobytes(), 'little'):x}"
    return _value_text(value if isinstance(value, int | float) else float(element))  # bf16 is no number of Python


def _value_text(value: Attribute) -> str:
    if isinstance(value, Dtype):
        return value.name
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value_text, value))}]"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else repr(value)
