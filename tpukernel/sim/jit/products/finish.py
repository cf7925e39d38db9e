"""What is done with the sums of each unit."""

from __future__ import annotations

from collections.abc import Sequence

from tpukernel.dtypes import Dtype, i32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.ir import I32, I64, Value
from tpukernel.sim.jit.numerics import floats, ints
from tpukernel.sim.jit.numerics.ints import Wide
from tpukernel.sim.jit.products.product import Finish

__all__ = ["even_odd", "requantised_conv", "requantised_matmul", "rounded_once", "shifted", "wrapped"]


def even_odd(bias: bool, partial: bool) -> Finish:
    """f32: even plus odd. With bias and partial sum (the addends, in this order) the even sum starts with the first and the odd one with
    the second; with one of them the odd one does.
    """
    starts = {0: ((), ()), 1: ((), (0,)), 2: ((0,), (1,))}[bias + partial]
    return Finish(f"even_odd{bias + partial}", lambda sums, addends: (sums[0] + sums[1]).bitcast(I32), starts)


def rounded_once(dst: Dtype, addends: int) -> Finish:
    """Floats whose sums start with the sum of the addends: rounded once."""

    def emit(sums: Sequence[Value], _: Sequence[Value]) -> Value:
        return sums[0].bitcast(I32) if dst.bits == 32 else floats.narrow_modes(sums[0], dst, Rounding.HALF_EVEN)

    return Finish(f"rounded_once{addends}", emit, (tuple(range(addends)),))


def wrapped(dst: Dtype) -> Finish:
    """32-bit sums, to which an addend may be added, wrapped; saturated if the result is narrower."""

    def emit(sums: Sequence[Value], addends: Sequence[Value]) -> Value:
        total = sums[0]
        for addend in addends:
            total = total + addend
        return ints.saturate(Wide(total), dst) if dst.bits < 32 else total

    return Finish("wrapped", emit)


def requantised_conv(dst: Dtype, relu: bool, bias: Dtype | None) -> Finish:
    """CONV: the sums wrapped at 32 bits plus the bias (the second addend), shifted to the right by the first addend."""

    def emit(sums: Sequence[Value], addends: Sequence[Value]) -> Value:
        total = sums[0].sext(I64)
        if bias is not None:
            total = total + ints.exact(addends[1], bias)
        right = addends[0].sext(I64)
        found = ints.shift(Wide(total), right.like(0) - right, Rounding.HALF_UP)
        return ints.saturate(Wide(found.value.smax(0)) if relu else found, dst)

    return Finish(f"requant_conv.{relu}", emit)


def shifted(dst: Dtype, unsigned: bool, rounding: Rounding) -> Finish:
    """MM of 32-bit integers: 64-bit sums shifted by the addend (i8) and saturated."""

    def emit(sums: Sequence[Value], addends: Sequence[Value]) -> Value:
        return ints.saturate(ints.shift(Wide(sums[0], unsigned), addends[0].sext(I64), rounding), dst)

    return Finish(f"shifted.{unsigned}.{int(rounding)}", emit)


def requantised_matmul(dst: Dtype, relu: bool, bias: Dtype | None, partial: Dtype | None) -> Finish:
    """MM: the first two addends are the shifts (partial sum to the left, everything to the right); then come bias and partial sum."""

    def emit(sums: Sequence[Value], addends: Sequence[Value]) -> Value:
        total, (left, right, *others) = sums[0], addends
        if bias is not None:
            total = total + ints.exact(others[0], bias, 32)
        if partial is not None:
            moved = ints.exact(others[-1], partial) << (left.sext(I64) & 63)
            moved = left.sext(I64).compare("slt", 64).choose(moved, 0)
            total = total + ints.saturate(Wide(moved), i32)
        if relu:
            total = total.smax(0)
        halved = (total.ashr((right - 1).smax(0).smin(31)) + 1).ashr(1)
        return ints.saturate(Wide(right.compare("eq", 0).choose(total, halved)), dst)

    return Finish(f"requant_matmul.{relu}.{bias is not None}.{partial is not None}", emit)
