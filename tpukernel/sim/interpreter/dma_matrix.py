"""DMA_matrix: matrices between system memory (rows and columns) and local memory (columns spread over the lanes)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import strides_of
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.isa.dma_matrix import DmaMatrix, DmaMatrixOp
from tpukernel.sim.interpreter.moves import bits_of, put, put_in_lanes
from tpukernel.sim.memory import Memory

__all__ = ["column_parts", "execute"]


def execute(instruction: DmaMatrix, memory: Memory) -> None:
    """Copy the matrix. The end of the last channel that holds no column is neither read nor written."""
    dst, src = instruction.dst, instruction.src
    transposes = instruction.op is DmaMatrixOp.TRANSPOSE
    if isinstance(dst, LocalTensor):
        matrix = bits_of(memory.load(src))[0, 0]
        matrix = matrix.T if transposes else matrix
        for columns, part in column_parts(memory.chip, dst, matrix.shape[1]):
            put_in_lanes(memory, part, np.ascontiguousarray(matrix[:, columns]).reshape(part.shape), instruction.lane_mask)
    elif isinstance(src, LocalTensor):
        cols = dst.shape[2 if transposes else 3]
        matrix = np.concatenate(
            [bits_of(memory.load(part)).reshape(part.shape[0], -1) for _, part in column_parts(memory.chip, src, cols)], 1
        )
        put(memory, dst, np.ascontiguousarray(matrix.T if transposes else matrix)[None, None])


def column_parts(chip: Chip, tensor: LocalTensor, cols: int) -> Iterator[tuple[slice, LocalTensor]]:
    """The channels that are full, and the part of the last one that holds columns; each with its columns."""
    n, _, _, w = tensor.shape
    strides = strides_of(chip, tensor)
    full, rest = divmod(cols, w)
    if full:
        yield slice(full * w), LocalTensor(tensor.address, (n, full, 1, w), tensor.dtype, Layout.FREE, strides)
    if rest:
        lane, byte = divmod(tensor.address, chip.lane_bytes)
        turn, lane = divmod(lane + full, chip.lanes)
        address = lane * chip.lane_bytes + byte + turn * strides[1] * tensor.dtype.itemsize
        yield slice(full * w, cols), LocalTensor(address, (n, 1, 1, rest), tensor.dtype, Layout.FREE, strides)
