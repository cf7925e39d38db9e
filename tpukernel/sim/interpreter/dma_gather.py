"""DMA_gather: lines of a tensor, chosen by an index."""

from __future__ import annotations

import numpy as np

from tpukernel.isa.dma_gather import DmaGather
from tpukernel.sim.interpreter.lookup import gather
from tpukernel.sim.interpreter.moves import bits_of, elements_in_place, put_in_lanes
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaGather, memory: Memory) -> None:
    """Copy lines; where the index names none, the line is filled."""
    src = instruction.src
    # A table in system memory may be large, and only few of its lines wanted.
    in_place = elements_in_place(memory, src)
    table = bits_of(memory.load(src)) if in_place is None else in_place
    index = memory.load(instruction.index)[..., 0].astype(np.int64)
    known = index < src.shape[2]
    lines = gather(table, np.where(known, index, 0))
    values = np.where(known[..., None], lines, bits_of(memory.load(instruction.fill)))
    put_in_lanes(memory, instruction.dst, values, instruction.lane_mask)
