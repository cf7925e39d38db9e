"""Kernels that unroll to too much: texts always, Python where somebody asks."""

from __future__ import annotations

import pytest

import tpukernel as tpu
from tests.lang import kernels
from tpukernel.lang import elaborate
from tpukernel.lang.errors import UnrollLimitError
from tpukernel.lang.limits import TEXT_LIMIT

HEAD = "kernel f(inout x: f32[n, c, h, w]) { let a, b = local<f32>[n, c, h, w]; "
ENDLESS = {
    "turns": "for i in 0 .. 1000000000000 { }",
    "turns of two": "for i in 0 .. 100000000 { for j in 0 .. 100000000 { when j < 0 { print j; } } }",
    "commands": "for i in 0 .. 100000000 { tiu.fill(a, 0); }",
    "turns of a pipeline": "pipeline i in 0 .. 100000000 { dma.load(a, x); }",
    "pairs in a pipeline": "pipeline i in 0 .. 2 { for j in 0 .. 100000000 { dma.load(a, x); dma.store(x, a); } }",
    "copies of a buffer": "pipeline i in 0 .. 100000000 buffers 100000000 { let d = local<f32>[1, 1, 1, 1]; tiu.fill(d, 0); }",
    "commands of which none waits": "for i in 0 .. 10000 { tiu.fill(a, 0); dma.load(b, x); }",
}
SHAPES = {"x": (1, 4, 2, 8)}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_text_ends(name: str) -> None:
    kernel = tpu.parse(HEAD + ENDLESS[name] + " }").with_limit(4000)
    with pytest.raises(UnrollLimitError, match="kernel f unrolls to more than (4,000 commands and turns of loops|1,000 buffers)") as caught:
        kernel.program(SHAPES)
    assert caught.value.position is not None and caught.value.position.line == 1


def test_the_limit_is_exact_and_can_be_changed() -> None:
    kernel = tpu.parse(HEAD + "for i in 0 .. 10 { tiu.fill(a, 0); } }")
    assert kernel.limit == TEXT_LIMIT
    steps = 2 + 1 + 10 + 10  # two buffers, the loop, its turns, its commands
    assert len(kernel.with_limit(steps).program(SHAPES).groups[0].tiu) == 11
    with pytest.raises(UnrollLimitError):
        kernel.with_limit(steps - 1).program(SHAPES)
    assert kernel.with_limit(None).limit is None
    kernel.program(SHAPES)


def test_python_has_a_limit_where_somebody_asks() -> None:
    shapes, kernel = {"x": (2, 70, 3, 50)}, kernels.abs_add
    assert kernel.limit is None
    ir = kernel.ir(shapes, c=1.0)
    sizes = {param.name: (2, 70, 3, 50) for param in ir.params}
    elaborate(ir, sizes, tpu.BM1684X)
    with pytest.raises(UnrollLimitError, match="kernel abs_add unrolls to more than 5 commands"):
        elaborate(ir, sizes, tpu.BM1684X, limit=5)
    with pytest.raises(UnrollLimitError):
        kernel.with_limit(5).program(shapes, c=1.0)
    kernel.program(shapes, c=1.0)
    with pytest.raises(UnrollLimitError):
        kernel.with_limit(5).program(shapes, c=1.0)
