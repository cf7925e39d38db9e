"""DMA_tensor: strided copies, n and c exchanged, one channel to several lanes, filling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tpukernel.chips.layout import start_lane
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.sim.interpreter.moves import allows, bits_of, put, put_in_lanes
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: DmaTensor, memory: Memory) -> None:
    """Copy. Between different shapes the elements keep their order."""
    dst, src = instruction.dst, instruction.src
    if instruction.op is DmaTensorOp.BROADCAST:
        _broadcast(instruction, memory)
    elif isinstance(src, Constant):
        put_in_lanes(memory, dst, memory.load(src), instruction.lane_mask)
    elif instruction.op is DmaTensorOp.TRANSPOSE:
        values = memory.load(_columns_together(src)).swapaxes(0, 1)
        put_in_lanes(memory, _columns_together(dst), values, instruction.lane_mask)
    else:
        put_in_lanes(memory, dst, memory.load(src).reshape(dst.shape), instruction.lane_mask)


def _broadcast(instruction: DmaTensor, memory: Memory) -> None:
    """Write one channel to all lanes. A lane mask counts in an odd way (measured on the official C model): for the first element of each
    n the bit of the first lane decides, for all lanes at once; for the elements after it, if it was written, the bit of the last lane.
    """
    dst, mask = instruction.dst, instruction.lane_mask
    first_lane = start_lane(memory.chip, dst.address)
    first = allows(mask, first_lane)
    others = first and allows(mask, first_lane + dst.shape[1] - 1)
    values = bits_of(memory.load(instruction.src))
    if not others:
        written = np.full(dst.shape, others)
        written[:, :, 0, 0] = first
        values = np.where(written, values, bits_of(memory.load(dst)))
    put(memory, dst, values)


def _columns_together(tensor: LocalTensor | SystemTensor) -> LocalTensor | SystemTensor:
    """The tensor with a w stride of 1, for which a TRANSPOSE takes it whatever the command says."""
    return tensor if tensor.strides is None else replace(tensor, strides=(*tensor.strides[:3], 1))
