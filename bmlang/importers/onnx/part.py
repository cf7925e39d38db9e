"""A part of a model: from some of its tensors to some others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bmlang.importers.onnx.errors import OnnxInputError
from bmlang.importers.onnx.reader import Source, taken

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, ValueInfoProto

__all__ = ["part_of"]


def part_of(source: Source, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> Source:
    """The part of a model that makes `outputs` of `inputs`, in this order; by default those of the model.

    Args:
        source: the model.
        inputs: tensors that will be given; what makes them is left out.
        outputs: tensors that are wanted; what only others need is left out.

    Raises:
        OnnxInputError: there is no such tensor, an input is not needed, or more is needed than what is given.
    """
    if inputs is None and outputs is None:
        return source
    from onnx import ModelProto

    graph = source.model.graph
    constants = {each.name for each in graph.initializer} | {each.values.name for each in graph.sparse_initializer}
    declared = {each.name: each for each in graph.input if each.name not in constants}
    made = {name: node for node in graph.node for name in node.output if name}
    wanted = [each.name for each in graph.output] if outputs is None else list(outputs)
    given = list(declared) if inputs is None else list(inputs)
    for name in (*wanted, *given):
        if name not in made and name not in declared:
            near = get_close_matches(name, [*made, *declared], 3)
            raise OnnxInputError(f"{source.name} has no tensor {name!r}", help=f"did you mean {' or '.join(near)}?" if near else None)
    nodes, used = _needed(graph, made, wanted, given)
    if missing := [name for name in declared if name in used and name not in given]:
        raise OnnxInputError(f"{', '.join(wanted)} of {source.name} needs the input {missing[0]!r}, too", help="add it to the inputs")
    if unused := [name for name in given if inputs is not None and name not in used and name not in wanted]:
        raise OnnxInputError(f"{', '.join(wanted)} of {source.name} does not need {unused[0]!r}", help="leave it out of the inputs")
    model = ModelProto()
    model.CopyFrom(source.model)
    del model.graph.node[:], model.graph.input[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    known = {each.name: each for each in (*graph.value_info, *graph.output, *graph.input)}
    inner = [name for name in given if name not in declared and name not in known]
    known |= _inferred(source) if inner else {}
    for name in given:
        if name in used or name in wanted:
            if name not in known:
                raise OnnxInputError(f"nobody knows shape and type of {name!r} of {source.name}", help="export the model with shapes")
            model.graph.input.append(known[name])
    for name in wanted:
        model.graph.output.append(known[name] if name in known else _unknown(name))
    kept = [each for each in model.graph.initializer if each.name in used and each.name not in given]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return replace(source, model=model)


def _needed(graph: GraphProto, made: dict[str, NodeProto], wanted: Sequence[str], given: Sequence[str]) -> tuple[list[NodeProto], set[str]]:
    """The nodes between given and wanted tensors, in the order of the file, and the names that they take."""
    kept, used, stack = set[int](), set[str](), [name for name in wanted if name not in given]
    places = {id(node): place for place, node in enumerate(graph.node)}
    while stack:
        node = made.get(stack.pop())
        if node is None or places[id(node)] in kept:
            continue
        kept.add(places[id(node)])
        names = taken(node)
        used |= names
        stack += [name for name in names if name not in given]
    return [node for place, node in enumerate(graph.node) if place in kept], used


def _inferred(source: Source) -> dict[str, ValueInfoProto]:
    """Shapes and types that follow from those of the inputs."""
    from onnx import shape_inference

    try:
        inferred = shape_inference.infer_shapes(source.model, data_prop=True)
    except (RuntimeError, ValueError, shape_inference.InferenceError):
        return {}  # the caller says which tensor it is whose shape nobody knows
    return {each.name: each for each in inferred.graph.value_info}


def _unknown(name: str) -> ValueInfoProto:
    from onnx import ValueInfoProto

    return ValueInfoProto(name=name)
