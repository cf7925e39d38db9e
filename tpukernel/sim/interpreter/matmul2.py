"""MM2: matrix products with rows over the lanes.

16-bit floats are added up in groups of 32 places, from the partial sum on, and rounded once at the end. 8-bit integers are added up in 32
bits, which wrap.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from tpukernel.isa.matmul2 import MatMul2, MatMul2Op
from tpukernel.sim.interpreter.numerics import ints
from tpukernel.sim.interpreter.numerics.accumulate import GROUP, grouped, integer
from tpukernel.sim.interpreter.numerics.floats import F32, narrow, widen
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]


def execute(instruction: MatMul2, memory: Memory) -> None:
    """Multiply."""
    left, right = _factors(instruction, memory)
    partial = None if instruction.partial_sum is None else memory.load(instruction.partial_sum)[0, :, 0]
    if instruction.dst.dtype.is_float:
        filling = -left.shape[1] % GROUP
        wide_left, wide_right = (np.pad(widen(m), pad) for m, pad in ((left, ((0, 0), (0, filling))), (right, ((0, filling), (0, 0)))))
        result = narrow(grouped(wide_left, wide_right, cast("F32 | None", partial)), instruction.dst.dtype)
    else:
        sums = integer(left, right)
        result = ints.wrap(sums if partial is None else sums + ints.exact(partial), instruction.dst.dtype)
    memory.store(instruction.dst, result[None, :, None])


def _factors(instruction: MatMul2, memory: Memory) -> tuple[Array, Array]:
    """The two matrices whose product is the result, (m, k) and (k, n), zero points subtracted."""
    left, right = memory.load(instruction.left), memory.load(instruction.right)
    m, n = instruction.dst.shape[1], instruction.dst.shape[3]
    match instruction.op:
        case MatMul2Op.NN:
            depth = left.shape[3] if left.ndim else right.shape[1]
            return _matrix(left, m, depth), _difference(instruction, memory, _matrix(right, depth, n))
        case MatMul2Op.NT:
            depth = left.shape[3] if left.ndim else right.shape[3]
            return _matrix(left, m, depth), _difference(instruction, memory, _matrix(right, n, depth)).T
        case MatMul2Op.TT:
            depth = left.shape[1] if left.ndim else right.shape[3]
            return _difference(instruction, memory, _matrix(right, m, depth)), _matrix(left, depth, n)


def _matrix(values: Array, rows: int, columns: int) -> Array:
    return np.broadcast_to(values, (rows, columns)) if values.ndim == 0 else values[0, :, 0]


def _difference(instruction: MatMul2, memory: Memory, right: Array) -> Array:
    """`right` less its zero point. A row of `right` takes it from the copy in its lane: NN the whole row of numbers, NT its own number."""
    if instruction.right_zero_point is None:
        return right
    zero_point = ints.exact(memory.load(instruction.right_zero_point))
    if zero_point.ndim:
        zero_point = zero_point[0, :, 0]
        if instruction.op is MatMul2Op.NT:
            zero_point = np.diagonal(zero_point)[:, None]
    return ints.exact(right) - zero_point
