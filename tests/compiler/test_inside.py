"""What is joined is written to its place, and what is cut is read where it lies: no copies, and the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import bmlang as bm
from bmlang.compiler.groups import Alias, Emitted, call_of, plan
from bmlang.compiler.inside import inside_of
from bmlang.compiler.pipeline import prepared
from bmlang.compiler.sides import bounds_of, host_calls
from bmlang.graph.graph import Array, Graph
from tpukernel.chips import BM1684X

Shapes = dict[str, tuple[int, ...]]


def parts(graph: Graph) -> tuple[int, int]:
    """How many nodes are parts of others, and how many inputs lie in the result of a node that joins them."""
    groups = plan(prepared(graph, bm.f32), BM1684X)
    cut = sum(isinstance(group, Alias) and group.node.op == "bm::slice" for group in groups)
    return cut, sum(len(group.joined) for group in groups if isinstance(group, Emitted))


def joined(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return bm.relu(bm.concat([bm.relu(x), y * 2], 1))


def nested(x: bm.Tensor, y: bm.Tensor) -> list[bm.Tensor]:
    """As in a DenseNet: what was joined is joined with more, and used in between."""
    a, b = bm.relu(x), bm.relu(y)
    first = bm.concat([a, b], 1)
    c = bm.relu(first * 0.5)
    second = bm.concat([first, c, a], 1)
    return [second * 2, b + 1]


def seen_otherwise(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    rows = [bm.reshape(bm.relu(each), (-1, each.shape[-1])) for each in (x, y)]
    return bm.softmax(bm.concat(rows, 0), 1)


def given_and_known(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    """Inputs of the net and constants lie where they are, and are copied."""
    known = np.full(x.shape, 2, np.float32)
    return bm.concat([x, bm.relu(y), known, bm.exp(x)], 1) + 1


def results_of_the_net(x: bm.Tensor, y: bm.Tensor) -> list[bm.Tensor]:
    a = bm.relu(x)
    whole = bm.concat([a, bm.relu(y)], 1)
    return [a, whole, bm.slice(whole, (0, 1, 0, 0), (1, 2, *x.shape[2:]))]


def halves(x: bm.Tensor, y: bm.Tensor) -> list[bm.Tensor]:
    both = bm.concat([bm.relu(x), bm.relu(y)], 1)
    low, high = bm.split(both, [both.shape[1] - 3, 3], 1)
    return [bm.relu(bm.slice(low, (0, 0, 1, 0), (1, 1, 2, x.shape[3])) - 0.25), bm.exp(high)]


def twice(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    a = bm.relu(x)
    return bm.concat([a, a, bm.concat([a, bm.relu(y)], 1)], 1) + 1


CASES: dict[str, tuple[Callable[..., object], tuple[int, int]]] = {
    "joined": (joined, (0, 2)),
    "nested": (nested, (0, 4)),
    "seen otherwise": (seen_otherwise, (0, 2)),
    "given and known": (given_and_known, (0, 2)),
    "results of the net": (results_of_the_net, (0, 1)),
    "halves": (halves, (3, 2)),
    "twice": (twice, (0, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_parts_of_others_are_not_copied(name: str) -> None:
    function, wanted = CASES[name]
    shapes: Shapes = {"x": (1, 5, 4, 6), "y": (1, 7, 4, 6)}
    assert parts(bm.function(function).traced(shapes)) == wanted


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rows", [4, 70])
def test_the_numbers_are_the_same(name: str, rows: int) -> None:
    function = bm.function(CASES[name][0])
    shapes: Shapes = {"x": (1, 5, rows, 6), "y": (1, 7, rows, 6)}
    random = np.random.default_rng(1)
    given = {key: random.standard_normal(shape, np.float32) for key, shape in shapes.items()}
    assert_same(bm.compile(function, stages=[shapes]).run(**given), bm.compile(function, stages=[shapes], opt=0).run(**given))


def assert_same(found: dict[str, Array], wanted: dict[str, Array]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].tobytes() == array.tobytes(), name


def random_function(seed: int) -> Callable[[bm.Tensor, bm.Tensor], list[bm.Tensor]]:
    """A function of a dozen operators, half of which join or cut."""

    def function(x: bm.Tensor, y: bm.Tensor) -> list[bm.Tensor]:
        random = np.random.default_rng(seed)
        made = [x, y]
        for _ in range(12):
            one, other = (made[int(random.integers(len(made)))] for _ in range(2))
            match int(random.integers(5)):
                case 0:
                    made.append(bm.concat([one, other, *([one] if random.integers(3) == 0 else [])], 1))
                case 1:
                    start = int(random.integers(one.shape[1]))
                    size = int(random.integers(1, one.shape[1] - start + 1))
                    made.append(bm.slice(one, (0, start, 0, 0), (1, size, *one.shape[2:])))
                case 2:
                    made.append(bm.reshape(bm.relu(one) if random.integers(2) else one, (1, one.shape[1] * one.shape[2], 1, one.shape[3])))
                    made[-1] = bm.reshape(made[-1] + 1 if random.integers(2) else made[-1], one.shape)
                case 3:
                    made.append(bm.relu(one) - 0.5)
                case _:
                    made.append(one * 1.5)
            if made[-1].shape[1] > 64:
                made.pop()
        chosen = random.permutation(len(made) - 2)[:3] + 2
        return [made[int(place)] for place in chosen] if len(chosen) else [x + y]

    return function


@pytest.mark.parametrize("seed", range(6))
def test_random_functions(seed: int) -> None:
    function = bm.function(random_function(seed))
    shapes: Shapes = {"x": (1, 3, 4, 5), "y": (1, 6, 4, 5)}
    random = np.random.default_rng(seed)
    given = {key: random.standard_normal(shape, np.float32) for key, shape in shapes.items()}
    assert_same(bm.compile(function, stages=[shapes]).run(**given), bm.compile(function, stages=[shapes], opt=0).run(**given))


def test_what_the_host_knows_keeps_its_place() -> None:
    """The host takes tensors by their names, and a result of a part of the program before it does not lie in one of a part behind it."""

    def function(x: bm.Tensor, y: bm.Tensor) -> list[bm.Tensor]:
        a, b = bm.relu(x), bm.relu(y)
        order, _ = bm.topk(bm.reshape(bm.slice(bm.concat([a, b], 1), (0, 1, 0, 0), (1, 1, 1, 8)), (8,)), 4)
        return [order, bm.concat([b, bm.reshape(bm.tile(order, [2]), (1, 1, 1, 8))], 1) * 2]

    shapes: Shapes = {"x": (1, 2, 1, 8), "y": (1, 3, 1, 8)}
    graph = prepared(bm.function(function).traced(shapes), bm.f32)
    hosted = host_calls(graph, bounds_of(graph))
    inside = inside_of(graph, {node.name: call_of(graph, node, BM1684X) for node in graph.nodes}, hosted)
    assert hosted and not inside.cut
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    (host,) = (places[name] for name in hosted)
    makers = graph.makers()
    for name, starts in inside.joined.items():
        node = graph.nodes[places[name]]
        assert {places[makers[node.inputs[index]].name] < host for index in starts} <= {places[name] < host}
    given = {key: np.random.default_rng(0).standard_normal(shape, np.float32) for key, shape in shapes.items()}
    assert_same(
        bm.compile(bm.function(function), stages=[shapes]).run(**given),
        bm.compile(bm.function(function), stages=[shapes], opt=0).run(**given),
    )
