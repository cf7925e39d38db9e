"""How much a kernel may unroll to. A text of a few lines can ask for loops that take years; what comes from others has to end."""

from __future__ import annotations

from typing import Final

from tpukernel.lang.errors import UnrollLimitError
from tpukernel.source import Position

__all__ = ["TEXT_LIMIT", "Steps"]

TEXT_LIMIT: Final = 100_000
"""Steps that a kernel of a text may unroll to, unless somebody says otherwise: some ten times what the largest examples need."""
COMPARED: Final = 100
"""Pairs of commands that are compared in the time of one step, about."""
BUFFERS: Final = 1000
"""Buffers that a kernel with a limit may have, with all copies: placing them takes time with the cube of their number."""


class Steps:
    """Counts what a kernel unrolls to: statements, once for each time that they are done, and turns of loops.

    Args:
        kernel: name of the kernel.
        limit: so many steps may be taken; None: any number.
    """

    def __init__(self, kernel: str, limit: int | None) -> None:
        self._kernel, self._limit = kernel, limit
        self._taken = 0.0
        self._buffers: set[object] = set()

    def take(self, position: Position | None, count: float = 1) -> None:
        """Count steps at a place.

        Raises:
            UnrollLimitError: there are too many.
        """
        self._taken += count
        if self._limit is not None and self._taken > self._limit:
            raise self._error(f"more than {self._limit:,} commands and turns of loops", position)

    def compare(self, position: Position | None, pairs: int) -> None:
        """Count pairs of statements that are compared; raises as `take`."""
        self.take(position, pairs / COMPARED)

    def make(self, position: Position | None, buffer: object) -> None:
        """Count a buffer, if it was not made before; raises as `take`."""
        if self._limit is None or buffer in self._buffers:
            return
        self._buffers.add(buffer)
        if len(self._buffers) > BUFFERS:
            raise self._error(f"more than {BUFFERS:,} buffers", position)

    def _error(self, what: str, position: Position | None) -> UnrollLimitError:
        return UnrollLimitError(
            f"kernel {self._kernel} unrolls to {what}",
            position=position,
            help="make the tiles larger; if the kernel may take as long as it needs, kernel.with_limit(None)",
        )
