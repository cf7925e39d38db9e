"""TRANS&BC: exchange of channels and columns, copies from lanes to lanes, and reading of the static memory."""

from __future__ import annotations

from tpukernel.isa.transpose import LaneMove, LaneMoveOp
from tpukernel.sim.memory import Memory

__all__ = ["execute"]

_TRANSPOSES = {LaneMoveOp.CW_TRANSPOSE, LaneMoveOp.WC_TRANSPOSE}


def execute(instruction: LaneMove, memory: Memory) -> None:
    """Copy the bits of the elements; a single channel goes to all channels of `dst`."""
    values = memory.load(instruction.src)
    if instruction.op in _TRANSPOSES:
        values = values.swapaxes(1, 3)
    memory.store(instruction.dst, values.view(instruction.dst.dtype.numpy))
