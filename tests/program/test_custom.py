"""Layers of users: functions and kernels as operators, their checks, and packages that bring layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import bmlang as bm
import tpukernel as tpu
from bmlang.cli.bmlang import main
from bmlang.layers.errors import LayerCheckError, LayerDefinitionError, OperatorArgumentError
from tpukernel.errors import TpuError

ROOT = Path(__file__).resolve().parents[2]
Floats = NDArray[np.float64]
X, Y = (np.random.default_rng(k).standard_normal((2, 70, 3, 40), np.float32) for k in range(2))


@tpu.kernel
def axpy_kernel(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out, *, alpha: float, tile_w: int = 512) -> None:
    n, c, h, w = x.shape
    for c0 in k.range(0, c, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, c - c0)
        for w0 in k.pipeline(0, w, tile_w, buffers=2):
            ws = tpu.minimum(tile_w, w - w0)
            a, b, scaled, total = (k.local((n, cs, h, ws), x.dtype) for _ in range(4))
            k.dma.load(a, x[:, c0 : c0 + cs, :, w0 : w0 + ws])
            k.dma.load(b, y[:, c0 : c0 + cs, :, w0 : w0 + ws])
            k.tiu.mul(scaled, a, alpha)
            k.tiu.add(total, scaled, b)
            k.dma.store(out[:, c0 : c0 + cs, :, w0 : w0 + ws], total)


@bm.layer("tests::axpy", kernel=axpy_kernel)
def axpy(x: Floats, y: Floats, *, alpha: float) -> Floats:
    """alpha * x + y."""
    return alpha * x + y


@bm.layer("tests::swish")
@bm.function
def swish(x: bm.Tensor, *, beta: float = 1.0) -> bm.Tensor:
    """x * sigmoid(beta * x)."""
    return x * bm.sigmoid(beta * x)


@bm.layer("tests::twice")
@bm.function
def twice(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
    weights = np.linspace(0, 1, 40, dtype=np.float32)
    return swish(x) * weights, axpy(x, weights.reshape(1, 1, 1, 40) + x * 0, alpha=2.0)


@bm.function
def user(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    a = bm.relu(x) + 1
    return bm.tanh(swish(axpy(a, y=y, alpha=2.0), beta=0.5))


def user_in_numpy() -> Floats:
    found = 2 * (np.maximum(X, 0) + 1).astype(np.float64) + Y
    return np.tanh(found / (1 + np.exp(-0.5 * found)))


@pytest.mark.parametrize(("mode", "tolerance"), [("f32", 1e-5), ("f16", 2e-2), ("bf16", 1e-1)])
def test_own_layers_beside_built_in_ones(mode: str, tolerance: float) -> None:
    np.testing.assert_allclose(user.run({"x": X, "y": Y}, mode=mode)["output"], user_in_numpy(), atol=tolerance)
    np.testing.assert_allclose(user.reference(X, Y)["output"], user_in_numpy(), atol=1e-6)


TEXT = """
kernel axpy(in x: t[n, c, h, w], in y: t[n, c, h, w], out out: t[n, c, h, w]; alpha: float, tile = 512) {
  for c0 in 0 .. c step chip.lanes {
    let cs = min(chip.lanes, c - c0);
    pipeline w0 in 0 .. w step tile {
      let ws = min(tile, w - w0);
      let a, b, scaled, total = local<t>[n, cs, h, ws];
      dma.load(a, x[:, c0:+cs, :, w0:+ws]);
      dma.load(b, y[:, c0:+cs, :, w0:+ws]);
      tiu.mul(scaled, a, alpha);
      tiu.add(total, scaled, b);
      dma.store(out[:, c0:+cs, :, w0:+ws], total);
    }
  }
}
"""


def test_a_kernel_as_text_is_a_layer(tmp_path: Path) -> None:
    path = tmp_path / "axpy.tpuk"
    path.write_text(TEXT)

    @bm.layer("tests::axpy_text", kernel=path)
    def from_file(x: Floats, y: Floats, *, alpha: float) -> Floats:
        return alpha * x + y

    from_text = bm.layer("tests::axpy_parsed", reference=from_file_in_numpy)(tpu.parse(TEXT))

    @bm.function
    def f(x: bm.Tensor, y: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return from_file(x, bm.relu(y), alpha=2.0), from_text(x, y, alpha=3.0)

    first, second = f(X, Y)
    np.testing.assert_array_equal(first, 2 * X + np.maximum(Y, 0))
    np.testing.assert_allclose(second, 3 * X + Y, rtol=1e-6, atol=1e-6)
    assert bm.layer_check(from_file, shapes=[(1, 65, 3, 7)], dtypes=["f32", "bf16"], attrs={"alpha": 2.0})


def from_file_in_numpy(x: Floats, y: Floats, *, alpha: float) -> Floats:
    return alpha * x + y


def test_they_are_compiled_into_files(tmp_path: Path) -> None:
    model = bm.compile(user, stages=[{"x": X.shape, "y": Y.shape}, {"x": (1, 3, 2, 5), "y": (1, 3, 2, 5)}])
    found = bm.Runtime(model.save(tmp_path / "user.bmodel"))["user"](x=X, y=Y)["output"]
    np.testing.assert_allclose(found.astype(np.float64), user_in_numpy(), atol=1e-5)


def test_layers_of_layers_with_several_outputs_and_constants() -> None:
    @bm.function
    def both(x: bm.Tensor) -> bm.Tensor:
        first, second = twice(x)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        return first - second  # pyright: ignore[reportUnknownVariableType]

    np.testing.assert_allclose(both(X), both.reference(X)["output"], rtol=1e-5, atol=1e-5)


def test_their_checks_pass() -> None:
    shapes = [(1, 64, 8, 8), (4, 65, 7, 9), (1, 1, 1, 1)]
    report = bm.layer_check(axpy, shapes=shapes, dtypes=["f32", "f16", "bf16"], attrs={"alpha": 0.5})
    assert report and len(report.cases) == 9
    assert "x f16[4, 65, 7, 9], y f16[4, 65, 7, 9]: ok" in str(report)
    assert bm.layer_check("tests::swish", shapes=shapes)
    assert bm.layer_check(twice.layer, shapes=[(2, 3, 4, 40)], mode="f32")


def test_a_check_of_a_built_in_layer_with_weights() -> None:
    weights = {"x": (2, 3, 8, 8), "weight": (5, 3, 3, 3), "bias": (5,)}
    assert bm.layer_check("bm::conv", shapes=[weights], dtypes=["f32", "f16"], constants=["weight", "bias"], reduction=27)


def test_a_doc_and_a_name() -> None:
    assert axpy.__doc__ == "alpha * x + y."
    assert repr(axpy) == "<operator tests::axpy(x, y, alpha, tile_w)>"


# ------------------------------------------------------------------ what checks find


def difference(x: Floats, y: Floats, *, alpha: float) -> Floats:
    return alpha * x - y


def one_channel(x: Floats, y: Floats, *, alpha: float) -> Floats:
    return (alpha * x + y)[:, :1]


def two_results(x: Floats, y: Floats, *, alpha: float, tile_w: int) -> tuple[Floats, Floats]:
    return alpha * x + y, x


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        (difference, "output_0 differs from the reference: "),
        (one_channel, "infer says that output_0 is [1, 4, 2, 8], the reference gives [1, 1, 2, 8]"),
        (two_results, "infer gives 1 outputs, the reference 2"),
    ],
)
def test_a_reference_that_says_something_else(reference: Callable[..., object], complaint: str) -> None:
    operator = bm.layer(f"tests::{reference.__name__}", reference=reference)(axpy_kernel)
    with pytest.raises(LayerCheckError) as caught:
        bm.layer_check(operator, shapes=[(1, 4, 2, 8)], attrs={"alpha": 2.0})
    assert complaint in str(caught.value)


def test_a_kernel_that_races_is_found() -> None:
    @tpu.kernel
    def careless(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, x.dtype), k.local(x.shape, x.dtype)
        with k.parallel():
            k.dma.load(a, x)
            k.tiu.abs(b, a)
        k.dma.store(out, b)

    operator = bm.layer("tests::careless", reference=np.abs)(careless)
    with pytest.raises(LayerCheckError, match="SIM"):
        bm.layer_check(operator, shapes=[(1, 4, 2, 8)])


def test_a_kernel_that_cannot_be_elaborated_is_told() -> None:
    with pytest.raises(LayerCheckError, match="KER120"):
        bm.layer_check(axpy, shapes=[(1, 64, 200, 2000)], attrs={"alpha": 2.0})


# ------------------------------------------------------------------ what is no layer


@tpu.kernel
def changes(k: tpu.Builder, x: tpu.InOut, out: tpu.Out) -> None:
    pass


@tpu.kernel
def makes_nothing(k: tpu.Builder, x: tpu.In) -> None:
    pass


def axpy_in_numpy(x: Floats, y: Floats, *, alpha: float) -> Floats:
    return alpha * x + y


NO_LAYERS: dict[str, tuple[Callable[[], object], str]] = {
    "no reference": (lambda: bm.layer("tests::a")(axpy_kernel), "layer tests::a has no reference"),
    "two kernels": (lambda: bm.layer("tests::a", kernel=axpy_kernel)(axpy_kernel), "layer tests::a has two kernels"),
    "inout": (lambda: bm.layer("tests::a", reference=np.abs)(changes), "the kernel of layer tests::a changes x"),
    "no output": (lambda: bm.layer("tests::a", reference=np.abs)(makes_nothing), "the kernel of layer tests::a has no output"),
    "other inputs": (
        lambda: bm.layer("tests::a", inputs=["x"], reference=axpy_in_numpy)(axpy_kernel),
        "layer tests::a has 1 inputs, its kernel 2",
    ),
    "inputs of a function": (lambda: bm.layer("tests::a", inputs=["z"])(user), "layer tests::a has the inputs x, y"),
    "a function with a kernel": (lambda: bm.layer("tests::a", kernel=axpy_kernel)(user), "layer tests::a is a function and has a kernel"),
    "a python function": (lambda: bm.layer("tests::a")(axpy_in_numpy), "layer tests::a is a Python function, which is its reference"),
    "another signature": (
        lambda: bm.layer("tests::a", reference=user_in_numpy)(axpy_kernel),
        "the reference of layer tests::a cannot be called with x, y, alpha, tile_w",
    ),
}


@pytest.mark.parametrize("name", NO_LAYERS)
def test_what_is_no_layer(name: str) -> None:
    make, text = NO_LAYERS[name]
    with pytest.raises(LayerDefinitionError) as caught:
        make()
    assert caught.value.message.startswith(text)
    assert caught.value.help


def test_arguments_that_do_not_fit() -> None:
    @bm.function
    def no_alpha(x: bm.Tensor) -> bm.Tensor:
        return axpy(x, x)

    @bm.function
    def given_twice(x: bm.Tensor) -> bm.Tensor:
        return axpy(x, x, y=x, alpha=1.0)

    with pytest.raises(OperatorArgumentError, match="tests::axpy needs alpha"):
        no_alpha(X)
    with pytest.raises(OperatorArgumentError, match="tests::axpy got y twice"):
        given_twice(X)


def test_a_mistake_in_a_kernel_is_shown_in_the_kernel() -> None:
    @bm.function
    def large(x: bm.Tensor) -> bm.Tensor:
        return axpy(x, x, alpha=1.0)

    with pytest.raises(TpuError, match="KER120") as caught:
        large(np.ones((1, 64, 200, 2000), np.float32))
    assert "for _ in range(4)" in str(caught.value), "the line of the kernel"


# ------------------------------------------------------------------ packages


def test_layers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers"]) == 0
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in capsys.readouterr().out.splitlines()}
    assert lines["bm::relu"] == "x local bmlang.layers.activations"
    assert lines["tests::axpy"] == "x, y, alpha, tile_w global tests.program.test_custom"
    assert lines["tests::swish"] == "x, beta graph tests.program.test_custom"
    assert lines["bm::reshape"] == "x, shape alias bmlang.layers.shape"


def run_python(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package of `tests/plugin` is installed."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "plugin"
    source.mkdir()
    for name in ("pyproject.toml", "acme_layers.py", "acme_broken.py"):  # building leaves files beside the sources
        (source / name).write_bytes((ROOT / "tests" / "plugin" / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(folder),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_an_installed_package_brings_layers(installed: Path) -> None:
    listed = json.loads(run_python(installed, "-m", "bmlang.cli.bmlang", "layers", "--json"))
    (row,) = (row for row in listed["layers"] if row["name"] == "acme::shrink")
    assert row == {
        "name": "acme::shrink",
        "inputs": ["x"],
        "arguments": {"threshold": "0.5"},
        "form": "graph",
        "module": "acme_layers",
        "package": "acme-layers",
    }
    assert listed["failures"] == {"acme_broken": "ZeroDivisionError: division by zero"}
    text = run_python(installed, "-m", "bmlang.cli.bmlang", "layers")
    assert "acme_broken could not be imported: ZeroDivisionError: division by zero" in text


def test_a_layer_of_an_installed_package_is_found_by_its_name(installed: Path) -> None:
    code = """
import bmlang as bm
from bmlang.layers.tensor import apply
import numpy as np

@bm.function
def f(x):
    return apply("acme::shrink", x, threshold=1.0)

print(f(np.array([-3, -0.5, 0.5, 2], np.float32)).tolist())
print(bool(bm.layer_check("acme::shrink", shapes=[(1, 65, 3, 7)])))
from bmlang.layers.registry import layer_of
try:
    layer_of("acme::schrink_wrong")
except Exception as error:
    print(error)
"""
    lines = run_python(installed, "-c", code).splitlines()
    assert lines[:2] == ["[-2.0, 0.0, 0.0, 1.0]", "True"]
    assert "acme_broken, which an installed package names, could not be imported: ZeroDivisionError" in lines[-1]
