"""The reductions of PorD: largest elements, sums of floats, sums of integers; the definition is `interpreter.pool`."""

from __future__ import annotations

from tpukernel.dtypes import Dtype, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.ir import F32, I32, Value
from tpukernel.sim.jit.numerics import compare, floats, ints
from tpukernel.sim.jit.numerics.ints import Wide
from tpukernel.sim.jit.products.windows import Reduction, Tap

__all__ = ["float_sums", "integer_sums", "largest"]


def largest(dtype: Dtype, lowest: int) -> Reduction:
    """The largest element, from the lowest finite number on, whose bits are `lowest`."""
    size = dtype.itemsize

    def step(numbers: list[Value], tap: Tap) -> list[Value]:
        element = floats.flush(tap.element, dtype) if dtype == f32 else tap.element
        return [compare.greater(numbers[0], element, dtype).choose(numbers[0], element)]

    return Reduction(
        f"largest.{dtype.name}",
        (size, size, size, size),
        start=lambda bias: [bias.like(lowest)],
        step=step,
        finish=lambda numbers, taps, shift: numbers[0],
    )


def float_sums(dtype: Dtype, average: bool) -> Reduction:
    """Sums of even and odd taps; the odd one starts with the bias. In f32 one looks after NaNs only where one comes out."""
    careful = _careful_sums(dtype, average)
    if dtype != f32:
        return careful

    def step(numbers: list[Value], tap: Tap) -> list[Value]:
        if tap.element.function.target.is_x86:
            product = tap.element.bitcast(F32) * tap.weight.bitcast(F32)
        else:  # see `floats.multiply`
            product = floats.multiply(tap.element, tap.weight, dtype).bitcast(F32)
        return [numbers[1], numbers[0] + product]

    def finish(numbers: list[Value], _taps: Value, _shift: Value) -> Value:
        return (numbers[0] + numbers[1]).bitcast(I32)

    return Reduction(
        f"sums.f32.{average}",
        careful.sizes,
        start=lambda bias: [value.bitcast(F32) for value in careful.start(bias)],
        step=step,
        finish=finish,
        is_doubtful=lambda bits: floats.is_nan(bits.bitcast(F32)),
        careful=careful,
    )


def _careful_sums(dtype: Dtype, average: bool) -> Reduction:
    size = dtype.itemsize

    def start(bias: Value) -> list[Value]:
        # Averages begin with their first products, which may all be -0; depthwise sums begin with a zero.
        zero = bias.like(-1 << (dtype.bits - 1) if average else 0)
        return [zero, zero if average else bias]

    def step(numbers: list[Value], tap: Tap) -> list[Value]:
        product = floats.multiply(tap.element, tap.weight, dtype)
        return [numbers[1], floats.add(numbers[0], product, dtype)]

    def finish(numbers: list[Value], taps: Value, _shift: Value) -> Value:
        # The numbers change places with every tap.
        swapped = (taps & 1).compare("ne", 0)
        even, odd = swapped.choose(numbers[1], numbers[0]), swapped.choose(numbers[0], numbers[1])
        return floats.add(even, odd, dtype)

    return Reduction(f"sums.{dtype.name}.{average}", (size, size, size, size), start, step, finish)


def integer_sums(
    input: Dtype, weight: Dtype, bias: Dtype, dst: Dtype, rounding: Rounding, *, signed: bool, relu: bool, average: bool
) -> Reduction:
    """Sums that wrap at 32 bits, shifted, rounded and saturated."""

    def step(numbers: list[Value], tap: Tap) -> list[Value]:
        return [numbers[0] + ints.exact(tap.element, input, 32) * ints.exact(tap.weight, weight, 32)]

    def finish(numbers: list[Value], _taps: Value, shift: Value) -> Value:
        wide = ints.extended(numbers[0], signed, 64)
        found = ints.shift(Wide(wide), (shift.like(0) - shift).splat(wide.type.lanes), rounding)
        return ints.saturate(Wide(found.value.smax(0)) if relu else found, dst)

    return Reduction(
        f"sums.{input.name}.{weight.name}.{bias.name}.{dst.name}.{int(rounding)}.{signed}.{relu}.{average}",
        (input.itemsize, weight.itemsize, bias.itemsize, dst.itemsize),
        start=lambda bits: [bits.like(0) if average else ints.exact(bits, bias, 32)],
        step=step,
        finish=finish,
    )
