"""Messages of functions: the whole text, with the user's line and a caret; also where Python has no source text."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import pytest

import bmlang as bm
import tpukernel
from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Layer
from bmlang.layers.registry import add, register
from tests.program import mistakes
from tpukernel import TensorSpec
from tpukernel.errors import TpuError

X, Y = np.ones((1, 3, 8, 8), np.float32), np.ones((1, 3, 8, 7), np.float32)


@register
class Formless(Layer):
    name = "tests::formless"

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (spec,) = inputs
        assert spec is not None
        return spec

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None
        return x


TEXTS = {
    "mixes_shapes": """\
BML120: shapes [1, 3, 8, 8] and [1, 3, 8, 7] of bm::mul do not fit together
  at mistakes.py:15:26
     | return bm.relu(x) + (x * y)
     |                      ^^^^^
  help: sizes are equal, or one of them is 1""",
    "mixes_dtypes": """\
BML121: operands of bm::mul have the types f32 and f16
  at mistakes.py:20:12
     | return x * bm.cast(x, bm.f16)
     |        ^^^^^^^^^^^^^^^^^^^^^^
  help: convert one with bm.cast""",
    "outer": """\
BML122: pad is (1, 2, 3)
  at mistakes.py:25:12
     | return bm.conv(x, KERNEL, pad=(1, 2, 3))
     |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: give four numbers: top, left, bottom, right""",
    "asks_for_the_truth": """\
BML122: the elements of x f32[1, 3, 8, 8] are not known while the function is traced
  at mistakes.py:35:26
     | return bm.relu(x) if x.__bool__() else y
     |                      ^^^^^^^^^^^^
  help: choose elements with bm.where(condition, a, b)""",
    "misspells": """\
BML123: there is no layer bm::sigmiod
  at mistakes.py:40:12
     | return apply("bm::sigmiod", x)
     |        ^^^^^^^^^^^^^^^^^^^^^^^
  help: did you mean bm::sigmoid?""",
    "passes_a_word": """\
BML121: an array of <U3, which no TPU has
  at mistakes.py:45:20
     | return bm.relu(x + "one")  # pyright: ignore[reportOperatorIssue, reportUnknownArgumentType]
     |                ^^^^^^^^^
  help: convert it to a type like f32 or i32""",
    "forgets": """\
BML103: function forgets returns None, which is no tensor of it
  at mistakes.py:48
     | @bm.function
  help: return tensors computed from its inputs""",
    "returns_a_number": """\
BML103: function returns_a_number returns 1, which is no tensor of it
  at mistakes.py:53
     | @bm.function
  help: return tensors computed from its inputs""",
    "names_twice": """\
BML103: function names_twice has an input and an output x
  at mistakes.py:58
     | @bm.function
  help: give the output another name""",
    "rounds_oddly": """\
BML122: bm::cast has no rounding 'sideways'
  at mistakes.py:65:12
     | return bm.cast(x, bm.i8, rounding="sideways")
     |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: choose from half_to_even, half_away_from_zero, towards_zero, down, up, half_up, half_down""",
    "half_of_integers": """\
BML121: 0.5 is no i8
  at mistakes.py:70:12
     | return bm.cast(x, bm.i8) * 0.5
     |        ^^^^^^^^^^^^^^^^^^^^^^^
  help: convert the tensor with bm.cast first""",
    "has_no_form": """\
BML142: the TPU has no way to compute tests::formless of f32[1, 3, 8, 8]
  at mistakes.py:75:12
     | return apply("tests::formless", x)
     |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: compute it in f32, or with other operators""",
}


@pytest.mark.parametrize("name", TEXTS)
def test_message_of(name: str) -> None:
    function = getattr(mistakes, name)
    with pytest.raises(TpuError) as caught:
        function(X, Y)
    assert str(caught.value) == TEXTS[name]


def test_the_cell_of_a_notebook_is_shown() -> None:
    lines = ["def f(x, y):\n", "    é = x + 1; return é * y\n"]
    linecache.cache["<cell 3>"] = (sum(map(len, lines)), None, lines, "<cell 3>")
    names: dict[str, object] = {}
    exec(compile("".join(lines), "<cell 3>", "exec"), names)  # noqa: S102
    with pytest.raises(TpuError) as caught:
        bm.function(cast("Callable[..., object]", names["f"]))(X, Y)
    assert str(caught.value).splitlines()[1:-1] == [
        "  at <cell 3>:2:23",
        "     | é = x + 1; return é * y",
        "     |                   ^^^^^",
    ]


def test_without_source_text_there_is_the_place() -> None:
    names: dict[str, object] = {}
    exec("def f(x, y):\n    return x * y\n", names)  # noqa: S102
    with pytest.raises(TpuError) as caught:
        bm.function(cast("Callable[..., object]", names["f"]))(X, Y)
    assert str(caught.value).splitlines()[1] == "  at <string>:2:12"


def lacks(*arrays: Array, **keywords: object) -> Callable[[], object]:
    return lambda: scaled(*arrays, **keywords)


@bm.function
def scaled(x: bm.Tensor, y: bm.Tensor, *, factor: float) -> bm.Tensor:
    return x * y * factor


def spread(*xs: bm.Tensor) -> bm.Tensor:
    return xs[0]


def with_default(x: bm.Tensor, y: bm.Tensor | None = None) -> bm.Tensor:
    return x


def of(function: Callable[..., object]) -> str:
    return f"\n  at test_messages.py:{function.__code__.co_firstlineno}\n     | def {function.__name__}"


NAMELESS: Callable[[bm.Tensor], bm.Tensor] = lambda x: x  # noqa: E731
STAGES = [{"x": (4,), "y": (4,)}]
SHORT: Mapping[str, tuple[Callable[[], object], str]] = {
    "missing": (lacks(X, factor=1.0), "BML102: function scaled needs y\n  help: its arguments are x, y, factor"),
    "missing keyword": (lacks(X, X), "BML102: function scaled needs factor\n  help: its arguments are x, y, factor"),
    "unknown": (lacks(X, X, faktor=1.0), "BML102: function scaled has no argument faktor\n  help: its arguments are x, y, factor"),
    "twice": (lacks(X, X, factor=1.0, x=X), "BML102: function scaled got x twice\n  help: its arguments are x, y, factor"),
    "too many": (lacks(X, X, X), "BML102: function scaled takes 2 tensors, not 3\n  help: give x, y"),
    "type": (
        lacks(X, X.astype(np.complex64), factor=1.0),
        "BML102: y of function scaled is an array of complex64, which no TPU has\n  help: convert it, for example y.astype(np.float32)",
    ),
    "empty": (lacks(X[:0], X, factor=1.0), "BML102: a tensor of shape [0, 3, 8, 8]\n  help: give up to 8 sizes of 1 or more"),
    "rank": (lambda: bm.spec((1,) * 9), f"BML102: a tensor of shape {[1] * 9}\n  help: give up to 8 sizes of 1 or more"),
    "no shape": (
        lambda: bm.compile(scaled, stages=[{"x": (4,)}], attrs={"factor": 1.0}),
        "BML102: function scaled takes x, y, not x\n  help: give a shape for each input",
    ),
    "half a size": (
        lambda: bm.compile(scaled, stages=[{"x": cast("tuple[int]", (2.5,)), "y": (4,)}], attrs={"factor": 1.0}),
        "BML102: the shape of x is (2.5,)\n  help: give integers, or bm.spec(shape, dtype)",
    ),
    "nameless": (lambda: bm.function(NAMELESS), "BML101: a function is called <lambda>"),
    "no function": (
        lambda: bm.function(print),
        "BML101: <built-in function print> is no Python function\n  help: put @bm.function before a def",
    ),
    "spread": (lambda: bm.function(spread), f"BML101: function spread takes any number of arguments (*xs){of(spread)}"),
    "default": (lambda: bm.function(with_default), f"BML101: tensor y of function with_default has a default{of(with_default)}"),
    "no functions": (lambda: bm.compile([], stages=STAGES), "BML143: there is no function to compile"),
    "two of a name": (lambda: bm.compile([scaled, scaled], stages=STAGES), "BML143: there are several functions scaled"),
    "no stages": (lambda: bm.compile(scaled, stages=[]), "BML143: function scaled has no stages"),
    "stages of others": (
        lambda: bm.compile(scaled, stages={"f": STAGES}),
        "BML143: there are stages for f, which is no function\n  help: give a list",
    ),
    "same stages": (
        lambda: bm.compile(scaled, stages=STAGES * 2, attrs={"factor": 1.0}),
        "BML143: stages 0 and 1 of scaled are for the same shapes\n  help: leave one out",
    ),
    "other types": (
        lambda: bm.compile(scaled, stages=[*STAGES, {"x": bm.spec((5,), "f16"), "y": bm.spec((5,), "f16")}], attrs={"factor": 1.0}),
        "BML143: stage 1 of scaled has inputs and outputs x f16, y f16, output f16, stage 0 has x f32, y f32, output f32",
    ),
    "keyword of nobody": (
        lambda: bm.compile(scaled, stages=STAGES, attrs={"factor": 1.0, "beta": 1}),
        "BML143: no function has a keyword beta\n  help: there are factor",
    ),
    "mode": (lambda: bm.compile(scaled, stages=STAGES, mode="int8"), "BML143: there is no mode 'int8'\n  help: choose from f32, f16, bf16"),
    "level": (
        lambda: bm.compile(scaled, stages=STAGES, opt=3),
        "BML143: there is no level 3 of optimisation\n  help: choose from (0, 1, 2)",
    ),
    "outside": (lambda: bm.relu(X), "BML125: bm::relu was called without a tensor of a function\n  at test_messages.py"),
    "layer name": (lambda: add(Formless(), "elsewhere"), "BML124: layer tests::formless of elsewhere is registered by tests.program"),
}


@pytest.mark.parametrize("name", SHORT)
def test_message_about(name: str) -> None:
    make, text = SHORT[name]
    with pytest.raises(TpuError) as caught:
        make()
    assert str(caught.value).startswith(text)
    assert caught.value.help


# ------------------------------------------------------------------ what beginners do


def squared(x: bm.Tensor) -> bm.Tensor:
    return x * x


@bm.function
def takes_numpy(x: bm.Tensor) -> bm.Tensor:
    return cast("bm.Tensor", np.exp(cast("Array", x)))


@bm.function
def compares(x: bm.Tensor) -> bm.Tensor:
    return cast("bm.Tensor", x == x)


BEGINNERS: Mapping[str, Callable[[], object]] = {
    "BML122: a function of numpy was called with a tensor\n  at test_messages.py:": lambda: takes_numpy(X),
    "BML143: an input was given without its name\n  help: give inputs by name": lambda: bm.compile(
        squared_function(), stages=[{"x": X.shape}]
    ).run(cast("str", X)),
    "BML143: there are stages for x, which is no function\n  help: give a list": lambda: bm.compile(
        squared_function(), stages=cast("dict[str, list[dict[str, tuple[int, ...]]]]", {"x": X.shape})
    ),
    "BML102: the shapes of function squared are (1, 3)": lambda: bm.compile(
        squared_function(), stages=cast("list[dict[str, tuple[int, ...]]]", [(1, 3)])
    ),
    "BML102: the shapes of function squared are (2, 3)": lambda: bm.compile(
        squared_function(), stages=cast("list[dict[str, tuple[int, ...]]]", [(2, 3)]), dynamic=True
    ),
    "BML126: <function squared": lambda: bm.layer_check(cast("Layer", squared), shapes=[(1, 3)]),
    "help: tensors are compared with bm.eq": lambda: compares(X),
    "convert it, for example x.astype(np.int32)": lambda: squared_function()(np.ones((2, 3), np.int64)),
    "convert it, for example x.astype(np.float32)": lambda: squared_function()(np.ones((2, 3))),
}


def squared_function() -> bm.Function:
    return bm.function(squared)


@pytest.mark.parametrize("text", BEGINNERS)
def test_what_beginners_do_is_told(text: str) -> None:
    with pytest.raises(TpuError) as caught:
        BEGINNERS[text]()
    assert text in str(caught.value)


def test_a_misspelt_name_is_found_by_python() -> None:
    """Python looks for similar names where it knows the module."""
    for module in (bm, tpukernel):
        with pytest.raises(AttributeError) as caught:
            _ = module.sigmiod
        assert (caught.value.name, caught.value.obj) == ("sigmiod", module)
