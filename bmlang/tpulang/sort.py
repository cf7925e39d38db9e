"""Sort operators."""

from __future__ import annotations

import bmlang as bm
from bmlang.tpulang.operator import check, made, operator, value
from bmlang.tpulang.tensor import Tensor

__all__ = ["arg", "argsort", "sort", "sort_by_key", "topk"]


@operator
def arg(input: Tensor, method: str = "max", axis: int = 0, keep_dims: bool = True, out_name: str | None = None) -> tuple[Tensor, Tensor]:
    """Where the largest or smallest element along a dimension is (int32, called `<out_name>_ind`), and the element (`<out_name>_val`).

    Args:
        input: the tensor.
        method: "max" or "min".
        axis: the dimension.
        keep_dims: whether it stays, with size 1.
        out_name: beginning of the names.
    """
    check(method in ("max", "min"), f"method is {method!r}", 'choose "max" or "min"')
    place, element = (bm.argmax, bm.reduce_max) if method == "max" else (bm.argmin, bm.reduce_min)
    x = value(input)
    return made(place(x, axis, keep_dims), _name(out_name, "ind")), made(element(x, axis, keep_dims), _name(out_name, "val"))


@operator
def topk(input: Tensor, axis: int, k: int, out_name: str | None = None) -> tuple[Tensor, Tensor]:
    """The k largest elements along a dimension, in order (`<out_name>_val`), and their places (int32, `<out_name>_ind`)."""
    check(k > 0, f"k is {k}", "give 1 or more")
    values, indices = bm.topk(value(input), k, axis)
    return made(values, _name(out_name, "val")), made(indices, _name(out_name, "ind"))


@operator
def sort(input: Tensor, axis: int = -1, descending: bool = True, out_name: str | None = None) -> tuple[Tensor, Tensor]:
    """The elements along a dimension in order (`<out_name>_val`), and their places (int32, `<out_name>_ind`)."""
    values, indices = bm.sort(value(input), axis, descending=descending)
    return made(values, _name(out_name, "val")), made(indices, _name(out_name, "ind"))


@operator
def argsort(input: Tensor, axis: int = -1, descending: bool = True, out_name: str | None = None) -> Tensor:
    """The places, int32, of the elements along a dimension in order."""
    return made(bm.argsort(value(input), axis, descending=descending), out_name)


@operator
def sort_by_key(input: Tensor, key: Tensor, axis: int = -1, descending: bool = True, out_name: str | None = None) -> tuple[Tensor, Tensor]:
    """The parts of the input along a dimension in the order of their keys, and the keys.

    They are called `<out_name>_sorted_out` and `<out_name>_sorted_key`.

    Args:
        input: the tensor.
        key: one number for each place of the dimension.
        axis: the dimension.
        descending: the largest key first.
        out_name: beginning of the names.
    """
    check(key.shape == [input.shape[axis]], f"key {key.shape} for dimension {axis} of {input.shape}", "give one number for each place")
    parts, keys = bm.sort_by_key(value(input), value(key), axis, descending=descending)
    return made(parts, _name(out_name, "sorted_out")), made(keys, _name(out_name, "sorted_key"))


def _name(given: str | None, end: str) -> str | None:
    return None if given is None else f"{given}_{end}"
