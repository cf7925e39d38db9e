"""Sizes that vary on their way through a model: nodes that compute with shapes, and models that take shapes apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

import bmlang as bm
from bmlang.graph.dims import Dim, expr_of
from bmlang.graph.errors import GraphSizeError
from bmlang.importers.onnx import load
from bmlang.importers.onnx.errors import OnnxInputError, UnsupportedNodesError
from bmlang.importers.onnx.fold import folded
from bmlang.importers.onnx.node import NotSupported, OnnxNode
from bmlang.importers.onnx.sizes import TABLE, computed, known_sizes
from bmlang.importers.onnx.values import Known
from bmlang.layers.tensor import Tracer
from tests.importers.models import graph_of, model_of, node, reference
from tpukernel.lang.expr import Var, evaluate

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Integers = NDArray[np.int64]

# ------------------------------------------------------------------ nodes

CASES: Mapping[str, tuple[Mapping[str, Any], Sequence[object]]] = {
    "Add": ({}, [3]),
    "Cast": ({"to": FLOAT}, []),
    "Concat": ({"axis": 0}, [[5, -1]]),
    "Div": ({}, [2]),
    "Equal": ({}, [[4, 5, 6]]),
    "Expand": ({}, [[2, 3]]),
    "Gather": ({"axis": 0}, [[-1, 0]]),
    "Greater": ({}, [[4, 5, 6]]),
    "GreaterOrEqual": ({}, [[4, 5, 6]]),
    "Less": ({}, [[4, 5, 6]]),
    "LessOrEqual": ({}, [[4, 5, 6]]),
    "Max": ({}, [[5]]),
    "Min": ({}, [[5]]),
    "Mod": ({}, [3]),
    "Mul": ({}, [[2, 1, 4]]),
    "ReduceProd": ({"keepdims": 0}, []),
    "Reshape": ({}, [[1, -1]]),
    "Slice": ({}, [[-2], [1 << 62], [0]]),
    "Squeeze": ({}, []),
    "Sub": ({}, [1]),
    "Unsqueeze": ({}, [[0]]),
    "Where": ({}, [[9, 9, 9]]),
}
"""By operator: attributes, and the inputs behind the sizes."""
DECIDES = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min"}
OF_FLOATS = {"Ceil", "Floor", "Round"}


def at_node(op: str, attributes: Mapping[str, Any], inputs: Sequence[Known]) -> OnnxNode:
    proto = node(op, [f"i{place}" for place in range(len(inputs))], **attributes)

    def run(*_: object) -> list[Any]:
        raise AssertionError

    return OnnxNode(proto, 17, tuple(inputs), cast("Tracer", None), {each.name: each for each in proto.attribute}, run)


def made_by(op: str, attributes: Mapping[str, Any], inputs: Sequence[Known]) -> Known:
    made = computed(at_node(op, attributes, inputs))
    assert isinstance(made, Known)
    return made


def test_every_operator_has_a_case() -> None:
    assert TABLE.keys() == CASES.keys() | OF_FLOATS


@pytest.mark.parametrize("op", CASES)
@settings(max_examples=10)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 9)] * 3))
def test_sizes_go_through_a_node(op: str, largest: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    """What is computed with expressions is what the node makes of the numbers; where it decides, for the sizes that it saw."""
    attributes, others = CASES[op]
    sizes = largest if op in DECIDES else sizes
    given = [Dim(limit, Var(name)) for name, limit in zip("abc", largest, strict=True)]
    constants = [Known(np.array(each, np.int64)) for each in others]
    before = [Known(np.array([True, False, True]))] if op == "Where" else []
    made = made_by(op, attributes, [*before, known_sizes(given), *constants])
    plain = [*(each.array for each in before), np.array(sizes, np.int64), *(each.array for each in constants)]
    (wanted,) = cast("list[Integers]", folded(at_node(op, attributes, [Known(each) for each in plain]).proto, plain, {"": 17}))
    values = dict(zip("abc", sizes, strict=True))
    found = made.array if made.sizes is None else np.array([evaluate(expr_of(each), values) for each in made.sizes.reshape(-1)])
    assert made.array.dtype == wanted.dtype and made.array.shape == wanted.shape
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


def test_floats_of_sizes_are_whole() -> None:
    size = Dim(8, Var("h"))
    floats = made_by("Cast", {"to": FLOAT}, [known_sizes([size])])
    assert floats.array.dtype == np.float32
    for op in OF_FLOATS:
        assert made_by(op, {}, [floats]).sizes is not None
    half = made_by("Mul", {}, [floats, Known(np.array([0.5], np.float32))])
    assert half.sizes is not None and evaluate(expr_of(half.sizes[0]), {"h": 6}) == 3
    with pytest.raises(NotSupported, match="a number that is not whole"):
        made_by("Mul", {}, [floats, Known(np.array([1.3], np.float32))])
    with pytest.raises(NotSupported, match="Pow of sizes that vary"):
        made_by("Pow", {}, [known_sizes([size]), Known(np.array([2]))])


# ------------------------------------------------------------------ models

Shape = Sequence[int | str]


def net(*nodes: Any, shape: Shape = ("n", 4, "h", "w"), **constants: object) -> ModelProto:
    return model_of(graph_of(list(nodes), {"x": (FLOAT, shape)}, ["y"], {name: np.asarray(value) for name, value in constants.items()}), 18)


def taken(*axes: int) -> list[Any]:
    """Sizes of x along these dimensions, one by one, as exporters write that."""
    found = [node("Shape", ["x"], ["shape"])]
    for axis in axes:
        found += [node("Gather", ["shape", f"axis{axis}"], [f"size{axis}"]), node("Unsqueeze", [f"size{axis}", "zero"], [f"one{axis}"])]
    return found


MODELS: Mapping[str, Callable[[], ModelProto]] = {
    "rows of an image": lambda: net(
        *taken(0),
        node("Concat", ["one0", "four", "rest"], ["wanted"], axis=0),
        node("Reshape", ["x", "wanted"]),
        axis0=0, zero=[0], four=[4], rest=[-1],
    ),
    "the middle": lambda: net(
        *taken(2),
        node("Div", ["size2", "two"], ["half"]),
        node("Unsqueeze", ["half", "zero"], ["start"]),
        node("Slice", ["x", "start", "end", "axes"]),
        axis2=2, zero=[0], two=2, end=[1 << 62], axes=[2],
    ),
    "all but the last": lambda: net(node("Slice", ["x", "start", "end", "axes"]), start=[0], end=[-1], axes=[3]),
    "a row for each": lambda: net(
        node("Shape", ["x"], ["shape"]),
        node("Equal", ["shape", "minus"], ["open"]),
        node("Where", ["open", "ones", "shape"], ["wanted"]),
        node("Expand", ["row", "wanted"], ["rows"]),
        node("Add", ["x", "rows"]),
        minus=[-1] * 4, ones=[1] * 4, row=np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1),
    ),
    "twice as large": lambda: net(
        node("Shape", ["x"], ["shape"], start=2),
        node("Cast", ["shape"], ["floats"], to=FLOAT),
        node("Mul", ["floats", "factor"], ["larger"]),
        node("Floor", ["larger"], ["floor"]),
        node("Cast", ["floor"], ["sizes"], to=INT64),
        node("Concat", ["front", "sizes"], ["wanted"], axis=0),
        node("Slice", ["wanted", "first", "last"], ["image"]),
        node("Resize", ["x", "", "", "image"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
             axes=[2, 3]),
        factor=np.array([2, 3], np.float32), front=[1, 4], first=[2], last=[4],
    ),
    "by a scale": lambda: net(
        node("Resize", ["x", "", "scales"], mode="linear", coordinate_transformation_mode="half_pixel"),
        scales=np.array([1, 1, 2, 1.5], np.float32),
    ),
    "a mean of a size": lambda: net(
        *taken(2),
        node("Cast", ["size2"], ["count"], to=FLOAT),
        node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1),
        node("Div", ["sum", "count"]),
        axis2=2, zero=[0], axes=[2],
    ),
    "places": lambda: net(
        *taken(3),
        node("Range", ["zero0", "size3", "two"], ["places"]),
        node("Gather", ["x", "places"], ["every second"], axis=3),
        node("Concat", ["four", "one3"], ["wanted"], axis=0),
        node("ConstantOfShape", ["wanted"], ["twos"], value=numpy_helper.from_array(np.array([2], np.float32))),
        node("ReduceMean", ["twos", "last"], ["mean"], keepdims=1),
        node("Mul", ["every second", "mean"]),
        axis3=3, zero=[0], zero0=0, two=2, four=[4, 1], last=[-1],
    ),
    "the last column": lambda: net(node("Gather", ["x", "last"], axis=3), last=-1),
    "the last row but one, by its number": lambda: net(
        *taken(2),
        node("Sub", ["size2", "two"], ["place"]),
        node("Gather", ["x", "place"], axis=2),
        axis2=2, zero=[0], two=2,
    ),
    "pooled and flat": lambda: net(node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], axis=1)),
}  # fmt: skip
SHAPES = [(2, 4, 6, 8), (1, 4, 6, 8), (2, 4, 3, 5)]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_open_sizes(name: str) -> None:
    proto = MODELS[name]()
    loaded = load(proto, {"x": SHAPES[0]})
    model = bm.compile(loaded, stages=[loaded.varying_specs], dynamic=True)
    for shape in SHAPES:
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        wanted = reference(proto, {"x": x})["y"]
        np.testing.assert_allclose(cast("NDArray[Any]", model.run(x=x)["y"]), wanted, rtol=1e-5, atol=1e-5)


def test_sizes_of_one_name_are_equal() -> None:
    inputs = {"x": (FLOAT, ("n", 3)), "y": (FLOAT, ("n", 3)), "z": (FLOAT, ("", "f32"))}
    nodes = [node("Concat", ["x", "y"], ["both"], axis=1), node("MatMul", ["both", "z"], ["p"])]
    loaded = load(model_of(graph_of(nodes, inputs, ["p"])), {"x": (8, 3), "y": (8, 3), "z": (6, 5)})
    assert str(loaded.varying_specs["z"].shape) == "(6, 5)"
    model = bm.compile(loaded, stages=[loaded.varying_specs], dynamic=True)
    x, y, z = (np.ones(shape, np.float32) for shape in ((4, 3), (4, 3), (6, 2)))
    assert model.run(x=x, y=y, z=z)["p"].shape == (4, 2)
    with pytest.raises(GraphSizeError, match=r"dimension 0 of y is 3, not 4 \(n\)"):
        model.run(x=x, y=y[:3], z=z)


def test_sizes_that_are_said_vary_and_others_do_not() -> None:
    proto = MODELS["pooled and flat"]()
    shape = (bm.upto(2), 4, 6, 8)
    loaded = load(proto, {"x": shape})
    assert loaded.varying_specs == loaded.specs
    model = bm.compile(loaded, stages=[loaded.varying_specs], dynamic=True)
    assert model.run(x=np.ones((1, 4, 6, 8), np.float32))["y"].shape == (1, 4)
    with pytest.raises(GraphSizeError, match="dimension 2 of x is 5, not 6"):
        model.run(x=np.ones((1, 4, 5, 8), np.float32))


def test_what_is_known_for_one_size_only_is_refused() -> None:
    power = net(*taken(2), node("Pow", ["size2", "two"], ["square"]), node("Add", ["x", "square"]), axis2=2, zero=[0], two=2)
    loaded = load(power, {"x": SHAPES[0]})
    with pytest.raises(UnsupportedNodesError, match="Pow of sizes that vary"):
        bm.compile(loaded, stages=[loaded.varying_specs], dynamic=True)
    assert numpy_helper.to_array(power.graph.initializer[0]) == 2


def test_a_size_that_has_to_be_a_number_is_refused() -> None:
    best = net(*taken(3), node("TopK", ["x", "one3"], ["y", ""], axis=3), axis3=3, zero=[0])
    several = net(node("Gather", ["x", "places"], axis=2), places=[0, -1])
    sizes = net(node("Shape", ["x"]))
    for proto, told in (
        (best, "input 'one3' is a size that varies"),
        (several, "several places are counted from the end of a size that varies"),
        (sizes, "output 'y' of net has sizes that vary"),
    ):
        loaded = load(proto, {"x": SHAPES[0]})
        with pytest.raises((UnsupportedNodesError, OnnxInputError), match=told):
            bm.compile(loaded, stages=[loaded.varying_specs], dynamic=True)


def test_a_shape_has_as_many_sizes_as_the_file_says() -> None:
    loaded = load(MODELS["pooled and flat"](), {"x": (4, 6, 8)})
    with pytest.raises(OnnxInputError, match=r"input 'x' of net has the shape \[n, 4, h, w\] and not \[4, 6, 8\]"):
        _ = loaded.specs
