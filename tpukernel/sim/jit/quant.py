"""RQ&DQ: every operation is lowered; the definition is `interpreter.quant`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

from tpukernel.chips.placement import Axis
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import Dtype, f32, i32, u32
from tpukernel.isa.quant import Quant, QuantOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.access import Place, place_of
from tpukernel.sim.jit.ir import F32, I32, I64, Value, integer
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.nest_kernel import Elementwise
from tpukernel.sim.jit.numerics import casts, floats, ints
from tpukernel.sim.jit.numerics.ints import Wide
from tpukernel.sim.jit.workspace import elementwise_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_COLUMNS = {
    QuantOp.REQUANT_FP: ("scale", "offset"),
    QuantOp.REQUANT_INT: ("multiplier", "shift", "offset"),
    QuantOp.DEQUANT_FP: ("offset", "scale"),
    QuantOp.DEQUANT_INT: ("offset", "multiplier", "shift"),
}
"""The constants, in the order of the table's columns."""


@dataclass(frozen=True)
class _Request:
    """An operation with everything that its code depends on.

    Attributes:
        op, dst, src, rounding, src_rounding: as in the instruction.
        shift: what is known of the shift: "left" (0 or more), "right", or "any".
        shift_bits: how many bits of it count.
    """

    op: QuantOp
    dst: Dtype
    src: Dtype
    rounding: Rounding
    src_rounding: Rounding
    shift: str
    shift_bits: int

    @property
    def converts_directly(self) -> bool:
        """Whether the processor converts `src` to f32 as it is wanted: exactly, or in the executor's rounding mode."""
        return self.src.bits == 16 or self.src_rounding is Rounding.HALF_EVEN

    @property
    def key(self) -> str:
        modes = f"{int(self.rounding)}.{int(self.src_rounding)}.{self.shift}.{self.shift_bits}"
        return f"quant.{self.op.name}.{self.dst.name}.{self.src.name}.{modes}"


def lower(instruction: Quant, memory: Memory) -> list[Call] | None:
    """The calls that compute the result."""
    constants, shift, shift_bits = _constants(instruction, memory)
    dst, src = place_of(memory, instruction.dst), place_of(memory, instruction.src)
    if dst is None or src is None or constants is None:
        return None
    request = _Request(
        op=instruction.op,
        dst=instruction.dst.dtype,
        src=i32 if instruction.src.dtype == u32 else instruction.src.dtype,
        rounding=instruction.rounding,
        src_rounding=instruction.src_rounding or Rounding.HALF_EVEN,
        shift=shift,
        shift_bits=shift_bits,
    )
    if request.op is QuantOp.REQUANT_FP and request.rounding in (Rounding.HALF_UP, Rounding.HALF_DOWN):
        return None
    return elementwise_calls(_operation(request), [dst], [src, *constants])


def _constants(instruction: Quant, memory: Memory) -> tuple[list[Place] | None, str, int]:
    """Where the constants are, what is known of the shift, and how many bits of it count."""
    names = _COLUMNS[instruction.op]
    if instruction.table is not None:
        table = place_of(memory, instruction.table)
        return None if table is None else [_column(table, number) for number in range(len(names))], "any", 8
    bits = 16 if instruction.op is QuantOp.DEQUANT_INT else 8
    values = [_bits(instruction.value_of(name)) for name in names]
    right = instruction.shift is not None and instruction.shift >> (bits - 1) & 1
    return [Place.constant(Constant(value, u32)) for value in values], "right" if right else "left", bits


def _bits(value: object) -> int:
    return value.bits if isinstance(value, Constant) else cast("int", value) & 0xFFFF_FFFF


def _column(table: Place, number: int) -> Place:
    n, c, h, w = table.host.axes
    return replace(table, host=replace(table.host, base=table.host.base + number * w.outer, axes=(n, c, h, Axis(1, 0))))


# ---------------------------------------------------------------------------- the operations


@cache
def _operation(request: _Request) -> Elementwise:
    narrow = request.op is QuantOp.DEQUANT_FP or (request.op is QuantOp.REQUANT_FP and request.converts_directly)
    return Elementwise(
        key=request.key,
        results=(request.dst.itemsize,),
        sources=(request.src.itemsize, *(4 for _ in _COLUMNS[request.op])),
        body=lambda values: [_BODIES[request.op](request, values)],
        width=32 if narrow else 64,
        nanoseconds=0.4 if narrow else 1.0,
    )


def _requant_fp(request: _Request, values: Sequence[Value]) -> Value:
    bits, scale, offset = values
    if request.converts_directly:
        number = ints.exact(bits, request.src, 32).convert("sitofp", F32).bitcast(I32)
    else:
        number = casts.cast(bits, request.src, f32, request.src_rounding)
    return casts.cast(floats.add(floats.multiply(number, scale, f32), offset, f32), f32, request.dst, request.rounding)


def _requant_int(request: _Request, values: Sequence[Value]) -> Value:
    bits, multiplier, amount, offset_bits = values
    product = ints.exact(bits, request.src) * multiplier.sext(I64)
    offset = _offset(offset_bits, request.dst, 64)
    low, high = request.dst.limits
    # Saturated before the offset is added, which could overflow 64 bits.
    found = _shift(request, product, amount).smax(offset.like(low) - offset).smin(offset.like(high) - offset) + offset
    return found.trunc(integer(request.dst.bits))


def _dequant_fp(request: _Request, values: Sequence[Value]) -> Value:
    bits, offset, scale = values
    difference = ints.exact(bits, request.src, 32) - _offset(offset, request.src, 32)
    return floats.multiply(difference.convert("sitofp", F32).bitcast(I32), scale, f32)  # 17 bits are exact


def _dequant_int(request: _Request, values: Sequence[Value]) -> Value:
    bits, offset, multiplier, amount = values
    difference = ints.exact(bits, request.src) - _offset(offset, request.src, 64)
    return ints.saturate(Wide(_shift(request, difference * multiplier.sext(I64), amount)), request.dst)


def _offset(bits: Value, narrow: Dtype, width: int) -> Value:
    """An integer offset: 16 bits, signed as the side without excess bits is."""
    return ints.extended(bits.trunc(integer(16)), narrow.is_signed, width)


def _shift(request: _Request, value: Value, bits: Value) -> Value:
    """Shifted to the left by the lowest 6 bits of the amount, or to the right by 63 at most."""
    amount = bits.trunc(integer(request.shift_bits)).sext(I64)
    if request.shift == "left":
        return value << (amount & 63)
    places = amount.like(0) - amount
    if request.shift == "right":
        return ints.shift_right(Wide(value), places, request.rounding).value
    right = ints.shift_right(Wide(value), places.smax(1), request.rounding).value
    return amount.compare("slt", 0).choose(right, value << (amount & 63))


_BODIES: dict[QuantOp, Callable[[_Request, Sequence[Value]], Value]] = {
    QuantOp.REQUANT_FP: _requant_fp,
    QuantOp.REQUANT_INT: _requant_int,
    QuantOp.DEQUANT_FP: _dequant_fp,
    QuantOp.DEQUANT_INT: _dequant_int,
}
