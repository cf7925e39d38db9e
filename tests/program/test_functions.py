"""Functions: arguments, results and their names, functions in functions, constants, modes; compiled, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bmlang as bm
from bmlang.bmodel import BModel
from bmlang.compiler.package import package
from bmlang.compiler.pipeline import PASSES, compile_graph
from bmlang.graph.graph import Array, Graph
from bmlang.layers.reference import run_reference
from tests.support.effort import examples
from tests.support.graphs import arrays_for, graphs
from tpukernel import BM1684X

Numbers = NDArray[np.float64] | NDArray[np.float32]
RANDOM = np.random.default_rng(0)
X, Y = (RANDOM.standard_normal((2, 3, 5, 7), np.float32) for _ in range(2))
TOLERANCE = {"f32": 1e-5, "f16": 4e-3, "bf16": 4e-2}


@bm.function
def swish_gate(x: bm.Tensor, gate: bm.Tensor, *, beta: float = 1.0) -> bm.Tensor:
    """x * sigmoid(beta * x) * gate."""
    return x * bm.sigmoid(beta * x) * gate


def swish_gate_in_numpy(x: Numbers, gate: Numbers, beta: float) -> Numbers:
    wide: Numbers = x.astype(np.float64)
    return wide / (1 + np.exp(-beta * wide)) * gate.astype(np.float64)


def test_arrays_go_in_and_an_array_comes_out() -> None:
    found = swish_gate(X, Y)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, swish_gate_in_numpy(X, Y, 1.0), rtol=1e-5, atol=1e-6)
    assert swish_gate.__doc__ == "x * sigmoid(beta * x) * gate."
    assert repr(swish_gate) == "<function swish_gate(x, gate)>"


@pytest.mark.parametrize("beta", [0.5, 2.0, -1.0])
def test_keywords_are_part_of_the_function(beta: float) -> None:
    np.testing.assert_allclose(swish_gate(X, Y, beta=beta), swish_gate_in_numpy(X, Y, beta), rtol=1e-5, atol=1e-6)


def test_inputs_by_name() -> None:
    np.testing.assert_array_equal(swish_gate(gate=Y, x=X), swish_gate(X, Y))


@pytest.mark.parametrize("mode", TOLERANCE)
def test_modes(mode: str) -> None:
    (found,) = swish_gate.run({"x": X, "gate": Y}, mode=mode).values()
    assert found.dtype == np.float32
    wanted = swish_gate_in_numpy(X, Y, 1.0)
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE[mode], atol=TOLERANCE[mode])
    assert np.abs(found - wanted).max() > {"f32": 0, "f16": 1e-5, "bf16": 1e-3}[mode], "it was not computed in this mode"


def test_a_tuple_and_a_dict() -> None:
    @bm.function
    def both(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return x + 1, x * 2

    @bm.function
    def named(x: bm.Tensor) -> dict[str, bm.Tensor]:
        return {"more": x + 1, "double": x * 2}

    @bm.function
    def one_of_several(x: bm.Tensor) -> tuple[bm.Tensor]:
        return (x + 1,)

    first, second = cast("tuple[Array, Array]", both(X))
    np.testing.assert_array_equal(first, X + 1)
    np.testing.assert_array_equal(second, X * 2)
    found = cast("dict[str, Array]", named(X))
    assert list(found) == ["more", "double"]
    np.testing.assert_array_equal(found["double"], X * 2)
    assert isinstance(one_of_several(X), tuple)
    assert both.traced({"x": X.shape}).outputs == ("output_0", "output_1")
    assert named.traced({"x": X.shape}).outputs == ("more", "double")


def test_what_is_returned_may_depend_on_keywords() -> None:
    @bm.function
    def either(x: bm.Tensor, *, several: bool) -> object:
        return (x, x + 1) if several else x

    assert isinstance(either(X, several=True), tuple)
    assert isinstance(either(X, several=False), np.ndarray)
    assert isinstance(either(X, several=True), tuple), "now from the cache"


def test_outputs_have_memory_of_their_own() -> None:
    @bm.function
    def shares(x: bm.Tensor) -> tuple[bm.Tensor, ...]:
        y = x + 1
        return x, y, y, x

    for found, wanted in zip(cast("tuple[Array, ...]", shares(X)), (X, X + 1, X + 1, X), strict=True):
        np.testing.assert_array_equal(found, wanted)
    stage = bm.compile(shares, stages=[{"x": X.shape}]).bmodel.model.net[0].stages[0]
    addresses = [tensor.device_addr for tensor in (*stage.input_tensor, *stage.output_tensor)]
    assert len(set(addresses)) == 5


def test_a_tensor_with_the_name_of_an_output_makes_room() -> None:
    @bm.function
    def swapped(x: bm.Tensor) -> dict[str, bm.Tensor]:
        a = x + 1
        b = x + 2
        output = x + 3
        return {"b": a, "a": b, "c": output, "output": output * 2}

    found = cast("dict[str, Array]", swapped(X))
    for name, wanted in {"b": X + 1, "a": X + 2, "c": X + 3, "output": (X + 3) * 2}.items():
        np.testing.assert_array_equal(found[name], wanted)


def test_an_input_may_be_called_output() -> None:
    @bm.function
    def odd(output: bm.Tensor) -> bm.Tensor:
        return output + 1

    np.testing.assert_array_equal(odd(X), X + 1)


def test_tensors_are_called_as_the_variables_are() -> None:
    @bm.function
    def speaking(x: bm.Tensor) -> bm.Tensor:
        scaled = x * 2
        shifted = scaled + 1
        return bm.relu(shifted)

    graph = speaking.traced({"x": (4,)})
    assert [node.outputs for node in graph.nodes] == [("scaled",), ("shifted",), ("output",)]
    assert [node.name for node in graph.nodes] == ["mul", "add", "relu"]


def test_functions_in_functions() -> None:
    @bm.function
    def twice(x: bm.Tensor, gate: bm.Tensor) -> bm.Tensor:
        return swish_gate(swish_gate(x, gate), gate, beta=0.5)

    inner = swish_gate_in_numpy(X, Y, 1.0)
    np.testing.assert_allclose(twice(X, Y), swish_gate_in_numpy(inner, Y, 0.5), rtol=1e-4, atol=1e-5)
    assert len(twice.traced({"x": (4,), "gate": (4,)}).nodes) == 8


def test_arrays_in_a_function_are_coefficients() -> None:
    @bm.function
    def offset(x: bm.Tensor) -> bm.Tensor:
        return x + Y + Y

    np.testing.assert_array_equal(offset(X), X + Y + Y)
    model = bm.compile(offset, stages=[{"x": X.shape}])
    coefficients = model.bmodel.model.net[0].stages[0].coeff_mem
    assert coefficients is not None and coefficients.binary_coeff is not None
    assert coefficients.binary_coeff.size == 4096, "the array is there once"


def test_an_array_in_a_keyword_counts_by_its_contents() -> None:
    @bm.function
    def scaled(x: bm.Tensor, *, factors: Array) -> bm.Tensor:
        return x * factors

    factors = np.full(7, 2, np.float32)
    np.testing.assert_array_equal(scaled(X, factors=factors), X * 2)
    factors[:] = 3
    np.testing.assert_array_equal(scaled(X, factors=factors), X * 3)
    long = np.zeros(5000, np.float32)
    longer = long.copy()
    longer[2500] = 1  # repr leaves the middle out
    wide = np.ones((1, 5000), np.float32)
    assert scaled(wide, factors=long)[0, 2500] != scaled(wide, factors=longer)[0, 2500]


def test_zeros_of_both_signs_are_two_keywords() -> None:
    @bm.function
    def largest(x: bm.Tensor, *, floor: float) -> bm.Tensor:
        return x * floor

    assert np.signbit(largest(X * X + 1, floor=-0.0)).all()
    assert not np.signbit(largest(X * X + 1, floor=0.0)).any()


def test_scalars_and_single_numbers() -> None:
    found = swish_gate(np.array(1, np.float32), np.array(2, np.float32))
    assert found.shape == ()
    np.testing.assert_allclose(found, 2 / (1 + np.exp(-1)), rtol=1e-6)


def test_integers() -> None:
    @bm.function
    def saturates(x: bm.Tensor) -> bm.Tensor:
        return x + x

    np.testing.assert_array_equal(saturates(np.array([100, -100, 5], np.int8)), np.array([127, -128, 10], np.int8))


@settings(max_examples=examples(6), deadline=None)
@given(graph=graphs(dtypes=(bm.f32, bm.f16), most=5000), mode=st.sampled_from(["f32", "f16", "bf16"]), seed=st.integers(0, 5))
def test_what_is_compiled_computes_what_the_layers_say(graph: Graph, mode: str, seed: int) -> None:
    arrays = arrays_for(graph, seed)
    done, emission = compile_graph(graph, {"f32": bm.f32, "f16": bm.f16, "bf16": bm.bf16}[mode], BM1684X)
    found = bm.Runtime(BModel(package([(graph.name, [(done, emission)])], BM1684X).model), check=True)[graph.name].run(arrays)
    wanted = run_reference(done, arrays)
    for name in done.outputs:
        scale = max(1.0, *(float(np.abs(value.astype(np.float64)).max()) for value in wanted.values()))
        allowed = 16 * scale * max(epsilon(done.specs[each].dtype) for each in done.specs)
        difference = np.abs(found[name].astype(np.float64) - wanted[name].astype(np.float64))
        assert np.nanmax(difference, initial=0) <= allowed or not np.isfinite(wanted[name].astype(np.float64)).all()


def epsilon(dtype: bm.Dtype) -> float:
    return {"f32": 2.0**-23, "f16": 2.0**-10, "bf16": 2.0**-7}.get(dtype.name, 1.0)


# ------------------------------------------------------------------ compiling


STAGES = [{"x": (1, 64, 8, 8), "gate": (1, 64, 8, 8)}, {"x": (4, 64, 8, 8), "gate": (1, 64, 1, 1)}]


@bm.function
def negated(x: bm.Tensor) -> bm.Tensor:
    return -x


def test_several_functions_and_stages_in_one_file(tmp_path: Path) -> None:
    model = bm.compile([swish_gate, negated], stages={"swish_gate": STAGES, "negated": [{"x": (7,)}]}, attrs={"beta": 2.0})
    path = model.save(tmp_path / "two.bmodel")
    runtime = bm.Runtime(path)
    assert list(runtime.nets) == ["swish_gate", "negated"]
    network = runtime["swish_gate"]
    assert [tensor.name for tensor in (*network.inputs, *network.outputs)] == ["x", "gate", "output"]
    assert network.inputs[0].shapes == ((1, 64, 8, 8), (4, 64, 8, 8))
    for stage in STAGES:
        x, gate = (RANDOM.standard_normal(shape, np.float32) for shape in stage.values())
        np.testing.assert_allclose(
            network(x=x, gate=gate)["output"].astype(np.float64), swish_gate_in_numpy(x, gate, 2.0), rtol=1e-5, atol=1e-6
        )
    (found,) = runtime["negated"](x=np.arange(7, dtype=np.float32)).values()
    np.testing.assert_array_equal(found, -np.arange(7, dtype=np.float32))


def test_a_model_runs_at_once() -> None:
    model = bm.compile(swish_gate, stages=STAGES[:1], mode="f16")
    x = RANDOM.standard_normal((1, 64, 8, 8), np.float32)
    np.testing.assert_allclose(model.run(x=x, gate=x)["output"].astype(np.float64), swish_gate_in_numpy(x, x, 1.0), rtol=1e-2, atol=1e-2)
    both = bm.compile([swish_gate, negated], stages={"swish_gate": STAGES, "negated": [{"x": (7,)}]})
    assert both.run("negated", x=np.ones(7, np.float32))["output"].tolist() == [-1] * 7
    with pytest.raises(bm.compile.__globals__["CompileArgumentError"], match="the model has the nets swish_gate, negated"):
        both.run(x=x)


def test_two_compilations_give_equal_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    stages = [{"x": X.shape}, {"x": (1, 3, 5, 7)}]

    @bm.function
    def offset(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.relu(x + Y[:1]), bm.tanh(x)

    files = [bm.compile(offset, stages=stages, mode="f16").save(tmp_path / f"{k}.bmodel").read_bytes() for k in range(2)]
    assert files[0] == files[1]


def test_the_graph_after_each_pass_is_left_in_a_folder(tmp_path: Path) -> None:
    bm.compile(swish_gate, stages=STAGES, mode="f16", dump_dir=tmp_path)
    names = [f"swish_gate.{number:02}-{name}.txt" for number, name in enumerate(["traced", *(each.name for each in PASSES)])]
    for stage in ("stage0", "stage1"):
        assert sorted(path.name for path in (tmp_path / stage).iterdir()) == names
    first, last = ((tmp_path / "stage1" / name).read_text(encoding="utf-8") for name in (names[0], names[-1]))
    assert first.startswith("function swish_gate(x: f32[4, 64, 8, 8], gate: f32[1, 64, 1, 1]) -> (output) {")
    assert "f16" not in first and "f16" in last
    bm.compile(negated, stages=[{"x": (7,)}], dump_dir=tmp_path / "one")
    assert len(list((tmp_path / "one").glob("negated.*.txt"))) == len(PASSES) + 1


def test_a_stage_has_a_timeline() -> None:
    stage, _ = bm.compile(swish_gate, stages=STAGES).stages
    assert stage.timeline().cycles > 0


def test_numpy_says_what_a_function_computes() -> None:
    (found,) = swish_gate.reference(X, Y, beta=2.0).values()
    np.testing.assert_allclose(found, swish_gate_in_numpy(X, Y, 2.0), rtol=1e-6, atol=1e-7)


def test_names_of_inputs_are_not_those_of_coefficients() -> None:
    weight = np.arange(36, dtype=np.float32).reshape(4, 1, 3, 3)

    @bm.function
    def convolved(coefficient_0: bm.Tensor, coefficient_1: bm.Tensor) -> bm.Tensor:
        return bm.conv(coefficient_0 + coefficient_1, weight, pad=1)

    x = np.arange(30, dtype=np.float32).reshape(1, 1, 5, 6)
    assert np.array_equal(convolved(x, x), convolved.reference(x, x)["output"])


@pytest.mark.parametrize("mode", ["f32", "f16"])
def test_outputs_that_are_known_are_outputs_like_any_other(mode: str) -> None:
    @bm.function
    def known(x: bm.Tensor) -> dict[str, bm.Tensor]:
        numbers = bm.Tensor(x.tracer, x.tracer.constant(np.arange(3, dtype=np.float32)))
        doubled = numbers * 2.0
        return {"x2": x * 2.0, "numbers": numbers, "doubled": doubled, "again": numbers * 2.0, "sum": x[:3] + doubled}

    x = np.arange(4, dtype=np.float32)
    found = known.run({"x": x}, mode=mode)
    np.testing.assert_array_equal(found["numbers"], [0, 1, 2])
    np.testing.assert_array_equal(found["doubled"], [0, 2, 4])
    np.testing.assert_array_equal(found["again"], [0, 2, 4])
    np.testing.assert_array_equal(found["sum"], [0, 3, 6])
