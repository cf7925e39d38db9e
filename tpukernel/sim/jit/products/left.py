"""Packing the left factor: rows of numbers one behind the other.

The microkernel reads a number of each row of a block at a time, wherever the rows lie. So packing is copying, run by run of neighbouring
numbers, to the type of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tpukernel.dtypes import Dtype
from tpukernel.sim.jit.ir import I64, PTR, Function, Type, Value, integer
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.numerics import floats
from tpukernel.sim.jit.numerics.ints import extended
from tpukernel.sim.jit.products.kinds import Kind
from tpukernel.sim.jit.products.record import pointer_of, table_of, word_of

__all__ = ["LeftHead", "LeftKernel"]


class LeftHead(IntEnum):
    """Words of the record, also of that for 16-bit floats."""

    RUNS = 0
    """How many runs a row has; of 16-bit floats: how many groups."""
    FROM = 1
    ROWS = 2
    """Table of the offsets of the rows, filled up to whole blocks."""
    RUN_TABLE = 3
    """Table of the runs of a row: offset of the first number, how many."""
    TO = 4
    ROW_BYTES = 5
    """Bytes of a packed row; of 16-bit floats: of a packed block."""
    K = 6
    """Of 16-bit floats: table of the offsets of every k, filled up to whole groups."""
    COUNTS = 7
    """Of 16-bit floats: by group two words, how many places are used, and whether all 32 are and lie one behind the other."""


@dataclass(frozen=True)
class LeftKernel:
    """Packs rows; each is a unit of work.

    Attributes:
        kind: how products are added up.
        dtype: type of the factor.
    """

    kind: Kind
    dtype: Dtype
    ieee: bool = False

    @property
    def key(self) -> str:
        return f"left.{self.kind.name}.{self.dtype.name}"

    def emit(self, target: Target) -> str:
        size, lanes = self.kind.left_size, target.vector_bytes // self.kind.left_size
        function = Function(ENTRY, [PTR, I64, I64], I64, target)
        record, first, last = function.arguments
        runs, row_bytes = word_of(record, LeftHead.RUNS), word_of(record, LeftHead.ROW_BYTES)
        source, to = pointer_of(record, LeftHead.FROM), pointer_of(record, LeftHead.TO)
        rows, run_table = table_of(record, LeftHead.ROWS), table_of(record, LeftHead.RUN_TABLE)
        with function.loop(first, last, maybe_none=True) as row:
            place = source.offset(rows.offset(row.index << 3).load(I64, 8))
            with function.loop(0, runs, carried=[to.offset(row.index * row_bytes), run_table]) as run:
                packed, at = run.values
                numbers, count = place.offset(at.load(I64, 8)), at.offset(8).load(I64, 8)
                whole = count & -lanes
                self._copy(function, numbers, packed, function.i64(0), whole, lanes)
                self._copy(function, numbers, packed, whole, count, 1)
                run.next = [packed.offset(count * size), at.offset(16)]
            if self.kind.per_step == 2:  # behind the last of an odd number comes a zero
                run.values[0].store(function.constant(integer(8 * size), 0), size)
        function.ret(0)
        return str(function)

    def _copy(self, function: Function, numbers: Value, packed: Value, first: Value, last: Value, step: int) -> None:
        """Numbers `first` to `last - 1` of a run, `step` at a time."""
        read, written = self.dtype.itemsize, self.kind.left_size
        element = Type(f"i{self.dtype.bits}", step if step > 1 else 0)
        with function.loop(first, last, step, maybe_none=True) as loop:
            bits = numbers.offset(loop.index * read).load(element)
            value = floats.widen(bits, self.dtype) if self.dtype.is_float else extended(bits, self.dtype.is_signed, 8 * written)
            packed.offset(loop.index * written).store(value)
