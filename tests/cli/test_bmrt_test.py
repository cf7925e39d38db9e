"""The command `bmrt_test`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bmlang.bmodel.combine import Source, combine
from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS
from bmlang.cli.bmrt_test import main
from tests.cli.runs import Run
from tests.support.bmodels import ADD, ADD_STAGES, MATMUL, TOPK_BM1684, fixture, write_fixture
from tests.support.model_runs import runs_of


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Run:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return Run(code, out, err)


def folder(path: Path, names: Sequence[str] = (ADD_STAGES, MATMUL)) -> Path:
    """A folder of the compiler: the models in one, with the recorded data of all stages."""
    combine([Source(name, fixture(name)) for name in names]).bmodel.save(path / MODEL)
    runs = [recorded for name in names for recorded in runs_of(name)]
    (path / INPUTS).write_bytes(b"".join(array.tobytes() for recorded in runs for array in recorded.inputs.values()))
    (path / OUTPUTS).write_bytes(b"".join(array.tobytes() for recorded in runs for array in recorded.outputs.values()))
    return path


def titles(result: Run, word: str) -> list[str]:
    return [line for line in result.out.splitlines() if word in line]


ALL = [("add_f32", 0), ("add_f32", 1), ("add_f32", 2), ("matmul_f32", 0)]


def successes(*stages: tuple[str, int]) -> list[str]:
    return [f"+++ The network[{net}] stage[{stage}] cmp success +++ (identical)" for net, stage in stages]


def test_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, "--context_dir", folder(tmp_path), "--loopnum", "2")
    assert (result.code, result.err) == (0, "")
    assert titles(result, "cmp") == [line for stage in ALL for line in successes(stage) * 2]
    assert len(titles(result, "launch total time is")) == 8
    assert "loop: 1" in result.out and "output #0 z: float32 [4, 4, 8, 8] <" in result.out


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (("--net_idx", "1"), ALL[3:]),
        (("--stage_idx", "0"), [ALL[0], ALL[3]]),
        (("--net_idx=0", "--stage_idx=2"), [ALL[2]]),
        (("--shapes", "[2,4,8,8],[2,4,8,8]"), [ALL[1]]),
        (("--shapes", "[16, 64]"), ALL[3:]),
        (("--compare", "0"), []),
    ],
)
def test_choosing(capsys: pytest.CaptureFixture[str], tmp_path: Path, options: Sequence[str], chosen: list[tuple[str, int]]) -> None:
    result = run(capsys, "-d", folder(tmp_path), *options)
    assert (result.code, titles(result, "cmp")) == (0, successes(*chosen))


def test_a_file_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write_fixture(ADD, tmp_path)
    first, second = (run(capsys, "--bmodel", path) for _ in range(2))
    assert first.code == 0 and not titles(first, "cmp")
    assert titles(first, "put #") == titles(second, "put #") != []


@pytest.mark.parametrize(
    ("change", "options", "code", "text"),
    [
        (0.009, (), 0, "cmp success +++\n"),
        (0.5, (), 1, "1 of 256 differ, the first at index 7"),
        (0.5, ("--accuracy_f", "0.6"), 0, "cmp success +++\n"),
        (0.009, ("--accuracy_f", "0"), 1, "cmp failed"),
        (np.nan, ("--accuracy_f", "9"), 1, "expected nan"),
        (np.inf, ("--accuracy_f", "9"), 1, "expected inf"),
        (np.nan, ("--compare=0",), 0, "launch"),
    ],
)
def test_comparing(capsys: pytest.CaptureFixture[str], tmp_path: Path, change: float, options: Sequence[str], code: int, text: str) -> None:
    """The reference is wrong by `change` at one place."""
    folder(tmp_path, [ADD])
    (recorded,) = runs_of(ADD)
    reference = np.array(recorded.outputs["z"], "f4").reshape(-1)
    reference[7] += change
    reference.tofile(tmp_path / "other.dat")
    result = run(capsys, "--context_dir", tmp_path, "--output_ref", tmp_path / "other.dat", *options)
    assert (result.code, result.err) == (code, "")
    assert text in result.out


def test_reference_data_of_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder(tmp_path, [ADD])
    given = ("--bmodel", tmp_path / MODEL, "--input_ref", tmp_path / INPUTS, "--output_ref", tmp_path / OUTPUTS)
    assert titles(run(capsys, *given), "cmp") == successes(("add_f32", 0))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--net_idx", "2"), "RT101: there is no net 2"),
        (("--net_idx", "-1"), "RT101: there is no net -1"),
        (("--stage_idx", "3"), "RT107: no net has such a stage"),
        (("--shapes", "[1]"), "RT107"),
        (("--output_ref", MODEL), "BMODEL128"),
        (("--input_ref", "missing.dat"), "missing.dat: No such file"),
    ],
)
def test_what_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Sequence[str], text: str
) -> None:
    monkeypatch.chdir(folder(tmp_path))
    result = run(capsys, "--context_dir", ".", *options)
    assert result.code == 1 and result.err.startswith(f"bmrt_test: {text}") and result.err.count("\n") == 1


def test_a_model_that_cannot_be_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, "--bmodel", write_fixture(TOPK_BM1684, tmp_path))
    assert result.code == 1 and "RT110: the model is for BM1684" in result.err


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--bmodel", "a", "-d", "b"),
        ("--bmodel", "a", "--output_ref", "b"),
        ("-d", "a", "--loopnum", "0"),
        ("-d", "a", "--shapes", "[1"),
    ],
)
def test_command_lines_that_make_no_sense(capsys: pytest.CaptureFixture[str], options: Sequence[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2 and "usage: bmrt_test" in capsys.readouterr().err
