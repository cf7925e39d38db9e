"""What the message about local memory proposes: it is the largest that fits, and it does fit."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.kernels import abs_add, matmul
from tpukernel.dtypes import f16, f32
from tpukernel.lang import Kernel, elaborate
from tpukernel.lang.errors import LocalMemoryError


def help_of(kernel: Kernel, shapes: dict[str, tuple[int, ...]], **keywords: object) -> str:
    with pytest.raises(LocalMemoryError) as caught:
        kernel.program(shapes, **keywords)  # pyright: ignore[reportArgumentType]
    return str(caught.value).rpartition("help: ")[2]


def fits(kernel: Kernel, shapes: dict[str, tuple[int, ...]], **keywords: object) -> bool:
    try:
        kernel.program(shapes, **keywords)  # pyright: ignore[reportArgumentType]
    except LocalMemoryError:
        return False
    return True


@given(st.integers(1, 6), st.integers(1000, 20000), st.integers(2, 3))
def test_the_largest_tile_that_fits(h: int, tile: int, buffers: int) -> None:
    shapes = {"x": (1, 64, h, 20000)}
    if fits(abs_add, shapes, c=1.0, tile_w=tile, buffers=buffers):
        return
    found = re.search(r"tile_w=(\d+) instead of (\d+)", help_of(abs_add, shapes, c=1.0, tile_w=tile, buffers=buffers))
    unit = min(tile & -tile, 64)
    if found is None:
        assert not fits(abs_add, shapes, c=1.0, tile_w=unit * max(-(-tile // 16 // unit), 1), buffers=buffers)
        return
    assert int(found[2]) == tile and int(found[1]) % unit == 0
    assert fits(abs_add, shapes, c=1.0, tile_w=int(found[1]), buffers=buffers)
    assert not fits(abs_add, shapes, c=1.0, tile_w=int(found[1]) + unit, buffers=buffers)


def test_every_change_that_helps() -> None:
    shapes = {"left": (512, 2048), "right": (2048, 4096)}
    keywords = {"tile_m": 256, "tile_k": 1024, "tile_n": 2048}
    assert help_of(matmul, shapes, **keywords) == (
        "it fits with tile_k=768 instead of 1024, or tile_n=1024 instead of 2048, or tensors of f16 or bf16 instead of f32, "
        "or buffers=1 instead of 2, without overlap"
    )
    for change in ({"tile_k": 768}, {"tile_n": 1024}):
        assert fits(matmul, shapes, **keywords | change)
    matmul.program(shapes, f16, **keywords)  # pyright: ignore[reportArgumentType]


@tpu.kernel
def fixed_steps(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    n, c, h, w = x.shape
    for w0 in k.pipeline(0, w, 20000):
        k.print("step", w0)
        ws = tpu.minimum(20000, w - w0)
        a, b = k.local((n, c, h, ws), x.dtype), k.local((n, c, h, ws), x.dtype)
        k.dma.load(a, x[..., w0 : w0 + ws])
        k.tiu.add(b, a, 1)
        k.dma.store(out[..., w0 : w0 + ws], b)


def test_a_step_that_is_written_as_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"x": (1, 64, 1, 60000)}
    found = help_of(fixed_steps, shapes)
    assert found.startswith("it fits with 16384 instead of 20000 as the step of w0 (loop at test_fitting.py:")
    assert capsys.readouterr().out == "step 0\nstep 20000\nstep 40000\n"  # attempts print nothing
    with pytest.raises(LocalMemoryError) as caught:  # the representation alone knows the loop, too
        elaborate(fixed_steps.ir(shapes), dict.fromkeys(("x", "out"), shapes["x"]), tpu.BM1684X)
    assert "16384 instead of 20000 as the step of w0" in str(caught.value)


def whole(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    a = k.local(x.shape, x.dtype)
    k.dma.load(a, x)
    k.tiu.add(a, a, 1)
    k.dma.store(out, a)


@pytest.mark.parametrize(("shape", "size", "axis"), [((8, 64, 100, 1000), 80, 3), ((8, 64, 30000, 1), 8192, 2), ((300, 64, 30, 30), 68, 0)])
def test_pieces_of_tensors(shape: tuple[int, ...], size: int, axis: int) -> None:
    kernel = tpu.kernel(whole)
    found = help_of(kernel, {"x": shape})
    assert f"{size} of the {shape[axis]} elements of dimension {axis}" in found
    assert fits(kernel, {"x": (*shape[:axis], size, *shape[axis + 1 :])})


def test_what_the_author_fixed() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, f32), k.local(x.shape, f32, at=0x38000)
        k.dma.load(a, x)
        k.tiu.add(b, a, 1)
        k.dma.store(out, b)

    assert help_of(kernel, {"x": (1, 64, 1, 20000)}).startswith("it fits with pieces of")


def test_nothing_is_tried_before_somebody_looks() -> None:
    calls: list[int] = []

    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, tile: int = 65536) -> None:
        calls.append(tile)
        k.tiu.fill(k.local((4, 64, 1, tile // 2), x.dtype), 0)

    with pytest.raises(LocalMemoryError) as caught:
        kernel.program({"x": (1, 1, 1, 1)})
    assert calls == [65536]
    copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert len(calls) > 1
    assert str(copied) == str(caught.value) and "tile=32768 instead of 65536" in str(copied)
