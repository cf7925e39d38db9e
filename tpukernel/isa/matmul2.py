"""MM2: product of matrices whose rows are channels and whose columns are w.

Source: field tables of tpu-mlir's debugger; operands, types and arithmetic as measured on the official library and C model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from math import prod
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i32, u8
from tpukernel.isa.errors import OperandDtypeError, OperandKindError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.lane_table import lane_table_strides
from tpukernel.isa.rules import Rule, in_lane_0, operands_by_op, placement, rule, start_alignment
from tpukernel.isa.spec import Direction, DtypeCode, LocalField, Shape, attribute, local, local_or_constant
from tpukernel.isa.sums import ZeroField

__all__ = ["MatMul2", "MatMul2Op"]


class MatMul2Op(IntEnum):
    """Which operands are given transposed."""

    NN = 4
    """`dst = left @ right`."""
    NT = 5
    """`dst = left @ right.T`."""
    TT = 6
    """`dst = (left.T @ right.T).T`, that is `right @ left`."""


_LEFT: Mapping[MatMul2Op, Shape] = {
    MatMul2Op.NN: (1, "res0_c", 1, "opd1_c"),
    MatMul2Op.NT: (1, "res0_c", 1, "opd1_w"),
    MatMul2Op.TT: (1, "opd1_w", 1, "res0_w"),
}
"""Where the shape of `left` is. That of `right` is always in the fields of opd1."""


@dataclass(frozen=True)
class _Shared:
    """A dimension that `right` and `dst` have in common, and held twice by the command: the field of `right`, and which one it is."""

    field: str
    of_right: int
    of_dst: int


_SHARED = {
    MatMul2Op.NN: _Shared("opd1_w", of_right=3, of_dst=3),
    MatMul2Op.NT: _Shared("opd1_c", of_right=1, of_dst=3),
    MatMul2Op.TT: _Shared("opd1_c", of_right=1, of_dst=1),
}

_FLOATS = {(f16, f16), (f32, f16), (f32, bf16), (bf16, bf16)}
"""(type of dst, type of left and right)."""


def _op(instruction: Instruction) -> MatMul2Op:
    return cast("MatMul2Op", instruction.value_of("op"))


def _is_int(bits: Bits) -> bool:
    return bits.chip.dtypes_by_code[bits["opd0_prec"], True].is_int


_RIGHT_DTYPE = DtypeCode("opd0_prec", "opd1_sign", float_sign=0)


def _units(instruction: Instruction, chip: Chip) -> dict[str, int]:
    return {} if _op(instruction) is MatMul2Op.TT else {"right_zero_point": chip.eu_bytes}


def _dst_direction(instruction: Instruction) -> Direction:
    return "inout" if instruction.value_of("result_add") else "out"


def _zero_point_layout(instruction: Instruction) -> Layout:
    return Layout.COMPACT if _op(instruction) is MatMul2Op.TT else Layout.FREE


def _zero_point_shape(bits: Bits, instruction: Instruction) -> Dim4:
    return (1, bits["res0_c"], 1, 1) if _op(instruction) is MatMul2Op.TT else (1, bits["opd1_c"], 1, bits["res0_w"])


def _left_shape(bits: Bits, instruction: Instruction) -> Dim4:
    n, c, h, w = (bits[entry] if isinstance(entry, str) else entry for entry in _LEFT[_op(instruction)])
    return n, c, h, w


class _LeftField(LocalField):
    """The fields of its shape depend on the operation."""

    def write(self, instruction: Instruction, bits: BitWriter, value: LocalTensor | Constant | None) -> None:
        super().write(instruction, bits, value)
        if isinstance(value, LocalTensor):
            self._write_shape(instruction, bits, value, _LEFT[_op(instruction)])


class _ZeroPointField(ZeroField):
    """NN and NT: a row of which every lane holds a copy."""

    def read_strides(self, bits: Bits, shape: Dim4, dtype: Dtype) -> Dim4:
        return lane_table_strides(bits.chip, shape, dtype)


class _ResultDtype(DtypeCode):
    """A float, or i32: differences to a zero point are signed."""

    def __init__(self) -> None:
        super().__init__("res0_prec", None)

    def same(self, given: Dtype, read: Dtype) -> bool:
        return given == read


def _bad_dtypes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    dst, left = (cast("LocalTensor | Constant", instruction.value_of(name)).dtype for name in ("dst", "left"))
    wanted = (i32,) if left in (i8, u8) else tuple(result for result, operand in _FLOATS if operand == left)
    if not wanted:
        yield "left", f"left of {instruction.title} has type {left.name}", "use f16, bf16, i8 or u8; or MM"
    elif dst not in wanted:
        yield "dst", f"dst of {instruction.title} has type {dst.name} with {left.name} operands", f"use {' or '.join(map(repr, wanted))}"


def _two_constants(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    if all(isinstance(instruction.value_of(name), Constant) for name in ("left", "right")):
        yield "right", f"left and right of {instruction.title} are constants", "give one of them as a tensor"


def _bad_shapes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    right, dst, shared = instruction.value_of("right"), cast("LocalTensor", instruction.value_of("dst")), _SHARED[_op(instruction)]
    if isinstance(right, LocalTensor) and right.shape[shared.of_right] != dst.shape[shared.of_dst]:
        yield "dst", f"dst of {instruction.title} has shape {dst.shape} with a right matrix of shape {right.shape}", "see MatMul2"


def _wanted(instruction: Instruction) -> tuple[str, ...]:
    zero_point, left = instruction.value_of("right_zero_point"), cast("LocalTensor | Constant", instruction.value_of("left"))
    return ("right_zero_point",) if left.dtype.is_int and zero_point is not None else ()


class MatMul2(Instruction):
    """Product of two matrices: row r is channel r, column c is w = c; EU-aligned tensors of shape (1, rows, 1, columns).

    f16 and bf16 are added up in f32, 8-bit integers in i32. All operands start in lane 0.

    Attributes:
        op: which operands are given transposed.
        dst: result, (1, m, 1, n): f32, or of the type of the operands; i32 with integers.
        left: (1, m, 1, k); TT: (1, k, 1, n); or one constant. f16, bf16, i8 or u8.
        right: NN: (1, k, 1, n); NT: (1, n, 1, k); TT: (1, m, 1, k); or one constant. Of the width and kind of left.
        right_zero_point: what is subtracted from integers of `right`, of its type: a constant, absent for 0; NN and NT: one number per
            column, of which every lane that has a row of `right` holds a copy: `lane_table` of shape (1, rows of right, 1, n); TT: one per
            row, (1, m, 1, 1), compact.
        result_add: the sums are added to the numbers at `dst` (`partial_sum`).
    """

    unit: ClassVar[str] = "MM2"
    family: ClassVar[str] = "matmul2"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 2}

    op: MatMul2Op = attribute("tsk_eu_typ", MatMul2Op)
    dst: LocalTensor = local("res0", _ResultDtype(), (1, "res0_c", 1, "res0_w"), direction=_dst_direction)
    left: LocalTensor | Constant = cast(
        "LocalTensor | Constant", _LeftField("opd0", DtypeCode("opd0_prec", "opd0_sign", float_sign=0), _left_shape, const="opd0_const")
    )
    right: LocalTensor | Constant = local_or_constant("opd1", _RIGHT_DTYPE, (1, "opd1_c", 1, "opd1_w"), const="opd1_const")
    right_zero_point: LocalTensor | Constant | None = cast(
        "LocalTensor | Constant | None",
        _ZeroPointField("opd2", _RIGHT_DTYPE, _zero_point_shape, layout=_zero_point_layout, const="opd2_const", present=_is_int),
    )
    result_add: bool = attribute("res_add", bool, default=False)

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op("Only integers have a zero point.", ("right_zero_point",), _wanted),
        rule("constants", "One operand at least is a tensor.", OperandKindError, _two_constants),
        rule("shapes", "The dimension that `dst` takes from `right` is the same in both.", OperandShapeError, _bad_shapes),
        rule("dtypes", "f16, bf16 or 8-bit integers; the result is f32, of the same type, or i32.", OperandDtypeError, _bad_dtypes),
        placement,
        start_alignment("A zero point per column starts at a multiple of the EU bytes.", _units),
        in_lane_0("All operands start in lane 0.", lambda _: ("dst", "left", "right", "right_zero_point")),
    )

    @property
    def partial_sum(self) -> LocalTensor | None:
        """What `result_add` reads: at the address of `dst` and of its shape, but of the type of the sums (f32 or i32)."""
        if not self.result_add:
            return None
        return replace(self.dst, dtype=f32 if self.dst.dtype.is_float else i32)

    @property
    def macs(self) -> int:
        depth = self.left.shape[1 if self.op is MatMul2Op.TT else 3] if isinstance(self.left, LocalTensor) else 0
        if isinstance(self.right, LocalTensor):
            depth = self.right.shape[1 if self.op is MatMul2Op.NN else 3]
        return prod(self.dst.shape) * depth

    def write_derived(self, bits: BitWriter) -> None:
        if isinstance(self.right, Constant):
            shared = _SHARED[self.op]
            bits.put(shared.field, self.dst.shape[shared.of_dst], "dst")
