"""What each layer allows: its dimensions in which orders, with which arguments, at the same bits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Final, TypeAlias, cast

from bmlang.compiler.orders.axes import Attributes, Axes, Layout, Piece, Port, sizes_of
from bmlang.compiler.orders.moves import LANES
from bmlang.compiler.sides import on_host
from bmlang.graph.graph import Graph, Node
from bmlang.layers.arrange import axis_of
from bmlang.layers.matmul import FEW_ROWS
from bmlang.layers.reduction import axes_of
from bmlang.layers.registry import layer_of
from tpukernel.lang.signature import TensorSpec

__all__ = ["axes_of_node"]

HEAD_COLUMNS: Final = 16
"""Columns that a product computes side by side."""
Shape: TypeAlias = tuple[int, ...]
Rule: TypeAlias = Callable[[Graph, Node, bool], Axes | None]


def axes_of_node(graph: Graph, node: Node, *, exact: bool) -> Axes | None:
    """How the dimensions of a node may be ordered; None where they must stay as they are.

    Args:
        graph: the graph.
        node: of it.
        exact: only in ways in which no bit of a result changes; else also in those in which sums are added in another order.
    """
    layer = layer_of(node.op)
    rule = _elementwise if layer.elementwise else RULES.get(node.op)
    if rule is None or len(node.outputs) != 1 or on_host(graph, node):
        return None
    return rule(graph, node, exact)


def _shape(graph: Graph, name: str) -> Shape:
    return graph.specs[name].shape


def _all(shape: Sequence[int]) -> Port:
    """A tensor of which each dimension has its own label."""
    return Port(tuple(range(len(shape))), tuple(shape))


def _repeated(spec: TensorSpec | None, rank: int) -> Port | None:
    """A tensor that is repeated to one of a rank; None for one number."""
    if spec is None or prod(spec.shape) == 1 or len(spec.shape) > rank:
        return None
    return Port(tuple(range(rank)), (1,) * (rank - len(spec.shape)) + spec.shape)


def _elementwise(graph: Graph, node: Node, _: bool) -> Axes | None:
    out = _all(_shape(graph, node.outputs[0]))
    inputs = tuple(_repeated(graph.spec(name), len(out.sizes)) for name in node.inputs)
    ports = [port for port in (*inputs, out) if port is not None]

    def run(layout: Layout) -> int:
        """The last dimensions that every tensor has, or repeats as a whole; everything where that are all."""
        sizes = [sizes_of(layout, port) for port in ports]
        found, pattern = 1, None
        for piece in reversed(layout.pieces):
            if sizes[-1][piece] == 1:
                continue
            repeated = [each[piece] == 1 for each in sizes]
            if pattern not in (None, repeated):
                return found
            pattern = repeated
            found *= sizes[-1][piece]
        return 0

    return Axes(inputs, out, lambda _: node.attrs, run=run)


def _lut(graph: Graph, node: Node, _: bool) -> Axes | None:
    x = _all(_shape(graph, node.inputs[0]))
    return Axes((x, None), x, lambda _: node.attrs)


def _numbers_along(graph: Graph, node: Node, _: bool) -> Axes | None:
    """A layer with arguments that are numbers for each element of a dimension."""
    x = _all(_shape(graph, node.inputs[0]))
    axis = axis_of(node.op, len(x.sizes), node.attrs["axis"])
    return Axes((x,), x, lambda layout: {**node.attrs, "axis": layout.place(axis, x)}, frozenset({axis}))


def _behind(layout: Layout, port: Port, labels: Collection[int]) -> int:
    """Elements of the dimensions behind the last of some."""
    sizes = sizes_of(layout, port)
    last = max(index for index, (label, _) in enumerate(layout.pieces) if label in labels)
    return prod(sizes.get(piece, 1) for piece in layout.pieces[last + 1 :])


def _row(x: Port, axes: Sequence[int]) -> Callable[[Layout], int]:
    """Elements behind each other where dimensions are reduced: a row of these, or what is behind them."""
    return lambda layout: _behind(layout, x, axes) if _behind(layout, x, axes) > 1 else prod(x.sizes[axis] for axis in axes)


def _same_way(x: Port, axes: Sequence[int], *, exact: bool) -> Callable[[Layout], bool]:
    """Whether reduced dimensions stay neighbours in order, and whether rows stay rows: those are added up in another order than columns."""
    rows = prod(x.sizes[axes[-1] + 1 :]) == 1

    def allows(layout: Layout) -> bool:
        places = [index for index, (label, _) in enumerate(layout.pieces) if label in axes]
        neighbours = layout.labels(axes) == list(axes) and places[-1] - places[0] == len(places) - 1
        return neighbours and (not exact or (_behind(layout, x, axes) == 1) is rows)

    return allows


def _softmax(graph: Graph, node: Node, exact: bool) -> Axes | None:
    x = _all(_shape(graph, node.inputs[0]))
    axis = axis_of(node.op, len(x.sizes), node.attrs["axis"])
    allows = _same_way(x, (axis,), exact=exact)
    return Axes(
        (x,), x, lambda layout: {**node.attrs, "axis": layout.place(axis, x)}, frozenset({axis}), allows=allows, run=_row(x, (axis,))
    )


def _reduce(graph: Graph, node: Node, exact: bool) -> Axes | None:
    x = _all(_shape(graph, node.inputs[0]))
    axes = axes_of(node.op, len(x.sizes), node.attrs["axis"])
    kept = [label for label in x.labels if label not in axes]
    out = (
        Port(x.labels, tuple(1 if label in axes else size for label, size in zip(x.labels, x.sizes, strict=True)))
        if node.attrs["keepdims"]
        else Port(tuple(kept), tuple(x.sizes[label] for label in kept))
    )

    def attrs(layout: Layout) -> Attributes:
        first, *others = (layout.place(axis, x) for axis in axes)
        return {**node.attrs, "axis": (first, *others) if others else first}

    allows = _same_way(x, axes, exact=exact)
    return Axes((x,), out, attrs, frozenset(axes), allows=allows, run=_row(x, axes)) if out.labels else None


def _row_norm(graph: Graph, node: Node, _: bool) -> Axes | None:
    """Rows are the last dimensions, and stay so."""
    x = _all(_shape(graph, node.inputs[0]))
    axis = axis_of(node.op, len(x.sizes), node.attrs["axis"])
    row = x.labels[axis:]

    def attrs(layout: Layout) -> Attributes:
        return {**node.attrs, "axis": layout.place(axis, x)}

    return Axes(
        (x, *(None for _ in node.inputs[1:])),
        x,
        attrs,
        frozenset(row),
        allows=lambda layout: tuple(label for label, _ in layout.pieces[-len(row) :]) == row,
    )


def _concat(graph: Graph, node: Node, _: bool) -> Axes | None:
    inputs = tuple(_all(_shape(graph, name)) if name else None for name in node.inputs)
    out = _all(_shape(graph, node.outputs[0]))
    axis = axis_of(node.op, len(out.sizes), node.attrs["axis"])
    shortest = min(port.sizes[axis] for port in inputs if port is not None)

    def run(layout: Layout) -> int:
        return shortest * _behind(layout, out, (axis,))

    return Axes(inputs, out, lambda layout: {**node.attrs, "axis": layout.place(axis, out)}, frozenset({axis}), run=run)


def _box(*names: str, neutral: Sequence[int | None]) -> Rule:
    """A layer with arguments of one number for each dimension; `neutral` is what they are for one that stays as it is (None: its size)."""

    def rule(graph: Graph, node: Node, _: bool) -> Axes | None:
        x, out = (_all(_shape(graph, name)) for name in (node.inputs[0], node.outputs[0]))
        given = {name: cast("tuple[int, ...]", node.attrs[name]) for name in names}
        changed = frozenset(
            label
            for label, size in enumerate(x.sizes)
            if any(each[label] != (size if plain is None else plain) for each, plain in zip(given.values(), neutral, strict=True))
        )

        def attrs(layout: Layout) -> Attributes:
            def numbers(values: Sequence[int], plain: int | None) -> tuple[int, ...]:
                return tuple(
                    values[label]
                    if not layout.parts[label]
                    else plain
                    if plain is not None
                    else prod(layout.parts[label][p] for _, p in block)
                    for block in layout.blocks
                    for label in (block[0][0],)
                )

            return {**node.attrs, **{name: numbers(values, plain) for (name, values), plain in zip(given.items(), neutral, strict=True)}}

        def run(layout: Layout) -> int:
            """The last dimension that is changed, with all behind it."""
            if not changed:
                return 0
            last = [label for label, _ in layout.pieces if label in changed][-1]
            return min(x.sizes[last], out.sizes[last]) * _behind(layout, x, changed)

        return Axes((x,), out, attrs, changed, run=run)

    return rule


def _pad(graph: Graph, node: Node, exact: bool) -> Axes | None:
    """Where no element goes to another lane, padding is done in local memory, whatever lies behind each other."""
    found = _box("before", "after", neutral=(0, 0))(graph, node, exact)
    assert found is not None  # noqa: S101

    def run(layout: Layout) -> int:
        before = cast("tuple[int, ...]", found.attrs(layout)["before"])
        return 0 if len(before) <= 4 and (0, 0, 0, *before)[-3] % LANES == 0 else found.run(layout)

    return replace(found, run=run)


def _matmul(graph: Graph, node: Node, _: bool) -> Axes | None:
    """Leading dimensions in any order. Where b is one matrix, the rows of a are leading dimensions, too.

    The labels are those of the leading dimensions, then the rows, the depth and the columns. (That a or b is transposed is a part of the
    move before it.) Where both are one matrix and b is known, the columns may become several products, as of the heads of an attention.
    """
    a, b, out = (_shape(graph, name) for name in (node.inputs[0], node.inputs[1], node.outputs[0]))
    if len(out) < max(len(a), len(b)):
        return None
    leading = len(out) - 2
    row, depth, column = leading, leading + 1, leading + 2
    sizes = {"a": _turned(a, node.attrs["transpose_a"]), "b": _turned(b, node.attrs["transpose_b"])}

    def port(which: str, *last: int) -> Port:
        shape = sizes[which]
        return Port((*range(leading), *last), (1,) * (len(out) - len(shape)) + shape)

    one_matrix = prod(b[:-2]) == 1
    heads = one_matrix and max(out[:-1]) == prod(out[:-1]) > FEW_ROWS and node.inputs[1] in graph.constants
    left, right = port("a", row, depth), port("b", depth, column) if heads or not one_matrix else None
    result = Port((*range(leading), row, column), out)
    ports: list[Port | None] = [left, right]
    if len(node.inputs) > 2:
        bias = _repeated(graph.spec(node.inputs[2]), len(out))
        ports.append(bias and Port(result.labels, bias.sizes))
    rows = max(range(leading + 1), key=lambda label: out[label])

    def parted(layout: Layout) -> list[list[Piece]] | None:
        """The dimensions of more than one element, where the columns are several products."""
        columns = [piece for piece in layout.pieces if piece[0] == column]
        return (
            _without_ones(layout, result) if len(columns) > 1 or layout.pieces.index(columns[0]) < layout.pieces.index((row, 0)) else None
        )

    def allows(layout: Layout) -> bool:
        blocks = parted(layout)
        if blocks is not None and len(blocks) < 2:
            return False
        if blocks is not None:
            *outer, inner, last = blocks
            whole_blocks = all(block[0][0] == column for block in outer) and inner == [(rows, 0)] and last[0][0] == column
            inside = layout.pieces.index((rows, 0)) < layout.pieces.index((depth, 0)) < layout.pieces.index(last[0])
            return heads and whole_blocks and inside and prod(layout.parts[column][part] for _, part in last) % HEAD_COLUMNS == 0
        orders = [layout.labels(labels) for labels in ((*result.labels[:-1], depth), (*range(leading), depth, column), result.labels)]
        if one_matrix:
            return orders[0][-1] == depth and orders[2][-1] == column
        return [order[-2:] for order in orders] == [[row, depth], [depth, column], [row, column]]

    def seen(layout: Layout, which: Port) -> tuple[int, ...] | None:
        """Of several products, the dimensions that are more than one element; a is one matrix for all."""
        blocks = parted(layout)
        if blocks is None:
            return None
        sizes = sizes_of(layout, which)
        found = [prod(sizes.get(piece, 1) for piece in block) for block in blocks]
        if which is left:
            return which.sizes if rows == row else (which.sizes[rows], which.sizes[-1])
        if which is right:
            found[-2] = which.sizes[-2]
        return (*(1,) * leading, *found)

    return Axes(
        tuple(ports),
        result,
        lambda _: {**node.attrs, "transpose_a": False, "transpose_b": False},
        frozenset({depth} if heads else {depth, column} if one_matrix else {row, depth, column}),
        allows=allows,
        seen=seen,
        run=lambda layout: prod(layout.parts[column][part] for _, part in blocks[-1]) if (blocks := parted(layout)) else 0,
        read=(1,),
    )


def _without_ones(layout: Layout, port: Port) -> list[list[Piece]]:
    """The dimensions of a tensor with a layout, without those of one element."""
    sizes = sizes_of(layout, port)
    pieces = [piece for piece in layout.pieces if sizes.get(piece, 1) > 1]
    return Layout(tuple(pieces), layout.parts).blocks


def _turned(shape: Shape, transposed: object) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if transposed else shape


def _conv(graph: Graph, node: Node, _: bool) -> Axes | None:
    """Output channels in any order, where weights are known; those of a depthwise convolution are its input channels."""
    x, weight, out = (_shape(graph, name) for name in (node.inputs[0], node.inputs[1], node.outputs[0]))
    groups = node.attrs["groups"]
    depthwise = groups == x[1] == out[1]
    kernels, *given = node.inputs[1:]
    bias = given[0] if given else ""
    if not (groups == 1 or depthwise) or any(name and name not in graph.constants for name in (kernels, bias)):
        return None
    image, channels, depth, rows, columns, kernel_rows, kernel_columns = range(7)
    source = Port((image, channels if depthwise else depth, rows, columns), x)
    result = Port((image, channels, rows, columns), out)
    weights = Port((channels, depth, kernel_rows, kernel_columns), weight)
    biases = Port((channels,), (out[1],)) if bias else None

    def allows(layout: Layout) -> bool:
        return all(list(dict.fromkeys(layout.labels(port.labels))) == list(port.labels) for port in (source, weights, result))

    return Axes(
        (source, weights, *((biases,) if given else ())),
        result,
        lambda _: node.attrs,
        frozenset(range(7)) - {channels},
        frozenset({channels}),
        allows,
    )


RULES: Final[Mapping[str, Rule]] = {
    "bm::arg": _reduce,
    "bm::concat": _concat,
    "bm::conv": _conv,
    "bm::dequant_int_channels": _numbers_along,
    "bm::layer_norm": _row_norm,
    "bm::lut": _lut,
    "bm::matmul": _matmul,
    "bm::pad": _pad,
    "bm::reduce_max": _reduce,
    "bm::reduce_mean": _reduce,
    "bm::reduce_min": _reduce,
    "bm::reduce_sum": _reduce,
    "bm::requant_int_channels": _numbers_along,
    "bm::rms_norm": _row_norm,
    "bm::slice": _box("start", "size", neutral=(0, None)),
    "bm::softmax": _softmax,
    "bm::tile": _box("repeats", neutral=(1,)),
}
