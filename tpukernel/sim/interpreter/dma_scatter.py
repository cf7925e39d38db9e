"""DMA_scatter: lines of a tensor, put where an index says."""

from __future__ import annotations

import numpy as np

from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.sim.interpreter.lookup import scatter
from tpukernel.sim.interpreter.moves import bits_of, elements_in_place, put_in_lanes
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaScatter, memory: Memory) -> None:
    """Copy lines; those whose index names no line of `dst` are dropped."""
    dst = instruction.dst
    lines = bits_of(memory.load(instruction.src))
    index = memory.load(instruction.index)[..., 0].astype(np.int64)
    kept = index < dst.shape[2]
    in_place = elements_in_place(memory, dst)
    if in_place is not None:
        scatter(in_place, index, lines, kept)
        return
    target = bits_of(memory.load(dst))
    scatter(target, index, lines, kept)
    put_in_lanes(memory, dst, target, instruction.lane_mask)
