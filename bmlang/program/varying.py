"""Functions traced for shapes that vary up to those given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import cast

from bmlang.compiler.concrete import concrete
from bmlang.compiler.errors import CompileArgumentError
from bmlang.compiler.passes.expand import expand
from bmlang.graph.dims import Dim, Recorder, expr_of, recording
from bmlang.graph.errors import GraphError, GraphSizeError, SizeUseError
from bmlang.graph.graph import Graph, unused_name
from bmlang.graph.text import WORDS, plain_name
from bmlang.layers.custom import GraphLayer
from bmlang.program.errors import FunctionArgumentError
from bmlang.program.function import Function, Specs, spec
from tpukernel.dtypes import DTYPES
from tpukernel.lang.expr import Var, evaluate
from tpukernel.lang.signature import TensorSpec

__all__ = ["traced_varying", "upto", "varies"]

CHANNELS = 1
"""The dimension that does not vary where nothing else is said, as in official dynamic models."""


def upto(size: int, name: str = "") -> int:
    """A size of an input that varies: from 1 up to this one, when the function is compiled with `dynamic`.

    Args:
        size: the largest size.
        name: sizes of one name are equal to each other; by default each varies on its own.

    Raises:
        FunctionArgumentError: the size is not 1 or more, or the name is none.
    """
    if size < 1 or (name and (not name.isidentifier() or name in DTYPES or name in WORDS)):
        raise FunctionArgumentError(f"a size up to {size}" + (f" called {name!r}" if name else ""), help="give 1 or more, and a plain name")
    return Dim(size, Var(name))


def varies(specs: Specs) -> bool:
    """Whether sizes are said with `upto`."""
    return any(isinstance(size, Dim) for size in _sizes({name: _spec(name, given) for name, given in specs.items()}))


def traced_varying(function: Function, specs: Specs, attrs: Mapping[str, object]) -> Graph:
    """The graph of a function whose sizes vary; layers of users that are functions have given way to what they are made of.

    Args:
        function: the function.
        specs: its inputs; without a single `upto` in them all dimensions vary but the second one, the channels.
        attrs: its keywords.

    Raises:
        CompileArgumentError: no size varies, or one has two limits.
        SizeUseError: the function does something else for each size.
        GraphError: as of `Function.traced`.
    """
    if not isinstance(cast("object", specs), Mapping):
        return function.traced(specs, **attrs)  # says what is wrong
    named = _named({name: _spec(name, given) for name, given in specs.items()})
    graph = _traced(function, named, attrs)
    for sizes in _other_sizes(graph):
        _check(function, graph, sizes, attrs)
    return graph


def _traced(function: Function, specs: Mapping[str, TensorSpec], attrs: Mapping[str, object]) -> Graph:
    recorder = Recorder({expr.name: int(size) for size in _sizes(specs) if isinstance(expr := expr_of(size), Var)})
    with recording(recorder):
        graph = expand(function.traced(specs, **attrs), lambda layer: isinstance(layer, GraphLayer))
    assert graph.variation is not None  # noqa: S101
    return replace(graph, variation=replace(graph.variation, limits=recorder.limits, guards=tuple(recorder.guards.values())))


def _sizes(specs: Mapping[str, TensorSpec]) -> Iterator[int]:
    for given in specs.values():
        yield from given.shape


def _spec(name: str, given: TensorSpec | Sequence[int]) -> TensorSpec:
    try:
        return given if isinstance(given, TensorSpec) else spec(given)
    except TypeError:
        raise FunctionArgumentError(f"the shape of {name} is {given!r}", help="give integers, or bm.spec(shape, dtype)") from None


def _named(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """The inputs with a variable for each size that varies."""
    said = any(isinstance(size, Dim) for size in _sizes(specs))
    limits: dict[str, int] = {}
    taken = {expr.name for size in _sizes(specs) if isinstance(expr := expr_of(size), Var)}
    found: dict[str, TensorSpec] = {}
    for name, given in specs.items():
        shape: list[int] = []
        for axis, size in enumerate(given.shape):
            number, expr = int(size), expr_of(size)
            if number == 1 or (isinstance(expr, int) if said else axis == CHANNELS):
                shape.append(number)
                continue
            variable = (expr.name if isinstance(expr, Var) else "") or unused_name(f"{plain_name(name)}_{axis}", taken | limits.keys())
            if limits.setdefault(variable, number) != number:
                raise CompileArgumentError(
                    f"the size {variable} is at most {limits[variable]}, and at most {number} in dimension {axis} of {name}",
                    help="give it one limit, or two names",
                )
            shape.append(Dim(number, Var(variable)))
        found[name] = TensorSpec(tuple(shape), given.dtype)
    if not limits:
        raise CompileArgumentError("no size of the inputs varies", help="say which with bm.upto, or leave dynamic out")
    return found


# ------------------------------------------------------------------ the same as for fixed sizes


def _other_sizes(graph: Graph) -> Iterator[dict[str, int]]:
    """Sizes for which the function is traced again: what Python does with a number in secret shows there.

    None is 1 that may be larger: a size that is always 1 is broadcast, and leads to another graph that computes the same.
    """
    assert graph.variation is not None  # noqa: S101
    inputs = {expr.name for name in graph.inputs for size in graph.specs[name].shape if isinstance(expr := expr_of(size), Var)}
    largest = {name: limit for name, limit in graph.variation.largest().items() if name in inputs}
    yield dict(largest)
    yield {name: max(limit - 1, 2) for name, limit in largest.items()}
    yield {name: limit // 2 + 1 for name, limit in largest.items()}
    yield dict.fromkeys(largest, 2)
    for name, limit in largest.items():
        yield largest | {name: max(limit // 2, 2)}


def _check(function: Function, graph: Graph, sizes: Mapping[str, int], attrs: Mapping[str, object]) -> None:
    """For these sizes, the graph is the one to which the function is traced with them as the largest; what is refused tells nothing.

    Raises:
        SizeUseError: it is another one.
    """
    inputs = {
        name: TensorSpec(tuple(_smaller(size, sizes) for size in graph.specs[name].shape), graph.specs[name].dtype) for name in graph.inputs
    }
    try:
        wanted = concrete(_traced(function, inputs, attrs), sizes)
    except GraphError:
        return
    made: Graph | None = None
    try:
        made = concrete(graph, sizes)
    except GraphSizeError:
        return
    except GraphError as error:
        place = error.position
    else:
        if made.equals(wanted):
            return
        pairs = zip_longest(made.nodes, wanted.nodes)
        place = next((each.position for one, other in pairs if one != other for each in (other, one) if each is not None), None)
    told = ", ".join(f"{name} {list(wanted.specs[name].shape)}" for name in wanted.inputs)
    raise SizeUseError(
        f"function {function.name} does something else for {told} than for its largest shapes",
        position=place or function.signature.position,
        help="loops, lists and arrays must not depend on sizes that vary: compile for a fixed size in this dimension (bm.upto)",
    )


def _smaller(size: int, sizes: Mapping[str, int]) -> int:
    expr = expr_of(size)
    return Dim(evaluate(expr, sizes), expr) if isinstance(size, Dim) else size
