"""What is printed is read as the same representation, and gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang import kernels
from tests.lang.text.traces import NAMES, NUMBERS, drawn, every_operation
from tests.support.effort import examples
from tpukernel.api import tpu_bdc_abs, tpu_bdc_fp_add_C, tpu_bdc_fp_hswish, tpu_gdma_cpy_L2S, tpu_gdma_cpy_S2L
from tpukernel.lang import Kernel, KernelIr
from tpukernel.lang.expr import Expr

SMALL = (2, 70, 3, 50)
CASES: Mapping[str, tuple[Kernel, dict[str, tuple[int, ...]], str, dict[str, Any]]] = {
    "abs_add": (kernels.abs_add, {"x": SMALL}, "f16", {"c": -0.0, "buffers": 3}),
    "axpy": (kernels.axpy, {"x": SMALL, "y": SMALL}, "f32", {"alpha": 1e-30}),
    "scale_bias_relu": (kernels.scale_bias_relu, {"x": SMALL, "scale": (70,), "bias": (70,)}, "bf16", {}),
    "matmul of f32": (kernels.matmul, {"left": (40, 70), "right": (70, 100)}, "f32", {}),
    "matmul of f16": (kernels.matmul, {"left": (40, 70), "right": (70, 100)}, "f16", {"tile_m": 16}),
    "softmax": (kernels.softmax, {"x": (70, 20)}, "f32", {}),
    "conv3x3": (kernels.conv3x3, {"x": (2, 3, 5, 7), "weight": (65, 3, 3, 3), "bias": (65,)}, "f32", {}),
    "in_place_add": (kernels.in_place_add, {"x": (1, 5, 1, 20)}, "f32", {"c": float("inf")}),
    "halve_to_i8": (kernels.halve_to_i8, {"x": SMALL}, "i32", {}),
}


def read(ir: KernelIr) -> Kernel:
    """What the text of a representation is read as, checked to be the same."""
    text = str(ir)
    found = tpu.parse(text)
    assert found.ir() == ir, text
    assert str(found.ir()) == text
    return found


@pytest.mark.parametrize("name", CASES)
def test_concrete(name: str) -> None:
    kernel, shapes, dtype, keywords = CASES[name]
    ir = kernel.ir(shapes, dtype, **keywords)
    found = read(ir)
    assert "call " not in str(ir)
    specs = kernel.definition.specs(shapes, dtype, kernel.definition.keywords(keywords))
    whole = {each: spec.shape for each, spec in specs.items()}
    types = {each: spec.dtype for each, spec in specs.items()}
    assert found.program(whole, types).streams() == kernel.program(shapes, dtype, **keywords).streams()


@pytest.mark.parametrize("name", CASES)
def test_without_shapes(name: str) -> None:
    kernel, shapes, dtype, keywords = CASES[name]
    specs = kernel.definition.specs(shapes, dtype, kernel.definition.keywords(keywords))
    types = {each: spec.dtype for each, spec in specs.items()}
    found = read(kernel.ir(None, types, rank={each: len(spec.shape) for each, spec in specs.items()}, **keywords))
    for grown in (0, 1):  # another number of rows or images, where all tensors have the same
        alike = len({spec.shape[0] for spec in specs.values()}) == 1 and name != "in_place_add"
        sizes = {each: ((spec.shape[0] + grown) if alike else spec.shape[0], *spec.shape[1:]) for each, spec in specs.items()}
        assert found.program(sizes, types).streams() == kernel.program(sizes, types, **keywords).streams()


def test_the_printed_form_is_what_a_person_would_write() -> None:
    assert (
        str(kernels.matmul.ir({"left": (33, 65), "right": (65, 100)}, "f16"))
        == """\
kernel matmul(in left: f16[33, 65], in right: f16[65, 100], out out: f32[33, 100]; tile_m = 32, tile_k = 32, tile_n = 96) {
  for m0 in 0 .. 33 step 32 {
    for n0 in 0 .. 100 step 96 {
      let acc = matrix<f32>[min(32, 33 - m0), min(100 - n0, 96)] over rows;
      pipeline k0 in 0 .. 65 step 32 buffers 2 {
        let a = matrix<f16>[min(32, 33 - m0), min(32, 65 - k0)];
        let b = matrix<f16>[min(32, 65 - k0), min(100 - n0, 96)];
        dma.load(a, left[m0:+min(32, 33 - m0), k0:+min(32, 65 - k0)]);
        dma.fill(b, 0);
        dma.load(b, right[k0:+min(32, 65 - k0), n0:+min(100 - n0, 96)]);
        tiu.matmul(acc, a, b, accumulate=k0 > 0);
      }
      dma.store(out[m0:+min(32, 33 - m0), n0:+min(100 - n0, 96)], acc);
    }
  }
}"""
    )


def test_every_operation_is_printed_by_its_own_name() -> None:
    ir, never = every_operation(0)
    assert not never, "no operands were found that these take"
    read(ir)
    assert not [line for line in str(ir).splitlines() if line.startswith("  call ")]


@given(st.integers(0, 10**6), st.sampled_from([NUMBERS, NAMES]))
@settings(deadline=None, max_examples=examples(10))
def test_random_kernels(seed: int, shapes: Mapping[str, tuple[Expr, ...]]) -> None:
    read(drawn(seed, shapes))


def test_functions_of_the_table() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, x.dtype), k.local(x.shape, x.dtype)
        first = k.dma.load(a, x)
        k.call(tpu_bdc_fp_hswish, dst_addr=b, src_addr=a, shape=a.shape, dtype=x.dtype, after=first)
        k.dma.store(out, b)

    ir = kernel.ir({"x": (1, 4, 2, 8)})
    read(ir)
    assert "  %1 = dma.load(a, x);" in str(ir)
    assert "  call tpu_bdc_fp_hswish(dst_addr=b, src_addr=a, shape=(1, 4, 2, 8), dtype=f32) after %1;" in str(ir)


def test_instructions_with_addresses() -> None:
    shape = (1, 64, 1, 16)

    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        tpu_gdma_cpy_S2L(0, 0x1_0000_0000, shape, None, None, tpu.f32)
        tpu_bdc_abs(4096, 0, shape, None, (64, 16, 16, 1), tpu.f32)
        tpu_bdc_fp_add_C(8192, 4096, 1.5, shape, None, None, tpu.f32)
        tpu_bdc_fp_hswish(12288, 8192, 16384, shape, tpu.f32)
        tpu_gdma_cpy_L2S(0x1_0000_1000, 12288, shape, None, None, tpu.f32)

    ir = kernel.ir({"x": shape})
    found = read(ir)
    tensor = "local f32[1, 64, 1, 16] at"
    assert f"arith.add(dst={tensor} 0x2000, src0={tensor} 0x1000, src1=bits f32[0x3fc00000]);" in str(ir)
    assert found.program({"x": shape}).streams() == kernel.program({"x": shape}).streams()


def test_a_dropped_operation_is_waited_for_by_nobody() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a = k.local(x.shape, x.dtype)
        with k.when(x.shape[0] > 5):
            token = k.dma.load(a, x)
        k.tiu.fill(a, 0, after=token)
        k.dma.store(out, a)

    read(kernel.ir({"x": (1, 4, 2, 8)}))
    assert len(kernel.program({"x": (1, 4, 2, 8)}).groups[0].gdma) == 2
    assert len(kernel.program({"x": (6, 4, 2, 8)}).groups[0].gdma) == 3
