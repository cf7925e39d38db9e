"""Files of compiled functions on the official runtime and tool: the map of commands does not disturb them, and the outputs are ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang.bmodel import load
from bmlang.bmodel.nodes import nodes_of
from tests.support.model_tool import model_tool, tool_available
from tests.support.oracle import oracle_available, oracle_script

TOOL, ORACLE = tool_available(), oracle_available()
pytestmark = [pytest.mark.vendor]
needs_tool = pytest.mark.skipif(TOOL is not None, reason=str(TOOL))
needs_runtime = pytest.mark.skipif(ORACLE is not None, reason=str(ORACLE))
KERNEL = np.random.default_rng(0).standard_normal((70, 3, 3, 3), np.float32)
SHAPES = [(1, 3, 16, 16), (2, 3, 9, 7)]


@bm.function
def block(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
    y = bm.conv(x, KERNEL, pad=1)
    return bm.relu(y), bm.sigmoid(y) * y


@pytest.fixture(scope="module", params=["f32", "f16", "bf16"])
def model(request: pytest.FixtureRequest) -> bm.Model:
    return bm.compile(block, stages=[{"x": shape} for shape in SHAPES], mode=request.param)


@needs_runtime
def test_the_official_runtime_gives_our_bits(model: bm.Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "block.bmodel")
    assert nodes_of(load(path).model.net[0].stages[0]) is not None
    for shape in SHAPES:
        x = np.random.default_rng(1).standard_normal(shape, np.float32)
        np.savez(tmp_path / "in.npz", x=x)
        command = [sys.executable, oracle_script(), "run", path, tmp_path / "in.npz", tmp_path / "out.npz", "bm1684x", "block"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        ours = model.run(x=x)
        with np.load(tmp_path / "out.npz") as arrays:
            assert set(arrays.files) == set(ours)
            for name in arrays.files:
                assert arrays[name].tobytes() == ours[name].tobytes(), name


@needs_tool
def test_the_official_tool_reads_and_combines(model: bm.Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "block.bmodel")
    shown = model_tool("--info", path)
    assert shown.returncode == 0 and "block" in shown.stdout and "dim" not in shown.stderr
    assert model_tool("--print", path).returncode == 0
    other = bm.compile(block, stages=[{"x": (3, 3, 5, 5)}]).save(tmp_path / "other.bmodel")
    assert model_tool("--combine", path, other, "-o", tmp_path / "both.bmodel").returncode == 0
    stages = load(tmp_path / "both.bmodel").model.net[0].stages
    assert len(stages) == 3
    kept = [nodes_of(stage) for stage in stages]
    assert all(nodes is None or nodes.nodes for nodes in kept), "carried along or left out, not damaged"
