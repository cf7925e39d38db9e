"""CMP: compare, and take elements by the outcome.

Source: the measured instruction-set study; compared with the official C model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tpukernel.isa.compare import Compare, CompareOp
from tpukernel.sim.interpreter.elementwise import load
from tpukernel.sim.interpreter.numerics.compare import equal, greater, less, maximum, minimum
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]

_HOLDS: Mapping[CompareOp, Callable[[Array, Array], Array]] = {
    CompareOp.MAX_AND_SELECT: greater,
    CompareOp.SELECT_GREATER: greater,
    CompareOp.SELECT_EQUAL: equal,
    CompareOp.MIN_AND_SELECT: less,
    CompareOp.SELECT_LESS: less,
}
_EXTREME: Mapping[CompareOp, Callable[[Array, Array], Array]] = {
    CompareOp.MAX_AND_SELECT: maximum,
    CompareOp.MIN_AND_SELECT: minimum,
}


def execute(instruction: Compare, memory: Memory) -> None:
    """Compute the result or both results and store them."""
    op, dst1 = instruction.op, instruction.dst1
    a, b, taken, other = (load(memory, x) for x in (instruction.src0, instruction.src1, instruction.src2, instruction.src3))
    selected = np.where(_HOLDS[op](a, b), taken, other)
    if dst1 is None:
        memory.store(instruction.dst, selected.view(instruction.dst.dtype.numpy))
        return
    memory.store(instruction.dst, _EXTREME[op](a, b))
    memory.store(dst1, selected.view(dst1.dtype.numpy))
