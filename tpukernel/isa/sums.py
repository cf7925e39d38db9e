"""What the units that add up products share (CONV, PorD, MM, MM2).

These are operands for which absence means 0, types of which a command holds the sign only, and partial sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.errors import OperandDtypeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import DtypeCode, LocalField, OperandField, Presence, Shape, ShapeRule

__all__ = ["SignCode", "ZeroConstant", "ZeroField", "zero_constant", "zero_or_operand"]


class SignCode(DtypeCode):
    """The type of an operand of fixed width, of which the command holds the sign only."""

    def __init__(self, sign: str, signed: Dtype, unsigned: Dtype) -> None:
        super().__init__(None, sign)
        self.types = {True: signed, False: unsigned}

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        return self.types[bool(bits[self.sign or ""])]

    def write(self, instruction: Instruction, bits: BitWriter, dtype: Dtype, owner: str) -> None:
        if dtype not in self.types.values():
            raise OperandDtypeError(
                f"{owner} of {instruction.title} has type {dtype.name}",
                instruction=instruction.title,
                operand=owner,
                rule="dtype",
                help=f"use {' or '.join(known.name for known in self.types.values())}",
            )
        bits.put(self.sign or "", int(dtype.is_signed), owner)


class ZeroField(LocalField):
    """A tensor or constant of which the command says the absence as the constant 0.

    Args:
        prefix, dtype, shape, layout, const: as for `LocalField`.
        present: tells from the bits whether the command has this operand at all.
        sign: field with the sign bit of an integer type that matters although the constant is 0; a signed 0 is not absence then.
    """

    def __init__(
        self,
        prefix: str,
        dtype: DtypeCode,
        shape: Shape | ShapeRule,
        *,
        layout: Layout | Callable[[Instruction], Layout],
        const: str,
        present: Presence,
        sign: str | None = None,
    ) -> None:
        super().__init__(prefix, dtype, shape, layout=layout, const=const, present=present, default=None)
        self.sign = sign
        self.const_field = const
        self.is_here = present

    def read(self, instruction: Instruction, bits: Bits) -> LocalTensor | Constant | None:
        value = super().read(instruction, bits)
        if not isinstance(value, Constant) or value.bits:
            return value
        signed = self.sign is not None and bits[self.sign] and value.dtype.is_int
        return value if signed else None

    def write(self, instruction: Instruction, bits: BitWriter, value: LocalTensor | Constant | None) -> None:
        if value is None and self.is_here(bits):
            bits.put(self.const_field, 1, self.name)
            bits.put(self.address, 0, self.name)
        else:
            super().write(instruction, bits, value)

    def same(self, given: LocalTensor | Constant | None, read: LocalTensor | Constant | None) -> bool:
        if read is None and isinstance(given, Constant):
            return given.bits == 0
        return super().same(given, read)


def zero_or_operand(
    prefix: str, dtype: DtypeCode, shape: Shape, *, layout: Layout, const: str, present: Presence, sign: str | None = None
) -> LocalTensor | Constant | None:
    """A tensor or constant whose absence is the constant 0 (see `ZeroField`)."""
    return cast("LocalTensor | Constant | None", ZeroField(prefix, dtype, shape, layout=layout, const=const, present=present, sign=sign))


class ZeroConstant(OperandField[Constant | None]):
    """A constant whose absence is 0, in a field or in the lowest 8 bits of it.

    Args:
        field: the field.
        dtype: where its type is.
        present: tells from the bits whether the command has this operand.
        shared: integers have the lowest 8 bits, because something else has those above.
    """

    def __init__(self, field: str, dtype: DtypeCode, *, present: Presence, shared: bool) -> None:
        super().__init__(None, "in")
        self.field = field
        self.dtype = dtype
        self.present = present
        self.shared = shared

    def _width(self, dtype: Dtype) -> int:
        return 8 if self.shared and dtype.is_int else 32

    def read(self, instruction: Instruction, bits: Bits) -> Constant | None:
        if not self.present(bits):
            return None
        dtype = self.dtype.read(instruction, bits)
        number = bits[self.field] & ((1 << self._width(dtype)) - 1)
        return Constant(number, dtype) if number else None

    def write(self, instruction: Instruction, bits: BitWriter, value: Constant | None) -> None:
        if value is not None:
            self.dtype.write(instruction, bits, value.dtype, self.name)
            bits.put_part(self.field, 0, self._width(value.dtype), value.bits, self.name)

    def same(self, given: Constant | None, read: Constant | None) -> bool:
        return given == read or (read is None and given is not None and given.bits == 0)

    def invalid(self, instruction: Instruction, bits: Bits) -> str | None:
        return None if not self.present(bits) or self.dtype.valid(bits) else self.dtype.code


def zero_constant(field: str, dtype: DtypeCode, *, present: Presence, shared: bool) -> Constant | None:
    """A constant whose absence is 0 (see `ZeroConstant`)."""
    return cast("Constant | None", ZeroConstant(field, dtype, present=present, shared=shared))
