"""`numerics="fast"`: products of floats in any order, within what rounding can do; everything else, and the exact mode, as before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.sim.jit.test_products import AVX2, AVX512, TARGETS, drawn, inner_loops
from tests.sim.jit.test_targets import undefined_symbols
from tests.support.differential import CHIP
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa import Arith, ArithOp, Conv, MatMul, MatMul2, MatMul2Op
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim import Machine
from tpukernel.sim.choice import Numerics
from tpukernel.sim.errors import EngineChoiceError
from tpukernel.sim.jit import NativeExecution, plan_of
from tpukernel.sim.jit.kernel import Kernel
from tpukernel.sim.jit.llvm import Target, assembly, compile_object
from tpukernel.sim.jit.plan import lower
from tpukernel.sim.jit.products import finish
from tpukernel.sim.jit.products.kernel import ProductKernel
from tpukernel.sim.jit.products.kinds import FUSED
from tpukernel.sim.jit.products.left import LeftKernel
from tpukernel.sim.memory import Array, Memory

F64 = NDArray[np.float64]
MEMORY = Memory(CHIP, 1 << 24)
DIGITS = {f32: 24, f16: 11, bf16: 8}
LEAST = {f32: -126, f16: -24, bf16: -126}
"""Binary exponent of the smallest step of the results."""


@dataclass
class Case:
    """A command and contents of its operands."""

    instruction: Instruction
    values: dict[str, Array]

    def run(self, numerics: Numerics, threads: int = 1) -> Array:
        for name, values in self.values.items():
            MEMORY.store(cast("LocalTensor", self.instruction.value_of(name)), values)
        program = program_of(self.instruction)
        NativeExecution(program, MEMORY, threads, numerics).run(0, 1)
        return MEMORY.load(cast("LocalTensor", self.instruction.value_of("dst")))

    def wide(self, name: str) -> F64:
        return self.values[name].astype(np.float64)


def program_of(instruction: Instruction) -> Program:
    program = Program(CHIP)
    program.append(instruction)
    return program


def numbers(rng: np.random.Generator, tensor: LocalTensor) -> Array:
    with np.errstate(over="ignore"):
        values = rng.standard_normal(tensor.shape) * 2.0 ** rng.integers(-4, 5, tensor.shape)
        return cast("Array", values.astype(np.float32).astype(tensor.dtype.numpy))


def check(case: Case, sums: F64, sizes: F64, terms: int) -> None:
    """Each result is as near to the sum in float64 as the order of any sum of f32 numbers allows, and rounding once to its type.

    Adding n numbers one by one, every sum rounded to 24 digits, is wrong by at most n / (2**24 - n) of the sum of their sizes (Higham,
    Accuracy and Stability of Numerical Algorithms, section 4.2); besides, numbers below 2**-126 become zeros.

    Args:
        sums: the results, but for rounding.
        sizes: the same of the sizes of all terms.
        terms: how many there are.
    """
    dtype = cast("LocalTensor", case.instruction.value_of("dst")).dtype
    found = case.run("fast").astype(np.float64).reshape(sums.shape)
    allowed = terms / (2.0**24 - terms) * sizes + terms * 2.0**-126
    allowed = allowed + (np.abs(sums) + allowed) * 2.0 ** -DIGITS[dtype] + 2.0 ** LEAST[dtype]
    assert np.all(np.abs(found - sums) <= allowed)
    assert np.array_equal(case.run("fast", threads=2), case.run("fast"))


# ---------------------------------------------------------------------------- MM2, MM, CONV

SIZES = st.integers(1, 70)


@given(st.sampled_from(MatMul2Op), st.sampled_from((f16, bf16)), st.booleans(), st.booleans(), SIZES, SIZES, SIZES, st.integers(0, 999))
def test_mm2(op: MatMul2Op, dtype: Dtype, wide: bool, adds: bool, m: int, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    result = f32 if wide or adds else dtype
    rows, columns = {MatMul2Op.NN: ((m, k), (k, n)), MatMul2Op.NT: ((m, k), (n, k)), MatMul2Op.TT: ((k, m), (n, k))}[op]
    left, right, dst = (
        LocalTensor(place << 14, (1, *(size[0], 1, size[1])), kind)
        for place, size, kind in ((0, rows, dtype), (1, columns, dtype), (2, (m, n) if op is not MatMul2Op.TT else (n, m), result))
    )
    if op is MatMul2Op.TT:  # dst is right x left
        dst = LocalTensor(2 << 14, (1, n, 1, m), result)
    instruction = MatMul2(op=op, dst=dst, left=left, right=right, result_add=adds)
    case = Case(instruction, {"left": numbers(rng, left), "right": numbers(rng, right)} | ({"dst": numbers(rng, dst)} if adds else {}))
    a, b = case.wide("left")[0, :, 0], case.wide("right")[0, :, 0]
    start = case.wide("dst")[0, :, 0] if adds else np.zeros((dst.shape[1], dst.shape[3]))

    def product(a: F64, b: F64) -> F64:
        if op is MatMul2Op.TT:
            return b @ a
        return a @ (b if op is MatMul2Op.NN else b.T)

    check(case, product(a, b) + start, product(np.abs(a), np.abs(b)) + np.abs(start), k + 1)


@given(st.integers(1, 20), st.integers(1, 12), st.integers(1, 12), SIZES, st.booleans(), st.booleans(), st.integers(0, 999))
def test_mm(m: int, blocks: int, width: int, n: int, biased: bool, adds: bool, seed: int) -> None:
    rng, k = np.random.default_rng(seed), blocks * width
    left, right, dst = (
        LocalTensor(place << 15, shape, f32) for place, shape in enumerate(((m, blocks, 1, width), (k, n, 1, 1), (m, n, 1, 1)))
    )
    bias = LocalTensor(3 << 15, (1, n, 1, 1), f32) if biased else None
    instruction = MatMul(dst=dst, left=left, right=right, left_cols=k, bias=bias, result_add=adds)
    values = {"left": numbers(rng, left), "right": numbers(rng, right)}
    values |= {"bias": numbers(rng, bias)} if bias else {}
    values |= {"dst": numbers(rng, dst)} if adds else {}
    case = Case(instruction, values)
    a, b = case.wide("left").reshape(m, k), case.wide("right").reshape(k, n)
    starts = [case.wide(name).reshape(-1, n) for name in ("bias", "dst") if name in values]
    check(case, a @ b + sum(starts), np.abs(a) @ np.abs(b) + sum(map(np.abs, starts)), k + 2)


SMALL = st.integers(1, 3)


@given(
    st.sampled_from((f32, f16, bf16)), st.integers(1, 70), st.integers(1, 40), st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL),
    st.tuples(SMALL, SMALL), st.tuples(*[st.integers(0, 2)] * 4), st.booleans(), st.integers(0, 999),
)  # fmt: skip
def test_conv(
    dtype: Dtype, ic: int, oc: int, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    padding: tuple[int, int, int, int], biased: bool, seed: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    top, bottom, left, right = padding
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    source = LocalTensor(0, (2, ic, reach[0] + 5, reach[1] + 8), dtype)
    steps = [
        (size + pad - span) // step + 1
        for size, pad, span, step in zip(source.shape[2:], (top + bottom, left + right), reach, stride, strict=True)
    ]
    dst = LocalTensor(1 << 16, (2, oc, steps[0], steps[1]), dtype)
    weight = LocalTensor(2 << 16, (oc, ic, *kernel), dtype, Layout.WEIGHT)
    bias = LocalTensor(3 << 16, (1, oc, 1, 1), f32, Layout.COMPACT) if biased else None
    instruction = Conv(
        dst=dst, input=source, weight=weight, bias=bias, kernel=kernel, stride=stride, dilation=dilation, padding=padding
    )  # fmt: skip
    values = {"input": numbers(rng, source), "weight": numbers(rng, weight)} | ({"bias": numbers(rng, bias)} if bias else {})
    case = Case(instruction, values)
    start = case.wide("bias") if bias else np.zeros((1, oc, 1, 1))

    def convolved(image: F64, weight: F64) -> F64:
        padded = np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(reach), (2, 3))
        seen = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
        return cast("F64", np.einsum("nchwyx,ocyx->nohw", seen, weight))

    sums = convolved(case.wide("input"), case.wide("weight")) + start
    sizes = convolved(np.abs(case.wide("input")), np.abs(case.wide("weight"))) + np.abs(start)
    check(case, sums, sizes, ic * kernel[0] * kernel[1] + 1)


def test_special_numbers() -> None:
    """Infinities and NaNs come out where they do in float64."""
    rng = np.random.default_rng(1)
    left, right, dst = (LocalTensor(place << 14, (1, 40, 1, 40), kind) for place, kind in enumerate((bf16, bf16, f32)))
    case = Case(MatMul2(op=MatMul2Op.NN, dst=dst, left=left, right=right), {"left": numbers(rng, left), "right": numbers(rng, right)})
    case.values["left"][0, 3, 0, 5] = np.inf
    case.values["left"][0, 7, 0, 5] = np.nan
    case.values["right"][0, 9, 0, 11] = -np.inf
    case.values["right"][0, 5, 0, 2] = 0
    with np.errstate(invalid="ignore"):
        wanted = case.wide("left")[0, :, 0] @ case.wide("right")[0, :, 0]
    found = case.run("fast")[0, :, 0]
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    infinite = np.isinf(wanted)
    assert infinite.sum() > 70
    assert np.array_equal(found[infinite], wanted[infinite])
    assert np.isfinite(found[np.isfinite(wanted)]).all()


# ---------------------------------------------------------------------------- what stays as it is


def kernels_of(instruction: Instruction, numerics: Numerics) -> list[str]:
    return [call.kernel.key for call in lower(instruction, MEMORY, numerics) or ()]


@pytest.mark.parametrize("function", ["tpu_bdc_int8_asym_pc_quant_conv2d", "tpu_bdc_int_pcs_mm", "tpu_bdc_int8_mm"])
def test_integers_are_exact(function: str) -> None:
    for instruction in drawn(function, 5):
        assert kernels_of(instruction, "fast") == kernels_of(instruction, "exact") != []


def test_other_units_are_exact() -> None:
    x = LocalTensor(0, (1, 64, 7, 7), f16)
    add = Arith(op=ArithOp.ADD, dst=x, src0=x, src1=x)
    assert kernels_of(add, "fast") == kernels_of(add, "exact") != []


def test_a_program_has_a_plan_for_each() -> None:
    """Running it fast changes nothing about running it exactly, whichever comes first."""
    rng = np.random.default_rng(2)
    left, right, dst = (LocalTensor(place << 15, (1, 60, 1, 100 if place == 0 else 60), f16) for place in range(3))
    right = LocalTensor(1 << 15, (1, 100, 1, 60), f16)
    instruction = MatMul2(op=MatMul2Op.NN, dst=dst, left=left, right=right)
    values = {"left": numbers(rng, left), "right": numbers(rng, right)}
    program, found = program_of(instruction), list[Array]()
    for numerics, engine in (("fast", "jit"), ("exact", "jit"), ("fast", "jit"), ("exact", "interpreter"), ("fast", "interpreter")):
        machine = Machine(CHIP, numerics=cast("Numerics", numerics))
        for name, array in values.items():
            machine.load(cast("LocalTensor", instruction.value_of(name)), array)
        if engine == "jit":
            NativeExecution(program, machine.memory, 1, machine.numerics).run(0, 1)
        else:
            machine.run(program, "interpreter")
        found.append(machine.dump(dst))
    fast, exact, again, *interpreted = (array.view(np.uint16) for array in found)
    assert all(np.array_equal(exact, other) for other in interpreted)
    assert np.array_equal(fast, again)
    assert not np.array_equal(fast, exact)
    memory = machine.memory
    assert plan_of(program, memory, "fast") is plan_of(program, memory, "fast") is not plan_of(program, memory, "exact")


def test_it_is_named() -> None:
    assert repr(Machine("BM1684X", numerics="fast")) == "<Machine BM1684X, fast numerics>"
    assert repr(Machine("BM1684X")) == "<Machine BM1684X>"


def test_others_are_refused() -> None:
    with pytest.raises(EngineChoiceError, match="no numerics 'quick'"):
        Machine("BM1684X", numerics=cast("Any", "quick"))


# ---------------------------------------------------------------------------- code


def kernels() -> list[Kernel]:
    return [
        *(LeftKernel(FUSED, dtype) for dtype in (f32, f16, bf16)),
        *(ProductKernel(FUSED, dtype, dtype, ((f32, "r"), (f32, "rc")), finish.rounded_once(dtype, 2)) for dtype in (f32, f16, bf16)),
    ]


@pytest.mark.parametrize("name", TARGETS)
def test_the_kernels_compile(name: str) -> None:
    for kernel in kernels():
        assert undefined_symbols(compile_object(kernel.emit(TARGETS[name]), TARGETS[name], verify=True)) == []


@pytest.mark.parametrize("target", [AVX2, AVX512], ids=["avx2", "avx512"])
def test_the_inner_loop_is_fused_and_keeps_its_sums_in_registers(target: Target) -> None:
    [inner] = [loop for loop in inner_loops(assembly(kernels()[3].emit(target), target)) if "vfmadd" in loop]
    assert not re.search(r"\(%r[sb]p", inner)
