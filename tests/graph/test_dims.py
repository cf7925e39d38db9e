"""Sizes that vary: arithmetic with expressions, what Python decides by them, and both as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from bmlang.graph.dims import Dim, Recorder, expr_of, recording, same_sizes
from bmlang.graph.errors import GraphError, GraphLimitError, GraphNameError, GraphSizeError, SizeUseError
from bmlang.graph.graph import Array
from bmlang.graph.parse import parse_graph
from bmlang.program.varying import traced_varying
from tests.support.effort import examples
from tpukernel.lang.expr import evaluate, holds

LIMITS = {"n": 8, "h": 20, "w": 7}
ARITHMETIC: tuple[Callable[[int, int], int], ...] = (
    lambda one, other: one + other,
    lambda one, other: one - other,
    lambda one, other: one * other,
    lambda one, other: one // (abs(other) + 1),
    lambda one, other: one % (abs(other) + 1),
    lambda one, other: divmod(one, abs(other) + 2)[1],
    lambda one, other: -one + other,
    min,
    max,
)
COMPARISONS: tuple[Callable[[int, int], bool], ...] = (
    lambda one, other: one < other,
    lambda one, other: one <= other,
    lambda one, other: one > other,
    lambda one, other: one >= other,
    lambda one, other: one == other,
    lambda one, other: one != other,
)
TAKES: dict[str, Callable[[int], float]] = {"int": int, "float": float, "half": lambda n: n / 2, "share": lambda n: 2 / n}
Step = tuple[int, int, int]
STEPS = st.lists(st.tuples(st.integers(0, len(ARITHMETIC) - 1), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8)


def computed(steps: Sequence[Step], sizes: Sequence[int]) -> list[int]:
    """Numbers and sizes, each computed from two before it."""
    known = [*sizes, 2, 5]
    for op, one, other in steps:
        known.append(ARITHMETIC[op](known[one % len(known)], known[other % len(known)]))
    return known


@settings(max_examples=examples(30), deadline=None)
@given(STEPS, st.sampled_from(COMPARISONS), st.data())
def test_expressions_and_guards(steps: Sequence[Step], compare: Callable[[int, int], bool], data: st.DataObject) -> None:
    """For all sizes for which the guards hold, expressions are what Python computes, and a comparison comes out as it did."""
    recorder = Recorder()
    with recording(recorder):
        found = computed(steps, [recorder.variable(name, limit) for name, limit in LIMITS.items()])
    assert [int.__int__(size) for size in found] == computed(steps, list(LIMITS.values()))
    sizes = {name: data.draw(st.integers(1, limit)) for name, limit in LIMITS.items()}
    numbers = computed(steps, list(sizes.values()))
    if all(holds(guard.condition, sizes) for guard in recorder.guards.values()):
        assert [evaluate(expr_of(size), sizes) for size in found] == numbers
        one, other = (data.draw(st.integers(0, len(found) - 1)) for _ in range(2))
        with recording(recorder):
            decided = compare(found[one], found[other])
        same = compare(numbers[one], numbers[other]) == decided
        assert same == all(holds(guard.condition, sizes) for guard in recorder.guards.values())


@pytest.mark.parametrize("take", TAKES)
def test_the_number_itself_is_refused_while_a_function_is_traced(take: str) -> None:
    recorder = Recorder()
    size = recorder.variable("n", 8)
    assert TAKES[take](size) == TAKES[take](8)
    with recording(recorder), pytest.raises(SizeUseError, match="BML104: the size n varies"):
        TAKES[take](size)


def test_equal_for_all_sizes_or_by_chance() -> None:
    recorder = Recorder()
    n, h = recorder.variable("n", 8), recorder.variable("h", 8)
    assert same_sizes([n * 2, 3], [n + n, 3])
    assert not same_sizes([n], [h])
    assert isinstance(n - n, int) and not isinstance(n - n, Dim)


@bm.function
def flat(x: bm.Tensor) -> bm.Tensor:
    n, c, h, w = x.shape
    y = bm.reshape(x[:, :, 1:], [n, c, (h - 1) * w])
    return y / (h * w) if n < 7 else y + h


TEXT = """\
function flat(x: f32[x_0 <= 6, 3, x_2 <= 8, x_3 <= 5]) -> (output) {
  require x_2 > 1;
  constant number: f32[] = (x_2 * x_3);
  slice: f32[x_0, 3, x_2 - 1, x_3] = bm::slice(x, start=[0, 0, 1, 0], size=[x_0, 3, (x_2 - 1), x_3]);
  y: f32[x_0, 3, (x_2 - 1) * x_3] = bm::reshape(slice, shape=[x_0, 3, ((x_2 - 1) * x_3)]);
  output: f32[x_0, 3, (x_2 - 1) * x_3] = bm::div(y, number);
}"""


def test_text() -> None:
    graph = traced_varying(flat, {"x": (6, 3, 8, 5)}, {})
    assert str(graph) == TEXT
    read = parse_graph(TEXT)
    assert read.equals(graph) and str(read) == TEXT
    assert graph.variation is not None and str(graph.variation.guards[0].position).startswith("test_dims.py:")


@settings(max_examples=examples(10), deadline=None)
@given(STEPS, st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_expressions_are_read_back(steps: Sequence[Step], chosen: list[int]) -> None:
    @bm.function
    def f(x: bm.Tensor) -> bm.Tensor:
        known = [size for size in computed(steps, list(x.shape)) if 0 < size < 1000]
        return bm.tile(x, [known[place % len(known)] for place in (*chosen, 0, 0, 0)][:3])

    try:
        graph = traced_varying(f, {"x": (bm.upto(8), bm.upto(20, "h"), bm.upto(7))}, {})
    except SizeUseError:
        return  # min and max of Python decide otherwise for other sizes
    read = parse_graph(str(graph))
    assert read.equals(graph) and str(read) == str(graph)


HEAD = "function f(x: f32[n <= 4, 3]) -> (y) {\n"
WRONG: dict[str, tuple[type[GraphError], str]] = {
    "function f(x: f32[n <= 4, n <= 4]) -> (x) {}": (GraphNameError, "the size n has two limits"),
    "function f(x: f32[n]) -> (x) {}": (GraphNameError, "there is no size n"),
    "function f(x: f32[n + 1 <= 4]) -> (x) {}": (GraphNameError, "an expression has a limit"),
    "function f(x: f32[n <= 0]) -> (x) {}": (GraphLimitError, "a tensor of shape"),
    f"function f(x: f32[n <= {'9' * 20}]) -> (x) {{}}": (GraphLimitError, "a tensor of shape"),
    HEAD + "  require n // 0 == 1;\n  y: f32[3] = bm::relu(x);\n}": (GraphSizeError, "a size is divided by 0"),
    HEAD + "  require 1 > 2;\n  y: f32[3] = bm::relu(x);\n}": (GraphSizeError, "never holds"),
    HEAD + "  y: f32[n // (n - 4)] = bm::relu(x);\n}": (GraphSizeError, "a size is divided by 0"),
    HEAD + "  y: f32[lcm(n, 2)] = bm::relu(x);\n}": (GraphNameError, "there is no function lcm of sizes"),
    HEAD + "  y: f32[n] = bm::relu(x, a=(m + 1));\n}": (GraphNameError, "there is no size m"),
    HEAD + f"  y: f32[{' + '.join(['n'] * 300)}] = bm::relu(x);\n}}": (GraphLimitError, "is too long"),
    HEAD + f"  y: f32[{' * '.join(['n'] * 100)}] = bm::relu(x);\n}}": (GraphLimitError, "larger than any memory"),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_texts(text: str) -> None:
    kind, told = WRONG[text]
    with pytest.raises(kind) as caught:
        parse_graph(text, name="t")
    assert told in caught.value.message and caught.value.position is not None


def test_constants_that_are_sizes() -> None:
    graph = parse_graph("function f(x: i8[n <= 200]) -> (y) {\n  constant c: u8[] = n;\n  y: i8[n] = bm::add(x, c);\n}")
    value: Array = graph.constants["c"]
    assert (value.dtype.name, int(value)) == ("uint8", 200)
    with pytest.raises(GraphSizeError, match=r"the size 200 is no i8"):
        parse_graph("function f(x: i8[n <= 200]) -> (y) {\n  constant c: i8[] = n;\n  y: i8[n] = bm::add(x, c);\n}")
