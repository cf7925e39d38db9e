"""VC: every operation is lowered."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.placement import Axis, Placement
from tpukernel.isa.arith_op import ArithOp
from tpukernel.isa.vector import Vector
from tpukernel.sim.jit.access import Place, conflicts, places_of
from tpukernel.sim.jit.elementwise import Request, operation
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.nest_kernel import nest_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_DIV_ITERATIONS = 3
"""The official model makes three Newton steps, whatever number the command holds."""


def lower(instruction: Vector, memory: Memory) -> list[Call] | None:
    """The calls that compute the rows of the result: those of the full channels of `src0`, and those of its last channel."""
    dst, sources = instruction.dst, [instruction.src0, instruction.src1]
    extra = [] if instruction.true_value is None else [instruction.true_value]
    places = places_of(memory, [dst, *sources, *extra])
    if places is None or any(conflicts(places[0], place) for place in places[1:]):
        return None
    request = Request(
        op=ArithOp(instruction.op),  # the operations have the same numbers
        dst=dst.dtype,
        sources=tuple(operand.dtype for operand in (*sources, *extra)),
        iterations=_DIV_ITERATIONS,
    )
    width = instruction.src0.shape[3]
    full, rest = divmod(dst.shape[0], width)
    calls: list[Call] = []
    for channel, channels, columns in ((0, full, width), (full, 1 if rest else 0, rest)):
        if channels:
            result, left, right = _rows(places, channel, channels, columns)
            found = nest_calls(operation(request), [result], [left, right, *map(_five_dimensions, places[3:])])
            if found is None:
                return None
            calls += found
    return calls


def _rows(places: list[Place], channel: int, channels: int, columns: int) -> tuple[Place, Place, Place]:
    """The rows of some channels of `src0`, with a dimension for its channels and one for its columns."""
    (row, *rest), width = places[0].host.axes, places[1].host.axes[3].count
    first = places[0].host.base + channel * width * row.outer
    result = (Axis(channels, width * row.outer), Axis(columns, row.outer), *rest)
    _, c, _, w = places[1].host.axes
    left = (replace(c, count=channels, start=c.start + channel), replace(w, count=columns), *(Axis(1, 0),) * 3)
    right = (Axis(1, 0), *places[2].host.axes)
    return _at(places[0], first, result), _at(places[1], places[1].host.base, left), _at(places[2], places[2].host.base, right)


def _five_dimensions(place: Place) -> Place:
    return _at(place, place.host.base, (Axis(1, 0), *place.host.axes))


def _at(place: Place, base: int, axes: tuple[Axis, ...]) -> Place:
    return replace(place, host=Placement(base, place.host.itemsize, axes))
