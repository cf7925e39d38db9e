"""Whole nets on the official runtime: the bits of our simulator."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.importers.onnx import load
from tests.support.effort import of_today
from tests.support.official_runtime import Request, official_outputs
from tests.support.onnx_nets import NETS
from tests.support.oracle import oracle_available, oracle_script
from tests.support.torch_files import FILES, FOLDER, net_of

ORACLE = oracle_available()
pytestmark = [pytest.mark.vendor, pytest.mark.skipif(ORACLE is not None, reason=str(ORACLE))]


def pretrained() -> tuple[Path, Path]:
    """A detector of faces that was trained, and an input; it lies beside the oracle's folder."""
    folder = Path(oracle_script()).resolve().parents[1] / "models"
    found = folder / "blazeface.onnx", folder / "blazeface_in.npz"
    if not found[0].exists():
        pytest.skip(f"there is no {found[0].name} beside the oracle")
    return found


@pytest.mark.parametrize("mode", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("name", NETS)
def test_nets(name: str, mode: str) -> None:
    net = load(NETS[name]())
    random = np.random.default_rng(0)
    given: dict[str, Array] = {key: random.standard_normal(spec.shape, np.float32) for key, spec in net.specs.items()}
    assert_same_bits(bm.compile(net, stages=[net.specs], mode=mode), given)


STATIC = [file for file in FILES if not net_of(file).varying]


@pytest.mark.parametrize(("mode", "file"), of_today(list(product(("f32", "f16"), STATIC)), 8))
def test_nets_of_torch(file: str, mode: str) -> None:
    net = load(FOLDER / file)
    x = np.random.default_rng(0).standard_normal(net_of(file).shape, np.float32)
    assert_same_bits(bm.compile(net, stages=[net.specs], mode=mode), {"input": x})


@pytest.mark.parametrize("mode", ["f32", "f16"])
def test_a_pretrained_net(mode: str) -> None:
    path, inputs = pretrained()
    net = load(path)
    with np.load(inputs) as arrays:
        given: dict[str, Array] = {key: arrays[key] for key in arrays.files}
    assert_same_bits(bm.compile(net, stages=[net.specs], mode=mode), given)


def assert_same_bits(model: bm.Model, given: dict[str, Array]) -> None:
    ours = model.run(**given)
    (name,) = model.runtime.nets
    (theirs,) = official_outputs([Request(model.bmodel.to_bytes(), name, given)])
    assert not theirs.failure, theirs.failure
    assert set(theirs.outputs) == set(ours)
    for key, array in theirs.outputs.items():
        assert array.tobytes() == ours[key].tobytes(), key
