"""Tensors seen with another shape: nothing is computed and nothing moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Layer
from bmlang.layers.errors import ShapeError
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import DTYPES
from tpukernel.lang.signature import TensorSpec

__all__ = ["Reshape", "reshape"]


@register
class Reshape(Layer):
    """x with another shape of as many elements; one size may be -1."""

    name = "bm::reshape"
    defaults: Mapping[str, object] = {"shape": ...}
    dtypes = tuple(DTYPES.values())
    alias = True

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        shape = cast("tuple[int, ...]", attrs["shape"])
        known = prod(size for size in shape if size != -1)
        elements = prod(x.shape)
        if shape.count(-1) > 1 or (-1 in shape and elements % known) or (-1 not in shape and known != elements):
            raise ShapeError(f"x {list(x.shape)} cannot have the shape {list(shape)}", position=here(), help=f"it has {elements} elements")
        return TensorSpec(tuple(elements // known if size == -1 else size for size in shape), x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        return x.reshape(cast("tuple[int, ...]", attrs["shape"]))


def reshape(x: Operand, shape: Sequence[int]) -> Tensor:
    """x with another shape of as many elements, in the same order; one size may be -1."""
    return apply("bm::reshape", x, shape=tuple(shape))
