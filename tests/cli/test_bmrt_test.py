"""The command `bmrt_test`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmlang.bmodel.combine import Source, combine
from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS
from bmlang.cli.bmrt_test import main
from bmlang.runtime import Network, load_recording
from tests.cli.runs import Run
from tests.support.altered import faults
from tests.support.bmodels import ADD, ADD_STAGES, HANDMADE, MATMUL, TOPK_BM1684, fixture, write_fixture
from tests.support.model_runs import runs_of
from tpukernel.sim.memory import Array


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
    assert titles(result, "cmp") == successes(*ALL) * 2
    assert len(titles(result, "launch total time is")) == 8
    assert "loop: 1" in result.out and "output data #0 shape: [4 4 8 8 ] < " in result.out


def test_the_lines_of_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In their order; what the official tool prints as well has its words, so that scripts which look for them find them."""
    out = run(capsys, "--context_dir", folder(tmp_path, [ADD])).out
    (recorded,) = runs_of(ADD)
    first = " ".join(f"{element:g}" for element in recorded.outputs["z"].reshape(-1)[:16].tolist())
    patterns = [
        "Loop num: 1",
        r"load bmodel .*compilation\.bmodel: chip BM1684X, 1 nets, [\d.]+ s",
        "==> running network #0, name: add_f32, loop: 0",
        r"reading input #0, bytesize=1024 \(x, float32\[1, 4, 8, 8\]\)",
        r"  --> input_data: < .* \.\.\. > len=256",
        r"reading input #1, bytesize=1024 \(y, float32\[1, 4, 8, 8\]\)",
        r"  --> input_data: < .* \.\.\. > len=256",
        r"net\[add_f32\] stage\[0\], launch total time is \d+ us \(on the simulator\)",
        r"\+\+\+ The network\[add_f32\] stage\[0\] output_data \+\+\+",
        rf"output data #0 shape: \[1 4 8 8 \] < {re.escape(first)} \.\.\. > len=256 \(z, float32\)",
        r"==>comparing output in mem #0 \.\.\. ",
        r"\+\+\+ The network\[add_f32\] stage\[0\] cmp success \+\+\+ \(identical\)",
        r"load input time\(s\): [\d.]+",
        r"calculate  time\(s\): [\d.]+",
        r"compare    time\(s\): [\d.]+",
    ]
    for pattern, line in zip(patterns, out.splitlines(), strict=True):
        assert re.fullmatch(pattern, line), (pattern, line)


def test_fast_numerics(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = folder(tmp_path, [MATMUL])
    result = run(capsys, "-d", path, "--numerics=fast", "--accuracy_f=1e-5")
    assert result.code == 0
    assert result.out.splitlines()[1].startswith("numerics: fast ")
    assert re.search(r"launch total time is \d+ us \(on the simulator, fast numerics\)", result.out)
    assert titles(result, "cmp success") == ["+++ The network[matmul_f32] stage[0] cmp success +++"]
    assert "fast numerics" not in run(capsys, "-d", path, "--numerics=exact").out


def test_several_runs_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path, [ADD])
    assert run(capsys, "-d", path, "--calculate_times", "2", "--thread_num", "3").code == 0
    network_run, calls = Network.run, list[int]()

    def wrong_once(self: Network, *arguments: Any, **more: Any) -> dict[str, Array]:
        outputs = network_run(self, *arguments, **more)
        calls.append(len(calls))
        if len(calls) == 5:
            outputs["z"].reshape(-1)[9] += 1  # pyright: ignore[reportOperatorIssue]
        return outputs

    monkeypatch.setattr(Network, "run", wrong_once)
    result = run(capsys, "-d", path, "--calculate_times=6")
    assert result.code == 1 and len(calls) == 6
    assert titles(result, "cmp failed") == ["+++ The network[add_f32] stage[0] cmp failed +++ (run 4 of 6 differs from the first)"]


def test_several_folders(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Their nets are counted on; each has its own data."""
    folders = [tmp_path / name for name in "abc"]
    for path, names in zip(folders, ([ADD_STAGES], [MATMUL], [ADD]), strict=True):
        path.mkdir()
        folder(path, names)
    (tmp_path / "list.txt").write_text(f"# these\n{folders[0]}\n\n{folders[1]} {folders[2]}\n")
    every = successes(*ALL, ("add_f32", 0))
    for options in (
        ("-d", folders[0], "-a", folders[1], "-a", folders[2]),
        ("-b", tmp_path / "list.txt"),
        ("-d", folders[0], "-d", folders[1], "-a", folders[2]),
    ):
        assert titles(run(capsys, *options), "cmp") == every
    assert titles(run(capsys, "-b", tmp_path / "list.txt", "--net_idx=2"), "cmp") == every[-1:]


def test_exporting(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder(tmp_path)
    assert run(capsys, "-d", tmp_path, "--export_output", "--loopnum=2").code == 0
    assert (tmp_path / "output.dat").read_bytes() == (tmp_path / OUTPUTS).read_bytes()
    (tmp_path / "output.dat").unlink()
    assert run(capsys, "--bmodel", tmp_path / MODEL, "--input_ref", tmp_path / INPUTS, "--export_output").code == 0
    assert (tmp_path / "output.dat").read_bytes() == (tmp_path / OUTPUTS).read_bytes()


def test_the_reference_has_a_name_in_the_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder(tmp_path, [ADD])
    (tmp_path / OUTPUTS).rename(tmp_path / "named.dat")
    assert titles(run(capsys, "-d", tmp_path, "--output_ref", "named.dat"), "cmp") == successes(("add_f32", 0))


# ------------------------------------------------------------------ recordings


def test_dump_and_compare(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, dump, short = folder(tmp_path, [HANDMADE]), tmp_path / "run.npz", tmp_path / "short.npz"
    written = run(capsys, "-d", path, "--dump", dump)
    assert written.code == 0
    assert titles(written, "dump ") == [f"dump {dump}: <Recording BM1684X: 1 launches, 8 commands, 8 recorded, keep='results'>"]
    same = run(capsys, "-d", path, "--compare_run", dump)
    assert same.code == 0 and same.out.splitlines()[-2:] == [f"compare with {dump}:", "9 results compared, all are equal"]
    (fault,) = (fault for fault in faults(fixture(HANDMADE)) if (fault.engine, fault.number, fault.what) == ("tiu", 2, "op"))
    fault.model.save(tmp_path / "wrong.bmodel")
    given = ("--bmodel", tmp_path / "wrong.bmodel", "--input_ref", path / INPUTS)
    wrong = run(capsys, *given, "--compare_run", dump, "--dump", short, "--dump_commands", "3:4", "--dump_keep=all")
    assert wrong.code == 1 and "dst of tiu command 2 (arith.add) of net 'mine', stage 0, subnet 0 differs:" in wrong.out
    assert [entry.title for entry in load_recording(short).entries if entry.selected] == ["inputs", "arith.add", "outputs"]
    units = run(capsys, *given, "--dump", short, "--dump_units", "dma,arith.max")
    assert units.code == 0 and "8 commands, 4 recorded" in units.out


def test_arrays_as_reference_of_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, (recorded,) = folder(tmp_path, [ADD]), runs_of(ADD)
    near = np.array(recorded.outputs["z"])
    near.reshape(-1)[7] += 0.25
    np.save(path / "near.npy", near, allow_pickle=False)
    exact = run(capsys, "-d", path, "--compare_run", path / "near.npy")
    assert exact.code == 1 and "1 of 256 elements differ, by at most 0.25" in exact.out
    assert run(capsys, "-d", path, "--compare_run", path / "near.npy", "--atol", "0.3").code == 0
    missing = run(capsys, "-d", path, "--compare_run", path / "none.npy")
    assert missing.code == 1 and missing.err.endswith("none.npy: No such file or directory\n")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out.startswith("bmrt_test ")


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
        ("-d", "a", "--devid", "1"),
        ("-d", "a", "--dump", "b", "--dump_commands", "7"),
        ("-d", "a", "-a", "b", "--dump", "c"),
        ("-d", "a", "-a", "b", "--input_ref", "c"),
        ("--bmodel", "a", "-a", "b"),
        ("-b", "/dev/null"),
    ],
)
def test_command_lines_that_make_no_sense(capsys: pytest.CaptureFixture[str], options: Sequence[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2 and "usage: bmrt_test" in capsys.readouterr().err
