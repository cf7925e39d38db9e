"""Floating-point arithmetic of the chip, exact to the bit.

f32 is IEEE arithmetic, rounded to nearest even, that takes denormal operands as zeros and turns denormal results into zeros of the same
sign. f16 keeps its denormals; bf16 flushes them. 16-bit operations are computed in f32 and rounded once more. Everything is computed from
the bits, whatever floating-point state the calling thread is in.

Source: the measured instruction-set study; compared with the official C model on random bit patterns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.memory import Array

__all__ = [
    "F32",
    "F64",
    "add",
    "exact",
    "flush",
    "flush_any",
    "maximum",
    "minimum",
    "multiply",
    "narrow",
    "round_to",
    "round_to_integer",
    "subtract",
    "widen",
]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]

INVALID = np.uint32(0xFFC00000)
"""The NaN of an invalid operation."""
_SIGN = np.uint32(0x80000000)
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITY = np.uint32(0x7F800000)
_QUIET = np.uint32(0x00400000)
_SMALLEST_NORMAL = np.uint32(0x00800000)
_NAN16 = np.uint16(0x7FFF)


# ---------------------------------------------------------------------------- formats


def widen(values: Array) -> F32:
    """f16, bf16 or f32 numbers as f32, exactly; f32 as they are, denormals of bf16 as denormals of f32."""
    if values.dtype == np.float32:
        return cast("F32", values)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return (values.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def exact(values: F32) -> F64:
    """f32 numbers as float64, denormals included (the processor may be told to take these for zeros)."""
    bits = values.view(np.uint32)
    with np.errstate(invalid="ignore"):
        wide = values.astype(np.float64)
    denormal = (bits & _INFINITY) == 0
    if not denormal.any():
        return wide
    magnitude = (bits & _MAGNITUDE).astype(np.float64) * 2.0**-149
    return np.where(denormal, np.where(bits < _SIGN, magnitude, -magnitude), wide)


def narrow(values: F32, dtype: Dtype, rounding: Rounding = Rounding.HALF_EVEN) -> Array:
    """f32 numbers rounded to f16, bf16 (or f32: as they are).

    Results too large become infinities in every mode; denormal results are kept in f16 and become zeros in bf16; a NaN becomes 0x7fff with
    its sign. Denormal f32 numbers become zeros first.
    """
    if dtype == f32:
        return values
    values = flush(values)
    bits = values.view(np.uint32)
    if rounding is not Rounding.HALF_EVEN:
        found = round_to(exact(values), dtype, rounding).view(np.uint16)
    elif dtype == f16:
        with np.errstate(all="ignore"):
            found = values.astype(np.float16).view(np.uint16)
    else:
        even = (bits >> np.uint32(16)) & np.uint32(1)
        found = ((bits + np.uint32(0x7FFF) + even) >> np.uint32(16)).astype(np.uint16)
        found = np.where((found & np.uint16(0x7F80)) == 0, found & np.uint16(0x8000), found)
    nan = (bits & _MAGNITUDE) > _INFINITY
    if nan.any():
        found = np.where(nan, (bits >> np.uint32(16)).astype(np.uint16) | _NAN16, found)
    return found.view(dtype.numpy)


def round_to(values: F64, dtype: Dtype, rounding: Rounding) -> Array:
    """Exact numbers rounded once to f32, f16 or bf16 with any mode. Results too large become infinities in every mode; denormal results
    are kept in f16 and become zeros in f32 and bf16. NaN is not treated.
    """
    digits, least = {f32: (24, -126), f16: (11, -14), bf16: (8, -126)}[dtype]
    with np.errstate(all="ignore"):
        exponent = np.frexp(values)[1]
        quantum = np.maximum(exponent, least + 1) - digits
        rounded = np.ldexp(round_to_integer(np.ldexp(values, -quantum), rounding), quantum)
        if dtype != f16:
            rounded = np.where(np.abs(rounded) < 2.0**least, np.copysign(0.0, values), rounded)
        rounded = np.where(np.isfinite(values), np.copysign(rounded, values), values)
        if dtype == f16:
            return rounded.astype(np.float16)
        found = rounded.astype(np.float32)  # exact, or too large
        if dtype == f32:
            return found
        return (found.view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(bf16.numpy)


def round_to_integer(values: F64, rounding: Rounding) -> F64:
    """Numbers below 2**52 rounded to integers."""
    with np.errstate(invalid="ignore"):
        return _TO_INTEGER[rounding](values)


def _half_away(values: F64) -> F64:
    whole = np.trunc(values)
    return whole + np.copysign(np.abs(values - whole) >= 0.5, values)


def _half_up(values: F64) -> F64:
    whole = np.floor(values)
    return whole + (values - whole >= 0.5)


def _half_down(values: F64) -> F64:
    whole = np.floor(values)
    return whole + (values - whole > 0.5)


_TO_INTEGER: dict[Rounding, Callable[[F64], F64]] = {
    Rounding.HALF_EVEN: np.rint,
    Rounding.HALF_AWAY: _half_away,
    Rounding.TOWARD_ZERO: np.trunc,
    Rounding.DOWN: np.floor,
    Rounding.UP: np.ceil,
    Rounding.HALF_UP: _half_up,
    Rounding.HALF_DOWN: _half_down,
}


# ---------------------------------------------------------------------------- flushing


def flush(values: F32) -> F32:
    """f32 numbers with denormals replaced by zeros of the same sign."""
    bits = values.view(np.uint32)
    denormal = (bits & _INFINITY) == 0
    if not (denormal & ((bits & _MAGNITUDE) != 0)).any():
        return values
    return np.where(denormal, bits & _SIGN, bits).view(np.float32)


def flush_any(values: Array) -> Array:
    """Denormals replaced by zeros where the type has none: in f32 and bf16, not in f16."""
    if values.dtype == np.float32:
        return flush(cast("F32", values))
    if values.dtype == np.float16:
        return values
    bits = values.view(np.uint16)
    return np.where((bits & np.uint16(0x7F80)) == 0, bits & np.uint16(0x8000), bits).view(bf16.numpy)


# ---------------------------------------------------------------------------- arithmetic


def add(a: Array, b: Array, *, flushed: bool = False) -> Array:
    """`a + b` of two arrays of one float type, rounded to it.

    Args:
        a: f32, f16 or bf16.
        b: the same type; the shapes broadcast.
        flushed: the operands are known to hold no denormal f32 or bf16 numbers (saves time).
    """
    return _apply(_add, a, b, flushed)


def subtract(a: Array, b: Array, *, flushed: bool = False) -> Array:
    """`a - b`, as `add`."""
    return _apply(_subtract, a, b, flushed)


def multiply(a: Array, b: Array, *, flushed: bool = False) -> Array:
    """`a * b`, as `add`."""
    return _apply(_multiply_bf16 if a.dtype == bf16.numpy else _multiply, a, b, flushed)


def _apply(operation: Callable[[F32, F32], F32], a: Array, b: Array, flushed: bool) -> Array:
    wide_a, wide_b = widen(a), widen(b)
    if not flushed:
        wide_a, wide_b = flush(wide_a), flush(wide_b)
    with np.errstate(all="ignore"):
        found = operation(wide_a, wide_b)
    if a.dtype == np.float32:
        return found
    narrowed = narrow(found, f16 if a.dtype == np.float16 else bf16).view(np.uint16)
    nan = np.isnan(found)
    return (np.where(nan, _NAN16, narrowed) if nan.any() else narrowed).view(a.dtype)


def _add(a: F32, b: F32) -> F32:
    # A denormal sum of normal numbers is exact, so that flushing afterwards is what the chip does.
    return flush(_with_nan(np.add(a, b), a, b))


def _subtract(a: F32, b: F32) -> F32:
    return flush(_with_nan(np.subtract(a, b), a, b))


def _multiply(a: F32, b: F32) -> F32:
    product = np.multiply(a, b)
    bits = product.view(np.uint32)
    suspect = (bits << np.uint32(1)) - np.uint32(1) < _SMALLEST_NORMAL << np.uint32(1)  # 0 < |product| <= 2**-126
    return _with_nan(_flush_products(a, b, product, suspect, digits=24), a, b)


def _multiply_bf16(a: F32, b: F32) -> F32:
    product = np.multiply(a, b)
    suspect = (product.view(np.uint32) & _MAGNITUDE) <= _SMALLEST_NORMAL  # with zeros, which a flushing processor makes of denormals
    return _with_nan(_flush_products(a, b, product, suspect, digits=8), a, b)


def _flush_products(a: F32, b: F32, product: F32, suspect: NDArray[np.bool_], digits: int) -> F32:
    """The smallest normal number instead of what rounds to it when the exponent has no limit, zero instead of what is smaller."""
    if not suspect.any():
        return product
    least = 2.0**-126 - 2.0 ** (-127 - digits)
    normal = np.abs(np.multiply(a, b, dtype=np.float64)) >= least
    bits = product.view(np.uint32)
    settled = (bits & _SIGN) | np.where(normal, _SMALLEST_NORMAL, np.uint32(0))
    return np.where(suspect, settled, bits).view(np.float32)


def _with_nan(result: F32, a: F32, b: F32) -> F32:
    """The NaNs of an operation: the first operand's, made quiet, else the second's, else that of an invalid operation."""
    nan = np.isnan(result)
    if not nan.any():
        return result
    payload = np.where(np.isnan(a), a.view(np.uint32) | _QUIET, np.where(np.isnan(b), b.view(np.uint32) | _QUIET, INVALID))
    return np.where(nan, payload, result.view(np.uint32)).view(np.float32)


# ---------------------------------------------------------------------------- comparison


def maximum(a: Array, b: Array) -> Array:
    """`a > b ? a : b` after flushing; a comparison with NaN is false."""
    a, b = flush_any(a), flush_any(b)
    with np.errstate(invalid="ignore"):
        return np.where(widen(a) > widen(b), a, b)


def minimum(a: Array, b: Array) -> Array:
    """`a >= b ? b : a` after flushing; a comparison with NaN is false."""
    a, b = flush_any(a), flush_any(b)
    with np.errstate(invalid="ignore"):
        return np.where(widen(a) >= widen(b), b, a)
