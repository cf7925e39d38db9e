"""Models from ONNX files: names, shapes, folding, layers of users, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

import bmlang as bm
from bmlang.importers.onnx import load
from bmlang.importers.onnx.errors import UnsupportedNodesError
from tests.importers.models import graph_of, model_of, node, reference

random = np.random.default_rng(0)
WEIGHT = random.standard_normal((8, 3, 3, 3), np.float32)
IMAGE = random.standard_normal((2, 3, 9, 11), np.float32)
NET = [
    node("Conv", ["x.1", "weight"], ["a"], "/stem/Conv", pads=[1, 1, 1, 1], strides=[2, 2]),
    node("Relu", ["a"], ["b"]),
    node("Shape", ["b"], ["shape"]),
    node("Gather", ["shape", "zero"], ["batch"], axis=0),
    node("Concat", ["batch", "rest"], ["wanted"], axis=0),
    node("Reshape", ["b", "wanted"], ["199"]),
]
CONSTANTS = {"weight": WEIGHT, "zero": np.array([0]), "rest": np.array([-1])}


def test_a_model_computes_what_onnx_says_and_keeps_its_names(tmp_path: Path) -> None:
    model = model_of(graph_of(NET, {"x.1": (TensorProto.FLOAT, ["n", 3, 9, 11])}, ["199"], CONSTANTS))
    (tmp_path / "small.onnx").write_bytes(model.SerializeToString())
    loaded = load(tmp_path / "small.onnx", shapes={"x.1": IMAGE.shape})
    graph = bm.function(loaded).traced(loaded.specs)
    assert (graph.name, graph.inputs, graph.outputs) == ("small", ("x.1",), ("199",))
    assert [(each.name, each.outputs) for each in graph.nodes] == [
        ("/stem/Conv", ("a",)),
        ("Relu_1", ("b",)),
        ("Reshape_5", ("199",)),
    ]
    assert "/stem/Conv" in str(graph.nodes[0].position)
    compiled = bm.compile(loaded, stages=[loaded.specs])
    assert list(compiled.runtime.nets) == ["small"]
    found: NDArray[Any] = compiled.run(**{"x.1": IMAGE})["199"]
    wanted = reference(model, {"x.1": IMAGE})["199"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_model_is_a_part_of_a_function() -> None:
    model = load(model_of(graph_of([node("Relu", ["x"])], {"x": (TensorProto.FLOAT, [2, 3])})))
    inner = bm.function(model)

    @bm.function
    def twice(x: bm.Tensor) -> bm.Tensor:
        return inner(x)["y"] * 2.0  # pyright: ignore[reportArgumentType, reportCallIssue]

    x = random.standard_normal((2, 3), np.float32)
    np.testing.assert_array_equal(twice(x), np.maximum(x, 0) * 2)


def test_a_layer_of_the_user_is_found_under_its_name() -> None:
    nodes = [node("axpy", ["x", "y"], ["z"], "scale", "test_onnx", alpha=2.5), node("twist", ["z"], ["w"], "turn", "test_onnx")]
    inputs = {"x": (TensorProto.FLOAT, [2, 3]), "y": (TensorProto.FLOAT, [2, 3])}
    model = load(model_of(graph_of(nodes, inputs, ["w"]), domains=["test_onnx"]))
    with pytest.raises(UnsupportedNodesError) as caught:
        bm.function(model).traced(model.specs)
    assert "test_onnx::axpy 'scale': no layer" in str(caught.value) and "test_onnx::twist 'turn': no layer" in str(caught.value)
    assert '@bm.layer("test_onnx::axpy")' in str(caught.value)

    @bm.layer("test_onnx::axpy")
    @bm.function
    def axpy(x: bm.Tensor, y: bm.Tensor, *, alpha: float) -> bm.Tensor:
        return x * alpha + y

    @bm.layer("test_onnx::twist")
    @bm.function
    def twist(x: bm.Tensor) -> bm.Tensor:
        return -x

    x, y = (random.standard_normal((2, 3), np.float32) for _ in range(2))
    found: NDArray[Any] = bm.compile(model, stages=[model.specs]).run(x=x, y=y)["w"]
    np.testing.assert_allclose(found, -(2.5 * x + y), rtol=1e-6)


def test_advice_about_layers_is_about_those_that_are_missing() -> None:
    @bm.layer("test_onnx::triple")
    @bm.function
    def triple(x: bm.Tensor, *, offset: float) -> bm.Tensor:
        return x * 3.0 + offset

    told: dict[str, str] = {}
    for op in ("triple", "Tripel"):
        proto = model_of(graph_of([node(op, ["x"], domain="test_onnx")], {"x": (TensorProto.FLOAT, [2, 3])}), domains=["test_onnx"])
        with pytest.raises(UnsupportedNodesError) as caught:
            bm.function(load(proto)).traced(load(proto).specs)
        told[op] = str(caught.value)
    assert "test_onnx::triple needs offset" in told["triple"] and "register" not in told["triple"]
    assert "did you mean test_onnx::triple?" in told["Tripel"] and '@bm.layer("test_onnx::Tripel")' in told["Tripel"]
