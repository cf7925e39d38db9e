"""Field specifiers: how an operand or attribute of an instruction lies in the fields of its command.

Each specifier works in both directions. Reading never changes anything and is total for commands that passed `Spec.invalid`; writing goes
through
`BitWriter.put`, which refuses what does not fit; afterwards the instruction reads everything back and compares, so that nothing that a
command
cannot say is dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Generic, Literal, TypedDict, TypeVar, Unpack, cast

from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.errors import OperandDtypeError, OperandKindError, OperandLayoutError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter

if TYPE_CHECKING:
    from tpukernel.isa.instruction import Instruction

__all__ = [
    "REQUIRED",
    "Attribute",
    "ConstantField",
    "Direction",
    "DtypeCode",
    "LocalField",
    "OperandField",
    "Spec",
    "attribute",
    "constant",
    "local",
    "local_or_constant",
    "optional_attribute",
    "optional_constant",
    "optional_local",
    "optional_local_or_constant",
]

Direction = Literal["in", "out", "inout"]
"""Whether an instruction reads an operand, writes it, or both."""

A = TypeVar("A", bound=int)
T = TypeVar("T")


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""Default of a specifier without a default."""


class Spec(Generic[T]):
    """Base of the specifiers. A specifier is a descriptor: on an instruction it yields the value."""

    name: str = ""
    can_be_invalid: bool = True

    def __init__(self, default: T | _Required = REQUIRED) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instruction: Instruction | None, owner: type) -> T:
        if instruction is None:
            return cast("T", self)
        return cast("T", instruction.value_of(self.name))

    def read(self, instruction: Instruction, bits: Bits) -> T:
        """The value that the bits of a command stand for."""
        raise NotImplementedError

    def write(self, instruction: Instruction, bits: BitWriter, value: T) -> None:
        """Put the value into the bits of a command."""
        raise NotImplementedError

    def same(self, given: T, read: T) -> bool:
        """Whether the value read back means what was given."""
        return given == read

    def invalid(self, instruction: Instruction, bits: Bits) -> str | None:
        """The field that holds a number without a meaning, if there is one. Sees only `Format.control_mask`; other fields read as 0."""
        return None


class Attribute(Spec[int | None]):
    """A number, flag or enumerated value in one field.

    Args:
        field: the field.
        kind: `int`, `bool` or an `IntEnum` whose values are the numbers in the command.
        default: value when none is given.
        when: tells for an instruction whether it has this attribute; without it the value is None and the field belongs to something else.
        bias: the field holds value - bias.
    """

    def __init__(
        self,
        field: str,
        kind: type[int],
        default: int | _Required | None = REQUIRED,
        when: Callable[[Instruction], bool] | None = None,
        bias: int = 0,
    ) -> None:
        super().__init__(default)
        self.field = field
        self.kind = kind
        self.when = when
        self.bias = bias
        self.can_be_invalid = issubclass(kind, IntEnum)
        self.known = frozenset(int(member) for member in kind) if issubclass(kind, IntEnum) else None

    def read(self, instruction: Instruction, bits: Bits) -> int | None:
        if self.when and not self.when(instruction):
            return None
        return self.kind(bits[self.field] + self.bias)

    def write(self, instruction: Instruction, bits: BitWriter, value: int | None) -> None:
        if self.when and not self.when(instruction):
            if value is not None:
                raise OperandKindError(
                    f"{instruction.title} has no {self.name}",
                    instruction=instruction.title,
                    operand=self.name,
                    rule="kind",
                    help=f"leave out {self.name}",
                )
            return
        if value is None:
            raise OperandKindError(
                f"{instruction.title} needs {self.name}",
                instruction=instruction.title,
                operand=self.name,
                rule="kind",
                help=f"give {self.name}",
            )
        bits.put(self.field, int(value), self.name, bias=self.bias)

    def invalid(self, instruction: Instruction, bits: Bits) -> str | None:
        if self.known is None or bits[self.field] + self.bias in self.known:
            return None
        return None if self.when and not self.when(instruction) else self.field


class DtypeCode:
    """The type of an operand as a command holds it.

    Args:
        code: field with the type code; None when the unit implies the type.
        sign: field with the sign bit; None when the unit does not tell signed from unsigned, and then both are the same to it.
        implied: the type, or the function that derives it, where `code` is None.
        float_sign: what the official library writes to the sign bit of a float; or a function that tells it for an instruction.
    """

    def __init__(
        self,
        code: str | None,
        sign: str | None = None,
        implied: Dtype | Callable[[Instruction], Dtype] | None = None,
        float_sign: int | Callable[[Instruction], int] = 1,
    ) -> None:
        self.code = code
        self.sign = sign
        self.implied = implied
        self.float_sign = float_sign

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        if self.code is None:
            if self.implied is None:
                raise TypeError("a type needs a field or must be implied")
            return self.implied if isinstance(self.implied, Dtype) else self.implied(instruction)
        signed = bool(bits[self.sign]) if self.sign else True
        return bits.chip.dtypes_by_code[bits[self.code], signed]

    def write(self, instruction: Instruction, bits: BitWriter, dtype: Dtype, owner: str) -> None:
        code = bits.chip.dtype_codes.get(dtype)
        if code is None:
            raise OperandDtypeError(
                f"{owner} of {instruction.title} has type {dtype}, which {bits.chip} does not have",
                instruction=instruction.title,
                operand=owner,
                rule="dtype",
                help=f"use one of {', '.join(known.name for known in bits.chip.dtype_codes)}",
            )
        if self.code is not None:
            bits.put(self.code, code, owner, meaning=dtype.name)
            if self.sign is not None:
                float_sign = self.float_sign(instruction) if callable(self.float_sign) else self.float_sign
                bits.put(self.sign, float_sign if dtype.is_float else int(dtype.is_signed), owner, meaning=dtype.name)

    def same(self, given: Dtype, read: Dtype) -> bool:
        if self.code is None or self.sign is not None:
            return given == read
        return given == read or (given.is_int and read.is_int and given.bits == read.bits)

    def valid(self, bits: Bits) -> bool:
        return self.code is None or (bits[self.code], True) in bits.chip.dtypes_by_code


Shape = tuple[str | int, str | int, str | int, str | int]
"""Where each dimension comes from: a field of the command, or a fixed number."""
ShapeRule = Callable[[Bits, "Instruction"], Dim4]
"""A shape that follows from the bits."""
Presence = Callable[[Bits], bool]
"""Tells from the bits of a command whether an operand is there."""


class OperandField(Spec[T]):
    """Base of the specifiers of operands. `direction` may depend on the instruction (a result that is also added to)."""

    def __init__(self, default: T | _Required, direction: Direction | Callable[[Instruction], Direction]) -> None:
        super().__init__(default)
        self._direction: Direction | Callable[[Instruction], Direction] = direction
        self.address_fields: tuple[str, ...] = ()
        """The fields of the address, lowest bits first, of an operand that may be a tensor."""

    def direction(self, instruction: Instruction) -> Direction:
        """Whether this instruction reads the operand, writes it, or both."""
        return self._direction(instruction) if callable(self._direction) else self._direction


class LocalField(OperandField[LocalTensor | Constant | None]):
    """A tensor in local memory, or a constant in its place.

    Args:
        prefix: `res0`, `opd1`, ...: stem of the field names.
        dtype: where its type is.
        shape: where its dimensions are; or a function of (bits, instruction).
        layout: its layout; or a function of the instruction.
        layouts: layout by number in the field `<prefix>_str`, where the command has a choice.
        strides: fields of the n, c, h and w stride, used for `Layout.FREE`.
        const: field that says that the operand is a constant; or a function that says it where no field does; None: always a tensor.
        present: tells from the bits whether the operand is there at all; None: always.
        direction: `in`, `out`, `inout`, or a function of the instruction.
        address: field of the address or constant, `<prefix>_addr` by default.
    """

    def __init__(
        self,
        prefix: str,
        dtype: DtypeCode,
        shape: Shape | ShapeRule,
        *,
        layout: Layout | Callable[[Instruction], Layout] = Layout.EU_ALIGNED,
        layouts: Mapping[int, Layout] | None = None,
        strides: tuple[str, str, str, str] | None = None,
        const: str | None = None,
        present: Presence | None = None,
        direction: Direction | Callable[[Instruction], Direction] = "in",
        address: str | None = None,
        default: LocalTensor | Constant | _Required | None = REQUIRED,
    ) -> None:
        super().__init__(default, direction)
        self.prefix = prefix
        self.dtype = dtype
        self.shape = shape
        self.layout = layout
        self.layouts = layouts
        self.strides = strides
        self.const = const
        self.present = present
        self.address = address or f"{prefix}_addr"
        self.address_fields = (self.address,)

    def read(self, instruction: Instruction, bits: Bits) -> LocalTensor | Constant | None:
        if self.present and not self.present(bits):
            return None
        dtype = self.dtype.read(instruction, bits)
        if self.const and bits[self.const]:
            return Constant(bits[self.address], dtype)
        layout = self.layouts[bits[f"{self.prefix}_str"]] if self.layouts else self._layout(instruction)
        shape = self.read_shape(instruction, bits)
        strides = self.read_strides(bits, shape, dtype) if layout is Layout.FREE else None
        return LocalTensor(bits[self.address], shape, dtype, layout, strides)

    def read_shape(self, instruction: Instruction, bits: Bits) -> Dim4:
        """The shape of the operand in this command."""
        if callable(self.shape):
            return self.shape(bits, instruction)
        n, c, h, w = (bits[entry] if isinstance(entry, str) else entry for entry in self.shape)
        return n, c, h, w

    def read_strides(self, bits: Bits, shape: Dim4, dtype: Dtype) -> Dim4 | None:
        """The strides of a FREE operand."""
        if self.strides is None:
            return None
        n, c, h, w = self.strides
        return bits[n], bits[c], bits[h], bits[w]

    def _layout(self, instruction: Instruction) -> Layout:
        return self.layout(instruction) if callable(self.layout) else self.layout

    def write(self, instruction: Instruction, bits: BitWriter, value: LocalTensor | Constant | None) -> None:
        if value is None:
            if self.present is None:
                raise self._kind(instruction, f"needs {self.name}", f"give {self.name}")
            return
        self.dtype.write(instruction, bits, value.dtype, self.name)
        if isinstance(value, Constant):
            if self.const is None:
                raise self._kind(instruction, f"needs a tensor as {self.name}, not a constant", "put the number into a local tensor")
            bits.put(self.const, 1, self.name)
            bits.put(self.address, value.bits, self.name)
            return
        self._refuse_system(instruction, value)
        if self.const:
            bits.put(self.const, 0, self.name)
        self._write_layout(instruction, bits, value)
        bits.put(self.address, value.address, self.name)
        if not callable(self.shape):
            self._write_shape(instruction, bits, value, self.shape)

    def _write_shape(self, instruction: Instruction, bits: BitWriter, value: LocalTensor, shape: Shape) -> None:
        for size, entry, dimension in zip(value.shape, shape, "nchw", strict=True):
            if isinstance(entry, str):
                bits.put(entry, size, self.name)
            elif size != entry:
                raise OperandShapeError(
                    f"{self.name} of {instruction.title} has shape {value.shape}, but its {dimension} must be {entry}",
                    instruction=instruction.title,
                    operand=self.name,
                    rule="shape",
                    help=f"give a tensor with {dimension} = {entry}",
                )

    def _write_layout(self, instruction: Instruction, bits: BitWriter, value: LocalTensor) -> None:
        if self.layouts:
            codes = {layout: code for code, layout in self.layouts.items()}
            if value.layout not in codes:
                raise self._bad_layout(instruction, value, codes)
            bits.put(f"{self.prefix}_str", codes[value.layout], self.name)
        elif value.layout is not self._layout(instruction):
            raise self._bad_layout(instruction, value, {self._layout(instruction): 0})
        if value.strides is not None and self.strides is not None:
            for field, stride in zip(self.strides, value.strides, strict=True):
                bits.put(field, stride, self.name)

    def _bad_layout(self, instruction: Instruction, value: LocalTensor, known: Mapping[Layout, int]) -> OperandLayoutError:
        return OperandLayoutError(
            f"{self.name} of {instruction.title} is {value.layout.name}, which the command cannot say",
            instruction=instruction.title,
            operand=self.name,
            rule="layout",
            help=f"it can be {' or '.join(layout.name for layout in known)}",
        )

    def _refuse_system(self, instruction: Instruction, value: object) -> None:
        if isinstance(value, SystemTensor):
            what = f"cannot have {self.name} at {value.address:#x} in system memory"
            raise self._kind(instruction, what, "copy it to local memory with a DMA command first")

    def _kind(self, instruction: Instruction, what: str, help: str) -> OperandKindError:
        return OperandKindError(f"{instruction.title} {what}", instruction=instruction.title, operand=self.name, rule="kind", help=help)

    def same(self, given: LocalTensor | Constant | None, read: LocalTensor | Constant | None) -> bool:
        if given is None or read is None or type(given) is not type(read):
            return given == read
        if not self.dtype.same(given.dtype, read.dtype):
            return False
        if isinstance(given, LocalTensor) and isinstance(read, LocalTensor):
            return replace(given, dtype=read.dtype) == read
        return isinstance(given, Constant) and isinstance(read, Constant) and given.bits == read.bits

    def invalid(self, instruction: Instruction, bits: Bits) -> str | None:
        field = None
        if not self.dtype.valid(bits):
            field = self.dtype.code
        elif self.layouts and bits[f"{self.prefix}_str"] not in self.layouts and not (self.const and bits[self.const]):
            field = f"{self.prefix}_str"
        return None if field is None or (self.present and not self.present(bits)) else field


class ConstantField(OperandField[Constant | None]):
    """An operand that is always a constant, in `field`. `present` as in `LocalField`."""

    def __init__(
        self, field: str, dtype: DtypeCode, present: Presence | None = None, default: Constant | _Required | None = REQUIRED
    ) -> None:
        super().__init__(default, "in")
        self.field = field
        self.dtype = dtype
        self.present = present

    def read(self, instruction: Instruction, bits: Bits) -> Constant | None:
        if self.present and not self.present(bits):
            return None
        return Constant(bits[self.field], self.dtype.read(instruction, bits))

    def write(self, instruction: Instruction, bits: BitWriter, value: Constant | None) -> None:
        if value is None:
            if self.present is None:
                raise OperandKindError(
                    f"{instruction.title} needs {self.name}",
                    instruction=instruction.title,
                    operand=self.name,
                    rule="kind",
                    help=f"give {self.name}",
                )
            return
        self.dtype.write(instruction, bits, value.dtype, self.name)
        bits.put(self.field, value.bits, self.name)

    def same(self, given: Constant | None, read: Constant | None) -> bool:
        if given is None or read is None:
            return given is read
        return given.bits == read.bits and self.dtype.same(given.dtype, read.dtype)

    def invalid(self, instruction: Instruction, bits: Bits) -> str | None:
        if self.dtype.valid(bits) or (self.present and not self.present(bits)):
            return None
        return self.dtype.code


class LocalOptions(TypedDict, total=False):
    """The keyword arguments of `LocalField`, for the functions below."""

    layout: Layout | Callable[[Instruction], Layout]
    layouts: Mapping[int, Layout] | None
    strides: tuple[str, str, str, str] | None
    const: str | None
    direction: Direction | Callable[[Instruction], Direction]
    address: str | None


# The functions below are what the units write. They return specifiers, but say the type of the value that an instruction shows, so
# that a type checker sees an instruction as the dataclass that it is.


def attribute(field: str, kind: type[A], *, default: A | _Required = REQUIRED, bias: int = 0) -> A:
    """An attribute that every instruction of the unit has (see `Attribute`)."""
    return cast("A", Attribute(field, kind, default, None, bias))


def optional_attribute(
    field: str, kind: type[A], *, when: Callable[[Instruction], bool], default: A | None = None, bias: int = 0
) -> A | None:
    """An attribute that only some instructions of the unit have (see `Attribute`)."""
    return cast("A | None", Attribute(field, kind, default, when, bias))


def local(prefix: str, dtype: DtypeCode, shape: Shape | ShapeRule, **options: Unpack[LocalOptions]) -> LocalTensor:
    """A tensor in local memory (see `LocalField`)."""
    return cast("LocalTensor", LocalField(prefix, dtype, shape, **options))


def optional_local(
    prefix: str, dtype: DtypeCode, shape: Shape | ShapeRule, *, present: Presence, default: None = None, **options: Unpack[LocalOptions]
) -> LocalTensor | None:
    """A tensor in local memory that may be absent (see `LocalField`)."""
    return cast("LocalTensor | None", LocalField(prefix, dtype, shape, present=present, default=default, **options))


def local_or_constant(prefix: str, dtype: DtypeCode, shape: Shape | ShapeRule, **options: Unpack[LocalOptions]) -> LocalTensor | Constant:
    """A tensor in local memory or a constant (see `LocalField`)."""
    return cast("LocalTensor | Constant", LocalField(prefix, dtype, shape, **options))


def optional_local_or_constant(
    prefix: str, dtype: DtypeCode, shape: Shape | ShapeRule, *, present: Presence, default: None = None, **options: Unpack[LocalOptions]
) -> LocalTensor | Constant | None:
    """A tensor in local memory or a constant, or neither (see `LocalField`)."""
    return cast("LocalTensor | Constant | None", LocalField(prefix, dtype, shape, present=present, default=default, **options))


def constant(field: str, dtype: DtypeCode) -> Constant:
    """A constant (see `ConstantField`)."""
    return cast("Constant", ConstantField(field, dtype))


def optional_constant(field: str, dtype: DtypeCode, *, present: Presence, default: None = None) -> Constant | None:
    """A constant that may be absent (see `ConstantField`)."""
    return cast("Constant | None", ConstantField(field, dtype, present, default))
