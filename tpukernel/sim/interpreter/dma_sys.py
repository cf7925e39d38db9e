"""DmaSys: no effect on the memories (measured on the official model for every operation)."""

from __future__ import annotations

from tpukernel.isa.dma_sys import DmaSys
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaSys, memory: Memory) -> None:
    """Do nothing."""
