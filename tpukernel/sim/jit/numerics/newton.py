"""Reciprocal square roots and quotients by Newton's method as vector code; the definition is `interpreter.numerics.newton`."""

from __future__ import annotations

from tpukernel.dtypes import f32
from tpukernel.sim.jit.ir import F32, I32, Value
from tpukernel.sim.jit.numerics.floats import MAGNITUDE, SIGN, exact_nans, multiply, product, subtract

__all__ = ["divide", "reciprocal_root"]

_MAGIC = 0x5F3759DF


def reciprocal_root(values: Value, iterations: int) -> Value:
    """About `1 / sqrt(values)` of f32 bits."""
    return exact_nans(_root(values, iterations), lambda: _exact_root(values, iterations))


def divide(dividend: Value, divisor: Value, iterations: int) -> Value:
    """About `dividend / divisor` of f32 bits."""
    signed, size = dividend ^ (divisor & SIGN), divisor & MAGNITUDE

    def exact() -> Value:
        root = _exact_root(size, iterations)
        return multiply(multiply(root, root, f32), signed, f32)

    root = _root(size, iterations)
    return exact_nans(product(product(root, root, f32), signed.bitcast(F32), f32), exact)


def _exact_root(values: Value, iterations: int) -> Value:
    found, half = _seed(values), multiply(_f32(values, 0.5), values, f32)
    for _ in range(iterations):
        square = multiply(multiply(half, found, f32), found, f32)
        found = multiply(found, subtract(_f32(values, 1.5), square, f32), f32)
    return found


def _root(values: Value, iterations: int) -> Value:
    """The reciprocal root as float values, where no step gives a NaN (NaNs go through all of them)."""
    found, half = _seed(values).bitcast(F32), product(_f32(values, 0.5).bitcast(F32), values.bitcast(F32), f32)
    for _ in range(iterations):
        square = product(product(half, found, f32), found, f32)
        found = product(found, square.like(1.5) - square, f32)
    return found


def _seed(values: Value) -> Value:
    return values.like(_MAGIC) - values.ashr(1)


def _f32(values: Value, number: float) -> Value:
    return values.function.constant(values.type.of(F32), number).bitcast(I32)
