"""Numbers for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tpukernel.dtypes import Dtype, bf16, dtype_of, f16, f32

__all__ = ["odd_numbers", "random", "special_numbers"]

Array = NDArray[np.generic]

_LIMITS: Final = {f32: (2.0**-126, float(np.finfo(np.float32).max)), f16: (2.0**-14, 65504.0), bf16: (2.0**-126, (2 - 2.0**-7) * 2.0**127)}
"""Smallest normal and largest number."""
_DIGITS: Final = {f32: 23, f16: 10, bf16: 7}
"""Bits of the fraction."""
_DENORMALS: Final = {f32: (2.0**-149, 2.0**-127), f16: (2.0**-24, 2.0**-15), bf16: (2.0**-133, 2.0**-127)}


def random(shape: Sequence[int], dtype: Dtype | str, seed: int = 0, *, low: float | None = None, high: float | None = None) -> Array:
    """An array of random numbers of a type, the same for the same arguments.

    Args:
        shape: its shape.
        dtype: its type; bf16 gives an array of `ml_dtypes.bfloat16`.
        seed: another number gives other values.
        low: smallest value; without limits floats are normally distributed and integers are any of their type.
        high: largest value.

    Widen the array for a reference (`x.astype(np.float64)`), not the other way round: then kernel and reference see the same numbers.
    """
    found, generator = dtype_of(dtype), np.random.default_rng(seed)
    if found.is_int:
        least, most = found.limits
        limits = least if low is None else int(low), most if high is None else int(high)
        return generator.integers(*limits, tuple(shape), endpoint=True, dtype=np.int64).astype(found.numpy)
    if low is None and high is None:
        return generator.standard_normal(tuple(shape)).astype(found.numpy)
    return generator.uniform(-1.0 if low is None else low, 1.0 if high is None else high, tuple(shape)).astype(found.numpy)


def odd_numbers(dtype: Dtype) -> list[float]:
    """Numbers of a type at which mistakes show: zeros, ones, neighbours of 1, powers of two, the limits."""
    if dtype.is_int:
        least, most = dtype.limits
        return [value for value in (0, 1, 2, -1, most, most - 1, least, least + 1, most // 2) if least <= value <= most]
    smallest, largest = _LIMITS[dtype]
    step = 2.0 ** -_DIGITS[dtype]
    ones = (1.0, 1 + step, 1 - step / 2, 2.0, 0.5, 3.0, 1 / 3)
    return [0.0, -0.0, *ones, *(-one for one in ones), smallest, -smallest, largest, -largest]


def special_numbers(dtype: Dtype) -> list[float]:
    """Infinities, NaN and denormal numbers of a float type; none of an integer type."""
    return [] if dtype.is_int else [float("inf"), -float("inf"), float("nan"), *_DENORMALS[dtype]]
