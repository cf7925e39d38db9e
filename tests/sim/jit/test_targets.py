"""Every template can be compiled for other processors, and what a processor without vector masks or f16 gets computes the same bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random

import pytest

from tests.support.draw_arith import draw, type_combinations
from tests.support.native import Comparison
from tests.vendor import test_sim_linear as linear
from tpukernel.dtypes import bf16, f16, f32
from tpukernel.isa.arith_op import SELECTS, ArithOp
from tpukernel.isa.linear import LinearOp
from tpukernel.sim.jit import plan
from tpukernel.sim.jit.elementwise import Request, operation
from tpukernel.sim.jit.kernel import Kernel
from tpukernel.sim.jit.llvm import Target, aarch64_target, baseline_target, compile_object, host_target, load
from tpukernel.sim.jit.nest_kernel import DEPTHS, Inner, NestKernel
from tpukernel.sim.jit.stream import stream_module

TARGETS = {"baseline": baseline_target(), "aarch64": aarch64_target()}


@pytest.mark.parametrize("target", TARGETS)
def test_the_executor_compiles(target: str) -> None:
    assert compile_object(stream_module(TARGETS[target]), TARGETS[target], verify=True)


def kernels(op: ArithOp, rng: Random) -> Iterator[NestKernel]:
    """Some kernels of an operation: types, layouts, depths."""
    combinations = list(type_combinations(op))
    for dst, src0, src1 in rng.sample(combinations, min(4, len(combinations))):
        sources = tuple(dtype for dtype in (src0, src1) if dtype is not None)
        if op in SELECTS or op is ArithOp.MAC:
            sources = (*sources, dst)
        request = Request(op, dst, sources, iterations=3)
        inner = tuple(rng.choice(list(Inner)) for _ in range(1 + len(sources)))
        yield NestKernel(operation(request), inner, rng.choice(DEPTHS))


@pytest.mark.parametrize(("target", "op"), list(product(TARGETS, ArithOp)), ids=str)
def test_arith_compiles(target: str, op: ArithOp) -> None:
    for kernel in kernels(op, Random(op.name)):
        assert undefined_symbols(compile_object(kernel.emit(TARGETS[target]), TARGETS[target], verify=True)) == []


def undefined_symbols(elf: bytes) -> list[str]:
    """Names that an ELF object file takes from elsewhere: a template must not call the compiler's support functions."""
    table, count = struct.unpack_from("<Q", elf, 40)[0], struct.unpack_from("<H", elf, 60)[0]
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, table + 64 * k) for k in range(count)]
    found: list[str] = []
    for _, kind, _, _, start, size, link, *_ in sections:
        if kind != 2:  # the symbol table
            continue
        names = sections[link][4]
        for place in range(start + 24, start + size, 24):
            name, section = struct.unpack_from("<I", elf, place)[0], struct.unpack_from("<H", elf, place + 6)[0]
            if section == 0:
                found.append(elf[names + name : elf.index(b"\0", names + name)].decode())
    return found


def test_undefined_symbols_are_found() -> None:
    assert undefined_symbols(compile_object(stream_module(TARGETS["aarch64"]), TARGETS["aarch64"])) == ["sched_yield"]


HOSTED = {
    "baseline": replace(baseline_target(), triple=host_target().triple),
    "avx2": replace(host_target(), vector_bytes=32, mask_bytes=4),
    "products as on aarch64": replace(host_target(), arch="aarch64"),
}
"""Processors that an x86-64 processor can stand in for."""


@pytest.fixture(params=HOSTED)
def other_target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Target:
    if not host_target().is_x86:
        pytest.skip(f"this is {host_target().triple}, not an x86-64 processor")
    target = HOSTED[request.param]

    def compiled(kernel: Kernel) -> int:
        return load(kernel.emit(target))

    monkeypatch.setattr(plan, "load_kernel", compiled)
    monkeypatch.setattr(plan, "_addresses", {})
    return target


@pytest.mark.usefixtures("other_target")
def test_the_bits_are_the_same(comparison: Comparison) -> None:
    rng = Random(1)
    for op in (ArithOp.ADD, ArithOp.MUL, ArithOp.MAX, ArithOp.CAST, ArithOp.MULS, ArithOp.MUL_HIGH, ArithOp.ABS_DIFF, ArithOp.SELECT_LESS):
        floats = [types for types in type_combinations(op) if types[0].is_float or types[1].is_float] or list(type_combinations(op))
        assert comparison.differences(draw(rng, op, rng.choice(floats)) for _ in range(8)) == []
    for op, dtype in product(LinearOp, (f32, f16, bf16)):
        assert comparison.differences([linear.draw(rng, op, dtype)]) == []
