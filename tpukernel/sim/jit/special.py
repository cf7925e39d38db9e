"""SFU: every operation is lowered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from tpukernel.chips.placement import Axis
from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa.special import Special, SpecialOp
from tpukernel.sim.jit.access import place_of, places_of
from tpukernel.sim.jit.ir import Value, integer
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.nest_kernel import Elementwise, nest_calls
from tpukernel.sim.jit.numerics.floats import add, exact_nans, multiply, narrow, product, rounded, widen
from tpukernel.sim.jit.numerics.newton import reciprocal_root
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_ROUND_UP = {f32: (23, 0x555555), f16: (10, 0x2AA), bf16: (7, 0x54)}
"""Bits of the fraction, and what carries into the exponent of a positive number when it is added to a fraction of 1/3 and above."""


def lower(instruction: Special, memory: Memory) -> list[Call] | None:
    """The calls that compute the result."""
    places = places_of(memory, [instruction.dst, instruction.src])
    if places is None:
        return None
    dtype, coeff = instruction.src.dtype, instruction.coeff
    if instruction.op is SpecialOp.EXPONENT:
        return nest_calls(_exponent(dtype), places[:1], places[1:])
    if instruction.op is SpecialOp.RSQRT:
        return nest_calls(_root(instruction.iterations or 0), places[:1], places[1:])
    series = None if coeff is None else place_of(memory, coeff)
    if coeff is None or series is None or coeff.shape[3] < 2:
        return None
    *others, last = series.host.axes
    if last.outer != dtype.itemsize:
        return None
    start = replace(series, host=replace(series.host, axes=(*others, Axis(1, 0))), extent=coeff.shape[3] * dtype.itemsize)
    return nest_calls(_taylor(dtype, coeff.shape[3]), places[:1], [places[1], start])


@cache
def _exponent(dtype: Dtype) -> Elementwise:
    fraction_bits, carry = _ROUND_UP[dtype]

    def body(values: Sequence[Value]) -> list[Value]:
        (bits,) = values
        carried = bits.compare("sge", 0).choose(bits + carry, bits & ((1 << (dtype.bits - 1)) - 1))
        return [carried.lshr(fraction_bits)]

    return Elementwise(f"exponent.{dtype}", (dtype.itemsize,), (dtype.itemsize,), body, width=dtype.bits)


@cache
def _root(iterations: int) -> Elementwise:
    return Elementwise(f"rsqrt.{iterations}", (4,), (4,), lambda values: [reciprocal_root(values[0], iterations)], nanoseconds=2.0)


@cache
def _taylor(dtype: Dtype, count: int) -> Elementwise:
    size = dtype.itemsize
    last = (count - 1) * size

    def body(values: Sequence[Value]) -> list[Value]:
        source, series = values
        function, lanes = source.function, source.type.lanes

        def coefficient(place: Value) -> Value:
            return place.load(integer(dtype.bits)).splat(lanes)

        def wide_coefficient(place: Value) -> Value:
            return widen(place.load(integer(dtype.bits)), dtype).splat(lanes)

        def exact() -> Value:
            with function.loop(1, count, carried=[coefficient(series.offset(last)), series.offset(last)]) as loop:
                sum, place = loop.values
                following = place.offset(-size)
                loop.next = [add(multiply(sum, source, dtype), coefficient(following), dtype), following]
            return loop.values[0]

        wide = widen(source, dtype)
        with function.loop(1, count, carried=[wide_coefficient(series.offset(last)), series.offset(last)]) as loop:
            sum, place = loop.values
            following = place.offset(-size)
            scaled = rounded(product(sum, wide, dtype), dtype)
            loop.next = [rounded(scaled + wide_coefficient(following), dtype), following]
        found = loop.values[0]
        return [exact_nans(found, exact) if dtype == f32 else narrow(found, dtype)]

    return Elementwise(
        key=f"taylor.{dtype}.{count}",
        results=(size,),
        sources=(size, size),
        body=body,
        tables=frozenset({1}),
        table_bytes=count * size,
        nanoseconds=0.1 * count,
        vectors=4,
    )
