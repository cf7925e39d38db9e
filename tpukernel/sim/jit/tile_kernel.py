"""The kernel of copies that exchange two dimensions: elements follow each other along one loop in the source, along another in the result.

Such a copy moves blocks of 8 by 8 elements, which are transposed in registers; what is left over at the edges is copied one by one. The
record is that of a nest (`nest_kernel`) whose innermost loop is the one of the result, and the one around it that of the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpukernel.sim.jit.ir import I64, PTR, Function, Value, integer
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.nest import DIMS

__all__ = ["TileKernel", "in_tiles"]

TILE = 8
"""Rows and columns of a block."""

_HEAD = DIMS + 1
_WORDS = DIMS + 1
_SPLIT = 64
"""Rows that make a unit of work where there is no loop around."""


def in_tiles(call: Call, size: int) -> Call:
    """The same copy of elements of `size` bytes in blocks, where it exchanges two dimensions; else the call itself."""
    record = call.record
    sizes = record[:DIMS]
    result, source = (record[_HEAD + k * _WORDS + 1 : _HEAD + (k + 1) * _WORDS] for k in range(2))
    rows = [dim for dim in range(DIMS - 1) if source[dim] == size and sizes[dim] >= TILE]
    if result[-1] != size or source[-1] in (0, size) or sizes[-1] < TILE or not rows:
        return call
    row = rows[-1]
    dims = [(sizes[dim], result[dim], source[dim]) for dim in range(DIMS) if dim not in (row, DIMS - 1)]
    dims.sort(key=lambda dim: dim[0] == 1)  # loops that do something come first
    count, row_result, row_source = sizes[row], result[row], source[row]
    if dims[0][0] == 1 and count % _SPLIT == 0:
        dims[0] = (count // _SPLIT, _SPLIT * row_result, _SPLIT * row_source)
        count = _SPLIT
    dims += [(count, row_result, row_source), (sizes[-1], result[-1], source[-1])]
    words = [dim[0] for dim in dims] + [sizes[-1]]
    for operand in range(2):
        words += [record[_HEAD + operand * _WORDS], *(dim[1 + operand] for dim in dims)]
    return Call(TileKernel(size), words, call.pointers, units=dims[0][0], cost=call.cost, scratch=call.scratch)


@dataclass(frozen=True)
class TileKernel:
    """Copies in blocks, for elements of that many bytes."""

    size: int
    ieee: bool = False

    @property
    def key(self) -> str:
        return f"tiles.{self.size}"

    def emit(self, target: Target) -> str:
        return str(_Emitter(self.size, target).function)


class _Emitter:
    def __init__(self, size: int, target: Target) -> None:
        self.size = size
        self.function = function = Function(ENTRY, [PTR, I64, I64], I64, target)
        record, first, last = function.arguments
        self.sizes = [record.offset(8 * dim).load(I64, 8) for dim in range(DIMS)]
        words = [8 * (_HEAD + k * _WORDS) for k in range(2)]
        pointers = [record.offset(word).load(PTR, 8) for word in words]
        self.strides = [[record.offset(word + 8 * (1 + dim)).load(I64, 8) for dim in range(DIMS)] for word in words]
        begin = [pointer.offset(first * strides[0]) for pointer, strides in zip(pointers, self.strides, strict=True)]
        with function.loop(first, last, carried=begin, maybe_none=True) as loop:
            self._outer(1, loop.values)
            loop.next = self._advanced(loop.values, 0)
        function.ret(0)

    def _advanced(self, pointers: Sequence[Value], dim: int, count: int = 1) -> list[Value]:
        return [pointer.offset(strides[dim] * count) for pointer, strides in zip(pointers, self.strides, strict=True)]

    def _at(self, pointers: Sequence[Value], dim: int, index: Value) -> list[Value]:
        return [pointer.offset(strides[dim] * index) for pointer, strides in zip(pointers, self.strides, strict=True)]

    def _outer(self, dim: int, pointers: Sequence[Value]) -> None:
        if dim == DIMS - 2:
            self._plane(pointers)
            return
        with self.function.loop(0, self.sizes[dim], carried=pointers) as loop:
            self._outer(dim + 1, loop.values)
            loop.next = self._advanced(loop.values, dim)

    def _plane(self, pointers: Sequence[Value]) -> None:
        """Whole blocks, then the columns behind them, then the rows below."""
        rows, columns = self.sizes[-2], self.sizes[-1]
        whole_rows, whole_columns = rows & -TILE, columns & -TILE
        zero = self.function.i64(0)
        with self.function.loop(0, whole_rows, TILE, pointers, maybe_none=True) as down:
            with self.function.loop(0, whole_columns, TILE, down.values, maybe_none=True) as across:
                self._block(across.values)
                across.next = self._advanced(across.values, DIMS - 1, TILE)
            down.next = self._advanced(down.values, DIMS - 2, TILE)
        self._singly(pointers, (zero, whole_rows), (whole_columns, columns))
        self._singly(pointers, (whole_rows, rows), (zero, columns))

    def _singly(self, pointers: Sequence[Value], rows: tuple[Value, Value], columns: tuple[Value, Value]) -> None:
        corner = self._at(self._at(pointers, DIMS - 2, rows[0]), DIMS - 1, columns[0])
        with self.function.loop(*rows, carried=corner, maybe_none=True) as down:
            with self.function.loop(*columns, carried=down.values, maybe_none=True) as across:
                result, source = across.values
                result.store(source.load(integer(8 * self.size)))
                across.next = self._advanced(across.values, DIMS - 1)
            down.next = self._advanced(down.values, DIMS - 2)

    def _block(self, pointers: Sequence[Value]) -> None:
        result, source = pointers
        vector, step = integer(8 * self.size, TILE), self.strides[1][-1]
        lines: list[Value] = []
        for _ in range(TILE):
            lines.append(source.load(vector))
            source = source.offset(step)
        for line in _transposed(lines):
            result.store(line)
            result = result.offset(self.strides[0][-2])


_Mask = tuple[int, ...]
_STEPS: tuple[tuple[_Mask, _Mask], ...] = (
    ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)),
    ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
    ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
)
"""What the two new lines of each step take of both old ones; of four-byte elements these are shuffles that x86-64 processors have."""


def _transposed(lines: Sequence[Value]) -> list[Value]:
    """Eight lines of eight elements, rows and columns exchanged: of two, of four, of eight lines at a time."""
    twos = [_step(lines[k], lines[k + 1], 0) for k in range(0, TILE, 2)]
    fours: list[list[Value]] = []
    for k in (0, 2):
        (low, high), (other_low, other_high) = twos[k], twos[k + 1]
        fours.append([*_step(low, other_low, 1), *_step(high, other_high, 1)])
    eights = [_step(upper, lower, 2) for upper, lower in zip(*fours, strict=True)]
    return [low for low, _ in eights] + [high for _, high in eights]


def _step(a: Value, b: Value, number: int) -> tuple[Value, Value]:
    low, high = _STEPS[number]
    return a.shuffle(b, low), a.shuffle(b, high)
