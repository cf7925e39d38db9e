"""DMA_masked_select: the elements whose mask is not zero, one after the other."""

from __future__ import annotations

from tpukernel.isa.dma_masked_select import DmaMaskedSelect
from tpukernel.sim.interpreter.moves import put_first
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaMaskedSelect, memory: Memory) -> None:
    """Write the selected elements, in order of (n, c, h, w), and nothing behind them; their number goes to the register."""
    values, mask = memory.load(instruction.src), memory.load(instruction.mask)
    selected = values[mask != 0]
    put_first(memory, instruction.dst, selected)
    memory.filter_num = selected.size
