"""Integer arithmetic of the chip: exact results in 64 bits, shifts that round, saturation and wrapping.

Source: the measured instruction-set study; compared with the official C model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.dtypes import Dtype
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.memory import Array

__all__ = ["Wide", "exact", "multiply", "saturate", "shift", "shift_saturated", "wrap"]

Wide = NDArray[np.int64] | NDArray[np.uint64]
"""Exact integers: int64, or uint64 for numbers that are never negative and may need the highest bit (products of u32)."""

_DEEPEST = 63
"""The model shifts 64-bit words right by that much at most."""


def exact(values: Array) -> NDArray[np.int64]:
    """Integers of any type of the chip as int64."""
    return values.astype(np.int64)


def multiply(a: Array, b: Array) -> Wide:
    """The exact product of two integer arrays of at most 32 bits."""
    if a.dtype == np.uint32 and b.dtype == np.uint32:
        return a.astype(np.uint64) * b.astype(np.uint64)
    return exact(a) * exact(b)


def wrap(values: Wide, dtype: Dtype) -> Array:
    """The lowest bits."""
    return values.astype(f"u{dtype.itemsize}").view(dtype.numpy)


def saturate(values: Wide, dtype: Dtype) -> Array:
    """The nearest number that the type has."""
    low, high = dtype.limits
    return np.clip(values, 0 if values.dtype == np.uint64 else low, high).astype(dtype.numpy)


def shift(values: Wide, amount: Array | int, rounding: Rounding = Rounding.HALF_EVEN) -> Wide:
    """Numbers times 2**amount: to the left without rounding (bits beyond 64 are lost), to the right rounded.

    Args:
        values: exact numbers, int64 or uint64.
        amount: bits to shift, negative to the right, by more than 63 as by 63; to the left only the lowest five bits count, as in
            the official model. Broadcasts with `values`.
        rounding: of bits shifted out.
    """
    amounts = np.atleast_1d(amount).astype(np.int64)
    if not amounts.any():
        return values
    left = np.left_shift(values, _left(amounts, values))
    if not (amounts < 0).any():
        return cast("Wide", left)
    return cast("Wide", np.where(amounts < 0, _shift_right(values, np.maximum(-amounts, 1), rounding), left))


def shift_saturated(values: Wide, amount: Array | int, rounding: Rounding, dtype: Dtype) -> Array:
    """Numbers times 2**amount, rounded and saturated; exact also where the shifted number has more than 64 bits."""
    low, high = (0, dtype.limits[1]) if values.dtype == np.uint64 else dtype.limits
    left = _left(np.atleast_1d(amount).astype(np.int64), values)
    if not left.any():
        return saturate(shift(values, amount, rounding), dtype)
    # A number beyond the limit shifted back lies beyond the limit once it is shifted.
    above = (left != 0) & (values > np.right_shift(values.dtype.type(high), left))
    below = (left != 0) & (values < np.negative(np.right_shift(values.dtype.type(-low), left)))
    found = saturate(shift(values, amount, rounding), dtype)
    return np.where(above, dtype.numpy.type(high), np.where(below, dtype.numpy.type(low), found))


def _left(amounts: NDArray[np.int64], values: Wide) -> Wide:
    return cast("Wide", (np.maximum(amounts, 0) & 31).astype(values.dtype))


def _shift_right(values: Wide, amounts: NDArray[np.int64], rounding: Rounding) -> Wide:
    places = np.minimum(amounts, _DEEPEST).astype(values.dtype)
    one = values.dtype.type(1)
    quotient = np.right_shift(values, places)
    rest = values & (np.left_shift(one, places) - one)
    half = np.left_shift(one, places - one)
    return cast("Wide", quotient + _INCREMENTS[rounding](values, quotient, rest, half).astype(values.dtype))


_Increment = Callable[[Wide, Wide, Wide, Wide], NDArray[np.bool_]]

_INCREMENTS: dict[Rounding, _Increment] = {
    Rounding.HALF_EVEN: lambda value, quotient, rest, half: (rest > half) | ((rest == half) & ((quotient & 1) == 1)),
    Rounding.HALF_AWAY: lambda value, quotient, rest, half: (rest > half) | ((rest == half) & (value >= 0)),
    Rounding.TOWARD_ZERO: lambda value, quotient, rest, half: (value < 0) & (rest != 0),
    Rounding.DOWN: lambda value, quotient, rest, half: np.zeros_like(rest, np.bool_),
    Rounding.UP: lambda value, quotient, rest, half: rest != 0,
    Rounding.HALF_UP: lambda value, quotient, rest, half: rest >= half,
    Rounding.HALF_DOWN: lambda value, quotient, rest, half: rest > half,
}
"""Whether the quotient, which is rounded down, goes up by one; `rest` are the bits shifted out, `half` half of their range."""
