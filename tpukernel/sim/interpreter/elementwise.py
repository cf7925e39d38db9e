"""The elementwise operations that AR and VC share. One table for floats, one for integers: operation -> function.

Source: the measured instruction-set study; compared with the official C model for every operation and every legal combination of types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, bf16
from tpukernel.isa.arith_op import ArithOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import compare, floats, ints, newton
from tpukernel.sim.interpreter.numerics.casts import cast as convert
from tpukernel.sim.interpreter.numerics.ints import Wide
from tpukernel.sim.memory import Array, Memory

__all__ = ["Operands", "compute", "load"]


def _nothing() -> Array:
    """In place of an operand that an operation does not have."""
    return np.zeros(0, np.int8)


@dataclass(frozen=True)
class Operands:
    """What an operation computes with; arrays broadcast to the shape of the result.

    Attributes:
        dst, shape: type and shape of the result.
        a, b: the first and second source.
        c: selects: the value where the comparison holds. Integer sums and products: the shift of the result.
        old: what the result is added to (MAC).
        rounding: how shifts and casts round.
        iterations: Newton steps of DIV.
        shifts: of MAC: left shift of `old` in the lowest byte, right shift of the sum in the next one.
    """

    dst: Dtype
    shape: Dim4
    a: Array
    b: Array = field(default_factory=_nothing)
    c: Array = field(default_factory=_nothing)
    old: Array = field(default_factory=_nothing)
    rounding: Rounding = Rounding.HALF_EVEN
    iterations: int = 0
    shifts: int = 0


def load(memory: Memory, operand: LocalTensor | Constant | None) -> Array:
    """The elements of an operand, a constant as one element of four dimensions."""
    if operand is None:
        return _nothing()
    values = memory.load(operand)
    return values.reshape(1, 1, 1, 1) if values.ndim == 0 else values


def compute(op: ArithOp, operands: Operands) -> Array:
    """The result of an operation, of the type of `dst`."""
    table = FLOAT if compare.is_float(operands.a) else INTEGER
    return table[op](operands).view(operands.dst.numpy)


Operation = Callable[[Operands], Array]


# ---------------------------------------------------------------------------- any type


def _select(holds: Callable[[Array, Array], Array]) -> Operation:
    def run(given: Operands) -> Array:
        unsigned = f"u{given.dst.itemsize}"
        value = given.c.view(f"u{given.c.itemsize}").astype(unsigned)
        return np.where(holds(given.a, given.b), value, np.zeros((), unsigned))

    return run


_ANY: Mapping[ArithOp, Operation] = {
    ArithOp.SELECT_GREATER: _select(compare.greater),
    ArithOp.SELECT_EQUAL: _select(compare.equal),
    ArithOp.SELECT_LESS: _select(compare.less),
    ArithOp.COPY: lambda given: given.a,
    ArithOp.COPY_MB: lambda given: np.broadcast_to(given.a[:1], given.shape),
    ArithOp.CAST: lambda given: convert(given.a, given.dst, given.rounding),
}


# ---------------------------------------------------------------------------- floats


def _float(operation: Callable[[Array, Array], Array]) -> Operation:
    return lambda given: operation(given.a, given.b)


def _mac_float(given: Operands) -> Array:
    return floats.add(floats.multiply(given.a, given.b), given.old)


def _magnitude(values: Array) -> Array:
    unsigned = f"u{values.itemsize}"
    mask = np.array((1 << (8 * values.itemsize - 1)) - 1, unsigned)
    return (values.view(unsigned) & mask).view(values.dtype)


def _absolute_difference(given: Operands) -> Array:
    one, other = floats.subtract(given.a, given.b), floats.subtract(given.b, given.a)
    # Which one it is shows in the sign of flushed differences and in NaN. The model looks at the difference, of bf16 at the operands.
    first = compare.greater(given.a, given.b) if given.dst == bf16 else compare.greater(one, np.zeros_like(one))
    return np.where(first, one, other)


def _divide(given: Operands) -> Array:
    return newton.divide(cast("floats.F32", given.a), cast("floats.F32", given.b), given.iterations)


FLOAT: Mapping[ArithOp, Operation] = {
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


def _wrapping(operation: Callable[[Array, Array], Wide]) -> Operation:
    def run(given: Operands) -> Array:
        result = operation(given.a, given.b)
        return ints.wrap(ints.shift(result, given.c, given.rounding) if given.c.size else result, given.dst)

    return run


def _saturating(operation: Callable[[Array, Array], Wide]) -> Operation:
    def run(given: Operands) -> Array:
        result = operation(given.a, given.b)
        # In the model the sum that is shifted far to the left overflows its 64 bits.
        return ints.saturate(ints.shift(result, given.c, given.rounding) if given.c.size else result, given.dst)

    return run


def _multiply_saturating(given: Operands) -> Array:
    return ints.shift_saturated(ints.multiply(given.a, given.b), given.c if given.c.size else 0, given.rounding, given.dst)


def _add(a: Array, b: Array) -> Wide:
    return ints.exact(a) + ints.exact(b)


def _subtract(a: Array, b: Array) -> Wide:
    return ints.exact(a) - ints.exact(b)


def _mac(given: Operands) -> Array:
    # Meant for products of bytes added to 16 bits; only that saturates. With a result of 32 bits the model leaves out the left shift.
    shifts = given.shifts
    left, right = shifts & 63 if given.dst.bits == 16 else 0, shifts >> 8 & 0xFF
    product = ints.multiply(given.a, given.b)
    total = ints.shift((given.old.astype(product.dtype) << product.dtype.type(left)) + product, -right, given.rounding)
    bytes_to_16_bits = given.a.itemsize == given.b.itemsize == 1 and given.dst.bits == 16
    return ints.saturate(total, given.dst) if bytes_to_16_bits else ints.wrap(total, given.dst)


def _shifted(given: Operands) -> Array:
    return ints.wrap(ints.shift(ints.exact(given.a), given.b.astype(np.int8), given.rounding), given.dst)  # a wider shift counts as i8


def _rotate(given: Operands) -> Array:
    # The model shifts 32-bit words both ways, and takes shifts modulo 32 whatever the width is.
    unsigned, width = f"u{given.a.itemsize}", 8 * given.a.itemsize
    word, amount = given.a.view(unsigned).astype(np.uint32), ints.exact(given.b.astype(np.int8))
    far, near = ((np.abs(amount) & 31).astype(np.uint32), ((width - np.abs(amount)) & 31).astype(np.uint32))
    left, right = word << far | word >> near, word >> far | word << near
    return np.where(amount < 0, right, left).astype(unsigned)


def _multiply_high(given: Operands) -> Array:
    return ints.shift_saturated(ints.multiply(given.a, given.b), 1 - 8 * given.a.itemsize, given.rounding, given.dst)


def _bitwise(operation: Callable[[Array, Array], Array]) -> Operation:
    return lambda given: operation(given.a.view(f"u{given.a.itemsize}"), given.b.view(f"u{given.b.itemsize}"))


def _leading(ones: bool) -> Operation:
    def run(given: Operands) -> Array:
        bits = given.a.view(f"u{given.a.itemsize}")
        rest = (~bits if ones else bits).astype(np.float64)
        return (8 * given.a.itemsize - np.frexp(rest)[1]).astype(given.dst.numpy)

    return run


INTEGER: Mapping[ArithOp, Operation] = {
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
