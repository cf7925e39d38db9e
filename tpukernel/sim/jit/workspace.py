"""The calls of one command that needs work memory: copies of operands, and what one call leaves to the next."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tpukernel.sim.jit.access import Place, conflicts, same_elements
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.moves import move_calls
from tpukernel.sim.jit.nest_kernel import Elementwise, nest_calls

__all__ = ["Workspace", "elementwise_calls"]

_ALIGNMENT = 64


class Workspace:
    """Collects the calls of a command and gives out its work memory. If a part of the command has no calls, the whole has none."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._size = 0
        self._complete = True

    def add(self, calls: Sequence[Call] | None) -> None:
        """The next calls; None: the interpreter has to do the command."""
        self._complete &= calls is not None
        self._calls += calls or ()

    def room(self, shape: tuple[int, ...], itemsize: int) -> Place:
        """Elements one behind the other that belong to this command."""
        offset = self._size
        self._size += -(-itemsize * prod(shape) // _ALIGNMENT) * _ALIGNMENT
        return Place.scratch(shape, itemsize, offset)

    def copy(self, place: Place) -> Place:
        """A copy of an operand without gaps."""
        found = self.room(place.host.shape, place.host.itemsize)
        self.add(move_calls(found, place))
        return found

    def apart(self, place: Place, result: Place, *, in_place: bool = False) -> Place:
        """A source, or a copy of it where what is written to the result could be seen in it.

        Args:
            place: of the source.
            result: of the result.
            in_place: each element of the result comes from the same element of the source, so that these may lie on each other.
        """
        seen = conflicts(place, result) and not (in_place and same_elements(place, result))
        return self.copy(place) if seen else place

    def finished(self) -> list[Call] | None:
        """All calls, in their order."""
        for call in self._calls:
            call.scratch = max(call.scratch, self._size)
        return self._calls if self._complete else None


def elementwise_calls(operation: Elementwise, results: Sequence[Place], sources: Sequence[Place]) -> list[Call] | None:
    """As `nest_calls`, but sources on which a result lies otherwise than element on element are copied first."""
    found = nest_calls(operation, results, sources)
    if found is not None:
        return found
    work, apart = Workspace(), list(sources)
    for result in results:
        apart = [work.apart(source, result, in_place=True) for source in apart]
    work.add(nest_calls(operation, results, apart))
    return work.finished()
