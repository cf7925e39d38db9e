"""CMP: compare two tensors and take the elements of two others by the outcome.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.errors import OperandDtypeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, operands_by_op, placement, rule, same_lane
from tpukernel.isa.spec import REQUIRED, DtypeCode, LocalField, attribute, local, local_or_constant, optional_local

__all__ = ["Compare", "CompareOp"]


class CompareOp(IntEnum):
    """How CMP compares, and what it writes."""

    MAX_AND_SELECT = 22
    """`dst = max(src0, src1)`, `dst1 = src0 > src1 ? src2 : src3`."""
    SELECT_GREATER = 23
    """`dst = src0 > src1 ? src2 : src3`."""
    SELECT_EQUAL = 24
    """`dst = src0 == src1 ? src2 : src3`, bit by bit."""
    MIN_AND_SELECT = 25
    """`dst = min(src0, src1)`, `dst1 = src0 < src1 ? src2 : src3`."""
    SELECT_LESS = 26
    """`dst = src0 < src1 ? src2 : src3`."""


_TWO_RESULTS = {CompareOp.MAX_AND_SELECT, CompareOp.MIN_AND_SELECT}
_SHAPE = ("res0_n", "res0_c", "res0_h", "res0_w")
_COMPARED = DtypeCode("opd0_prec", "opd0_sign")
_SELECTED = DtypeCode("opd2_prec")


class _ComparedField(LocalField):
    """A tensor of which each lane can have one element for all its channels: layout FREE, with strides of 0."""

    def __init__(self, prefix: str) -> None:
        layouts = {0: Layout.EU_ALIGNED, 3: Layout.FREE}
        super().__init__(prefix, _COMPARED, _SHAPE, layouts=layouts, const=f"{prefix}_const", default=REQUIRED)

    def read_strides(self, bits: Bits, shape: Dim4, dtype: Dtype) -> Dim4:
        return 0, 0, 0, 0


def _compared(prefix: str) -> LocalTensor | Constant:
    return cast("LocalTensor | Constant", _ComparedField(prefix))


class _ResultDtype(DtypeCode):
    """`dst` has the type of what is compared where it is the larger or smaller one, else of what is selected."""

    def __init__(self) -> None:
        super().__init__(None)

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        return _dst_code(instruction).read(instruction, bits)

    def write(self, instruction: Instruction, bits: BitWriter, dtype: Dtype, owner: str) -> None:
        _dst_code(instruction).write(instruction, bits, dtype, owner)

    def same(self, given: Dtype, read: Dtype) -> bool:
        return _SELECTED.same(given, read)  # the sign bit, where there is one, belongs to the sources too


def _dst_code(instruction: Instruction) -> DtypeCode:
    return _COMPARED if instruction.value_of("op") in _TWO_RESULTS else _SELECTED


def _has_two_results(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] in _TWO_RESULTS


def _second_result(instruction: Instruction) -> tuple[str, ...]:
    return ("dst1",) if instruction.value_of("op") in _TWO_RESULTS else ()


def _bad_types(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    selected = ("src3", "dst1" if instruction.value_of("op") in _TWO_RESULTS else "dst")
    compared = ("src1", "dst") if instruction.value_of("op") in _TWO_RESULTS else ("src1",)
    for source, names, code in (("src0", compared, _COMPARED), ("src2", selected, _SELECTED)):
        wanted = cast("LocalTensor | Constant", instruction.value_of(source)).dtype
        for name in names:
            value = instruction.value_of(name)
            if isinstance(value, LocalTensor | Constant) and not code.same(value.dtype, wanted):
                yield (
                    name,
                    f"{name} of {instruction.title} has type {value.dtype.name}, but {source} has {wanted.name}",
                    f"use {wanted.name}",
                )


def _bad_widths(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    compared, selected = (cast("LocalTensor | Constant", instruction.value_of(name)).dtype for name in ("src0", "src2"))
    may_widen = compared.is_int and instruction.value_of("op") not in _TWO_RESULTS
    if selected.bits < compared.bits or (selected.bits > compared.bits and not may_widen):
        yield (
            "src2",
            f"{instruction.title} compares {compared.name} and selects {selected.name}",
            f"select a type of {compared.bits} bits" + (" or more" if may_widen else ""),
        )


class Compare(Instruction):
    """Compares `src0` and `src1` and takes the elements of `src2` or `src3`. Tensors are EU-aligned and of one shape.

    Attributes:
        op: the comparison, and whether the larger or smaller one is written too.
        dst: result, (n, c, h, w): the selected elements; MAX_AND_SELECT and MIN_AND_SELECT: the larger or smaller ones.
        dst1: the selected elements of MAX_AND_SELECT and MIN_AND_SELECT.
        src0, src1: what is compared: tensors or constants of one type. A tensor with strides of 0 is one element in each lane, which all
            channels of the lane share (measured on the official C model).
        src2, src3: what is taken where the comparison holds, and where not: tensors or constants of one type, whose sign does not matter.
    """

    unit: ClassVar[str] = "CMP"
    family: ClassVar[str] = "compare"
    engine: ClassVar[Engine] = "tiu"
    in_place: ClassVar[bool | frozenset[int]] = True
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 13}

    op: CompareOp = attribute("tsk_eu_typ", CompareOp)
    dst: LocalTensor = local("res0", _ResultDtype(), _SHAPE, direction="out")
    dst1: LocalTensor | None = optional_local("res1", _SELECTED, _SHAPE, present=_has_two_results, direction="out", default=None)
    src0: LocalTensor | Constant = _compared("opd0")
    src1: LocalTensor | Constant = _compared("opd1")
    src2: LocalTensor | Constant = local_or_constant("opd2", _SELECTED, _SHAPE, const="opd2_const")
    src3: LocalTensor | Constant = local_or_constant("opd3", _SELECTED, _SHAPE, const="opd3_const")

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op("MAX_AND_SELECT and MIN_AND_SELECT have a second result, the others have none.", ("dst1",), _second_result),
        rule("types", "What is compared has one type, and what is selected has one, signed or not.", OperandDtypeError, _bad_types),
        rule(
            "widths",
            "What is selected is as wide as what is compared; integers can also select wider types where there is one result.",
            OperandDtypeError,
            _bad_widths,
        ),
        placement,
        same_lane,
    )
