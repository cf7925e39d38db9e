"""Field specifiers and rules of the units that slide a window over a tensor: CONV and PorD.

The window runs over the input after `insert` elements were put between neighbours and `padding` elements around them. Their values are
`insert_value` and `pad_value`; or `pad_value` is a tensor with a pair (pad value, insert value) for each channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, cast

from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.errors import (
    AlignmentError,
    AttributeRangeError,
    LaneMismatchError,
    OperandDtypeError,
    OperandKindError,
    OperandShapeError,
)
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, rule
from tpukernel.isa.spec import REQUIRED, DtypeCode, LocalField, OperandField, Presence, Shape, ShapeRule, Spec

__all__ = [
    "Numbers",
    "SignCode",
    "ZeroConstant",
    "ZeroField",
    "number_ranges",
    "numbers",
    "in_lane_0",
    "start_alignment",
    "window_fits",
    "zero_constant",
    "zero_or_operand",
]

T = TypeVar("T", bound=tuple[int, ...])

When = Callable[[Instruction], bool]
Ranges = Mapping[str, tuple[int, int]]


class Numbers(Spec[tuple[int, ...]]):
    """A tuple of numbers, one field each.

    Args:
        fields: the fields, in the order of the numbers.
        default: the value when none is given; None when it must be given.
        bias: the fields hold value - bias.
        when: tells for an instruction whether the fields mean this; where not, the value is the default.
    """

    can_be_invalid = False

    def __init__(self, fields: tuple[str, ...], default: tuple[int, ...] | None, bias: int, when: When | None) -> None:
        super().__init__(REQUIRED if default is None else default)
        self.fields = fields
        self.bias = bias
        self.when = when

    def read(self, instruction: Instruction, bits: Bits) -> tuple[int, ...]:
        if self.when and not self.when(instruction) and isinstance(self.default, tuple):
            return self.default
        return tuple(bits[field] + self.bias for field in self.fields)

    def write(self, instruction: Instruction, bits: BitWriter, value: tuple[int, ...]) -> None:
        if self.when and not self.when(instruction):
            return  # another value than the default is found when the instruction is read back
        if len(value) != len(self.fields):
            raise OperandKindError(
                f"{self.name} of {instruction.title} is {value}",
                instruction=instruction.title,
                operand=self.name,
                rule="kind",
                help=f"give {len(self.fields)} numbers",
            )
        for field, number in zip(self.fields, value, strict=True):
            bits.put(field, number - self.bias, self.name)


def numbers(fields: tuple[str, ...], kind: type[T], *, default: T | None = None, bias: int = 0, when: When | None = None) -> T:
    """A tuple of numbers (see `Numbers`); `kind` is its type."""
    return cast("T", Numbers(fields, default, bias, when))


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


# ---- rules


def number_ranges(ranges: Ranges) -> Rule:
    """Every number of these attributes lies between the two given ones (both included)."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for name, (low, high) in ranges.items():
            value = cast("tuple[int, ...]", instruction.value_of(name))
            if not all(low <= number <= high for number in value):
                yield name, f"{name} of {instruction.title} is {value}", f"use {low} to {high}"

    text = ", ".join(f"`{name}` {low} to {high}" for name, (low, high) in ranges.items())
    return rule("ranges", f"Numbers: {text}.", AttributeRangeError, broken)


def _tuple(instruction: Instruction, name: str) -> tuple[int, ...]:
    return cast("tuple[int, ...]", instruction.value_of(name))


def _window_steps(instruction: Instruction) -> tuple[int, int]:
    """(rows, columns) of the result: how often the window fits."""
    source = cast("LocalTensor", instruction.value_of("input"))
    top, bottom, left, right = _tuple(instruction, "padding")
    kernel, stride, dilation, insert = (_tuple(instruction, name) for name in ("kernel", "stride", "dilation", "insert"))
    found: list[int] = []
    for axis, size, around in ((0, source.shape[2], top + bottom), (1, source.shape[3], left + right)):
        spread = (size - 1) * (insert[axis] + 1) + 1 + around
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        found.append((spread - reach) // max(stride[axis], 1) + 1)
    return found[0], found[1]


def window_fits(when: When | None = None) -> Rule:
    """The result is as large as the window fits into the input after insertion and padding."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        if when and not when(instruction):
            return
        dst, steps = cast("LocalTensor", instruction.value_of("dst")), _window_steps(instruction)
        if dst.shape[2:] != steps:
            found = f"the window fits {steps[0]} x {steps[1]} times" if min(steps) > 0 else "the window is larger than the padded input"
            yield "dst", f"dst of {instruction.title} has {dst.shape[2]} x {dst.shape[3]} elements, but {found}", None

    text = (
        "Rows and columns of `dst` are ((size - 1) * (insert + 1) + 1 + padding - (kernel - 1) * dilation - 1) // stride + 1 of those of "
        "`input`."
    )
    return rule("window", text, OperandShapeError, broken)


def start_alignment(text: str, units: Callable[[Instruction, Chip], Mapping[str, int]]) -> Rule:
    """Where operands must start although their layout alone would not ask for it: `units` tells bytes by operand."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for name, unit in units(instruction, chip).items():
            value = instruction.value_of(name)
            if isinstance(value, LocalTensor) and value.address % unit:
                yield name, f"{name} of {instruction.title} starts at {value.address:#x}", f"start it at a multiple of {unit} bytes"

    return rule("aligned", text, AlignmentError, broken)


def in_lane_0(text: str, names: Callable[[Instruction], Iterable[str]]) -> Rule:
    """The operands that `names` yields start in lane 0."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for name in names(instruction):
            value = instruction.value_of(name)
            if isinstance(value, LocalTensor) and value.address >= chip.lane_bytes:
                lane = value.address // chip.lane_bytes
                yield name, f"{name} of {instruction.title} starts in lane {lane}", "start it in lane 0"

    return rule("lane_0", text, LaneMismatchError, broken)
