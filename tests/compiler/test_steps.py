"""Groups in steps: what is computed was loaded or computed before, lies nowhere twice, and every element of a result is stored."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from bmlang.compiler.cut import best_cut, fits
from bmlang.compiler.groups import Alias, Emitted, Hosted, Planned, plan
from bmlang.compiler.pipeline import prepared
from bmlang.compiler.steps import Group, sizes_to_try
from bmlang.graph.graph import Graph
from tests.support.effort import examples
from tests.support.graphs import graphs
from tests.support.watch import Watch
from tpukernel import BM1684X


@settings(max_examples=examples(12), deadline=None)
@given(graphs(dtypes=(bm.f32, bm.f16), nodes=4), st.sampled_from(["f32", "f16"]))
def test_all_of_every_result_is_stored(graph: Graph, mode: str) -> None:
    done = prepared(graph, bm.f16 if mode == "f16" else bm.f32)
    groups = plan(done, BM1684X)
    stored: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    for group in groups:
        if isinstance(group, Planned):
            watch = Watch(done, stored)
            for cut in group.cuts:
                assert fits(cut.steps, BM1684X)
                watch.see(cut.steps.events())
        else:
            node = group.node
            stored |= {name: np.ones(prod(done.specs[name].shape), np.int64) for name in node.outputs}
    assert [name for group in groups for name in names_of(group)] == [node.name for node in done.nodes]
    for name in done.outputs:
        assert stored[name].all(), name  # a tensor that others repeat may be computed in each of the parts


def names_of(group: Planned | Emitted | Alias | Hosted) -> list[str]:
    return [node.name for node in group.nodes] if isinstance(group, Planned) else [group.node.name]


@settings(max_examples=10, deadline=None)
@given(graphs(nodes=2, most=400_000))
def test_what_is_cut_fits(graph: Graph) -> None:
    for group in plan(prepared(graph, bm.f32), BM1684X):
        for cut in group.cuts if isinstance(group, Planned) else ():
            assert fits(cut.steps, BM1684X)
            ends = [buffer.address + buffer.bytes for buffer, _ in cut.steps.lives()]
            assert max(ends) + cut.steps.scratch <= BM1684X.lane_bytes


def test_a_load_comes_one_step_before_its_own() -> None:
    """Both engines work at one time: behind the first step, a step's loads stand in front of the computation of the one before."""

    @bm.function
    def double(x: bm.Tensor) -> bm.Tensor:
        return x + x

    (group,) = plan(prepared(double.traced({"x": (1, 64, 32, 4096)}), bm.f32), BM1684X)
    assert isinstance(group, Planned)
    (cut,) = group.cuts
    kinds = "".join(type(event).__name__[0] for event in cut.steps.events())
    steps = len(cut.steps.steps)
    assert steps > 2
    assert kinds == "LLC" + "LCS" * (steps - 2) + "CSS"


def test_sizes_go_from_the_whole_to_small_pieces() -> None:
    @bm.function
    def double(x: bm.Tensor) -> bm.Tensor:
        return x + x

    (group,) = plan(prepared(double.traced({"x": (4, 128, 64, 64)}), bm.f32), BM1684X)
    assert isinstance(group, Planned)
    form = group.cuts[0].steps.steps[0].compute.work.form
    sizes = list(sizes_to_try(form.out, form.cut, BM1684X))
    assert sizes[0] == form.out
    assert prod(sizes[-1]) < prod(form.out) // 64
    assert len(set(sizes)) == len(sizes)


def test_what_cannot_be_cut_has_no_cut() -> None:
    @bm.function
    def double(x: bm.Tensor) -> bm.Tensor:
        return x + x

    (group,) = plan(prepared(double.traced({"x": (1, 64, 16, 4096)}), bm.f32), BM1684X)
    assert isinstance(group, Planned)
    work = group.cuts[0].steps.steps[0].compute.work

    stiff = replace(work, form=replace(work.form, cut=(0, 0, 0, 0)))
    assert best_cut(Group((work,), frozenset({"output"})), BM1684X) is not None
    assert best_cut(Group((stiff,), frozenset({"output"})), BM1684X) is None


def test_a_tensor_may_be_longer_than_local_memory_can_tell() -> None:
    @bm.function
    def double(x: bm.Tensor) -> bm.Tensor:
        return x + x

    (group,) = plan(prepared(double.traced({"x": (1, 64, 8, 4096)}), bm.f32), BM1684X)
    assert isinstance(group, Planned)
    work = group.cuts[0].steps.steps[0].compute.work
    long = (70_000, 1, 1, 64)
    feeds = {index: replace(feed, shape=long) for index, feed in work.form.feeds.items()}
    cut = best_cut(Group((replace(work, form=replace(work.form, out=long, feeds=feeds)),), frozenset({"output"})), BM1684X)
    assert cut is not None
    assert all(max(buffer.shape) <= BM1684X.max_shape for buffer, _ in cut.steps.lives())


@pytest.mark.parametrize("side", [12, 300])
def test_rows_without_gaps_for_layers_that_need_them(side: int) -> None:
    """Three layers that need different margins of one result, in one piece and in many."""
    five, one = np.linspace(-1, 1, 400, dtype=np.float32).reshape(16, 1, 5, 5), np.eye(16, dtype=np.float32).reshape(16, 16, 1, 1)

    @bm.function
    def margins(x: bm.Tensor) -> bm.Tensor:
        y = bm.relu(x)
        return bm.conv(y, five, pad=2, groups=16) + bm.conv(y, one) + bm.max_pool(y, 3, pad=1)

    x = np.random.default_rng(0).standard_normal((1, 16, side, side), np.float32)
    (wanted,) = margins.reference(x=x).values()
    np.testing.assert_allclose(margins.run({"x": x})["output"], wanted, atol=1e-4)
