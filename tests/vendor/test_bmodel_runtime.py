"""BModels on the official runtime and emulator: what was written, extracted, combined or joined here computes the recorded outputs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from bmlang.bmodel import BModel, load
from bmlang.bmodel.coeff import combine_coeff
from bmlang.bmodel.combine import Source, combine, extract
from tests.support.bmodels import CONV, MATMUL, TOPK
from tests.support.model_tool import corpus, corpus_folder
from tests.support.oracle import oracle_script
from tests.support.vendor import each

NONE = "the recorded models are not there"
pytestmark = [pytest.mark.vendor, pytest.mark.skipif(not corpus(), reason=NONE)]

SLOW = ("bm1684x_f32_nms_dynamic",)
"""Takes the official emulator a quarter of a minute."""


@dataclass(frozen=True)
class Recording:
    """A recorded run: the model, its net, inputs and outputs."""

    model: Path
    net: str
    inputs: Path
    outputs: Path

    def __str__(self) -> str:
        return self.inputs.name.removesuffix(".in.npz")


def recordings() -> Iterator[Recording]:
    """All recorded runs. What stands between the names of model and kind is the net, or what the stage is called."""
    for model in corpus():
        nets = [net.name for net in load(model).model.net]
        for inputs in sorted(model.parent.glob(f"{model.stem}.*in.npz")):
            variant = inputs.name[len(model.stem) + 1 :].removesuffix("in.npz").rstrip(".")
            net = variant if variant in nets else nets[0]
            yield Recording(model, net, inputs, inputs.with_name(inputs.name.removesuffix("in.npz") + "out.npz"))


def marked(recording: Recording) -> ParameterSet:
    """The recording, marked when it is slow."""
    return pytest.param(recording, id=str(recording), marks=[pytest.mark.slow] if recording.model.stem in SLOW else [])


def outputs(path: Path, recording: Recording, folder: Path) -> dict[str, np.ndarray]:
    """What the official runtime computes with a file, in a process of its own."""
    chip = load(path).model.chip.lower()
    result = folder / "result.npz"
    command = [sys.executable, oracle_script(), "run", path, recording.inputs, result, chip, recording.net]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with np.load(result) as arrays:
        return dict(arrays)


def check(bmodel: BModel, recording: Recording, folder: Path) -> None:
    path = folder / "ours.bmodel"
    bmodel.save(path)
    found = outputs(path, recording, folder)
    with np.load(recording.outputs) as arrays:
        assert found.keys() == set(arrays.files)
        for name in arrays.files:
            assert found[name].dtype == arrays[name].dtype and found[name].tobytes() == arrays[name].tobytes(), name


@each("recording", [marked(recording) for recording in recordings()], reason=NONE)
def test_a_file_that_was_written_again_runs_as_before(recording: Recording, tmp_path: Path) -> None:
    check(load(recording.model), recording, tmp_path)


@each("recording", [one for one in recordings() if "_static_io" in one.model.stem], reason=NONE)
def test_extracted_files_keep_their_address_mode(recording: Recording, tmp_path: Path) -> None:
    """With the official tool the first gives wrong numbers, the second crashes."""
    ((_, _, single),) = extract(load(recording.model))
    check(single, recording, tmp_path)


def three() -> tuple[list[Source], list[Recording]]:
    runs = [one for one in recordings() if one.model.stem in (CONV, MATMUL, TOPK)]
    return [Source(str(one.model), load(one.model)) for one in runs], runs


def test_combined_and_joined_files_run(tmp_path: Path) -> None:
    sources, runs = three()
    assert len(runs) == 3
    for made in (combine(sources), combine_coeff(sources)):
        for recording in runs:
            check(made.bmodel, recording, tmp_path)


def test_the_corpus_folder_is_found() -> None:
    assert corpus_folder().name == "corpus" and len(list(recordings())) >= 35
