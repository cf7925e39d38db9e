"""Nets that torch exported: what is compiled computes what onnxruntime does, with fixed sizes and with those that the files leave open.

Some of the pairs of file and mode each day, all of them in the profile `nightly`.
"""

from __future__ import annotations

from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.importers.onnx import load
from bmlang.layers.errors import ShapeError
from tests.importers.models import reference
from tests.support.effort import of_today
from tests.support.torch_files import FILES, FOLDER, net_of

TOLERANCE = {"f32": 5e-6, "f16": 2e-2}
"""Shares of the largest number of an output: roundings of some dozens of layers."""
SMALLER = {
    "resnet18": [(1, 3, 64, 64)],
    "transformer": [(2, 7, 16), (1, 1, 16), (2, 24, 16)],
    "unet": [(1, 3, 32, 48), (2, 3, 16, 24)],
}
"""Shapes with which varying nets run."""


def wanted(path: Path, x: Array) -> NDArray[Any]:
    """The output of the net by onnxruntime; by the reference implementation of ONNX, where that is not installed."""
    try:
        runtime = cast("Any", import_module("onnxruntime"))
    except ImportError:
        (found,) = reference(onnx.load(str(path)), {"input": x}).values()
        return found
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]


def random_input(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def assert_near(found: Array, path: Path, x: Array, mode: str) -> None:
    truth = wanted(path, x)
    assert found.shape == truth.shape
    np.testing.assert_allclose(cast("NDArray[Any]", found), truth, rtol=0, atol=TOLERANCE[mode] * float(np.abs(truth).max()))


STATIC = [file for file in FILES if not net_of(file).varying]
VARYING = [file for file in FILES if net_of(file).varying]


@pytest.mark.parametrize(("mode", "file"), of_today(list(product(("f32", "f16"), STATIC)), 8))
def test_a_net_of_torch(file: str, mode: str) -> None:
    net = load(FOLDER / file)
    model = bm.compile(net, stages=[net.specs], mode=mode)
    x = random_input(net_of(file).shape)
    found = model.run(input=x)
    assert list(found) == ["output"]
    assert_near(found["output"], FOLDER / file, x, mode)
    kinds = {node.op for node in model.stages[0].graph.nodes}
    assert ("bm::conv" in kinds) != (net_of(file).kind == "transformer")
    assert "bm::mul" not in kinds or net_of(file).kind == "transformer"  # all factors of channels have become weights


@pytest.mark.parametrize("file", of_today([file for file in VARYING if file != "transformer_varying.onnx"], 5))
def test_a_net_whose_sizes_torch_left_open(file: str) -> None:
    net = load(FOLDER / file, {"input": net_of(file).shape})
    model = bm.compile(net, stages=[net.varying_specs], dynamic=True)
    *others, last = SMALLER[net_of(file).kind]
    for shape in others:
        x = random_input(shape)
        assert_near(model.run(input=x)["output"], FOLDER / file, x, "f32")
    static, x = load(FOLDER / file, {"input": last}), random_input(last)
    found = model.run(input=x)["output"]
    assert_near(found, FOLDER / file, x, "f32")
    assert found.tobytes() == bm.compile(static, stages=[static.specs]).run(input=x)["output"].tobytes()


def test_what_torch_says_to_vary_and_does_not() -> None:
    """Its older exporter writes the length of the example into the attention; the batch does vary."""
    path = FOLDER / "transformer_varying.onnx"
    net = load(path, {"input": (2, 24, 16)})
    model = bm.compile(net, stages=[net.varying_specs], dynamic=True)
    x = random_input((1, 24, 16))
    assert_near(model.run(input=x)["output"], path, x, "f32")
    with pytest.raises(ShapeError, match=r"x \[7, 2, 16\] cannot have the shape \[24, 8, 4\]"):
        model.run(input=random_input((2, 7, 16)))


def test_the_files_say_what_the_table_says() -> None:
    written = {path.name for path in FOLDER.iterdir()}
    assert written == {*FILES, "unet_dynamo.onnx.data"}
    for file in FILES:
        (declared,) = onnx.load(str(FOLDER / file), load_external_data=False).graph.input
        net = net_of(file)
        sizes = [each.dim_param or each.dim_value for each in declared.type.tensor_type.shape.dim]
        assert sizes == [net.varying.get(axis, size) for axis, size in enumerate(net.shape)]


@pytest.mark.parametrize("file", FILES)
def test_the_files_say_nothing_of_the_computer_that_wrote_them(file: str) -> None:
    model = onnx.load(str(FOLDER / file), load_external_data=False)
    assert not any(each.doc_string or len(each.metadata_props) for each in (model, model.graph, *model.graph.node))
    assert b"site-packages" not in (FOLDER / file).read_bytes()
