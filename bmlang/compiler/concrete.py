"""From a graph whose sizes vary to the one for real sizes, which is the one that its function would have been traced to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import cast

from bmlang.graph.dims import Dim, Variation, expr_of, size_element
from bmlang.graph.errors import GraphError, GraphSizeError
from bmlang.graph.graph import Array, Attribute, Graph, Node
from bmlang.graph.text import spec_text
from bmlang.graph.verify import verify
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.registry import layer_of
from bmlang.layers.tensor import check_inputs
from tpukernel.errors import TpuError
from tpukernel.lang.expr import Expr, Var, evaluate, holds, show
from tpukernel.lang.signature import TensorSpec
from tpukernel.source import pinned

__all__ = ["check_guards", "concrete", "sizes_of"]

Sizes = Mapping[str, int]
"""By variable: its value."""


def sizes_of(graph: Graph, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The values of the variables, as far as the shapes of the inputs say them.

    Args:
        graph: the function.
        shapes: by input.

    Raises:
        GraphSizeError: a shape is none for which the graph was made.
    """
    variation = graph.variation or Variation({})
    found: dict[str, int] = {}
    for name in graph.inputs:
        wanted, given = graph.specs[name].shape, tuple(shapes[name])
        if len(wanted) != len(given):
            raise GraphSizeError(f"{name} has {len(given)} dimensions, not {len(wanted)}", help=f"it is {spec_text(graph.specs[name])}")
        for axis, (size, number) in enumerate(zip(wanted, given, strict=True)):
            expr = expr_of(size)
            if isinstance(expr, Var) and expr.name not in found:
                found[expr.name] = _within(f"dimension {axis} of {name}", number, variation.limits[expr.name], found)
    for name in graph.inputs:
        for axis, (size, number) in enumerate(zip(graph.specs[name].shape, shapes[name], strict=True)):
            if (value := _value(expr_of(size), found)) != number:
                told = f" ({show(expr_of(size))})" if not isinstance(expr_of(size), int) else ""
                raise GraphSizeError(f"dimension {axis} of {name} is {number}, not {value}{told}", help="give an array of that shape")
    return found


def _within(what: str, number: int, limit: Expr, known: Sizes) -> int:
    largest = evaluate(limit, known)
    if not 1 <= number <= largest:
        raise GraphSizeError(f"{what} is {number}", help=f"it may be 1 to {largest}; compile the function with a larger size for more")
    return number


def concrete(graph: Graph, sizes: Sizes) -> Graph:
    """The graph for values of its variables: shapes are inferred anew. A size that is found while the graph runs gets its largest value.

    Args:
        graph: of a function whose sizes vary.
        sizes: the values, at least those of the variables of its inputs.

    Raises:
        GraphSizeError: the function decided something by a comparison that does not hold for these sizes.
        GraphError: an operator does not fit these shapes.
    """
    variation = graph.variation
    if variation is None:
        return graph
    known = dict(sizes)
    check_guards(graph, known)
    specs = {name: TensorSpec(_shape(graph.specs[name], known), graph.specs[name].dtype) for name in (*graph.inputs, *graph.constants)}
    constants: dict[str, Array] = dict(graph.constants)
    for name, expr in variation.numbers.items():
        constants[name] = size_element(_value(expr, known), specs[name].dtype)
    nodes: list[Node] = []
    for node in graph.nodes:
        found = replace(node, attrs={key: _attribute(value, known) for key, value in node.attrs.items()})
        for name, spec in zip(node.outputs, _inferred(found, specs), strict=True):
            _learn(graph.specs[name], spec, known)
            _check_spec(node, name, graph.specs[name], spec, known)
            specs[name] = spec
        nodes.append(found)
    made = Graph(graph.name, graph.inputs, graph.outputs, {name: specs[name] for name in graph.specs}, constants, tuple(nodes))
    verify(made)
    return made


def check_guards(graph: Graph, known: Sizes) -> None:
    """What the function decided by comparisons holds, as far as its sizes are known.

    Raises:
        GraphSizeError: it does not.
    """
    for guard in graph.variation.guards if graph.variation else ():
        try:
            good = holds(guard.condition, known)
        except KeyError:
            continue
        except ZeroDivisionError:
            good = False
        if not good:
            sizes = ", ".join(f"{each} = {value}" for each, value in known.items())
            raise GraphSizeError(
                f"{graph.name} was made for {show(guard.condition)}, which does not hold for {sizes}",
                position=guard.position,
                help="give other shapes; or choose in another way than by comparing sizes, or compile a stage for each side",
            )


def _inferred(node: Node, specs: Mapping[str, TensorSpec]) -> Sequence[TensorSpec]:
    layer = layer_of(node.op, node.position)
    given = [specs[name] if name else None for name in node.inputs]
    with pinned(node.position):
        try:
            if node.attrs.keys() != layer.defaults.keys():
                raise OperatorArgumentError(f"{node.op} has the arguments {', '.join(layer.defaults)}", position=node.position)
            check_inputs(layer, given)
            made = layer.infer(given, node.attrs)
        except TpuError:
            raise
        except Exception as error:  # the graph may come from a file, which can say anything
            raise GraphError(f"{node.op} cannot take these inputs and arguments: {error!r}", position=node.position) from error
    found = [made] if isinstance(made, TensorSpec) else list(made)
    if len(found) != len(node.outputs):
        raise GraphError(f"{node.op} has {len(found)} outputs, not {len(node.outputs)}", position=node.position)
    return found


def _learn(told: TensorSpec, found: TensorSpec, known: dict[str, int]) -> None:
    """A variable that begins with a result of an operator: the largest size that it can have."""
    for size, number in zip(told.shape, found.shape, strict=False):
        expr = expr_of(size)
        if isinstance(expr, Var):
            known.setdefault(expr.name, number)


def _check_spec(node: Node, name: str, told: TensorSpec, found: TensorSpec, known: Sizes) -> None:
    """Attributes were computed from the sizes that the graph tells, so these have to be the real ones."""
    wanted = TensorSpec(_shape(told, known), told.dtype)
    if wanted == found:
        return
    pairs = zip_longest(told.shape, found.shape)
    if wanted.dtype != found.dtype or any(size != number and not isinstance(size, Dim) for size, number in pairs):
        raise GraphError(
            f"{node.op} makes {name} {spec_text(found)} for these shapes, but {spec_text(told)} for the largest: its infer forgets sizes",
            position=node.position,
            help="infer has to compute sizes with +, -, *, // and %",
        )
    raise GraphSizeError(
        f"{name} is {spec_text(found)} for these shapes, but the function went on as for {spec_text(wanted)}",
        position=node.position,
        help="give inputs whose sizes fit together as those that it was compiled for",
    )


def _shape(spec: TensorSpec, known: Sizes) -> tuple[int, ...]:
    return tuple(_value(expr_of(size), known) for size in spec.shape)


def _attribute(value: Attribute, known: Sizes) -> Attribute:
    if isinstance(value, tuple):
        return tuple(_attributes(value, known))
    return _value(expr_of(value), known) if isinstance(value, int) and not isinstance(value, bool) else value


def _attributes(values: Sequence[Attribute], known: Sizes) -> Iterator[Attribute]:
    for value in values:
        yield _attribute(value, known)


def _value(expr: Expr, known: Sizes) -> int:
    try:
        return evaluate(expr, known)
    except KeyError as error:
        raise GraphSizeError(f"the size {cast('str', error.args[0])} is not known", help="give the shapes of all inputs") from None
    except ZeroDivisionError:
        raise GraphSizeError(f"{show(expr)} divides by 0") from None
