"""The kernel of units that slide a window over each channel: sums of a few products, or the largest element.

A unit of work is one channel of one n. Its pixels are taken a vector at a time, and for each vector the taps of the window in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from tpukernel.sim.jit.ir import I64, PTR, Function, Type, Value, integer
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.products.record import pointer_of, table_of, word_of
from tpukernel.sim.jit.products.tables import ENTRY_BYTES, SINGLE, Vectors, from_runs, one_by_one, store_vector

__all__ = ["Reduction", "Tap", "WindowHead", "WindowKernel", "window_lanes"]


class WindowHead(IntEnum):
    """Words of the record."""

    PIXELS = 0
    TAPS = 1
    SHIFT = 2
    """Places by which integer sums are shifted to the right."""
    INPUT = 3
    PLANES = 4
    """Table of the offsets of the channels of all n, as the other tables of planes."""
    INPUT_TAPS = 5
    COLUMNS = 6
    DST = 7
    DST_PLANES = 8
    DST_COLUMNS = 9
    WEIGHT = 10
    WEIGHT_PLANES = 11
    WEIGHT_TAPS = 12
    BIAS = 13
    BIAS_PLANES = 14


@dataclass(frozen=True)
class Tap:
    """What a reduction sees of a tap: the elements, and (splat) the weight; as bits."""

    element: Value
    weight: Value


@dataclass(frozen=True)
class Reduction:
    """What is computed from the elements under a window.

    Attributes:
        key: distinguishes it from all others.
        sizes: bytes of an element of input, weight, bias and result.
        start: from bits of the bias (splat) to the numbers that are carried from tap to tap.
        step: from the numbers and a tap to the numbers after it.
        finish: from the numbers, the count of taps and the shift to the bits of the result.
        is_doubtful: from the bits of the result, whether `careful` has to be used.
        careful: the same, slower and more exact.
    """

    key: str
    sizes: tuple[int, int, int, int]
    start: Callable[[Value], list[Value]] = field(compare=False, repr=False)
    step: Callable[[list[Value], Tap], list[Value]] = field(compare=False, repr=False)
    finish: Callable[[list[Value], Value, Value], Value] = field(compare=False, repr=False)
    is_doubtful: Callable[[Value], Value] | None = field(default=None, compare=False, repr=False)
    careful: Reduction | None = field(default=None, compare=False, repr=False)


def window_lanes(target: Target) -> int:
    """Elements of a vector."""
    return target.vector_bytes // 4


@dataclass(frozen=True)
class WindowKernel:
    """The kernel of a reduction."""

    reduction: Reduction
    ieee: bool = False

    @property
    def key(self) -> str:
        return f"window.{self.reduction.key}"

    def emit(self, target: Target) -> str:
        return str(_Emitter(self.reduction, target).function)


class _Emitter:
    def __init__(self, reduction: Reduction, target: Target) -> None:
        self.reduction, self.lanes = reduction, window_lanes(target)
        self.function = function = Function(ENTRY, [PTR, I64, I64], I64, target)
        self.record, first, last = function.arguments
        self.taps, pixels = word_of(self.record, WindowHead.TAPS), word_of(self.record, WindowHead.PIXELS)
        self.buffer = function.alloca(8 * self.lanes)
        with function.loop(first, last, maybe_none=True) as plane:
            self.input, dst, self.weight, bias = (
                pointer_of(self.record, word).offset(table_of(self.record, table).offset(plane.index << 3).load(I64, 8))
                for word, table in (
                    (WindowHead.INPUT, WindowHead.PLANES),
                    (WindowHead.DST, WindowHead.DST_PLANES),
                    (WindowHead.WEIGHT, WindowHead.WEIGHT_PLANES),
                    (WindowHead.BIAS, WindowHead.BIAS_PLANES),
                )
            )
            self.bias = bias.load(integer(8 * reduction.sizes[2])).splat(self.lanes)
            entries = [table_of(self.record, word) for word in (WindowHead.COLUMNS, WindowHead.DST_COLUMNS)]
            with function.loop(0, pixels, self.lanes, entries) as loop:
                seen, written = (Vectors(self.record, entry) for entry in loop.values)
                store_vector(function, written, dst, self._vector(seen), (pixels - loop.index).smin(self.lanes), self.buffer)
                loop.next = [entry.offset(ENTRY_BYTES) for entry in loop.values]
        function.ret(0)

    def _vector(self, seen: Vectors) -> Value:
        """The results of a vector of pixels."""
        function, element = self.function, integer(8 * self.reduction.sizes[0])
        runs, single, end = (function.label(name) for name in ("runs", "single", "end"))
        function.branch_if(seen.word(0).compare("eq", SINGLE), single, runs)
        found: list[tuple[Value, str]] = []
        for label, load in (
            (runs, lambda: from_runs(seen, self.lanes, element)),
            (single, lambda: one_by_one(seen, self.lanes, element, self.buffer)),
        ):
            function.block(label)
            value = self._checked(load())
            found.append((value, function.here))
            function.branch(end)
        function.block(end)
        return function.phi(found)

    def _checked(self, load: Callable[[Value], Value]) -> Value:
        value, reduction = self._reduced(self.reduction, load), self.reduction
        careful = reduction.careful
        if reduction.is_doubtful is None or careful is None:
            return value
        return self.function.rarely(reduction.is_doubtful(value).any(), value, lambda: self._reduced(careful, load))

    def _reduced(self, reduction: Reduction, load: Callable[[Value], Value]) -> Value:
        function, weight = self.function, Type(f"i{8 * reduction.sizes[1]}")
        tables = [table_of(self.record, word) for word in (WindowHead.INPUT_TAPS, WindowHead.WEIGHT_TAPS)]
        with function.loop(0, self.taps, carried=[*tables, *reduction.start(self.bias)]) as loop:
            input_at, weight_at, *numbers = loop.values
            elements = load(self.input.offset(input_at.load(I64, 8)))
            factor = self.weight.offset(weight_at.load(I64, 8)).load(weight).splat(self.lanes)
            loop.next = [input_at.offset(8), weight_at.offset(8), *reduction.step(numbers, Tap(elements, factor))]
        return reduction.finish(loop.values[2:], self.taps, word_of(self.record, WindowHead.SHIFT))
