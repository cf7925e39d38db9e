"""Running sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import axis_of
from bmlang.layers.base import FLOATS, Layer
from bmlang.layers.matmul import matmul
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["Cumsum", "cumsum"]


@register
class Cumsum(Layer):
    """The sum of all elements of x up to each one along a dimension: a product with a triangle of ones, in f32."""

    name = "bm::cumsum"
    defaults: Mapping[str, object] = {"axis": ...}
    dtypes = (f32,)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axis_of("cumsum", len(x.shape), attrs["axis"])
        return TensorSpec(x.shape, common_dtype("cumsum", [x], FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        return np.cumsum(x.astype(np.float64), cast("int", attrs["axis"]))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axis = axis_of("cumsum", x.ndim, attrs["axis"])
        outer, size, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
        triangle = np.tril(np.ones((size, size), np.float32))
        if inner == 1:
            return reshape(matmul(reshape(x, (outer, size)), np.ascontiguousarray(triangle.T)), x.shape)
        return reshape(apply("bm::matmul", triangle, reshape(x, (outer, size, inner))), x.shape)


def cumsum(x: Operand, axis: int) -> Tensor:
    """The sum of all elements of x up to each one along a dimension, in f32, in a time that grows with the square of the dimension."""
    return apply("bm::cumsum", x, axis=axis)
