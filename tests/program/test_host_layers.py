"""Layers of users that the host computes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

import bmlang as bm
import tpukernel as tpu
from bmlang.host import HOST_LAYERS, HostLayerError
from bmlang.layers.custom import FunctionLayer, OnHost
from bmlang.layers.errors import LayerCheckError, LayerDefinitionError
from bmlang.runtime import Runtime
from tpukernel.lang.signature import TensorSpec

Numbers = NDArray[np.float64]
X = np.random.default_rng(3).standard_normal(24).astype(np.float32)


def _bins(x: TensorSpec, *, bins: int = 4) -> TensorSpec:
    return bm.spec((bins,), bm.i32)


@bm.layer("hosted::histogram", cpu=True, infer=_bins)
def histogram(x: Numbers, *, bins: int = 4) -> NDArray[np.int64]:
    """How many elements there are in each part of [-1, 1]."""
    return np.histogram(x, bins, (-1, 1))[0]


def _same(x: TensorSpec) -> TensorSpec:
    return x


def _above_specs(x: TensorSpec, *, least: float = 0.0) -> list[TensorSpec]:
    return [x, bm.spec((1,), bm.i32)]


@bm.layer("hosted::above", cpu=True, infer=_above_specs, bounded=[[0]])
def above(x: Numbers, *, least: float = 0.0) -> tuple[Numbers, NDArray[np.int64]]:
    """The elements above a limit, and their number."""
    return x[x > least], np.array([(x > least).sum()])


@bm.function
def both(x: bm.Tensor) -> dict[str, bm.Tensor]:
    some, count = above(x * 2.0, least=0.5)
    return {"some": some, "filled": bm.fill_up(some, 9), "more": count + 1, "bins": histogram(bm.relu(x), bins=5)}


def test_a_function_of_the_user_runs_between_commands() -> None:
    chosen = 2 * X[2 * X > 0.5]
    for found in (both.run({"x": X}), bm.compile(both, stages=[{"x": (24,)}]).run(x=X), both.reference(X)):
        assert found["some"].tolist() == chosen.tolist() and found["more"].tolist() == [chosen.size + 1]
        assert found["filled"].tolist() == [*chosen.tolist(), *[9.0] * (24 - chosen.size)]
        assert found["bins"].tolist() == np.histogram(np.maximum(X, 0), 5, (-1, 1))[0].tolist()


def test_layer_check_knows_such_layers() -> None:
    assert bm.layer_check(histogram, shapes=[(7,), (3, 5)], attrs={"bins": 3})
    assert bm.layer_check(above, shapes=[(7,)], dtypes=["f32", "i8"], attrs={"least": 0.1})


def test_a_size_that_infer_does_not_know_is_a_mistake() -> None:
    @bm.layer("hosted::fewer", cpu=True, infer=_same)
    def fewer(x: Numbers) -> Numbers:
        return x[:-1]

    with pytest.raises(LayerCheckError, match=r"infer says that .* is \[7\], the reference gives \[6\]"):
        bm.layer_check(fewer, shapes=[(7,)])


def test_another_process_has_to_register_the_layer(tmp_path: Path) -> None:
    @bm.function
    def counted(x: bm.Tensor) -> bm.Tensor:
        return histogram(x)

    path = bm.compile(counted, stages=[{"x": (24,)}]).save(tmp_path / "counted.bmodel")
    program = f"""
import numpy, bmlang, bmlang.bmodel
network, x = bmlang.Runtime({str(path)!r})["counted"], numpy.zeros(24, "f4")
try:
    network(x=x)
except Exception as error:
    print(error)
from bmlang.host import host_layer
host_layer("hosted::histogram", lambda wanted, inputs: [numpy.arange(wanted.attrs["bins"], dtype="i4")])
print(network(x=x)["output"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "RT116: the model needs the host layer hosted::histogram, which is not registered" in done.stdout
    assert "[0 1 2 3]" in done.stdout


def _only_above(x: Numbers, least: float) -> Numbers:
    return x[x > least]


def test_a_function_that_gives_something_else_than_the_model_has(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(bm.compile(both, stages=[{"x": (24,)}]).bmodel)
    only = replace(cast("FunctionLayer", above.layer), numpy=_only_above)
    monkeypatch.setitem(HOST_LAYERS, "hosted::above", OnHost(only))
    with pytest.raises(HostLayerError, match="gives 1 outputs, the model has 2"):
        runtime["both"](x=X)


@tpu.kernel
def doubled(k: tpu.Builder, x: tpu.In, y: tpu.Out) -> None:
    before, after = k.local(x.shape, x.dtype), k.local(x.shape, x.dtype)
    k.dma.load(before, x)
    k.tiu.mul(after, before, 2.0)
    k.dma.store(y, after)


def test_the_host_takes_the_data_types_that_a_kernel_does_not() -> None:
    @bm.layer("hosted::doubled", kernel=doubled, dtypes=["f32"], cpu=True)
    def twice(x: Numbers) -> Numbers:
        return x + x

    @bm.function
    def run(x: bm.Tensor) -> bm.Tensor:
        return twice(x)

    numbers = np.arange(12, dtype=np.int32).reshape(1, 2, 1, 6)
    for array, modes in ((numbers, [1]), (numbers.astype(np.float32), [0])):
        model = bm.compile(run, stages=[{"x": bm.spec(array.shape, str(array.dtype))}])
        assert [each.subnet_mode for each in model.bmodel.model.net[0].stages[0].subnets] == modes
        assert model.run(x=array)["output"].tolist() == (2 * array).tolist()


def test_definitions_that_do_not_fit_together() -> None:
    def plain(x: Numbers) -> Numbers:
        return x

    with pytest.raises(LayerDefinitionError, match="does not say what it makes"):
        bm.layer("hosted::wrong", cpu=True)(plain)
    with pytest.raises(LayerDefinitionError, match="has another reference"):
        bm.layer("hosted::wrong", cpu=True, infer=_same, reference=plain)(plain)
    with pytest.raises(LayerDefinitionError, match="2 inputs, its function 1"):
        bm.layer("hosted::wrong", cpu=True, infer=_same, inputs=["a", "b"])(plain)
    with pytest.raises(LayerDefinitionError, match="sizes depend on data"):
        bm.layer("hosted::wrong", kernel=doubled, bounded=[[0]])(plain)
    with pytest.raises(LayerDefinitionError, match="made of other layers"):
        bm.layer("hosted::wrong", cpu=True)(both)
