"""`tpukernel chips` and `tpukernel doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import tpukernel as package
from tests.cli.runs import Command
from tpukernel.chips.chip import CHIPS
from tpukernel.isa.tables import instruction_set


def test_chips_as_text(tpukernel: Command) -> None:
    run = tpukernel("chips")
    assert (run.code, run.err) == (0, "")
    blocks = {block.splitlines()[0]: block for block in run.out.split("\n\n")}
    assert blocks.keys() == CHIPS.keys()
    assert "64 of 262144 bytes in 16 banks, tensors aligned to 64 bytes" in blocks["BM1684X"]
    assert all(unit.unit in blocks["BM1684X"] for unit in instruction_set("BM1684X").units)
    assert "not described yet" in blocks["BM1684"]


def test_chips_as_json(tpukernel: Command) -> None:
    shown = json.loads(tpukernel("chips", "--json").out)
    assert shown.keys() == CHIPS.keys()
    for name, chip in CHIPS.items():
        figures = shown[name]
        assert (figures["lanes"], figures["lane_bytes"], figures["banks"]) == (chip.lanes, chip.lane_bytes, chip.banks)
        assert figures["alignment_bytes"] == chip.eu_bytes
        assert figures["dtypes"] == [dtype.name for dtype in chip.dtype_codes]
        assert figures["memories"] == {r.name: {"base": r.base, "size": r.size} for r in chip.regions.values()}
    assert shown["BM1684X"]["units"] == [unit.unit for unit in instruction_set("BM1684X").units]
    assert shown["BM1684"]["units"] == []


SECTIONS = ["versions", "processor", "cache", "official libraries"]


def test_doctor_as_text(tpukernel: Command) -> None:
    run = tpukernel("doctor")
    assert (run.code, run.err) == (0, "")
    assert [line for line in run.out.splitlines() if not line.startswith(" ")] == SECTIONS
    assert f"tpukernel {package.__version__}" in run.lines


def test_doctor_as_json(tpukernel: Command) -> None:
    report = json.loads(tpukernel("doctor", "--json").out)
    assert list(report) == SECTIONS
    assert report["versions"]["tpukernel"] == package.__version__
    assert report["versions"]["numpy"] == np.__version__
    assert int(report["processor"]["cores"]) >= 1


def test_doctor_finds_libraries(tpukernel: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libcmodel_1684x.so").touch()
    monkeypatch.setenv("TPU_ORACLE_DIR", str(tmp_path))
    found = json.loads(tpukernel("doctor", "--json").out)["official libraries"]
    assert found["TPU_ORACLE_DIR"] == f"1 emulator libraries in {tmp_path}"


def test_doctor_works_on_a_broken_installation(tpukernel: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what it is for."""
    monkeypatch.delenv("TPUKERNEL_CACHE", raising=False)
    for name in ("llvmlite", "llvmlite.binding", "platformdirs"):
        monkeypatch.setitem(sys.modules, name, None)
    run = tpukernel("doctor")
    assert run.code == 0 and "unknown without llvmlite" in run.out and "unknown without platformdirs" in run.out
