"""Programs of TpuLang become files: which, with what names and contents; references; single steps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang import tpulang as tpul
from bmlang.tpulang.errors import ReferenceMismatchError
from bmlang.tpulang.similarity import likeness
from tests.tpulang.rows.base import Array, given
from tpukernel.errors import TpuError
from tpukernel.testing.values import random

IMAGE: Array = random((1, 3, 8, 8), "f32")
WEIGHT: Array = random((4, 3, 3, 3), "f32", 1)


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    tpul.init("BM1684X")
    yield
    tpul.deinit()


def head(data: Array | None = IMAGE) -> tuple[tpul.Tensor, tpul.Tensor]:
    x = tpul.Tensor([1, 3, 8, 8], "x", data=data)
    y = tpul.conv(x, tpul.Tensor(data=WEIGHT, ttype="coeff"), pad=[1, 1, 1, 1], out_name="conv/y")
    return x, tpul.softmax(tpul.relu(y, out_name="relu.1"), 1, out_name="the softmax")


def compiled(found: tpul.Compilation | bytes) -> tpul.Compilation:
    assert isinstance(found, tpul.Compilation)
    return found


def test_all_modes_are_files_with_the_names_of_the_tensors(tmp_path: Path) -> None:
    x, y = head()
    found = compiled(tpul.compile_f32("net", [x], [y], mode="all"))
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in found.files}
    assert set(found.models) == {"f32", "f16", "bf16"} and all(found.comparisons)
    for mode in found.models:
        (net,) = bm.Runtime(tmp_path / f"net_{mode}.bmodel").nets.values()
        assert (net.name, [each.name for each in net.inputs], [each.name for each in net.outputs]) == ("net", ["x"], ["the softmax"])
        with np.load(f"net_{mode}_model_out.npz") as outputs, np.load("net_top_outputs.npz") as exact:
            np.testing.assert_allclose(outputs["the softmax"], exact["the softmax"], atol=0.1)
            assert {"conv/y", "relu.1", "the softmax"} <= set(exact.files)


def test_the_same_program_makes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")  # the file says when it was made
    files: list[bytes] = []
    for _ in range(2):
        tpul.init("bm1684x")
        x, y = head()
        found = tpul.compile_f32("net", [x], [y], no_save=True)
        assert isinstance(found, bytes)
        files.append(found)
    assert files[0] == files[1] and not list(Path().iterdir())


def test_a_reference_of_an_inner_tensor_says_where_it_differs() -> None:
    x, y = head()
    wanted = compiled(tpul.compile_f32("net", [x], [y])).comparisons
    assert all(wanted)
    with np.load("net_top_outputs.npz") as arrays:
        refs = {name: arrays[name] for name in arrays.files}
    tpul.compile_f32("net", [x], [y], refs=refs)
    refs["relu.1"] = -refs["relu.1"]
    refs["the softmax"] = refs["the softmax"][::, ::-1]
    with pytest.raises(ReferenceMismatchError) as caught:
        tpul.compile_f32("net", [x], [y], refs=refs)
    text = str(caught.value)
    assert "conv/y f32[1, 4, 8, 8] = bm::conv: equal" in text
    assert "the first difference arises in relu.1, which comes by way of bm::relu (relu.1)" in text
    assert "at test_compile.py" in text and "tpul.relu(y" in text
    assert compiled(tpul.compile_f32("net", [x], [y], cmp=False, refs=refs)).models


def test_references_are_the_test_data_of_inputs() -> None:
    x, y = head(None)
    tpul.compile_f32("net", [x], [y], refs={"x": 2 * IMAGE})
    with np.load("net_in_f32.npz") as data:
        assert (data["x"] == 2 * IMAGE).all()
    tpul.compile_f32("zeros", [x], [y])
    with np.load("zeros_in_f32.npz") as data:
        assert not data["x"].any()


def test_a_quantised_program_keeps_its_types_and_its_meaning() -> None:
    image = given("float32", [[-1, 0.5, 2, 9]])
    x = tpul.Tensor([1, 4], "x", data=image)
    q = tpul.requant_fp_to_int(x, 0.05, 3, 0, "int8", out_name="q")
    r = tpul.sigmoid(q, [0.05, 1 / 256], [3, -128], out_name="r")
    numbers = given("float32", [[-1, 0.5, 2, 6.2]])
    found = compiled(tpul.compile("net", [x], [r], refs={"q": numbers, "r": 1 / (1 + np.exp(-numbers))}))
    assert list(found.models) == ["int8"] and len(found.comparisons) == 2
    assert bm.Runtime("net_int8.bmodel")["net"](x=image)["r"].dtype == np.int8
    wrong = {"q": given("int8", [[-17, 13, 43, -127]])}
    with pytest.raises(ReferenceMismatchError, match=r"the first difference arises in q"):
        tpul.compile("net", [x], [r], refs=wrong)


def test_an_image_is_made_a_tensor_in_the_model() -> None:
    x = tpul.Tensor([1, 3, 4, 6], "x")
    x.preprocess([10, 20, 30], [0.5, 0.25, 0.125], "rgb", "nhwc", [6, 8])
    y = tpul.relu(x, out_name="y")
    pixels: Array = random((1, 6, 8, 3), "u8")
    found = compiled(tpul.compile("net", [x], [y], refs={"x": pixels}))
    shown = pixels[:, 1:5, 1:7].transpose(0, 3, 1, 2).astype(np.float32)
    mean, scale = (given("float32", each).reshape(1, 3, 1, 1) for each in ([10, 20, 30], [0.5, 0.25, 0.125]))
    made: Array = found.models["int8"].run(x=pixels)["y"]
    assert np.allclose(made, np.maximum((shown - mean) * scale, 0), rtol=1e-6)


def test_an_output_may_be_an_input_or_twice_the_same() -> None:
    image = given("float32", [[1, 2, 3, 4]])
    x = tpul.Tensor([1, 4], "x", data=image)
    y = tpul.copy(x, out_name="y")
    found = compiled(tpul.compile_f32("net", [x], [x, y])).models["f32"].run(x=image)
    assert {name: array.tolist() for name, array in found.items()} == {"x_out": [[1, 2, 3, 4]], "y": [[1, 2, 3, 4]]}


def test_the_steps_one_by_one_are_the_whole() -> None:
    x, y = head()
    whole = compiled(tpul.compile_f32("net", [x], [y], mode="f16")).models["f16"]
    graph = tpul.get_default_graph()
    assert graph is not None
    tpul.save_input_reference("steps", {"x": IMAGE})
    tpul.model_transform("steps", tpul.TpuLangConverter("steps", graph, "f32"))
    top = tpul.model_top_inference("steps")
    tpul.save_input_reference("steps", {"relu.1": top["relu.1"]})
    tpul.model_top_inference("steps", cmp=True)
    tpul.model_lowering_and_inference("steps", "f16", "bm1684x", cmp=True)
    path = tpul.bmodel_generate_and_inference("steps", "f16")
    assert bm.Runtime(path)["steps"](x=IMAGE)["the softmax"].tobytes() == whole.run(x=IMAGE)["the softmax"].tobytes()
    again = compiled(tpul.mlir_compile_f32("again", "steps.graph", mode="f16"))
    assert again.models["f16"].run(x=IMAGE)["the softmax"].tobytes() == whole.run(x=IMAGE)["the softmax"].tobytes()
    assert compiled(tpul.mlir_compile("int8", "steps.graph")).models["int8"].run(x=IMAGE)["the softmax"].dtype == np.float32


def test_a_dump_is_compiled_again_to_the_same_file() -> None:
    x, y = head()
    tpul.compile_f32("net", [x], [y], mode="bf16", debug_dump_mode="dump")
    first = Path("net_bf16.bmodel").read_bytes()
    Path("net_bf16.bmodel").unlink()
    tpul.reset_default_graph()
    tpul.debug_dump_compile("net_dump.json")
    second = Path("net_bf16.bmodel").read_bytes()
    assert bm.Runtime(second)["net"](x=IMAGE)["the softmax"].tobytes() == bm.Runtime(first)["net"](x=IMAGE)["the softmax"].tobytes()
    for text in ("{}", "[1]", "no json", '{"name": "n", "chip": "BM1684X", "modes": ["x"], "opt": 2}'):
        Path("wrong.json").write_text(text, encoding="utf-8")
        with pytest.raises(TpuError, match="is no dump"):
            tpul.debug_dump_compile("wrong.json")


def test_tensors_of_a_file_are_given_by_name() -> None:
    x, y = head()
    tpul.compile_f32("net", [x], [y])
    found = tpul.bmodel_inference_combine("net_f32.bmodel", "", {"x": IMAGE}, "", "ref.npz", dump_file=False)
    assert isinstance(found, dict) and set(found) == {"x", "the softmax"}
    path = tpul.bmodel_inference_combine("net_f32.bmodel", "", "net_in_f32.npz", "", "ref.npz", save_path="out", desire_op=["the softmax"])
    assert path == Path("out/bmodel_infer_ref_0.npz")
    with np.load(str(path)) as arrays:
        assert arrays["the softmax"].tobytes() == found["the softmax"].tobytes() and len(arrays.files) == 1
    with pytest.raises(TpuError, match="TPUL106"):
        tpul.bmodel_inference_combine("net_f32.bmodel", "", {}, "", "", is_soc=True)


def test_a_layer_of_ones_own_is_custom(caplog: pytest.LogCaptureFixture) -> None:
    @bm.layer("custom::tpulang_axpy")
    @bm.function
    def axpy(x: bm.Tensor, y: bm.Tensor, *, alpha: float) -> bm.Tensor:
        return alpha * x + y

    x, y = (tpul.Tensor([1, 4], name) for name in "xy")
    (z,) = tpul.custom([x, y], "tpulang_axpy", ["float32"], ["z"], {"alpha": 2.0})
    with caplog.at_level(logging.INFO):
        found = compiled(tpul.compile_f32("net", [x, y], [z]))
    assert "net_f32.bmodel" in caplog.text
    assert found.models["f32"].run(x=given("float32", [[1, 2, 3, 4]]), y=given("float32", [[1, 1, 1, 1]]))["z"].tolist() == [[3, 5, 7, 9]]
    with pytest.raises(TpuError, match="makes float32, not int8"):
        tpul.custom([x, y], "custom::tpulang_axpy", ["int8"], None, {"alpha": 2.0})
    with pytest.raises(TpuError, match="BML123"):
        tpul.custom([x], "nowhere", ["float32"])


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ([1, 2], [1, 2], (1, 1)),
        ([0, 0], [0, 0], (1, 1)),
        ([1, 0], [0, 1], (0, -1)),
        ([3e38, 3e38], [3e38, 2.9e38], (1, 0.97)),
        ([np.nan, 1], [np.nan, 1], (1, 1)),
        ([np.nan, 1], [1, 1], (-1, -np.inf)),
        ([np.inf, 1], [-np.inf, 1], (-1, -np.inf)),
        ([0, 0], [1, 1], (0, -1)),
    ],
)
def test_likeness(found: list[float], wanted: list[float], expected: tuple[float, float]) -> None:
    assert likeness(np.float64(found), np.float64(wanted)) == pytest.approx(expected, abs=0.02)  # pyright: ignore[reportArgumentType]


def test_the_session_is_reset() -> None:
    x, y = head()
    first = tpul.get_default_graph()
    assert first is not None and str(first).splitlines()[1] == "  conv/y = conv(x, BMTensor" + str(x.id + 1) + ")"
    tpul.reset_default_graph()
    assert tpul.get_default_graph() is not first
    tpul.reset_default_graph(first)
    assert tpul.compile_f32("net", [x], [y], no_save=True)
    tpul.reset_graph()
    assert x.buffer is None and not first.operators
    tpul.deinit()
    assert tpul.get_default_graph() is None
