"""Graphs as text. `bmlang.graph.parse` reads it: parse(print(graph)) is the graph, to the bits of its constants."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from bmlang.graph.dims import Dim, expr_of
from bmlang.graph.graph import Array, Attribute, Graph, Node, unused_name
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.lang.expr import Expr, Var, show
from tpukernel.lang.signature import TensorSpec

__all__ = ["SHOWN_ELEMENTS", "WORDS", "default_name", "plain_name", "spec_text", "text_of"]

SHOWN_ELEMENTS: Final = 16
"""Constants up to this size are written out; larger ones are given beside the text."""
WORDS: Final = frozenset({"function", "constant", "require", "as", "none", "true", "false", "inf", "nan"})
"""Words of the language, which stand in backticks where they are names."""

_PLAIN_NAME = re.compile(r"[^\W\d]\w*")


def text_of(graph: Graph) -> str:
    """The graph as text."""
    return "\n".join(_Printer(graph).lines())


def spec_text(spec: TensorSpec) -> str:
    """`f32[1, 64, 56, 56]`."""
    return f"{spec.dtype.name}[{', '.join(show(expr_of(size)) for size in spec.shape)}]"


def default_name(op: str, taken: set[str]) -> str:
    """The name of a node of which the text says none."""
    return unused_name(op.rpartition("::")[2], taken)


def plain_name(name: str) -> str:
    """A name like this one that stands in a text as it is."""
    found = re.sub(r"\W", "_", name)
    return f"d_{found}" if not found.isidentifier() or found in DTYPES or found in WORDS else found


class _Printer:
    """Prints a graph; of each size that varies the largest value stands where it appears first."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._numbers: Mapping[str, Expr] = graph.variation.numbers if graph.variation else {}
        self._untold: dict[str, Expr] = dict(graph.variation.limits) if graph.variation else {}

    def lines(self) -> Iterator[str]:
        graph = self._graph
        inputs = ", ".join(map(self._typed, graph.inputs))
        yield f"function {_name(graph.name)}({inputs}) -> ({', '.join(map(_name, graph.outputs))}) {{"
        for guard in graph.variation.guards if graph.variation else ():
            yield f"  require {show(guard.condition)};"
        for name, value in graph.constants.items():
            number = self._numbers.get(name)
            yield f"  constant {self._typed(name)}{_constant_text(value) if number is None else f' = {_size_text(number)}'};"
        taken: set[str] = set()
        for node in graph.nodes:
            usual = default_name(node.op, taken)
            taken.add(node.name)
            yield f"  {self._node_text(node)}{'' if node.name == usual else f' as {_name(node.name)}'};"
        yield "}"

    def _typed(self, name: str) -> str:
        spec = self._graph.specs[name]
        return f"{_name(name)}: {spec.dtype.name}[{', '.join(map(self._size, spec.shape))}]"

    def _size(self, size: int) -> str:
        expr = expr_of(size)
        limit = self._untold.pop(expr.name, None) if isinstance(expr, Var) else None
        return show(expr) if limit is None else f"{show(expr)} <= {show(limit)}"

    def _node_text(self, node: Node) -> str:
        arguments = [_name(name) if name else "none" for name in node.inputs]
        arguments += [f"{name}={_value_text(value)}" for name, value in node.attrs.items()]
        return f"{', '.join(map(self._typed, node.outputs))} = {node.op}({', '.join(arguments)})"


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


def _size_text(expr: Expr) -> str:
    """A size among other values."""
    return show(expr) if isinstance(expr, Var) else f"({show(expr)})"


def _value_text(value: Attribute) -> str:
    if isinstance(value, Dim):
        return _size_text(value.expr)
    if isinstance(value, Dtype):
        return value.name
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value_text, value))}]"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else repr(value)
