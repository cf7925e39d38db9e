"""Comparisons of the chip, of floats and integers alike.

Floats are compared by value with denormals of f32 and bf16 taken for zeros, except for equality, which looks at the bits: zeros of
different sign differ, and a NaN equals itself. "Less" is the opposite of "greater or equal", so that it holds where a NaN is compared.

Source: the measured instruction-set study.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpukernel.sim.interpreter.numerics import floats
from tpukernel.sim.memory import Array

__all__ = ["equal", "greater", "less", "maximum", "minimum"]

Bools = NDArray[np.bool_]


def is_float(values: Array) -> bool:
    """Whether these are numbers of a float type (numpy does not count bfloat16 among its own)."""
    return values.dtype.kind not in "iu"


def greater(a: Array, b: Array) -> Bools:
    """Where `a > b`."""
    a, b = _comparable(a), _comparable(b)
    with np.errstate(invalid="ignore"):
        return np.greater(a, b)


def equal(a: Array, b: Array) -> Bools:
    """Where `a` and `b` are the same bits."""
    unsigned = f"u{a.itemsize}"
    return a.view(unsigned) == b.view(unsigned)


def less(a: Array, b: Array) -> Bools:
    """Where neither `a > b` nor `a` equals `b`, by value or by bits."""
    values_a, values_b = _comparable(a), _comparable(b)
    with np.errstate(invalid="ignore"):
        return ~(np.greater_equal(values_a, values_b) | equal(a, b))


def maximum(a: Array, b: Array) -> Array:
    """The greater one."""
    return floats.maximum(a, b) if is_float(a) else np.maximum(a, b)


def minimum(a: Array, b: Array) -> Array:
    """The smaller one."""
    return floats.minimum(a, b) if is_float(a) else np.minimum(a, b)


def _comparable(values: Array) -> Array:
    return floats.flush(floats.widen(values)) if is_float(values) else values
