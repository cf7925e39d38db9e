"""Coefficients that are loaded early: they are there and stay there, nothing else changes, and the net is quicker."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from bmlang.compiler import schedule
from bmlang.compiler.groups import Alias, Planned, plan
from bmlang.compiler.pipeline import prepared
from bmlang.compiler.schedule import Issued, scheduled
from bmlang.compiler.steps import Load
from bmlang.graph.graph import Graph
from tests.support.graphs import graphs
from tests.support.watch import Watch
from tpukernel import BM1684X

WEIGHTS = [np.random.default_rng(0).standard_normal(shape, np.float32) / 30 for shape in ((64, 3, 7, 7), (512, 64, 3, 3), (512, 512, 3, 3))]


@bm.function
def stem_and_weights(x: bm.Tensor) -> bm.Tensor:
    """Computations first, then coefficients: the tensor unit is busy with the first ones when the others come."""
    x = bm.max_pool(bm.relu(bm.conv(x, WEIGHTS[0], stride=2, pad=3)), 4, stride=4)
    for weight in (*WEIGHTS[1:], WEIGHTS[2]):
        x = bm.relu(bm.conv(x, weight, pad=1, stride=2))
    return x


def commands_of(graph: Graph) -> list[list[Issued]]:
    """For each run of groups between which nothing else is computed: its commands."""
    found: list[list[Issued]] = []
    for together, run in groupby(plan(graph, BM1684X), lambda group: isinstance(group, Planned | Alias)):
        cuts = [cut for group in run if isinstance(group, Planned) for cut in group.cuts]
        if together and cuts:
            found.append([each for batch in scheduled(cuts, graph.constants, BM1684X) for each in batch.commands])
    return found


@settings(max_examples=15, deadline=None)
@given(graphs(dtypes=(bm.f32, bm.f16), nodes=5), st.sampled_from(["f32", "f16"]))
def test_what_comes_early_is_there_and_stays(graph: Graph, mode: str) -> None:
    done = prepared(graph, bm.f16 if mode == "f16" else bm.f32)
    watch = Watch(done, {})
    for commands in commands_of(done):
        watch.see(each.event for each in commands)
    for name, stored in watch.stored.items():
        assert stored.all(), name


def test_a_net_with_heavy_weights() -> None:
    graph = prepared(stem_and_weights.traced({"x": (1, 3, 512, 512)}), bm.f16)
    (commands,) = commands_of(graph)
    early = [each for each in commands if each.since is not None]
    assert early
    assert all(isinstance(each.event, Load) for each in early)
    assert [each.part for each in commands] == sorted(each.part for each in commands)
    watch = Watch(graph, {})
    watch.see(each.event for each in commands)
    assert watch.stored[graph.outputs[0]].all()


def test_it_is_quicker_and_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {"x": (1, 3, 512, 512)}
    quick = bm.compile(stem_and_weights, stages=[shapes], mode="f16")
    monkeypatch.setattr(schedule, "MOST", 0)
    plain = bm.compile(stem_and_weights, stages=[shapes], mode="f16")
    times = [model.stages[0].emission.program.timeline().cycles for model in (quick, plain)]
    assert times[0] < 0.95 * times[1], times
    x = np.random.default_rng(1).standard_normal(shapes["x"], np.float32)
    (ours,), (wanted,) = (model.run(x=x).values() for model in (quick, plain))
    assert ours.tobytes() == wanted.tobytes()
