"""DMA_matrix: every operation is lowered."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.placement import Axis
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa.dma_matrix import DmaMatrix, DmaMatrixOp
from tpukernel.sim.interpreter.dma_matrix import column_parts
from tpukernel.sim.jit.access import place_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.moves import copy_to_lanes, move_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: DmaMatrix, memory: Memory) -> list[Call] | None:
    """The calls that copy the matrix: the channels that are full, and the last one."""
    dst, src = instruction.dst, instruction.src
    local, system = (dst, src) if isinstance(dst, LocalTensor) else (src, dst)
    if not isinstance(local, LocalTensor) or not isinstance(system, SystemTensor):
        return None
    matrix = place_of(memory, system)
    if matrix is None:
        return None
    row, column = (axis.outer for axis in matrix.host.axes[2:])
    columns = system.shape[3]
    if instruction.op is DmaMatrixOp.TRANSPOSE:
        row, column, columns = column, row, system.shape[2]
    calls: list[Call] = []
    for where, part in column_parts(memory.chip, local, columns):
        place = place_of(memory, part)
        if place is None:
            return None
        n, c, _, w = part.shape
        axes = (Axis(n, row), Axis(c, w * column), Axis(1, 0), Axis(w, column))
        piece = replace(matrix, host=replace(matrix.host, base=matrix.host.base + (where.start or 0) * column, axes=axes))
        found = copy_to_lanes(place, piece, instruction.lane_mask) if local is dst else move_calls(piece, place)
        if found is None:
            return None
        calls += found
    return calls
