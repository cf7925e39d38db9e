"""Operators that ONNX itself defines by others: their bodies, for the types and the version at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from bmlang.importers.onnx.node import OnnxNode
from bmlang.importers.onnx.values import Items, Known, Live, Quantised, Unknown, Value, shape_of

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto

__all__ = ["body_of"]


class _Attribute(Protocol):
    default_value: AttributeProto


class _Schema(Protocol):
    """What the stubs of `onnx.defs.OpSchema` leave out."""

    attributes: Mapping[str, _Attribute]
    function_opset_versions: list[int]
    context_dependent_function_opset_versions: list[int]

    def get_function_with_opset_version(self, version: int) -> bytes: ...
    def get_context_dependent_function_with_opset_version(self, version: int, node: bytes, types: list[bytes]) -> bytes: ...


def body_of(node: OnnxNode, opsets: Mapping[str, int]) -> FunctionProto | None:
    """The function that an operator is defined by; None where it has none."""
    from onnx import FunctionProto, NodeProto, defs

    domain = "" if node.proto.domain == "ai.onnx" else node.proto.domain
    version = opsets.get(domain, 1)
    try:
        schema = cast("_Schema", defs.get_schema(node.proto.op_type, version, domain))
    except defs.SchemaError:
        return None
    found = FunctionProto()
    defaults = {name: each.default_value for name, each in schema.attributes.items() if each.default_value.name}
    written = [each for each in schema.function_opset_versions if each <= version]
    if written:
        found.ParseFromString(schema.get_function_with_opset_version(max(written)))
        return _with_defaults(found, defaults)
    written = [each for each in schema.context_dependent_function_opset_versions if each <= version]
    if not written:
        return None
    plain = NodeProto()
    plain.CopyFrom(node.proto)
    del plain.attribute[:]
    for name, attribute in node.attributes.items():
        plain.attribute.add().CopyFrom(attribute)
        plain.attribute[-1].name = name
    types = [_type(value) for value in node.inputs]
    found.ParseFromString(schema.get_context_dependent_function_with_opset_version(max(written), plain.SerializeToString(), types))
    return _with_defaults(found, defaults)


def _with_defaults(function: FunctionProto, defaults: Mapping[str, AttributeProto]) -> FunctionProto:
    """The attributes to which nodes inside refer have the values that the operator says where nothing is said."""
    del function.attribute_proto[:]
    for each in defaults.values():
        function.attribute_proto.add().CopyFrom(each)
    return function


def _type(value: Value | None) -> bytes:
    from onnx import TypeProto, helper

    if value is None or isinstance(value, Items | Unknown):
        return TypeProto().SerializeToString()
    return helper.make_tensor_type_proto(_element(value), list(shape_of(value))).SerializeToString()


def _element(value: Known | Live | Quantised) -> int:
    return value.element.number
