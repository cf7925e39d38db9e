"""A program of TpuLang on the official runtime: the same names, and the same bits."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from tests.support.oracle import oracle_available, oracle_script

ORACLE = oracle_available()
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.vendor
@pytest.mark.skipif(ORACLE is not None, reason=str(ORACLE))
def test_the_official_runtime_gives_our_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    runpy.run_path(str(ROOT / "examples" / "tpulang_program.py"))
    command = [sys.executable, oracle_script(), "run", "example_int8.bmodel", "example_in_f32.npz", "out.npz", "bm1684x", "example"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with np.load("example_in_f32.npz") as inputs, np.load("out.npz") as found:
        ours = bm.Runtime("example_int8.bmodel")["example"](x=inputs["x"])
        assert found.files == ["probabilities"]
        assert found["probabilities"].tobytes() == ours["probabilities"].tobytes()
