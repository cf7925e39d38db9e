"""AR: which operands go together, what sign a result has, and what is forbidden."""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.api_calls import DTYPES, instructions
from tests.support.draws import accepted_dtypes
from tests.support.golden import golden_cases
from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tests.support.signatures import signatures
from tpukernel import BM1684X
from tpukernel.api import ArgumentError
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Arith, ArithOp, Rounding, decode, encode
from tpukernel.isa.arith_op import LEADING, MOVES, SELECTS, SHIFTABLE, UNARY
from tpukernel.isa.errors import (
    AttributeRangeError,
    LaneMismatchError,
    OperandAlignmentError,
    OperandDtypeError,
    OperandKindError,
    OperandLayoutError,
)

SHAPE: Dim4 = (2, 5, 3, 7)
LANE = BM1684X.lane_bytes


def tensor(slot: int, dtype: Dtype, strides: Dim4 | None = None) -> LocalTensor:
    """A tensor in one of some places that do not overlap."""
    return LocalTensor(slot * 0x1000, SHAPE, dtype, Layout.EU_ALIGNED if strides is None else Layout.FREE, strides)


def binary(op: ArithOp, dst: Dtype, src0: Dtype, src1: Dtype) -> Arith:
    return Arith(op=op, dst=tensor(0, dst), src0=tensor(1, src0), src1=tensor(2, src1))


def unary(op: ArithOp, dst: Dtype, src0: Dtype) -> Arith:
    return Arith(op=op, dst=tensor(0, dst), src0=tensor(1, src0))


ADD = binary(ArithOp.ADD, f32, f32, f32)
SATURATE = binary(ArithOp.ADDS, i8, u8, i16).replace(src2=Constant(0xFE, i8), rounding=Rounding.HALF_UP)
PER_CHANNEL = SATURATE.replace(src2=LocalTensor(0x3000, (1, 5, 1, 1), i8, Layout.COMPACT))
GREATER = binary(ArithOp.SELECT_GREATER, u8, f32, f32).replace(src2=Constant(1, u8))
DIV = binary(ArithOp.DIV, f32, f32, f32).replace(iterations=3)
CAST = unary(ArithOp.CAST, i8, f32).replace(rounding=Rounding.DOWN)
SHIFT = binary(ArithOp.ARITH_SHIFT, i8, i32, i16).replace(rounding=Rounding.HALF_DOWN)
LOGIC = binary(ArithOp.LOGIC_SHIFT, u8, u32, i32).replace(rounding=Rounding.HALF_EVEN)
MAC = binary(ArithOp.MAC, i16, i8, u8).replace(src2=Constant(0x301, i8), rounding=Rounding.HALF_EVEN)
ROTATE = binary(ArithOp.ROTATE, u16, i16, i8)
HIGH = binary(ArithOp.MUL_HIGH, i16, u16, i16).replace(rounding=Rounding.HALF_EVEN)
MAX = binary(ArithOp.MAX, u16, u16, u16)
AND = binary(ArithOp.AND, i8, u8, i8)
LEGAL = (ADD, SATURATE, PER_CHANNEL, GREATER, DIV, CAST, SHIFT, LOGIC, MAC, ROTATE, HIGH, MAX, AND)

BREACHES = [
    Breach(ADD.replace(src1=None), "operand_count", OperandKindError, "src1"),
    Breach(CAST.replace(src1=tensor(2, f32)), "operand_count", OperandKindError, "src1"),
    Breach(GREATER.replace(src2=None), "operand_count", OperandKindError, "src2"),
    Breach(DIV.replace(src2=Constant(1, i8)), "operand_count", OperandKindError, "src2"),
    Breach(ADD.replace(src1=tensor(2, f16)), "dtypes", OperandDtypeError, "src1"),
    Breach(ADD.replace(dst=tensor(0, i32)), "dtypes", OperandDtypeError, "dst"),
    Breach(binary(ArithOp.SUBS, f32, f32, f32), "dtypes", OperandDtypeError, "src0"),
    Breach(SATURATE.replace(src2=Constant(1, i16)), "dtypes", OperandDtypeError, "src2"),
    Breach(MAX.replace(src1=tensor(2, i16)), "dtypes", OperandDtypeError, "src1"),
    Breach(AND.replace(src1=tensor(2, i16)), "dtypes", OperandDtypeError, "src1"),
    Breach(binary(ArithOp.XOR, f16, f16, f16), "dtypes", OperandDtypeError, "src0"),
    Breach(
        GREATER.replace(src0=tensor(1, f16), src1=tensor(2, f16), dst=tensor(0, f32), src2=Constant(1, f32)),
        "dtypes",
        OperandDtypeError,
        "dst",
    ),
    Breach(GREATER.replace(src2=Constant(1, i16)), "dtypes", OperandDtypeError, "src2"),
    Breach(binary(ArithOp.DIV, f16, f16, f16).replace(iterations=1), "dtypes", OperandDtypeError, "src0"),
    Breach(CAST.replace(dst=tensor(0, bf16), src0=tensor(1, f16)), "dtypes", OperandDtypeError, "dst"),
    Breach(unary(ArithOp.COPY, i16, i8), "dtypes", OperandDtypeError, "dst"),
    Breach(unary(ArithOp.LEADING_ZEROS, i16, i8), "dtypes", OperandDtypeError, "dst"),
    Breach(unary(ArithOp.NOT, f32, f32), "dtypes", OperandDtypeError, "src0"),
    Breach(binary(ArithOp.ABS_DIFF, i8, i8, i8), "dtypes", OperandDtypeError, "src0"),
    Breach(SHIFT.replace(src1=tensor(2, u8)), "dtypes", OperandDtypeError, "src1"),
    Breach(LOGIC.replace(src0=tensor(1, i32), dst=tensor(0, i8)), "dtypes", OperandDtypeError, "src0"),
    Breach(MAC.replace(dst=tensor(0, i8)), "dtypes", OperandDtypeError, "dst"),
    Breach(ROTATE.replace(src1=tensor(2, i32)), "dtypes", OperandDtypeError, "src1"),
    Breach(HIGH.replace(dst=tensor(0, i32)), "dtypes", OperandDtypeError, "dst"),
    Breach(SATURATE.replace(dst=tensor(0, u8)), "result_sign", OperandDtypeError, "dst"),
    Breach(SHIFT.replace(dst=tensor(0, u8)), "result_sign", OperandDtypeError, "dst"),
    Breach(binary(ArithOp.SUBS, u8, u8, u8), "result_sign", OperandDtypeError, "dst"),
    Breach(ADD.replace(src2=Constant(1, i8), rounding=Rounding.UP), "integer_shift", OperandKindError, "src2"),
    Breach(MAC.replace(src2=LocalTensor(0x3000, (1, 5, 1, 1), i8, Layout.COMPACT)), "constant_src2", OperandKindError, "src2"),
    Breach(ADD.replace(dst=LocalTensor(32, SHAPE, f32)), "placement", OperandAlignmentError, "dst"),
    Breach(ADD.replace(src1=LocalTensor(LANE, SHAPE, f32)), "same_lane", LaneMismatchError, "src1"),
    Breach(ADD.replace(dst=tensor(0, f32, (105, 0, 7, 1))), "result_strides", OperandLayoutError, "dst"),
    Breach(CAST.replace(rounding=Rounding.HALF_UP), "cast_rounding", AttributeRangeError, "rounding"),
    Breach(SHIFT.replace(src1=Constant.of(-33, i8)), "shift_range", AttributeRangeError, "src1"),
    Breach(DIV.replace(iterations=5), "iterations_range", AttributeRangeError, "iterations"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Arith, BREACHES)


@pytest.mark.parametrize("instruction", LEGAL, ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: Arith) -> None:
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert again == instruction and not again.residue


def test_wrapped_results_have_no_sign() -> None:
    """The library negates u8 as 0 - x of u8, wrapping."""
    assert not binary(ArithOp.SUB, u8, u8, u8).problems(BM1684X)


def test_a_result_may_repeat_nothing_but_a_single_element() -> None:
    one = LocalTensor(0, (1, 1, 1, 1), f32, Layout.FREE, (0, 0, 0, 0))
    repeated = LocalTensor(0x1000, (1, 1, 1, 1), f32, Layout.FREE, (0, 0, 0, 0))
    assert not Arith(op=ArithOp.COPY, dst=one, src0=repeated).problems(BM1684X)


@pytest.mark.parametrize(
    ("op", "src0", "src1", "result"),
    [
        (ArithOp.ADD, u8, u8, "u8"),
        (ArithOp.ADD, u8, i16, "i8"),
        (ArithOp.MULS, i8, u8, "i8"),
        (ArithOp.SUB, u8, u8, "i8"),
        (ArithOp.SUBS, u16, u8, "i8"),
        (ArithOp.ARITH_SHIFT, u32, i8, "u8"),
        (ArithOp.ARITH_SHIFT, i32, i8, "i8"),
        (ArithOp.MUL_HIGH, u8, i8, "i8"),
    ],
)
def test_the_sign_of_a_decoded_result_follows_from_the_sources(op: ArithOp, src0: Dtype, src1: Dtype, result: str) -> None:
    """Measured on the C model: u8 - u8 saturates to -128..127, u8 + u8 to 0..255."""
    rounding = Rounding.HALF_EVEN if op in (ArithOp.ARITH_SHIFT, ArithOp.MUL_HIGH) else None
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [binary(op, i8, src0, src1).replace(rounding=rounding)]))
    assert isinstance(again, Arith) and again.dst.dtype.name == result


def test_a_mac_reads_its_result() -> None:
    assert {use.name: use.direction for use in MAC.operands()} == {"dst": "inout", "src0": "in", "src1": "in", "src2": "in"}
    assert {use.name: use.direction for use in ADD.operands()} == {"dst": "out", "src0": "in", "src1": "in"}


def test_attributes_belong_to_operations() -> None:
    for wrong in (ADD.replace(rounding=Rounding.UP), ADD.replace(iterations=3), CAST.replace(rounding=None), DIV.replace(iterations=None)):
        with pytest.raises(OperandKindError):
            wrong.encoded(BM1684X)


NEVER_EMITTED = {ArithOp.ROTATE, ArithOp.MUL_HIGH, ArithOp.COPY_MB, ArithOp.LEADING_ZEROS, ArithOp.LEADING_ONES}
"""The library has no function for these; `tests/vendor/test_arith_commands.py` runs them on the C model."""


def test_every_operation_that_the_library_emits_is_recorded() -> None:
    commands = [instruction for case in golden_cases() for instruction in decode(BM1684X, "tiu", case.tiu)]
    assert {instruction.op for instruction in commands if isinstance(instruction, Arith)} == set(ArithOp) - NEVER_EMITTED


def test_operations_are_grouped_without_contradiction() -> None:
    assert LEADING | MOVES < UNARY and not UNARY & SHIFTABLE and not SELECTS & (UNARY | SHIFTABLE)


# ---------------------------------------------------------------------------- rules against the library's assertions

INTEGERS = tuple(code for code, dtype in DTYPES.items() if dtype.is_int)
BASE = {
    **{f"{name}_addr": 0x1000 * slot for slot, name in enumerate(("dst", "src", "src0", "src1", "shift"))},
    **{f"{name}_stride": None for name in ("dst", "src", "src0", "src1", "shift")},
    "shape": (1, 2, 3, 4),
    "C": 1,
    "true_val": 1,
    "rounding_mode": 0,
    "mode": 0,
    "shift": 0,
    "saturation": True,
}
COMPARED = {
    "tpu_bdc_int_add": INTEGERS,
    "tpu_bdc_int_sub": INTEGERS,
    "tpu_bdc_int_mul_C": INTEGERS,
    "tpu_bdc_int_pcs_mul": INTEGERS,
    "tpu_bdc_arithmetic_shift": INTEGERS,
    "tpu_bdc_logical_shift": INTEGERS,
    "tpu_bdc_logical_shift_C": INTEGERS,
    "tpu_bdc_greater": tuple(DTYPES),
    "tpu_bdc_not_equal_C": tuple(DTYPES),
    "tpu_bdc_cast": tuple(DTYPES),
    "tpu_bdc_fp_div": tuple(DTYPES),
    "tpu_bdc_not": INTEGERS,
    "tpu_bdc_abs": tuple(DTYPES),
}


@pytest.mark.parametrize("function", COMPARED)
def test_types_are_legal_exactly_when_the_library_accepts_them(function: str) -> None:
    names = [parameter.name for parameter in signatures()[function].parameters if parameter.kind == "dtype"]
    accepted = {tuple(row[name] for name in names) for row in accepted_dtypes()[function]}
    assert accepted
    for codes in product(COMPARED[function], repeat=len(names)):
        assert _is_legal(function, dict(zip(names, codes, strict=True))) == (codes in accepted), [DTYPES[code] for code in codes]


def _is_legal(function: str, dtypes: dict[str, int]) -> bool:
    try:
        return not any(instruction.problems(BM1684X) for instruction in instructions(function, {**BASE, **dtypes}))
    except ArgumentError:
        return False
