"""Listing lines: the exact text of every kind of operand, attribute and residue."""

from __future__ import annotations

import math
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpukernel import BM1684X, Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, Operand, SystemTensor
from tpukernel.dtypes import DTYPES
from tpukernel.isa import Arith, ArithOp, DmaSys, DmaSysOp, DmaTensor, DmaTensorOp, Instruction, Rounding, Sys, SysOp, decode
from tpukernel.isa.listing import line, operand_text

SHAPE: Dim4 = (1, 64, 4, 16)
LANE = BM1684X.lane_bytes
DDR, L2, STATIC = (BM1684X.regions[name].base for name in ("ddr", "l2", "static"))
X, Y, Z = (LocalTensor(address, SHAPE, f32) for address in (0x000, 0x100, 0x200))


def shown(instruction: Instruction) -> str:
    """The line with single spaces."""
    return " ".join(line(instruction, BM1684X).split())


# ---- operands


@pytest.mark.parametrize(
    ("operand", "text"),
    [
        (LocalTensor(0, SHAPE, f32), "f32[1,64,4,16] @0:0x0"),
        (LocalTensor(0x40, (2, 3, 5, 7), i8), "i8[2,3,5,7] @0:0x40"),
        (LocalTensor(63 * LANE + 0x3FFC0, (1, 1, 1, 1), bf16), "bf16[1,1,1,1] @63:0x3ffc0"),
        (LocalTensor(5 * LANE, SHAPE, u16, Layout.COMPACT), "u16[1,64,4,16] @5:0x0 compact"),
        (LocalTensor(0, SHAPE, f16, Layout.LINE_ALIGNED), "f16[1,64,4,16] @0:0x0 line"),
        (LocalTensor(0, SHAPE, f16, Layout.WEIGHT), "f16[1,64,4,16] @0:0x0 weight"),
        (LocalTensor(4, SHAPE, f32, Layout.FREE, (128, 64, 16, 0)), "f32[1,64,4,16] @0:0x4 strides (128,64,16,0)"),
        (LocalTensor(STATIC + 0x5C0, (1, 1, 1, 7), i32), "i32[1,1,1,7] @static+0x5c0"),
        (LocalTensor(STATIC, (1, 1, 1, 7), i32, Layout.COMPACT), "i32[1,1,1,7] @static+0x0 compact"),
        (LocalTensor(L2 + 0x80, SHAPE, f32), "f32[1,64,4,16] @l2+0x80"),
        (SystemTensor(DDR, SHAPE, f32), "f32[1,64,4,16] @ddr+0x0"),
        (SystemTensor(DDR + (5 << 32) + 0x1234, SHAPE, u8), "u8[1,64,4,16] @ddr+0x500001234"),
        (SystemTensor(L2 + 0x1F_AFFF, SHAPE, u32, (4096, 64, 16, 1)), "u32[1,64,4,16] @l2+0x1fafff strides (4096,64,16,1)"),
        (SystemTensor(STATIC + 0x400, (1, 1, 1, 32), f32), "f32[1,1,1,32] @static+0x400"),
        (SystemTensor(0x2000, SHAPE, f32), "f32[1,64,4,16] @0x2000"),
        (LocalTensor(0x2000_0000, SHAPE, f32), "f32[1,64,4,16] @0x20000000"),
    ],
    ids=str,
)
def test_tensors(operand: Operand, text: str) -> None:
    assert operand_text(operand, BM1684X) == text


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (2.0, f32, "2.0"),
        (-0.5, f32, "-0.5"),
        (0.1, f32, "0.100000001"),
        (0.1, f16, "0.0999755859"),
        (0.1, bf16, "0.100097656"),
        (-3.0, bf16, "-3.0"),
        (1e20, f32, "1.00000002e+20"),
        (-1e-40, f32, "-9.9999461e-41"),
        (123456789, f32, "123456792.0"),
        (-0.0, f32, "-0.0"),
        (math.nan, f32, "nan"),
        (math.nan, f16, "nan"),
        (math.nan, bf16, "nan"),
        (math.inf, f32, "inf"),
        (-math.inf, f16, "-inf"),
        (-math.inf, bf16, "-inf"),
        (-128, i8, "-128"),
        (255, u8, "255"),
        (-32768, i16, "-32768"),
        (65535, u16, "65535"),
        (-(2**31), i32, "-2147483648"),
        (2**32 - 1, u32, "4294967295"),
    ],
)
def test_constants(value: float, dtype: Dtype, text: str) -> None:
    assert operand_text(Constant.of(value, dtype), BM1684X) == text


def test_bits_above_the_type_do_not_show() -> None:
    assert operand_text(Constant(0xFFFF_FF80, i8), BM1684X) == "-128"
    assert operand_text(Constant(0x1234_3C00, f16), BM1684X) == "1.0"


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(DTYPES)))
def test_a_constant_can_be_read_back(bits: int, name: str) -> None:
    """The text says the value exactly, and whether it is an integer or not."""
    constant = Constant(bits, DTYPES[name])
    text = operand_text(constant, BM1684X)
    if constant.dtype.is_int:
        assert int(text) == constant.value
        return
    assert re.search(r"[.en]", text), "not to be taken for an integer"
    # Nine digits tell every f32, and so all of the shorter types, from its neighbours.
    assert struct.pack("<f", float(text)) == struct.pack("<f", constant.value) or math.isnan(constant.value)


# ---- lines


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        (Sys(op=SysOp.NOP), "tiu 0 sys.nop"),
        (Sys(op=SysOp.END, id=7), "tiu 7 sys.end"),
        (DmaSys(op=DmaSysOp.NOP, id=3, depends=12), "gdma 3 <- tiu 12 dma_sys.nop"),
        (
            Arith(op=ArithOp.ADD, dst=Z, src0=X, src1=Y, id=3, depends=2),
            "tiu 3 <- gdma 2 arith.add dst f32[1,64,4,16] @0:0x200, src0 f32[1,64,4,16] @0:0x0, src1 f32[1,64,4,16] @0:0x100",
        ),
        (
            Arith(op=ArithOp.DIV, dst=Z, src0=Constant.of(1.0, f32), src1=Y, iterations=3),
            "tiu 0 arith.div dst f32[1,64,4,16] @0:0x200, src0 1.0, src1 f32[1,64,4,16] @0:0x100, iterations=3",
        ),
        (
            Arith(op=ArithOp.CAST, dst=LocalTensor(0, SHAPE, i8), src0=X, rounding=Rounding.HALF_AWAY),
            "tiu 0 arith.cast dst i8[1,64,4,16] @0:0x0, src0 f32[1,64,4,16] @0:0x0, rounding=half_away",
        ),
        (
            DmaTensor(op=DmaTensorOp.TRANSPOSE, dst=LocalTensor(0, (64, 1, 4, 16), f32), src=SystemTensor(DDR, SHAPE, f32), one_shape=True),
            "gdma 0 dma.transpose dst f32[64,1,4,16] @0:0x0, src f32[1,64,4,16] @ddr+0x0, one_shape=True",
        ),
        (
            DmaTensor(dst=X, src=SystemTensor(L2, SHAPE, f32), lane_mask=15),
            "gdma 0 dma.copy dst f32[1,64,4,16] @0:0x0, src f32[1,64,4,16] @l2+0x0, lane_mask=15",
        ),
        (DmaTensor(dst=X, src=Constant.of(-math.inf, f32)), "gdma 0 dma.copy dst f32[1,64,4,16] @0:0x0, src -inf"),
    ],
    ids=lambda value: value.title if isinstance(value, Instruction) else "",
)
def test_lines(instruction: Instruction, text: str) -> None:
    assert shown(instruction) == text
    numbered = instruction.numbered(5, 0).encoded(BM1684X)
    (decoded,) = decode(BM1684X, instruction.engine, numbered.record.to_bytes(numbered.format.bytes, "little"))
    assert shown(decoded) == shown(instruction.numbered(5, 0)), "a decoded command is shown as the one that was built"


def test_columns() -> None:
    first = line(Arith(op=ArithOp.ADD, dst=Z, src0=X, src1=Y, id=1), BM1684X)
    second = line(DmaTensor(dst=X, src=Constant.of(0.0, f32), id=123456, depends=1048575), BM1684X)
    assert first.startswith("tiu       1                arith.add dst ")
    assert second.startswith("gdma 123456 <- tiu 1048575 dma.copy dst ")
    assert first.index("arith") == second.index("dma.copy")


def test_results_come_first() -> None:
    mac = Arith(op=ArithOp.MAC, dst=Z, src0=X, src1=Y)
    assert shown(mac).startswith("tiu 0 arith.mac dst f32[1,64,4,16] @0:0x200, src0 ")


# ---- residue


def test_fields_that_nothing_explains_stand_at_the_end() -> None:
    bits = Arith(op=ArithOp.ADD, dst=Z, src0=X, src1=Constant.of(2.0, f32), id=1).encoded(BM1684X)
    record: int = bits.record
    for field, number in (("intr_en", 1), ("opd1_n_str", 0xABCD)):
        low, _ = bits.format.fields[field]
        record |= number << low
    (instruction,) = decode(BM1684X, "tiu", record.to_bytes(bits.format.bytes, "little"))
    assert instruction.residue == {"intr_en": 1, "opd1_n_str": 0xABCD}
    text = "tiu 1 arith.add dst f32[1,64,4,16] @0:0x200, src0 f32[1,64,4,16] @0:0x0, src1 2.0, ?intr_en=0x1, ?opd1_n_str=0xabcd"
    assert shown(instruction) == text
    assert shown(instruction.replace(id=2)) == text.replace("tiu 1", "tiu 2")


def test_residue_of_a_command_without_operands() -> None:
    bits = Sys(op=SysOp.END, id=1).encoded(BM1684X)
    low, _ = bits.format.fields["cmd_id_en"]
    (instruction,) = decode(BM1684X, "tiu", (bits.record | 1 << low).to_bytes(bits.format.bytes, "little"))
    assert shown(instruction) == "tiu 1 sys.end ?cmd_id_en=0x1"
