"""VC: every element of one vector with every element of another.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa.errors import OperandDtypeError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, attribute_range, operands_by_op, placement, rule, same_lane_of
from tpukernel.isa.spec import DtypeCode, attribute, local, optional_attribute, optional_constant

__all__ = ["Vector", "VectorOp"]


class VectorOp(IntEnum):
    """The operations of VC. ADDS, SUBS and MULS saturate, ADD, SUB and MUL wrap (integers)."""

    MUL = 0
    ADD = 2
    SUB = 3
    MAX = 4
    MIN = 5
    AND = 7
    OR = 8
    XOR = 9
    SELECT_GREATER = 10
    SELECT_EQUAL = 11
    DIV = 12
    SELECT_LESS = 13
    ADDS = 15
    SUBS = 16
    MULS = 20


_SELECTS = {VectorOp.SELECT_GREATER, VectorOp.SELECT_EQUAL, VectorOp.SELECT_LESS}
_SUMS = {VectorOp.ADD, VectorOp.SUB, VectorOp.MUL, VectorOp.ADDS, VectorOp.SUBS, VectorOp.MULS}
_SUBTRACTIONS = {VectorOp.SUB, VectorOp.SUBS}
_BITWISE = {VectorOp.AND, VectorOp.OR, VectorOp.XOR}
_SATURATING = {VectorOp.ADDS, VectorOp.SUBS, VectorOp.MULS}
_UNUSED_ITERATIONS = 2
"""What the official library writes to the field of the Newton steps of all other operations."""


class _ResultDtype(DtypeCode):
    """The width and kind are in `res0_prec`; the sign of an integer result follows from the sources, that of a select is not told."""

    def __init__(self) -> None:
        super().__init__("res0_prec")

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        op = VectorOp(bits["tsk_eu_typ"])
        signed = op in _SELECTS or op in _SUBTRACTIONS or bool(bits["opd0_sign"] or bits["opd1_sign"])
        return bits.chip.dtypes_by_code[bits["res0_prec"], signed]


def _rows(bits: Bits, instruction: Instruction) -> Dim4:
    rows = (bits["opd0_c"] - 1) * bits["opd0_w"] + bits["opd1_w"]
    return rows, bits["res0_c"], 1, bits["res0_w"]


def _is_div(instruction: Instruction) -> bool:
    return instruction.value_of("op") is VectorOp.DIV


def _is_select(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] in _SELECTS


def _by_op(instruction: Instruction) -> tuple[str, ...]:
    op = instruction.value_of("op")
    return ("true_value",) if op in _SELECTS else ("iterations",) if op is VectorOp.DIV else ()


def _bad_dtypes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    op = instruction.value_of("op")
    dst, src0, src1 = (cast("LocalTensor", instruction.value_of(name)).dtype for name in ("dst", "src0", "src1"))
    if op is VectorOp.DIV and src0 != f32:
        yield "src0", f"src0 of {instruction.title} has type {src0.name}", "use f32"
    if (op in _SATURATING or op in _BITWISE) and src0.is_float:
        yield "src0", f"src0 of {instruction.title} has type {src0.name}", "use an integer type"
    mixed_integers = op in _SUMS and src0.is_int and src1.is_int
    if src1 != src0 and not mixed_integers:
        yield "src1", f"{instruction.title} has sources of type {src0.name} and {src1.name}", f"use {src0.name}"
    what = f"dst of {instruction.title} has type {dst.name} with sources of {src0.name} and {src1.name}"
    if op in _SELECTS:
        if dst.bits > src0.bits:
            yield "dst", what, f"use a type of {src0.bits} bits at most"
    elif mixed_integers:
        signed = op in _SUBTRACTIONS or src0.is_signed or src1.is_signed
        if not dst.is_int or dst.is_signed is not signed:
            yield "dst", what, f"use {'a signed' if signed else 'an unsigned'} integer type"
    elif dst != src0:
        yield "dst", what, f"use {src0.name}"
    value = instruction.value_of("true_value")
    if isinstance(value, Constant) and value.dtype != dst:
        yield "true_value", f"true_value of {instruction.title} has type {value.dtype.name} with a dst of {dst.name}", f"use {dst.name}"


def _bad_shapes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    dst, src0, src1 = (cast("LocalTensor", instruction.value_of(name)).shape for name in ("dst", "src0", "src1"))
    channels, width = src0[1], src0[3]
    if not (channels - 1) * width < dst[0] <= channels * width:
        low, high = (channels - 1) * width + 1, channels * width
        yield (
            "dst",
            f"dst of {instruction.title} has {dst[0]} rows for a src0 of {channels} channels by {width}",
            f"use {low} to {high} rows",
        )
    if src1 != (1, *dst[1:]):
        yield "src1", f"src1 of {instruction.title} has shape {src1} for a dst of {dst}", f"use {(1, *dst[1:])}"


class Vector(Instruction):
    """Two vectors in matrix layout: `dst[i, j] = src0[i] op src1[j]`; a vector of one row lies `w` elements to a channel.

    Attributes:
        op: the operation.
        dst: result, (length of src0, c1, 1, w1): one row per element of `src0`.
        src0: (1, c0, 1, w0); its last channel is used as far as `dst` has rows. It may start in any lane.
        src1: (1, c1, 1, w1).
        true_value: selects: what is written where the comparison holds, else 0; of the type of `dst`.
        iterations: Newton steps of DIV; the official C model makes three whatever is asked for.

    All tensors are EU-aligned. Source types are the same but for integer sums and products; a result is signed if a source is or if it is a
    difference. Selects write any type that is not wider than the sources.
    """

    unit: ClassVar[str] = "VC"
    family: ClassVar[str] = "vector"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 14}

    op: VectorOp = attribute("tsk_eu_typ", VectorOp)
    dst: LocalTensor = local("res0", _ResultDtype(), _rows, direction="out")
    src0: LocalTensor = local("opd0", DtypeCode("opd0_prec", "opd0_sign"), (1, "opd0_c", 1, "opd0_w"))
    src1: LocalTensor = local("opd1", DtypeCode("opd1_prec", "opd1_sign"), (1, "res0_c", 1, "res0_w"))
    true_value: Constant | None = optional_constant("opd2_addr", DtypeCode("res0_prec"), present=_is_select, default=None)
    iterations: int | None = optional_attribute("opd2_n_str", int, when=_is_div, bias=1, default=None)

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op("Selects have `true_value`, DIV has `iterations`.", ("true_value", "iterations"), _by_op),
        rule(
            "dtypes",
            "Sources have one type, but for sums and products of integers; the result has it too, is signed where a source is or for "
            "differences, and is at most as wide for selects; DIV is f32 only, saturation and bits are for integers.",
            OperandDtypeError,
            _bad_dtypes,
        ),
        rule("shapes", "`dst` has a row for each element of `src0`, of the shape of `src1`.", OperandShapeError, _bad_shapes),
        attribute_range("iterations", 1, 4),
        placement,
        same_lane_of("dst", "src1"),
    )

    def write_derived(self, bits: BitWriter) -> None:
        last = self.dst.shape[0] - (self.src0.shape[1] - 1) * self.src0.shape[3]
        bits.put("opd1_w", last, "dst")
        if self.op is not VectorOp.DIV:
            bits.put("opd2_n_str", _UNUSED_ITERATIONS, "op")
