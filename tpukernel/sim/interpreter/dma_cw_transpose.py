"""DMA_cw_transpose: copies that exchange channels and columns."""

from __future__ import annotations

from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.sim.interpreter.moves import put_in_lanes
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaCwTranspose, memory: Memory) -> None:
    """Copy with c and w exchanged."""
    put_in_lanes(memory, instruction.dst, memory.load(instruction.src).swapaxes(1, 3), instruction.lane_mask)
