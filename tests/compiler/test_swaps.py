"""Fewer swaps: the same bits, whatever order dimensions get, and less to move where nets are as exporters write them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from bmlang.bmodel import BModel
from bmlang.compiler.orders.axes import layouts_of
from bmlang.compiler.orders.flow import Flow, Infeasible
from bmlang.compiler.orders.moves import STAY, Move, exchanges, price, then
from bmlang.compiler.orders.write import written
from bmlang.compiler.package import package
from bmlang.compiler.passes.swaps import fewer_swaps
from bmlang.compiler.pipeline import compile_graph
from bmlang.graph import Graph, verify
from bmlang.graph.graph import Array
from bmlang.layers.reference import run_reference
from tests.support.moving_graphs import moving_graphs, whole
from tpukernel import BM1684X

# ------------------------------------------------------------------ moves


@st.composite
def moves(draw: st.DrawFn, total: int = 48) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes with a product, and an order of them."""
    sizes: list[int] = []
    left = total
    while left > 1 and len(sizes) < 5:
        sizes.append(draw(st.sampled_from([size for size in (1, 2, 3, 4, 6, 8, 12) if left % size == 0])))
        left //= sizes[-1]
    sizes.append(left)
    return tuple(sizes), tuple(draw(st.permutations(range(len(sizes)))))


@settings(max_examples=40, deadline=None)
@given(moves(), moves())
def test_moves_are_those_of_numpy(one: tuple[tuple[int, ...], tuple[int, ...]], other: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    x = np.arange(48)
    first, second = Move.of(*one), Move.of(*other)
    moved = x.reshape(one[0]).transpose(one[1]).reshape(-1)
    np.testing.assert_array_equal(first.of_array(x), moved)
    np.testing.assert_array_equal(first.inverse().of_array(moved), x)
    assert then(first, first.inverse()) == STAY
    both = then(first, second)
    if both is not None:
        np.testing.assert_array_equal(both.of_array(x), moved.reshape(other[0]).transpose(other[1]).reshape(-1))
    paid, swaps = exchanges(first, 4)
    assert paid == sum(price(each, 4) for each in swaps)
    for outer, a, b, inner in swaps:
        x = x.reshape(outer, a, b, inner).transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(x.reshape(-1), moved)


def test_moves_that_see_a_tensor_in_ways_that_do_not_fit_stay_two() -> None:
    assert then(Move.of((4, 6), (1, 0)), Move.of((8, 3), (1, 0))) is None


# ------------------------------------------------------------------ any order


def same(before: Graph, after: Graph) -> None:
    verify(after)
    assert (before.inputs, before.outputs) == (after.inputs, after.outputs)
    x = whole(before.specs["x"].shape, 99)
    values = [run_reference(graph, {"x": x}) for graph in (before, after)]
    for name in before.outputs:
        assert before.specs[name] == after.specs[name]
        np.testing.assert_array_equal(values[0][name], values[1][name])
    for node in after.nodes:
        for name in node.outputs:
            assert values[1][name].shape == after.specs[name].shape


@settings(max_examples=40, deadline=None)
@given(moving_graphs(), st.sampled_from([bm.f32, bm.f16]), st.booleans())
def test_fewer_swaps_keep_what_is_computed(graph: Graph, mode: bm.Dtype, exact: bool) -> None:
    same(graph, fewer_swaps(graph, mode, exact=exact))


@st.composite
def any_layouts(draw: st.DrawFn, *, exact: bool) -> tuple[Graph, Graph]:
    """A graph, and the same with layouts that its layers allow, not only those that pay off."""
    graph = draw(moving_graphs(5))
    flow = Flow(graph, bm.f32 if exact else draw(st.sampled_from([bm.f32, bm.f16])), exact=exact)
    for node in draw(st.permutations(flow.nodes)):
        axes = flow.axes(node)
        if axes is None:
            continue
        shape = axes.output.sizes
        found = layouts_of(axes, axes.output, Move.of(shape, draw(st.permutations(range(len(shape))))))
        if found:
            flow.layouts[node.name] = draw(st.sampled_from(found))
            try:
                flow.total()
            except Infeasible:
                del flow.layouts[node.name]
    return graph, written(flow)


@settings(max_examples=40, deadline=None)
@given(st.booleans().flatmap(lambda exact: any_layouts(exact=exact)))
def test_any_layout_that_a_layer_allows_computes_the_same(graphs: tuple[Graph, Graph]) -> None:
    same(*graphs)


# ------------------------------------------------------------------ on the chip


def on_chip(graph: Graph, mode: bm.Dtype, opt: int, x: Array) -> dict[str, bytes]:
    done, emission = compile_graph(graph, mode, BM1684X, opt=opt)
    net = bm.Runtime(BModel(package([(graph.name, [(done, emission)])], BM1684X).model))[graph.name]
    return {name: value.tobytes() for name, value in net.run({"x": x}).items()}


@settings(max_examples=4, deadline=None)
@given(any_layouts(exact=True))
def test_orders_change_no_bit(graphs: tuple[Graph, Graph]) -> None:
    graph, other = graphs
    x = np.random.default_rng(5).standard_normal(graph.specs["x"].shape, np.float32)
    assert on_chip(graph, bm.f32, 0, x) == on_chip(other, bm.f32, 0, x)


@settings(max_examples=4, deadline=None)
@given(moving_graphs(5), st.sampled_from([bm.f32, bm.f16]))
def test_the_first_level_changes_no_bit(graph: Graph, mode: bm.Dtype) -> None:
    x = np.random.default_rng(5).standard_normal(graph.specs["x"].shape, np.float32)
    assert on_chip(graph, mode, 0, x) == on_chip(graph, mode, 1, x)
