"""DMA_cw_transpose: everything is lowered."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.tensors import LocalTensor
from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.isa.dma_fields import ALL_LANES
from tpukernel.sim.jit.access import places_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.moves import copy_to_lanes
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: DmaCwTranspose, memory: Memory) -> list[Call] | None:
    """The calls that copy the elements with c and w exchanged."""
    places = places_of(memory, [instruction.dst, instruction.src])
    if places is None:
        return None
    dst, src = places
    n, c, h, w = src.host.axes
    exchanged = replace(src, host=replace(src.host, axes=(n, w, h, c)))
    return copy_to_lanes(dst, exchanged, instruction.lane_mask if isinstance(instruction.dst, LocalTensor) else ALL_LANES)
