"""Branches and loops whose course is known while importing: loops are written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from bmlang.importers.onnx.families.shapes import cut
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result, as_tensor
from bmlang.importers.onnx.values import Known, Live, Quantised, Unknown, Value, shape_of
from bmlang.layers.arrange import concat
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor

__all__ = ["EAGER"]

TURNS: Final = 4096
"""Turns of a loop that is written out."""


def _if(node: OnnxNode) -> Result:
    condition = bool(node.known(0).reshape(-1)[0])
    return node.run(node.graph("then_branch" if condition else "else_branch"), [])


def _loop(node: OnnxNode) -> Result:
    most = int(node.known(0).reshape(-1)[0]) if node.has(0) else None
    condition: Value | None = node.inputs[1] if len(node.inputs) > 1 else None
    body = node.graph("body")
    states: list[Value | None] = list(node.inputs[2:])
    rows: list[list[Value]] = [[] for _ in range(len(body.output) - 1 - len(states))]
    turn = 0
    if most is not None and most > TURNS and not node.has(1):
        raise NotSupported(f"more than {TURNS} turns")
    while (most is None or turn < most) and _goes_on(condition):
        if turn >= TURNS:
            raise NotSupported(f"more than {TURNS} turns")
        made = node.run(body, [Known(np.array(turn, np.int64)), condition or Known(np.array(True)), *states])
        if any(isinstance(each, Unknown) for each in made):
            return [Unknown() for _ in node.proto.output]
        condition = made[0] if node.has(1) or most is None else None
        states = list(made[1 : 1 + len(states)])
        for row, each in zip(rows, made[1 + len(states) :], strict=True):
            row.append(each)
        turn += 1
    return [*states, *(_stacked(node, row, 0) for row in rows)]


def _goes_on(condition: Value | None) -> bool:
    if condition is None:
        return True
    if not isinstance(condition, Known):
        raise NotSupported("whether the loop goes on depends on numbers that are not known when the model is compiled")
    return bool(condition.array.reshape(-1)[0])


def _stacked(node: OnnxNode, rows: Sequence[Value], axis: int) -> Value:
    """Values of one shape as one, with a dimension more."""
    tensors = [each for each in rows if isinstance(each, Known | Live | Quantised)]
    if not rows or len(tensors) < len(rows):
        raise NotSupported("a loop without turns, or with sequences, that collects its results")
    if all(isinstance(each, Known) for each in tensors):
        return Known(np.stack([each.array for each in tensors if isinstance(each, Known)], axis))
    shape = list(shape_of(tensors[0]))
    shape.insert(axis + len(shape) + 1 if axis < 0 else axis, 1)
    parts = [reshape(_tensor(node, each), shape) for each in tensors]
    return Live(parts[0] if len(parts) == 1 else concat(parts, axis), tensors[0].element)


def _tensor(node: OnnxNode, value: Known | Live | Quantised) -> Tensor:
    return as_tensor(node.tracer, value.array, "state") if isinstance(value, Known) else value.tensor


def _scan(node: OnnxNode) -> Result:
    """Version 8 has a batch and lengths in front, and every scan along the second dimension; from 9 on these are attributes."""
    old = node.opset < 9
    inputs = list(node.inputs[1:] if old else node.inputs)
    if old and (node.has(0) or any(shape_of(_there(each))[0] != 1 for each in inputs)):
        raise NotSupported("scans over a batch (version 8)")
    many = node.integer("num_scan_inputs")
    body = node.graph("body")
    states: list[Value | None] = [_row(each, 0, 0) if old else each for each in inputs[: len(inputs) - many]]
    scanned = [_there(_row(each, 0, 0) if old else each) for each in inputs[len(inputs) - many :]]
    axes = [axis % len(shape_of(each)) for axis, each in zip(node.integers("scan_input_axes", [0] * many), scanned, strict=True)]
    backwards = node.integers("directions" if old else "scan_input_directions", [0] * many)
    results = len(body.output) - len(states)
    turns = shape_of(scanned[0])[axes[0]]
    rows: list[list[Value]] = [[] for _ in range(results)]
    for turn in range(turns):
        parts = [_row(each, axis, turns - 1 - turn if back else turn) for each, axis, back in zip(scanned, axes, backwards, strict=True)]
        made = node.run(body, [*states, *parts])
        if any(isinstance(each, Unknown) for each in made):
            return [Unknown() for _ in node.proto.output]
        states = list(made[: len(states)])
        for row, each in zip(rows, made[len(states) :], strict=True):
            row.append(each)
    out_axes = node.integers("scan_output_axes", [0] * results)
    reverse = node.integers("scan_output_directions", [0] * results)
    collected = [_stacked(node, row[::-1] if back else row, axis) for row, axis, back in zip(rows, out_axes, reverse, strict=True)]
    found = [_there(each) for each in (*states, *collected)]
    return [_stacked(node, [each], 0) for each in found] if old else found


def _there(value: Value | None) -> Known | Live | Quantised:
    if not isinstance(value, Known | Live | Quantised):
        raise NotSupported("scans over what is no tensor")
    return value


def _row(value: Value | None, axis: int, place: int) -> Value:
    """One element along a dimension, which is dropped."""
    given = _there(value)
    if isinstance(given, Known):
        return Known(np.take(given.array, place, axis))
    part = cut(given.tensor, axis, place, 1)
    return Live(reshape(part, [size for each, size in enumerate(part.shape) if each != axis]), given.element)


EAGER: Final[Mapping[str, Handler]] = {"If": _if, "Loop": _loop, "Scan": _scan}
