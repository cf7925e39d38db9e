"""Small ONNX models for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bmlang.graph.graph import Array

__all__ = ["graph_of", "model_of", "node", "reference"]

Shape = Sequence[int | str]


def node(op: str, inputs: Sequence[str], outputs: Sequence[str] = ("y",), name: str = "", domain: str = "", **attributes: Any) -> NodeProto:
    """A node."""
    return helper.make_node(op, inputs, outputs, name or None, domain=domain, **attributes)


def graph_of(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Sequence[str] = ("y",),
    constants: Mapping[str, Array] | None = None,
    kinds: Mapping[str, int] | None = None,
) -> GraphProto:
    """A graph; its inputs have an element type and a shape each, its outputs are f32 where `kinds` says nothing else."""
    given = [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in inputs.items()]
    made = [helper.make_tensor_value_info(name, (kinds or {}).get(name, TensorProto.FLOAT), None) for name in outputs]
    return helper.make_graph(
        nodes, "net", given, made, [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    )


def model_of(graph: GraphProto, opset: int = 17, domains: Sequence[str] = ("acme",), **more: Any) -> ModelProto:
    """A model of a graph."""
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, **more)


def reference(model: ModelProto, inputs: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """What the reference implementation of ONNX gives."""
    names = [each.name for each in model.graph.output]
    return dict(zip(names, cast("list[NDArray[Any]]", ReferenceEvaluator(model).run(None, dict(inputs))), strict=True))
