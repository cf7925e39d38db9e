"""SGL: every operation is lowered. An index that names no line makes the calls refuse before they have written anything."""

from __future__ import annotations

from tpukernel.isa.gather_line import GatherLine, GatherLineOp
from tpukernel.sim.jit.access import places_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.lookup import check_calls, index_of, lines_of, move_lines
from tpukernel.sim.jit.workspace import Workspace
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: GatherLine, memory: Memory) -> list[Call] | None:
    """The calls that move the chosen lines."""
    places = places_of(memory, [instruction.dst, instruction.src, instruction.index])
    if places is None or not places[0].injective:
        return None
    work = Workspace()
    dst, src, index = places[0], work.apart(places[1], places[0]), work.apart(places[2], places[0])
    lines, moved, numbers = lines_of(dst), lines_of(src), index_of(work, index)
    if lines is None or moved is None or numbers is None:
        return None
    gathers = instruction.op is GatherLineOp.GATHER
    work.add(check_calls(numbers, (moved if gathers else lines).count, skip_unset=False))
    work.add(move_lines(lines, moved, numbers, gathers=gathers))
    return work.finished()
