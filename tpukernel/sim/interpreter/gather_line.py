"""SGL: gathering and scattering lines (h) by index."""

from __future__ import annotations

import numpy as np

from tpukernel.isa.gather_line import GatherLine, GatherLineOp
from tpukernel.sim.interpreter.lookup import gather, refuse_outside, scatter
from tpukernel.sim.interpreter.moves import bits_of, put
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: GatherLine, memory: Memory) -> None:
    """Move the bits of the chosen lines.

    Raises:
        ExecutionError: an index names no line. That `skip_invalid` is set changes nothing.
    """
    gathers = instruction.op is GatherLineOp.GATHER
    lines = bits_of(memory.load(instruction.src))
    index = bits_of(memory.load(instruction.index))
    table, name = (instruction.src, "src") if gathers else (instruction.dst, "dst")
    refuse_outside(instruction, index, index >= table.shape[2], name, table.shape[2])
    positions = index[..., 0].astype(np.int64)
    if gathers:
        put(memory, instruction.dst, gather(lines, positions))
        return
    target = bits_of(memory.load(instruction.dst))
    scatter(target, positions, lines)
    put(memory, instruction.dst, target)
