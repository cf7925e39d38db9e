"""The kernel that computes a product from a packed left factor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tpukernel.dtypes import Dtype
from tpukernel.sim.jit.ir import I64, PTR, Function, Type, Value, integer
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.products.groups import GroupBlock, GroupPanel, group_functions
from tpukernel.sim.jit.products.kinds import Kind, panel_value
from tpukernel.sim.jit.products.microkernel import tile
from tpukernel.sim.jit.products.module import join
from tpukernel.sim.jit.products.product import Finish
from tpukernel.sim.jit.products.record import pointer_of, table_of, word_of
from tpukernel.sim.jit.products.tables import ENTRY_BYTES, Vectors, gather_loop, load_vectors, store_vector

__all__ = ["MOST_ROWS", "Head", "ProductKernel"]

MOST_ROWS = 192
"""Rows of one unit of work at most: their sums are on the stack."""

PANEL_BYTES = 24 << 10
"""Size of the packed part of a panel."""


class Head(IntEnum):
    """Words of the record before the addends."""

    ROWS = 0
    BLOCKS = 1
    CHUNKS = 2
    COLUMNS = 3
    HALF = 4
    """Steps with even k (of kinds with two buffers), else all steps."""
    STEPS = 5
    LEFT = 6
    LEFT_ROWS = 7
    """Table of the offsets of the rows of the packed left factor, filled up to whole blocks (16-bit floats: of the blocks)."""
    RIGHT = 8
    RIGHT_STEPS = 9
    RIGHT_COLUMNS = 10
    DST = 11
    DST_ROWS = 12
    DST_COLUMNS = 13
    COUNTS = 14
    """Of groups: how many places are used."""


@dataclass(frozen=True)
class ProductKernel:
    """The kernel.

    Attributes:
        kind: how products are added up.
        right: type of the right factor.
        dst: type of the result.
        addends: types of the addends and the directions along which each differs.
        finish: what is done with the sums.
    """

    kind: Kind
    right: Dtype
    dst: Dtype
    addends: tuple[tuple[Dtype, str], ...]
    finish: Finish
    ieee: bool = False

    @property
    def key(self) -> str:
        addends = "".join(f".{dtype.name}{by}" for dtype, by in self.addends)
        return f"product.{self.kind.name}.{self.right.name}.{self.dst.name}{addends}.{self.finish.key}"

    def emit(self, target: Target) -> str:
        panel = _panel(self.kind, self.right, target)
        inner = group_functions(target) if self.kind.name == "groups" else [tile(self.kind, target)]
        return join([_Driver(self, target).function, panel, *inner])


def _panel(kind: Kind, dtype: Dtype, target: Target) -> Function:
    """`panel(record, entries, first, steps, panel)`: pack steps of the right factor for the columns of a panel."""
    function = Function("panel", [PTR, PTR, I64, I64, PTR], I64, target)
    record, entries, first, count, panel = function.arguments
    lanes, vectors = kind.lanes(target), kind.vectors(target)
    right, rows = pointer_of(record, Head.RIGHT), table_of(record, Head.RIGHT_STEPS)
    with function.loop(0, vectors) as loop:
        gather_loop(
            function,
            Vectors(record, entries.offset(loop.index * ENTRY_BYTES)),
            right,
            rows,
            first,
            count,
            integer(dtype.bits),
            lanes,
            kind.per_step,
            lambda values: panel_value(kind, dtype, values),
            panel.offset(loop.index * (kind.size * lanes)),
            kind.size,
            kind.size * lanes * vectors,
        )
    function.ret(0)
    return function


class _Driver:
    """The exported function: for each unit of work pack, multiply, finish."""

    def __init__(self, kernel: ProductKernel, target: Target) -> None:
        kind = kernel.kind
        self.kernel, self.kind = kernel, kind
        self.block_rows, self.lanes, self.vectors = kind.rows(target), kind.lanes(target), kind.vectors(target)
        self.row_bytes = kind.size * self.lanes * self.vectors
        self.steps = 32 if kind.name == "groups" else PANEL_BYTES // self.row_bytes
        self.function = function = Function(ENTRY, [PTR, I64, I64], I64, target)
        self.record, first, last = function.arguments
        most_rows = MOST_ROWS + self.block_rows
        self.buffers = [function.alloca(most_rows * self.row_bytes) for _ in range(kind.buffers)]
        self.panel = function.alloca(GroupPanel(target).bytes if kind.name == "groups" else self.steps * self.row_bytes)
        self.scratch = function.alloca(8 * self.lanes)
        rows, blocks, chunks, columns = (word_of(self.record, word) for word in (Head.ROWS, Head.BLOCKS, Head.CHUNKS, Head.COLUMNS))
        with function.loop(first, last, maybe_none=True) as unit:
            panel = unit.index.sdiv(chunks)
            chunk = unit.index - panel * chunks
            self.first_block, self.last_block = (number.sdiv(chunks) for number in (chunk * blocks, (chunk + 1) * blocks))
            self.first_row = self.first_block * self.block_rows
            self.last_row = (self.last_block * self.block_rows).smin(rows)
            self.entry = panel * (self.vectors * ENTRY_BYTES)
            self.left_columns = columns - panel * (self.lanes * self.vectors)
            self._start()
            self._multiply()
            self._finish()
        function.ret(0)

    # ------------------------------------------------------------------ sums

    def _start(self) -> None:
        starts = self.kernel.finish.starts
        with self._rows() as row:
            for buffer, addends in zip(self.buffers, starts, strict=True):
                for number in range(self.vectors):
                    total = self.function.constant(self._sum_vector, 0)
                    for position, addend in enumerate(addends):
                        value = self._addend(addend, row.index, number).bitcast(self.kind.sums)
                        total = value if position == 0 else total + value
                    self._sum_place(buffer, row.index, number).store(total, self.kind.size)

    def _multiply(self) -> None:
        function, record = self.function, self.record
        half, steps = word_of(record, Head.HALF), word_of(record, Head.STEPS)
        left, rows = pointer_of(record, Head.LEFT), table_of(record, Head.LEFT_ROWS)
        per_block = 1 if self.kind.name == "groups" else self.block_rows
        entries = table_of(record, Head.RIGHT_COLUMNS).offset(self.entry)
        limits = [function.i64(0), half, steps]
        for number, buffer in enumerate(self.buffers):
            begin, end = limits[number], limits[number + 1]
            with function.loop(begin, end, self.steps, maybe_none=True) as loop:
                if self.kind.name == "groups":
                    count = table_of(record, Head.COUNTS).offset(loop.index.lshr(5) << 3).load(I64, 8)
                else:
                    count = (end - loop.index).smin(self.steps)
                function.call("panel", I64, [record, entries, loop.index, count, self.panel])
                if self.kind.name == "groups":
                    function.call("codes", I64, [self.panel, count])
                place = left.offset(self._left_bytes(number, loop.index - begin))
                with function.loop(self.first_block, self.last_block) as block:
                    offsets = rows.offset(block.index * (8 * per_block))
                    sums = buffer.offset((block.index - self.first_block) * (self.block_rows * self.row_bytes))
                    function.call("tile", I64, [count, place, offsets, self.panel, sums])

    def _left_bytes(self, number: int, step: Value) -> Value:
        """Bytes in front of the step of that number in one of the sums, in a packed row (of 16-bit floats: in a packed block)."""
        if self.kind.name == "groups":
            return step.lshr(5) * GroupBlock(self.function.target).bytes
        return step * self.kind.left_step + number * self.kind.left_size

    def _finish(self) -> None:
        function, record, kernel = self.function, self.record, self.kernel
        dst, rows = pointer_of(record, Head.DST), table_of(record, Head.DST_ROWS)
        entries = table_of(record, Head.DST_COLUMNS).offset(self.entry)
        used = {number for start in kernel.finish.starts for number in start}
        with self._rows() as row:
            place = dst.offset(rows.offset(row.index << 3).load(I64, 8))
            for number in range(self.vectors):
                left = self.left_columns - number * self.lanes
                with function.when(left.compare("sgt", 0)):
                    sums = [self._sum_place(buffer, row.index, number).load(self._sum_vector, self.kind.size) for buffer in self.buffers]
                    addends = [
                        sums[0] if addend in used else self._addend(addend, row.index, number) for addend in range(len(kernel.addends))
                    ]
                    found = kernel.finish.emit(sums, addends)
                    vectors = Vectors(record, entries.offset(number * ENTRY_BYTES))
                    store_vector(function, vectors, place, found, left.smin(self.lanes), self.scratch)

    # ------------------------------------------------------------------ places

    @property
    def _sum_vector(self) -> Type:
        return Type(self.kind.sums.element, self.lanes)

    def _rows(self):
        return self.function.loop(self.first_row, self.last_row)

    def _sum_place(self, buffer: Value, row: Value, vector: int) -> Value:
        return buffer.offset((row - self.first_row) * self.row_bytes).offset(vector * self.lanes * self.kind.size)

    def _addend(self, number: int, row: Value, vector: int) -> Value:
        """A vector of the bits of an addend."""
        dtype, by = self.kernel.addends[number]
        word = len(Head) + 3 * number
        place = pointer_of(self.record, word)
        if "r" in by:
            place = place.offset(table_of(self.record, word + 1).offset(row << 3).load(I64, 8))
        element = integer(dtype.bits)
        if "c" not in by:
            return place.load(element).splat(self.lanes)
        entry = table_of(self.record, word + 2).offset(self.entry).offset(vector * ENTRY_BYTES)
        return load_vectors(self.function, Vectors(self.record, entry), place, element, self.lanes, self.scratch)
