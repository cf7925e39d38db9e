"""The kernel template of everything that works line by line, where the work of a line is a loop of its own.

A line is whatever an operation does in one go, mostly what belongs to one (n, c). The loops over the lines are those of a `Nest`, with
sizes, strides and pointers at run time; the operation gets the pointers to the start of each operand's line.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.ir import I64, PTR, Function, Loop, Value
from tpukernel.sim.jit.kernel import ARGUMENTS, STOP, Call
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.nest import DIMS, Nest, nests

__all__ = ["PATTERN_BYTES", "Line", "LineOperation", "line_calls"]

PATTERN_BYTES = 64
"""A constant operand is a stretch of that many bytes, in which the constant is repeated."""

_BLOCK = 1 << 16
"""Elements in a long loop after which it looks whether it has to stop; a multiple of every step."""

_HEAD = DIMS + 1
"""Words of a record before the operands: the sizes and `Nest.last`."""
_WORDS = DIMS + 1
"""Words of an operand: its pointer and its strides."""


@dataclass(frozen=True)
class Line:
    """What an operation emits the code of a line with.

    Attributes:
        function: where the code goes.
        pointers: starts of the operands' lines.
        words: run-time numbers, the same for all lines.
        buffer: bytes of the thread's own that mean nothing between two lines (`LineOperation.buffer`).
        stop: where the word of `STOP` is.
    """

    function: Function
    pointers: Sequence[Value]
    words: Sequence[Value]
    buffer: Value
    stop: Value

    @contextmanager
    def long_loop(self, length: Value, step: int, carried: Sequence[Value]) -> Generator[Loop]:
        """As `Function.loop` from 0 on, for loops that may take seconds and may have no turn: it is left when the run is to stop."""
        function = self.function
        with function.loop(0, length, _BLOCK, carried, maybe_none=True) as blocks:
            leave, go_on = function.label("leave"), function.label("stay")
            asked = function.emit(I64, f"load atomic i64, {self.stop} acquire, align 8")
            function.branch_if(asked.compare("ne", 0), leave, go_on, rare=True)
            function.block(leave)
            function.ret(1)
            function.block(go_on)
            with function.loop(blocks.index, (blocks.index + _BLOCK).smin(length), step, blocks.values) as loop:
                yield loop
            blocks.next = loop.values
        loop.values = blocks.values

    def refuse_if(self, condition: Value) -> None:
        """Return from the kernel without having done its work."""
        refuse, go_on = self.function.label("refuse"), self.function.label("accept")
        self.function.branch_if(condition, refuse, go_on, rare=True)
        self.function.block(refuse)
        self.function.ret(1)
        self.function.block(go_on)


@dataclass(frozen=True)
class LineOperation:
    """An operation on lines.

    Attributes:
        key: its name with everything that the code depends on.
        operands: how many places it works on, the result first.
        words: how many run-time numbers it gets.
        body: emits the code of a line.
        buffer: bytes that the body may use as it likes.
        ieee: see `Kernel.ieee`.
    """

    key: str
    operands: int
    words: int
    body: Callable[[Line], None] = field(compare=False, repr=False)
    buffer: int = 8
    ieee: bool = False

    def emit(self, target: Target) -> str:
        """The module, in LLVM's text form."""
        function = Function(ENTRY, [PTR, I64, I64], I64, target)
        record, first, last = function.arguments
        sizes = [record.offset(8 * k).load(I64, 8) for k in range(_HEAD)]
        starts = [8 * (_HEAD + k * _WORDS) for k in range(self.operands)]
        pointers = [record.offset(start).load(PTR, 8) for start in starts]
        strides = [[record.offset(start + 8 * (1 + d)).load(I64, 8) for d in range(DIMS)] for start in starts]
        behind = 8 * (_HEAD + self.operands * _WORDS)
        words = [record.offset(behind + 8 * k).load(I64, 8) for k in range(self.words)]
        stop = record.offset(behind + 8 * self.words).load(PTR, 8)
        buffer = function.alloca(self.buffer)

        def loops(dim: int, at: Sequence[Value], innermost: Value) -> None:
            if dim == DIMS:
                self.body(Line(function, at, words, buffer, stop))
                return
            with function.loop(0, innermost if dim == DIMS - 1 else sizes[dim], carried=at) as loop:
                loops(dim + 1, loop.values, innermost)
                loop.next = [pointer.offset(steps[dim]) for pointer, steps in zip(loop.values, strides, strict=True)]

        begin = [pointer.offset(first * steps[0]) for pointer, steps in zip(pointers, strides, strict=True)]
        with function.loop(first, last, carried=begin, maybe_none=True) as loop:
            at_end = loop.index.compare("eq", sizes[0] - 1)
            loops(1, loop.values, at_end.choose(sizes[DIMS], sizes[DIMS - 1]))
            loop.next = [pointer.offset(steps[0]) for pointer, steps in zip(loop.values, strides, strict=True)]
        function.ret(0)
        return str(function)


def line_calls(operation: LineOperation, places: Sequence[Place], words: Sequence[int], nanoseconds: float) -> list[Call] | None:
    """The calls that do an operation for every line.

    Args:
        operation: what is done.
        places: where the lines of the operands start, all of one shape; dimensions of size 1 are repeated.
        words: the run-time numbers.
        nanoseconds: time for a line, about.

    Returns:
        None for lines that have too many different distances.
    """
    found = nests([place.host for place in places])
    return None if found is None else [_call(operation, places, words, nanoseconds, _outermost_first(nest)) for nest in found]


def _outermost_first(nest: Nest) -> Nest:
    """The same lines in the same order, in loops of which the first one does something: its turns are the units of work."""
    if nest.last != nest.sizes[-1]:
        return nest
    order = sorted(range(DIMS), key=lambda dim: nest.sizes[dim] == 1)
    sizes = tuple(nest.sizes[dim] for dim in order)
    return Nest(sizes, sizes[-1], nest.offsets, tuple(tuple(steps[dim] for dim in order) for steps in nest.strides))


def _call(operation: LineOperation, places: Sequence[Place], words: Sequence[int], nanoseconds: float, nest: Nest) -> Call:
    record, pointers = [*nest.sizes, nest.last], list[tuple[int, str]]()
    constants = _HEAD + len(places) * _WORDS + len(words) + 1
    for place, offset, strides in zip(places, nest.offsets, nest.strides, strict=True):
        pointers.append((len(record), place.space))
        if place.space == ARGUMENTS:
            record.append(8 * constants)
            constants += PATTERN_BYTES // 8
        else:
            record.append(place.host.base + offset)
        record += strides
    record += words
    pointers.append((len(record), STOP))
    record.append(0)
    for place in places:
        if place.space == ARGUMENTS:
            record += [_repeated(place.bits, place.host.itemsize)] * (PATTERN_BYTES // 8)
    return Call(operation, record, pointers, units=nest.sizes[0], cost=30 + nanoseconds * nest.elements)


def _repeated(bits: int, size: int) -> int:
    """The lowest bytes of a number, repeated in a signed word of 64 bits."""
    pattern = (bits & ((1 << 8 * size) - 1)).to_bytes(size, "little") * (8 // size)
    return int.from_bytes(pattern, "little", signed=True)
