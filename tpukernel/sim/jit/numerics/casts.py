"""Conversions between any two types as vector code; the definition is `interpreter.numerics.casts`."""

from __future__ import annotations

from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.ir import F32, F64, I16, I32, I64, Value, integer
from tpukernel.sim.jit.numerics import ints
from tpukernel.sim.jit.numerics.floats import (
    MAGNITUDE,
    SMALLEST_NORMAL,
    flush,
    is_nan,
    narrow_modes,
    round_bf16,
    round_double,
    round_to_integer,
    round_to_odd,
    to_f16,
    widen,
)

__all__ = ["cast", "width"]

_LARGEST_F16 = 65504.0


def width(source: Dtype, dtype: Dtype) -> int:
    """Bits of the widest number in the conversion."""
    if source.is_int and dtype.is_int:
        return max(source.bits, dtype.bits, 16)
    return 64 if 32 in (source.bits if source.is_int else 0, dtype.bits if dtype.is_int else 0) else 32


def cast(bits: Value, source: Dtype, dtype: Dtype, rounding: Rounding) -> Value:
    """Numbers of any type as numbers of `dtype`; numbers of that float type are rounded to whole ones."""
    if source.is_float:
        return _float_to_float(bits, source, dtype, rounding) if dtype.is_float else _float_to_int(bits, source, dtype, rounding)
    return _int_to_float(bits, source, dtype, rounding) if dtype.is_float else _int_to_int(bits, source, dtype)


def _int_to_int(bits: Value, source: Dtype, dtype: Dtype) -> Value:
    low, high = max(source.limits[0], dtype.limits[0]), min(source.limits[1], dtype.limits[1])
    found = bits
    if source.is_signed:
        found = found.smax(low) if low > source.limits[0] else found
        found = found.smin(high) if high < source.limits[1] else found
    elif high < source.limits[1]:
        found = found.umin(high)
    return found.trunc(integer(dtype.bits)) if dtype.bits <= source.bits else ints.extended(found, source.is_signed, dtype.bits)


def _float_to_int(bits: Value, source: Dtype, dtype: Dtype, rounding: Rounding) -> Value:
    whole = round_to_integer(_without_denormals(widen(bits, source), rounding), rounding)
    low, high = dtype.limits
    if dtype.bits == 32:
        whole = whole.convert("fpext", F64)
    clipped = whole.compare("ogt", float(low)).choose(whole, float(low))
    clipped = clipped.compare("olt", float(high)).choose(clipped, float(high))
    clipped = is_nan(whole).choose(whole.like(0.0), clipped)
    wide = clipped.convert("fptosi", I64 if dtype.bits == 32 else I32)
    return wide.trunc(integer(dtype.bits))


def _without_denormals(x: Value, rounding: Rounding) -> Value:
    """f32 values that round to the same whole numbers although the processor takes denormal ones for zeros."""
    if rounding in (Rounding.HALF_EVEN, Rounding.HALF_AWAY, Rounding.TOWARD_ZERO):
        return x
    bits = x.bitcast(I32)
    size = bits & MAGNITUDE
    return size.compare("ult", SMALLEST_NORMAL).choose(size.compare("eq", 0).choose(bits, bits | SMALLEST_NORMAL), bits).bitcast(F32)


def _int_to_float(bits: Value, source: Dtype, dtype: Dtype, rounding: Rounding) -> Value:
    name = "sitofp" if source.is_signed else "uitofp"
    if source.bits < 32:
        wide = ints.extended(bits, source.is_signed, 32)
        single = wide.convert("sitofp", F32)  # exact
    elif dtype == f32:
        return round_double(bits.convert(name, F64), rounding).bitcast(I32)
    else:
        single = round_to_odd(bits.convert(name, F64))
    if dtype == f32:
        return single.bitcast(I32)
    if dtype == bf16:
        return round_bf16(single.bitcast(I32), rounding).lshr(16).trunc(I16)
    if rounding in (Rounding.TOWARD_ZERO, Rounding.DOWN):
        single = single.compare("olt", _LARGEST_F16).choose(single, _LARGEST_F16)
    if rounding in (Rounding.TOWARD_ZERO, Rounding.UP):
        single = single.compare("ogt", -_LARGEST_F16).choose(single, -_LARGEST_F16)
    return narrow_modes(single, f16, rounding)


def _float_to_float(bits: Value, source: Dtype, dtype: Dtype, rounding: Rounding) -> Value:
    if source == dtype:
        return _to_whole(bits, dtype, rounding)
    if dtype != f32:
        return narrow_modes(flush(widen(bits, source).bitcast(I32), f32).bitcast(F32), dtype, rounding)
    wide = widen(bits, source)
    if source == bf16:
        return wide.bitcast(I32)
    return is_nan(wide).choose(wide.bitcast(I32) | MAGNITUDE, wide.bitcast(I32))


def _to_whole(bits: Value, dtype: Dtype, rounding: Rounding) -> Value:
    whole = round_to_integer(_without_denormals(widen(bits, dtype), rounding), rounding)
    if dtype == f32:
        found = whole.bitcast(I32)
    elif dtype == f16:
        found = to_f16(whole)
    else:
        found = whole.bitcast(I32).lshr(16).trunc(I16)  # exact: numbers above 128 are whole
    nan = (bits & ((1 << (dtype.bits - 1)) - 1)).compare("ugt", _INFINITY[dtype])
    return nan.choose(bits, found)


_INFINITY = {f32: 0x7F800000, f16: 0x7C00, bf16: 0x7F80}
