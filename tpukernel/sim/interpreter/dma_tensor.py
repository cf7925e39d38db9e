"""DMA_tensor: strided copies, n and c exchanged, one channel to several lanes, filling."""

from __future__ import annotations

from tpukernel.chips.tensors import Constant
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.sim.interpreter.moves import put, put_in_lanes
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaTensor, memory: Memory) -> None:
    """Copy. Between different shapes the elements keep their order; a BROADCAST writes its lanes whatever the mask says."""
    values, dst = memory.load(instruction.src), instruction.dst
    if instruction.op is DmaTensorOp.BROADCAST:
        put(memory, dst, values)
        return
    if instruction.op is DmaTensorOp.TRANSPOSE:
        values = values.swapaxes(0, 1)
    elif not isinstance(instruction.src, Constant):
        values = values.reshape(dst.shape)
    put_in_lanes(memory, dst, values, instruction.lane_mask)
