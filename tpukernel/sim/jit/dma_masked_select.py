"""DMA_masked_select: every operation is lowered, but for masks of floats and results in local memory, which the unit does not have."""

from __future__ import annotations

from tpukernel.isa.dma_masked_select import DmaMaskedSelect
from tpukernel.sim.jit.access import places_of
from tpukernel.sim.jit.compact import filter_num, select_calls
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.lookup import stretch_of
from tpukernel.sim.jit.workspace import Workspace
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: DmaMaskedSelect, memory: Memory) -> list[Call] | None:
    """The calls that write the selected elements."""
    places = places_of(memory, [instruction.dst, instruction.src, instruction.mask])
    if places is None or instruction.mask.dtype.is_float or instruction.dst.strides is not None or places[0].lane_stride:
        return None
    work = Workspace()
    dst = stretch_of(work, places[0])
    src, mask = (stretch_of(work, work.apart(place, places[0])) for place in places[1:])
    work.add(select_calls(dst, src, mask, filter_num()))
    return work.finished()
