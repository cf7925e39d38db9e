"""Records of the engine's kernels: a head of single words, and tables behind it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from tpukernel.sim.jit.ir import I64, PTR, Value
from tpukernel.sim.jit.kernel import ARGUMENTS
from tpukernel.sim.jit.products.product import Grid, Offsets
from tpukernel.sim.jit.products.tables import ColumnTable

__all__ = ["Builder", "pointer_of", "table_of", "word_of"]


class Builder:
    """A record that is being made.

    Args:
        head: names of its single words; `operands` of three words (pointer, table by row, table by column) follow.
        operands: how many.
    """

    def __init__(self, head: type[IntEnum], operands: int = 0) -> None:
        self.words = [0] * (len(head) + 3 * operands)
        self.pointers: list[tuple[int, str]] = []
        self._first_operand = len(head)

    def operand(self, number: int) -> int:
        """The first word of an operand."""
        return self._first_operand + 3 * number

    def pointer(self, word: int, space: str, offset: int) -> None:
        """A pointer into a memory."""
        self.words[word] = offset
        self.pointers.append((word, space))

    def grid(self, word: int, grid: Grid) -> None:
        """A pointer to elements; a constant is put into the record."""
        if grid.space == ARGUMENTS:
            self.pointer(word, ARGUMENTS, 8 * len(self.words))
            self.words.append(grid.base & 0xFFFF_FFFF)
        else:
            self.pointer(word, grid.space, grid.base)

    def offsets(self, word: int, offsets: Offsets | Sequence[int]) -> None:
        """A table of numbers."""
        self.words[word] = 8 * len(self.words)
        self.words += np.asarray(offsets, np.int64).tolist()

    def columns(self, word: int, table: ColumnTable) -> None:
        """A table of columns."""
        start = len(self.words)
        self.words[word] = 8 * start
        self.words += table.words
        for position in table.singles:
            self.words[start + position] += 8 * start


def word_of(record: Value, word: int) -> Value:
    """A word of the record."""
    return record.offset(8 * word).load(I64, 8)


def pointer_of(record: Value, word: int) -> Value:
    """A pointer in the record."""
    return record.offset(8 * word).load(PTR, 8)


def table_of(record: Value, word: int) -> Value:
    """A pointer to a table of the record."""
    return record.offset(word_of(record, word))
