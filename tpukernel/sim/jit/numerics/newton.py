"""Reciprocal square roots and quotients by Newton's method as vector code; the definition is `interpreter.numerics.newton`."""

from __future__ import annotations

from tpukernel.dtypes import f32
from tpukernel.sim.jit.ir import F32, I32, Value
from tpukernel.sim.jit.numerics.floats import MAGNITUDE, SIGN, multiply, subtract

__all__ = ["divide", "reciprocal_root"]

_SEED = 0x5F3759DF


def reciprocal_root(values: Value, iterations: int) -> Value:
    """About `1 / sqrt(values)` of f32 bits."""
    estimate = values.like(_SEED) - values.ashr(1)
    half = multiply(_f32(values, 0.5), values, f32)
    for _ in range(iterations):
        square = multiply(multiply(half, estimate, f32), estimate, f32)
        estimate = multiply(estimate, subtract(_f32(values, 1.5), square, f32), f32)
    return estimate


def divide(dividend: Value, divisor: Value, iterations: int) -> Value:
    """About `dividend / divisor` of f32 bits."""
    root = reciprocal_root(divisor & MAGNITUDE, iterations)
    return multiply(multiply(root, root, f32), dividend ^ (divisor & SIGN), f32)


def _f32(values: Value, number: float) -> Value:
    return values.function.constant(values.type.of(F32), number).bitcast(I32)
