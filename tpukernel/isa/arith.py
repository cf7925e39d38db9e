"""AR: elementwise arithmetic on tensors with free strides, constants included.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library (which operand holds what, which sub-
operations it emits).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.arith_op import SHIFTABLE, SHIFTS, ArithOp
from tpukernel.isa.arith_rules import ARITH_RULES, result_signed
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.rules import Rule
from tpukernel.isa.spec import (
    Direction,
    DtypeCode,
    attribute,
    local,
    local_or_constant,
    optional_attribute,
    optional_local_or_constant,
)

__all__ = ["Arith", "ArithOp"]

_ROUNDED = SHIFTS | {ArithOp.CAST, ArithOp.MUL_HIGH}
_SHAPE = ("res0_n", "res0_c", "res0_h", "res0_w")
_LAYOUTS = {0: Layout.EU_ALIGNED, 1: Layout.COMPACT, 3: Layout.FREE}


class _ResultDtype(DtypeCode):
    """The width and kind are in `res0_prec`; the sign is that of a cast's field, or else follows from the operands."""

    def __init__(self) -> None:
        super().__init__("res0_prec")

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        op = ArithOp(bits["tsk_eu_typ"])
        src0 = bool(bits["opd0_sign"])
        if op is ArithOp.CAST:
            signed = bool(bits["opd2_sign"])
        else:
            found = result_signed(op, src0, bits["tsk_opd_num"] > 1 and bool(bits["opd1_sign"]))
            signed = src0 if found is None else found
        return bits.chip.dtypes_by_code[bits["res0_prec"], signed]


def _has_rounding(instruction: Instruction) -> bool:
    op = instruction.value_of("op")
    return op in _ROUNDED or (op in SHIFTABLE and instruction.value_of("src2") is not None)


def _is_div(instruction: Instruction) -> bool:
    return instruction.value_of("op") is ArithOp.DIV


def _has(count: int) -> Callable[[Bits], bool]:
    return lambda bits: bits["tsk_opd_num"] >= count


def _result_direction(instruction: Instruction) -> Direction:
    return "inout" if instruction.value_of("op") is ArithOp.MAC else "out"


def _source_dtype(code: str, sign: str) -> DtypeCode:
    return DtypeCode(code, sign, float_sign=lambda instruction: 0 if _is_div(instruction) else 1)


def _strides(prefix: str) -> tuple[str, str, str, str]:
    return f"{prefix}_n_str", f"{prefix}_c_str", f"{prefix}_h_str", f"{prefix}_w_str"


class Arith(Instruction):
    """Elementwise arithmetic: `dst = src0 op src1`, on shapes that are all the same; stride 0 repeats an element.

    Attributes:
        op: the operation.
        dst: result; for MAC also the first summand.
        src0, src1: operands, tensors or constants; one-operand operations have no src1. SHIFTS: src1 is signed, negative to the right.
        src2: selects: the constant where the comparison holds (elsewhere 0). Integer arithmetic: the shift of the exact result before it
            is rounded and brought to the width of `dst`, i8, negative to the right: a constant, or a compact tensor (1, c, 1, 1) with
            one shift per channel. MAC: a constant with the left shift of `dst` in the lowest byte and the right shift of the sum in
            the next one.
        rounding: of casts and shifts, of MUL_HIGH, and of integer arithmetic with src2.
        iterations: Newton steps of DIV, 1 to 4.

    Which types go together, and which sign an integer result has, is in `arith_rules`.
    """

    unit: ClassVar[str] = "AR"
    family: ClassVar[str] = "arith"
    engine: ClassVar[Engine] = "tiu"
    in_place: ClassVar[bool | frozenset[int]] = True
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 3}

    op: ArithOp = attribute("tsk_eu_typ", ArithOp)
    dst: LocalTensor = local("res0", _ResultDtype(), _SHAPE, layouts=_LAYOUTS, strides=_strides("res0"), direction=_result_direction)
    src0: LocalTensor | Constant = local_or_constant(
        "opd0", _source_dtype("opd0_prec", "opd0_sign"), _SHAPE, layouts=_LAYOUTS, strides=_strides("opd0"), const="opd0_const"
    )
    src1: LocalTensor | Constant | None = optional_local_or_constant(
        "opd1",
        _source_dtype("opd1_prec", "opd1_sign"),
        _SHAPE,
        layouts=_LAYOUTS,
        strides=_strides("opd1"),
        const="opd1_const",
        present=_has(2),
        default=None,
    )
    src2: LocalTensor | Constant | None = optional_local_or_constant(
        "opd2", DtypeCode("opd2_prec"), (1, "res0_c", 1, 1), layout=Layout.COMPACT, const="opd2_const", present=_has(3), default=None
    )
    rounding: Rounding | None = optional_attribute("opd2_n_str", Rounding, when=_has_rounding, default=None)
    iterations: int | None = optional_attribute("opd2_n_str", int, when=_is_div, bias=1, default=None)

    rules: ClassVar[tuple[Rule, ...]] = ARITH_RULES

    def write_derived(self, bits: BitWriter) -> None:
        bits.put("tsk_opd_num", sum(source is not None for source in (self.src0, self.src1, self.src2)), "sources")
        if self.op is ArithOp.CAST:
            bits.put("opd2_sign", int(self.dst.dtype.is_signed), "dst")
