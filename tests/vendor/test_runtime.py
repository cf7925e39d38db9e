"""Our runtime against the official one, on the recorded models and on larger ones of the same compiler."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bmlang.bmodel import BModel, load
from bmlang.bmodel.combine import Source, combine
from bmlang.bmodel.schema import Net
from bmlang.runtime import Runtime
from bmlang.runtime.errors import DynamicSubnetError, RunChipError
from tests.support.bmodels import TOPK
from tests.support.conv_example import INPUTS, conv_model
from tests.support.cpu_models import host_model, topk_parameters
from tests.support.model_runs import runs_of
from tests.support.model_tool import corpus
from tests.support.oracle import oracle_script
from tests.support.vendor import each
from tests.vendor.test_bmodel_runtime import Recording, recordings
from tpukernel.sim.memory import Array

NONE = "the recorded models are not there"
pytestmark = pytest.mark.vendor

RECORDED = [*recordings()]
SLOW = ("conv56_f16", "conv56_f32", "conv56_int8", "mm512_f16", "mm512_f32")
"""Larger models that take the interpreter or the official emulator more than a few seconds."""


def larger() -> list[Path]:
    """Larger models, beside the folder of the oracle script."""
    return sorted((oracle_script().resolve().parents[1] / "bench").glob("*.bmodel"))


def is_dynamic(net: Net) -> bool:
    return any(stage.is_dynamic or any(subnet.is_dynamic for subnet in stage.subnets) for stage in net.stages)


def official(model: Path, net: str, inputs: dict[str, Array], folder: Path) -> dict[str, Array]:
    """What the official runtime computes, in a process of its own."""
    given, result = folder / "given.npz", folder / "result.npz"
    np.savez(given, allow_pickle=False, **inputs)
    command = [sys.executable, oracle_script(), "run", model, given, result, load(model).model.chip.lower(), net]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with np.load(result) as arrays:
        return dict(arrays)


def same(ours: dict[str, Array], theirs: dict[str, Array]) -> None:
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        assert (ours[name].dtype, ours[name].shape) == (wanted.dtype, wanted.shape)
        assert ours[name].tobytes() == wanted.tobytes(), name


def arrays_of(path: Path) -> dict[str, Array]:
    with np.load(path) as arrays:
        return {name: np.ascontiguousarray(arrays[name]) for name in arrays.files}


def test_the_models_are_there() -> None:
    if not corpus():
        pytest.skip("there are no recorded models")
    assert (len(RECORDED), len(larger())) == (39, 12)


@each("recording", RECORDED, reason=NONE)
def test_recorded_models(recording: Recording) -> None:
    """Static BM1684X nets give the recorded outputs, and pass the checks; the others are refused."""
    runtime, inputs = Runtime(recording.model, check=True), arrays_of(recording.inputs)
    (net,) = (net for net in runtime.model.net if net.name == recording.net)
    if runtime.chip != "BM1684X":
        with pytest.raises(RunChipError):
            runtime[net.name].run(inputs)
    elif is_dynamic(net):
        with pytest.raises(DynamicSubnetError):
            runtime[net.name].run(inputs)
    else:
        same(runtime[net.name].run(inputs), arrays_of(recording.outputs))


def test_all_static_models_in_one_file() -> None:
    """All nets in one runtime: each is moved to other addresses."""
    static: dict[str, tuple[Source, list[Recording]]] = {}
    for recording in RECORDED:
        bmodel = load(recording.model)
        if bmodel.model.chip == "BM1684X" and len(bmodel.model.net) == 1 and not is_dynamic(bmodel.model.net[0]):
            name = recording.model.stem
            renamed = BModel(replace(bmodel.model, net=(replace(bmodel.model.net[0], name=name),)))
            static.setdefault(name, (Source(name, renamed), []))[1].append(recording)
    if not static:
        pytest.skip("there are no recorded models")
    runtime = Runtime(combine([source for source, _ in static.values()]).bmodel)
    for name, (_, recorded) in [*static.items(), *reversed(static.items())]:
        for recording in recorded:
            same(runtime[name].run(arrays_of(recording.inputs)), arrays_of(recording.outputs))


@each("model", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in SLOW else []) for p in larger()], reason=NONE)
def test_larger_models(model: Path, tmp_path: Path) -> None:
    runtime, rng = Runtime(model), np.random.default_rng(5)
    ((name, net),) = runtime.nets.items()
    inputs: dict[str, Array] = {}
    for tensor in net.inputs:
        numbers = rng.standard_normal(tensor.shapes[0])
        inputs[tensor.name] = (numbers * 40).astype(tensor.dtype) if tensor.dtype.kind in "iu" else numbers.astype(tensor.dtype)
    same(net.run(inputs), official(model, name, inputs, tmp_path))


@pytest.mark.parametrize("by_value", [True, False])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_a_host_subnet(k: int, by_value: bool, tmp_path: Path) -> None:
    """The official runtime executes the host operator of a file that was made here, and gives the same."""
    path, (run,) = tmp_path / "host.bmodel", runs_of(TOPK)
    host_model(topk_parameters(k, 1, by_value=by_value), k=k).save(path)
    same(Runtime(path)["convtopk"].run(run.inputs), official(path, "convtopk", run.inputs, tmp_path))


def test_a_model_made_by_hand(tmp_path: Path) -> None:
    """The official runtime takes a file that was made here from a program of our own, and computes the same."""
    path = tmp_path / "block.bmodel"
    conv_model().save(path)
    same(Runtime(path, check=True)["block"].run(INPUTS), official(path, "block", INPUTS, tmp_path))
