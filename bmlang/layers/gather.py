"""Elements and rows that an index names: embeddings, selections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import axis_of
from bmlang.layers.base import Call, Layer
from bmlang.layers.errors import OperatorDtypeError
from bmlang.layers.registry import register
from bmlang.layers.system import System
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import DTYPES, i32, u32
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec

__all__ = ["Gather", "embedding", "gather"]

LARGEST = 65535
"""Indices, and elements of a line, of one command."""


@register
class Gather(Layer):
    """The parts of x along a dimension that an index names; zeros where it names none."""

    name = "bm::gather"
    inputs = ("x", "index")
    defaults: Mapping[str, object] = {"axis": 0}
    dtypes = tuple(DTYPES.values())

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        axis = axis_of("gather", len(x.shape), attrs["axis"])
        if index.dtype not in (i32, u32):
            raise OperatorDtypeError(f"index of gather is {index.dtype.name}", position=here(), help="convert it to i32 with bm.cast")
        return TensorSpec((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, index = inputs
        assert x is not None and index is not None  # noqa: S101
        axis = axis_of("gather", x.ndim, attrs["axis"])
        wide = index.astype(np.int64)
        inside = (wide >= 0) & (wide < x.shape[axis])
        found = np.take(x, np.where(inside, wide, 0), axis)
        shape = (1,) * axis + index.shape + (1,) * (x.ndim - axis - 1)
        return np.where(inside.reshape(shape), found, np.zeros((), x.dtype))

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x, index) = outs, ins
        assert x is not None and index is not None  # noqa: S101
        shape = x.spec.shape
        axis = axis_of("gather", len(shape), call.attrs["axis"])
        outer, size, inner, count = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]), prod(index.spec.shape)
        for first in range(0, count, LARGEST):
            many = min(LARGEST, count - first)
            places = index.view(first, (1, 1, many, 1), u32)
            for block in range(outer):
                for begin in range(0, inner, LARGEST):
                    width = min(LARGEST, inner - begin)
                    target = out.view(block * count * inner, (1, 1, count, inner))[:, :, first : first + many, begin : begin + width]
                    source = x.view(block * size * inner, (1, 1, size, inner))[:, :, :, begin : begin + width]
                    k.dma.gather(target, source, places)


def gather(x: Operand, index: Operand, axis: int = 0) -> Tensor:
    """The parts of x along a dimension that an index names: x.shape[:axis] + index.shape + x.shape[axis + 1:].

    Args:
        x: any data type.
        index: i32 or u32 of any shape, counted from 0. Where it names nothing (below 0, too large) the result is 0.
        axis: the dimension.
    """
    return apply("bm::gather", x, index, axis=axis)


def embedding(index: Operand, table: Operand) -> Tensor:
    """The rows of a table (rows, width) that an index names: index.shape + (width,)."""
    return apply("bm::gather", table, index, axis=0)
