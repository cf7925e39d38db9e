"""Sorting along a dimension, on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from bmlang.graph.graph import Attribute
from bmlang.host import OWN
from bmlang.host.sorting import SORT, SORT_BY_KEY, TOPK, Sort, TopK
from bmlang.layers.arrange import axis_of
from bmlang.layers.arrange import slice as take
from bmlang.layers.base import Bounds, HostUse
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.gather import gather
from bmlang.layers.host import HostOperator
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, apply_many, here
from tpukernel.dtypes import f32, i32
from tpukernel.lang.signature import TensorSpec

__all__ = ["argsort", "sort", "sort_by_key", "topk"]


def _given(spec: TensorSpec | None) -> TensorSpec:
    assert spec is not None  # noqa: S101
    return spec


@register
class TopKLayer(HostOperator):
    """The k largest or smallest elements along a dimension, and their indices."""

    name = "bm::topk"
    defaults: Mapping[str, object] = {"k": ..., "axis": -1, "largest": True, "in_order": True}
    operator, official = OWN + TOPK, (f32,)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Sequence[TensorSpec]:
        x, k = _given(inputs[0]), attrs["k"]
        axis = axis_of("topk", len(x.shape), attrs["axis"])
        if not isinstance(k, int) or not 1 <= k <= x.shape[axis]:
            raise OperatorArgumentError(
                f"the {k!r} largest of {x.shape[axis]} elements", position=here(), help=f"give k from 1 to {x.shape[axis]}"
            )
        shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
        return [TensorSpec(shape, x.dtype), TensorSpec(shape, i32)]

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [use.bounds[0]] * 2

    def is_official(self, use: HostUse) -> bool:
        # the official operator takes the smallest for the largest, and as many as it is told to, whatever is there
        return super().is_official(use) and bool(use.attrs["largest"]) and not use.bounds[0]

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Sequence[Tensor] | None:
        """The smallest are the first of all in order."""
        (x,) = inputs
        if x is None or attrs["largest"] or not attrs["in_order"] or x.dtype not in (f32, *self.through):
            return super().decompose(inputs, attrs)
        axis, start = axis_of("topk", x.ndim, attrs["axis"]), [0] * x.ndim
        size = [cast("int", attrs["k"]) if place == axis else size for place, size in enumerate(x.shape)]
        return [take(each, start, size) for each in sort(x, axis)]

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        axis = axis_of("topk", len(_given(inputs[0]).shape), attrs["axis"])
        return TopK(cast("int", attrs["k"]), axis, bool(attrs["in_order"]), bool(attrs["largest"])).data()


class _Sorted(HostOperator):
    """A sort, of which the layers below have different outputs."""

    indices_only = False

    def _axis(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> int:
        return axis_of(self.name.removeprefix("bm::"), len(_given(inputs[0]).shape), attrs["axis"])

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [use.bounds[0]] * len(use.outputs)

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        return Sort(self._axis(inputs, attrs), self.indices_only, stable=True, descending=bool(attrs["descending"])).data()


@register
class SortLayer(_Sorted):
    """Lines in order: the indices of their elements, and the elements."""

    name = "bm::sort"
    defaults: Mapping[str, object] = {"axis": -1, "descending": False}
    operator, official = OWN + SORT, (f32,)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Sequence[TensorSpec]:
        x = _given(inputs[0])
        self._axis(inputs, attrs)
        return [TensorSpec(x.shape, i32), x]


@register
class ArgsortLayer(_Sorted):
    """The indices that sort lines."""

    name = "bm::argsort"
    defaults: Mapping[str, object] = {"axis": -1, "descending": False}
    operator, official, indices_only = OWN + SORT, (f32,), True

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        self._axis(inputs, attrs)
        return TensorSpec(_given(inputs[0]).shape, i32)


@register
class SortByKeyLayer(_Sorted):
    """The parts of x along a dimension in the order of a key, and the sorted key."""

    name = "bm::sort_by_key"
    inputs = ("x", "key")
    defaults: Mapping[str, object] = {"axis": -1, "descending": False}
    operator = SORT_BY_KEY

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Sequence[TensorSpec]:
        x, key = map(_given, inputs)
        axis = self._axis(inputs, attrs)
        if key.shape != (x.shape[axis],):
            raise ShapeError(
                f"a key {list(key.shape)} for dimension {axis} of x {list(x.shape)}",
                position=here(),
                help=f"give a key of one dimension with {x.shape[axis]} elements",
            )
        return [x, key]

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return use.bounds

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Sequence[Tensor] | None:
        """The host sorts the key, the TPU follows."""
        x, key = inputs
        if x is None or key is None or key.dtype not in (f32, *self.through):
            return None
        keys, places = sort(key, 0, descending=bool(attrs["descending"]))
        return [gather(x, places, self._axis((x.spec,), attrs)), keys]


def topk(x: Operand, k: int, axis: int = -1, *, largest: bool = True, in_order: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) elements along a dimension, and their indices (i32). On the host; f32 as the official library does it.

    Args:
        x: any data type. Of equal elements the first comes first; a NaN counts as larger than any number.
        k: how many. Where the size of the dimension depends on data, at most so many.
        axis: the dimension.
        largest: the largest, else the smallest.
        in_order: sorted by value, else by index.
    """
    values, indices = apply_many("bm::topk", x, k=k, axis=axis, largest=largest, in_order=in_order)
    return values, indices


def sort(x: Operand, axis: int = -1, *, descending: bool = False) -> tuple[Tensor, Tensor]:
    """x with every line along a dimension in order, and the indices (i32) that the elements had. On the host.

    Equal elements keep their order; a NaN counts as larger than any number.
    """
    indices, values = apply_many("bm::sort", x, axis=axis, descending=descending)
    return values, indices


def argsort(x: Operand, axis: int = -1, *, descending: bool = False) -> Tensor:
    """The indices (i32) that sort x along a dimension; see `sort`. On the host."""
    return apply("bm::argsort", x, axis=axis, descending=descending)


def sort_by_key(x: Operand, key: Operand, axis: int = -1, *, descending: bool = False) -> tuple[Tensor, Tensor]:
    """The parts of x along a dimension in the order in which a key is sorted, and the sorted key. On the host.

    Args:
        x: any data type.
        key: of one dimension, as long as that of x; any data type.
        axis: the dimension of x.
        descending: largest key first.
    """
    values, keys = apply_many("bm::sort_by_key", x, key, axis=axis, descending=descending)
    return values, keys
