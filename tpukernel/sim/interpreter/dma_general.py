"""DMA_general: copies of consecutive bytes, and the same bytes to several lanes.

Local memory is one array of bytes for these commands, so that the operands are ranges of bytes here and no tensors.
"""

from __future__ import annotations

import numpy as np

from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.dma_general import DmaGeneral
from tpukernel.sim.interpreter.moves import allows
from tpukernel.sim.memory import Bytes, Memory

__all__ = ["execute"]


def execute(instruction: DmaGeneral, memory: Memory) -> None:
    """Copy, for every lane of a BROADCAST once; of local memory only the lanes of the mask are written."""
    dst, src = instruction.dst, instruction.src
    constant = isinstance(src, Constant)
    data = np.full(dst.shape[3], memory.load(src)).view(np.uint8) if constant else memory.read_bytes(*_range(memory, src))
    if isinstance(dst, SystemTensor):
        space, offset, _ = _range(memory, dst)
        memory.write_bytes(space, offset, data)
        return
    for channel in range(dst.shape[1]):
        _write_lanes(memory, dst.address + channel * memory.chip.lane_bytes, data, instruction.lane_mask)


def _range(memory: Memory, operand: LocalTensor | SystemTensor) -> tuple[str, int, int]:
    space, offset = ("lmem", operand.address) if isinstance(operand, LocalTensor) else memory.locate(operand.address)
    return space, offset, operand.shape[3] * operand.dtype.itemsize


def _write_lanes(memory: Memory, address: int, data: Bytes, lane_mask: int) -> None:
    lane_bytes = memory.chip.lane_bytes
    for lane in range(address // lane_bytes, -(-(address + data.size) // lane_bytes)):
        if allows(lane_mask, lane):
            start, end = max(address, lane * lane_bytes), min(address + data.size, (lane + 1) * lane_bytes)
            memory.write_bytes("lmem", start, data[start - address : end - address])
