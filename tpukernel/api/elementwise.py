"""What the TPUKernel functions of elementwise arithmetic share."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tpukernel.api.operands import SIGNED
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, i8
from tpukernel.isa import Arith, ArithOp, Rounding

__all__ = ["bits_of", "elementwise", "exclusive_or", "shift_constant"]

_EXCHANGED: Final = frozenset(
    {
        *(ArithOp.ADD, ArithOp.MUL, ArithOp.ADDS, ArithOp.MULS, ArithOp.MAC, ArithOp.MAX, ArithOp.MIN),
        *(ArithOp.AND, ArithOp.OR, ArithOp.XOR, ArithOp.SELECT_EQUAL, ArithOp.ABS_DIFF),
    }
)


def bits_of(dtype: Dtype) -> Dtype:
    """The integer type with which the library works on the bits of that type."""
    return SIGNED[dtype.bits] if dtype.is_float else dtype


def elementwise(
    op: ArithOp,
    dst: LocalTensor,
    src0: LocalTensor | Constant,
    src1: LocalTensor | Constant,
    *,
    src2: LocalTensor | Constant | None = None,
    rounding: Rounding | None = None,
    iterations: int | None = None,
) -> tuple[Arith]:
    """One instruction of two operands.

    The library exchanges two tensors of a commutative operation when only the second one has strides.
    """
    if op in _EXCHANGED and _has_strides(src0) is False and _has_strides(src1) is True:
        src0, src1 = src1, src0
    return (Arith(op=op, dst=dst, src0=src0, src1=src1, src2=src2, rounding=rounding, iterations=iterations),)


def _has_strides(operand: LocalTensor | Constant) -> bool | None:
    """None for a constant."""
    return operand.strides is not None if isinstance(operand, LocalTensor) else None


def exclusive_or(tensor: LocalTensor, value: Constant) -> Arith:
    """The bits of a tensor are reversed where those of the value are set."""
    bits = replace(tensor, dtype=bits_of(tensor.dtype))
    return Arith(op=ArithOp.XOR, dst=bits, src0=bits, src1=Constant(value.bits, bits.dtype))


def shift_constant(shift: int) -> Constant:
    """A shift of the elements by -128 to 127 places, to the right if it is negative."""
    return Constant(shift & 0xFF, i8)
