"""Gathering and scattering by position, as the units SG, SGL, DMA_gather and DMA_scatter do it.

Everything is (n, c, lines, w): positions choose lines of w elements within each (n, c); a unit that chooses elements has lines of one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpukernel.isa.instruction import Instruction
from tpukernel.sim.errors import ExecutionError

__all__ = ["Bits", "Positions", "gather", "refuse_outside", "scatter"]

Bits = NDArray[np.unsignedinteger[Any]]
Positions = NDArray[np.int64]


def gather(table: Bits, positions: Positions) -> Bits:
    """`table[n, c, positions[n, c, i], :]` for every (n, c, i).

    Args:
        table: (n, c, lines, w); n and c may be 1, for all.
        positions: (n, c, count), all of them lines of the table; n and c may be 1, for all.
    """
    n, c = np.broadcast_shapes(table.shape[:2], positions.shape[:2])
    batches, channels = np.ogrid[:n, :c]
    return np.broadcast_to(table, (n, c, *table.shape[2:]))[batches[..., None], channels[..., None], positions]


def scatter(target: Bits, positions: Positions, values: Bits, kept: NDArray[np.bool_] | None = None) -> None:
    """`target[n, c, positions[n, c, i], :] = values[n, c, i, :]` for every (n, c, i), in the order of i: of equal positions the last wins.

    Args:
        target: (n, c, lines, w); written in place.
        positions: (n, c, count), all that are kept of them lines of the target; n and c may be 1, for all.
        values: (n, c, count, w); n and c may be 1, for all.
        kept: (n, c, count): which positions count; all of them by default.
    """
    n, c, lines, w = target.shape
    count = values.shape[2]
    groups = np.arange(n * c, dtype=np.int64).reshape(n, c, 1) * lines
    places = (groups + positions).reshape(-1)
    chosen = np.flatnonzero(np.broadcast_to(np.True_ if kept is None else kept, (n, c, count)))
    _, from_behind = np.unique(places[chosen][::-1], return_index=True)
    last = chosen[np.sort(chosen.size - 1 - from_behind)]
    target[np.unravel_index(places[last], (n, c, lines))] = np.broadcast_to(values, (n, c, count, w)).reshape(-1, w)[last]


def refuse_outside(
    instruction: Instruction, index: Bits, outside: NDArray[np.bool_], table: str, sizes: NDArray[np.integer[Any]] | int
) -> None:
    """Stop where the official model stops: at an index that names nothing.

    Args:
        instruction: the command.
        index: the index tensor.
        outside: which of its elements name nothing.
        table: the operand that the index points into.
        sizes: how much there is in `table` for an element of the index to name; broadcasts with `index`.

    Raises:
        ExecutionError: an index is outside; the message names the first one, its position in the index tensor and the size of the table.
    """
    if not outside.any():
        return
    position = tuple(map(int, np.argwhere(outside)[0]))
    size = int(np.broadcast_to(sizes, index.shape)[position])
    place = ", ".join(map(str, position))
    raise ExecutionError(
        f"index[{place}] of {instruction.title} is {index[position]}, but the table {table} has {size} entries",
        help=f"keep the indices below {size}",
    )
