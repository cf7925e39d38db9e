"""MM: product of matrices whose rows are n and whose columns lie in the channels.

Source: field tables of tpu-mlir's debugger; operands, types and arithmetic as measured on the official library and C model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import IntEnum
from math import prod
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, u8, u16
from tpukernel.isa.errors import AttributeRangeError, OperandDtypeError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.rules import Rule, attribute_range, operands_by_op, placement, rule, same_lane_of
from tpukernel.isa.spec import (
    Direction,
    DtypeCode,
    Spec,
    attribute,
    local,
    local_or_constant,
    optional_attribute,
    optional_local_or_constant,
)
from tpukernel.isa.sums import SignCode, zero_or_operand

__all__ = ["MatMul", "MatMulOp"]


class MatMulOp(IntEnum):
    """What MM does with the sums."""

    NORMAL = 1
    """f32: `dst = sums + bias`. Integers: `dst = sums`, those of 32-bit operands shifted and saturated."""
    REQUANT = 2
    """8-bit integers: `dst = (sums + bias + (partial_sum << left_shift)) >> right_shift`, rounded half up and saturated."""
    REQUANT_RELU = 3
    """The same with negative results replaced by 0; `dst` is unsigned."""


_REQUANTS = {MatMulOp.REQUANT, MatMulOp.REQUANT_RELU}


def _is_float(bits: Bits) -> bool:
    return bits.chip.dtypes_by_code[bits["opd0_prec"], True].is_float


def _has_shift(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] == MatMulOp.NORMAL and not _is_float(bits)


def _has_bias(bits: Bits) -> bool:
    return not _has_shift(bits)


def _is_requant(instruction: Instruction) -> bool:
    return instruction.value_of("op") in _REQUANTS


def _left_dtype(instruction: Instruction) -> Dtype:
    return cast("LocalTensor | Constant", instruction.value_of("left")).dtype


def _has_rounding(instruction: Instruction) -> bool:
    return not _is_requant(instruction) and _left_dtype(instruction).is_int


class _ResultDtype(DtypeCode):
    """Width and kind are in `res0_prec`; the result is signed when any operand is, but never of REQUANT_RELU."""

    def __init__(self) -> None:
        super().__init__("res0_prec")

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        fields = ["opd0_sign", "opd1_sign"] if _has_shift(bits) else ["opd0_sign", "opd1_sign", "opd2_sign"]
        signed = any(bits[field] for field in fields) and bits["tsk_eu_typ"] != MatMulOp.REQUANT_RELU
        return bits.chip.dtypes_by_code[bits["res0_prec"], signed]

    def same(self, given: Dtype, read: Dtype) -> bool:
        return given == read


class _BiasDtype(SignCode):
    """f32 with f32 operands, else 16 bits wide."""

    def __init__(self) -> None:
        super().__init__("opd2_sign", i16, u16)

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        return f32 if _is_float(bits) else super().read(instruction, bits)

    def write(self, instruction: Instruction, bits: BitWriter, dtype: Dtype, owner: str) -> None:
        if dtype != f32:
            super().write(instruction, bits, dtype, owner)


class _LeftCols(Spec[int]):
    """The command holds how many columns the last channel has. Written by `MatMul.write_derived`."""

    can_be_invalid = False

    def read(self, instruction: Instruction, bits: Bits) -> int:
        cols = (bits["opd0_c"] - 1) * bits["opd0_w"] + bits["opd1_w"]
        if not bits["opd0_const"]:
            return cols
        # A constant has channels as wide as the EUs; damaged commands can name more columns than fit into 65535 of them, or fewer than 0.
        return max(0, min(cols, 0xFFFF * bits.chip.eu_count(_left_dtype(instruction))))

    def write(self, instruction: Instruction, bits: BitWriter, value: int) -> None:
        pass


class _Shift(Spec[int | None]):
    """One of the two shifts of REQUANT, 8 bits wide, that share a field."""

    can_be_invalid = False

    def __init__(self, start: int) -> None:
        super().__init__(None)
        self.start = start

    def read(self, instruction: Instruction, bits: Bits) -> int | None:
        return bits["opd3_addr"] >> self.start & 0xFF if _is_requant(instruction) else None

    def write(self, instruction: Instruction, bits: BitWriter, value: int | None) -> None:
        if _is_requant(instruction):
            bits.put_part("opd3_addr", self.start, 8, value or 0, self.name)

    def same(self, given: int | None, read: int | None) -> bool:
        return given == read or (given is None and read == 0)


def _rows_and_depth(bits: Bits, instruction: Instruction) -> tuple[int, int]:
    """Rows of the result and length of the sums."""
    rows, cols = bits["opd0_n"], cast("int", instruction.value_of("left_cols"))
    return (cols, rows) if bits["left_tran"] else (rows, cols)


def _dst_shape(bits: Bits, instruction: Instruction) -> Dim4:
    return _rows_and_depth(bits, instruction)[0], bits["res0_c"], 1, bits["res0_w"]


def _right_shape(bits: Bits, instruction: Instruction) -> Dim4:
    return _rows_and_depth(bits, instruction)[1], bits["res0_c"], 1, bits["res0_w"]


_PER_COLUMN = (1, "res0_c", 1, "res0_w")


def _dst_direction(instruction: Instruction) -> Direction:
    return "inout" if instruction.value_of("result_add") else "out"


def _bad_dtypes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    left, dst = _left_dtype(instruction), cast("LocalTensor", instruction.value_of("dst")).dtype
    requant = _is_requant(instruction)
    if requant and left not in (i8, u8):
        yield "left", f"left of {instruction.title} has type {left.name}", "use i8 or u8"
    elif left.is_float and left != f32:
        yield "left", f"left of {instruction.title} has type {left.name}", "use f32 or an integer type, or MM2"
    widths = (8, 16) if requant else (32,)
    if dst.bits not in widths or dst.is_float is not (left.is_float and not requant):
        kind = "f32" if left.is_float and not requant else f"an integer of {' or '.join(map(str, widths))} bits"
        yield "dst", f"dst of {instruction.title} has type {dst.name} with {left.name} operands", f"use {kind}"


def _wanted(instruction: Instruction) -> tuple[str, ...]:
    if not _is_requant(instruction) and _left_dtype(instruction).is_int:
        return "shift", "rounding"
    names = ("bias", "left_shift", "right_shift") if _is_requant(instruction) else ("bias",)
    return tuple(name for name in names if instruction.value_of(name) is not None)


def _bad_left_cols(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    left, cols = instruction.value_of("left"), cast("int", instruction.value_of("left_cols"))
    if isinstance(left, LocalTensor):
        _, channels, height, width = left.shape
        if height != 1 or not (channels - 1) * width < cols <= channels * width:
            yield "left_cols", f"{instruction.title} has {cols} columns in a left matrix of shape {left.shape}", "see matrix_tensor"
    elif cols < 1:
        yield "left_cols", f"{instruction.title} has {cols} columns in its left matrix", "give one or more"


def _bad_shapes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    for name in ("dst", "right"):
        value = cast("LocalTensor", instruction.value_of(name))
        if value.shape[2] != 1:
            yield name, f"{name} of {instruction.title} has {value.shape[2]} rows in a channel", "see matrix_tensor"


def _bad_result_add(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    if instruction.value_of("result_add") and not _is_requant(instruction) and _left_dtype(instruction).is_int:
        yield "result_add", f"{instruction.title} does not add to a partial sum of integers", "use REQUANT"


class MatMul(Instruction):
    """Product of two matrices, (m, k) by (k, n), in the matrix layout: row r is n, column c is element c % w of channel c // w.

    A matrix is the EU-aligned tensor of `tpukernel.chips.layout.matrix_tensor`: (rows, ceil(columns / w), 1, w). Columns of `right` and
    `dst` are computed for the whole of the last channel.

    Attributes:
        op: what is done with the sums.
        dst: result, (m, channels, 1, w). NORMAL: f32, or 32-bit integers, signed when left or right is. REQUANT: 8- or 16-bit integers,
            signed when left, right or bias is; REQUANT_RELU: unsigned.
        left: (m, k) matrix, or (k, m) with `left_tran`, with its own columns per channel; or one constant. NORMAL: f32 or integers of 8,
            16 or 32 bits; REQUANT: i8 or u8. It can start in any lane.
        right: (k, n) matrix of the shape (k, channels, 1, w); of the width and kind of left.
        bias: one number per column: (1, channels, 1, w), EU-aligned, or a constant; absent for none. f32: f32. REQUANT: i16 or u16 (a
            constant 0 of type i16 only makes the result signed).
        shift: of integers in NORMAL, i8: a constant, or one number per column, (1, channels, 1, w), EU-aligned; to the left, negative to
            the right. It is ignored with operands of 8 and 16 bits.
        left_cols: columns of `left`.
        left_tran: the transpose of `left` is multiplied.
        rounding: of `shift`.
        result_add: the sums are added to the numbers at `dst` (`partial_sum`); f32 and REQUANT.
        left_shift, right_shift: of the partial sum, and of everything, in REQUANT; absent for 0.
    """

    unit: ClassVar[str] = "MM"
    family: ClassVar[str] = "matmul"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 2}

    op: MatMulOp = attribute("tsk_eu_typ", MatMulOp, default=MatMulOp.NORMAL)
    dst: LocalTensor = local("res0", _ResultDtype(), _dst_shape, direction=_dst_direction)
    left: LocalTensor | Constant = local_or_constant(
        "opd0", DtypeCode("opd0_prec", "opd0_sign", float_sign=0), ("opd0_n", "opd0_c", 1, "opd0_w"), const="opd0_const"
    )
    right: LocalTensor = local("opd1", DtypeCode("opd0_prec", "opd1_sign", float_sign=0), _right_shape)
    bias: LocalTensor | Constant | None = zero_or_operand(
        "opd2", _BiasDtype(), _PER_COLUMN, layout=Layout.EU_ALIGNED, const="opd2_const", present=_has_bias, sign="opd2_sign"
    )
    shift: LocalTensor | Constant | None = optional_local_or_constant(
        "opd2", SignCode("opd2_sign", i8, u8), _PER_COLUMN, const="opd2_const", present=_has_shift, default=None
    )
    left_cols: int = cast("int", _LeftCols())
    left_tran: bool = attribute("left_tran", bool, default=False)
    rounding: Rounding | None = optional_attribute("opd2_n_str", Rounding, when=_has_rounding, default=None)
    result_add: bool = attribute("res_add", bool, default=False)
    left_shift: int | None = cast("int | None", _Shift(0))
    right_shift: int | None = cast("int | None", _Shift(8))

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op(
            "f32 can have a bias; integers in NORMAL have a shift and its rounding; REQUANT can have a bias and shifts.",
            ("bias", "shift", "rounding", "left_shift", "right_shift"),
            _wanted,
        ),
        rule(
            "dtypes",
            "NORMAL works on f32 or integers with 32-bit results, REQUANT on 8-bit integers with 8- or 16-bit results.",
            OperandDtypeError,
            _bad_dtypes,
        ),
        rule("left_cols", "The columns of `left` end in its last channel.", OperandShapeError, _bad_left_cols),
        rule("matrix", "Matrices have one line in each channel.", OperandShapeError, _bad_shapes),
        rule("result_add", "Partial sums are added with f32 and in REQUANT.", AttributeRangeError, _bad_result_add),
        attribute_range("left_shift", 0, 31),
        attribute_range("right_shift", 0, 32),
        placement,
        same_lane_of("dst", "right", "bias"),
    )

    @property
    def partial_sum(self) -> LocalTensor | None:
        """What `result_add` reads: at the address of `dst` and of its shape; in REQUANT always 16 bits wide and signed as the sums are."""
        if not self.result_add or self.op not in _REQUANTS:
            return self.dst if self.result_add else None
        operands = (self.left, self.right, self.bias)
        return replace(self.dst, dtype=i16 if any(value is not None and value.dtype.is_signed for value in operands) else u16)

    @property
    def macs(self) -> int:
        return prod(self.dst.shape) * self.right.shape[0]

    def write_derived(self, bits: BitWriter) -> None:
        for field, size in zip(("res0_c", "res0_w"), (self.dst.shape[1], self.dst.shape[3]), strict=True):
            bits.put(field, size, "dst")
        for field, size in zip(("res0_c", "res0_w"), (self.right.shape[1], self.right.shape[3]), strict=True):
            bits.put(field, size, "right")
        if isinstance(self.left, LocalTensor):
            channels, width = self.left.shape[1], self.left.shape[3]
        else:
            # The official library lays a constant out as EU-wide channels.
            width = bits.chip.eu_count(self.left.dtype)
            channels = -(-self.left_cols // width)
            bits.put("opd0_n", (self.right if self.left_tran else self.dst).shape[0], "dst")
            bits.put("opd0_c", channels, "left_cols")
            bits.put("opd0_w", width, "left_cols")
        bits.put("opd1_w", self.left_cols - (channels - 1) * width, "left_cols")
