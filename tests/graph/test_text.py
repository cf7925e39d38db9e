"""Graphs as text: what is printed is read back as the same graph, and what is wrong is told with its place."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bmlang as bm
from bmlang.graph.errors import GraphConstantError, GraphError, GraphLimitError, GraphNameError, GraphStructureError, GraphSyntaxError
from bmlang.graph.graph import Array, Attribute, Graph, Node
from bmlang.graph.parse import MAX_CHARACTERS, parse_graph
from bmlang.graph.text import SHOWN_ELEMENTS, text_of
from bmlang.layers.reference import run_reference
from tests.support.effort import examples
from tests.support.graphs import arrays_for, graphs
from tpukernel.dtypes import DTYPES, Dtype

NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(["constant", "none", "as", "x y", "a`b", "conv1/Relu:0", "é", "nan", 'q"', "\\"])
NUMBERS = st.floats(allow_nan=False) | st.integers(-(10**18), 10**18) | st.booleans() | st.none()
ATTRIBUTES: st.SearchStrategy[Attribute] = st.recursive(
    NUMBERS | st.text(max_size=8) | st.sampled_from(list(DTYPES.values())),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


def large(graph: Graph) -> dict[str, Array]:
    """The constants that the text does not say."""
    return {name: value for name, value in graph.constants.items() if value.size > SHOWN_ELEMENTS}


@settings(max_examples=examples(30), deadline=None)
@given(graphs(dtypes=(bm.f32, bm.f16, bm.bf16), most=300))
def test_a_printed_graph_is_read_back(graph: Graph) -> None:
    read = parse_graph(str(graph), large(graph))
    assert read.equals(graph)
    assert str(read) == str(graph)
    arrays = arrays_for(graph)
    one, other = run_reference(graph, arrays), run_reference(read, arrays)
    assert all(one[name].tobytes() == other[name].tobytes() for name in graph.outputs)


@st.composite
def odd_graphs(draw: st.DrawFn) -> Graph:
    """Graphs with any names, attributes and small constants."""
    names = draw(st.lists(NAMES, min_size=4, max_size=8, unique=True))
    x, constant, *made = names
    dtype = draw(st.sampled_from(list(DTYPES.values())))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    size = int(np.prod(shape)) * dtype.itemsize
    value = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype.numpy).reshape(shape)
    specs = {x: bm.spec((2,)), constant: bm.spec(shape, dtype)} | {
        name: bm.spec((2,), draw(st.sampled_from(list(DTYPES)))) for name in made
    }
    nodes: list[Node] = []
    known = [x, constant, ""]
    node_names = draw(st.lists(NAMES, min_size=len(made), max_size=len(made), unique=True))
    for name, node_name in zip(made, node_names, strict=True):
        attrs = draw(st.dictionaries(st.sampled_from(["dtype", "as_", "pad", "é"]), ATTRIBUTES, max_size=2))
        inputs = tuple(draw(st.lists(st.sampled_from(known), max_size=3)))
        nodes.append(Node(node_name, draw(st.sampled_from(["bm::add", "acme.v2::f", "é::é"])), inputs, (name,), attrs))
        known.append(name)
    return Graph(draw(NAMES), (x,), tuple(draw(st.permutations(made)))[:2], specs, {constant: value}, tuple(nodes))


@settings(max_examples=examples(75), deadline=None)
@given(odd_graphs())
def test_any_names_attributes_and_bits_are_read_back(graph: Graph) -> None:
    read = parse_graph(str(graph))
    assert read.equals(graph), str(graph)
    for one, other in zip(graph.nodes, read.nodes, strict=True):
        assert repr(dict(one.attrs)) == repr(dict(other.attrs)), "true is not 1, and -0.0 not 0.0"


def test_large_constants_are_given_beside() -> None:
    weights = np.arange(20, dtype=np.float32)

    @bm.function
    def scaled(x: bm.Tensor) -> bm.Tensor:
        return x * weights

    graph = scaled.traced({"x": (20,)})
    assert "constant `constant`: f32[20];" in text_of(graph)
    assert parse_graph(str(graph), graph.constants).equals(graph)


def test_comments_and_places() -> None:
    graph = parse_graph("# first\nfunction f(x: f32[2]) -> (y) { # then\n  y: f32[2] = bm::relu(x) as here;\n}\n", name="f.txt")
    (node,) = graph.nodes
    assert (node.name, str(node.position)) == ("here", "f.txt:3:3")


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_damaged_text_is_refused_or_read(data: st.DataObject) -> None:
    @bm.function
    def f(x: bm.Tensor) -> bm.Tensor:
        return bm.cast(bm.conv(x, np.ones((1, 1, 1, 1), np.float32), stride=2), bm.i8) * 3

    text = str(f.traced({"x": (1, 1, 4, 4)}))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, min(start + 10, len(text))))
    damaged = text[:start] + data.draw(st.text(max_size=4) | st.sampled_from([";", "((", "none", "9" * 30, "[", "1e999", "`"])) + text[end:]
    with suppress(GraphSyntaxError, GraphNameError, GraphConstantError, GraphLimitError, GraphStructureError):
        parse_graph(damaged)


HEAD = "function f(x: f32[2]) -> (y) {\n"
TEXTS = {
    "function f(x f32[2]) -> (y) {}": """\
BML160: `f32` stands where `:` is expected
  at t:1:14
     | function f(x f32[2]) -> (y) {}
     |              ^^^""",
    HEAD + "  y: f32[2] = relu(x);\n}": """\
BML160: `relu` stands where an operator such as bm::add is expected
  at t:2:15
     | y: f32[2] = relu(x);
     |             ^^^^""",
    HEAD + "  y: f32[2] = bm::relu(x)\n}": """\
BML160: `}` stands where `;` or `as` is expected
  at t:3:1
     | }
     | ^""",
    HEAD + "  y: f32[2] = bm::relu(x);": """\
BML160: the text ends where `constant`, `require`, `}` or a name is expected
  at t:2:27
     | y: f32[2] = bm::relu(x);""",
    HEAD + "  y: f32[2] = bm::relu(a=1, x);\n}": """\
BML160: a tensor stands behind attributes
  at t:2:29
     | y: f32[2] = bm::relu(a=1, x);
     |                           ^
  help: tensors come first""",
    HEAD + "  y: f32[2] = bm::relu(x, a=0x1f);\n}": """\
BML160: bits are no attribute
  at t:2:29
     | y: f32[2] = bm::relu(x, a=0x1f);
     |                           ^^^^
  help: write a number""",
    HEAD + '  y: f32[2] = bm::relu(x, a="\\x");\n}': """\
BML160: "\\x" has an unknown escape
  at t:2:29
     | y: f32[2] = bm::relu(x, a="\\x");
     |                           ^^^^
  help: escapes are those of JSON""",
    HEAD + "  y: f33[2] = bm::relu(x);\n}": """\
BML161: there is no data type f33
  at t:2:6
     | y: f33[2] = bm::relu(x);
     |    ^^^
  help: use one of f32, f16, bf16, i8, u8, i16, u16, i32, u32""",
    HEAD + "  x: f32[2] = bm::relu(x);\n}": """\
BML161: there are two tensors x
  at t:2:3
     | x: f32[2] = bm::relu(x);
     | ^
  help: give each a name of its own""",
    HEAD + "  z: f32[2] = bm::relu(x);\n}": """\
BML161: nothing makes the output y
  at t:1:27
     | function f(x: f32[2]) -> (y) {
     |                           ^
  help: name a tensor of it""",
    HEAD + "  y: f32[2] = bm::relu(x, a=1, a=2);\n}": """\
BML161: a is given twice
  at t:2:32
     | y: f32[2] = bm::relu(x, a=1, a=2);
     |                              ^
  help: leave one out""",
    HEAD + "  constant c: f32[3] = [1.0, 2.0];\n  y: f32[2] = bm::add(x, c);\n}": """\
BML162: constant c is f32[3], but has 2 elements
  at t:2:3
     | constant c: f32[3] = [1.0, 2.0];
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: write out all elements, if there are 16 or fewer""",
    HEAD + "  constant c: i8[] = 300;\n  y: f32[2] = bm::add(x, c);\n}": """\
BML162: 300 is no i8
  at t:2:22
     | constant c: i8[] = 300;
     |                    ^^^""",
    HEAD + "  constant c: f32[100];\n  y: f32[2] = bm::add(x, c);\n}": """\
BML162: constant c has no value
  at t:2:3
     | constant c: f32[100];
     | ^^^^^^^^^^^^^^^^^^^^^
  help: give its array beside the text""",
    HEAD + "  y: f32[0] = bm::relu(x);\n}": """\
BML163: a tensor of shape [0]
  at t:2:6
     | y: f32[0] = bm::relu(x);
     |    ^^^^^^
  help: no TPU has such a tensor""",
    HEAD + "  y: f32[2] = bm::relu(z);\n}": """\
BML140: relu of f takes z, which nothing made before
  at t:2:3
     | y: f32[2] = bm::relu(z);
     | ^^^^^^^^^^^^^^^^^^^^^^^^""",
}


@pytest.mark.parametrize("text", TEXTS)
def test_message(text: str) -> None:
    with pytest.raises(GraphError) as caught:
        parse_graph(text, name="t")
    assert str(caught.value) == TEXTS[text]


def test_constants_have_to_fit() -> None:
    text = "function f(x: f32[2]) -> (y) {\n  constant c: f32[2];\n  y: f32[2] = bm::add(x, c);\n}"
    with pytest.raises(GraphError, match=r"BML162: constant c is f32\[2\], but its array float64\[2\]"):
        parse_graph(text, {"c": np.ones(2)})
    with pytest.raises(GraphError, match="BML162: the text has no constant d"):
        parse_graph(text, {"c": np.ones(2, np.float32), "d": np.ones(2, np.float32)})
    with pytest.raises(GraphError, match="BML162: constant c has a value in the text and another one"):
        parse_graph(text.replace("[2];", "[2] = [1.0, 2.0];", 1), {"c": np.ones(2, np.float32)})


def test_sizes_are_limited() -> None:
    with pytest.raises(GraphLimitError, match="BML163: a text of"):
        parse_graph("#" * (MAX_CHARACTERS + 1))
    with pytest.raises(GraphLimitError, match="BML163: more than 32 open brackets"):
        parse_graph(f"{HEAD}  y: f32[2] = bm::relu(x, a={'[' * 40}1{']' * 40});\n}}")
    with pytest.raises(GraphLimitError, match="BML163: a tensor of shape"):
        parse_graph(f"function f(x: f32[{'9' * 20}]) -> (x) {{}}")
    with pytest.raises(GraphSyntaxError):
        parse_graph(f"function f(x: f32[{'9' * 5000}]) -> (x) {{}}")


def test_a_function_whose_output_is_its_input_is_no_mistake_of_the_text() -> None:
    graph = parse_graph("function f(x: f32[2]) -> (x) {}")
    assert (graph.inputs, graph.outputs, graph.nodes) == (("x",), ("x",), ())
    with pytest.raises(GraphNameError):
        parse_graph("function f(x: f32[2], x: f32[2]) -> (x) {}")


def test_dtypes_are_words() -> None:
    assert all(isinstance(dtype, Dtype) for dtype in DTYPES.values())
    graph = parse_graph(f"function f({', '.join(f'x{k}: {name}[1]' for k, name in enumerate(DTYPES))}) -> (x0) {{}}")
    assert [graph.specs[name].dtype for name in graph.inputs] == list(DTYPES.values())
