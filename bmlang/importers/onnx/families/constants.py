"""Operators that say something about the model itself, or that only pass on what they get."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

import numpy as np

from bmlang.importers.onnx.elements import BOOL, ELEMENTS, INT64, Element
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.sizes import known_sizes
from bmlang.importers.onnx.values import Live
from bmlang.layers import compare
from bmlang.layers.cast import cast
from bmlang.layers.elementwise import abs
from bmlang.layers.tensor import Tensor

__all__ = ["EAGER", "TABLE"]


def _shape(node: OnnxNode) -> Result:
    sizes = node.shape(0)
    rank = len(sizes)
    start, end = node.integer("start", 0), node.integer("end", rank)
    return known_sizes(sizes[max(start + rank, 0) if start < 0 else start : end + rank if end < 0 else end])


def _size(node: OnnxNode) -> Result:
    return known_sizes(np.array(prod(node.shape(0)), np.object_))


def _identity(node: OnnxNode) -> Result:
    return node.inputs[0]


def _cast(node: OnnxNode) -> Result:
    return converted(node, ELEMENTS.get(node.integer("to"), ELEMENTS[8]))


def _cast_like(node: OnnxNode) -> Result:
    return converted(node, node.element(1))


def converted(node: OnnxNode, element: Element) -> Result:
    """The first input as numbers of another type."""
    x = node.tensor(0)
    if element.dtype is None or element.number > 20:
        raise NotSupported(f"numbers of type {element.name}")
    if element is node.element(0):
        return node.value(0)
    if element is BOOL:
        return node.boolean(_truth(x))
    if node.is_bool(0) or x.dtype == element.dtype:
        return Live(x if x.dtype == element.dtype else cast(x, element.dtype), element)
    if x.dtype.is_int and element.dtype.is_int and element.dtype.bits <= x.dtype.bits and element is not INT64:
        raise NotSupported(
            f"integers of type {element.name} of those of type {node.element(0).name}: larger ones would be limited, not cut"
        )
    return Live(cast(x, element.dtype, "towards_zero" if element.dtype.is_int else "half_to_even"), element)


def _truth(x: Tensor) -> Tensor:
    """1 where x is not 0."""
    if x.dtype.is_int:
        return compare.ne(x, 0)
    return compare.ne(abs(x), 0.0)


TABLE: Final[Mapping[str, Handler]] = {"Cast": _cast, "CastLike": _cast_like}
EAGER: Final[Mapping[str, Handler]] = {"Identity": _identity, "Shape": _shape, "Size": _size}
"""These know their result, or pass on what they get, whether it is known or not."""
