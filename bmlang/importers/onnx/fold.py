"""Nodes all of whose inputs are known are computed while importing, by the reference implementation of the package `onnx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from bmlang.graph.graph import Array
from bmlang.importers.onnx.errors import OnnxLimitError, OnnxNodeError
from bmlang.layers.tensor import here

if TYPE_CHECKING:
    from onnx import NodeProto, TypeProto

__all__ = ["LARGEST", "RANDOM", "folded"]

RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "ImageDecoder"}
)
"""Operators that may not be computed beforehand, or that read foreign file formats."""
LARGEST: Final = 1 << 28
"""Elements of a result."""


def folded(node: NodeProto, arrays: Sequence[Array | None], opsets: Mapping[str, int]) -> list[Array] | None:
    """The results of a node, or None where the reference implementation does not have it.

    Args:
        node: without graphs inside of it.
        arrays: its inputs; None for those that are absent.
        opsets: version of the operators of each domain.

    Raises:
        OnnxLimitError: a result is too large.
        OnnxNodeError: the node is not what its operator demands.
    """
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    given = {name: array for name, array in zip(node.input, arrays, strict=False) if array is not None and name}
    outputs = [name for name in node.output if name]
    inputs = [helper.make_tensor_value_info(name, _number(array), list(array.shape)) for name, array in given.items()]
    _check_size(node, given, {each.name: each.type for each in inputs}, opsets)
    graph = helper.make_graph([node], "folded", inputs, [helper.make_empty_tensor_value_info(name) for name in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()])
    try:
        evaluator = ReferenceEvaluator(model)
    except Exception:  # noqa: BLE001 - it has a dozen ways to say that it does not know an operator
        return None
    try:
        with np.errstate(all="ignore"):
            made = cast("Sequence[object]", evaluator.run(outputs, given))
    except Exception as error:
        raise OnnxNodeError(f"{node.op_type} of known numbers cannot be computed: {error}", position=here()) from error
    if not all(isinstance(each, np.ndarray | np.generic) for each in made):
        return None
    by_name = dict(zip(outputs, (np.asarray(each) for each in cast("Sequence[Array]", made)), strict=True))
    return [by_name[name] if name else np.zeros(0) for name in node.output]


def _number(array: Array) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def _check_size(node: NodeProto, given: Mapping[str, Array], types: Mapping[str, TypeProto], opsets: Mapping[str, int]) -> None:
    """What a small file makes large is refused before it exists."""
    from onnx import defs, helper, numpy_helper, shape_inference

    small = {name: numpy_helper.from_array(array, name) for name, array in given.items() if array.size <= 1024 and array.dtype != object}
    try:
        schema = defs.get_schema(node.op_type, opsets.get(node.domain, 1), node.domain)
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        found = shape_inference.infer_node_outputs(schema, node, dict(types), small, opset_imports=imports)
    except Exception:  # noqa: BLE001 - a node whose results nobody can tell beforehand is found out by computing it
        return
    for name, kind in found.items():
        dims = kind.tensor_type.shape.dim
        if prod(max(dim.dim_value, 1) for dim in dims) > LARGEST:
            raise OnnxLimitError(
                f"{node.op_type} makes {name!r} of {prod(dim.dim_value for dim in dims):,} elements",
                position=here(),
                help=f"constants may have up to {LARGEST:,} elements",
            )
