"""`bmneto` and `bmlang.bmneto`: the folder, the comparison, parts of models, and every option."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

import bmlang as bm
from bmlang import bmneto
from bmlang.bmodel import load
from bmlang.cli.bmneto import main
from bmlang.cli.bmrt_test import main as bmrt_test
from bmlang.compiler.errors import CompileArgumentError
from bmlang.importers.onnx import evaluate, trace
from bmlang.importers.onnx.errors import OnnxInputError, UnsupportedNodesError
from bmlang.importers.onnx.evaluate import OnnxruntimeAbsent
from bmlang.importers.onnx.node import OnnxNode
from bmlang.importers.onnx.reader import read
from tests.cli.runs import Run
from tests.importers.models import graph_of, model_of, node, reference

RANDOM = np.random.default_rng(0)
WEIGHT, SHIFT = RANDOM.standard_normal((8, 3, 3, 3), np.float32), RANDOM.standard_normal((8, 1, 1), np.float32)
IMAGE = RANDOM.standard_normal((1, 3, 9, 11), np.float32)
NODES = [
    node("Conv", ["image", "weight"], ["a"], "stem", pads=[1, 1, 1, 1]),
    node("Add", ["a", "shift"], ["b"], "shifted"),
    node("Relu", ["b"], ["c"], "cut_off"),
    node("Sigmoid", ["c"], ["mask.1"], "gate"),
    node("Mul", ["c", "mask.1"], ["out:0"], "gated"),
]
INPUTS: dict[str, tuple[int, Sequence[int | str]]] = {"image": (TensorProto.FLOAT, ["n", 3, 9, 11])}


def model(outputs: Sequence[str] = ("out:0",)) -> ModelProto:
    return model_of(graph_of(NODES, INPUTS, outputs, {"weight": WEIGHT, "shift": SHIFT}))


def counts() -> ModelProto:
    """A model whose input is of 64-bit integers."""
    inputs: dict[str, tuple[int, Sequence[int | str]]] = {"ids": (TensorProto.INT64, [1, 6])}
    return model_of(graph_of([node("Cast", ["ids"], ["y"], to=TensorProto.FLOAT)], inputs))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(model().SerializeToString())
    return tmp_path


@pytest.fixture
def broken_relu(monkeypatch: pytest.MonkeyPatch) -> None:
    """An importer that takes Relu for something else."""

    def wrong(site: OnnxNode) -> bm.Tensor:
        return bm.abs(site.tensor(0))

    monkeypatch.setitem(cast("dict[tuple[str, str], object]", trace.OPERATORS), ("", "Relu"), wrong)


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Run:
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    out, err = capsys.readouterr()
    return Run(code, out, err)


# ------------------------------------------------------------------ the folder


@pytest.mark.parametrize(("quantize", "tolerance"), [("F32", 1e-5), ("F16", 1e-2), ("BF16", 6e-2)])
def test_the_folder_of_the_official_compilers(folder: Path, quantize: str, tolerance: float) -> None:
    made = bmneto.compile("net.onnx", shapes=[[1, 3, 9, 11]], outdir="made", quantize=quantize, test_inputs=[{"image": IMAGE}])
    assert made and made.folder == Path("made")
    assert {path.name for path in (folder / "made").iterdir()} == {
        "compilation.bmodel",
        "input_ref_data.dat",
        "output_ref_data.dat",
        "io_info.dat",
    }
    (net,) = load(folder / "made" / "compilation.bmodel").model.net
    (stage,) = net.stages
    assert (net.name, [each.name for each in stage.input_tensor], [each.name for each in stage.output_tensor]) == (
        "network",
        ["image"],
        ["out:0"],
    )
    assert (folder / "made" / "input_ref_data.dat").read_bytes() == IMAGE.tobytes()
    found = np.frombuffer((folder / "made" / "output_ref_data.dat").read_bytes(), np.float32)
    wanted = reference(model(), {"image": IMAGE})["out:0"].reshape(-1)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * float(np.abs(wanted).max()))
    assert bmrt_test(["--context_dir", "made"]) == 0


def test_stages_and_a_name(folder: Path) -> None:
    made = bmneto.compile("net.onnx", shapes=[[[1, 3, 9, 11]], [[2, 3, 9, 11]]], net_name="two", opt=1)
    (net,) = made.model.bmodel.model.net
    assert net.name == "two" and len(net.stages) == len(made.comparisons) == 2 and made.folder == Path("compilation")


@pytest.mark.parametrize(
    "shapes", [{"image": (1, 3, 9, 11)}, (1, 3, 9, 11), [[1, 3, 9, 11]], [[[1, 3, 9, 11]]]], ids=["names", "one", "inputs", "stages"]
)
def test_ways_to_say_shapes(folder: Path, shapes: Any) -> None:
    made = bmneto.compile("net.onnx", shapes=shapes, cmp=False)
    assert made.model.runtime["network"].inputs[0].shapes == ((1, 3, 9, 11),) and made.comparisons == ()


def test_integers_narrow_where_they_fit(folder: Path) -> None:
    ids = np.array([[0, 4, 2, 2, 1, 3]])
    np.savez(folder / "ids.npz", ids=ids)
    made = bmneto.compile(counts(), test_inputs=["ids.npz"])
    assert made and made.model.runtime["network"].inputs[0].dtype == np.int32
    assert np.array_equal(np.frombuffer((made.folder / "output_ref_data.dat").read_bytes(), np.float32).reshape(1, 6), ids)
    with pytest.raises(CompileArgumentError, match="is int64"):
        bmneto.compile(counts(), test_inputs=[{"ids": ids + (1 << 40)}])


# ------------------------------------------------------------------ comparing


def test_tensors_are_compared_with_onnxruntime(folder: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    (compared,) = bmneto.compile("net.onnx", shapes=[1, 3, 9, 11], opt=1).comparisons
    assert compared.against.startswith("onnxruntime ")
    assert [each.name for each in compared.tensors.tensors] == ["a", "b", "c", "mask.1", "out:0"]
    assert all(0 < each.allowed_whole < np.inf and each.whole <= each.allowed_whole for each in compared.tensors.tensors)
    (folded,) = bmneto.compile("net.onnx", shapes=[1, 3, 9, 11]).comparisons
    assert [each.name for each in folded.tensors.tensors] == ["b", "c", "mask.1", "out:0"]
    (half,) = bmneto.compile("net.onnx", shapes=[1, 3, 9, 11], quantize="F16", opt=1).comparisons
    inner = {"stem_conv"}  # sums before the bias, which the file does not have
    assert all(each.allowed_whole < np.inf for each in half.tensors.tensors if "cast" not in each.node.op and each.name not in inner)


def test_without_onnxruntime_numpy_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(evaluate, "import_module", absent)
    made = bmneto.compile("net.onnx", shapes=[1, 3, 9, 11])
    assert made and made.comparisons[0].against == "numpy (onnxruntime is not installed)"


def test_what_onnxruntime_refuses_is_told() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    odd = model_of(graph_of([node("axpy", ["image"], ["out:0"], domain="acme")], INPUTS, ["out:0"]))
    source = read(odd)
    with pytest.raises(OnnxruntimeAbsent, match="onnxruntime does not run it"):
        evaluate.evaluate(source, {"image": IMAGE}, ["out:0"])


@pytest.mark.usefixtures("broken_relu")
def test_the_first_difference_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An operator that is imported wrongly computes exactly what it was told, so that only another implementation can tell."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    run = command(capsys, "--model", "net.onnx", "--shapes", "[[1,3,9,11]]")
    assert run.code == 1 and "the first difference arises in cut_off\n  c f32[1, 8, 9, 11] = bm::abs: own 0, whole" in run.err
    assert (folder / "compilation" / "compilation.bmodel").exists(), "for whoever looks into it"
    assert command(capsys, "--model", "net.onnx", "--shapes", "[[1,3,9,11]]", "--cmp=false").code == 0
    assert command(capsys, "--model", "net.onnx", "--shapes", "[[1,3,9,11]]", "--tolerance", "100").code == 0


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize(
    ("inputs", "outputs", "shape"),
    [
        (None, ["c", "out:0"], {"image": (1, 3, 9, 11)}),
        (["b"], None, {"b": (1, 8, 9, 11)}),
        (["c"], ["mask.1"], {"c": (1, 8, 4, 5)}),
        (["mask.1", "c"], ["out:0"], {"mask.1": (1, 8, 2, 2), "c": (1, 8, 2, 2)}),
    ],
)
def test_parts_of_a_model(folder: Path, inputs: list[str] | None, outputs: list[str] | None, shape: dict[str, tuple[int, ...]]) -> None:
    made = bmneto.compile("net.onnx", shapes=shape, input_names=inputs, output_names=outputs)
    assert made, str(made.comparisons[0])
    net = made.model.runtime["network"]
    assert [each.name for each in net.inputs] == (inputs or ["image"])
    assert [each.name for each in net.outputs] == (outputs or ["out:0"])
    given = {name: RANDOM.standard_normal(size, np.float32) for name, size in shape.items()}
    values: dict[str, NDArray[Any]] = dict(given)
    if inputs is None:
        values |= reference(model(["c", "out:0"]), given)
    values.setdefault("c", np.maximum(values.get("b", np.zeros(1)), 0))
    values.setdefault("mask.1", 1 / (1 + np.exp(-values["c"])))
    values.setdefault("out:0", values["c"] * values["mask.1"])
    for name, array in made.model.run(**given).items():
        np.testing.assert_allclose(cast("NDArray[np.float32]", array), values[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        (None, ["mask"], "has no tensor 'mask'\n  help: did you mean mask.1"),
        (["mask.1"], None, "needs the input 'image', too"),
        (["image", "c"], ["mask.1"], "does not need 'image'"),
    ],
)
def test_parts_that_there_are_not(inputs: list[str] | None, outputs: list[str] | None, told: str) -> None:
    with pytest.raises(OnnxInputError) as caught:
        bmneto.compile(model(), input_names=inputs, output_names=outputs)
    assert told in str(caught.value)


# ------------------------------------------------------------------ refusals


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"shapes": [[1, 3, 9, 11], [2]]}, "there are shapes for 2 inputs of 1\n  help: the inputs are image"),
    ({"shapes": [[1, 3, 9, 1.5]]}, "the shapes are"),
    ({"shapes": []}, "the shapes are []"),
    ({"quantize": "INT8"}, "INT8 needs ranges"),
    ({"quantize": "F8"}, "no precision 'F8'"),
    ({"mode": "GenUmodel"}, "models for a quantiser"),
    ({"mode": "run"}, "there is no mode 'run'"),
    ({"shapes": [1, 3, 9, 11], "opt": 3}, "there is no level 3"),
    ({"shapes": [1, 3, 9, 11], "test_inputs": []}, "there are inputs for 0 stages of 1"),
    ({"shapes": [1, 3, 9, 11], "test_inputs": [{}]}, "there is no input 'image' for the test run"),
    ({"shapes": [1, 3, 9, 11], "test_inputs": [{"image": IMAGE[:, :, 1:]}]}, "is float32[1, 3, 8, 11]"),
]


@pytest.mark.parametrize(("options", "told"), IMPOSSIBLE)
def test_options_that_are_not_possible(folder: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(CompileArgumentError) as caught:
        bmneto.compile("net.onnx", **options)
    assert told in str(caught.value)
    assert not (folder / "compilation").exists()


def test_a_file_with_another_shape_is_not_read(folder: Path) -> None:
    np.savez(folder / "wrong.npz", image=np.zeros((1, 3, 900, 11), np.float32))
    with pytest.raises(CompileArgumentError, match=r"is \[1, 3, 900, 11\] in wrong.npz"):
        bmneto.compile("net.onnx", shapes=[1, 3, 9, 11], test_inputs=["wrong.npz"])


def test_shapes_have_to_be_known(folder: Path) -> None:
    with pytest.raises(OnnxInputError, match="the shape of input 'image'"):
        bmneto.compile("net.onnx")


def test_operators_that_there_are_not_are_listed() -> None:
    odd = model_of(graph_of([node("axpy", ["image"], ["out:0"], "here", domain="acme")], INPUTS, ["out:0"]))
    with pytest.raises(UnsupportedNodesError, match="axpy 'here'"):
        bmneto.compile(odd, shapes=[1, 3, 9, 11])


# ------------------------------------------------------------------ the command


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One dash or two, as the official front-ends take both."""
    np.savez(folder / "in.npz", image=IMAGE)
    run = command(
        capsys, "-model", "net.onnx", "-shapes=[1,3,9,11]", "--outdir=made", "-net_name", "small", "-target", "BM1684X", "-opt", "1",
        "-dyn=false", "--cmp=True", "--mode=compile", "--quantize", "f16", "--test_input", "in.npz", "--report", "-v", "3",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert run.out.splitlines()[-1] == "made" and " cycles, " in run.out and "none differs" in run.out and "= bm::relu: own" in run.out
    assert [line.split(":")[0] for line in run.err.splitlines()] == [
        "reading",
        "compiling",
        "comparing stage 0",
        "running and writing",
        "writing the report",
    ]
    assert (folder / "made" / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert (folder / "made" / "input_ref_data.dat").read_bytes() == IMAGE.tobytes()
    assert list(bm.Runtime(folder / "made" / "compilation.bmodel").nets) == ["small"]


def test_shapes_of_stages_and_silence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = command(
        capsys, "--model=net.onnx", "--shapes=[[1,3,9,11]]", "--shapes=[2,3,9,11]", "--cmp=0", "--v=0", "--output_names=c, mask.1"
    )
    assert (run.code, run.out, run.err) == (0, "", "")
    net = bm.Runtime(folder / "compilation" / "compilation.bmodel")["network"]
    assert net.stage_count == 2 and [each.name for each in net.outputs] == ["c", "mask.1"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--model", "net.onnx"], 1, "the shape of input 'image' of network is [n, 3, 9, 11]"),
        (["--model", "none.onnx"], 1, "none.onnx"),
        (["--model", "net.onnx", "--shapes", "1,3"], 1, "the shapes are 1,3"),
        (["--model", "net.onnx", "--shapes", "[1,3,9,[11]]"], 1, "the shapes are"),
        (["--model", "net.onnx", "--shapes", "[" * 100_000], 1, "the shapes are"),
        (["--model", "net.onnx", "--shapes", "[1,3,9,11]", "--quantize", "INT8"], 1, "INT8"),
        (["--model", "net.onnx", "--shapes", "[1,3,9,11]", "--target", "BM1680"], 1, "BM1680"),
        (["--model", "net.onnx", "--dyn=perhaps"], 2, "'perhaps' is neither true nor false"),
        (["--shapes", "[1]"], 2, "--model FILE.onnx is missing"),
    ],
)
def test_mistakes(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str) -> None:
    run = command(capsys, *arguments)
    assert run.code == code and told in run.err and run.out == ""


def test_the_list_of_operators(capsys: pytest.CaptureFixture[str]) -> None:
    run = command(capsys, "--list_ops")
    assert run.code == 0 and {"Conv", "Relu", "Reshape"} <= set(run.lines)
