"""Scales as the chip applies them to integers: a multiplier and a shift."""

from __future__ import annotations

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import DTYPES
from bmlang.tpulang.tensor import Numbers, Whole

__all__ = ["MULTIPLIER_BITS", "multipliers", "requantised"]

MULTIPLIER_BITS = 31


def multipliers(scale: Numbers | Array) -> tuple[Array, Array]:
    """Integers below 2**31 and shifts so that multiplier * 2 ** shift is the scale, to 31 bits."""
    fraction, exponent = np.frexp(np.asarray(scale, np.float64))
    multiplier = np.rint(fraction * 2.0**MULTIPLIER_BITS).astype(np.int64)
    whole = multiplier == 1 << MULTIPLIER_BITS
    return np.where(whole, multiplier >> 1, multiplier), exponent - MULTIPLIER_BITS + whole


def requantised(
    sums: Value, scale: Numbers | Array, zero_point: Whole | None, dtype: str, *, axis: int = 1, rounding: str = "half_away_from_zero"
) -> Value:
    """Sums in another scale, as integers of few bits: exact but for the 31 bits of the scale, and rounded once.

    Args:
        sums: integers of 32 bits.
        scale: what a step of the sums means, in steps of the result; a number, or one for each element of a dimension.
        zero_point: the integer of the result that means 0.
        dtype: name of the data type of the result.
        axis: the dimension of several scales.
        rounding: of the shift.
    """
    multiplier, shift = multipliers(scale)
    if multiplier.ndim and multiplier.size == 1:
        multiplier, shift = multiplier.reshape(()), shift.reshape(())
    offset = 0 if zero_point is None else zero_point
    if not multiplier.ndim:
        return bm.requant_int(sums, int(multiplier), int(shift), offset, DTYPES[dtype], axis=axis, rounding=rounding)
    return bm.requant_int(sums, multiplier, shift, offset, DTYPES[dtype], axis=axis, rounding=rounding)
