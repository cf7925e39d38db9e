"""PorD natively gives the interpreter's bits: every function, windows that take each way through the code, hard numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from random import Random

import numpy as np
import pytest

from tests.sim.jit.test_targets import TARGETS, other_target, undefined_symbols
from tests.support.api_calls import emitting, instructions
from tests.support.differential import CASES, CHIP, Arena
from tests.support.draws import accepted_dtypes, draw
from tests.support.native import Comparison
from tests.support.operand_values import operand_values, regions
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa.pool import Pool, PoolOp
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.window import window_steps
from tpukernel.sim.jit.llvm import compile_object
from tpukernel.sim.jit.plan import lower
from tpukernel.sim.memory import Array, Memory

__all__ = ["other_target"]

FLOATS = (f32, f16, bf16)
MOST_ELEMENTS = 200_000
"""Elements under all windows; more take the interpreter long."""


def check(comparison: Comparison, instruction: Pool, **values: Array) -> None:
    comparison.interpreted.clear()
    assert comparison.differences([instruction], **values) == []
    assert comparison.interpreted == []


def drawn(function: str, count: int) -> Iterator[Pool]:
    """Random calls of a function, with types evenly from those that it accepts."""
    rng = Random(function)
    accepted = list(accepted_dtypes().get(function, ({},)))
    rng.shuffle(accepted)
    for number in range(20 * count):
        [instruction] = instructions(function, draw(function, rng, dtypes=accepted[number % len(accepted)]))
        assert isinstance(instruction, Pool)
        if np.prod(instruction.dst.shape) * np.prod(instruction.kernel) <= MOST_ELEMENTS:
            count -= 1
            yield instruction
        if not count:
            return


@pytest.mark.parametrize("function", sorted(emitting(Pool)))
def test_functions(comparison: Comparison, function: str) -> None:
    rng = np.random.default_rng(len(function))
    for number, instruction in enumerate(drawn(function, 2 * CASES)):
        check(comparison, instruction, **operand_values(instruction, number, rng))


# ---------------------------------------------------------------------------- windows


@dataclass(frozen=True)
class Shape:
    """An input and a window over it."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    insert: tuple[int, int] = (0, 0)
    nc: tuple[int, int] = (2, 67)
    pads: bool = False
    """Padding and insertions have values of their own for each channel."""

    def __str__(self) -> str:
        return f"{self.size} {self.kernel} {self.stride} {self.padding} {self.dilation} {self.insert} {self.nc}{' pads' * self.pads}"


SHAPES = (
    Shape((1, 1), (1, 1)),
    Shape((5, 9), (1, 1), padding=(0, 1, 0, 2)),
    Shape((12, 40), (3, 3), padding=(1, 1, 1, 1)),
    Shape((12, 40), (3, 3), padding=(15, 0, 7, 2), pads=True),
    Shape((13, 70), (3, 3), stride=(2, 2), padding=(1, 0, 1, 0)),
    Shape((9, 35), (2, 3), stride=(1, 2), padding=(0, 1, 0, 1), pads=True),
    Shape((11, 19), (5, 5), stride=(3, 3), dilation=(2, 1), padding=(4, 4, 2, 3)),
    Shape((4, 17), (2, 2), stride=(2, 15), padding=(0, 0, 15, 15)),
    Shape((6, 5), (3, 2), insert=(1, 2), padding=(2, 2, 1, 1)),
    Shape((6, 5), (3, 2), insert=(2, 1), stride=(2, 2), padding=(0, 1, 1, 1), pads=True),
    Shape((3, 4), (2, 3), insert=(0, 14), stride=(1, 4)),
    Shape((17, 30), (7, 6), padding=(3, 3, 3, 3)),
    Shape((17, 60), (8, 7), stride=(2, 3), dilation=(1, 2), padding=(1, 2, 3, 4)),
    Shape((24, 16), (24, 1)),
    Shape((31, 7), (31, 1)),
    Shape((1, 16), (1, 16)),
    Shape((7, 7), (7, 7), nc=(1, 130)),
    Shape((8, 8), (8, 8), nc=(3, 1)),
    Shape((301, 1), (301, 1), nc=(1, 5)),
    Shape((2, 1), (2, 1), nc=(1, 64)),
    Shape((9, 9), (9, 9), padding=(1, 0, 0, 1), stride=(2, 2)),
    Shape((4, 2), (1, 1), stride=(3, 2), nc=(5, 3)),
)
KINDS = [
    *product((PoolOp.DEPTHWISE, PoolOp.AVG_POOL, PoolOp.MAX_POOL), FLOATS),
    *product((PoolOp.DEPTHWISE, PoolOp.DEPTHWISE_RELU, PoolOp.AVG_POOL, PoolOp.MAX_POOL), (i8, u8)),
]


def window(rng: Random, op: PoolOp, dtype: Dtype, shape: Shape, *, in_place: bool = False) -> Pool:
    """An instruction with that window; what it is used with is drawn. `in_place`: the result goes where the input is."""
    arena = Arena(rng)
    (n, c), (kh, kw) = shape.nc, shape.kernel
    source = arena.tensor((n, c, *shape.size), dtype)
    depthwise = op in (PoolOp.DEPTHWISE, PoolOp.DEPTHWISE_RELU)
    signed = dtype.is_signed and op is not PoolOp.DEPTHWISE_RELU
    result = dtype if dtype.is_float or op is PoolOp.MAX_POOL else (i8 if signed else u8)
    steps = window_steps(shape.size, shape.kernel, shape.padding, shape.stride, shape.dilation, shape.insert)
    dst = arena.tensor((n, c, *steps), result)
    pad: LocalTensor | Constant = arena.constant(dtype)
    if shape.pads:
        pad = arena.tensor((1, c, 1, 2), dtype, Layout.COMPACT)
    bias = arena.tensor((1, c, 1, 1), dtype if dtype.is_float else i32 if dtype.is_signed else u32, Layout.COMPACT)
    weight = arena.constant(dtype) if rng.random() < 0.2 else arena.tensor((1, c, kh, kw), dtype, Layout.COMPACT)
    return Pool(
        op=op,
        dst=replace(dst, address=source.address) if in_place else dst,
        input=source,
        weight=weight if depthwise else None,
        scale=arena.constant(dtype if dtype.is_float else u8) if op is PoolOp.AVG_POOL else None,
        bias=bias if depthwise and rng.random() < 0.8 else None,
        pad_value=pad,
        insert_value=None if shape.pads else arena.constant(dtype),
        kernel=shape.kernel,
        padding=shape.padding,
        stride=shape.stride,
        dilation=shape.dilation,
        insert=shape.insert,
        kernel_rotate=depthwise and rng.random() < 0.4,
        right_shift=None if dtype.is_float or op is PoolOp.MAX_POOL else rng.choice((0, 1, 9, 32)),
        rounding=rng.choice(list(Rounding)) if depthwise and dtype.is_int else None,
    )


@pytest.mark.parametrize(("op", "dtype"), KINDS, ids=str)
def test_windows(comparison: Comparison, op: PoolOp, dtype: Dtype) -> None:
    rng, numbers = Random(f"{op} {dtype}"), np.random.default_rng(5)
    for shape in rng.sample(SHAPES, min(len(SHAPES), CASES + 3)):
        instruction = window(rng, op, dtype, shape)
        check(comparison, instruction, **operand_values(instruction, rng.randrange(4), numbers))
        check(comparison, instruction)  # hard numbers: NaN, infinities, denormals


@pytest.mark.parametrize(("op", "dtype"), KINDS, ids=str)
def test_the_result_may_lie_over_the_input(comparison: Comparison, op: PoolOp, dtype: Dtype) -> None:
    rng = Random(f"{op} {dtype}")
    for shape in rng.sample(SHAPES, 2):
        check(comparison, window(rng, op, dtype, shape, in_place=True))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("exponent", [-150, -127, -126, -125, 0, 127])
def test_products_at_the_ends_of_the_range(comparison: Comparison, exponent: int, dtype: Dtype) -> None:
    """Products that are denormal, that overflow, and that do neither by little."""
    rng, numbers = Random(exponent), np.random.default_rng(exponent + 200)
    for shape in (SHAPES[2], SHAPES[11], SHAPES[15], SHAPES[18]):
        instruction = window(rng, PoolOp.DEPTHWISE, dtype, shape)
        values: dict[str, Array] = {}
        for name in ("input", "weight", "bias"):
            operand = instruction.value_of(name)
            if isinstance(operand, LocalTensor):
                scale = {"input": max(exponent // 2, -120), "weight": exponent - exponent // 2, "bias": exponent}[name]
                found = numbers.standard_normal(operand.shape) * 2.0 ** np.clip(scale, -140, 120)
                with np.errstate(all="ignore"):
                    values[name] = found.astype(np.float32).astype(dtype.numpy)
        check(comparison, instruction, **values)


# ---------------------------------------------------------------------------- regions of interest


def roi_window(rng: Random, op: PoolOp, dtype: Dtype, count: int, kernel: tuple[int, int]) -> Pool:
    """An instruction with that many regions."""
    arena = Arena(rng, lane=0)
    n, c = rng.choice(((1, 5), (2, 66), (3, 1)))
    result = dtype if dtype.is_float or op is PoolOp.ROI_MAX_POOL else rng.choice((u16, i16)) if op is PoolOp.ROI_AVG_POOL else i16
    if dtype.is_int and op is PoolOp.ROI_AVG_POOL:
        result = i16 if dtype.is_signed else u16
    return Pool(
        op=op,
        dst=arena.tensor((n, c, 1, count), result),
        input=arena.tensor((n, c, 6, 9), dtype),
        weight=arena.tensor((1, c, *kernel), i8 if dtype.is_int else dtype, Layout.COMPACT) if op is PoolOp.ROI_DEPTHWISE else None,
        scale=arena.constant(dtype if dtype.is_float else u8) if op is PoolOp.ROI_AVG_POOL else None,
        roi=arena.tensor((1, count, 1, 4), u16, Layout.COMPACT),
        outside_value=arena.constant(dtype),
        kernel=kernel,
    )


@pytest.mark.parametrize("dtype", [*FLOATS, i8, u8], ids=str)
@pytest.mark.parametrize("op", [PoolOp.ROI_DEPTHWISE, PoolOp.ROI_AVG_POOL, PoolOp.ROI_MAX_POOL], ids=str)
def test_regions(comparison: Comparison, op: PoolOp, dtype: Dtype) -> None:
    rng, numbers = Random(f"{op} {dtype}"), np.random.default_rng(7)
    for count, kernel in ((1, (1, 1)), (3, (2, 3)), (70, (3, 2)), (40, (6, 6))):
        instruction = roi_window(rng, op, dtype, count, kernel)
        assert instruction.roi is not None
        check(comparison, instruction, roi=regions(instruction, numbers, instruction.roi.shape))
        anywhere = numbers.integers(0, 12, instruction.roi.shape).astype(np.uint16)  # behind the plane, and empty ones
        check(comparison, instruction, roi=anywhere)


# ---------------------------------------------------------------------------- processors


def examples(rng: Random) -> Iterator[Pool]:
    """Instructions that use all templates."""
    for op, dtype in KINDS:
        for shape in rng.sample(SHAPES, 2):
            yield window(rng, op, dtype, shape)
    yield roi_window(rng, PoolOp.ROI_AVG_POOL, bf16, 20, (2, 2))


@pytest.mark.parametrize("target", TARGETS)
def test_the_templates_compile(target: str) -> None:
    memory, seen = Memory(CHIP, 1 << 20), set[str]()
    for instruction in examples(Random(3)):
        for call in lower(instruction, memory) or ():
            if call.kernel.key not in seen:
                seen.add(call.kernel.key)
                data = compile_object(call.kernel.emit(TARGETS[target]), TARGETS[target], verify=True)
                assert undefined_symbols(data) == [], call.kernel.key
    assert len(seen) > 20


@pytest.mark.usefixtures("other_target")
def test_the_bits_are_the_same_on_other_processors(comparison: Comparison) -> None:
    for instruction in examples(Random(4)):
        given = {} if instruction.roi is None else {"roi": regions(instruction, np.random.default_rng(1), instruction.roi.shape)}
        check(comparison, instruction, **given)
