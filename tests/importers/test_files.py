"""Files from anywhere: what is damaged, too large or reaches for other files is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, external_data_helper, helper, numpy_helper

import bmlang as bm
from bmlang.importers.onnx import load
from bmlang.importers.onnx.errors import OnnxFileError, OnnxInputError, OnnxLimitError, OnnxNodeError, OnnxTypeError
from tests.importers.models import graph_of, model_of, node
from tpukernel.errors import TpuError

X = {"x": (TensorProto.FLOAT, [2, 3])}


def trace(model: ModelProto | Path) -> object:
    loaded = load(model)
    return bm.function(loaded).traced(loaded.specs)


def beside(folder: Path, location: str, length: int = 24) -> Path:
    """A model whose only constant lies in a file beside it."""
    model = model_of(graph_of([node("Add", ["x", "c"])], X, constants={"c": np.arange(6, dtype=np.float32).reshape(2, 3)}))
    tensor = model.graph.initializer[0]
    external_data_helper.set_external_data(tensor, location, offset=4, length=length)
    tensor.ClearField("raw_data")
    path = folder / "model" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    return path


def test_data_may_lie_beside_the_model(tmp_path: Path) -> None:
    path = beside(tmp_path, "weights.bin")
    (path.parent / "weights.bin").write_bytes(b"skip" + np.arange(6, dtype=np.float32).tobytes())
    loaded = load(path)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(bm.function(loaded).run({"x": x})["y"], x + np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "nothing.bin", "link.bin", ".", "a/../../secret.bin"])
def test_data_from_elsewhere_is_not_read(tmp_path: Path, location: str) -> None:
    path = beside(tmp_path, location)
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    (path.parent / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(OnnxFileError, match="lies in"):
        trace(path)


def test_data_ends_where_the_file_ends(tmp_path: Path) -> None:
    path = beside(tmp_path, "weights.bin")
    (path.parent / "weights.bin").write_bytes(bytes(20))
    with pytest.raises(OnnxFileError, match="takes bytes 4 to 28"):
        trace(path)


def test_data_beside_bytes_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(OnnxFileError, match="beside a file"):
        trace(ModelProto.FromString(beside(tmp_path, "weights.bin").read_bytes()))


def _deep() -> ModelProto:
    """Functions that call themselves."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    again = helper.make_function("acme", "again", ["a"], ["b"], [node("again", ["a"], ["b"], domain="acme")], imports)
    return model_of(graph_of([node("again", ["x"], domain="acme")], X), functions=[again])


def _shapes(dims: list[int]) -> ModelProto:
    model = model_of(graph_of([node("Add", ["x", "c"])], X, constants={"c": np.ones(3, np.float32)}))
    model.graph.initializer[0].dims[:] = dims
    return model


def _nodes(*nodes: NodeProto) -> ModelProto:
    return model_of(graph_of(nodes, X))


def _opset(version: int) -> ModelProto:
    return model_of(graph_of([node("Relu", ["x"])], X), opset=version)


def _loop() -> ModelProto:
    """A million turns."""
    body = graph_of([node("Identity", ["c"], ["d"]), node("Relu", ["v"], ["w"])], {"i": (7, []), "c": (9, []), "v": X["x"]}, ["d", "w"])
    nodes = [node("Loop", ["many", "", "x"], body=body)]
    return model_of(graph_of(nodes, X, constants={"many": np.array(10**6)}))


REFUSED: dict[str, tuple[Callable[[], ModelProto], type[TpuError], str]] = {
    "circle": (
        lambda: model_of(graph_of([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])], X, ["b"])),
        OnnxFileError,
        "in a circle",
    ),
    "missing": (lambda: _nodes(node("Add", ["x", "nothing"])), OnnxFileError, "'nothing', which Add '' takes"),
    "twice": (lambda: _nodes(node("Relu", ["x"]), node("Abs", ["x"])), OnnxFileError, "'y' is made twice"),
    "no output": (lambda: _nodes(node("Relu", ["x"], ["z"])), OnnxNodeError, "'y' of graph 'net' is made by nothing"),
    "recursion": (_deep, OnnxLimitError, "deep in each other"),
    "endless loop": (_loop, TpuError, "more than 4096 turns"),
    "too few numbers": (lambda: _shapes([4]), OnnxFileError, "tensor 'c'"),
    "negative size": (lambda: _shapes([-3]), OnnxFileError, "tensor 'c'"),
    "huge size": (lambda: _shapes([1 << 40, 1 << 40]), OnnxLimitError, "tensor 'c'"),
    "old opset": (lambda: _opset(6), OnnxFileError, "operators of version 6"),
    "future opset": (lambda: _opset(999), OnnxFileError, "operators of version 999"),
    "open shape": (lambda: model_of(graph_of([node("Relu", ["x"])], {"x": (1, ["n", 3])})), OnnxInputError, r"is \[n, 3\]"),
    "double precision": (lambda: model_of(graph_of([node("Relu", ["x"])], {"x": (11, [3])})), OnnxTypeError, "float64"),
    "large integers": (
        lambda: model_of(graph_of([node("Add", ["x", "c"])], {"x": (7, [1])}, constants={"c": np.array([1 << 40])}, kinds={"y": 7})),
        OnnxTypeError,
        "numbers like 1099511627776",
    ),
    "attribute of another type": (
        lambda: model_of(graph_of([node("Concat", ["x", "x"], axis="one")], X)),
        OnnxNodeError,
        "of another type",
    ),
    "shape that does not fit": (
        lambda: model_of(graph_of([node("Reshape", ["x", "s"])], X, constants={"s": np.array([4, 4])})),
        TpuError,
        "cannot have the shape",
    ),
    "operands that do not fit": (
        lambda: model_of(graph_of([node("MatMul", ["x", "w"])], X, constants={"w": np.ones((4, 4), np.float32)})),
        TpuError,
        "matmul",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_named(name: str) -> None:
    make, error, told = REFUSED[name]
    with pytest.raises(error, match=told):
        trace(make())


def test_an_input_that_does_not_exist() -> None:
    model = model_of(graph_of([node("Relu", ["x"])], X))
    for more in ({"shapes": {"z": (1, 2)}}, {"values": {"z": np.ones(3)}}):
        with pytest.raises(OnnxInputError, match="has no input 'z'"):
            load(model, **more)  # pyright: ignore[reportArgumentType]


SMALL = model_of(
    graph_of(
        [
            node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
            node("Relu", ["a"], ["b"]),
            node("Shape", ["b"], ["s"]),
            node("Reshape", ["b", "s"], ["c"]),
            node("ReduceMean", ["c"], axes=[2, 3]),
        ],
        {"x": (TensorProto.FLOAT, [1, 2, 4, 4])},
        constants={"w": np.ones((2, 2, 3, 3), np.float32)},
    )
).SerializeToString()


@given(data=st.data())
def test_a_damaged_file_is_a_model_or_refused_by_name(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SMALL) - 1))
    damaged = bytearray(SMALL)
    damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        loaded = load(bytes(damaged))
        bm.function(loaded).traced(loaded.specs)
    except TpuError:
        pass


def test_sparse_constants_are_read() -> None:
    values = numpy_helper.from_array(np.array([5.0, 7.0], np.float32), "c")
    indices = numpy_helper.from_array(np.array([1, 3]), "c_indices")
    graph = graph_of([node("Add", ["x", "c"])], X)
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 3]))
    loaded = load(model_of(graph))
    x = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(bm.function(loaded).run({"x": x})["y"], [[0, 5, 0], [7, 0, 0]])
