"""Folders as the official compilers write them: `bmrt_test` and `tpu_model --combine_dir` work on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS
from bmlang.cli.bmrt_test import main as bmrt_test
from bmlang.cli.tpu_model import main as tpu_model
from bmlang.compiler.errors import CompileArgumentError
from bmlang.program.folder import IO_INFO
from bmlang.runtime.errors import InputShapeError

SHAPES = [(1, 3, 4), (2, 3, 4)]


@bm.function
def scaled(x: bm.Tensor, y: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
    return x * y, bm.cast(x, bm.i8)


def model(*shapes: tuple[int, ...]) -> bm.Model:
    return bm.compile(scaled, stages=[{"x": shape, "y": (4,)} for shape in shapes])


def test_the_files_hold_all_stages(tmp_path: Path) -> None:
    inputs = [{"x": np.full(shape, 2.4, np.float32), "y": np.arange(4, dtype=np.float32)} for shape in SHAPES]
    folder = model(*SHAPES).save_folder(tmp_path / "a" / "b", {"scaled": inputs})
    assert sorted(path.name for path in folder.iterdir()) == sorted([MODEL, INPUTS, OUTPUTS, IO_INFO])
    assert (folder / INPUTS).read_bytes() == b"".join(each["x"].tobytes() + each["y"].tobytes() for each in inputs)
    outputs = [(each["x"] * each["y"]).tobytes() + np.full(each["x"].shape, 2, np.int8).tobytes() for each in inputs]
    assert (folder / OUTPUTS).read_bytes() == b"".join(outputs)
    assert (folder / IO_INFO).read_text().splitlines()[:4] == [
        "net stage direction tensor type[shape] offset bytes",
        "scaled 0 input x float32[1, 3, 4] 0 48",
        "scaled 0 input y float32[4] 48 16",
        "scaled 0 output output_0 float32[1, 3, 4] 0 48",
    ]


def test_the_runner_finds_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model(*SHAPES).save_folder(tmp_path)
    assert bmrt_test(["--context_dir", str(folder)]) == 0
    data = bytearray((folder / OUTPUTS).read_bytes())
    data[-1] ^= 0x7F
    (folder / OUTPUTS).write_bytes(bytes(data))
    assert bmrt_test(["--context_dir", str(folder)]) != 0
    capsys.readouterr()


def test_folders_are_combined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [model(shape).save_folder(tmp_path / str(shape[0])) for shape in SHAPES]
    assert tpu_model(["--combine_dir", *map(str, folders), "-o", str(tmp_path / "both")]) == 0
    assert bmrt_test(["--context_dir", str(tmp_path / "both")]) == 0
    assert (tmp_path / "both" / INPUTS).read_bytes() == b"".join((folder / INPUTS).read_bytes() for folder in folders)
    capsys.readouterr()


def test_inputs_have_to_fit(tmp_path: Path) -> None:
    arrays = {"x": np.ones((1, 3, 4), np.float32), "y": np.ones(4, np.float32)}
    with pytest.raises(CompileArgumentError, match="BML143: there are inputs for other"):
        model(*SHAPES).save_folder(tmp_path, {"other": [arrays]})
    with pytest.raises(CompileArgumentError, match="BML143: there are inputs for 1 stages of scaled, which has 2"):
        model(*SHAPES).save_folder(tmp_path, {"scaled": [arrays]})
    with pytest.raises(InputShapeError):
        model(*SHAPES).save_folder(tmp_path, {"scaled": [arrays, arrays]})
    assert not list(tmp_path.iterdir())
