"""RQ&DQ: requantisation to narrow integers and dequantisation, with constants for the whole tensor or a table per channel.

Source: field tables of tpu-mlir's debugger; packing of the constants and arithmetic as measured on the official library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16
from tpukernel.isa.errors import AttributeRangeError, OperandDtypeError, OperandKindError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.rules import Rule, dtypes_by_op, operands_by_op, placement, rule, same_lane
from tpukernel.isa.spec import DtypeCode, OperandField, Spec, attribute, local, optional_local

__all__ = ["Quant", "QuantOp"]


class QuantOp(IntEnum):
    """What a quantisation command computes; every result saturates. A negative shift shifts to the right."""

    REQUANT_FP = 0
    """`dst = round(float(src) * scale + offset)`."""
    REQUANT_INT = 1
    """`dst = (src * multiplier << shift) + offset`."""
    DEQUANT_FP = 3
    """`dst = float(src - offset) * scale`."""
    DEQUANT_INT = 4
    """`dst = (src - offset) * multiplier << shift`."""


@dataclass(frozen=True)
class _Part:
    """Bits of a field: `width` of them from bit `start` on."""

    field: str
    start: int = 0
    width: int = 32

    def read(self, bits: Bits, *, signed: bool = False) -> int:
        value = bits[self.field] >> self.start & ((1 << self.width) - 1)
        return value - (1 << self.width) if signed and value >> (self.width - 1) else value


_FP, _INT = QuantOp.REQUANT_FP, QuantOp.REQUANT_INT
_DE_FP, _DE_INT = QuantOp.DEQUANT_FP, QuantOp.DEQUANT_INT

_Parts = Mapping[QuantOp, _Part]
_SCALE: _Parts = {_FP: _Part("opd1_addr"), _DE_FP: _Part("opd2_addr")}
_MULTIPLIER: _Parts = {_INT: _Part("opd1_addr"), _DE_INT: _Part("opd2_addr")}
_SHIFT: _Parts = {_INT: _Part("opd2_addr", 0, 8), _DE_INT: _Part("opd1_addr", 16, 16)}
_OFFSET: _Parts = {
    _FP: _Part("opd2_addr"),
    _INT: _Part("opd2_addr", 16, 16),
    _DE_FP: _Part("opd1_addr", 0, 16),
    _DE_INT: _Part("opd1_addr", 0, 16),
}
_LOW_MODE, _HIGH_MODE = _Part("opd2_n_str", 0, 3), _Part("opd2_n_str", 3, 3)
_ROUNDING: _Parts = {_FP: _HIGH_MODE, _INT: _LOW_MODE, _DE_FP: _LOW_MODE, _DE_INT: _LOW_MODE}
_SRC_ROUNDING: _Parts = {_FP: _LOW_MODE}

_TABLE_WIDTH = {_FP: 2, _INT: 3, _DE_FP: 2, _DE_INT: 3}
_MODES = frozenset(int(mode) for mode in Rounding)
_SHAPE = ("res0_n", "res0_c", "res0_h", "res0_w")


def _op(instruction: Instruction) -> QuantOp:
    return cast("QuantOp", instruction.value_of("op"))


def _part_of(parts: _Parts, instruction: Instruction, *, in_table: bool) -> _Part | None:
    """Where a number is; None in operations that are not listed, and where the table has it."""
    if in_table and instruction.value_of("table") is not None:
        return None
    return parts.get(_op(instruction))


def _is_written(spec: Spec[object], part: _Part | None, instruction: Instruction, value: object) -> bool:
    if (part is None) is not (value is None):
        what = f"has no {spec.name}" if part is None else f"needs {spec.name}"
        raise OperandKindError(f"{instruction.title} {what}", instruction=instruction.title, operand=spec.name, rule="kind")
    return part is not None


class _Number(OperandField[Constant | None]):
    """A constant in bits that depend on the operation; None in operations that are not listed, and with a table."""

    def __init__(self, parts: _Parts) -> None:
        super().__init__(None, "in")
        self.parts = parts

    def read(self, instruction: Instruction, bits: Bits) -> Constant | None:
        part = _part_of(self.parts, instruction, in_table=True)
        return None if part is None else Constant(part.read(bits), self._dtype(instruction, part))

    def _dtype(self, instruction: Instruction, part: _Part) -> Dtype:
        if part.width == 16:
            narrow = cast("LocalTensor", instruction.value_of("dst" if _op(instruction) is _INT else "src"))
            return i16 if narrow.dtype.is_signed else u16
        return f32 if _op(instruction) in (_FP, _DE_FP) else i32

    def write(self, instruction: Instruction, bits: BitWriter, value: Constant | None) -> None:
        part = _part_of(self.parts, instruction, in_table=True)
        if not _is_written(cast("Spec[object]", self), part, instruction, value) or part is None or value is None:
            return
        dtype = self._dtype(instruction, part)
        if value.dtype != dtype:
            raise OperandDtypeError(
                f"{self.name} of {instruction.title} has type {value.dtype.name}",
                instruction=instruction.title,
                operand=self.name,
                rule="dtype",
                help=f"use {dtype.name}",
            )
        bits.put_part(part.field, part.start, part.width, value.bits, self.name)


class _Integer(Spec[int | None]):
    """A signed number or a rounding mode in bits that depend on the operation; None in operations that are not listed."""

    def __init__(self, parts: _Parts, kind: type[int], *, in_table: bool) -> None:
        super().__init__(None)
        self.parts = parts
        self.kind = kind
        self.in_table = in_table

    def read(self, instruction: Instruction, bits: Bits) -> int | None:
        part = _part_of(self.parts, instruction, in_table=self.in_table)
        return None if part is None else self.kind(part.read(bits, signed=self.kind is int))

    def write(self, instruction: Instruction, bits: BitWriter, value: int | None) -> None:
        part = _part_of(self.parts, instruction, in_table=self.in_table)
        if _is_written(cast("Spec[object]", self), part, instruction, value) and part is not None and value is not None:
            bits.put_part(part.field, part.start, part.width, int(value), self.name, signed=self.kind is int)

    def invalid(self, instruction: Instruction, bits: Bits) -> str | None:
        part = _part_of(self.parts, instruction, in_table=self.in_table)
        return None if part is None or self.kind is int or part.read(bits) in _MODES else part.field


def _number(parts: _Parts) -> Constant | None:
    return cast("Constant | None", _Number(parts))


def _table_shape(bits: Bits, instruction: Instruction) -> Dim4:
    return 1, bits["res0_c"], 1, _TABLE_WIDTH[_op(instruction)]


def _table_dtype(instruction: Instruction) -> Dtype:
    return f32 if _op(instruction) is _FP else i32


def _has_table(bits: Bits) -> bool:
    return not bits["opd1_const"]


def _allowed(instruction: Instruction) -> Iterator[tuple[str, tuple[Dtype, ...]]]:
    op = _op(instruction)
    if op in (_FP, _INT):
        yield "dst", (i8, u8, i16, u16)
        yield "src", (i16, u16, i32)
    else:
        yield "dst", (f32,) if op is _DE_FP else (i16, u16, i32)
        yield "src", (i8, u8, i16, u16)


def _unknown_rounding(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    rounding = instruction.value_of("rounding")
    if _op(instruction) is _FP and rounding in (Rounding.HALF_UP, Rounding.HALF_DOWN):
        modes = ", ".join(mode.name for mode in Rounding if mode < Rounding.HALF_UP)
        yield "rounding", f"{instruction.title} cannot round {Rounding(rounding).name}", f"use {modes}"


_BY_OP = {
    "scale": _SCALE,
    "multiplier": _MULTIPLIER,
    "shift": _SHIFT,
    "offset": _OFFSET,
    "src_rounding": _SRC_ROUNDING,
}


def _wanted(instruction: Instruction) -> list[str]:
    return [name for name, parts in _BY_OP.items() if _part_of(parts, instruction, in_table=name != "src_rounding")]


class Quant(Instruction):
    """Requantisation and dequantisation of an EU-aligned tensor; the constants are given once, or per channel in a table.

    Attributes:
        op: the direction, and whether the constants are floating-point or integer.
        dst: result, (n, c, h, w).
        src: operand of the same shape.
        table: constants of each channel, instead of `scale`, `multiplier`, `shift` and `offset`; EU-aligned. REQUANT_FP:
            (1, c, 1, 2) of f32: scale, offset. REQUANT_INT: (1, c, 1, 3) of i32: multiplier, shift, offset. DEQUANT_FP: (1, c, 1, 2) of
            i32: offset, the bits of the f32 scale. DEQUANT_INT: (1, c, 1, 3) of i32: offset, multiplier, shift. Only
            the low bits of a shift (8) and of an offset (16) count.
        scale: f32; operations with floating-point constants.
        multiplier: i32; operations with integer constants.
        shift: to the left, of which the lowest 6 bits count, or negative: to the right, by 63 at most. 8 bits, for DEQUANT_INT 16.
        offset: f32 for REQUANT_FP; else 16 bits, signed like the result of REQUANT_INT and like `src` of the dequantisations.
        rounding: of the result.
        src_rounding: of the conversion of `src` to f32; REQUANT_FP only.
    """

    unit: ClassVar[str] = "RQ&DQ"
    family: ClassVar[str] = "quant"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 4}
    in_place: ClassVar[bool | frozenset[int]] = True

    op: QuantOp = attribute("tsk_eu_typ", QuantOp)
    dst: LocalTensor = local("res0", DtypeCode("res0_prec", "opd2_sign"), _SHAPE, direction="out")
    src: LocalTensor = local("opd0", DtypeCode("opd0_prec", "opd0_sign"), _SHAPE)
    table: LocalTensor | None = optional_local(
        "opd1", DtypeCode(None, implied=_table_dtype), _table_shape, present=_has_table, default=None
    )
    scale: Constant | None = _number(_SCALE)
    multiplier: Constant | None = _number(_MULTIPLIER)
    shift: int | None = cast("int | None", _Integer(_SHIFT, int, in_table=True))
    offset: Constant | None = _number(_OFFSET)
    rounding: Rounding = cast("Rounding", _Integer(_ROUNDING, Rounding, in_table=False))
    src_rounding: Rounding | None = cast("Rounding | None", _Integer(_SRC_ROUNDING, Rounding, in_table=False))

    rules: ClassVar[tuple[Rule, ...]] = (
        dtypes_by_op(
            "Requantisation: i16, u16 or i32 (32 bits are always read as signed) to 8 or 16 bits; dequantisation: 8 or 16 bits to f32, "
            "16 bits or i32.",
            _allowed,
        ),
        operands_by_op("The constants are those of the operation; with a table there are none.", tuple(_BY_OP), _wanted),
        rule(
            "rounding",
            "REQUANT_FP does not round HALF_UP or HALF_DOWN (`src_rounding` may be any).",
            AttributeRangeError,
            _unknown_rounding,
        ),
        placement,
        same_lane,
    )

    def write_derived(self, bits: BitWriter) -> None:
        bits.put("opd1_const", int(self.table is None), "table")
