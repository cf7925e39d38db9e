"""`tpukernel disasm FILE`: readers of file formats register themselves; the one of BModels does."""

from __future__ import annotations

import json
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import bmlang as bm
from bmlang.bmodel.streams import groups_of
from tests.cli.runs import Command
from tests.support.bmodels import ADD, ADD_STAGES, CONV, TOPK, TOPK_BM1684, fixture, write_fixture
from tpukernel.isa import Program
from tpukernel.isa.sources import GROUP

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry points of pyproject.toml, as an installation would have them; the tests also run from a checkout."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    if not entry_points(group=GROUP):
        folder = tmp_path_factory.mktemp("installed") / "tpukernel-0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tpukernel\nVersion: 0\n")
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n" + "".join(f"{name} = {value}\n" for name, value in declared.items()))
        monkeypatch.setattr(sys, "path", [*sys.path, str(folder.parent)])
    assert {entry.name: entry.value for entry in entry_points(group=GROUP)} == declared


def test_a_bmodel(tpukernel: Command, tmp_path: Path) -> None:
    run = tpukernel("disasm", write_fixture(CONV, tmp_path), "--check")
    assert (run.code, run.err) == (0, "")
    title, *lines = run.out.splitlines()
    assert title == "# net 'conv_relu_f32', stage 0, subnet 0, group 0"
    (place,) = groups_of(fixture(CONV).model)
    group = place.group
    assert group.binary_bdc is not None and group.binary_gdma is not None
    program = Program.from_streams("BM1684X", tiu=bytes(group.binary_bdc.data), gdma=bytes(group.binary_gdma.data))
    assert lines[:-1] == program.listing().splitlines()
    assert len(lines) == group.bdc_num + group.gdma_num + 1


def test_groups_are_told_apart_and_chosen(tpukernel: Command, tmp_path: Path) -> None:
    path = write_fixture(ADD_STAGES, tmp_path)
    titles = [f"# net 'add_f32', stage {stage}, subnet 0, group 0" for stage in range(3)]
    assert [line for line in tpukernel("disasm", path).out.splitlines() if line.startswith("# net")] == titles
    assert [line for line in tpukernel("disasm", path, "--group", "stage 1").out.splitlines() if line.startswith("# net")] == titles[1:2]
    assert "is called 'stage 7'" in tpukernel.fails("disasm", path, "--group", "stage 7")


def test_json(tpukernel: Command, tmp_path: Path) -> None:
    shown = json.loads(tpukernel("disasm", write_fixture(TOPK, tmp_path), "--json").out)
    assert [(group["title"], group["chip"]) for group in shown] == [("net 'convtopk', stage 0, subnet 0, group 0", "BM1684X")]
    assert shown[0]["commands"][0]["engine"] == "gdma"


def test_files_that_cannot_be_shown(tpukernel: Command, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("no streams")
    assert "ISA150: no reader knows the format of" in tpukernel.fails("disasm", other)
    assert "registered formats: bmodel" in tpukernel.fails("disasm", other)
    cut = tmp_path / "cut.bmodel"
    cut.write_bytes(write_fixture(ADD, tmp_path).read_bytes()[:5000])
    assert "BMODEL102" in tpukernel.fails("disasm", cut)
    assert "ISA110" in tpukernel.fails("disasm", write_fixture(TOPK_BM1684, tmp_path))
    assert "missing.bmodel" in tpukernel.fails("disasm", tmp_path / "missing.bmodel")


def test_costs_of_a_compiled_function_speak_of_its_operators(tpukernel: Command, tmp_path: Path) -> None:
    @bm.function
    def gate(x: bm.Tensor) -> bm.Tensor:
        return bm.relu(x) * x

    path = bm.compile(gate, stages=[{"x": (1, 64, 8, 8)}]).save(tmp_path / "gate.bmodel")
    run = tpukernel("cost", path)
    assert (run.code, run.err) == (0, "")
    for title, node in (("arith.max", "relu bm::relu"), ("arith.mul", "mul bm::mul")):
        assert any(title in line and f"{node} test_disasm_bmodel.py:" in line for line in run.lines), run.out
