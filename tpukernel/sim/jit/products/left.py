"""Packing the left factor: blocks of rows, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tpukernel.dtypes import Dtype
from tpukernel.sim.jit.ir import I64, PTR, Function, integer
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.products.kinds import Kind, panel_value
from tpukernel.sim.jit.products.record import pointer_of, table_of, word_of

__all__ = ["LeftHead", "LeftKernel"]


class LeftHead(IntEnum):
    """Words of the record."""

    STEPS = 0
    DEPTH = 1
    FROM = 2
    ROWS = 3
    """Table of the offsets of the rows, filled up to whole blocks."""
    K = 4
    """Table of the offsets of every k, filled up to whole steps."""
    TO = 5
    BLOCK_BYTES = 6
    COUNTS = 7
    """Of groups: by group two words, how many places are used, and whether all 32 are and lie one behind the other."""


@dataclass(frozen=True)
class LeftKernel:
    """Packs blocks of rows; each is a unit of work.

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
        kind, dtype = self.kind, self.dtype
        rows, size, element = kind.rows(target), kind.size, integer(dtype.bits)
        function = Function(ENTRY, [PTR, I64, I64], I64, target)
        record, first, last = function.arguments
        steps, depth = word_of(record, LeftHead.STEPS), word_of(record, LeftHead.DEPTH)
        source, to = pointer_of(record, LeftHead.FROM), pointer_of(record, LeftHead.TO)
        row_table, k_table, block_bytes = (
            table_of(record, LeftHead.ROWS),
            table_of(record, LeftHead.K),
            word_of(record, LeftHead.BLOCK_BYTES),
        )
        with function.loop(first, last, maybe_none=True) as block:
            table = row_table.offset(block.index * (8 * rows))
            places = [source.offset(table.offset(8 * row).load(I64, 8)) for row in range(rows)]
            with function.loop(0, steps, carried=[k_table, to.offset(block.index * block_bytes)]) as loop:
                k_at, target_at = loop.values
                offsets = [k_at.offset(8 * number).load(I64, 8) for number in range(kind.per_step)]
                for row, place in enumerate(places):
                    values = [place.offset(offset).load(element) for offset in offsets]
                    if kind.per_step == 2:  # behind the last k of an odd number there is nothing
                        there = (loop.index * 2 + 1).compare("slt", depth)
                        values[1] = there.choose(values[1], 0)
                    target_at.offset(row * size).store(panel_value(kind, dtype, values), size)
                loop.next = [k_at.offset(8 * kind.per_step), target_at.offset(size * rows)]
        function.ret(0)
        return str(function)
