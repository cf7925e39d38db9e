"""Element-wise compare operators, and logic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import bmlang as bm
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.operator import BYTES, FLOATS, check, is_bytes, made, needs, number_of, operator, value
from bmlang.tpulang.scaled import Meaning, by_table, from_numbers, meanings, numbers
from bmlang.tpulang.tensor import Scalar, Tensor

__all__ = [
    "and_op", "ands", "eq", "eqs", "ge", "ges", "gt", "gts", "le", "les", "lt", "lts", "ne", "nes", "not_op", "or_op", "ors",
    "xor_op", "xors",
]  # fmt: skip

Scales = Sequence[float] | None
Points = Sequence[int] | None
Figure = Scalar | int | float
COMPARISONS: Final[Mapping[str, Callable[..., Value]]] = {
    "Greater": bm.gt,
    "Less": bm.lt,
    "GreaterOrEqual": bm.ge,
    "LessOrEqual": bm.le,
    "Equal": bm.eq,
    "NotEqual": bm.ne,
}
"""By the names that `select` has."""
SCALED: Final[Mapping[Callable[..., Value], Callable[..., Value]]] = {
    bm.gt: bm.gt_scaled,
    bm.lt: bm.lt_scaled,
    bm.ge: bm.ge_scaled,
    bm.le: bm.le_scaled,
    bm.eq: bm.eq_scaled,
    bm.ne: bm.ne_scaled,
}
"""Of integers that stand for numbers."""
LOGIC: Final[Mapping[str, Callable[..., Value]]] = {
    "and": bm.logical_and,
    "or": bm.logical_or,
    "xor": bm.logical_xor,
}


@operator
def gt(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the first tensor is greater than the second, else 0, in their type.

    Args:
        tensor_i0, tensor_i1: of one type: float32, float16, int8 or uint8; shapes are broadcast.
        scale: what a step of the first, of the second and of the result means; the first two are equal.
        zero_point: the integers of them that mean 0; the first two are equal.
        out_name: name of the result.
    """
    return _pair(COMPARISONS["Greater"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def lt(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the first tensor is less than the second, else 0, in their type. Arguments as of `gt`."""
    return _pair(COMPARISONS["Less"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def ge(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the first tensor is greater than or equal to the second, else 0, in their type. Arguments as of `gt`."""
    return _pair(COMPARISONS["GreaterOrEqual"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def le(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the first tensor is less than or equal to the second, else 0, in their type. Arguments as of `gt`."""
    return _pair(COMPARISONS["LessOrEqual"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def eq(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the first tensor is equal to the second, else 0, in their type. Arguments as of `gt`."""
    return _pair(COMPARISONS["Equal"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def ne(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the first tensor is other than the second, else 0, in their type. Arguments as of `gt`."""
    return _pair(COMPARISONS["NotEqual"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def gts(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the tensor is greater than the number, else 0, in its type.

    Args:
        tensor_i0: float32, float16, int8 or uint8.
        scalar_i1: the number; not in the scale of the tensor.
        scale: what a step of the tensor and of the result means.
        zero_point: the integers of them that mean 0.
        out_name: name of the result.
    """
    return _single(COMPARISONS["Greater"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def lts(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the tensor is less than the number, else 0, in its type. Arguments as of `gts`."""
    return _single(COMPARISONS["Less"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def ges(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the tensor is greater than or equal to the number, else 0, in its type. Arguments as of `gts`."""
    return _single(COMPARISONS["GreaterOrEqual"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def les(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the tensor is less than or equal to the number, else 0, in its type. Arguments as of `gts`."""
    return _single(COMPARISONS["LessOrEqual"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def eqs(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the tensor is equal to the number, else 0, in its type. Arguments as of `gts`."""
    return _single(COMPARISONS["Equal"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def nes(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the tensor is other than the number, else 0, in its type. Arguments as of `gts`."""
    return _single(COMPARISONS["NotEqual"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def and_op(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where both are not 0, else 0, in the type of the tensors. Arguments as of `gt`."""
    return _pair(LOGIC["and"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def or_op(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where one of them is not 0, else 0, in the type of the tensors. Arguments as of `gt`."""
    return _pair(LOGIC["or"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def xor_op(tensor_i0: Tensor, tensor_i1: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where exactly one of them is not 0, else 0, in the type of the tensors. Arguments as of `gt`."""
    return _pair(LOGIC["xor"], tensor_i0, tensor_i1, scale, zero_point, out_name)


@operator
def not_op(tensor_i0: Tensor, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where the tensor is 0, else 0, in its type.

    Args:
        tensor_i0: float32, float16, int8 or uint8.
        scale: what a step of the tensor and of the result means.
        zero_point: the integers of them that mean 0.
        out_name: name of the result.
    """
    return _single(_not, tensor_i0, 0, scale, zero_point, out_name)


@operator
def ands(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where, of tensor and number, both are not 0, else 0, in the type of the tensor. Arguments as of `gts`."""
    return _single(LOGIC["and"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def xors(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where, of tensor and number, exactly one of them is not 0, else 0, in the type of the tensor. Arguments as of `gts`."""
    return _single(LOGIC["xor"], tensor_i0, scalar_i1, scale, zero_point, out_name)


@operator
def ors(tensor_i0: Tensor, scalar_i1: Figure, scale: Scales = None, zero_point: Points = None, out_name: str | None = None) -> Tensor:
    """1 where, of tensor and number, one of them is not 0, else 0, in the type of the tensor. Arguments as of `gts`."""
    return _single(LOGIC["or"], tensor_i0, scalar_i1, scale, zero_point, out_name)


def _not(x: Value, _: float) -> Value:
    return bm.logical_not(x)


def _pair(function: Callable[..., Value], first: Tensor, second: Tensor, scale: Scales, zero_point: Points, out_name: str | None) -> Tensor:
    needs(first, *FLOATS, *BYTES)
    needs(second, first.dtype)
    means = meanings(scale, zero_point, (first, second))
    if means is None:
        return made(function(value(first), value(second)), out_name)
    check(means[0] == means[1], f"scale {scale} and zero_point {zero_point}", "both inputs have the same")
    if function in SCALED:
        steps, zeros = [each.scale for each in means], [each.zero_point for each in means]
        found = SCALED[function](value(first), value(second), steps, zeros, first.kind)
        return made(found, out_name, means[2].scale, means[2].zero_point)
    found = function(*(numbers(value(each), means[0]) for each in (first, second)))
    return made(from_numbers(found, means[2], first.dtype), out_name, means[2].scale, means[2].zero_point)


def _single(
    function: Callable[..., Value], tensor: Tensor, figure: Figure, scale: Scales, zero_point: Points, out_name: str | None
) -> Tensor:
    needs(tensor, *FLOATS, *BYTES)
    number = float(number_of(figure))
    means = meanings(scale, zero_point, (tensor,))
    if means is None and not is_bytes(tensor):
        return made(function(value(tensor), number), out_name)
    source, target = means or (Meaning(1.0), Meaning(1.0))
    found = by_table(value(tensor), lambda x: function(x, number), source, target, tensor.dtype, "half_away_from_zero")
    return made(found, out_name) if means is None else made(found, out_name, target.scale, target.zero_point)
