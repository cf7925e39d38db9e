"""VC: what is forbidden, and lengths that do not fill the last channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16
from tpukernel.isa import Vector, VectorOp, decode, encode
from tpukernel.isa.errors import (
    AttributeRangeError,
    LaneMismatchError,
    OperandAlignmentError,
    OperandDtypeError,
    OperandKindError,
    OperandShapeError,
)

LANE = BM1684X.lane_bytes


def local(address: int, shape: Dim4, dtype: Dtype) -> LocalTensor:
    return LocalTensor(address, shape, dtype)


def vector(op: VectorOp, dst: Dtype, src0: Dtype, src1: Dtype, rows: int = 17, width: int = 4) -> Vector:
    return Vector(
        op=op,
        dst=local(0, (rows, 3, 1, 16), dst),
        src0=local(5 * LANE, (1, -(-rows // width), 1, width), src0),
        src1=local(0x8000, (1, 3, 1, 16), src1),
        true_value=Constant(1, dst) if op.name.startswith("SELECT") else None,
        iterations=3 if op is VectorOp.DIV else None,
    )


SUM = vector(VectorOp.ADDS, i16, i8, u16)
DIV = vector(VectorOp.DIV, f32, f32, f32)
SELECT = vector(VectorOp.SELECT_LESS, u16, bf16, bf16)

BREACHES = [
    Breach(SELECT.replace(true_value=None), "operands", OperandKindError, "true_value"),
    Breach(SUM.replace(iterations=3), "operands", OperandKindError, "iterations"),
    Breach(vector(VectorOp.DIV, f16, f16, f16), "dtypes", OperandDtypeError, "src0"),
    Breach(vector(VectorOp.ADDS, f16, f16, f16), "dtypes", OperandDtypeError, "src0"),
    Breach(vector(VectorOp.XOR, f16, f16, f16), "dtypes", OperandDtypeError, "src0"),
    Breach(vector(VectorOp.MAX, i8, i8, u8), "dtypes", OperandDtypeError, "src1"),
    Breach(vector(VectorOp.ADD, u8, u8, i8), "dtypes", OperandDtypeError, "dst"),
    Breach(vector(VectorOp.SUB, u8, u8, u8), "dtypes", OperandDtypeError, "dst"),
    Breach(vector(VectorOp.MIN, i16, i8, i8), "dtypes", OperandDtypeError, "dst"),
    Breach(vector(VectorOp.SELECT_EQUAL, i32, i8, i8), "dtypes", OperandDtypeError, "dst"),
    Breach(SELECT.replace(true_value=Constant(1, f16)), "dtypes", OperandDtypeError, "true_value"),
    Breach(SUM.replace(dst=local(0, (21, 3, 1, 16), i16)), "shapes", OperandShapeError, "dst"),
    Breach(SUM.replace(dst=local(0, (16, 3, 1, 16), i16)), "shapes", OperandShapeError, "dst"),
    Breach(SUM.replace(src1=local(0x8000, (1, 3, 1, 15), u16)), "shapes", OperandShapeError, "src1"),
    Breach(DIV.replace(iterations=5), "iterations_range", AttributeRangeError, "iterations"),
    Breach(SUM.replace(src0=local(2, (1, 5, 1, 4), i8)), "placement", OperandAlignmentError, "src0"),
    Breach(SUM.replace(src1=local(LANE, (1, 3, 1, 16), u16)), "same_lane", LaneMismatchError, "src1"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Vector, BREACHES)


@given(st.integers(1, 200), st.integers(1, 40))
def test_the_length_comes_back(rows: int, width: int) -> None:
    instruction = vector(VectorOp.SUBS, i16, u8, u16, rows, width)
    assert not instruction.problems(BM1684X)
    [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
    assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


@pytest.mark.parametrize("instruction", [SUM, DIV, SELECT], ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: Vector) -> None:
    assert not instruction.problems(BM1684X)
    assert decode(BM1684X, "tiu", encode(BM1684X, [instruction])) == [instruction]
