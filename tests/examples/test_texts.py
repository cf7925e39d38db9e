"""The examples that are text: against numpy over odd shapes and all types, beside their Python twins, and on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpukernel as tpu
from tests.cli.runs import Command
from tests.examples import references
from tests.examples.load import FOLDER, example, text_example
from tests.examples.references import Case
from tests.examples.test_kernels import FLOATS, HALVES, SHAPES, SIZES, TILES, normal
from tpukernel.dtypes import Dtype

FILES = sorted(FOLDER.glob("*.tpuk"))


@pytest.fixture
def tpukernel(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def check(kernel: tpu.Kernel, case: Case) -> None:
    """Both engines make the same of the arrays, and what numpy makes of them."""
    one, other = (kernel.run(*case.arrays, engine=engine, **case.keywords)["out"] for engine in ("interpreter", "jit"))
    assert one.tobytes() == other.tobytes()
    case.require(one)


@given(SHAPES, FLOATS, TILES, TILES)
@normal
def test_axpy(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    check(text_example("axpy"), references.axpy(shape, dtype, tile_h=tile_h, tile_w=tile_w))


@given(SHAPES, FLOATS, TILES)
@normal
def test_softmax(shape: Sequence[int], dtype: Dtype, tile: int) -> None:
    check(text_example("softmax"), references.softmax(shape, dtype, tile_h=tile))


@given(SIZES, SIZES, SIZES, HALVES, st.sampled_from([32, 64, 200]), st.sampled_from([32, 65]))
@normal
def test_matmul(m: int, depth: int, n: int, dtype: Dtype, tile: int, tile_k: int) -> None:
    check(text_example("matmul"), references.matmul(m, depth, n, dtype, tile_m=tile, tile_n=tile, tile_k=tile_k))


@given(SIZES, SIZES, SIZES, st.sampled_from([32, 64, 200]), st.sampled_from([32, 65]))
@normal
def test_matmul_f32(m: int, depth: int, n: int, tile: int, tile_k: int) -> None:
    check(text_example("matmul", "matmul_f32"), references.matmul(m, depth, n, tpu.f32, tile_m=tile, tile_n=tile, tile_k=tile_k))


def test_every_kernel_is_tested() -> None:
    names = {name for path in FILES for name in tpu.load_all(path)}
    assert names == {"axpy", "softmax", "matmul", "matmul_f32"} == {use.kernel for use in USES}


@dataclass(frozen=True)
class Use:
    """What a kernel is used with on the command line: the words for it, shapes and keywords for its Python twin."""

    file: str
    kernel: str
    dtype: str
    shapes: Mapping[str, tuple[int, ...]]
    keywords: Mapping[str, Any]

    def words(self) -> Iterator[str]:
        """`FILE.tpuk:kernel --shape ...`"""
        yield f"{FOLDER / self.file}.tpuk:{self.kernel}"
        yield from ("--dtype", self.dtype)
        for name, shape in self.shapes.items():
            yield from ("--shape", f"{name}={','.join(map(str, shape))}")
        for name, value in self.keywords.items():
            yield from ("--attr", f"{name}={value}")


IMAGE, MATRICES = (2, 70, 9, 100), {"left": (130, 200), "right": (200, 65)}
USES = [
    Use("axpy", "axpy", "bf16", {"x": IMAGE, "y": IMAGE}, {"alpha": 2.5, "tile_w": 64}),
    Use("softmax", "softmax", "f16", {"x": IMAGE}, {"tile_h": 4}),
    Use("matmul", "matmul", "f16", MATRICES, {"tile_k": 64}),
    Use("matmul", "matmul_f32", "f32", MATRICES, {"tile_k": 64}),
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.kernel)
def test_it_is_no_slower_than_the_python_example(use: Use) -> None:
    text, python = text_example(use.file, use.kernel), example(use.file).with_tuning(None)
    one, other = (kernel.elaborate(use.shapes, use.dtype, **use.keywords) for kernel in (text, python))
    assert one.timeline().cycles <= other.timeline().cycles
    if use.kernel != "softmax":  # which copies a row of another type one time more
        assert one.program.streams() == other.program.streams()


@pytest.mark.parametrize("use", USES, ids=lambda use: use.kernel)
def test_on_the_command_line(tpukernel: Command, use: Use) -> None:
    run = tpukernel("run", *use.words(), "--random")
    assert run.code == 0 and run.lines[1].startswith(f"out {use.dtype}["), run
    told = tpukernel("bench", *use.words(), "--simulate", "0")
    assert told.code == 0 and told.lines[0].startswith(f"{use.kernel}(")
    assert tpukernel("memory", *use.words()).code == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_they_are_in_the_usual_form_and_without_mistakes(tpukernel: Command, path: Path) -> None:
    assert tpukernel("fmt", "--check", path).code == 0
    assert tpukernel("check", path).code == 0
