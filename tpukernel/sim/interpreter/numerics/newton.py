"""Reciprocal square roots and quotients by Newton's method, as the chip computes them in f32.

Source: the measured instruction-set study. With three iterations 1 / 1 is 0x3f7ffffe.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from tpukernel.sim.interpreter.numerics.floats import F32, multiply, subtract

__all__ = ["divide", "reciprocal_root"]

_SEED = 0x5F3759DF


def reciprocal_root(values: F32, iterations: int) -> F32:
    """About `1 / sqrt(values)`. Only the estimate that the iteration starts with sees the bits of denormals."""
    return _iterate(values, (np.int32(_SEED) - (values.view(np.int32) >> np.int32(1))).view(np.float32), iterations)


def divide(dividend: F32, divisor: F32, iterations: int) -> F32:
    """About `dividend / divisor`: the square of the reciprocal root of the divisor's magnitude, times the dividend."""
    magnitude = (divisor.view(np.uint32) & np.uint32(0x7FFFFFFF)).view(np.float32)
    root = reciprocal_root(magnitude, iterations)
    sign = divisor.view(np.uint32) & np.uint32(0x80000000)
    return cast("F32", multiply(multiply(root, root), (dividend.view(np.uint32) ^ sign).view(np.float32)))


def _iterate(values: F32, estimate: F32, iterations: int) -> F32:
    half = multiply(np.array(0.5, np.float32), values)
    three_halves = np.array(1.5, np.float32)
    for _ in range(iterations):
        estimate = cast("F32", multiply(estimate, subtract(three_halves, multiply(multiply(half, estimate), estimate))))
    return estimate
