"""Copies of planes over which a window can slide without looking where it is: with padding and inserted elements, and with the columns
that a stride visits side by side.

With a horizontal stride of s, a row of the copy is s groups of columns, group r with the columns r, r + s, ... Only bits are moved. A copy
lies in work memory of the call, one plane after the other in the same place, so that what is the same for all is written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tpukernel.sim.jit.ir import I8, I32, Function, Value, integer
from tpukernel.sim.jit.windows.lines import Lines

__all__ = ["Geometry", "Spreading"]

_FILL = ("copy_bytes", "inner_start", "inner_row", "inner_h", "inner_w", "inner_step", "inner_wrapped", "inner_phase_step")
_COPY = ("h", "w", "input_row", "start", "start_phase", "row", "step", "wrapped", "copy_phase_step", "copy_phases", "odd_start")
_REGIONS = ("region_taps", "regions")


@dataclass(frozen=True)
class Geometry:
    """Sizes of a plane and of its copy.

    Attributes:
        size: (h, w).
        itemsize: bytes of an element.
        padding: (top, bottom, left, right).
        insert: (h, w) elements between neighbours.
        phases: groups of columns.
    """

    size: tuple[int, int]
    itemsize: int
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    insert: tuple[int, int] = (0, 0)
    phases: int = 1

    @property
    def is_identity(self) -> bool:
        """Whether the plane itself will do."""
        return not any(self.padding) and not any(self.insert) and self.phases == 1

    @property
    def inner(self) -> tuple[int, int]:
        """Rows and columns without the padding."""
        h, w = ((size - 1) * (insert + 1) + 1 for size, insert in zip(self.size, self.insert, strict=True))
        return h, w

    @property
    def group_bytes(self) -> int:
        """From one group of columns to the next."""
        columns = self.padding[2] + self.inner[1] + self.padding[3]
        return -(-columns // self.phases) * self.itemsize

    @property
    def row_bytes(self) -> int:
        """From one row to the next: long rows begin at cache lines."""
        size = self.phases * self.group_bytes
        return size if self.is_identity or size < 128 else -(-size // 64) * 64

    @property
    def bytes(self) -> int:
        """Of the whole copy, and enough to fill it by vectors."""
        rows = self.padding[0] + self.inner[0] + self.padding[1]
        return -(-rows * self.row_bytes // 64) * 64

    def step(self, columns: int) -> tuple[int, int, int]:
        """What leads that many columns to the right: bytes, bytes where that leads beyond the last group, and groups."""
        groups = columns % self.phases
        step = groups * self.group_bytes + columns // self.phases * self.itemsize
        return step, step - self.phases * self.group_bytes + self.itemsize, groups

    def place(self, row: int, column: int) -> int:
        """Bytes from the beginning to an element of the copy."""
        return row * self.row_bytes + column % self.phases * self.group_bytes + column // self.phases * self.itemsize

    def words(self) -> dict[str, int]:
        """The run-time numbers of the copy."""
        top, _, left, _ = self.padding
        inner_step, inner_wrapped, inner_phase_step = self.step(1)
        step, wrapped, phase_step = self.step(self.insert[1] + 1)
        return {
            "copy_bytes": self.bytes,
            "inner_start": self.place(top, left),
            "inner_row": self.row_bytes,
            "inner_h": self.inner[0],
            "inner_w": self.inner[1],
            "inner_step": inner_step,
            "inner_wrapped": inner_wrapped,
            "inner_phase_step": inner_phase_step,
            "h": self.size[0],
            "w": self.size[1],
            "input_row": self.size[1] * self.itemsize,
            "start": self.place(top, left),
            "start_phase": left % self.phases,
            "row": self.row_bytes * (self.insert[0] + 1),
            "step": step,
            "wrapped": wrapped,
            "copy_phase_step": phase_step,
            "copy_phases": self.phases,
            "odd_start": self.place(top, left + 1) - self.place(top, left),
        }


Mode = Literal["rows", "pairs", "groups", "columns", "regions"]


@dataclass(frozen=True)
class Spreading:
    """How copies are made.

    Attributes:
        itemsize: bytes of an element.
        mode: rows are copied as they are; even and odd columns go apart; columns go to several groups, one group after the other; each
            column goes somewhere; or the elements of regions are copied by a table, tap by tap.
        filled: what is around the elements is written "never", "once" because it is the same for all planes, or for "each" plane.
        inserted: there are inserted elements.
        columns: a power of two, not more than the columns that are copied together.
    """

    itemsize: int
    mode: Mode
    filled: Literal["never", "once", "each"]
    inserted: bool
    columns: int

    @property
    def words(self) -> tuple[str, ...]:
        """Names of the run-time numbers."""
        return _REGIONS if self.mode == "regions" else _COPY if self.filled == "never" else _FILL + _COPY

    @property
    def key(self) -> str:
        return f"{self.mode}.{self.itemsize}.{self.filled}.{self.inserted:d}.{self.columns}"

    def begin(self, lines: Lines) -> None:
        """What is done before the first plane."""
        if self.filled == "once":
            self._fill(lines)

    def emit(self, lines: Lines) -> Value:
        """The code that copies a plane; where the copy is."""
        if self.filled == "each":
            self._fill(lines)
        operands, words, function = lines.members[0], lines.words, lines.function
        if self.mode == "regions":
            self._by_table(lines)
            return lines.room
        begin = [operands["input"], lines.room.offset(words["start"])]
        with function.loop(0, words["h"], carried=begin) as row:
            source, target = row.values
            match self.mode:
                case "rows":
                    self._row(function, words, source, target)
                case "pairs":
                    self._pairs(function, words, source, target)
                case "groups":
                    self._groups(function, words, source, target)
                case _:
                    self._columns(function, words, source, target)
            row.next = [source.offset(words["input_row"]), target.offset(words["row"])]
        return lines.room

    def _lanes(self, function: Function) -> int:
        return min(self.columns, function.target.vector_bytes // self.itemsize)

    def _fill(self, lines: Lines) -> None:
        """Write padding and inserted elements."""
        function, words, operands = lines.function, lines.words, lines.members[0]
        element = integer(8 * self.itemsize)
        pad = operands["pad"].load(element).splat(64 // self.itemsize)
        with function.loop(0, words["copy_bytes"], 64) as loop:
            lines.room.offset(loop.index).store(pad)
        if not self.inserted:
            return
        inserted = operands["insert"].load(element)
        with function.loop(0, words["inner_h"], carried=[lines.room.offset(words["inner_start"])]) as row:
            with function.loop(0, words["inner_w"], carried=[row.values[0], words["start_phase"]]) as column:
                to, phase = column.values
                to.store(inserted)
                steps = words["inner_step"], words["inner_wrapped"], words["inner_phase_step"]
                column.next = list(_right(words, to, phase, *steps))
            row.next = [row.values[0].offset(words["inner_row"])]

    def _row(self, function: Function, words: Mapping[str, Value], source: Value, target: Value) -> None:
        lanes = self._lanes(function)
        with function.loop(0, words["w"], lanes) as column:
            place = column.index.smin(words["w"] - lanes) * self.itemsize
            target.offset(place).store(source.offset(place).load(integer(8 * self.itemsize, lanes)))

    def _pairs(self, function: Function, words: Mapping[str, Value], source: Value, target: Value) -> None:
        lanes, size = self._lanes(function), self.itemsize
        pairs = words["w"].lshr(1)
        odd_target = target.offset(words["odd_start"])
        with function.loop(0, pairs, lanes) as column:
            first = column.index.smin(pairs - lanes)
            pointer = source.offset(first * (2 * size))
            both = pointer.load(integer(8 * size, 2 * lanes))
            for to, begin in ((target, 0), (odd_target, 1)):
                places = ", ".join(f"i32 {begin + 2 * k}" for k in range(lanes))
                half = function.emit(integer(8 * size, lanes), f"shufflevector {both}, {both.type} poison, <{lanes} x i32> <{places}>")
                to.offset(first * size).store(half)
        with function.when((words["w"] & 1).compare("ne", 0)):
            last = pairs * size
            target.offset(last).store(source.offset(last * 2).load(integer(8 * size)))

    def _groups(self, function: Function, words: Mapping[str, Value], source: Value, target: Value) -> None:
        size, phases = self.itemsize, words["copy_phases"]
        begin = [source, target, words["start_phase"]]
        with function.loop(0, words["w"].smin(phases), carried=begin) as group:
            pointer, to, phase = group.values
            with function.loop(group.index, words["w"], phases, carried=[pointer, to]) as column:
                column.values[1].store(column.values[0].load(integer(8 * size)))
                column.next = [column.values[0].offset(phases * size), column.values[1].offset(size)]
            group.next = [pointer.offset(size), *_right(words, to, phase, words["step"], words["wrapped"], words["copy_phase_step"])]

    def _columns(self, function: Function, words: Mapping[str, Value], source: Value, target: Value) -> None:
        with function.loop(0, words["w"], carried=[source, target, words["start_phase"]]) as column:
            pointer, to, phase = column.values
            to.store(pointer.load(integer(8 * self.itemsize)))
            steps = words["step"], words["wrapped"], words["copy_phase_step"]
            column.next = [pointer.offset(self.itemsize), *_right(words, to, phase, *steps)]

    def _by_table(self, lines: Lines) -> None:
        """Row by row of the copy the elements under a tap in all regions: by a table of places, with -1 for those outside of a region."""
        function, words, operands = lines.function, lines.words, lines.members[0]
        element = integer(8 * self.itemsize)
        outside = operands["outside"].load(element)
        with function.loop(0, words["region_taps"] * words["regions"], carried=[operands["table"], lines.room]) as loop:
            table, to = loop.values
            place = table.load(I32)
            inside = place.compare("sge", 0)
            found = operands["input"].offset(place.smax(0).zext(integer(64)) * self.itemsize).load(element)
            to.store(inside.choose(found, outside))
            loop.next = [table.offset(I32.bits // I8.bits), to.offset(self.itemsize)]


def _right(words: Mapping[str, Value], pointer: Value, phase: Value, step: Value, wrapped: Value, phase_step: Value) -> tuple[Value, Value]:
    """Pointer and group of a column on the right."""
    following = phase + phase_step
    wraps = following.compare("sge", words["copy_phases"])
    return pointer.offset(wraps.choose(wrapped, step)), wraps.choose(following - words["copy_phases"], following)
