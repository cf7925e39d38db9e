"""Integer arithmetic of the chip as vector code; the definition is `interpreter.numerics.ints`.

An exact number is a `Wide`: a signed or unsigned value of 32 or 64 bits. How many bits are enough is known from the types.
"""

from __future__ import annotations

from dataclasses import dataclass

from tpukernel.dtypes import Dtype
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.ir import I1, Type, Value, integer

__all__ = ["Wide", "exact", "multiply", "saturate", "shift", "shift_left_saturated", "shift_saturated", "wrap"]


@dataclass(frozen=True, slots=True)
class Wide:
    """An exact integer: its value, and whether that is unsigned and may need the highest bit."""

    value: Value
    unsigned: bool = False

    @property
    def type(self) -> Type:
        return self.value.type


def exact(bits: Value, dtype: Dtype, width: int = 64) -> Value:
    """Integers of any type of the chip as signed ones of that width, which has to hold them."""
    return extended(bits, dtype.is_signed, width)


def extended(bits: Value, signed: bool, width: int) -> Value:
    """More bits, by the sign."""
    return bits.sext(integer(width)) if signed else bits.zext(integer(width))


def multiply(a: Value, a_type: Dtype, b: Value, b_type: Dtype, width: int = 64) -> Wide:
    """The exact product."""
    unsigned = width == 64 and {a_type.name, b_type.name} == {"u32"}
    return Wide(exact(a, a_type, width) * exact(b, b_type, width), unsigned)


def wrap(wide: Wide, dtype: Dtype) -> Value:
    """The lowest bits."""
    return wide.value.trunc(integer(dtype.bits))


def saturate(wide: Wide, dtype: Dtype) -> Value:
    """The nearest number that the type has."""
    low, high = dtype.limits
    if wide.unsigned:
        return wide.value.umin(high).trunc(integer(dtype.bits))
    if wide.type.bits <= dtype.bits:  # 32 bits to 32 bits: only the sign can be wrong
        return wide.value.smax(0) if not dtype.is_signed else wide.value
    return wide.value.clamp(low, high).trunc(integer(dtype.bits))


def shift(wide: Wide, amount: Value, rounding: Rounding) -> Wide:
    """Numbers times 2**amount (signed, as wide as the numbers): to the left by the lowest five bits without rounding, to the right
    rounded.
    """
    value = wide.value
    left = value << (amount.smax(0) & 31)
    right = _shift_right(wide, (value.like(0) - amount).smax(1), rounding)
    return Wide(amount.compare("slt", 0).choose(right, left), wide.unsigned)


def shift_saturated(wide: Wide, amount: Value, rounding: Rounding, dtype: Dtype) -> Value:
    """Numbers times 2**amount, rounded and saturated, also where the shifted number has more than 64 bits."""
    low, high = dtype.limits
    value = wide.value
    left = amount.smax(0) & 31
    found = saturate(shift(wide, amount, rounding), dtype)
    bound = value.like(high)
    if wide.unsigned:
        above = value.compare("ugt", bound.lshr(left)) & left.compare("ne", 0)
        return above.choose(found.like(high), found)
    shifted = left.compare("ne", 0)
    above = value.compare("sgt", bound.ashr(left)) & shifted
    below = value.compare("slt", value.like(0) - value.like(-low).ashr(left)) & shifted
    return above.choose(found.like(high), below.choose(found.like(low), found))


def shift_left_saturated(value: Value, places: Value, dtype: Dtype) -> Value:
    """Signed numbers times 2**places, or the nearest one that the type has (which has no more bits than the numbers)."""
    low, high = (value.like(limit) for limit in dtype.limits)
    above, below = value.compare("sgt", high.ashr(places)), value.compare("slt", low.ashr(places))
    return above.choose(high, below.choose(low, value << places)).trunc(integer(dtype.bits))


def shift_right(wide: Wide, places: Value, rounding: Rounding) -> Wide:
    """Numbers divided by 2**places, rounded; `places` are 1 or more, and more than the width less one count as that."""
    return Wide(_shift_right(wide, places, rounding), wide.unsigned)


def _shift_right(wide: Wide, places: Value, rounding: Rounding) -> Value:
    value = wide.value
    places = places.smin(wide.type.bits - 1)
    quotient = value.lshr(places) if wide.unsigned else value.ashr(places)
    if rounding is Rounding.DOWN:
        return quotient
    one = value.like(1)
    rest = value & ((one << places) - 1)
    half = one << (places - 1)
    more, tie = rest.compare("ugt", half), rest.compare("eq", half)
    never = value.function.constant(value.type.of(I1), 0)
    negative = never if wide.unsigned else value.compare("slt", 0)
    match rounding:
        case Rounding.HALF_EVEN:
            up = more | (tie & (quotient & 1).compare("ne", 0))
        case Rounding.HALF_AWAY:
            up = more | (tie & ~negative)
        case Rounding.TOWARD_ZERO:
            up = negative & rest.compare("ne", 0)
        case Rounding.UP:
            up = rest.compare("ne", 0)
        case Rounding.HALF_UP:
            up = rest.compare("uge", half)
        case Rounding.HALF_DOWN:
            up = more
    return quotient + up.zext(value.type)
