"""Operations of AR that no TPUKernel function emits, and result signs: our commands on the official C model against exact integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.oracle import execute
from tpukernel import BM1684X
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Arith, ArithOp, Rounding

pytestmark = pytest.mark.vendor

COUNT = 256
PLACES = (0x0000, 0x1000, 0x2000)
Integers = NDArray[np.int64]


def numbers(seed: int, dtype: Dtype) -> Integers:
    low, high = dtype.limits
    found = np.random.default_rng(seed).integers(low, high, COUNT, np.int64, endpoint=True)
    found[:4] = low, high, 0, 1
    return found


def run(op: ArithOp, types: tuple[Dtype, ...], sources: tuple[Integers, ...], rounding: Rounding | None = None) -> Integers:
    """The result of the operation on the C model; `types` are those of the result and of the sources."""
    dst, *operands = (LocalTensor(place, (1, 1, 1, COUNT), dtype) for place, dtype in zip(PLACES, types, strict=False))
    command = Arith(op=op, dst=dst, src0=operands[0], src1=operands[1] if len(operands) > 1 else None, rounding=rounding)
    assert not command.problems(BM1684X)
    bits = command.encoded(BM1684X)
    memory = [
        (operand.address, source.astype(operand.dtype.numpy).view(np.uint8)) for operand, source in zip(operands, sources, strict=True)
    ]
    record: int = bits.record
    (out,) = execute([("tiu", record.to_bytes(bits.format.bytes, "little"))], {"lmem": memory}, [("lmem", 0, COUNT * dst.dtype.itemsize)])
    return out.view(dst.dtype.numpy).astype(np.int64)


def rotated(value: int, amount: int, dtype: Dtype) -> int:
    """Rotated to the left."""
    bits, amount = value & ((1 << dtype.bits) - 1), amount % dtype.bits
    found = (bits << amount | bits >> (dtype.bits - amount)) & ((1 << dtype.bits) - 1)
    return found - (1 << dtype.bits) if dtype.is_signed and found >> (dtype.bits - 1) else found


@pytest.mark.parametrize("dtype", [i8, u8, i16, u16, i32, u32], ids=repr)
def test_rotate(dtype: Dtype) -> None:
    value, amount = numbers(1, dtype), np.random.default_rng(2).integers(-dtype.bits, dtype.bits + 1, COUNT)
    expected = [rotated(int(v), int(a), dtype) for v, a in zip(value, amount, strict=True)]
    assert run(ArithOp.ROTATE, (dtype, dtype, i8), (value, amount)).tolist() == expected


@pytest.mark.parametrize(
    ("result", "src0", "src1"), [(i8, i8, i8), (i8, u8, i8), (i16, i16, u8), (u16, u16, u16), (i32, i32, i32)], ids=repr
)
def test_mul_high(result: Dtype, src0: Dtype, src1: Dtype) -> None:
    """The product, shifted right by one bit less than the width, rounded down here, saturated."""
    one, two = numbers(3, src0), numbers(4, src1)
    low, high = result.limits
    expected = [min(max(int(a) * int(b) >> (result.bits - 1), low), high) for a, b in zip(one, two, strict=True)]
    assert run(ArithOp.MUL_HIGH, (result, src0, src1), (one, two), Rounding.DOWN).tolist() == expected


def leading(bit: str) -> Callable[[int, Dtype], int]:
    def count(value: int, dtype: Dtype) -> int:
        text = format(value & ((1 << dtype.bits) - 1), f"0{dtype.bits}b")
        return len(text) - len(text.lstrip(bit))

    return count


@pytest.mark.parametrize("types", [(i8, i8), (u8, u8), (i8, u16), (i16, i16), (u16, u32), (i32, i32)], ids=repr)
@pytest.mark.parametrize(("op", "bit"), [(ArithOp.LEADING_ZEROS, "0"), (ArithOp.LEADING_ONES, "1")])
def test_leading_bits(op: ArithOp, bit: str, types: tuple[Dtype, Dtype]) -> None:
    value = numbers(5, types[1]) >> np.random.default_rng(6).integers(0, types[1].bits, COUNT)
    assert run(op, types, (value,)).tolist() == [leading(bit)(int(v), types[1]) for v in value]


@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=repr)
def test_copy_mb(dtype: Dtype) -> None:
    value = numbers(7, i8)
    assert run(ArithOp.COPY_MB, (dtype, dtype), (value,)).tolist() == value.tolist()


@pytest.mark.parametrize(
    ("op", "result", "src0", "src1"),
    [
        (ArithOp.ADDS, u8, u8, u8),
        (ArithOp.ADDS, i8, u8, i8),
        (ArithOp.SUBS, i8, u8, u8),
        (ArithOp.SUBS, i16, u16, u8),
        (ArithOp.MULS, u16, u8, u16),
        (ArithOp.MULS, i8, i8, u8),
    ],
)
def test_results_saturate_to_the_type_that_the_rules_demand(op: ArithOp, result: Dtype, src0: Dtype, src1: Dtype) -> None:
    one, two = numbers(8, src0), numbers(9, src1)
    exact = one + two if op is ArithOp.ADDS else one - two if op is ArithOp.SUBS else one * two
    assert run(op, (result, src0, src1), (one, two)).tolist() == np.clip(exact, *result.limits).tolist()
