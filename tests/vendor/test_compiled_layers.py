"""Layers that arrange and convolve, compiled, on the official runtime: its outputs are ours to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from tests.support.agreement import numbers
from tests.support.oracle import oracle_available, oracle_script

ORACLE = oracle_available()
pytestmark = [pytest.mark.vendor, pytest.mark.skipif(ORACLE is not None, reason=str(ORACLE))]
INDEX = np.array([[3, 0, 9], [-1, 10, 5]], np.int32)


@bm.function
def convolved(x: bm.Tensor, weight: bm.Tensor) -> dict[str, bm.Tensor]:
    return {
        "depthwise": bm.conv(x, numbers(70, 1, 3, 3, seed=1), numbers(70, seed=2), pad=1, stride=2, groups=70),
        "groups": bm.conv(x, numbers(140, 7, 2, 2, seed=1), groups=10),
        "given": bm.conv(x, weight, pad=1),
        "transposed": bm.deconv(x, numbers(70, 9, 3, 3, seed=3), stride=2, pad=1, output_padding=1),
        "transposed_depthwise": bm.deconv(x, numbers(70, 1, 4, 4, seed=3), stride=2, pad=1, groups=70),
        "far_apart": bm.conv(x, numbers(5, 70, 16, 16, seed=4), stride=16, pad=6),
    }


@bm.function
def arranged(x: bm.Tensor, index: bm.Tensor) -> dict[str, bm.Tensor]:
    return {
        "gathered": bm.gather(x, index, 2),
        "inward": bm.permute(x, (0, 2, 3, 1)),
        "few_inward": bm.permute(bm.reshape(x, (2, 5, 28, 56)), (0, 2, 3, 1)),
        "few_outward": bm.permute(bm.reshape(x, (2, 16, 70, 7)), (0, 3, 1, 2)),
        "repeated": bm.tile(x, (1, 1, 2, 3)),
        "linear": bm.resize(x, (9, 21), "linear"),
        "nearest": bm.resize(x, (20, 224)),
        "product": bm.matmul(x, x, transpose_b=True),
        "sums": bm.cumsum(x, 2),
    }


@pytest.mark.parametrize("mode", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("function", [convolved, arranged], ids=lambda function: function.name)
def test_the_official_runtime_gives_our_bits(function: bm.Function, mode: str, tmp_path: Path) -> None:
    x = numbers(2, 70, 10, 8) if function is convolved else numbers(2, 7, 10, 112)
    inputs = {"x": x, "weight": numbers(9, 70, 3, 3, seed=5)} if function is convolved else {"x": x, "index": INDEX}
    specs = {name: bm.spec(array.shape, array.dtype.name.replace("float", "f").replace("int", "i")) for name, array in inputs.items()}
    model = bm.compile(function, stages=[specs], mode=mode)
    path = model.save(tmp_path / "layers.bmodel")
    np.savez(tmp_path / "in.npz", allow_pickle=False, **inputs)
    command = [sys.executable, oracle_script(), "run", path, tmp_path / "in.npz", tmp_path / "out.npz", "bm1684x", function.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    ours = model.run(**inputs)
    with np.load(tmp_path / "out.npz") as arrays:
        assert set(arrays.files) == set(ours)
        for name in arrays.files:
            assert arrays[name].tobytes() == ours[name].tobytes(), name
