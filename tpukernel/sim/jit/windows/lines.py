"""The kernel template around a line: loops over the lines of all operands, several lines at a time where the code of one line would wait
for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.ir import I64, PTR, Function, Value
from tpukernel.sim.jit.kernel import ARGUMENTS, Call
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.nest import DIMS, Nest, nests

__all__ = ["Lines", "Operands", "WindowKernel", "line_calls"]

_WORDS = DIMS + 1
"""Words of an operand: its pointer and its strides."""

Operands = Mapping[str, Value]
"""Pointers by the name of the operand."""


@dataclass(frozen=True)
class Lines:
    """What the code of some lines is emitted with.

    Attributes:
        function: where the code goes.
        members: of each line, where its operands start.
        words: run-time numbers by name, the same for all lines.
        room: work memory of this call alone, the same for all its lines.
    """

    function: Function
    members: Sequence[Operands]
    words: Mapping[str, Value]
    room: Value


@dataclass(frozen=True)
class WindowKernel:
    """A kernel that works on lines.

    Attributes:
        key: its name with everything that the code depends on.
        operands: names of the operands, the result first. `room` is work memory, of which each call takes `room_bytes` for itself.
        words: names of the run-time numbers.
        body: emits the code of `group` lines; one may be there several times.
        begin: emits what a call does once, before its lines; its line has the operands of the first line of all.
        group: lines that are done together.
        depth: loops over lines.
        ieee: as of any kernel.
    """

    key: str
    operands: tuple[str, ...]
    words: tuple[str, ...]
    body: Callable[[Lines], None] = field(compare=False, repr=False)
    begin: Callable[[Lines], None] | None = field(default=None, compare=False, repr=False)
    group: int = 1
    depth: int = 1
    ieee: bool = False

    def emit(self, target: Target) -> str:
        """The module, in LLVM's text form."""
        function = Function(ENTRY, [PTR, I64, I64], I64, target)
        record, first, last = function.arguments
        sizes = [record.offset(8 * k).load(I64, 8) for k in range(self.depth)]
        starts = {name: 8 * (DIMS + k * _WORDS) for k, name in enumerate(self.operands)}
        pointers = {name: record.offset(start).load(PTR, 8) for name, start in starts.items()}
        strides = {name: [record.offset(start + 8 * (1 + d)).load(I64, 8) for d in range(self.depth)] for name, start in starts.items()}
        behind = 8 * (DIMS + len(self.operands) * _WORDS)
        words = {name: record.offset(behind + 8 * k).load(I64, 8) for k, name in enumerate(self.words)}
        room = pointers["room"].offset(first * words["room_bytes"]) if "room" in pointers else record
        if self.begin is not None:
            self.begin(Lines(function, [pointers], words, room))
        moving = [name for name in self.operands if name != "room"]

        def loops(dim: int, offsets: Sequence[Value], members: Sequence[Operands]) -> None:
            if dim == self.depth:
                found = [{name: each[name].offset(offset) for name, offset in zip(moving, offsets, strict=True)} for each in members]
                self.body(Lines(function, found, words, room))
                return
            with function.loop(0, sizes[dim], carried=offsets) as loop:
                loops(dim + 1, loop.values, members)
                loop.next = [offset + strides[name][dim] for offset, name in zip(loop.values, moving, strict=True)]

        with function.loop(first, last, maybe_none=True) as loop:
            index = loop.index * self.group
            indices = [index, *((index + g).smin(sizes[0] - 1) for g in range(1, self.group))]
            members = [{name: pointers[name].offset(each * strides[name][0]) for name in moving} for each in indices]
            loops(1, [function.i64(0)] * len(moving), members)
        function.ret(0)
        return str(function)


Make = Callable[[int], WindowKernel]
"""The kernel for that many loops over lines."""


def line_calls(make: Make, places: Mapping[str, Place], words: Mapping[str, int], nanoseconds: float) -> list[Call] | None:
    """The calls that do the work of all lines.

    Args:
        make: the kernel.
        places: by the name of the operand: where its lines start, all of one shape; dimensions of size 1 are repeated. `room` is one place.
        words: the run-time numbers by name.
        nanoseconds: time for a line, about.

    Returns:
        None for lines that have too many different distances.
    """
    found = nests([place.host for place in places.values()])
    return None if found is None else [_call(make, places, words, nanoseconds, nest) for nest in found]


def _call(make: Make, places: Mapping[str, Place], words: Mapping[str, int], nanoseconds: float, nest: Nest) -> Call:
    dims = _loops(nest)
    kernel = make(len(dims))
    none = (0,) * len(places)
    dims += [(1, none)] * (DIMS - len(dims))
    record, pointers = [size for size, _ in dims], list[tuple[int, str]]()
    constants = DIMS + len(places) * _WORDS + len(kernel.words)
    for k, place in enumerate(places.values()):
        pointers.append((len(record), place.space))
        if place.space == ARGUMENTS:
            record.append(8 * constants)
            constants += 1
        else:
            record.append(place.host.base + nest.offsets[k])
        record += [strides[k] for _, strides in dims]
    record += [words[name] for name in kernel.words]
    record += [place.bits for place in places.values() if place.space == ARGUMENTS]
    return Call(kernel, record, pointers, units=-(-dims[0][0] // kernel.group), cost=100 + nanoseconds * nest.elements)


def _loops(nest: Nest) -> list[tuple[int, tuple[int, ...]]]:
    """Sizes and strides of the loops that do something, the longest one first: it is split among threads, and has the groups of lines."""
    if nest.last != nest.sizes[-1]:  # one long run that was cut
        return [((nest.sizes[0] - 1) * nest.sizes[-1] + nest.last, tuple(strides[-1] for strides in nest.strides))]
    dims = [(size, tuple(strides[d] for strides in nest.strides)) for d, size in enumerate(nest.sizes) if size > 1]
    dims.sort(key=lambda dim: -dim[0])
    return dims or [(1, (0,) * len(nest.strides))]
