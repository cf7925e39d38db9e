"""TRANS&BC: every operation is lowered."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.isa.transpose import LaneMove, LaneMoveOp
from tpukernel.sim.jit.access import place_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.moves import move_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_TRANSPOSES = {LaneMoveOp.CW_TRANSPOSE, LaneMoveOp.WC_TRANSPOSE}


def lower(instruction: LaneMove, memory: Memory) -> list[Call] | None:
    """The calls that copy the elements."""
    dst, src = place_of(memory, instruction.dst), place_of(memory, instruction.src)
    if dst is None or src is None:
        return None
    if instruction.op in _TRANSPOSES:
        n, c, h, w = src.host.axes
        src = replace(src, host=replace(src.host, axes=(n, w, h, c)))
    return move_calls(dst, src)
