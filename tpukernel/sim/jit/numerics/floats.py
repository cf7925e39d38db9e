"""Floating-point arithmetic of the chip as vector code; the definition is `interpreter.numerics.floats`.

Numbers go in and out as the bits of their type. The arithmetic relies on the executor's flushing mode (`Kernel.ieee` false): denormal f32
operands count as zeros, denormal results become zeros. NaNs are made by hand, since neither LLVM nor all processors promise which one
comes out; that is rare and off the straight path.
"""

from __future__ import annotations

from collections.abc import Callable

from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.ir import F16, F32, F64, I16, I32, I64, Value

__all__ = [
    "add",
    "exact_nans",
    "flush",
    "magnitude",
    "multiply",
    "narrow",
    "narrow_modes",
    "product",
    "round_to_integer",
    "rounded",
    "subtract",
    "widen",
]

SIGN = 0x80000000
MAGNITUDE = 0x7FFFFFFF
INFINITY = 0x7F800000
QUIET = 0x00400000
INVALID = 0xFFC00000
SMALLEST_NORMAL = 0x00800000
NAN16 = 0x7FFF
_NAN16_WIDE = 0x7FFFE000
"""An f32 NaN that becomes `NAN16` when it is narrowed to f16."""


def is_nan(x: Value) -> Value:
    """Which float values are NaN."""
    return x.compare("uno", x)


def has_nan(x: Value) -> Value:
    """Whether one of these float values is NaN: one comparison looks at two vectors."""
    half = x.type.lanes // 2
    if half * x.type.bits < 8 * x.function.target.vector_bytes:
        return is_nan(x).any()
    low, high = (x.shuffle(x, range(start, start + half)) for start in (0, half))
    return low.compare("uno", high).any()


def flush(bits: Value, dtype: Dtype) -> Value:
    """Denormals replaced by zeros of the same sign, in f32 and bf16."""
    if dtype == f16:
        return bits
    exponent, sign = (INFINITY, SIGN) if dtype == f32 else (0x7F80, 0x8000)
    return (bits & exponent).compare("eq", 0).choose(bits & sign, bits)


def magnitude(bits: Value) -> Value:
    """Without the sign."""
    return bits & ((1 << (bits.type.bits - 1)) - 1)


# ---------------------------------------------------------------------------- formats


def widen(bits: Value, dtype: Dtype) -> Value:
    """Bits of f32, f16 or bf16 as float values, exactly. A NaN stays one."""
    if dtype == f32:
        return bits.bitcast(F32)
    if dtype == bf16:
        return (bits.zext(I32) << 16).bitcast(F32)
    if bits.function.target.converts_f16:
        return bits.bitcast(F16).convert("fpext", F32)
    return _widen_f16(bits)


def _widen_f16(bits: Value) -> Value:
    wide = bits.zext(I32)
    shifted = (wide & 0x7FFF) << 13
    exponent = wide & 0x7C00
    normal = shifted + (112 << 23)
    # A denormal is its fraction times 2**-24: put it behind the point of 2**-14 and take that away.
    small = ((shifted | 0x38800000).bitcast(F32) - 2.0**-14).bitcast(I32)
    special = shifted | INFINITY
    found = exponent.compare("eq", 0).choose(small, exponent.compare("eq", 0x7C00).choose(special, normal))
    return (found | ((wide & 0x8000) << 16)).bitcast(F32)


def narrow(x: Value, dtype: Dtype) -> Value:
    """Float values rounded to nearest even, as bits. Denormal f32 values are zeros. A NaN becomes 0x7fff, in f32 it stays."""
    if dtype == f32:
        return x.bitcast(I32)
    found = to_f16(x) if dtype == f16 else round_bf16(x.bitcast(I32), Rounding.HALF_EVEN).lshr(16).trunc(I16)
    return found.function.rarely(has_nan(x), found, lambda: is_nan(x).choose(found.like(NAN16), found))


def to_f16(x: Value) -> Value:
    """Normal float values, zeros, infinities, and NaNs whose first bits are kept, as f16 bits, rounded to nearest even."""
    if x.function.target.converts_f16:
        return x.convert("fptrunc", F16).bitcast(I16)
    bits = x.bitcast(I32)
    size = bits & MAGNITUDE
    rounded = (size + 0xFFF + (size.lshr(13) & 1)).lshr(13) - (112 << 10)
    # Below 2**-14 the place of the last bit is 2**-24: adding 0.5 rounds there.
    small = (size.bitcast(F32) + 0.5).bitcast(I32) & 0xFFFF
    found = size.compare("ult", 0x38800000).choose(small, rounded)
    found = size.compare("uge", 0x47800000).choose(0x7C00, found)
    found = size.compare("ugt", INFINITY).choose(size.lshr(13) & 0x3FF | 0x7C00, found)
    return (found | (bits & SIGN).lshr(16)).trunc(I16)


def round_bf16(bits: Value, rounding: Rounding) -> Value:
    """Bits of f32 numbers other than NaN, rounded so that the upper 16 bits are those of bf16 (the lower ones are anything)."""
    match rounding:
        case Rounding.HALF_EVEN:
            return bits + 0x7FFF + (bits.lshr(16) & 1)
        case Rounding.HALF_AWAY:
            return bits + 0x8000
        case Rounding.TOWARD_ZERO:
            return bits
        case Rounding.DOWN:
            return bits + (bits.ashr(31) & 0xFFFF)
        case Rounding.UP:
            return bits + (~bits.ashr(31) & 0xFFFF)
        case _:
            raise NotImplementedError(rounding)


def narrow_modes(x: Value, dtype: Dtype, rounding: Rounding) -> Value:
    """Float values that are no denormals, rounded in any mode of a cast to f16 or bf16, as bits; a NaN becomes 0x7fff with its sign."""
    bits = x.bitcast(I32)
    sign = bits & SIGN
    if dtype == bf16:
        found = round_bf16(bits, rounding)
        return is_nan(x).choose(bits | (NAN16 << 16), found).lshr(16).trunc(I16)
    size = bits ^ sign
    nearest = to_f16(is_nan(x).choose(bits.like_bits(_NAN16_WIDE), size).bitcast(F32))
    if rounding is not Rounding.HALF_EVEN:
        nearest = _corrected(size.bitcast(F32), nearest, lambda half: widen(half, f16), sign.compare("ne", 0), rounding)
        beyond = size.compare("uge", 0x47800000) & ~is_nan(x)  # 65536 and more are infinite in every mode
        nearest = beyond.choose(0x7C00, nearest)
    return nearest | sign.lshr(16).trunc(I16)


def _corrected(size: Value, nearest: Value, wide: Callable[[Value], Value], negative: Value, rounding: Rounding) -> Value:
    """Bits of the magnitude rounded in another mode, from those rounded to nearest even.

    Args:
        size: magnitudes, exact.
        nearest: bits of the rounded magnitudes.
        wide: from such bits to values like `size`.
        negative: of the number, whose magnitude this is.
        rounding: the mode.
    """
    back = wide(nearest)
    if rounding in (Rounding.HALF_AWAY, Rounding.HALF_UP, Rounding.HALF_DOWN):
        above, below = nearest + 1, nearest - 1
        tie = (wide(above) - size).compare("oeq", size - back)
        away = (tie & size.compare("ogt", 0.0)).choose(above, nearest)  # above 0 may be a denormal, which counts as 0
        if rounding is Rounding.HALF_AWAY:
            return away
        toward = (size - wide(below)).compare("oeq", back - size).choose(below, nearest)
        return negative.choose(toward, away) if rounding is Rounding.HALF_UP else negative.choose(away, toward)
    too_large, too_small = back.compare("ogt", size), back.compare("olt", size)
    down = nearest - too_large.zext(nearest.type.of(nearest.type))
    up = nearest + too_small.zext(nearest.type.of(nearest.type))
    match rounding:
        case Rounding.TOWARD_ZERO:
            return down
        case Rounding.DOWN:
            return negative.choose(up, down)
        case Rounding.UP:
            return negative.choose(down, up)
        case _:
            raise NotImplementedError(rounding)


def round_double(x: Value, rounding: Rounding) -> Value:
    """float64 values (no NaN, in the range of f32) rounded to f32 in any mode of a cast."""
    if rounding is Rounding.HALF_EVEN:
        return x.convert("fptrunc", F32)
    negative = x.compare("olt", 0.0)
    size = (x.bitcast(I64) & ((1 << 63) - 1)).bitcast(F64)
    nearest = size.convert("fptrunc", F32).bitcast(I32)
    found = _corrected(size, nearest, lambda bits: bits.bitcast(F32).convert("fpext", F64), negative, rounding)
    return (found | negative.choose(found.like(SIGN), 0)).bitcast(F32)


def round_to_odd(x: Value) -> Value:
    """float64 values (no NaN, in the range of f32) as f32, cut off with the last bit set where something was cut off."""
    cut = round_double(x, Rounding.TOWARD_ZERO)
    inexact = cut.convert("fpext", F64).compare("one", x)
    bits = cut.bitcast(I32)
    return (bits | inexact.zext(I32)).bitcast(F32)


_ROUNDING = {
    Rounding.HALF_EVEN: "roundeven",
    Rounding.HALF_AWAY: "round",
    Rounding.TOWARD_ZERO: "trunc",
    Rounding.DOWN: "floor",
    Rounding.UP: "ceil",
}
"""LLVM's names."""


def round_to_integer(x: Value, rounding: Rounding) -> Value:
    """f32 or float64 values rounded to whole ones. The sign of a zero is that of the number. NaN stays NaN."""
    if x.function.target.rounds:
        return x.intrinsic(_ROUNDING[rounding])
    integer = x.type.as_integer
    limit = 2.0**23 if x.type.bits == 32 else 2.0**52
    sign_bit = 1 << (x.type.bits - 1)
    bits = x.bitcast(integer)
    sign = bits & sign_bit
    size = (bits ^ sign).bitcast(x.type)
    nearest = (size + limit) - limit  # rounds in the last place before the point
    whole = _whole(size, nearest, sign.compare("ne", 0), rounding)
    found = size.compare("olt", limit).choose(whole, size)
    return (found.bitcast(integer) | sign).bitcast(x.type)


def _whole(size: Value, nearest: Value, negative: Value, rounding: Rounding) -> Value:
    below = nearest - nearest.compare("ogt", size).choose(size.like(1.0), 0.0)
    match rounding:
        case Rounding.HALF_EVEN:
            return nearest
        case Rounding.HALF_AWAY:
            return below + (size - below).compare("oge", 0.5).choose(size.like(1.0), 0.0)
        case Rounding.TOWARD_ZERO:
            return below
        case Rounding.DOWN | Rounding.UP:
            above = nearest + nearest.compare("olt", size).choose(size.like(1.0), 0.0)
            return negative.choose(above, below) if rounding is Rounding.DOWN else negative.choose(below, above)
        case _:
            raise NotImplementedError(rounding)


# ---------------------------------------------------------------------------- arithmetic


def add(a: Value, b: Value, dtype: Dtype) -> Value:
    """`a + b`, rounded to the type; all as bits."""
    return _apply(lambda x, y: x + y, a, b, dtype)


def subtract(a: Value, b: Value, dtype: Dtype) -> Value:
    """`a - b`, as `add`."""
    return _apply(lambda x, y: x - y, a, b, dtype)


def multiply(a: Value, b: Value, dtype: Dtype) -> Value:
    """`a * b`, as `add`."""
    return _apply(lambda x, y: product(x, y, dtype), a, b, dtype)


def rounded(x: Value, dtype: Dtype) -> Value:
    """Float values rounded to the type, still as float values. A NaN stays one, but which one is not said: `narrow` makes it the chip's.

    For steps inside of a computation: NaNs go through sums and products, so that it is enough to look at the result.
    """
    if dtype == f32:
        return x
    if dtype == f16:
        return widen(to_f16(x), f16)
    return (round_bf16(x.bitcast(I32), Rounding.HALF_EVEN) & 0xFFFF0000).bitcast(F32)


def exact_nans(found: Value, exact: Callable[[], Value]) -> Value:
    """The bits of f32 values; where one is NaN, what the exact computation gives, which minds which NaN it is."""
    bits = found.bitcast(I32)
    return bits.function.rarely(has_nan(found), bits, exact)


def _apply(operation: Callable[[Value, Value], Value], a: Value, b: Value, dtype: Dtype) -> Value:
    if dtype == bf16 and a.type.lanes % 2 == 0 and a.type.lanes:
        return _apply_in_pairs(operation, a, b)
    x, y = widen(a, dtype), widen(b, dtype)
    found = operation(x, y)
    if dtype != f32:
        return narrow(found, dtype)
    bits = found.bitcast(I32)
    return bits.function.rarely(has_nan(found), bits, lambda: is_nan(found).choose(_nan_of(x, y), bits))


def _apply_in_pairs(operation: Callable[[Value, Value], Value], a: Value, b: Value) -> Value:
    """The same for bf16: of two neighbours in a word of 32 bits one is a float value without its lower half, the other one when it is
    shifted, so that no vector has to be taken apart and put together.
    """
    function, words = a.function, I32.vector(a.type.lanes // 2)
    one, other = (function.emit(words, f"bitcast {value} to {words}") for value in (a, b))
    even = operation((one << 16).bitcast(F32), (other << 16).bitcast(F32))
    odd = operation((one & 0xFFFF0000).bitcast(F32), (other & 0xFFFF0000).bitcast(F32))

    def together(low: Value, high: Value) -> Value:
        return low.lshr(16) | (high & 0xFFFF0000)

    low, high = (round_bf16(found.bitcast(I32), Rounding.HALF_EVEN) for found in (even, odd))
    pairs = together(low, high)
    nan = low.like(NAN16 << 16)
    pairs = function.rarely(
        even.compare("uno", odd).any(), pairs, lambda: together(is_nan(even).choose(nan, low), is_nan(odd).choose(nan, high))
    )
    return function.emit(a.type, f"bitcast {pairs} to {a.type}")


def _nan_of(x: Value, y: Value) -> Value:
    """The NaN of an operation on two f32: the first operand's, made quiet, else the second's, else that of an invalid operation."""
    second = is_nan(y).choose(y.bitcast(I32) | QUIET, INVALID)
    return is_nan(x).choose(x.bitcast(I32) | QUIET, second)


def product(x: Value, y: Value, dtype: Dtype) -> Value:
    """The product of float values before it is rounded to the type.

    Processors disagree on products that round up to the smallest normal f32, and none knows what rounds up to it in bf16.
    """
    found = x * y
    if dtype == bf16:
        return _settled(x, y, found, 8)
    return found if found.function.target.is_x86 else _settled(x, y, found, 24)


def _settled(x: Value, y: Value, product: Value, digits: int) -> Value:
    """The smallest normal number instead of what rounds to it when the exponent has no limit, zero instead of what is smaller."""
    bits = product.bitcast(I32)
    size = bits & MAGNITUDE
    suspect = size.compare("ule", SMALLEST_NORMAL) & x.compare("une", 0.0) & y.compare("une", 0.0)

    def settle() -> Value:
        exact = x.convert("fpext", F64) * y.convert("fpext", F64)
        exact = (exact.bitcast(I64) & ((1 << 63) - 1)).bitcast(F64)
        normal = exact.compare("oge", 2.0**-126 - 2.0 ** (-127 - digits))
        sign = (x.bitcast(I32) ^ y.bitcast(I32)) & SIGN
        return suspect.choose(sign | normal.choose(bits.like(SMALLEST_NORMAL), 0), bits)

    return bits.function.rarely(suspect.any(), bits, settle).bitcast(F32)
