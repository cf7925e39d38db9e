"""SFU: series, exponents and reciprocal square roots.

Source: field tables of tpu-mlir's debugger; use of the fields and arithmetic as measured on the official library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Dim4, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i16, i32
from tpukernel.isa.errors import OperandDtypeError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.lane_table import optional_lane_table
from tpukernel.isa.rules import Rule, aligned, attribute_range, operands_by_op, placement, rule, same_lane
from tpukernel.isa.spec import DtypeCode, attribute, local, optional_attribute

__all__ = ["Special", "SpecialOp"]


class SpecialOp(IntEnum):
    """What SFU computes."""

    TAYLOR = 12
    """`dst = coeff[0] + coeff[1] * src + coeff[2] * src**2 + ...`, from the last coefficient inward, each step rounded to the type."""
    EXPONENT = 15
    """The biased exponent of `src` as an integer; one more for positive numbers with a significand of about 4/3 and above."""
    RSQRT = 17
    """`dst = 1 / sqrt(src)` by Newton's method."""


_SHAPE = ("res0_n", "res0_c", "res0_h", "res0_w")
_SRC_DTYPE = DtypeCode("opd0_prec")
_EXPONENT_DTYPES = {f32: i32, f16: i16, bf16: i16}
_EXPONENT_MODE = 3
"""What the official library always writes to `opd2_n_str` of EXPONENT."""


def _is_taylor(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] == SpecialOp.TAYLOR


def _is_rsqrt(instruction: Instruction) -> bool:
    return instruction.value_of("op") is SpecialOp.RSQRT


def _coeff_shape(bits: Bits, instruction: Instruction) -> Dim4:
    return 1, bits["res0_c"], 1, bits["opd1_n"]


def _by_op(instruction: Instruction) -> tuple[str, ...]:
    return {SpecialOp.TAYLOR: ("coeff",), SpecialOp.RSQRT: ("iterations",)}.get(cast("SpecialOp", instruction.value_of("op")), ())


def _bad_dtypes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    src, dst = (cast("LocalTensor", instruction.value_of(name)).dtype for name in ("src", "dst"))
    if not src.is_float:
        yield "src", f"src of {instruction.title} has type {src.name}", "use f32, f16 or bf16"
        return
    op = instruction.value_of("op")
    if op is SpecialOp.RSQRT and src != f32:
        yield "src", f"src of {instruction.title} has type {src.name}", "use f32"
    wanted: Dtype = _EXPONENT_DTYPES[src] if op is SpecialOp.EXPONENT else src
    if dst != wanted:
        yield "dst", f"dst of {instruction.title} has type {dst.name} with a src of {src.name}", f"use {wanted.name}"
    coeff = instruction.value_of("coeff")
    if isinstance(coeff, LocalTensor) and coeff.dtype != src:
        yield "coeff", f"coeff of {instruction.title} has type {coeff.dtype.name} with a src of {src.name}", f"use {src.name}"


def _few_coefficients(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    coeff = instruction.value_of("coeff")
    if isinstance(coeff, LocalTensor) and coeff.shape[3] < 2:
        yield "coeff", f"{instruction.title} has {coeff.shape[3]} coefficients", "give two or more"


class Special(Instruction):
    """Special functions of an EU-aligned tensor.

    Attributes:
        op: the function.
        dst: result, (n, c, h, w): of the type of `src`; EXPONENT: i32 for f32, i16 for f16 and bf16.
        src: operand of the same shape: f32, f16 or bf16; RSQRT: f32 only.
        coeff: coefficients of TAYLOR in every lane, of the type of `src`: `lane_table` of shape (1, c, 1, count); two or more.
        iterations: Newton steps of RSQRT, 1 to 4.
    """

    unit: ClassVar[str] = "SFU"
    family: ClassVar[str] = "special"
    engine: ClassVar[Engine] = "tiu"
    in_place: ClassVar[bool | frozenset[int]] = True
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 9}

    op: SpecialOp = attribute("tsk_eu_typ", SpecialOp)
    dst: LocalTensor = local("res0", DtypeCode("res0_prec"), _SHAPE, direction="out")
    src: LocalTensor = local("opd0", _SRC_DTYPE, _SHAPE)
    coeff: LocalTensor | None = optional_lane_table("opd1", _SRC_DTYPE, _coeff_shape, present=_is_taylor, default=None)
    iterations: int | None = optional_attribute("opd1_n", int, when=_is_rsqrt, default=None)

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op("TAYLOR has `coeff`, RSQRT has `iterations`.", ("coeff", "iterations"), _by_op),
        rule(
            "dtypes",
            "`src` is f32, f16 or bf16, of RSQRT f32; `coeff` and `dst` have its type, `dst` of EXPONENT is an integer as wide.",
            OperandDtypeError,
            _bad_dtypes,
        ),
        rule("coefficients", "TAYLOR has two coefficients or more.", OperandShapeError, _few_coefficients),
        attribute_range("iterations", 1, 4),
        aligned("coeff"),
        placement,
        same_lane,
    )

    def write_derived(self, bits: BitWriter) -> None:
        if self.op is SpecialOp.EXPONENT:
            bits.put("opd2_n_str", _EXPONENT_MODE, "op")
            return
        count = self.coeff.shape[3] if self.coeff is not None else self.iterations or 0
        bits.put("opd1_n", count, "iterations" if self.op is SpecialOp.RSQRT else "coeff")
        bits.put("opd2_n_str", (count - 1) & 3, "op")
