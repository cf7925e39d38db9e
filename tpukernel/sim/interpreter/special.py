"""SFU: Taylor series, exponents, reciprocal square roots.

Source: the measured instruction-set study; compared with the official C model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import bf16, f16, f32
from tpukernel.isa.special import Special, SpecialOp
from tpukernel.sim.interpreter.numerics.floats import F32, add, multiply
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
    dtype = instruction.src.dtype
    fraction_bits, carry = _ROUND_UP[dtype]
    bits = memory.load(instruction.src).view(f"u{dtype.itemsize}").astype(np.int64)
    sign = 1 << (dtype.bits - 1)
    carried = np.where(bits < sign, bits + carry, bits - sign)
    return (carried >> fraction_bits).astype(instruction.dst.dtype.numpy)


def _rsqrt(instruction: Special, memory: Memory) -> Array:
    return reciprocal_root(cast("F32", memory.load(instruction.src)), instruction.iterations or 0)


_ROUND_UP = {f32: (23, 0x555555), f16: (10, 0x2AA), bf16: (7, 0x54)}
"""Bits of the fraction, and what carries into the exponent of a positive number when it is added to a fraction of 1/3 and above."""

_FUNCTIONS: Mapping[SpecialOp, Callable[[Special, Memory], Array]] = {
    SpecialOp.TAYLOR: _taylor,
    SpecialOp.EXPONENT: _exponent,
    SpecialOp.RSQRT: _rsqrt,
}
