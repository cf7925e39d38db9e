"""AR: every operation is lowered."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.arith_op import SELECTS, SHIFTABLE
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.access import Place, places_of
from tpukernel.sim.jit.elementwise import Request, operation
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.workspace import elementwise_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_EXTREMES = frozenset({ArithOp.MAX, ArithOp.MIN})


def lower(instruction: Arith, memory: Memory) -> list[Call] | None:
    """The calls that compute the result."""
    op, dst = instruction.op, instruction.dst
    sources, shift = _sources(instruction)
    request = Request(
        op=op,
        dst=dst.dtype,
        sources=tuple(source.dtype for source in sources),
        rounding=instruction.rounding or Rounding.HALF_EVEN,
        iterations=instruction.iterations or 0,
        shift=shift,
        shifts=instruction.src2.bits if op is ArithOp.MAC and isinstance(instruction.src2, Constant) else 0,
    )
    places = places_of(memory, [dst, *sources])
    if places is None:
        return None
    if op is ArithOp.COPY_MB:
        places[1] = _first_n(places[1])
    return elementwise_calls(operation(request), places[:1], places[1:])


def _sources(instruction: Arith) -> tuple[list[LocalTensor | Constant], str]:
    """The operands that are read, in the order of `Request.sources`, and what is known of the shift of the result."""
    op, src2 = instruction.op, instruction.src2
    sources = [source for source in (instruction.src0, instruction.src1) if source is not None]
    if op in SELECTS and src2 is not None:
        return [*sources, src2], "none"
    if op is ArithOp.MAC:
        return [*sources, instruction.dst], "none"
    if op in SHIFTABLE - _EXTREMES and src2 is not None:
        amount = int(src2.value) if isinstance(src2, Constant) else None
        if amount != 0:
            return [*sources, src2], "any" if amount is None else "left" if amount > 0 else "right"
    return sources, "none"


def _first_n(place: Place) -> Place:
    first, *rest = place.host.axes
    return replace(place, host=replace(place.host, axes=(replace(first, count=1), *rest)))
