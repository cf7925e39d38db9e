"""CONV, MM and MM2 natively give the interpreter's bits: every function, and numbers that take each way through the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest

from tests.sim.jit.test_targets import undefined_symbols
from tests.support.api_calls import emitting, instructions
from tests.support.differential import CASES, CHIP
from tests.support.draws import accepted_dtypes, draw
from tests.support.native import Comparison
from tests.support.operand_values import operand_values
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Conv, MatMul, MatMul2
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.matmul2 import MatMul2Op
from tpukernel.isa.program import Program
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit import NativeExecution, plan
from tpukernel.sim.jit.kernel import Kernel
from tpukernel.sim.jit.llvm import Target, aarch64_target, assembly, baseline_target, compile_object, host_target, load
from tpukernel.sim.jit.products import calls, finish
from tpukernel.sim.jit.products.group_left import GroupLeftKernel
from tpukernel.sim.jit.products.kernel import ProductKernel
from tpukernel.sim.jit.products.kinds import Kind, kind_of
from tpukernel.sim.jit.products.left import LeftKernel
from tpukernel.sim.jit.products.product import Finish
from tpukernel.sim.jit.products.tables import RUN, RUNS, SINGLE, TWO_RUNS, column_table
from tpukernel.sim.memory import Array

FUNCTIONS = sorted(emitting(Conv, MatMul, MatMul2))
MOST_MACS = 1_000_000
"""More take the interpreter long."""


def drawn(function: str, count: int) -> Iterator[Instruction]:
    """Random calls of a function, with types evenly from those that it accepts."""
    rng = Random(function)
    accepted = list(accepted_dtypes().get(function, ({},)))
    rng.shuffle(accepted)
    for number in range(20 * count):
        [instruction] = instructions(function, draw(function, rng, dtypes=accepted[number % len(accepted)]))
        if instruction.macs <= MOST_MACS:
            count -= 1
            yield instruction
        if not count:
            return


def check(comparison: Comparison, instruction: Instruction, **values: Array) -> None:
    comparison.interpreted.clear()
    assert comparison.differences([instruction], **values) == []
    assert comparison.interpreted == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(comparison: Comparison, function: str) -> None:
    rng = np.random.default_rng(len(function))
    for number, instruction in enumerate(drawn(function, 2 * CASES)):
        check(comparison, instruction, **operand_values(instruction, number, rng))


# ---------------------------------------------------------------------------- 16-bit floats


def matrix(lane_byte: int, rows: int, columns: int, dtype: Dtype) -> LocalTensor:
    return LocalTensor(lane_byte, (1, rows, 1, columns), dtype)


def product_of(dtype: Dtype, result: Dtype, m: int, k: int, n: int, *, result_add: bool = False) -> MatMul2:
    left, right, dst = matrix(0, m, k, dtype), matrix(1 << 14, k, n, dtype), matrix(1 << 15, m, n, result)
    return MatMul2(op=MatMul2Op.NN, dst=dst, left=left, right=right, result_add=result_add)


def as_dtype(values: Array, dtype: Dtype) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(dtype.numpy)


SCALES = {
    "like sizes": 0,
    "sizes that leave the codes": 12,
    "any size": 30,
}
"""Binary places over which the numbers spread: within 14 the codes tell the largest product of a group, beyond them the products do."""


@pytest.mark.parametrize(("spread", "dtype"), list(product(SCALES, (f16, bf16))), ids=str)
@pytest.mark.parametrize("result_add", [False, True])
def test_groups_of_numbers(comparison: Comparison, spread: str, dtype: Dtype, *, result_add: bool) -> None:
    rng = np.random.default_rng(SCALES[spread])
    for m, k, n in ((1, 1, 1), (9, 33, 40), (17, 64, 65), (33, 150, 31)):
        left, right = (rng.standard_normal(shape) * 2.0 ** -rng.integers(0, SCALES[spread] + 1, shape) for shape in ((m, k), (k, n)))
        values = {"left": as_dtype(left, dtype)[None, :, None], "right": as_dtype(right, dtype)[None, :, None]}
        for result in (f32,) if result_add else (f32, dtype):
            check(comparison, product_of(dtype, result, m, k, n, result_add=result_add), **values)


@pytest.mark.parametrize("dtype", [f16, bf16], ids=repr)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 31, 35])
def test_groups_of_few_numbers(comparison: Comparison, dtype: Dtype, k: int) -> None:
    """Places of a group that are not used count for nothing: with numbers of like and of any size, zeros among them, and infinities."""
    rng = np.random.default_rng(k)
    m, n = 20, 70
    for spread, special in ((0, False), (12, False), (40, False), (0, True)):
        left, right = (rng.standard_normal(shape) * 2.0 ** -rng.integers(0, spread + 1, shape) for shape in ((m, k), (k, n)))
        left[3], right[:, 40], left[5, 0], right[k - 1, 7] = 0, 0, 0, np.inf if special else 0
        values = {"left": as_dtype(left, dtype)[None, :, None], "right": as_dtype(right, dtype)[None, :, None]}
        check(comparison, product_of(dtype, f32, m, k, n), **values)


@pytest.mark.parametrize(("left", "right"), list(product((-126, -64, -63, -40, 0, 61, 63, 127), repeat=2)))
def test_groups_at_the_ends_of_the_range(comparison: Comparison, left: int, right: int) -> None:
    """Products that are denormal, that overflow, and that do neither by little."""
    rng = np.random.default_rng((left + 200) * 1000 + right + 200)
    m, k, n = 5, 45, 34
    values = {
        name: as_dtype(rng.uniform(-2, 2, shape) * 2.0**scale, bf16)[None, :, None]
        for name, shape, scale in (("left", (m, k), left), ("right", (k, n), right))
    }
    check(comparison, product_of(bf16, f32, m, k, n), **values)


@pytest.mark.parametrize("dtype", [f16, bf16], ids=repr)
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_groups_with_special_numbers(comparison: Comparison, dtype: Dtype, special: float) -> None:
    rng = np.random.default_rng(3)
    m, k, n = 10, 70, 50
    left, right = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    left[3, 5], left[4, 69] = special, special
    right[66, 7], right[2, 49], right[:, 9], left[8] = special, -special, 0, 0
    values = {"left": as_dtype(left, dtype)[None, :, None], "right": as_dtype(right, dtype)[None, :, None]}
    check(comparison, product_of(dtype, f32, m, k, n), **values)


@pytest.mark.parametrize("dtype", [f16, bf16], ids=repr)
def test_groups_of_zeros(comparison: Comparison, dtype: Dtype) -> None:
    """Rows, columns and whole factors of zeros of both signs; numbers among zeros."""
    rng = np.random.default_rng(4)
    m, k, n = 12, 64, 40
    for dense in (0.0, 0.02, 0.3):
        left, right = (rng.standard_normal(shape) * (rng.random(shape) < dense) for shape in ((m, k), (k, n)))
        values = {"left": as_dtype(left, dtype)[None, :, None], "right": as_dtype(right, dtype)[None, :, None]}
        check(comparison, product_of(dtype, dtype, m, k, n), **values)


@pytest.mark.parametrize(("left", "right"), [(-63, -63), (-126, 0), (0, -126), (-149, 0), (-100, -26), (63, 64), (127, 0), (127, -126)])
def test_f32_at_the_ends_of_the_range(comparison: Comparison, left: int, right: int) -> None:
    check_f32_range(comparison, left, right)


def check_f32_range(comparison: Comparison, left: int, right: int) -> None:
    """Products and sums that are denormal, that overflow, and that do neither by little; some round up to the smallest normal number."""
    rng = np.random.default_rng((left + 200) * 1000 + right + 200)
    m, k, n = 9, 21, 34
    a, b, dst = (
        LocalTensor(byte, shape, f32) for byte, shape in ((0, (m, 3, 1, 7)), (1 << 13, (k, 2, 1, n // 2)), (1 << 14, (m, 2, 1, n // 2)))
    )
    near = 1 + rng.integers(-3, 4, (k, 2, 1, n // 2)) * 2.0**-23
    with np.errstate(all="ignore"):
        values = {
            "left": np.ldexp(rng.choice([1, -1, 1.5, 1 - 2.0**-24, 0.75], (m, 3, 1, 7)), left).astype(np.float32),
            "right": np.ldexp(near * rng.choice([1, -1, 0.5, 1.25], near.shape), right).astype(np.float32),
        }
    check(comparison, MatMul(dst=dst, left=a, right=b, left_cols=k), **values)


# ---------------------------------------------------------------------------- sizes, threads, overlaps


def test_sums_longer_than_a_panel_and_more_rows_than_a_unit(comparison: Comparison) -> None:
    rng = np.random.default_rng(5)
    for dtype, result in ((f32, f32), (i8, i32), (u16, u32), (i32, i32)):
        m, k, n = 211, 1031, 70
        left, right, dst = (
            LocalTensor(byte, (rows, 1, 1, columns), kind)
            for byte, rows, columns, kind in ((0, m, k, dtype), (0x40000 * 20, k, n, dtype), (0x40000 * 40, m, n, result))
        )
        left = replace(left, shape=(m, 61, 1, 17))
        right, dst = replace(right, shape=(k, 2, 1, n // 2)), replace(dst, shape=(m, 2, 1, n // 2))
        values = {
            name: rng.standard_normal(shape).astype(np.float32) if dtype is f32 else rng.integers(*dtype.limits, shape).astype(dtype.numpy)
            for name, shape in (("left", left.shape), ("right", right.shape))
        }
        shift, rounding = (None, None) if dtype is f32 else (Constant(0, i8), Rounding.HALF_EVEN)
        check(comparison, MatMul(dst=dst, left=left, right=right, left_cols=k, shift=shift, rounding=rounding), **values)


def test_threads_share_a_command(comparison: Comparison) -> None:
    memory, rng = comparison.memory, np.random.default_rng(6)
    instruction = product_of(bf16, f32, 64, 256, 200)
    program = Program(CHIP)
    program.append(instruction)
    for name in ("left", "right"):
        tensor = instruction.value_of(name)
        assert isinstance(tensor, LocalTensor)
        memory.store(tensor, as_dtype(rng.standard_normal(tensor.shape), bf16))
    found: list[Array] = []
    for threads in (1, 2, 3):
        memory.store(instruction.dst, np.zeros(instruction.dst.shape, np.float32))
        NativeExecution(program, memory, threads).run(0, 1)
        found.append(memory.load(instruction.dst))
    assert all(np.array_equal(one, found[0]) for one in found)
    assert np.count_nonzero(found[0]) > found[0].size // 2


@pytest.mark.parametrize("shift", [0, 64, 4096])
def test_the_result_may_lie_over_the_right_factor(comparison: Comparison, shift: int) -> None:
    """The interpreter reads everything before it writes."""
    m = n = k = 40
    right = matrix(1 << 14, k, n, bf16)
    instruction = replace_dst(product_of(bf16, bf16, m, k, n), replace(right, address=right.address + shift))
    rng = np.random.default_rng(7)
    values = {name: as_dtype(rng.standard_normal((1, 40, 1, 40)), bf16) for name in ("left", "dst", "right")}
    if shift:
        del values["dst"]
    check(comparison, instruction, **values)


def test_a_product_may_replace_its_right_factor(comparison: Comparison) -> None:
    right = LocalTensor(1 << 14, (70, 50, 1, 2), f32)
    left = LocalTensor(1 << 17, (70, 35, 1, 2), f32)
    check(comparison, MatMul(dst=right, left=left, right=right, left_cols=70))


def replace_dst(instruction: MatMul2, dst: LocalTensor) -> MatMul2:
    return MatMul2(op=instruction.op, dst=dst, left=instruction.left, right=instruction.right)


@pytest.mark.parametrize(("channels", "address", "packed"), [(20, 1 << 15, False), (70, 1 << 15, False), (9, 64, True)])
def test_weights_of_f32_stay_where_they_are(comparison: Comparison, channels: int, address: int, packed: bool) -> None:
    """They lie as the engine reads them, and are copied only if the result lies over them; also in the lanes of another turn."""
    source = LocalTensor(1 << 14, (2, 5, 9, 9), f32)
    dst, weight = LocalTensor(0, (2, channels, 7, 7), f32), LocalTensor(address, (channels, 5, 3, 3), f32, Layout.WEIGHT)
    instruction = Conv(dst=dst, input=source, weight=weight, kernel=(3, 3))
    check(comparison, instruction)
    keys = [call.kernel.key for call in plan.lower(instruction, comparison.memory) or ()]
    assert any(key.startswith("left.") for key in keys) == packed


# ---------------------------------------------------------------------------- tables of columns


def test_columns_know_their_runs() -> None:
    offsets = np.concatenate([np.arange(0, 64, 4), np.arange(64, 88, 4), np.arange(200, 240, 4), [8, 4, 0]])
    table = column_table(offsets, 4, 16, 2)
    entries = np.array(table.words[: 4 * 4]).reshape(4, 4)
    assert entries[:, 0].tolist() == [RUN, TWO_RUNS, SINGLE, SINGLE]
    assert entries[1].tolist() == [TWO_RUNS, 64, 6, 236 - 60]
    assert table.words[entries[2, 1] // 8 :][:16] == [8, 4, 0, *[0] * 13]


def test_columns_of_short_lines() -> None:
    offsets = (np.arange(7)[:, None] * 36 + np.arange(7) * 4).reshape(-1)[:32]
    table = column_table(offsets, 4, 16, 2, packed=True)
    entries = np.array(table.words[: 2 * 4]).reshape(2, 4)
    assert entries[0, [0, 2]].tolist() == [RUNS, 3]
    assert table.words[entries[0, 1] // 8 :][:6] == [0, 0, 36 - 28, 7, 72 - 56, 14]
    assert table.singles == [1, 5]
    assert column_table(offsets[::-1], 4, 16, 2, packed=True).words[0] == SINGLE


# ---------------------------------------------------------------------------- code

AVX2 = replace(baseline_target(), cpu="haswell", vector_bytes=32, converts_f16=True, mask_bytes=4)
AVX512 = replace(baseline_target(), cpu="cascadelake", vector_bytes=64, converts_f16=True, mask_bytes=1)
TARGETS = {"baseline": baseline_target(), "avx2": AVX2, "avx512": AVX512, "aarch64": aarch64_target()}
INPUTS: dict[str, tuple[Dtype, Dtype, Dtype, Finish]] = {
    "f32": (f32, f32, f32, finish.even_odd(bias=True, partial=True)),
    "f16": (f16, f16, f16, finish.rounded_once(f16, 2)),
    "bf16": (bf16, bf16, f32, finish.rounded_once(f32, 2)),
    "i8": (i8, u8, i16, finish.requantised_conv(i16, relu=True, bias=i16)),
    "requant": (i8, i8, u8, finish.requantised_matmul(u8, True, None, None)),
    "u16": (u16, i16, i32, finish.wrapped(i32)),
    "u32": (u32, u32, u32, finish.shifted(u32, unsigned=True, rounding=Rounding.HALF_AWAY)),
}
ADDENDS: dict[str, tuple[tuple[Dtype, str], ...]] = {
    "f32": ((f32, "r"), (f32, "rc")),
    "f16": ((f32, "r"), (f32, "rc")),
    "bf16": ((f32, ""), (f32, "c")),
    "i8": ((i32, ""), (i16, "r")),
    "requant": ((i32, ""), (i32, "")),
    "u16": ((i32, "rc"),),
    "u32": ((i8, "c"),),
}


def kernels(name: str) -> tuple[Kernel, Kernel]:
    left, right, dst, ending = INPUTS[name]
    kind = kind_of(left, right)
    pack: Kernel = GroupLeftKernel(left) if kind.name == "groups" else LeftKernel(kind, left)
    return pack, ProductKernel(kind, right, dst, ADDENDS[name], ending)


@pytest.mark.parametrize(("name", "target"), list(product(INPUTS, TARGETS)))
def test_the_kernels_compile(name: str, target: str) -> None:
    for kernel in kernels(name):
        assert undefined_symbols(compile_object(kernel.emit(TARGETS[target]), TARGETS[target], verify=True)) == []


INNER = {"f32": "mulps", "f16": "cvttps2dq", "i8": "pmaddwd|dpwssd", "u16": "pmulld"}


@pytest.mark.parametrize(("name", "target"), list(product(INNER, ("avx2", "avx512"))))
def test_the_inner_loop_keeps_its_sums_in_registers(name: str, target: str) -> None:
    loops = inner_loops(assembly(kernels(name)[1].emit(TARGETS[target]), TARGETS[target]))
    inner = [loop for loop in loops if re.search(INNER[name], loop)]
    assert inner
    for loop in inner:
        assert not re.search(r"\(%r[sb]p", loop), loop


def inner_loops(text: str) -> list[str]:
    """Stretches of an assembly from a label to the jump back to it, with no other label between."""
    blocks = re.findall(r"^(\.LBB\w+):(.*?)(?=^\.LBB|^\.Lfunc|\Z)", text, re.MULTILINE | re.DOTALL)
    return [block.partition(f"\t{label}\n")[0] for label, block in blocks if f"\t{label}\n" in block]


def test_inner_loops_are_found() -> None:
    text = ".LBB0_1:\n\tmulps\n\tjl\t.LBB0_1\n\tret\n.LBB0_2:\n\taddps\n\tjl\t.LBB0_1\n.Lfunc_end0:\n"
    assert inner_loops(text) == ["\n\tmulps\n\tjl"]


HOSTED = {
    "baseline": replace(baseline_target(), triple=host_target().triple),
    "avx2": replace(host_target(), vector_bytes=32, mask_bytes=4),
    "products as on aarch64": replace(host_target(), arch="aarch64"),
}
"""Processors that an x86-64 processor can stand in for."""


@pytest.mark.parametrize("processor", HOSTED)
def test_other_processors_give_the_same_bits(comparison: Comparison, monkeypatch: pytest.MonkeyPatch, processor: str) -> None:
    if not host_target().is_x86:
        pytest.skip(f"this is {host_target().triple}, not an x86-64 processor")
    target: Target = HOSTED[processor]

    def compiled(kernel: Kernel) -> int:
        return load(kernel.emit(target))

    monkeypatch.setattr(calls, "host_target", lambda: target)
    monkeypatch.setattr(plan, "load_kernel", compiled)
    monkeypatch.setattr(plan, "_addresses", {})
    rng = np.random.default_rng(8)
    for left, right in ((-63, -63), (0, -126), (-100, -26), (127, -126)):
        check_f32_range(comparison, left, right)
    for name in ("fp32_mm", "fp_mm", "fp_conv2d", "int8_asym_pc_quant_conv2d", "int_pcs_mm"):
        for number, instruction in enumerate(drawn(f"tpu_bdc_{name}", 2)):
            check(comparison, instruction, **operand_values(instruction, number, rng))


def test_kinds() -> None:
    assert [kind_of(left, right).name for left, right in ((f32, f32), (bf16, bf16), (i8, u8), (i16, u8), (u16, i16), (u32, i32))] == [
        "f32", "groups", "pairs", "pairs", "i32", "i64",
    ]  # fmt: skip
    assert all(isinstance(kind_of(dtype, dtype), Kind) for dtype in (f32, i8, i32))
