"""DMA_scatter: everything is lowered."""

from __future__ import annotations

from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import u32
from tpukernel.isa.dma_fields import ALL_LANES
from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.sim.jit.access import places_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.lookup import index_of, lines_of, move_lines
from tpukernel.sim.jit.moves import written_parts
from tpukernel.sim.jit.workspace import Workspace
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: DmaScatter, memory: Memory) -> list[Call] | None:
    """The calls that copy the lines to where the index says."""
    places = places_of(memory, [instruction.dst, instruction.src, instruction.index])
    if places is None or instruction.index.dtype != u32 or not places[0].injective:
        return None
    work = Workspace()
    dst, src, index = places[0], work.apart(places[1], places[0]), work.apart(places[2], places[0])
    mask = instruction.lane_mask if isinstance(instruction.dst, LocalTensor) else ALL_LANES
    for part in written_parts([dst, src, index], mask):
        lines, moved, numbers = lines_of(part[0]), lines_of(part[1]), index_of(work, part[2])
        if lines is None or moved is None or numbers is None:
            return None
        work.add(move_lines(lines, moved, numbers, gathers=False, limit=lines.count, missing="keep"))
    return work.finished()
