"""Conversions between any two types of the chip.

Source: the measured instruction-set study.
"""

from __future__ import annotations

import numpy as np

from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import ints
from tpukernel.sim.interpreter.numerics.compare import is_float
from tpukernel.sim.interpreter.numerics.floats import exact, narrow, round_to, round_to_integer, widen
from tpukernel.sim.memory import Array

__all__ = ["cast", "float_to_int", "int_to_float"]

_LARGEST_F16 = 65504.0
_F16_LIMITS = {
    Rounding.TOWARD_ZERO: (-_LARGEST_F16, _LARGEST_F16),
    Rounding.DOWN: (-np.inf, _LARGEST_F16),
    Rounding.UP: (-_LARGEST_F16, np.inf),
}
"""Integers beyond these do not become infinities."""


def cast(values: Array, dtype: Dtype, rounding: Rounding) -> Array:
    """Numbers of any type as numbers of `dtype`; numbers of that float type are rounded to whole ones."""
    if is_float(values):
        return _float_to_float(values, dtype, rounding) if dtype.is_float else float_to_int(values, dtype, rounding)
    return int_to_float(values, dtype, rounding) if dtype.is_float else ints.saturate(ints.exact(values), dtype)


def float_to_int(values: Array, dtype: Dtype, rounding: Rounding) -> Array:
    """Rounded and saturated; NaN becomes 0. Denormals count."""
    wide = exact(widen(values))
    low, high = dtype.limits
    nearest = np.clip(round_to_integer(np.clip(wide, low - 1, high + 1), rounding), low, high)
    return np.where(np.isnan(wide), 0, nearest).astype(np.int64).astype(dtype.numpy)


def int_to_float(values: Array, dtype: Dtype, rounding: Rounding) -> Array:
    """Rounded once. A mode that rounds towards zero at a number too large for f16 gives the largest one, not infinity."""
    wide = values.astype(np.float64)
    if dtype == f16:
        wide = np.clip(wide, *_F16_LIMITS.get(rounding, (-np.inf, np.inf)))
    return round_to(wide, dtype, rounding)


def _to_whole(values: Array, dtype: Dtype, rounding: Rounding) -> Array:
    wide = exact(widen(values))
    with np.errstate(invalid="ignore"):
        whole = narrow(np.copysign(round_to_integer(wide, rounding), wide).astype(np.float32), dtype)
    unsigned = f"u{dtype.itemsize}"
    return np.where(np.isnan(wide), values.view(unsigned), whole.view(unsigned)).view(dtype.numpy)


def _float_to_float(values: Array, dtype: Dtype, rounding: Rounding) -> Array:
    if values.dtype == dtype.numpy:
        return _to_whole(values, dtype, rounding)
    if dtype != f32:
        return narrow(widen(values), dtype, rounding)
    wide = widen(values)
    if values.dtype == bf16.numpy:
        return wide
    nan = np.isnan(wide)
    bits = wide.view(np.uint32)
    return np.where(nan, bits | np.uint32(0x7FFFFFFF), bits).view(np.float32)
