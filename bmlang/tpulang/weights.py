"""Weights as quantised models store them: packed integers, and floats of 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array

__all__ = ["float8", "unpacked"]

LARGEST_E4M3 = 448.0
LEAST_EXPONENT_E4M3 = -6
MANTISSA_E4M3 = 3


def unpacked(words: Array, bits: int, axis: int) -> NDArray[np.uint8]:
    """The integers in words of 32 bits, along a dimension, the first ones in the low bits.

    Args:
        words: int32.
        bits: 4 or 8.
        axis: the dimension that becomes 32 / bits times as long.
    """
    wide = np.moveaxis(words.astype(np.int64), axis, -1)
    shifts = np.arange(0, 32, bits)
    parts = (wide[..., None] >> shifts) & ((1 << bits) - 1)
    return np.moveaxis(parts.reshape(*wide.shape[:-1], -1), -1, axis).astype(np.uint8)


def float8(numbers: Array) -> NDArray[np.float32]:
    """Numbers rounded to the nearest float8 of four exponent and three mantissa bits, without infinities; larger ones become 448."""
    limited = np.clip(numbers.astype(np.float64), -LARGEST_E4M3, LARGEST_E4M3)
    exponents = np.maximum(np.frexp(limited)[1] - 1, LEAST_EXPONENT_E4M3)
    steps = np.ldexp(1.0, exponents - MANTISSA_E4M3)
    return (np.rint(limited / steps) * steps).astype(np.float32)
