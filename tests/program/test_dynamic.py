"""Dynamic nets: one file for any shapes up to the compiled ones gives what static compiles of these shapes give."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bmlang as bm
import tpukernel as tpu
from bmlang.bmodel import BModel, load
from bmlang.bmodel.dynamic_code import DynamicCode, dynamic_code_of
from bmlang.bmodel.errors import DynamicCodeError
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import NetParameter
from bmlang.bmodel.verify import verify
from bmlang.cli.bmrt_test import main as bmrt_test
from bmlang.compiler.dynamic import DynamicProgram
from bmlang.compiler.errors import CompileArgumentError
from bmlang.graph.errors import GraphError, GraphSizeError, SizeUseError
from bmlang.layers import registry
from bmlang.program.varying import traced_varying
from bmlang.runtime.errors import EmptyTensorError, InputShapeError, OutputArrayError
from tests.support.effort import examples
from tpukernel import BM1684X
from tpukernel.errors import TpuError
from tpukernel.lang.errors import SymbolicValueError

Numbers = NDArray[np.float32]
RANDOM = np.random.default_rng(5)
WEIGHT = RANDOM.standard_normal((70, 6, 3, 3)).astype(np.float32)
LARGEST = {"x": (4, 6, 19, 23)}


@bm.layer("dynamic_tests::mean_free")
@bm.function
def mean_free(x: bm.Tensor) -> bm.Tensor:
    return x - bm.reduce_sum(x, [2, 3], keepdims=True) / (x.shape[2] * x.shape[3])


def axpy_in_numpy(x: Numbers, y: Numbers, *, alpha: float) -> Numbers:
    return alpha * x + y


@bm.layer("dynamic_tests::axpy", reference=axpy_in_numpy)
@tpu.kernel
def axpy(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out, *, alpha: float) -> None:
    n, c, h, w = x.shape
    for c0 in k.pipeline(0, c, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, c - c0)
        a, b = (k.local((n, cs, h, w), x.dtype) for _ in range(2))
        k.dma.load(a, x[:, c0 : c0 + cs])
        k.dma.load(b, y[:, c0 : c0 + cs])
        k.tiu.mul(a, a, alpha)
        k.tiu.add(a, a, b)
        k.dma.store(out[:, c0 : c0 + cs], a)


@bm.function
def features(x: bm.Tensor) -> bm.Tensor:
    """Windows, rows, products and rearrangements; what it does to the last rows depends on how many there are."""
    y = mean_free(bm.relu(bm.conv(x, WEIGHT, stride=2, pad=1)))
    n, c, h, w = y.shape
    rows = bm.permute(bm.reshape(y, [n, c, h * w]), [0, 2, 1])
    near = bm.softmax(rows @ bm.permute(rows, [0, 2, 1]) / c, axis=-1)
    mixed = bm.reshape(near @ rows, [n, h, w, c])
    return bm.concat([mixed[:, : h - 1], mixed[:, -1:] * 2.0], 1) if h > 2 else mixed


@cache
def dynamic() -> BModel:
    return bm.compile(features, stages=[LARGEST], dynamic=True).bmodel


@cache
def stage() -> NetParameter:
    return dynamic().model.net[0].stages[0]


@cache
def code() -> bytes:
    binary = stage().binary_ir
    assert binary is not None
    return bytes(binary.data)


def commands(stage: NetParameter) -> object:
    """What runs, and on what."""
    groups = [
        (bytes(group.binary_bdc.data), bytes(group.binary_gdma.data))
        for group in stage.cmd_group or ()
        if group.binary_bdc and group.binary_gdma
    ]
    tensors = [(tensor.name, tensor.device_addr, tensor.shape) for tensor in (*stage.input_tensor, *stage.output_tensor)]
    return groups, tensors, stage.coeff_mem and stage.coeff_mem.check_code


@settings(max_examples=examples(3))
@given(st.tuples(st.integers(2, 4), st.integers(5, 19), st.integers(3, 23)))
def test_the_commands_are_those_of_a_static_compile(sizes: tuple[int, int, int]) -> None:
    """Where no size is 1: a static compile leaves such dimensions out."""
    n, h, w = sizes
    program = DynamicProgram.read(stage())
    static = bm.compile(features, stages=[{"x": (n, 6, h, w)}]).bmodel.model.net[0].stages[0]
    assert commands(program.parameter(0, {"x_0": n, "x_2": h, "x_3": w}, BM1684X)) == commands(static)


@pytest.mark.parametrize("shape", [(4, 6, 19, 23), (1, 6, 5, 1)])
def test_the_bits_are_those_of_a_call(shape: tuple[int, ...]) -> None:
    x = RANDOM.standard_normal(shape).astype(np.float32)
    found = bm.Runtime(dynamic().to_bytes())["features"](x=x)["output"]
    assert found.tobytes() == features(x).tobytes() and found.shape == features(x).shape


def test_what_is_refused_is_told() -> None:
    net = bm.Runtime(dynamic())["features"]
    for shape, told in {
        (5, 6, 9, 9): "dimension 0 of x is 5",
        (1, 7, 9, 9): "dimension 1 of x is 7, not 6",
        (1, 6, 3, 9): r"features was made for \(x_2 - 1\) // 2 \+ 1 > 2, which does not hold for x_0 = 1, x_2 = 3",
        (1, 6, 9): "x has 3 dimensions, not 4",
    }.items():
        with pytest.raises(GraphSizeError, match=f"BML164: {told}"):
            net(x=np.zeros(shape, np.float32))
    with pytest.raises(OutputArrayError):
        net(x=np.zeros((1, 6, 9, 9), np.float32), out={"output": np.zeros((1, 4, 5, 70), np.float32)})
    out, larger = np.zeros((1, 5, 5, 70), np.float32), np.zeros((4, 10, 12, 70), np.float32)
    assert net(x=np.ones((1, 6, 9, 9), np.float32), out={"output": out})["output"] is out and out.any()
    part = net(x=np.ones((1, 6, 9, 9), np.float32), out={"output": larger})["output"]
    assert part.base is larger and part.tobytes() == out.tobytes()


def test_verified_shown_and_combined() -> None:
    assert not verify(load(dynamic().to_bytes())).findings
    assert stage().sub_net is not None
    with pytest.raises(CompileArgumentError, match="the functions are features"):
        bm.compile(features, stages=[LARGEST], dynamic=["feature"])


@bm.function
def joined(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    z = axpy(bm.relu(x), y, alpha=2.0)
    return axpy(z[:, :, 1:], x[:, :, 1:], alpha=3.0)


@pytest.mark.parametrize("mode", ["f32", "f16"])
def test_kernels_travel_as_text(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = bm.compile(joined, stages=[{"x": (3, 70, 9, 9), "y": (3, 70, 9, 9)}], dynamic=True, mode=mode)
    found, _ = dynamic_code_of(model.bmodel.model.net[0].stages[0])
    assert (
        list(found.kernels) == ["dynamic_tests::axpy", "dynamic_tests::axpy_of_2"]
        and "alpha = 3.0" in found.kernels["dynamic_tests::axpy_of_2"]
    )
    x, y = RANDOM.standard_normal((2, 2, 70, 5, 7)).astype(np.float32)
    wanted = joined.run({"x": x, "y": y}, mode=mode)["output"]
    monkeypatch.delitem(registry._LAYERS, "dynamic_tests::axpy")  # pyright: ignore[reportPrivateUsage]
    assert bm.Runtime(model.bmodel.to_bytes())["joined"](x=x, y=y)["output"].tobytes() == wanted.tobytes()


def test_a_kernel_that_needs_the_number_is_refused_with_its_line() -> None:
    def twice(x: Numbers) -> Numbers:
        return 2 * x

    @bm.layer("dynamic_tests::unrolled", reference=twice)
    @tpu.kernel
    def unrolled(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        n, c, h, w = x.shape
        for image in range(int(n)):
            a = k.local((1, c, h, w), x.dtype)
            k.dma.load(a, x[image : image + 1])
            k.tiu.add(a, a, a)
            k.dma.store(out[image : image + 1], a)

    @bm.function
    def f(x: bm.Tensor) -> bm.Tensor:
        return unrolled(x)

    with pytest.raises(SymbolicValueError, match="test_dynamic.py"):
        bm.compile(f, stages=[{"x": (2, 3, 4, 4)}], dynamic=True)
    bm.compile(f, stages=[{"x": (2, 3, bm.upto(4), 4)}], dynamic=True)


@bm.function
def search(data: bm.Tensor, query: bm.Tensor) -> dict[str, bm.Tensor]:
    """The largest of those that are near a number, twice as large."""
    distance = bm.abs(data - query)
    near = bm.masked_select(data, bm.lt(distance, 0.5)) * 2.0
    values, places = bm.topk(near, 3)
    return {"values": values, "places": places, "near": near}


@cache
def searching() -> BModel:
    return bm.compile(search, stages=[{"data": (bm.upto(3000),), "query": (1,)}], dynamic=True).bmodel


def test_sizes_that_depend_on_data() -> None:
    net = bm.Runtime(searching().to_bytes())["search"]
    query = np.zeros(1, np.float32)
    for count in (3000, 100):
        data = RANDOM.standard_normal(count).astype(np.float32)
        near = 2 * data[np.abs(data) < 0.5]
        found = net(data=data, query=query)
        np.testing.assert_array_equal(found["near"], near)
        np.testing.assert_array_equal(found["places"], np.argsort(-near, kind="stable")[:3])
        np.testing.assert_array_equal(found["values"], np.sort(near)[::-1][:3])
    with pytest.raises(EmptyTensorError, match="RT117: masked_select of net 'search' has no elements"):
        net(data=np.full(9, 7, np.float32), query=query)


def test_parts_between_which_sizes_become_known() -> None:
    program = DynamicProgram.read(searching().model.net[0].stages[0])
    assert [[node.op for node in part.nodes] for part in program.segments] == [
        ["bm::sub", "bm::abs", "bm::lt", "bm::masked_select"],
        ["bm::mul", "bm::topk"],
    ]
    assert program.found == {"masked_select_found": ("masked_select", 0)}


# ------------------------------------------------------------------ stages and nets


@bm.function
def doubled(x: bm.Tensor) -> bm.Tensor:
    return x + x


@bm.function
def halved(x: bm.Tensor) -> bm.Tensor:
    return x * 0.5


def test_the_nearest_stage() -> None:
    shapes = [(8, 3, 64, 64), (8, 4, 32, 32), (2, 3, 40, 48), (1, 3, 30, 64)]
    net = bm.Runtime(bm.compile(doubled, stages=[{"x": shape} for shape in shapes], dynamic=True).bmodel)["doubled"]
    chosen = {
        (8, 3, 64, 64): 0,  # the very shape
        (2, 3, 30, 30): 2,  # 10 * 18 is less than 6 * 34 * 34; stage 1 has other channels, stage 3 too few images
        (1, 3, 30, 40): 3,  # 24 (equal sizes do not count) is less than 1 * 10 * 8
        (3, 3, 1, 1): 0,
        (5, 4, 5, 5): 1,
    }
    assert {shape: net.stage_for([shape]) for shape in chosen} == chosen
    with pytest.raises(InputShapeError, match="compiled for no such shapes"):
        net.stage_for([(9, 3, 1, 1)])
    with pytest.raises(GraphSizeError):
        net.stage_for([(5, 4, 5, 5)], 0)


def test_static_and_dynamic_nets_in_one_file() -> None:
    stages = {"doubled": [{"x": (2, 3, 8)}, {"x": (4, 3, 5)}], "halved": [{"x": (2, 3, 8)}, {"x": (1, 3, 8)}]}
    runtime = bm.Runtime(bm.compile([doubled, halved], stages=stages, dynamic=["doubled"]).bmodel.to_bytes())
    assert (runtime["doubled"].is_dynamic, runtime["halved"].is_dynamic) == (True, False)
    x = RANDOM.standard_normal((2, 3, 6)).astype(np.float32)
    np.testing.assert_array_equal(runtime["doubled"](x=x)["output"], 2 * x)
    with pytest.raises(InputShapeError):
        runtime["halved"](x=x)


def test_bmrt_test_takes_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bm.compile(doubled, stages=[{"x": (4, 3, 8)}, {"x": (2, 3, 9)}], dynamic=True).save_folder(tmp_path)
    assert bmrt_test(["-d", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("cmp success +++ (identical)") == 2
    assert bmrt_test(["-d", str(tmp_path), "--shapes", "[2,3,8]"]) == 0
    told = capsys.readouterr().out
    assert "output data #0 shape: [2 3 8 ]" in told and "stage[1] is not compared" in told
    assert bmrt_test(["-d", str(tmp_path), "--shapes", "[2,3,8]", "--stage_idx", "0"]) == 0
    assert "stage[0] is not compared" in capsys.readouterr().out
    assert bmrt_test(["-d", str(tmp_path), "--shapes", "[5,3,8]"]) == 1


def test_programs_make_room_for_others() -> None:
    runtime = bm.Runtime(bm.compile(doubled, stages=[{"x": (4, 1, 400, 256)}], dynamic=True).bmodel, ddr_bytes=1 << 20)
    for height in (100, 90, 120, 100, 300):
        x = RANDOM.standard_normal((1, 1, height, 256)).astype(np.float32)
        np.testing.assert_array_equal(runtime["doubled"](x=x)["output"], 2 * x)
    with pytest.raises(TpuError, match="RT115"):
        runtime["doubled"](x=np.zeros((4, 1, 400, 256), np.float32))


# ------------------------------------------------------------------ what cannot be compiled


def test_sizes_of_one_name_are_equal() -> None:
    @bm.function
    def f(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
        return bm.reshape(x, [1, x.shape[0] * 3]) + bm.reshape(y, [1, y.shape[0] * 3])

    n = bm.upto(8, "n")
    net = bm.Runtime(bm.compile(f, stages=[{"x": (n, 3), "y": (n, 3)}], dynamic=True).bmodel)["f"]
    with pytest.raises(GraphSizeError, match=r"dimension 0 of y is 5, not 4 \(n\)"):
        net(x=np.zeros((4, 3), np.float32), y=np.zeros((5, 3), np.float32))
    with pytest.raises(CompileArgumentError, match="the size n is at most 8, and at most 9"):
        bm.compile(f, stages=[{"x": (n, 3), "y": (bm.upto(9, "n"), 3)}], dynamic=True)
    with pytest.raises(CompileArgumentError, match="says sizes with upto"):
        bm.compile(f, stages=[{"x": (n, 3), "y": (n, 3)}])
    with pytest.raises(CompileArgumentError, match="no size of the inputs varies"):
        bm.compile(f, stages=[{"x": (1, 3), "y": (1, 3)}], dynamic=True)


BODIES: dict[str, Callable[[bm.Tensor], bm.Tensor]] = {
    "loop": lambda x: bm.concat([x * float(place) for place in range(x.shape[0])], 0),
    "array": lambda x: x + np.ones(x.shape, np.float32),
    "number": lambda x: x * np.full((), x.shape[2], np.float32),
    "length": lambda x: bm.reshape(x, [len(x), -1]),
}


@pytest.mark.parametrize("body", BODIES)
def test_what_is_another_function_for_each_size(body: str) -> None:
    @bm.function
    def f(x: bm.Tensor) -> bm.Tensor:
        return BODIES[body](x)

    with pytest.raises(SizeUseError, match="test_dynamic.py"):
        traced_varying(f, {"x": (3, 2, 5, 5)}, {})


# ------------------------------------------------------------------ files from anywhere


def with_code(changed: bytes) -> BModel:
    (net,) = dynamic().model.net
    return BModel(replace(dynamic().model, net=(replace(net, parameter=(replace(stage(), binary_ir=Binary(changed)),)),)))


@settings(max_examples=max(settings().max_examples // 2, 1))
@given(st.data())
def test_damaged_code_is_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(30, len(code()) - 1))
    length = data.draw(st.integers(0, 8))
    wanted = data.draw(st.binary(max_size=3) | st.sampled_from([b"9" * 12, b"[" * 9, b"-1", b"n // 0", b'"', b"(", b"none", b"1e99"]))
    model = with_code(code()[:start] + wanted + code()[start + length :])
    with suppress(TpuError):
        program = DynamicProgram.read(model.model.net[0].stages[0])
        program.parameter(0, {"x_0": 1, "x_2": 5, "x_3": 4}, BM1684X)


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(code()), **fields}).encode()


WRONG_CODES: dict[str, Callable[[], bytes]] = {
    "is no JSON": lambda: code()[:-20],
    "stage is no JSON": lambda: b'{"format": "tpukernel-dynamic"' + b"[" * 5000,
    "has version 2, not 1": lambda: changed(version=2),
    "has no list of kernels": lambda: changed(kernels=[]),
    "7 where a text should be": lambda: changed(graph=7),
    "lacks a list": lambda: changed(constants=7),
    "data type 'f31'": lambda: changed(constants=[["w", "f31", [3], 0]]),
    "9 dimensions": lambda: changed(constants=[["w", "f32", [1] * 9, 0]]),
    "True where a number should be": lambda: changed(constants=[["w", "f32", [True], 0]]),
    "constant w lies outside": lambda: changed(constants=[["w", "f32", [1 << 40], 0]]),
}


@pytest.mark.parametrize("told", WRONG_CODES)
def test_wrong_codes(told: str) -> None:
    with pytest.raises(DynamicCodeError, match=told):
        bm.Runtime(with_code(WRONG_CODES[told]()))["features"](x=np.zeros((1, 6, 9, 9), np.float32))


def test_wrong_graphs() -> None:
    def run(old: str, new: str) -> None:
        graph = json.loads(code())["graph"]
        assert old in graph
        bm.Runtime(with_code(changed(graph=graph.replace(old, new, 1))))["features"](x=np.zeros((1, 6, 9, 9), np.float32))

    with pytest.raises(GraphError, match="has the arguments"):
        run("stride=2, ", "")
    with pytest.raises(GraphError, match="cannot take these inputs and arguments"):
        run("shape=[x_0, 70, ", "shape=[none, 70, ")
    with pytest.raises(GraphError, match="there is no layer bm::convolve"):
        run("bm::conv(", "bm::convolve(")
    with pytest.raises(GraphError, match="computes in 'f64'"):
        bm.Runtime(with_code(changed(mode="f64")))["features"](x=np.zeros((1, 6, 9, 9), np.float32))


def test_code_is_read_back() -> None:
    found, constants = dynamic_code_of(stage())
    assert DynamicCode.read(found.data()) == found and len(found.data()) % 4 == 0
    np.testing.assert_array_equal(next(iter(constants.values())), WEIGHT)
