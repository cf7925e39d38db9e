"""Elements chosen by their values, on the host: how many there are depends on the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.host import OWN
from bmlang.host.selection import FILL_UP, MASKED_SELECT, NONZERO, REAL_SHAPE, UNIQUE, FillUp, MaskedSelect
from bmlang.layers.base import Bounds, HostUse
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.host import HostOperator
from bmlang.layers.pointwise import broadcast_shape
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, apply_many, here
from tpukernel.dtypes import Dtype, f32, i32, u32
from tpukernel.lang.signature import TensorSpec

__all__ = ["fill_up", "masked_select", "nonzero", "real_shape", "unique"]

OFFICIAL_RANK = 5
"""Dimensions up to which the official library finds elements that are not 0."""


def _given(spec: TensorSpec | None) -> TensorSpec:
    assert spec is not None  # noqa: S101
    return spec


class _Selection(HostOperator):
    """The first dimension of the output depends on data."""

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [(0,)]

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        return b""


@register
class Nonzero(_Selection):
    """The indices of the elements that are not 0."""

    name = "bm::nonzero"
    operator, official = OWN + NONZERO, (f32,)
    through = (*HostOperator.through, i32, u32)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x = _given(inputs[0])
        if not x.shape:
            raise ShapeError("nonzero of a single number", position=here(), help="give a tensor of one dimension or more")
        return TensorSpec((prod(x.shape), len(x.shape)), i32)

    def is_official(self, use: HostUse) -> bool:
        return super().is_official(use) and len(use.spec(0).shape) <= OFFICIAL_RANK


@register
class MaskedSelectLayer(_Selection):
    """The elements of x where a mask is not 0."""

    name = "bm::masked_select"
    inputs = ("x", "mask")
    operator, official = OWN + MASKED_SELECT, (f32, f32)
    through = (*HostOperator.through, i32, u32)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, mask = map(_given, inputs)
        return TensorSpec((prod(broadcast_shape("masked_select", [x, mask])),), x.dtype)

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        return MaskedSelect().data()


@register
class Unique(_Selection):
    """The different elements of x: they, where each comes first, which of them each element is, and how often each comes."""

    name = "bm::unique"
    operator = UNIQUE

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Sequence[TensorSpec]:
        x = _given(inputs[0])
        shape = (prod(x.shape),)
        return [TensorSpec(shape, x.dtype), *(TensorSpec(shape, i32),) * 3]

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [(0,), (0,), (0,) if use.bounds[0] else (), (0,)]


@register
class FillUpLayer(HostOperator):
    """x in the largest shape that it can have, the rest of which has one value."""

    name = "bm::fill_up"
    defaults: Mapping[str, object] = {"value": 0, "shape": ...}
    operator = FILL_UP

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, shape = _given(inputs[0]), cast("tuple[int, ...]", attrs["shape"])
        if len(shape) != len(x.shape) or any(size > most for size, most in zip(x.shape, shape, strict=True)):
            raise ShapeError(f"x {list(x.shape)} filled up to {list(shape)}", position=here(), help="give a shape that holds x")
        _element(attrs["value"], x.dtype)
        return TensorSpec(shape, x.dtype)

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [()]

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        element = _element(attrs["value"], _given(inputs[0]).dtype)
        return FillUp(cast("tuple[int, ...]", attrs["shape"]), element.tobytes()).data()

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Sequence[Array]:
        (x,) = inputs
        assert x is not None  # noqa: S101
        found = np.full(cast("tuple[int, ...]", attrs["shape"]), attrs["value"], x.dtype)
        found[tuple(map(slice, x.shape))] = x
        return [found]


def _element(value: Attribute, dtype: Dtype) -> Array:
    """A number as an element.

    Raises:
        OperatorArgumentError: the data type does not have it.
    """
    if not isinstance(value, int | float) or (dtype.is_int and not (value == int(value) and dtype.limits[0] <= value <= dtype.limits[1])):
        raise OperatorArgumentError(f"{value!r} is no {dtype.name}", position=here(), help="give a number that x can have")
    return np.asarray(value).astype(dtype.numpy)


@register
class RealShape(HostOperator):
    """The shape that x really has."""

    name = "bm::real_shape"
    operator = REAL_SHAPE

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        return TensorSpec((max(len(_given(inputs[0]).shape), 1),), i32)

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [()]

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        return b""


def nonzero(x: Operand) -> Tensor:
    """The indices of all elements that are not 0, in order: i32 (count, rank of x). On the host; the count depends on the data."""
    return apply("bm::nonzero", x)


def masked_select(x: Operand, mask: Operand) -> Tensor:
    """The elements of x where a mask is not 0, as one line. On the host; how many there are depends on the data.

    Args:
        x: any data type.
        mask: any data type; both are broadcast as in numpy. Where both are f32, the official runtime can do it, too.
    """
    return apply("bm::masked_select", x, mask)


def unique(x: Operand) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The different elements of x (as one line) in order, as ONNX's Unique. On the host; how many there are depends on the data.

    Returns:
        The elements; for each the index (i32) where it comes first; for each element of x the place of its value among the first output
        (i32); for each how often it comes (i32).
    """
    values, first, places, counts = apply_many("bm::unique", x)
    return values, first, places, counts


def fill_up(x: Tensor, value: float = 0, shape: Sequence[int] | None = None) -> Tensor:
    """x at the begin of a tensor of a fixed shape, the rest of which is filled. On the host.

    It ends what depends on data: behind it the TPU goes on, with as many elements as there can be.

    Args:
        x: any data type.
        value: of the rest.
        shape: as many sizes as x has, none smaller than the largest that x can have, which they are by default.
    """
    return apply("bm::fill_up", x, value=value, shape=x.shape if shape is None else tuple(shape))


def real_shape(x: Operand) -> Tensor:
    """The shape that x has, i32 (rank of x): what depends on data is there as it is this time. On the host."""
    return apply("bm::real_shape", x)
