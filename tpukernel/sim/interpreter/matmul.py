"""MM: matrix products in the matrix layout.

f32 adds even and odd columns of the left matrix apart, started with bias and partial sum as in CONV. Products of 32-bit integers are
added up in 64 bits, which wrap; their sum is shifted, rounded and saturated. Products of narrower integers are added up in 32 bits, which
wrap, and not shifted.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from tpukernel.dtypes import i32
from tpukernel.isa.matmul import MatMul, MatMulOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import ints
from tpukernel.sim.interpreter.numerics.accumulate import even_odd
from tpukernel.sim.interpreter.numerics.floats import F32
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]


def execute(instruction: MatMul, memory: Memory) -> None:
    """Multiply."""
    left, right = _left(instruction, memory), _flat(memory.load(instruction.right))
    if instruction.dst.dtype.is_float:
        result = _float_sums(instruction, memory, left, right)
    elif instruction.op is MatMulOp.NORMAL:
        result = _integer_sums(instruction, memory, left, right)
    else:
        result = _requantised(instruction, memory, left, right)
    memory.store(instruction.dst, result.reshape(instruction.dst.shape))


def _flat(matrix: Array) -> Array:
    return matrix.reshape(matrix.shape[0], -1)


def _left(instruction: MatMul, memory: Memory) -> Array:
    values = memory.load(instruction.left)
    rows, depth = instruction.dst.shape[0], instruction.right.shape[0]
    if values.ndim == 0:
        return np.broadcast_to(values, (rows, depth))
    matrix = _flat(values)[:, : instruction.left_cols]
    return matrix.T if instruction.left_tran else matrix


def _float_sums(instruction: MatMul, memory: Memory, left: Array, right: Array) -> Array:
    bias = None if instruction.bias is None else cast("F32", _row(memory.load(instruction.bias)))
    partial = None if instruction.partial_sum is None else cast("F32", _flat(memory.load(instruction.partial_sum)))
    even, odd = (bias, partial) if bias is not None and partial is not None else (None, partial if bias is None else bias)
    return even_odd(cast("F32", left), cast("F32", right), even, odd)


def _row(values: Array) -> Array:
    return values.reshape(1, -1)


def _integer_sums(instruction: MatMul, memory: Memory, left: Array, right: Array) -> Array:
    if left.dtype.itemsize < 4:
        return ints.wrap(np.matmul(left.astype(np.int64), right.astype(np.int64)), instruction.dst.dtype)
    kind = np.uint64 if left.dtype == right.dtype == np.uint32 else np.int64
    sums = np.matmul(left.astype(kind), right.astype(kind))
    shift = 0 if instruction.shift is None else _row(memory.load(instruction.shift))
    # A shift to the left wraps at 64 bits before the result is saturated.
    return ints.saturate(ints.shift(sums, shift, instruction.rounding or Rounding.HALF_EVEN), instruction.dst.dtype)


def _requantised(instruction: MatMul, memory: Memory, left: Array, right: Array) -> Array:
    sums = np.matmul(ints.exact(left), ints.exact(right))
    if instruction.bias is not None:
        sums = sums + ints.exact(_row(memory.load(instruction.bias)))
    if instruction.partial_sum is not None:
        partial = ints.exact(_flat(memory.load(instruction.partial_sum))) << (instruction.left_shift or 0)
        sums = sums + ints.exact(ints.saturate(partial, i32))  # the shifted number saturates, the sum wraps
    sums = ints.exact(ints.wrap(sums, i32))
    if instruction.op is MatMulOp.REQUANT_RELU:
        sums = np.maximum(sums, 0)
    places = instruction.right_shift or 0
    if places:  # half up, in 32 bits: 2**31 - 1 shifted by one place wraps
        sums = ints.exact(ints.wrap((sums >> (places - 1)) + 1, i32)) >> 1
    return ints.saturate(sums, instruction.dst.dtype)
