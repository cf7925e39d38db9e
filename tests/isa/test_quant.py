"""RQ&DQ: packed constants, and what is forbidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.legality import Breach, check_breach, check_every_rule_is_broken
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Quant, QuantOp, Rounding, decode, encode
from tpukernel.isa.errors import (
    AttributeRangeError,
    FieldRangeError,
    LaneMismatchError,
    OperandAlignmentError,
    OperandDtypeError,
    OperandKindError,
    OperandShapeError,
)

SHAPE = (2, 5, 3, 7)
LANE = BM1684X.lane_bytes

INT = Quant(
    op=QuantOp.REQUANT_INT,
    dst=LocalTensor(0, SHAPE, i8),
    src=LocalTensor(0x1000, SHAPE, i32),
    multiplier=Constant.of(-7, i32),
    shift=-20,
    offset=Constant.of(-3, i16),
    rounding=Rounding.HALF_UP,
)
FP = Quant(
    op=QuantOp.REQUANT_FP,
    dst=LocalTensor(0, SHAPE, u8),
    src=LocalTensor(0x1000, SHAPE, i16),
    scale=Constant.of(0.5, f32),
    offset=Constant.of(1.5, f32),
    rounding=Rounding.UP,
    src_rounding=Rounding.DOWN,
)
TABLE = Quant(
    op=QuantOp.DEQUANT_INT,
    dst=LocalTensor(0, SHAPE, i32),
    src=LocalTensor(0x1000, SHAPE, u8),
    table=LocalTensor(0x2000, (1, 5, 1, 3), i32),
    rounding=Rounding.HALF_EVEN,
)
DEQUANT = Quant(
    op=QuantOp.DEQUANT_FP,
    dst=LocalTensor(0, SHAPE, f32),
    src=LocalTensor(0x1000, SHAPE, i8),
    scale=Constant.of(0.25, f32),
    offset=Constant.of(9, i16),
    rounding=Rounding.HALF_AWAY,
)
TABLE_AT_4 = LocalTensor(0x2004, (1, 5, 1, 3), i32)

BREACHES = [
    Breach(INT.replace(src=LocalTensor(0x1000, SHAPE, u32)), "dtypes", OperandDtypeError, "src"),
    Breach(FP.replace(dst=LocalTensor(0, SHAPE, i32)), "dtypes", OperandDtypeError, "dst"),
    Breach(DEQUANT.replace(dst=LocalTensor(0, SHAPE, i32)), "dtypes", OperandDtypeError, "dst"),
    Breach(TABLE.replace(src=LocalTensor(0x1000, SHAPE, i32)), "dtypes", OperandDtypeError, "src"),
    Breach(INT.replace(shift=None), "operands", OperandKindError, "shift"),
    Breach(INT.replace(scale=Constant.of(1, f32)), "operands", OperandKindError, "scale"),
    Breach(TABLE.replace(multiplier=Constant(1, i32)), "operands", OperandKindError, "multiplier"),
    Breach(FP.replace(src_rounding=None), "operands", OperandKindError, "src_rounding"),
    Breach(FP.replace(rounding=Rounding.HALF_UP), "rounding", AttributeRangeError, "rounding"),
    Breach(INT.replace(dst=LocalTensor(4, SHAPE, i8)), "placement", OperandAlignmentError, "dst"),
    Breach(INT.replace(dst=LocalTensor(0, (0, 5, 3, 7), i8)), "placement", OperandShapeError, "dst"),
    Breach(TABLE.replace(table=TABLE_AT_4), "placement", OperandAlignmentError, "table"),
    Breach(INT.replace(src=LocalTensor(LANE, SHAPE, i32)), "same_lane", LaneMismatchError, "src"),
]


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_one_fault_is_one_problem(breach: Breach) -> None:
    check_breach(breach)


def test_every_rule_has_a_breach() -> None:
    check_every_rule_is_broken(Quant, BREACHES)


@pytest.mark.parametrize("instruction", [INT, FP, TABLE, DEQUANT], ids=lambda instruction: instruction.title)
def test_legal_instructions(instruction: Quant) -> None:
    assert not instruction.problems(BM1684X)
    assert decode(BM1684X, "tiu", encode(BM1684X, [instruction])) == [instruction]


def test_constants_lie_where_the_chip_reads_them() -> None:
    fields = INT.encoded(BM1684X)
    assert fields["opd1_addr"] == 2**32 - 7 and fields["opd2_addr"] == 0xFFFD << 16 | 0xEC and fields["opd2_n_str"] == 5
    fields = FP.encoded(BM1684X)
    assert fields["opd1_addr"] == 0x3F00_0000 and fields["opd2_addr"] == 0x3FC0_0000 and fields["opd2_n_str"] == 4 << 3 | 3
    fields = DEQUANT.replace(offset=Constant.of(-2, i16)).encoded(BM1684X)
    assert fields["opd1_addr"] == 0xFFFE and fields["opd2_addr"] == 0x3E80_0000
    assert not TABLE.encoded(BM1684X)["opd1_const"]


@given(st.integers(-128, 127), st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**16 - 1), st.sampled_from(Rounding))
def test_integer_constants_come_back(shift: int, multiplier: int, offset: int, rounding: Rounding) -> None:
    unsigned = INT.replace(
        dst=LocalTensor(0, SHAPE, u16),
        shift=shift,
        multiplier=Constant.of(multiplier, i32),
        offset=Constant(offset, u16),
        rounding=rounding,
    )
    for instruction in (
        unsigned,
        unsigned.replace(dst=LocalTensor(0, SHAPE, i16), offset=Constant(offset, i16)),
        unsigned.replace(op=QuantOp.DEQUANT_INT, src=LocalTensor(0x1000, SHAPE, i8), offset=Constant(offset, i16)),
        unsigned.replace(op=QuantOp.DEQUANT_INT, src=LocalTensor(0x1000, SHAPE, u8)),
    ):
        assert not instruction.problems(BM1684X)
        [again] = decode(BM1684X, "tiu", encode(BM1684X, [instruction]))
        assert {name: again.value_of(name) for name in again.specs} == {name: instruction.value_of(name) for name in again.specs}


def test_what_does_not_fit_or_has_another_type_is_refused() -> None:
    with pytest.raises(FieldRangeError, match="shift of quant.requant_int: 128 does not fit"):
        INT.replace(shift=128).encoded(BM1684X)
    with pytest.raises(OperandDtypeError, match="offset of quant.requant_int has type u16"):
        INT.replace(offset=Constant(1, u16)).encoded(BM1684X)
    with pytest.raises(OperandDtypeError, match="scale of quant.requant_fp has type i32"):
        FP.replace(scale=Constant(1, i32)).encoded(BM1684X)
    with pytest.raises(OperandKindError, match="has no scale"):
        INT.replace(scale=Constant.of(1, f32)).encoded(BM1684X)
    with pytest.raises(OperandKindError, match="needs multiplier"):
        INT.replace(multiplier=None).encoded(BM1684X)
    with pytest.raises(OperandKindError, match="needs shift"):
        INT.replace(shift=None).encoded(BM1684X)
