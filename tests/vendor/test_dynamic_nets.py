"""Dynamic nets and what is official: the runtime does not load such a file; the tool shows and combines it as its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang.bmodel import BModel, load
from tests.support.model_tool import model_tool, tool_available
from tests.support.official_runtime import Request, official_outputs
from tests.support.oracle import oracle_available

TOOL, ORACLE = tool_available(), oracle_available()
pytestmark = [pytest.mark.vendor]
needs_tool = pytest.mark.skipif(TOOL is not None, reason=str(TOOL))
needs_runtime = pytest.mark.skipif(ORACLE is not None, reason=str(ORACLE))
KERNEL = np.random.default_rng(0).standard_normal((70, 3, 3, 3), np.float32)
X = np.ones((2, 3, 9, 7), np.float32)


@bm.function
def block(x: bm.Tensor) -> bm.Tensor:
    return bm.relu(bm.conv(x, KERNEL, pad=1))


@bm.function
def chosen(x: bm.Tensor) -> bm.Tensor:
    return bm.masked_select(x, bm.gt(x, 0.0)) * 2.0


@bm.function
def plain(x: bm.Tensor) -> bm.Tensor:
    return x * 2.0


def dynamic(function: bm.Function) -> BModel:
    return bm.compile(function, stages=[{"x": (4, 3, 16, 16)}, {"x": (2, 3, 9, 7)}], dynamic=True).bmodel


@needs_runtime
def test_the_official_runtime_does_not_load_the_file() -> None:
    static = bm.compile(plain, stages=[{"x": X.shape}]).bmodel
    first, second, third = official_outputs(
        [
            Request(dynamic(block).to_bytes(), "block", {"x": X}),
            Request(dynamic(chosen).to_bytes(), "chosen", {"x": X}),
            Request(static.to_bytes(), "plain", {"x": X}),
        ]
    )
    for refused in (first, second):
        assert refused.failure == "the official runtime ended: cpuop.so in bmodel is not an ELF file.\n", "told, and no crash"
    np.testing.assert_array_equal(third.outputs["output"], 2 * X)


@needs_tool
def test_the_official_tool(tmp_path: Path) -> None:
    path, other, static = tmp_path / "a.bmodel", tmp_path / "b.bmodel", tmp_path / "c.bmodel"
    dynamic(block).save(path)
    bm.compile(block, stages=[{"x": (9, 3, 9, 9)}], dynamic=True).save(other)
    bm.compile(block, stages=[{"x": (9, 3, 9, 8)}]).save(static)
    shown = model_tool("--info", path)
    assert (
        shown.returncode == 0 and "net 0: [block]  dynamic" in shown.stdout and "input: x, [max:4, max:3, max:16, max:16]" in shown.stdout
    )
    assert model_tool("--print", path).returncode == 0
    assert model_tool("--combine", path, other, "-o", tmp_path / "both.bmodel").returncode == 0
    both = bm.Runtime(load(tmp_path / "both.bmodel"))["block"]
    assert both.stage_count == 3
    np.testing.assert_array_equal(both(x=X)["output"], block(X))
    assert "dynamic and static" in (mixed := model_tool("--combine", path, static, "-o", tmp_path / "mixed.bmodel")).stdout + mixed.stderr
