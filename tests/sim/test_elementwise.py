"""AR, LIN, CMP, VC, SFU and SEG on the interpreter: plain meaning on ordinary numbers, and nothing written but the result.

Exactness to the bit is tested against recordings (`test_golden`) and against the official C model (`tests/vendor/test_sim_*`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import cast

import numpy as np
import pytest

from tests.support.differential import CHIP, Arena, hard_values
from tests.support.draw_arith import draw, type_combinations
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import DTYPES, Dtype, bf16, f16, f32, i8, i16, i32, u8
from tpukernel.isa.arith import Arith
from tpukernel.isa.arith_op import ArithOp
from tpukernel.isa.compare import Compare, CompareOp
from tpukernel.isa.index import IndexGen, IndexGenOp
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.lane_table import lane_table
from tpukernel.isa.linear import Linear, LinearOp
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.special import Special, SpecialOp
from tpukernel.isa.vector import Vector, VectorOp
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.interpreter import execute
from tpukernel.sim.memory import Array, Memory

SHAPE = (2, 70, 3, 5)
FLOATS = (f32, f16, bf16)
USED_BYTES = 1 << 15
"""Bytes of a lane behind which an `Arena` puts nothing here."""
FLOAT_TOLERANCE = {f32: 1e-6, f16: 2e-3, bf16: 2e-2}


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory(CHIP, 1 << 20)


def run(memory: Memory, instruction: Instruction, **values: Array) -> Array:
    """The result of an instruction whose operands hold these values."""
    for name, array in values.items():
        memory.store(cast("LocalTensor", instruction.value_of(name)), array)
    execute(instruction, memory)
    return memory.load(cast("LocalTensor", instruction.value_of("dst")))


def small(seed: int, dtype: Dtype, shape: tuple[int, ...] = SHAPE) -> Array:
    """Small numbers other than 0, whole ones for integer types."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 11, shape) * (rng.choice((-1, 1), shape) if dtype.is_signed else 1)
    return (values / (1 if dtype.is_int else 4)).astype(np.float32).astype(dtype.numpy)


def exact(values: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return values.astype(np.float64)


# ---------------------------------------------------------------------------- AR


@pytest.mark.parametrize("op", ArithOp, ids=lambda op: op.name)
def test_every_legal_combination_of_types_is_computed_and_only_the_result_written(memory: Memory, op: ArithOp) -> None:
    rng, contents = Random(f"{op}"), np.random.default_rng(1)
    lanes = memory.image("lmem")[:, :USED_BYTES]
    for types in type_combinations(op):
        instruction = draw(rng, op, types)
        assert not instruction.problems(CHIP)
        for use in instruction.operands():
            if isinstance(use.value, LocalTensor):
                memory.store(use.value, hard_values(contents, use.value.shape, use.value.dtype))
        before, result = lanes.copy(), memory.load(instruction.dst)
        execute(instruction, memory)
        memory.store(instruction.dst, result)
        assert np.array_equal(before, lanes)


BINARY: Mapping[ArithOp, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ArithOp.ADD: np.add,
    ArithOp.SUB: np.subtract,
    ArithOp.MUL: np.multiply,
    ArithOp.MAX: np.maximum,
    ArithOp.MIN: np.minimum,
    ArithOp.DIV: np.divide,
    ArithOp.ABS_DIFF: lambda a, b: np.abs(a - b),
}


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.name)
def test_float_arithmetic_is_near_numpy(memory: Memory, op: ArithOp, dtype: Dtype) -> None:
    if op is ArithOp.DIV:
        dtype = f32
    arena = Arena(Random(1))
    dst, src0, src1 = (arena.tensor(SHAPE, dtype) for _ in range(3))
    a, b = small(1, dtype), small(2, dtype)
    found = run(memory, Arith(op=op, dst=dst, src0=src0, src1=src1, iterations=3 if op is ArithOp.DIV else None), src0=a, src1=b)
    assert np.allclose(exact(found), BINARY[op](exact(a), exact(b)), rtol=FLOAT_TOLERANCE[dtype])


INTEGER: Mapping[ArithOp, Callable[[int, int], int]] = {
    ArithOp.ADDS: lambda a, b: a + b,
    ArithOp.SUBS: lambda a, b: a - b,
    ArithOp.MULS: lambda a, b: a * b,
    ArithOp.ADD: lambda a, b: a + b,
    ArithOp.SUB: lambda a, b: a - b,
    ArithOp.MUL: lambda a, b: a * b,
}


@pytest.mark.parametrize("op", INTEGER, ids=lambda op: op.name)
def test_integer_arithmetic_wraps_or_saturates(memory: Memory, op: ArithOp) -> None:
    arena = Arena(Random(2))
    dst, src0, src1 = (arena.tensor(SHAPE, dtype) for dtype in (i16, i16, i8))
    rng = np.random.default_rng(3)
    a, b = hard_values(rng, SHAPE, i16), hard_values(rng, SHAPE, i8)
    found = run(memory, Arith(op=op, dst=dst, src0=src0, src1=src1), src0=a, src1=b)
    results = [INTEGER[op](int(x), int(y)) for x, y in zip(a.flat, b.flat, strict=True)]
    if op.name.endswith("S"):
        assert found.ravel().tolist() == [min(max(result, -(1 << 15)), (1 << 15) - 1) for result in results]
    else:
        assert found.ravel().tolist() == [(result + (1 << 15)) % (1 << 16) - (1 << 15) for result in results]


def test_a_shift_per_channel_is_applied_before_the_result_is_cut(memory: Memory) -> None:
    arena = Arena(Random(3))
    dst, src0, src1 = (arena.tensor(SHAPE, dtype) for dtype in (u8, u8, u8))
    shifts = arena.tensor((1, SHAPE[1], 1, 1), i8, Layout.COMPACT)
    amounts = (-(np.arange(SHAPE[1]) % 9)).astype(np.int8).reshape(1, -1, 1, 1)
    a, b = hard_values(np.random.default_rng(4), SHAPE, u8), hard_values(np.random.default_rng(5), SHAPE, u8)
    instruction = Arith(op=ArithOp.MULS, dst=dst, src0=src0, src1=src1, src2=shifts, rounding=Rounding.DOWN)
    found = run(memory, instruction, src0=a, src1=b, src2=amounts)
    assert np.array_equal(found, np.minimum(a.astype(np.int64) * b.astype(np.int64) >> -amounts.astype(np.int64), 255))


def test_the_result_of_a_select_is_the_constant_or_zero(memory: Memory) -> None:
    arena = Arena(Random(4))
    dst, src0, src1 = arena.tensor(SHAPE, u8), arena.tensor(SHAPE, f32), arena.tensor(SHAPE, f32)
    a, b = small(6, f32), small(7, f32)
    x, y = exact(a), exact(b)
    for op, holds in ((ArithOp.SELECT_GREATER, x > y), (ArithOp.SELECT_EQUAL, x == y), (ArithOp.SELECT_LESS, x < y)):
        instruction = Arith(op=op, dst=dst, src0=src0, src1=src1, src2=Constant(7, u8))
        assert np.array_equal(run(memory, instruction, src0=a, src1=b), 7 * holds)


def test_copy_mb_repeats_the_first_n(memory: Memory) -> None:
    arena = Arena(Random(5))
    dst, src0 = arena.tensor(SHAPE, f32), arena.tensor(SHAPE, f32)
    values = small(8, f32)
    found = run(memory, Arith(op=ArithOp.COPY_MB, dst=dst, src0=src0), src0=values)
    assert np.array_equal(found, np.broadcast_to(values[:1], SHAPE))


# ---------------------------------------------------------------------------- the other units


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
@pytest.mark.parametrize("op", LinearOp)
def test_linear(memory: Memory, op: LinearOp, dtype: Dtype) -> None:
    arena = Arena(Random(6))
    dst, src0 = arena.tensor(SHAPE, dtype), arena.tensor(SHAPE, dtype)
    scale = arena.tensor((1, SHAPE[1], 1, 1), dtype, Layout.COMPACT)
    bias = Constant.of(1.5, dtype) if op is LinearOp.MAC else None
    a, b = small(9, dtype), small(10, dtype, (1, SHAPE[1], 1, 1))
    found = run(memory, Linear(op=op, dst=dst, src0=src0, src1=scale, src2=bias), src0=a, src1=b)
    x, y = exact(a), exact(b)
    expected = {LinearOp.MAC: x * y + 1.5, LinearOp.SQUARE_SUM: (x + y) ** 2, LinearOp.SQUARE_DIFF: (x - y) ** 2}[op]
    assert np.allclose(exact(found), expected, rtol=3 * FLOAT_TOLERANCE[dtype], atol=FLOAT_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=repr)
@pytest.mark.parametrize("op", CompareOp)
def test_compare(memory: Memory, op: CompareOp, dtype: Dtype) -> None:
    arena = Arena(Random(7))
    dst, src0, src1, src2, src3, dst1 = (arena.tensor(SHAPE, dtype) for _ in range(6))
    a, b, c, d = (small(seed, dtype) for seed in range(4))
    two = op in (CompareOp.MAX_AND_SELECT, CompareOp.MIN_AND_SELECT)
    instruction = Compare(op=op, dst=dst, dst1=dst1 if two else None, src0=src0, src1=src1, src2=src2, src3=src3)
    found = run(memory, instruction, src0=a, src1=b, src2=c, src3=d)
    x, y = exact(a), exact(b)
    holds = {CompareOp.MAX_AND_SELECT: x > y, CompareOp.SELECT_GREATER: x > y, CompareOp.SELECT_EQUAL: x == y}.get(op, x < y)
    if two:
        assert np.array_equal(exact(found), np.maximum(x, y) if op is CompareOp.MAX_AND_SELECT else np.minimum(x, y))
        found = memory.load(dst1)
    assert np.array_equal(exact(found), np.where(holds, exact(c), exact(d)))


def test_vector_combines_all_pairs(memory: Memory) -> None:
    arena = Arena(Random(8))
    left, right = small(11, i16, (1, 3, 1, 4)), small(12, i16, (1, 66, 1, 5))
    dst, src0, src1 = arena.tensor((10, 66, 1, 5), i32), arena.tensor((1, 3, 1, 4), i16), arena.tensor((1, 66, 1, 5), i16)
    found = run(memory, Vector(op=VectorOp.MUL, dst=dst, src0=src0, src1=src1), src0=left, src1=right)
    expected = np.outer(left.astype(np.int64).ravel()[:10], right.astype(np.int64).ravel())
    assert np.array_equal(found.reshape(10, -1), expected)


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
def test_taylor_is_a_polynomial(memory: Memory, dtype: Dtype) -> None:
    dst, src = LocalTensor(0, SHAPE, dtype), LocalTensor(0x1000, SHAPE, dtype)
    coeff = lane_table(CHIP, 0x2000, (1, SHAPE[1], 1, 4), dtype)
    factors = np.array([1.0, -0.5, 0.25, 0.125])
    values = small(13, dtype)
    table = np.broadcast_to(factors.astype(np.float32).astype(dtype.numpy), coeff.shape)
    found = run(memory, Special(op=SpecialOp.TAYLOR, dst=dst, src=src, coeff=coeff), src=values, coeff=table)
    expected = np.polynomial.polynomial.polyval(exact(values), factors)
    assert np.allclose(exact(found), expected, rtol=FLOAT_TOLERANCE[dtype], atol=4 * FLOAT_TOLERANCE[dtype])


@pytest.mark.parametrize(("src", "dst", "bias"), [(f32, i32, 127), (f16, i16, 15), (bf16, i16, 127)], ids=repr)
def test_exponent_rounds_up_from_four_thirds(memory: Memory, src: Dtype, dst: Dtype, bias: int) -> None:
    values = (np.array([1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 0.75, -1.5]) * np.ones((*SHAPE[:3], 1))).astype(np.float32).astype(src.numpy)
    shape = (*SHAPE[:3], 8)
    result, source = LocalTensor(0, shape, dst), LocalTensor(0x1000, shape, src)
    found = run(memory, Special(op=SpecialOp.EXPONENT, dst=result, src=source), src=values)
    assert found[0, 0, 0].tolist() == [bias + step for step in (0, 0, 1, 1, 1, 2, 0, 0)]


def test_rsqrt(memory: Memory) -> None:
    dst, src = LocalTensor(0, SHAPE, f32), LocalTensor(0x1000, SHAPE, f32)
    values = cast("Array", np.abs(small(14, f32).astype(np.float32)))
    found = run(memory, Special(op=SpecialOp.RSQRT, dst=dst, src=src, iterations=4), src=values)
    assert np.allclose(exact(found), exact(values) ** -0.5, rtol=1e-6)


def test_index(memory: Memory) -> None:
    dst = LocalTensor(0, (1, 70, 1, 9), i32)
    found = run(memory, IndexGen(op=IndexGenOp.ELEMENT, dst=dst))
    assert np.array_equal(found, np.broadcast_to(np.arange(9), dst.shape))
    with pytest.raises(ExecutionError):
        execute(IndexGen(op=IndexGenOp.LANE, dst=dst), memory)
