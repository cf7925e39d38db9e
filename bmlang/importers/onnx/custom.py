"""Nodes whose operator is a layer that somebody has registered under its domain and name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bmlang.importers.onnx.node import OnnxNode
from bmlang.importers.onnx.values import Value
from bmlang.layers.registry import all_layers
from bmlang.layers.tensor import Operand, apply_many

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto

__all__ = ["custom_node", "layer_name"]

_KINDS = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}
"""By the number of a type of attributes: the field with the value (onnx.proto, `AttributeProto.AttributeType`)."""


def layer_name(node: NodeProto) -> str:
    """The name that a layer for a node has; empty for the operators of ONNX itself."""
    return "" if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def custom_node(node: OnnxNode) -> list[Value] | None:
    """The outputs of a node, where there is a layer for it; its attributes are the other arguments of the layer."""
    name = layer_name(node.proto)
    if not name or name not in all_layers():
        return None
    inputs: Sequence[Operand | None] = [node.optional(index) for index in range(len(node.inputs))]
    found = apply_many(name, *inputs, **{key: _plain(attribute) for key, attribute in node.attributes.items()})
    return [value for tensor in found for value in node.values_of(tensor)]


def _plain(attribute: AttributeProto) -> object:
    field = _KINDS.get(int(attribute.type))
    if field is None:
        raise TypeError(f"attribute {attribute.name} is neither a number, nor a string, nor a list of these")
    value: object = getattr(attribute, field)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, int | float):
        return value
    return tuple(each.decode() if isinstance(each, bytes) else each for each in list(getattr(attribute, field)))
