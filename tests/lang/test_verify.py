"""What is refused in an intermediate representation that no builder made: the checks are those of the builder."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tpukernel as tpu
from tpukernel.dtypes import Dtype
from tpukernel.lang import elaborate
from tpukernel.lang.errors import KernelIrError, OperandTypeError, UnsupportedDtypeError
from tpukernel.lang.ir import Allocate, KernelIr, Loop, Op, Span, Statement, View

SHAPES = {"x": (1, 4, 1, 8), "out": (1, 4, 1, 8)}


@tpu.kernel
def sound(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for w0 in k.pipeline(0, 8, 4):
        a, b = k.local((1, 4, 1, 4), x.dtype), k.local((1, 4, 1, 4), x.dtype)
        k.dma.load(a, x[:, :, :, w0 : w0 + 4])
        k.tiu.reciprocal(b, a)
        k.dma.store(out[:, :, :, w0 : w0 + 4], b)


def changed(place: int, **changes: object) -> KernelIr:
    """The kernel with another statement at a place of its pipeline."""
    kernel = sound.ir(SHAPES)
    (loop,) = kernel.body
    assert isinstance(loop, Loop)
    statement: Statement = loop.body[place]
    if isinstance(statement, Allocate):
        statement = Allocate(replace(statement.local, **changes))
    else:
        assert isinstance(statement, Op)
        statement = replace(statement, **changes)
    return replace(kernel, body=(replace(loop, body=(*loop.body[:place], statement, *loop.body[place + 1 :])),))


def test_what_is_sound_elaborates() -> None:
    assert elaborate(changed(0), SHAPES, tpu.BM1684X).program.statistics().commands == {"tiu": 2, "gdma": 4}


@pytest.mark.parametrize(("place", "dtype"), [(0, tpu.i32), (0, tpu.f16), (1, tpu.i32), (1, tpu.f16)])
def test_operands_of_other_types(place: int, dtype: Dtype) -> None:
    with pytest.raises(UnsupportedDtypeError, match=dtype.name):
        elaborate(changed(place, dtype=dtype), SHAPES, tpu.BM1684X)


def test_operands_in_the_other_memory() -> None:
    with pytest.raises(OperandTypeError, match="dst of dma.load is a, which is f32, but it has to be a tensor in system memory"):
        elaborate(changed(2, row="tpu_gdma_cpy_L2S"), SHAPES, tpu.BM1684X)


def test_a_number_in_the_place_of_a_tensor() -> None:
    kernel = changed(3, operands=(("dst", View("b", tuple(Span(0, size) for size in (1, 4, 1, 4)))), ("src", 1.0)))
    with pytest.raises(OperandTypeError, match=r"src of tiu.reciprocal is 1\.0"):
        elaborate(kernel, SHAPES, tpu.BM1684X)


@pytest.mark.parametrize("buffers", [0, -1])
def test_pipelines_without_buffers(buffers: int) -> None:
    kernel = sound.ir(SHAPES)
    (loop,) = kernel.body
    assert isinstance(loop, Loop)
    with pytest.raises(KernelIrError, match=f"the loop over w0 has {buffers} buffers"):
        elaborate(replace(kernel, body=(replace(loop, buffers=buffers),)), SHAPES, tpu.BM1684X)
