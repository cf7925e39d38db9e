"""DMA_nonzero: positions of the elements that are not zero."""

from __future__ import annotations

import numpy as np

from tpukernel.isa.dma_nonzero import DmaNonzero
from tpukernel.sim.interpreter.moves import put_first
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaNonzero, memory: Memory) -> None:
    """Write the positions, counted from the base index in 32 bits, and nothing behind them; their number goes to the register."""
    positions = np.flatnonzero(memory.load(instruction.src)).astype(np.uint32) + np.uint32(instruction.base_index)
    put_first(memory, instruction.dst, positions.astype(f"u{instruction.dst.dtype.itemsize}"))
    memory.filter_num = positions.size
