"""AR: elementwise arithmetic. One table for floats, one for integers: operation -> function.

Source: the measured instruction-set study; compared with the official C model for every operation and every legal combination of types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import compare, floats, ints, newton
from tpukernel.sim.interpreter.numerics.casts import cast as convert
from tpukernel.sim.interpreter.numerics.ints import Wide
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]


@dataclass(frozen=True)
class _Operands:
    """What an operation computes with: arrays that broadcast to the shape of the result; `b`, `c` and `old` only where there are such."""

    instruction: Arith
    a: Array
    b: Array
    c: Array
    old: Array

    @property
    def dst(self) -> Dtype:
        return self.instruction.dst.dtype

    @property
    def rounding(self) -> Rounding:
        return self.instruction.rounding or Rounding.HALF_EVEN


def execute(instruction: Arith, memory: Memory) -> None:
    """Compute the result and store it."""
    old = instruction.dst if instruction.op is ArithOp.MAC else None
    operands = _Operands(instruction, *(_load(memory, x) for x in (instruction.src0, instruction.src1, instruction.src2, old)))
    table = _FLOAT if instruction.src0.dtype.is_float else _INTEGER
    result = table[instruction.op](operands)
    memory.store(instruction.dst, result.view(instruction.dst.dtype.numpy))


def _load(memory: Memory, operand: LocalTensor | Constant | None) -> Array:
    if operand is None:
        return np.zeros(0, np.int8)
    values = memory.load(operand)
    return values.reshape(1, 1, 1, 1) if values.ndim == 0 else values


_Operation = Callable[[_Operands], Array]


# ---------------------------------------------------------------------------- any type


def _select(holds: Callable[[Array, Array], Array]) -> _Operation:
    def run(given: _Operands) -> Array:
        unsigned = f"u{given.dst.itemsize}"
        value = given.c.view(f"u{given.c.itemsize}").astype(unsigned)
        return np.where(holds(given.a, given.b), value, np.zeros((), unsigned))

    return run


_ANY: Mapping[ArithOp, _Operation] = {
    ArithOp.SELECT_GREATER: _select(compare.greater),
    ArithOp.SELECT_EQUAL: _select(compare.equal),
    ArithOp.SELECT_LESS: _select(compare.less),
    ArithOp.COPY: lambda given: given.a,
    ArithOp.COPY_MB: lambda given: np.broadcast_to(given.a[:1], given.instruction.dst.shape),
    ArithOp.CAST: lambda given: convert(given.a, given.dst, given.rounding),
}


# ---------------------------------------------------------------------------- floats


def _float(operation: Callable[[Array, Array], Array]) -> _Operation:
    return lambda given: operation(given.a, given.b)


def _mac_float(given: _Operands) -> Array:
    return floats.add(floats.multiply(given.a, given.b), given.old)


def _magnitude(values: Array) -> Array:
    unsigned = f"u{values.itemsize}"
    mask = np.array((1 << (8 * values.itemsize - 1)) - 1, unsigned)
    return (values.view(unsigned) & mask).view(values.dtype)


def _absolute_difference(given: _Operands) -> Array:
    return np.where(compare.greater(given.a, given.b), floats.subtract(given.a, given.b), floats.subtract(given.b, given.a))


def _divide(given: _Operands) -> Array:
    return newton.divide(cast("floats.F32", given.a), cast("floats.F32", given.b), given.instruction.iterations or 1)


_FLOAT: Mapping[ArithOp, _Operation] = {
    **_ANY,
    ArithOp.ADD: _float(floats.add),
    ArithOp.SUB: _float(floats.subtract),
    ArithOp.MUL: _float(floats.multiply),
    ArithOp.MAX: _float(floats.maximum),
    ArithOp.MIN: _float(floats.minimum),
    ArithOp.MAC: _mac_float,
    ArithOp.DIV: _divide,
    ArithOp.ABS: lambda given: _magnitude(given.a),
    ArithOp.ABS_DIFF: _absolute_difference,
}


# ---------------------------------------------------------------------------- integers


def _wrapping(operation: Callable[[Array, Array], Wide]) -> _Operation:
    def run(given: _Operands) -> Array:
        result = operation(given.a, given.b)
        return ints.wrap(ints.shift(result, given.c, given.rounding) if given.c.size else result, given.dst)

    return run


def _saturating(operation: Callable[[Array, Array], Wide]) -> _Operation:
    def run(given: _Operands) -> Array:
        result = operation(given.a, given.b)
        # In the model the sum that is shifted far to the left overflows its 64 bits.
        return ints.saturate(ints.shift(result, given.c, given.rounding) if given.c.size else result, given.dst)

    return run


def _multiply_saturating(given: _Operands) -> Array:
    return ints.shift_saturated(ints.multiply(given.a, given.b), given.c if given.c.size else 0, given.rounding, given.dst)


def _add(a: Array, b: Array) -> Wide:
    return ints.exact(a) + ints.exact(b)


def _subtract(a: Array, b: Array) -> Wide:
    return ints.exact(a) - ints.exact(b)


def _mac(given: _Operands) -> Array:
    # Meant for products of bytes added to 16 bits; only that saturates. With a result of 32 bits the model leaves out the left shift.
    shifts = cast("Constant", given.instruction.src2).bits  # two bytes, of which an i8 constant is the first
    left, right = shifts & 63 if given.dst.bits == 16 else 0, shifts >> 8 & 0xFF
    product = ints.multiply(given.a, given.b)
    total = ints.shift((given.old.astype(product.dtype) << product.dtype.type(left)) + product, -right, given.rounding)
    bytes_to_16_bits = given.a.itemsize == given.b.itemsize == 1 and given.dst.bits == 16
    return ints.saturate(total, given.dst) if bytes_to_16_bits else ints.wrap(total, given.dst)


def _shifted(given: _Operands) -> Array:
    return ints.wrap(ints.shift(ints.exact(given.a), given.b.astype(np.int8), given.rounding), given.dst)  # a wider shift counts as i8


def _rotate(given: _Operands) -> Array:
    # The model shifts 32-bit words both ways, and takes shifts modulo 32 whatever the width is.
    unsigned, width = f"u{given.a.itemsize}", 8 * given.a.itemsize
    word, amount = given.a.view(unsigned).astype(np.uint32), ints.exact(given.b.astype(np.int8))
    far, near = ((np.abs(amount) & 31).astype(np.uint32), ((width - np.abs(amount)) & 31).astype(np.uint32))
    left, right = word << far | word >> near, word >> far | word << near
    return np.where(amount < 0, right, left).astype(unsigned)


def _multiply_high(given: _Operands) -> Array:
    return ints.shift_saturated(ints.multiply(given.a, given.b), 1 - 8 * given.a.itemsize, given.rounding, given.dst)


def _bitwise(operation: Callable[[Array, Array], Array]) -> _Operation:
    return lambda given: operation(given.a.view(f"u{given.a.itemsize}"), given.b.view(f"u{given.b.itemsize}"))


def _leading(ones: bool) -> _Operation:
    def run(given: _Operands) -> Array:
        bits = given.a.view(f"u{given.a.itemsize}")
        rest = (~bits if ones else bits).astype(np.float64)
        return (8 * given.a.itemsize - np.frexp(rest)[1]).astype(given.dst.numpy)

    return run


_INTEGER: Mapping[ArithOp, _Operation] = {
    **_ANY,
    ArithOp.ADD: _wrapping(_add),
    ArithOp.SUB: _wrapping(_subtract),
    ArithOp.MUL: _wrapping(ints.multiply),
    ArithOp.MAX: lambda given: np.maximum(given.a, given.b),
    ArithOp.MIN: lambda given: np.minimum(given.a, given.b),
    ArithOp.ADDS: _saturating(_add),
    ArithOp.SUBS: _saturating(_subtract),
    ArithOp.MULS: _multiply_saturating,
    ArithOp.MAC: _mac,
    ArithOp.LOGIC_SHIFT: _shifted,
    ArithOp.ARITH_SHIFT: _shifted,
    ArithOp.ROTATE: _rotate,
    ArithOp.MUL_HIGH: _multiply_high,
    ArithOp.NOT: lambda given: np.invert(given.a),
    ArithOp.AND: _bitwise(np.bitwise_and),
    ArithOp.OR: _bitwise(np.bitwise_or),
    ArithOp.XOR: _bitwise(np.bitwise_xor),
    ArithOp.ABS: lambda given: np.abs(given.a),
    ArithOp.LEADING_ZEROS: _leading(ones=False),
    ArithOp.LEADING_ONES: _leading(ones=True),
}
