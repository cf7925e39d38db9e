"""SFU: Taylor series, exponents, reciprocal square roots.

Source: the measured instruction-set study; compared with the official C model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from tpukernel.chips.tensors import LocalTensor
from tpukernel.isa.special import Special, SpecialOp
from tpukernel.sim.interpreter.numerics.floats import F32, add, multiply, widen
from tpukernel.sim.interpreter.numerics.newton import reciprocal_root
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]


def execute(instruction: Special, memory: Memory) -> None:
    """Compute the result and store it."""
    memory.store(instruction.dst, _FUNCTIONS[instruction.op](instruction, memory))


def _taylor(instruction: Special, memory: Memory) -> Array:
    values = memory.load(instruction.src)
    coeff = memory.load(cast("LocalTensor", instruction.coeff))
    result = coeff[..., -1:]
    for power in range(coeff.shape[3] - 2, -1, -1):
        result = add(multiply(result, values), coeff[..., power : power + 1])
    return result


def _exponent(instruction: Special, memory: Memory) -> Array:
    bits = widen(memory.load(instruction.src)).view(np.uint32)
    carried = np.where(bits >> np.uint32(31) == 0, bits + np.uint32(0x555555), bits & np.uint32(0x7FFFFFFF))
    return (carried >> np.uint32(23)).astype(instruction.dst.dtype.numpy)


def _rsqrt(instruction: Special, memory: Memory) -> Array:
    return reciprocal_root(cast("F32", memory.load(instruction.src)), instruction.iterations or 0)


_FUNCTIONS: Mapping[SpecialOp, Callable[[Special, Memory], Array]] = {
    SpecialOp.TAYLOR: _taylor,
    SpecialOp.EXPONENT: _exponent,
    SpecialOp.RSQRT: _rsqrt,
}
