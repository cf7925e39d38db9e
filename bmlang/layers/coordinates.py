"""What an index names by several coordinates at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast as typed

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Layer
from bmlang.layers.cast import cast
from bmlang.layers.compare import ge, lt
from bmlang.layers.elementwise import max
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.gather import gather
from bmlang.layers.indices import wide_index
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply, as_tensor, here
from tpukernel.dtypes import i32, u32
from tpukernel.lang.signature import TensorSpec

__all__ = ["FlatIndex", "gather_nd", "scatter_nd"]

NOWHERE = 2**31 - 1
"""What stands for coordinates that name nothing."""


@register
class FlatIndex(Layer):
    """Coordinates (..., k) in a box of k sizes as one number, the last one fastest; the largest of i32 where they are outside."""

    name = "bm::flat_index"
    inputs = ("indices",)
    defaults: Mapping[str, object] = {"sizes": ...}
    dtypes = (i32,)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (indices,) = inputs
        sizes = typed("tuple[int, ...]", attrs["sizes"])
        assert indices is not None  # noqa: S101
        if not indices.shape or indices.shape[-1] != len(sizes) or prod(sizes) > NOWHERE or indices.dtype != i32:
            raise ShapeError(
                f"indices {indices.dtype.name}{list(indices.shape)} of an element of {list(sizes)}",
                position=here(),
                help="give i32 (..., k), of no more coordinates than there are dimensions, and fewer than 2 ** 31 elements",
            )
        return TensorSpec(indices.shape[:-1] or (1,), i32)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (indices,) = inputs
        assert indices is not None  # noqa: S101
        sizes = np.array(attrs["sizes"], np.int64)
        places = indices.astype(np.int64)
        places = np.where(places < 0, places + sizes, places)
        inside = ((places >= 0) & (places < sizes)).all(-1)
        flat = (places * np.append(np.cumprod(sizes[:0:-1])[::-1], 1)).sum(-1)
        return np.where(inside, flat, NOWHERE)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (indices,) = inputs
        assert indices is not None  # noqa: S101
        sizes = typed("tuple[int, ...]", attrs["sizes"])
        flat: Tensor | None = None
        outside: Tensor | None = None
        for place, size in enumerate(sizes):
            number = reshape(indices[..., place : place + 1], indices.shape[:-1] or (1,))
            number = number + lt(number, 0) * size
            wrong = max(lt(number, 0), ge(number, size))
            stride = prod(sizes[place + 1 :])
            part = number if stride == 1 else number * stride
            flat, outside = (part, wrong) if flat is None or outside is None else (flat + part, max(outside, wrong))
        assert flat is not None and outside is not None  # noqa: S101
        return max(flat, outside * NOWHERE)


def _flat(name: str, x: Tensor, indices: Operand, batch: int = 0) -> Tensor:
    """Coordinates as rows of x behind its first dimensions."""
    wide = as_tensor(wide_index(indices), x)
    if wide.dtype == u32:
        wide = cast(wide, i32)
    last = wide.shape[-1] if wide.ndim else 0
    if not batch < wide.ndim or not 0 < last <= x.ndim - batch or wide.shape[:batch] != x.shape[:batch]:
        raise ShapeError(
            f"{name} of x {list(x.shape)} with indices {list(wide.shape)}",
            position=here(),
            help="the last dimension of the indices has a number for each of the first dimensions of x",
        )
    flat = apply("bm::flat_index", wide, sizes=x.shape[batch : batch + last])
    if batch == 0:
        return flat
    rows = prod(x.shape[:batch])
    begin = np.arange(rows, dtype=np.int64) * prod(x.shape[batch : batch + last])
    return reshape(flat, (rows, -1)) + begin.astype(np.int32).reshape(-1, 1)


def gather_nd(x: Tensor, indices: Operand, batch_dims: int = 0) -> Tensor:
    """The parts of x that indices name: out[i] = x[tuple(indices[i])].

    Args:
        x: any data type.
        indices: integers (..., k): the first k coordinates, counted from 0, or from the end below 0. Where they name nothing the result
            is 0.
        batch_dims: so many of the first dimensions are those of x and of indices; the coordinates are those behind them.
    """
    if not 0 <= batch_dims < x.ndim:
        raise OperatorArgumentError(f"gather_nd with batch_dims {batch_dims!r}", position=here(), help=f"give 0 to {x.ndim - 1}")
    flat = _flat("gather_nd", x, indices, batch_dims)
    shape = indices.shape if isinstance(indices, Tensor) else np.shape(indices)
    behind = x.shape[batch_dims + shape[-1] :]
    found = gather(reshape(x, (-1, prod(behind))), reshape(flat, (-1,)), 0)
    return reshape(found, (*shape[:-1], *behind) or (1,))


def scatter_nd(x: Tensor, indices: Operand, updates: Operand) -> Tensor:
    """x with other parts where indices name them: out[tuple(indices[i])] = updates[i]; of several for one place the last one counts.

    Args:
        x: any data type.
        indices: integers (..., k): the first k coordinates, counted from 0, or from the end below 0. Where they name nothing, nothing
            is put.
        updates: indices.shape[:-1] + x.shape[k:], of the type of x.
    """
    flat, values = _flat("scatter_nd", x, indices), as_tensor(updates, x)
    shape = indices.shape if isinstance(indices, Tensor) else np.shape(indices)
    wanted = (*shape[:-1], *x.shape[shape[-1] :])
    if values.shape != wanted:
        raise ShapeError(f"scatter_nd of x {list(x.shape)} with updates {list(values.shape)}", position=here(), help=f"give {list(wanted)}")
    width = prod(x.shape[shape[-1] :])
    found = apply("bm::scatter_rows", reshape(x, (-1, width)), reshape(flat, (-1,)), reshape(values, (-1, width)))
    return reshape(found, x.shape)
