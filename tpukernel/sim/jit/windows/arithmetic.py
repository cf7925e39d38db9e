"""What is done with the elements under a window, as vector code; the definition is `interpreter.pool`.

    sums = arithmetic.starts(...)                            of a vector of neighbouring results
    sums = arithmetic.step(sums, arithmetic.tap(...), ...)   for each tap of the window, in order
    bits, doubt = arithmetic.finish(sums, ...)

Floats have two sums that take turns: `step` puts the one that is next in front. Where `doubt` (bits, or None for never) is set, the
straight path may have missed a NaN that has to be a certain one, or a product near the smallest normal number; then `careful()` computes
the same results by operations that look at each case.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from tpukernel.dtypes import Dtype, bf16, f16, f32, i32, u32
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.ir import F32, I16, I32, Function, Value, integer
from tpukernel.sim.jit.numerics import floats, ints
from tpukernel.sim.jit.numerics.floats import MAGNITUDE, SMALLEST_NORMAL
from tpukernel.sim.jit.numerics.ints import Wide

__all__ = ["Arithmetic", "CarefulSum", "Ending", "FloatSum", "IntegerSum", "Largest", "Largest16", "LargestInteger"]

Sums = list[Value]
Tap = Sequence[Value]


@dataclass(frozen=True)
class Arithmetic(ABC):
    """How results come from the elements under a window.

    Attributes:
        dtype: type of the elements.
    """

    dtype: Dtype

    @property
    @abstractmethod
    def key(self) -> str:
        """What distinguishes its code."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Bits of what is computed with, which is what a vector is filled with."""

    @property
    def result_bytes(self) -> int:
        """Bytes of a result."""
        return self.dtype.itemsize

    @property
    def alternates(self) -> bool:
        """Whether two sums take turns."""
        return False

    @property
    def scaled(self) -> bool:
        """Whether all taps have the same factor."""
        return False

    @property
    def weighted(self) -> bool:
        """Whether each tap has a factor of its own."""
        return False

    def careful(self) -> Arithmetic | None:
        """What computes the results in doubt."""
        return None

    def element(self, pointer: Value, lanes: int) -> Value:
        """The elements under a tap."""
        return pointer.load(integer(self.dtype.bits, lanes))

    def factor(self, pointer: Value, lanes: int) -> Value:
        """A factor for all lanes."""
        return pointer.load(integer(self.dtype.bits)).splat(lanes)

    @abstractmethod
    def starts(self, function: Function, bias: Value, lanes: int) -> Sums:
        """The sums before the first tap.

        Args:
            function: where the code goes.
            bias: pointer to what is added.
            lanes: of the vectors.
        """

    def tap(self, pointer: Value, lanes: int, scale: Value | None) -> Tap:
        """What a tap contributes, before it is multiplied by a factor of its own."""
        del scale
        return [self.element(pointer, lanes)]

    @abstractmethod
    def step(self, sums: Sums, tap: Tap, factor: Value | None) -> Sums:
        """The sums with a tap."""

    @abstractmethod
    def finish(self, sums: Sums, scale: Value | None, shift: Value | None) -> tuple[Value, Value | None]:
        """Bits of the results, and which are in doubt. Of two sums the first one is that of the first tap."""


# ---------------------------------------------------------------------------- sums of floats


@dataclass(frozen=True)
class FloatSum(Arithmetic):
    """Sums of products, each rounded to the type; in f32 values that are numbers of the type.

    Attributes:
        average: all taps have the same factor, and the sums start with -0; else each has its own, and they start with 0 and the bias.
    """

    average: bool

    @property
    def key(self) -> str:
        return f"sum.{self.dtype.name}.{self.average:d}"

    @property
    def width(self) -> int:
        return 32

    @property
    def alternates(self) -> bool:
        return True

    @property
    def scaled(self) -> bool:
        return self.average

    @property
    def weighted(self) -> bool:
        return not self.average

    def careful(self) -> Arithmetic | None:
        return None if self.dtype == f16 else CarefulSum(self.dtype, self.average)

    def element(self, pointer: Value, lanes: int) -> Value:
        return floats.widen(super().element(pointer, lanes), self.dtype)

    def factor(self, pointer: Value, lanes: int) -> Value:
        return floats.widen(super().factor(pointer, lanes), self.dtype)

    def _suspects(self, function: Function) -> bool:
        """Whether products have to be looked at."""
        return self.dtype == bf16 or (self.dtype == f32 and not function.target.is_x86)

    def starts(self, function: Function, bias: Value, lanes: int) -> Sums:
        zero = function.constant(F32.vector(lanes), -0.0 if self.average else 0.0)
        found = [zero, self.factor(bias, lanes)]
        return [*found, function.constant(I32.vector(lanes), 0)] if self._suspects(function) else found

    def tap(self, pointer: Value, lanes: int, scale: Value | None) -> Tap:
        element = self.element(pointer, lanes)
        return [element] if scale is None else self._product(element, scale)

    def step(self, sums: Sums, tap: Tap, factor: Value | None) -> Sums:
        product, *suspect = tap if factor is None else self._product(tap[0], factor)
        first, second, *doubts = sums
        return [second, self._rounded(first + product), *(doubt | new for doubt, new in zip(doubts, suspect, strict=True))]

    def _product(self, x: Value, y: Value) -> Tap:
        product = x * y
        if not self._suspects(x.function):
            return [self._rounded(product)]
        near = (product.bitcast(I32) & MAGNITUDE).compare("ule", SMALLEST_NORMAL)
        suspect = near & x.compare("une", 0.0) & y.compare("une", 0.0)
        return [self._rounded(product), suspect.sext(I32)]

    def _rounded(self, x: Value) -> Value:
        # NaNs stay some NaN here: those of 16-bit numbers have no bits that the rounding could carry on.
        if self.dtype == f16:
            return floats.widen(floats.to_f16(x), f16)
        if self.dtype == bf16:
            return (floats.round_bf16(x.bitcast(I32), Rounding.HALF_EVEN) & 0xFFFF0000).bitcast(F32)
        return x

    def finish(self, sums: Sums, scale: Value | None, shift: Value | None) -> tuple[Value, Value | None]:  # noqa: ARG002
        found = sums[0] + sums[1]
        doubt = sums[2].compare("ne", 0) if len(sums) > 2 else None
        if self.dtype == f32:
            nan = floats.is_nan(found)
            doubt = nan if doubt is None else doubt | nan
        return floats.narrow(found, self.dtype), doubt


@dataclass(frozen=True)
class CarefulSum(FloatSum):
    """The same sums by operations that get every NaN and every product right; on bits."""

    @property
    def key(self) -> str:
        return f"careful.{super().key}"

    def element(self, pointer: Value, lanes: int) -> Value:
        return Arithmetic.element(self, pointer, lanes)

    def factor(self, pointer: Value, lanes: int) -> Value:
        return Arithmetic.factor(self, pointer, lanes)

    def starts(self, function: Function, bias: Value, lanes: int) -> Sums:
        zero = 1 << (self.dtype.bits - 1) if self.average else 0
        return [function.constant(integer(self.dtype.bits, lanes), zero), self.factor(bias, lanes)]

    def step(self, sums: Sums, tap: Tap, factor: Value | None) -> Sums:
        product = tap[0] if factor is None else self._product(tap[0], factor)[0]
        return [sums[1], floats.add(sums[0], product, self.dtype)]

    def _product(self, x: Value, y: Value) -> Tap:
        return [floats.multiply(x, y, self.dtype)]

    def finish(self, sums: Sums, scale: Value | None, shift: Value | None) -> tuple[Value, Value | None]:  # noqa: ARG002
        return floats.add(sums[0], sums[1], self.dtype), None


# ---------------------------------------------------------------------------- sums of integers


@dataclass(frozen=True)
class Ending:
    """What becomes of a sum of integers.

    Attributes:
        dst: type of the result.
        signed: whether the 32-bit sum is signed.
        wraps: the result is its lowest bits, and nothing else counts.
        shifted: it is shifted to the right, rounded.
        rounding: of that shift.
        relu: negative results become 0.
    """

    dst: Dtype
    signed: bool
    wraps: bool = False
    shifted: bool = False
    rounding: Rounding = Rounding.HALF_UP
    relu: bool = False

    @property
    def key(self) -> str:
        return f"{self.dst.name}.{self.signed:d}{self.wraps:d}{self.shifted:d}{self.relu:d}.{int(self.rounding) if self.shifted else 0}"

    def emit(self, total: Value, shift: Value | None) -> Value:
        """Bits of the results from the sums, which wrapped at 32 bits."""
        if self.wraps:
            return total.trunc(integer(self.dst.bits))
        wide = Wide(total)
        if self.shifted or not self.signed:
            wide = Wide(ints.exact(total, i32 if self.signed else u32))
        if self.shifted and shift is not None:
            wide = ints.shift_right(wide, shift.splat(total.type.lanes), self.rounding)
        if self.relu:
            wide = Wide(wide.value.smax(0))
        return ints.saturate(wide, self.dst)


@dataclass(frozen=True)
class IntegerSum(Arithmetic):
    """Sums of products of 8-bit integers, modulo 2**32.

    Attributes:
        factors: type of the weights, or of the scale.
        average: all taps have the same factor.
        ending: what becomes of the sum.
    """

    factors: Dtype
    average: bool
    ending: Ending

    @property
    def key(self) -> str:
        return f"sum.{self.dtype.name}.{self.factors.name}.{self.average:d}.{self.ending.key}"

    @property
    def width(self) -> int:
        return 32

    @property
    def result_bytes(self) -> int:
        return self.ending.dst.itemsize

    @property
    def scaled(self) -> bool:
        return self.average

    @property
    def weighted(self) -> bool:
        return not self.average

    def element(self, pointer: Value, lanes: int) -> Value:
        return ints.exact(super().element(pointer, lanes), self.dtype, 32)

    def factor(self, pointer: Value, lanes: int) -> Value:
        return ints.exact(super().factor(pointer, lanes), self.factors, 32)

    def starts(self, function: Function, bias: Value, lanes: int) -> Sums:  # noqa: ARG002
        return [bias.load(I32).splat(lanes)]

    def step(self, sums: Sums, tap: Tap, factor: Value | None) -> Sums:
        return [sums[0] + (tap[0] if factor is None else tap[0] * factor)]

    def finish(self, sums: Sums, scale: Value | None, shift: Value | None) -> tuple[Value, Value | None]:
        total = sums[0] if scale is None else sums[0] * scale
        return self.ending.emit(total, shift), None


# ---------------------------------------------------------------------------- the largest


@dataclass(frozen=True)
class Largest(Arithmetic):
    """Of f32: the old one while it is greater than the next, from the lowest finite number on. Denormals are flushed."""

    @property
    def key(self) -> str:
        return f"max.{self.dtype.name}"

    @property
    def width(self) -> int:
        return self.dtype.bits

    def element(self, pointer: Value, lanes: int) -> Value:
        return super().element(pointer, lanes).bitcast(F32)

    def starts(self, function: Function, bias: Value, lanes: int) -> Sums:  # noqa: ARG002
        return [function.constant(F32.vector(lanes), -(2.0**128 - 2.0**104))]

    def step(self, sums: Sums, tap: Tap, factor: Value | None) -> Sums:  # noqa: ARG002
        return [sums[0].compare("ogt", tap[0]).choose(sums[0], tap[0])]

    def finish(self, sums: Sums, scale: Value | None, shift: Value | None) -> tuple[Value, Value | None]:  # noqa: ARG002
        return floats.flush(sums[0].bitcast(I32), f32), None


@dataclass(frozen=True)
class Largest16(Arithmetic):
    """Of f16 and bf16. Bits are compared as the integers that their order is that of; the sums are bits and such integers.

    A NaN is greater than nothing, and nothing is greater than it.
    """

    @property
    def key(self) -> str:
        return f"max.{self.dtype.name}"

    @property
    def width(self) -> int:
        return 16

    def starts(self, function: Function, bias: Value, lanes: int) -> Sums:  # noqa: ARG002
        largest_finite = 0x7BFF if self.dtype == f16 else 0x7F7F
        vector = I16.vector(lanes)
        return [function.constant(vector, 0x8000 | largest_finite), function.constant(vector, -largest_finite)]

    def tap(self, pointer: Value, lanes: int, scale: Value | None) -> Tap:  # noqa: ARG002
        bits = self.element(pointer, lanes)
        size = bits & 0x7FFF
        nan = size.compare("ugt", 0x7C00 if self.dtype == f16 else 0x7F80)
        if self.dtype == bf16:
            size = size.compare("ult", 0x0080).choose(0, size)
        order = bits.compare("slt", 0).choose(size.like(0) - size, size)
        return [bits, nan.choose(-0x8000, order), nan.choose(0x7FFF, order)]

    def step(self, sums: Sums, tap: Tap, factor: Value | None) -> Sums:  # noqa: ARG002
        bits, order, bound = tap
        kept = sums[1].compare("sgt", bound)
        return [kept.choose(sums[0], bits), kept.choose(sums[1], order)]

    def finish(self, sums: Sums, scale: Value | None, shift: Value | None) -> tuple[Value, Value | None]:  # noqa: ARG002
        return sums[0], None


@dataclass(frozen=True)
class LargestInteger(Arithmetic):
    """Of 8-bit integers."""

    @property
    def key(self) -> str:
        return f"max.{self.dtype.name}"

    @property
    def width(self) -> int:
        return self.dtype.bits

    def starts(self, function: Function, bias: Value, lanes: int) -> Sums:  # noqa: ARG002
        return [function.constant(integer(self.dtype.bits, lanes), self.dtype.limits[0])]

    def step(self, sums: Sums, tap: Tap, factor: Value | None) -> Sums:  # noqa: ARG002
        return [sums[0].intrinsic("smax" if self.dtype.is_signed else "umax", tap[0])]

    def finish(self, sums: Sums, scale: Value | None, shift: Value | None) -> tuple[Value, Value | None]:  # noqa: ARG002
        return sums[0], None
