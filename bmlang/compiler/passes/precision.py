"""The mode of a model: f32 tensors become f16 or bf16 inside; inputs and outputs stay as the user declared them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bmlang.compiler.passes.nodes import Rewriter
from bmlang.compiler.sides import on_host
from bmlang.graph.graph import Graph, Node
from bmlang.layers.registry import layer_of
from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["computable", "precision"]


def precision(graph: Graph, mode: Dtype) -> Graph:
    """The graph in which nodes on f32 work on `mode`, with casts where values enter and leave; the host works on what the function has."""
    if mode == f32:
        return graph
    rewriter = Rewriter(graph)
    inside: dict[str, str] = {}
    for node in graph.nodes:
        layer = layer_of(node.op)
        if node.op == "bm::cast" or mode not in layer.dtypes or on_host(graph, node):
            rewriter.add(node)
            continue
        inputs = tuple(_narrow(rewriter, name, mode, inside, node) for name in node.inputs)
        made = tuple(rewriter.name(f"{name}_{mode.name}") if graph.specs[name].dtype == f32 else name for name in node.outputs)
        specs = {new: TensorSpec(graph.specs[old].shape, mode) for old, new in zip(node.outputs, made, strict=True) if new != old}
        rewriter.add(replace(node, inputs=inputs, outputs=made), specs)
        for old, new in zip(node.outputs, made, strict=True):
            if new != old:
                inside[old] = new
                rewriter.cast(new, old, f32, node)
    return rewriter.graph()


def _narrow(rewriter: Rewriter, name: str, mode: Dtype, inside: dict[str, str], node: Node) -> str:
    if not name or rewriter.source.specs[name].dtype != f32:
        return name
    if name not in inside:
        inside[name] = rewriter.name(f"{name}_{mode.name}")
        rewriter.cast(name, inside[name], mode, node)
    return inside[name]


def computable(graph: Graph) -> Graph:
    """The graph in which nodes that the TPU computes in f32 only have casts around them."""
    rewriter = Rewriter(graph)
    wide: dict[str, str] = {}
    for node in graph.nodes:
        layer = layer_of(node.op)
        floats = {graph.specs[name].dtype for name in (*node.inputs, *node.outputs) if name and graph.specs[name].dtype.is_float}
        if node.op == "bm::cast":
            between = floats == {f16, bf16}  # the chip converts them to and from f32 only
            rewriter.add(replace(node, inputs=(_wide(rewriter, node.inputs[0], wide, node),)) if between else node)
            continue
        if floats <= set(layer.dtypes) or on_host(graph, node):
            rewriter.add(node)
            continue
        inputs = tuple(_wide(rewriter, name, wide, node) for name in node.inputs)
        made = {name: rewriter.name(f"{name}_f32") for name in node.outputs if graph.specs[name].dtype.is_float}
        specs: Mapping[str, TensorSpec] = {new: TensorSpec(graph.specs[old].shape, f32) for old, new in made.items()}
        rewriter.add(replace(node, inputs=inputs, outputs=tuple(made.get(name, name) for name in node.outputs)), specs)
        for old, new in made.items():
            rewriter.cast(new, old, graph.specs[old].dtype, node)
    return rewriter.graph()


def _wide(rewriter: Rewriter, name: str, wide: dict[str, str], node: Node) -> str:
    spec = rewriter.source.specs[name] if name else None
    if spec is None or not spec.dtype.is_float or spec.dtype == f32:
        return name
    if name not in wide:
        wide[name] = rewriter.name(f"{name}_f32")
        rewriter.cast(name, wide[name], f32, node)
    return wide[name]
