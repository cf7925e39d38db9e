"""Integers as the chip has them, in numpy: rounded from floats, shifted with rounding, wrapped; and arguments that are integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast as typed

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.cast import FLOAT_ROUNDINGS, ROUNDED, ROUNDINGS
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from bmlang.layers.tensor import here
from tpukernel.dtypes import Dtype, dtype_of
from tpukernel.isa.rounding import Rounding

__all__ = [
    "Wide",
    "along",
    "centred_weights",
    "check_rounding",
    "floats_rounded",
    "rounding_of",
    "shifted",
    "typed_dtype",
    "whole_numbers",
    "wrapped",
]

Wide = NDArray[np.int64]


def check_rounding(name: str, rounding: Attribute, *, floats: bool) -> None:
    """The rounding exists.

    Raises:
        OperatorArgumentError: otherwise.
    """
    known = FLOAT_ROUNDINGS if floats else tuple(ROUNDINGS)
    if rounding not in known:
        raise OperatorArgumentError(f"{name} has no rounding {rounding!r}", position=here(), help=f"choose from {', '.join(known)}")


def rounding_of(rounding: Attribute) -> Rounding:
    """The mode of the chip."""
    return ROUNDINGS[str(rounding)]


def floats_rounded(x: Array, rounding: Attribute) -> NDArray[np.float64]:
    """Whole numbers in float64; what is no number becomes 0, as on the chip (instruction-set study)."""
    return np.nan_to_num(ROUNDED[str(rounding)](x.astype(np.float64)), nan=0.0, posinf=1e30, neginf=-1e30)


def shifted(x: Wide, shift: Array | int, rounding: Attribute) -> Wide:
    """x * 2 ** shift, rounded where shift is negative.

    Args:
        x: below 2 ** 63; what is above 2 ** 32 and shifted to the left stays above it, which is enough for results that are limited.
        shift: -63 to 30, one number or an array that is repeated to x.
        rounding: its name.
    """
    amount = np.asarray(shift, np.int64)
    right = np.maximum(-amount, 0)
    limited = np.where(amount > 0, np.clip(x, -(1 << 32), 1 << 32), x)
    left = limited << np.maximum(amount, 0)
    below = left >> right
    rest = left - (below << right)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 1)
    tie, above, negative = (rest == half) & (right > 0), rest > half, left < 0
    up: dict[Rounding, Array] = {
        Rounding.HALF_EVEN: above | (tie & (below % 2 != 0)),
        Rounding.HALF_AWAY: above | (tie & ~negative),
        Rounding.TOWARD_ZERO: (rest > 0) & negative,
        Rounding.DOWN: np.zeros_like(tie),
        Rounding.UP: rest > 0,
        Rounding.HALF_UP: above | tie,
        Rounding.HALF_DOWN: above,
    }
    return typed("Wide", below + up[rounding_of(rounding)].astype(np.int64))


def typed_dtype(name: str, dtype: Attribute | Dtype, allowed: Sequence[Dtype]) -> Dtype:
    """The data type of a result.

    Raises:
        OperatorDtypeError: the operator has no such results.
    """
    found = dtype if isinstance(dtype, Dtype) else dtype_of(str(dtype))
    if found not in allowed:
        raise OperatorDtypeError(
            f"{name} has no results of {found.name}", position=here(), help=f"choose from {', '.join(each.name for each in allowed)}"
        )
    return found


def whole_numbers(name: str, values: object, low: int, high: int) -> Wide:
    """An integer, or integers.

    Raises:
        OperatorArgumentError: it is something else, or out of range.
    """
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer) or array.size == 0 or array.min() < low or array.max() > high:
        raise OperatorArgumentError(f"{name} is {values!r}", position=here(), help=f"give integers from {low} to {high}")
    return array.astype(np.int64)


def along(name: str, values: Array, shape: Sequence[int], axis: int) -> Array:
    """Numbers of each element of a dimension, in a shape that numpy repeats to `shape`; one number stays one.

    Raises:
        ShapeError: there are not as many as the dimension has.
        OperatorArgumentError: there is no such dimension.
    """
    if values.size == 1:
        return values.reshape(())
    if not -len(shape) <= axis < len(shape):
        raise OperatorArgumentError(f"axis {axis} of {name}", position=here(), help=f"give a dimension from 0 to {len(shape) - 1}")
    place = axis % len(shape)
    if values.shape != (shape[place],):
        raise ShapeError(
            f"{name} has {list(values.shape)} numbers along dimension {place} of {list(shape)}",
            position=here(),
            help=f"give one, or {shape[place]} in one dimension",
        )
    return values.reshape([-1 if each == place else 1 for each in range(place, len(shape))])


def wrapped(sums: Wide) -> NDArray[np.int32]:
    """Sums as a register of 32 bits holds them."""
    return sums.astype(np.uint32).view(np.int32)


def centred_weights(weight: Wide) -> Array | None:
    """Weights without their zero point in 8 bits; None where these do not hold them."""
    for kind in (np.int8, np.uint8):
        if weight.min() >= np.iinfo(kind).min and weight.max() <= np.iinfo(kind).max:
            return weight.astype(kind)
    return None
