"""Which dimensions of what a node takes and makes belong together, and the node with its dimensions in another order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import prod
from typing import TypeAlias

from bmlang.compiler.orders.moves import STAY, Move, refined
from bmlang.graph.graph import Attribute

__all__ = ["Axes", "Layout", "Piece", "Port", "layouts_of", "move_of", "natural", "shape_of", "sizes_of"]

Piece: TypeAlias = tuple[int, int]
"""A label, and which of the parts into which its dimension is cut."""


@dataclass(frozen=True)
class Port:
    """A tensor that a node takes or makes.

    Attributes:
        labels: of its dimensions, in order; equal labels of several tensors belong together. Nothing else of the tensor may be moved.
        sizes: of its dimensions; where another tensor is repeated or joined to it, a label has several sizes.
    """

    labels: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Dimensions of a node in another order.

    Attributes:
        pieces: in their new order.
        parts: by label the sizes of the parts into which dimensions are cut; nothing where one stays whole.
    """

    pieces: tuple[Piece, ...]
    parts: tuple[tuple[int, ...], ...]

    def place(self, label: int, port: Port) -> int:
        """Where a dimension that is whole stands in a tensor."""
        return [block[0][0] for block in self.blocks if block[0][0] in port.labels].index(label)

    @property
    def blocks(self) -> list[list[Piece]]:
        """The pieces that are one dimension: parts of the same one beside each other."""
        return [list(block) for _, block in groupby(self.pieces, key=lambda piece: piece[0])]

    def labels(self, among: Sequence[int]) -> list[int]:
        """These labels in their new order, once for each part."""
        return [label for label, _ in self.pieces if label in among]


Attributes: TypeAlias = Mapping[str, Attribute]


@dataclass(frozen=True)
class Axes:
    """How the dimensions of a node may be ordered.

    Attributes:
        inputs: by number of the input; None where there is none, or where it stays as it is.
        output: of the only result.
        whole: labels whose dimensions must not be cut.
        joined: labels whose parts have to stay beside each other.
        allows: whether the layer can have, and computes the same bits with, a layout.
        attrs: the arguments of the layer with a layout.
        seen: the shape of a tensor with a layout, where it is not that of its dimensions.
        run: how many elements lie behind each other in what the layer reads and writes at once, with a layout; 0 for all.
        read: numbers of the inputs that are read in such runs; None for all, and for what is written.
    """

    inputs: tuple[Port | None, ...]
    output: Port
    attrs: Callable[[Layout], Attributes]
    whole: frozenset[int] = frozenset()
    joined: frozenset[int] = frozenset()
    allows: Callable[[Layout], bool] = lambda _: True
    run: Callable[[Layout], int] = lambda _: 0
    read: tuple[int, ...] | None = None
    seen: Callable[[Layout, Port], tuple[int, ...] | None] = lambda _, __: None

    @property
    def labels(self) -> int:
        """How many there are: they are counted from 0."""
        return 1 + max((label for port in (*self.inputs, self.output) if port for label in port.labels), default=-1)


def natural(axes: Axes) -> Layout:
    """The layout in which nothing has been moved."""
    return Layout(tuple((label, 0) for label in range(axes.labels)), ((),) * axes.labels)


def layouts_of(axes: Axes, port: Port, move: Move) -> list[Layout]:
    """The layouts with which a tensor of a node is moved in a way; none where the layer cannot have it.

    Dimensions that this tensor does not have come first, or stay behind those behind which they were.
    """
    cut = _cut(port, move)
    if cut is None:
        return []
    pieces, cuts = cut
    if any(len(sizes) > 1 for label, sizes in cuts.items() if label in axes.whole):
        return []
    parts = tuple(sizes if len(sizes := cuts.get(label, ())) > 1 else () for label in range(axes.labels))
    missing = [label for label in range(axes.labels) if label not in cuts]
    long = [label for label in missing if _size(axes, label) > 1]
    found = [Layout(_inserted([*((label, 0) for label in front), *pieces], missing), parts) for front in ([long, []] if long else [[]])]
    return [layout for layout in dict.fromkeys(found) if _joined(axes, layout) and axes.allows(layout)]


def _size(axes: Axes, label: int) -> int:
    """The largest size of a dimension."""
    ports = [port for port in (*axes.inputs, axes.output) if port is not None and label in port.labels]
    return max(port.sizes[port.labels.index(label)] for port in ports)


def _inserted(pieces: list[Piece], missing: Sequence[int]) -> tuple[Piece, ...]:
    """Pieces with those of missing dimensions that are not there yet, each behind the one before it."""
    for label in missing:
        if (label, 0) not in pieces:
            pieces.insert(max((index + 1 for index, (each, _) in enumerate(pieces) if each == label - 1), default=0), (label, 0))
    return tuple(pieces)


def _cut(port: Port, move: Move) -> tuple[list[Piece], dict[int, tuple[int, ...]]] | None:
    """The pieces of dimensions of a tensor in the order that a move gives them, and their sizes by label."""
    dims = [(label, size) for label, size in zip(port.labels, port.sizes, strict=True) if size > 1]
    total = prod(size for _, size in dims)
    sizes = refined([size for _, size in dims], move.sizes or ((total,) if total > 1 else ()))
    if sizes is None:
        return None
    pieces: list[Piece] = []
    parts: dict[int, tuple[int, ...]] = {}
    waiting = iter(sizes)
    for label, size in dims:
        own: tuple[int, ...] = ()
        while prod(own) < size:
            pieces.append((label, len(own)))
            own = (*own, next(waiting))
        parts[label] = own
    blocks: list[list[Piece]] = []
    left = list(zip(pieces, sizes, strict=True))
    for whole in move.sizes or (total,):
        block: list[Piece] = []
        reached = 1
        while reached < whole:
            piece, size = left.pop(0)
            block.append(piece)
            reached *= size
        blocks.append(block)
    return [piece for axis in move.order or (0,) for piece in blocks[axis]], parts


def _joined(axes: Axes, layout: Layout) -> bool:
    """Whether the parts of dimensions that are one for the layer stand beside each other."""
    for label in axes.joined:
        places = [index for index, (each, _) in enumerate(layout.pieces) if each == label]
        if places[-1] - places[0] != len(places) - 1:
            return False
    return True


@lru_cache(16384)
def move_of(layout: Layout, port: Port) -> Move:
    """What is done to a tensor of a node with a layout."""
    sizes = sizes_of(layout, port)
    places = {piece: place for place, piece in enumerate(sizes)}
    order = [places[piece] for piece in layout.pieces if piece in places]
    return Move.of(list(sizes.values()), order) if order else STAY


def sizes_of(layout: Layout, port: Port) -> dict[Piece, int]:
    """The sizes of the pieces that a tensor has, with a layout."""
    return {
        (label, part): each
        for label, size in zip(port.labels, port.sizes, strict=True)
        for part, each in enumerate(_parts(layout, label, size))
    }


def shape_of(axes: Axes, layout: Layout, port: Port) -> tuple[int, ...]:
    """The shape of a tensor of a node with a layout."""
    seen = axes.seen(layout, port)
    if seen is not None:
        return seen
    sizes = sizes_of(layout, port)
    return tuple(prod(sizes[piece] for piece in block) for block in layout.blocks if block[0] in sizes)


def _parts(layout: Layout, label: int, size: int) -> tuple[int, ...]:
    """The sizes of the parts of a dimension of a tensor; where it is repeated, each is 1."""
    cut = layout.parts[label]
    return cut if cut and size > 1 else (1,) * len(cut) if cut else (size,)
