"""SEG: numbers that count the elements of a channel.

Source: behaviour as measured on the official C model.
"""

from __future__ import annotations

import numpy as np

from tpukernel.isa.index import IndexGen, IndexGenOp
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: IndexGen, memory: Memory) -> None:
    """Write the numbers.

    Raises:
        ExecutionError: the operation is LANE, whose result differs from run to run on the official model.
    """
    if instruction.op is IndexGenOp.LANE:
        raise ExecutionError(f"the result of {instruction.title} is not defined", help="count elements instead (ELEMENT)")
    memory.store(instruction.dst, np.arange(instruction.dst.shape[3], dtype=np.uint32).view(instruction.dst.dtype.numpy))
