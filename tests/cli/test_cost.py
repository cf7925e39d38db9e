"""`tpukernel cost`: tables, data and traces of streams and of BModels."""

from __future__ import annotations

import json
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.cli.runs import Command, program, write_streams
from tests.support.bmodels import ADD_DYNAMIC, ADD_STAGES, CONV, TOPK_BM1684, write_fixture
from tpukernel.isa.sources import GROUP

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry points of pyproject.toml, as an installation would have them; the tests also run from a checkout."""
    if not entry_points(group=GROUP):
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
        folder = tmp_path_factory.mktemp("installed") / "tpukernel-0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tpukernel\nVersion: 0\n")
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n" + "".join(f"{name} = {value}\n" for name, value in declared.items()))
        monkeypatch.setattr(sys, "path", [*sys.path, str(folder.parent)])


def test_a_bmodel(tpukernel: Command, tmp_path: Path) -> None:
    run = tpukernel("cost", write_fixture(CONV, tmp_path))
    assert (run.code, run.err) == (0, "")
    assert run.lines[0] == "# net 'conv_relu_f32', stage 0, subnet 0, group 0"
    assert run.lines[1] == "start end cycles engine id waits command bytes notes"
    assert "total: 3568 cycles, 3.568 us at 1000 MHz (BM1684X, mode peer)" in run.lines
    assert "traffic: 25664 bytes read, 16384 written, 0.86 times what is needed; DMA efficiency 66%" in run.lines
    assert "roof: 937 cycles (memory at the peak rate); the program reaches 26% of it" in run.lines
    assert any(line.startswith("advice: ") for line in run.lines)


def test_groups_are_chosen_and_shown_as_json(tpukernel: Command, tmp_path: Path) -> None:
    path = write_fixture(ADD_STAGES, tmp_path)
    assert [group["cycles"] for group in json.loads(tpukernel("cost", path, "--json").out)] == [938, 938, 938]
    (chosen,) = json.loads(tpukernel("cost", path, "--group", "stage 1", "--json", "--mode", "hw").out)
    assert (chosen["title"], chosen["mode"]) == ("net 'add_f32', stage 1, subnet 0, group 0", "hw")
    assert chosen["cycles"] == 938 + 3 * 150 + 11


def test_a_trace(tpukernel: Command, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    assert tpukernel("cost", write_fixture(ADD_STAGES, tmp_path), "--trace", trace).code == 0
    events = json.loads(trace.read_text())["traceEvents"]
    processes = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert processes == {k: f"net 'add_f32', stage {k - 1}, subnet 0, group 0 (BM1684X, peer)" for k in (1, 2, 3)}
    assert sum(event["ph"] == "X" for event in events) == 12


def test_streams(tpukernel: Command, tmp_path: Path) -> None:
    tiu, gdma = write_streams(tmp_path, program())
    lines = tpukernel("cost", "--tiu", tiu, "--gdma", gdma).lines
    total = program().timeline().cycles
    assert lines[0] == "# streams" and any(line.startswith(f"total: {total} cycles") for line in lines)
    assert "ISA140" in tpukernel.fails("cost", "--tiu", tiu)


def test_what_cannot_be_costed_is_said(tpukernel: Command, tmp_path: Path) -> None:
    assert "ISA" in tpukernel.fails("cost", write_fixture(TOPK_BM1684, tmp_path))
    assert "CLI101" in (told := tpukernel.fails("cost", write_fixture(ADD_DYNAMIC, tmp_path))) and "has no commands" in told
    assert "No such file" in tpukernel.fails("cost", tmp_path / "nothing.bmodel")


def test_wrong_usage(tpukernel: Command, tmp_path: Path) -> None:
    assert tpukernel("cost").code == 2
    assert tpukernel("cost", write_fixture(CONV, tmp_path), "--mode", "exact").code == 2
