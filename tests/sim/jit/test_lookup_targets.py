"""The templates of quantisation and of the units that move by index, compiled for other processors."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.sim.jit.test_lookups import check, many_lines
from tests.sim.jit.test_targets import TARGETS, other_target, undefined_symbols
from tests.support.differential import CHIP, Arena, Case
from tests.support.native import Comparison
from tests.support.places import LOCAL, SYSTEM
from tests.vendor import test_sim_dma_gather as dma_gather
from tests.vendor import test_sim_dma_masked_select as dma_masked_select
from tests.vendor import test_sim_dma_nonzero as dma_nonzero
from tests.vendor import test_sim_dma_scatter as dma_scatter
from tests.vendor import test_sim_gather as gather
from tests.vendor import test_sim_gather_line as gather_line
from tests.vendor import test_sim_quant as quant
from tpukernel.dtypes import f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa.gather_line import GatherLineOp
from tpukernel.isa.index import IndexGen, IndexGenOp
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.jit.llvm import compile_object
from tpukernel.sim.jit.plan import lower
from tpukernel.sim.memory import Memory

__all__ = ["other_target"]


def draws(seed: int) -> Iterator[Case | Instruction]:
    """Some commands of every unit."""
    rng = Random(seed)
    for op, dst, src in rng.sample(quant.PAIRS, 8):
        yield quant.with_constants(rng, op, dst, src)
        yield quant.with_table(rng, op, dst, src)
    for dtype, index in ((i8, u8), (f16, u16), (f32, u16)):
        yield from (gather.one_index(rng, op, dtype, index) for op in gather.ONE_INDEX)
        yield from (gather.batch(rng, op, True, dtype, index) for op in gather.BATCHES)
        yield gather.four_banks(rng, dtype, index)
        yield from (gather_line.lines(rng, op, dtype, index) for op in GatherLineOp)
        yield dma_gather.gather(rng, LOCAL, SYSTEM, SYSTEM, dtype)
        yield dma_scatter.scatter(rng, SYSTEM, LOCAL, LOCAL, dtype)
        yield many_lines(rng, LOCAL, dtype)
    for dtype, mask, signed in ((i8, u8, i8), (i16, u16, i16), (f32, u32, i32)):
        yield gather.select(rng, True, dtype, mask)
        yield dma_masked_select.select(rng, SYSTEM, LOCAL, dtype, signed)
    yield from (dma_nonzero.positions(rng, SYSTEM, dtype, i32) for dtype in (i8, i16, i32))
    yield IndexGen(op=IndexGenOp.ELEMENT, dst=Arena(rng).tensor((1, 70, 1, 99), i32))


@pytest.mark.parametrize("target", TARGETS)
def test_they_compile(target: str) -> None:
    memory = Memory(CHIP, 1 << 28)
    commands = [case.instruction if isinstance(case, Case) else case for case in draws(0)]
    kernels = {call.kernel.key: call.kernel for command in commands for call in lower(command, memory) or ()}
    assert len(kernels) > 30
    for kernel in kernels.values():
        assert undefined_symbols(compile_object(kernel.emit(TARGETS[target]), TARGETS[target], verify=True)) == []


@pytest.mark.usefixtures("other_target")
def test_the_bits_are_the_same(comparison: Comparison) -> None:
    check(comparison, draws(3))
