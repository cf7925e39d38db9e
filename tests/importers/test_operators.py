"""What importing does with whole models: opsets, constants, branches, functions, quantised networks, values that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, TensorProto, helper

import bmlang as bm
from bmlang.graph.graph import Graph
from bmlang.importers.onnx import load, operators
from bmlang.importers.onnx.errors import OnnxInputError, UnsupportedNodesError
from tests.importers.models import graph_of, model_of, node, reference

random = np.random.default_rng(1)
F = TensorProto.FLOAT


def traced(model: ModelProto, **more: Any) -> Graph:
    loaded = load(model, **more)
    return bm.function(loaded).traced(loaded.specs)


def run(model: ModelProto, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return dict(bm.function(load(model)).run(inputs))


SQUEEZED = {7: {"axes": [0]}, 13: {}}
PADDED = {7: {"pads": [0, 0, 1, 2], "value": 3.0}, 11: {}}
CLIPPED = {7: {"min": -0.5, "max": 0.5}, 11: {}}


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18, 21, 25])
def test_attributes_that_became_inputs(opset: int) -> None:
    def of(versions: dict[int, dict[str, Any]]) -> dict[str, Any]:
        return versions[max(each for each in versions if each <= opset)]

    nodes = [
        node("Squeeze", ["x", "axes"][: 2 - bool(of(SQUEEZED))], ["a"], **of(SQUEEZED)),
        node("Pad", ["a", "pads", "value"][: 3 - 2 * bool(of(PADDED))], ["b"], **of(PADDED)),
        node("Clip", ["b", "low", "high"][: 3 - 2 * bool(of(CLIPPED))], ["c"], **of(CLIPPED)),
        node("Softmax", ["c"], ["y"]),
    ]
    constants = {
        "axes": np.array([0]),
        "pads": np.array([0, 0, 1, 2]),
        "value": np.array(3, np.float32),
        "low": np.array(-0.5, np.float32),
        "high": np.array(0.5, np.float32),
    }
    model = model_of(graph_of(nodes, {"x": (F, [1, 3, 4])}, constants=constants), opset)
    x = random.standard_normal((1, 3, 4), np.float32)
    padded = np.clip(np.pad(x[0], [(0, 1), (0, 2)], constant_values=3), -0.5, 0.5)
    np.testing.assert_allclose(run(model, x=x)["y"], np.exp(padded) / np.exp(padded).sum(-1, keepdims=True), rtol=1e-5)


def test_shapes_are_computed_beforehand() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "one"], ["c"]),
        node("Mul", ["c", "four"], ["many"]),
        node("Unsqueeze", ["many", "zero"], ["wide"]),
        node("Concat", ["minus", "wide"], ["wanted"], axis=0),
        node("Reshape", ["x", "wanted"], ["y"]),
    ]
    constants = {"one": np.array(1), "four": np.array(4), "zero": np.array([0]), "minus": np.array([-1])}
    graph = traced(model_of(graph_of(nodes, {"x": (F, ["n", 3, 2, 2])}, constants=constants)), shapes={"x": (5, 3, 2, 2)})
    assert [each.op for each in graph.nodes] == ["bm::reshape"]
    assert graph.specs["y"].shape == (5, 12)


def test_a_branch_and_a_function_are_taken_in_place() -> None:
    yes = graph_of([node("Relu", ["x"], ["a"])], {}, ["a"])
    no = graph_of([node("NoSuchOperator", ["x"], ["a"])], {}, ["a"])
    imports = [helper.make_opsetid("", 17)]
    scaled = helper.make_function(
        "acme",
        "scaled",
        ["a"],
        ["b"],
        [helper.make_node("Constant", [], ["c"]), node("Mul", ["a", "c"], ["b"])],
        imports,
        ["factor"],
    )
    reference_ = scaled.node[0].attribute.add()
    reference_.name, reference_.ref_attr_name, reference_.type = "value_float", "factor", AttributeProto.FLOAT
    nodes = [
        node("If", ["yes"], ["z"], "choice", then_branch=yes, else_branch=no),
        node("scaled", ["z"], ["y"], "twice", domain="acme", factor=2.0),
    ]
    model = model_of(graph_of(nodes, {"x": (F, [2, 3])}, constants={"yes": np.array(True)}), functions=[scaled])
    assert [each.name for each in traced(model).nodes] == ["choice/Relu_0", "twice/Mul_1"]
    x = random.standard_normal((2, 3), np.float32)
    np.testing.assert_array_equal(run(model, x=x)["y"], 2 * np.maximum(x, 0))


def test_loops_are_written_out() -> None:
    body = graph_of(
        [node("Add", ["v", "step"], ["w"]), node("Identity", ["w"], ["seen"]), node("Less", ["i", "last"], ["go"])],
        {"i": (7, []), "c": (9, []), "v": (F, [2])},
        ["go", "w", "seen"],
        kinds={"go": 9},
    )
    constants = {"many": np.array(10), "step": np.array([1, 2], np.float32), "last": np.array(2), "yes": np.array(True)}
    model = model_of(graph_of([node("Loop", ["many", "yes", "x"], ["y", "all"], body=body)], {"x": (F, [2])}, ["y", "all"], constants))
    x = np.array([10, 20], np.float32)
    found = run(model, x=x)
    np.testing.assert_array_equal(found["y"], [13, 26])
    np.testing.assert_array_equal(found["all"], [[11, 22], [12, 24], [13, 26]])


def test_values_that_are_given_become_part_of_the_model() -> None:
    model = model_of(graph_of([node("Reshape", ["x", "s"])], {"x": (F, [2, 6]), "s": (7, [2])}))
    with pytest.raises(UnsupportedNodesError, match="'s' has to be known") as caught:
        traced(model)
    assert caught.value.needed == ("s",)
    graph = traced(model, values={"s": np.array([3, 4])})
    assert graph.inputs == ("x",) and graph.specs["y"].shape == (3, 4)


def quantised(per_channel: bool) -> tuple[ModelProto, NDArray[np.float32]]:
    """A convolution between QuantizeLinear and DequantizeLinear, as exporters write it."""
    weight = random.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    scales = random.uniform(0.01, 0.02, 4).astype(np.float32) if per_channel else np.array(0.015, np.float32)
    points = np.zeros(4, np.int8) if per_channel else np.array(0, np.int8)
    constants: dict[str, NDArray[Any]] = {
        "sx": np.array(0.03, np.float32),
        "zx": np.array(-7, np.int8),
        "w": weight,
        "sw": scales,
        "zw": points,
        "bias": random.integers(-2000, 2000, 4).astype(np.int32),
        "sb": (scales * np.float32(0.03)).astype(np.float32),
        "zb": np.zeros(np.shape(scales), np.int32),
        "sy": np.array(0.3, np.float32),
        "zy": np.array(-20, np.int8),
    }
    nodes = [
        node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        node("DequantizeLinear", ["xq", "sx", "zx"], ["xf"]),
        node("DequantizeLinear", ["w", "sw", "zw"], ["wf"], axis=0),
        node("DequantizeLinear", ["bias", "sb", "zb"], ["bf"], axis=0),
        node("Conv", ["xf", "wf", "bf"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("QuantizeLinear", ["r", "sy", "zy"], ["rq"]),
        node("DequantizeLinear", ["rq", "sy", "zy"], ["rf"]),
        node("MaxPool", ["rf"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    return model_of(graph_of(nodes, {"x": (F, [1, 3, 8, 8])}, constants=constants), 21), random.standard_normal((1, 3, 8, 8), np.float32)


@pytest.mark.parametrize("per_channel", [False, True])
def test_quantised_networks_stay_integers(per_channel: bool) -> None:
    model, x = quantised(per_channel)
    graph = traced(model)
    assert [each.op for each in graph.nodes] == ["bm::quantise", "bm::conv_int", "bm::max", "bm::requant", "bm::max_pool", "bm::dequantise"]
    found, wanted = run(model, x=x)["y"], reference(model, {"x": x})["y"]
    steps = np.abs(found - wanted) / 0.3
    assert steps.max() < 1.01 and (steps > 0.01).mean() < 0.05  # sums next to a half


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_models_of_other_floats(kind: int) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weight = random.standard_normal((4, 5)).astype(dtype)
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Cast", ["a"], ["b"], to=F), node("Sigmoid", ["b"], ["y"])]
    x = random.standard_normal((3, 4)).astype(dtype)
    model = model_of(graph_of(nodes, {"x": (kind, [3, 4])}, constants={"w": weight}))
    exact = 1 / (1 + np.exp(-(x.astype(np.float64) @ weight.astype(np.float64))))
    np.testing.assert_allclose(run(model, x=x)["y"], exact, atol=2e-3 if kind == TensorProto.FLOAT16 else 2e-2)


def test_integers_of_64_bits_and_booleans() -> None:
    nodes = [
        node("Gather", ["table", "i"], ["rows"]),
        node("Less", ["i", "three"], ["small"]),
        node("Not", ["small"], ["large"]),
        node("Cast", ["small"], ["number"], to=7),
        node("Add", ["i", "number"], ["j"]),
    ]
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    outputs = ["rows", "large", "j"]
    graph = graph_of(nodes, {"i": (7, [4])}, outputs, {"table": table, "three": np.array(3)}, {"large": 9, "j": 7})
    index = np.array([1, -1, 5, 2], np.int32)
    found = run(model_of(graph), i=index)
    np.testing.assert_array_equal(found["rows"], table[index])
    np.testing.assert_array_equal(found["large"], [0, 0, 1, 0])
    np.testing.assert_array_equal(found["j"], [2, 0, 5, 3])
    assert (found["large"].dtype, found["j"].dtype) == (np.uint8, np.int32)


@pytest.mark.parametrize("like_c", [0, 1])
def test_integers_are_divided_as_onnx_says(like_c: int) -> None:
    a = np.array([7, -7, 7, -7, 2**31 - 1, -(2**31) + 1, 123456789, -123456789, 0, 5], np.int32)
    b = np.array([2, 2, -2, -2, 3, 7, -1234, 1234, 5, -7], np.int32)
    nodes = [node("Div", ["a", "b"], ["q"]), node("Mod", ["a", "b"], ["m"], fmod=like_c)]
    found = run(model_of(graph_of(nodes, {"a": (6, [10]), "b": (6, [10])}, ["q", "m"], kinds={"q": 6, "m": 6})), a=a, b=b)
    wide = a.astype(np.int64), b.astype(np.int64)
    np.testing.assert_array_equal(found["q"], np.trunc(wide[0] / wide[1]))
    np.testing.assert_array_equal(found["m"], (np.fmod if like_c else np.mod)(*wide))


def test_there_are_many_operators() -> None:
    assert len(operators()) > 150


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"), [((2, 3, 8, 6), [2, 2], [2, 2]), ((1, 5, 9, 7), [3, 2], [2, 1]), ((2, 3, 12), [3], [3])]
)
def test_pooling_with_places_and_back(shape: tuple[int, ...], kernel: list[int], stride: list[int]) -> None:
    nodes = [
        node("MaxPool", ["x"], ["largest", "places"], kernel_shape=kernel, strides=stride),
        node("MaxUnpool", ["largest", "places"], ["y"], kernel_shape=kernel, strides=stride),
    ]
    windows_lie_apart = kernel == stride
    outputs = ["largest", "places", *(["y"] if windows_lie_apart else [])]
    model = model_of(graph_of(nodes[: 1 + windows_lie_apart], {"x": (F, list(shape))}, outputs))
    x = random.standard_normal(shape, np.float32)
    found, wanted = run(model, x=x), reference(model, {"x": x})
    for name in outputs:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_indices_of_what_is_not_zero() -> None:
    """As torch exports `nonzero`: transposed behind the operator, which is what the host gives."""
    nodes = [node("Relu", ["x"], ["a"]), node("NonZero", ["a"], ["places"]), node("Transpose", ["places"], ["y"], perm=[1, 0])]
    model = model_of(graph_of(nodes, {"x": (F, [4, 5])}))
    x = random.standard_normal((4, 5), np.float32)
    np.testing.assert_array_equal(run(model, x=x)["y"], np.argwhere(x > 0))


def test_an_output_without_elements_is_refused() -> None:
    model = model_of(graph_of([node("Shape", ["x"], ["y"], start=2, end=1)], {"x": (F, [2, 3, 4])}))
    with pytest.raises(OnnxInputError, match="output 'y' .* has no elements"):
        traced(model)
