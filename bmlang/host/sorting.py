"""Sorting: the largest elements, whole lines in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmlang.host.errors import CpuOperatorError
from bmlang.host.registry import OWN, Array, Parameters, cpu_operator, same_types

__all__ = ["SORT", "SORT_BY_KEY", "TOPK", "Sort", "TopK", "order", "sort", "sort_by_key", "topk", "topk_up_to"]

TOPK, SORT, SORT_BY_KEY = 17, 20, OWN + 1000


@dataclass(frozen=True)
class TopK(Parameters):
    """libsophon's `cpu_topk_param_t`.

    Attributes:
        k: how many, -1 for all.
        axis: along which dimension.
        by_value: sorted by value, else by index.
        descending: the largest first. The official library of tpu-mlir 1.30 was seen to return the largest also where this is false.
        values_used_only: what a single output is (see `topk`); without effect on two.
    """

    k: int
    axis: int
    by_value: bool = True
    descending: bool = True
    values_used_only: bool = False
    title = "topk"
    layout = "<ii???x"


@dataclass(frozen=True)
class Sort(Parameters):
    """libsophon's `cpu_sort_per_dim_param_t`.

    Attributes:
        axis: along which dimension.
        indices_only: there is no second output.
        stable: equal elements keep their order; here they always do.
        descending: the largest first.
    """

    axis: int
    indices_only: bool = False
    stable: bool = True
    descending: bool = False
    title = "sort"
    layout = "<i???x"


def order(x: Array, axis: int, *, descending: bool) -> NDArray[np.intp]:
    """The indices (int64) that sort x along a dimension. Equal elements keep their order; a NaN counts as larger than any number."""
    # numpy sorts what it does not know itself (bfloat16) not stably
    keys = x.astype(np.float32) if x.dtype.kind == "V" else x
    if not descending:
        return np.argsort(keys, axis=axis, kind="stable")
    backwards = np.argsort(np.flip(keys, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - backwards, axis)


def _axis(title: str, x: Array, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim:
        raise CpuOperatorError(f"{title} along axis {axis} of shape {x.shape} is not possible")
    return axis % x.ndim


@cpu_operator(TOPK)
def topk(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The k largest (or smallest) elements along an axis, and their indices; of equal ones the first comes first.

    Raises:
        CpuOperatorError: there is not one float32 input, or the parameters do not fit it.
    """
    given = TopK.read(parameters)
    same_types("topk", inputs, ["float32"])
    (x,) = inputs
    if -x.ndim <= given.axis < x.ndim and not (given.k == -1 or 0 <= given.k <= x.shape[given.axis]):
        raise CpuOperatorError(f"topk of {given.k} along axis {given.axis} of shape {x.shape} is not possible")
    return _largest(given, x)


@cpu_operator(OWN + TOPK)
def topk_up_to(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """As `topk`, for every data type; where there are fewer than k elements, of all of them.

    Raises:
        CpuOperatorError: there is not one input, or the parameters do not fit it.
    """
    given = TopK.read(parameters)
    same_types("topk", inputs, [None])
    if given.k < -1:
        raise CpuOperatorError(f"topk of {given.k} is not possible")
    return _largest(given, inputs[0])


def _largest(given: TopK, x: Array) -> Sequence[Array]:
    axis = _axis("topk", x, given.axis)
    count = x.shape[axis] if given.k == -1 else min(given.k, x.shape[axis])
    indices = np.take(order(x, axis, descending=given.descending), range(count), axis=axis)
    if not given.by_value:
        indices = np.sort(indices, axis=axis)
    return np.take_along_axis(x, indices, axis=axis), indices.astype(np.int32)


@cpu_operator(SORT)
def sort(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """Lines of float32 in order: their indices (int32), then the elements unless only the indices are wanted.

    Raises:
        CpuOperatorError: there is not one float32 input, or the parameters do not fit it.
    """
    same_types("sort", inputs, ["float32"])
    return sort_any(parameters, inputs)


@cpu_operator(OWN + SORT)
def sort_any(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """As `sort`, for every data type."""
    given = Sort.read(parameters)
    same_types("sort", inputs, [None])
    (x,) = inputs
    axis = _axis("sort", x, given.axis)
    indices = order(x, axis, descending=given.descending)
    found = [indices.astype(np.int32)]
    return found if given.indices_only else [*found, np.take_along_axis(x, indices, axis=axis)]


@cpu_operator(SORT_BY_KEY)
def sort_by_key(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The parts of x along an axis in the order in which a key (of one dimension) is sorted, and the sorted key.

    Raises:
        CpuOperatorError: the key does not fit x, or the parameters do not.
    """
    given = Sort.read(parameters)
    same_types("sort_by_key", inputs, [None, None])
    x, key = inputs
    axis = _axis("sort_by_key", x, given.axis)
    if key.shape != (x.shape[axis],):
        raise CpuOperatorError(f"sort_by_key has a key of shape {key.shape} for axis {axis} of shape {x.shape}")
    indices = order(key, 0, descending=given.descending)
    return np.take(x, indices, axis=axis), key[indices]
