"""DMA_nonzero: every operation is lowered, but for floats and results in local memory, which the unit does not have."""

from __future__ import annotations

from tpukernel.isa.dma_nonzero import DmaNonzero
from tpukernel.sim.jit.access import places_of
from tpukernel.sim.jit.compact import filter_num, position_calls
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.lookup import stretch_of
from tpukernel.sim.jit.workspace import Workspace
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: DmaNonzero, memory: Memory) -> list[Call] | None:
    """The calls that write the positions."""
    places = places_of(memory, [instruction.dst, instruction.src])
    if places is None or instruction.src.dtype.is_float or instruction.dst.strides is not None or places[0].lane_stride:
        return None
    work = Workspace()
    dst, src = stretch_of(work, places[0]), stretch_of(work, work.apart(places[1], places[0]))
    work.add(position_calls(dst, src, instruction.base_index, filter_num()))
    return work.finished()
