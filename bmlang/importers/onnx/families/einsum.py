"""Einstein sums, as products of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

from bmlang.importers.onnx.families.reductions import reduced
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.layers.arrange import broadcast_to, permute
from bmlang.layers.elementwise import mul
from bmlang.layers.matmul import matmul
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor

__all__ = ["TABLE"]

Named = tuple[Tensor, str]
"""A tensor, and a letter for each of its dimensions."""


def _einsum(node: OnnxNode) -> Result:
    equation = node.text("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(node.inputs):
        node.wrong(f"equation {equation!r} of {len(node.inputs)} tensors")
    rest = _dots(node, terms)
    terms = [term.replace("...", rest[len(rest) - (len(node.shape(place)) - len(term) + 3) :]) for place, term in enumerate(terms)]
    if any(len(term) != len(node.shape(place)) for place, term in enumerate(terms)):
        node.wrong(f"equation {equation!r} of tensors of shapes {[list(node.shape(place)) for place in range(len(terms))]}")
    letters = "".join(terms)
    wanted = right.replace("...", rest) if arrow else rest + "".join(sorted(c for c in set(letters) - set(rest) if letters.count(c) == 1))
    named = [_distinct(node.tensor(place), term) for place, term in enumerate(terms)]
    while len(named) > 1:
        later = "".join(term for _, term in named[2:]) + wanted
        named[:2] = [_product(named[0], named[1], later)]
    x, term = _summed(named[0], wanted)
    return permute(x, [term.index(letter) for letter in wanted]) if term != wanted else x


def _dots(node: OnnxNode, terms: Sequence[str]) -> str:
    """Letters for the dimensions that the longest `...` stands for."""
    many = max((len(node.shape(place)) - len(term) + 3 for place, term in enumerate(terms) if "..." in term), default=0)
    return "".join(map(chr, range(0x100, 0x100 + many)))


def _distinct(x: Tensor, term: str) -> Named:
    """A letter that stands for two dimensions of one tensor takes its diagonal."""
    if len(set(term)) < len(term):
        raise NotSupported(f"a diagonal ({term})")
    return x, term


def _summed(given: Named, kept: str) -> Named:
    """Without the dimensions that nothing needs."""
    x, term = given
    axes = [axis for axis, letter in enumerate(term) if letter not in kept]
    if not axes:
        return given
    total = reduced(x, axes, "sum")
    left = "".join(letter for letter in term if letter in kept)
    return reshape(total, [x.shape[term.index(letter)] for letter in left]), left


def _product(one: Named, other: Named, later: str) -> Named:
    """The product of two tensors, summed over what nothing behind needs."""
    (a, left), (b, right) = _summed(one, other[1] + later), _summed(other, one[1] + later)
    sizes = {letter: size for x, term in ((b, right), (a, left)) for letter, size in zip(term, x.shape, strict=True) if size > 1}
    both = [letter for letter in left if letter in right]
    batch = [letter for letter in both if letter in later]
    inner = [letter for letter in both if letter not in later]
    rows, columns = ([letter for letter in term if letter not in both] for term in (left, right))
    names = "".join([*batch, *rows, *columns])
    if not inner:
        wide = [_spread(x, term, [*batch, *rows, *columns]) for x, term in ((a, left), (b, right))]
        return mul(*wide), names

    def arranged(x: Tensor, term: str, order: Sequence[str]) -> Tensor:
        moved = permute(x, [term.index(letter) for letter in order])
        return broadcast_to(moved, [sizes.get(letter, 1) for letter in order])

    def size(letters: Sequence[str]) -> int:
        return prod(sizes.get(letter, 1) for letter in letters)

    m = reshape(arranged(a, left, [*batch, *rows, *inner]), (size(batch), size(rows), size(inner)))
    n = reshape(arranged(b, right, [*batch, *inner, *columns]), (size(batch), size(inner), size(columns)))
    return reshape(matmul(m, n), [sizes.get(letter, 1) for letter in names]), names


def _spread(x: Tensor, term: str, letters: Sequence[str]) -> Tensor:
    """With dimensions of size 1 for the letters that it does not have."""
    present = [letter for letter in letters if letter in term]
    moved = permute(x, [term.index(letter) for letter in present])
    return reshape(moved, [x.shape[term.index(letter)] if letter in term else 1 for letter in letters])


TABLE: Final[Mapping[str, Handler]] = {"Einsum": _einsum}
