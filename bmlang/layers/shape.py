"""Tensors seen with another shape: nothing is computed and nothing moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.dims import is_one
from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Layer
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, as_tensor, here
from tpukernel.dtypes import DTYPES
from tpukernel.lang.signature import TensorSpec

__all__ = ["Reshape", "flatten", "reshape", "shape_fetch", "squeeze", "unsqueeze"]


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


def squeeze(x: Tensor, axis: int | Sequence[int] | None = None) -> Tensor:
    """x without dimensions of size 1: those named, or all."""
    dropped = _axes("squeeze", x.ndim, axis) if axis is not None else {each for each, size in enumerate(x.shape) if is_one(size)}
    if any(x.shape[each] != 1 for each in dropped):
        raise ShapeError(f"x {list(x.shape)} without dimensions {sorted(dropped)}", position=here(), help="name dimensions of size 1")
    return reshape(x, [size for each, size in enumerate(x.shape) if each not in dropped] or [1])


def unsqueeze(x: Tensor, axis: int | Sequence[int]) -> Tensor:
    """x with dimensions of size 1 more, at these places of the result."""
    rank = x.ndim + (1 if isinstance(axis, int) else len(axis))
    added, sizes = _axes("unsqueeze", rank, axis), iter(x.shape)
    return reshape(x, [1 if each in added else next(sizes) for each in range(rank)])


def shape_fetch(x: Tensor, begin: int = 0, end: int | None = None, step: int = 1) -> Tensor:
    """The sizes of the dimensions begin, begin + step, ... up to `end` of x, i32: a constant of the function."""
    sizes = x.shape[begin:end:step]
    if not sizes:
        raise OperatorArgumentError(f"shape_fetch of dimensions {begin} to {end} of {x!r}", position=here(), help="name one or more")
    return as_tensor(np.array(sizes, np.int32), x)


def flatten(x: Tensor, start: int = 0, end: int = -1) -> Tensor:
    """x with the dimensions from `start` to `end` as one."""
    (first,), (last,) = _axes("flatten", x.ndim, start), _axes("flatten", x.ndim, end)
    if first > last:
        raise OperatorArgumentError(f"flatten from dimension {start} to {end}", position=here(), help="start comes before end")
    return reshape(x, (*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def _axes(name: str, rank: int, axis: int | Sequence[int]) -> set[int]:
    """Dimensions, counted from the front."""
    given = [axis] if isinstance(axis, int) else list(axis)
    if not all(-rank <= each < rank for each in given) or len({each % rank for each in given}) < len(given):
        raise OperatorArgumentError(f"axis {axis!r} of {name}", position=here(), help=f"give each once, from 0 to {rank - 1}")
    return {each % rank for each in given}
