"""Passes: each leaves what the function computes, and does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import bmlang as bm
from bmlang.compiler.passes.common import common_subexpressions
from bmlang.compiler.passes.dead import dead_code
from bmlang.compiler.passes.fold import fold_constants
from bmlang.compiler.passes.idle import without_idle_reshapes
from bmlang.compiler.passes.precision import computable, precision
from bmlang.compiler.pipeline import PASSES, Pass, prepared
from bmlang.graph import Graph, GraphError, Node, verify
from bmlang.graph.graph import Array
from bmlang.layers.reference import run_reference
from tests.support.effort import examples
from tests.support.graphs import arrays_for, graphs


def outputs(graph: Graph, arrays: dict[str, Array]) -> list[Array]:
    values = run_reference(graph, arrays)
    return [values[name] for name in graph.outputs]


@pytest.mark.parametrize("one", [one for one in PASSES if one.level < 2], ids=lambda one: one.name)
@settings(max_examples=examples(15), deadline=None)
@given(graph=graphs(dtypes=(bm.f32, bm.f16, bm.bf16), most=500))
def test_a_pass_in_f32_keeps_the_bits(one: Pass, graph: Graph) -> None:
    changed = one.run(graph, bm.f32)
    verify(changed, one.name)
    assert (changed.inputs, changed.outputs) == (graph.inputs, graph.outputs)
    arrays = arrays_for(graph)
    for before, after in zip(outputs(graph, arrays), outputs(changed, arrays), strict=True):
        np.testing.assert_array_equal(before, after)


@settings(max_examples=examples(15), deadline=None)
@given(graph=graphs(most=500))
def test_modes_leave_inputs_and_outputs(graph: Graph) -> None:
    for mode in (bm.f16, bm.bf16):
        changed = prepared(graph, mode)
        for name in (*graph.inputs, *graph.outputs):
            assert changed.specs[name] == graph.specs[name]


def traced(function: bm.Function, *shapes: tuple[int, ...], dtype: bm.Dtype = bm.f32) -> Graph:
    return function.traced({name: bm.spec(shape, dtype) for name, shape in zip(function.signature.inputs, shapes, strict=True)})


@bm.function
def several(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    bm.exp(x)
    left = bm.relu(x) * y
    return left - bm.relu(x) / y


def ops(graph: Graph) -> list[str]:
    return [node.op.removeprefix("bm::") for node in graph.nodes]


def test_what_nobody_takes_is_dropped() -> None:
    assert ops(traced(several, (4,), (4,))) == ["exp", "relu", "mul", "relu", "div", "sub"]
    assert ops(dead_code(traced(several, (4,), (4,)))) == ["relu", "mul", "relu", "div", "sub"]


def test_what_is_there_twice_is_computed_once() -> None:
    assert ops(common_subexpressions(traced(several, (4,), (4,)))) == ["exp", "relu", "mul", "div", "sub"]


def test_equal_nodes_whose_results_are_both_outputs_stay() -> None:
    @bm.function
    def twice(x: bm.Tensor) -> tuple[bm.Tensor, bm.Tensor]:
        return bm.relu(x), bm.relu(x)

    graph = common_subexpressions(traced(twice, (4,)))
    verify(graph)
    assert ops(graph) == ["relu", "relu"]


def test_attributes_tell_nodes_apart() -> None:
    @bm.function
    def casts(x: bm.Tensor) -> bm.Tensor:
        return bm.cast(bm.cast(x, bm.i8, "down"), bm.f32) + bm.cast(bm.cast(x, bm.i8, "up"), bm.f32)

    assert ops(common_subexpressions(traced(casts, (4,)))).count("cast") == 4


def test_known_values_are_computed_at_once() -> None:
    specs = {name: bm.spec((2,)) for name in "xabcy"}
    constants: dict[str, Array] = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32)}
    nodes = (Node("n", "bm::add", ("a", "b"), ("c",)), Node("m", "bm::mul", ("x", "c"), ("y",)))
    graph = fold_constants(Graph("f", ("x",), ("y",), specs, constants, nodes))
    assert ops(graph) == ["mul"]
    assert graph.constants["c"].tolist() == [4, 6]
    assert set(graph.constants) == {"c"}


def test_a_mode_changes_what_is_inside_only() -> None:
    graph = precision(traced(several, (4,), (4,)), bm.f16)
    for node in graph.nodes:
        if node.op in ("bm::mul", "bm::relu", "bm::sub"):
            assert {graph.specs[name].dtype for name in (*node.inputs, *node.outputs)} == {bm.f16}
        if node.op in ("bm::exp", "bm::div"):  # computed in f32 on this chip
            assert {graph.specs[name].dtype for name in (*node.inputs, *node.outputs)} == {bm.f32}
    assert graph.specs["output"].dtype == bm.f32


def test_a_value_is_narrowed_once() -> None:
    @bm.function
    def uses(x: bm.Tensor) -> bm.Tensor:
        return (x + x) * x

    assert ops(precision(traced(uses, (4,)), bm.bf16)).count("cast") == 3  # x, the sum (which f32 users could take), the result


def test_functions_of_f32_get_casts_around_them() -> None:
    @bm.function
    def power(x: bm.Tensor) -> bm.Tensor:
        return bm.exp(x)

    graph = computable(traced(power, (4,), dtype=bm.f16))
    assert ops(graph) == ["cast", "exp", "cast"]
    assert graph.specs[graph.nodes[1].inputs[0]].dtype == bm.f32


def test_a_pass_that_breaks_the_graph_is_named() -> None:
    graph = traced(several, (4,), (4,))
    with pytest.raises(GraphError, match=r"BML140: div of several takes relu_2.*after fold"):
        verify(graph.with_nodes([node for node in graph.nodes if node.name != "relu_2"]), "fold")


@pytest.mark.parametrize(("one", "other"), [(bm.f16, bm.bf16), (bm.bf16, bm.f16)])
def test_types_of_16_bits_are_converted_by_way_of_f32(one: bm.Dtype, other: bm.Dtype) -> None:
    @bm.function
    def converted(x: bm.Tensor) -> bm.Tensor:
        return bm.cast(x, other)

    graph = computable(traced(converted, (4,), dtype=one))
    assert [graph.specs[node.outputs[0]].dtype for node in graph.nodes] == [bm.f32, other]
    x = np.array([1, -2.5, 100, 0.1]).astype(one.numpy)
    np.testing.assert_array_equal(converted(x), x.astype(np.float32).astype(other.numpy))


def test_reshapes_that_change_nothing_are_left_out() -> None:
    @bm.function
    def turned(x: bm.Tensor) -> list[bm.Tensor]:
        y = bm.reshape(bm.relu(x), x.shape)
        return [bm.reshape(y + 1, x.shape), bm.reshape(x, x.shape), bm.reshape(y, x.shape)]

    graph = without_idle_reshapes(traced(turned, (2, 3)))
    verify(graph)
    assert ops(graph) == ["relu", "add", "reshape"]  # the input and the output that is seen as it have two names
    assert graph.outputs == ("output_0", "output_1", "output_2")
    assert graph.nodes[0].outputs == ("output_2",)
