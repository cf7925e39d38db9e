"""Sequences and optional values: they exist while importing only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from bmlang.importers.onnx.families.shapes import cut
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result, as_tensor
from bmlang.importers.onnx.values import Items, Known, Live, Quantised, Value, shape_of
from bmlang.layers.arrange import concat
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor

__all__ = ["EAGER"]


def _items(node: OnnxNode, index: int = 0) -> tuple[Value, ...]:
    found = node.inputs[index] if index < len(node.inputs) else None
    if not isinstance(found, Items):
        node.wrong(f"input {index} is no sequence")
    return found.items


def _place(node: OnnxNode, index: int, count: int, default: int) -> int:
    """A position in a sequence, counted from the front."""
    place = int(node.known(index).reshape(-1)[0]) if node.has(index) else default
    return place + count if place < 0 else place


def _at(node: OnnxNode) -> Result:
    items = _items(node)
    return items[_place(node, 1, len(items), 0)]


def _construct(node: OnnxNode) -> Result:
    return Items(tuple(each for each in node.inputs if each is not None))


def _insert(node: OnnxNode) -> Result:
    items = list(_items(node))
    items.insert(_place(node, 2, len(items), len(items)), node.value(1))
    return Items(tuple(items))


def _erase(node: OnnxNode) -> Result:
    items = list(_items(node))
    del items[_place(node, 1, len(items), len(items) - 1)]
    return Items(tuple(items))


def _length(node: OnnxNode) -> Result:
    return np.array(len(_items(node)), np.int64)


def _tensors(node: OnnxNode) -> list[Tensor]:
    found: list[Tensor] = []
    for each in _items(node):
        if not isinstance(each, Known | Live | Quantised):
            raise NotSupported("a sequence of sequences")
        found.append(as_tensor(node.tracer, each.array, "item") if isinstance(each, Known) else each.tensor)
    return found


def _joined(node: OnnxNode) -> Result:
    items = _items(node)
    axis = node.integer("axis")
    known = [each.array for each in items if isinstance(each, Known)]
    if len(known) == len(items):
        return np.stack(known, axis) if node.integer("new_axis", 0) else np.concatenate(known, axis)
    tensors = _tensors(node)
    if node.integer("new_axis", 0):
        axis %= tensors[0].ndim + 1
        tensors = [reshape(each, (*each.shape[:axis], 1, *each.shape[axis:])) for each in tensors]
    found = tensors[0] if len(tensors) == 1 else concat(tensors, axis)
    return Live(found, items[0].element) if isinstance(items[0], Live) else found


def _split(node: OnnxNode) -> Result:
    axis = node.axis(0)
    size = node.shape(0)[axis]
    given = node.optional_known(1)
    keep = True
    if given is None:
        sizes, keep = [1] * size, bool(node.integer("keepdims", 1))
    elif given.ndim == 0:
        each = int(given.item())
        sizes = [min(each, size - start) for start in range(0, size, each)]
    else:
        sizes = [int(each) for each in given]
    found, start = list[Value](), 0
    for each in sizes:
        found.append(_part(node, axis, start, each, keep))
        start += each
    return Items(tuple(found))


def _part(node: OnnxNode, axis: int, start: int, size: int, keep: bool) -> Value:
    value = node.value(0)
    shape = list(shape_of(value))
    shape[axis : axis + 1] = [size] if keep else []
    if isinstance(value, Known):
        return Known(np.take(value.array, range(start, start + size), axis).reshape(shape))
    part = cut(value.tensor, axis, start, size)
    return Live(part if keep else reshape(part, shape), value.element)


def _optional(node: OnnxNode) -> Result:
    return Items((node.inputs[0],)) if node.inputs and node.inputs[0] is not None else Items(())


def _has_element(node: OnnxNode) -> Result:
    found = node.inputs[0] if node.inputs else None
    return np.array(bool(found.items) if isinstance(found, Items) else found is not None)


def _get_element(node: OnnxNode) -> Result:
    found = node.inputs[0]
    if isinstance(found, Items):
        if not found.items:
            node.wrong("its input is empty")
        return found.items[0]
    return found


EAGER: Final[Mapping[str, Handler]] = {
    "ConcatFromSequence": _joined,
    "Optional": _optional,
    "OptionalGetElement": _get_element,
    "OptionalHasElement": _has_element,
    "SequenceAt": _at,
    "SequenceConstruct": _construct,
    "SequenceEmpty": lambda node: Items(()),
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SequenceLength": _length,
    "SplitToSequence": _split,
}
