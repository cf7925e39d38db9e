"""Rotary position embeddings: pairs of numbers turned by angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import broadcast_to
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Piece, lines
from bmlang.layers.errors import ShapeError
from bmlang.layers.pointwise import broadcast_shape, common_dtype
from bmlang.layers.reduction import bytes_of
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.chips.tensors import Dim4
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["Rope", "rope"]


@register
class Rope(Layer):
    """The pairs (a, b) of the last dimension become (a * cos - b * sin, b * cos + a * sin).

    A pair are neighbours, or an element of the first half and that of the second one.
    """

    name = "bm::rope"
    inputs = ("x", "cos", "sin")
    defaults: Mapping[str, object] = {"interleaved": True}
    dtypes = FLOATS

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        given = [spec for spec in inputs if spec is not None]
        x = given[0]
        if x.shape[-1] % 2 or broadcast_shape("rope", given) != x.shape:
            told = ", ".join(str(list(spec.shape)) for spec in given)
            raise ShapeError(f"rope of {told}", position=here(), help="the last dimension of x is even, and cos and sin are repeated to x")
        return TensorSpec(x.shape, common_dtype("rope", given, FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, cos, sin = (each.astype(np.float64) for each in inputs if each is not None)
        axis = -1 if attrs["interleaved"] else -2
        pairs = x.reshape((*x.shape[:-1], -1, 2) if axis == -1 else (*x.shape[:-1], 2, x.shape[-1] // 2))
        first, second = np.take(pairs, 0, axis), np.take(pairs, 1, axis)
        return x * cos + np.stack([-second, first], axis).reshape(x.shape) * sin

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        x, cos, sin = inputs
        assert x is not None and cos is not None and sin is not None  # noqa: S101
        if _table(x.shape, cos.shape, sin.shape) is not None:
            return None
        # tables that are repeated between dimensions of x become those of all its rows
        return apply(self.name, x, *(broadcast_to(each, x.shape) for each in (cos, sin)), **attrs)

    def local(self, call: Call) -> LocalForm | None:
        x, axis = call.spec(0), 3 if call.attrs["interleaved"] else 2
        rows = _table(x.shape, call.spec(1).shape, call.spec(2).shape)
        if rows is None:
            return None
        half, heads = x.shape[-1] // 2, prod(x.shape[:-1]) // rows
        h, w = (half, 2) if axis == 3 else (2, half)
        spread = rows == 1 and heads > 1  # one table for all: rows of x lie over the lanes
        shape: Dim4 = (1, heads, h, w) if spread else (heads, rows, h, w)
        table: Dim4 = (1, rows, h, w)

        def tile(piece: Piece) -> None:
            k, (x, cos, sin) = piece.k, (piece.ins[place] for place in range(3))
            turned, scaled = (k.local(piece.region.size, piece.out.dtype, name=name) for name in ("turned", "scaled"))
            k.tiu.neg(_part(turned, axis, 0), _part(x, axis, 1))
            k.tiu.copy(_part(turned, axis, 1), _part(x, axis, 0))
            k.tiu.mul(scaled, x, cos)
            k.tiu.mul(turned, turned, sin)
            k.tiu.add(piece.out, scaled, turned)

        feeds = {place: Feed(table, lambda region: region.broadcast(table), spread=spread) for place in (1, 2)}
        return LocalForm(
            out=shape,
            feeds={0: Feed(shape, lambda region: region), **feeds},
            tile=tile,
            cut=cast("Dim4", (1, 1, 1, 0) if axis == 3 else (1, 1, 0, 1)),
            at_once=(0, call.chip.lanes if spread else 0, 0, 0),
            scratch=lambda region: 2 * bytes_of(region, x.dtype, call.chip),
            cycles=lambda region: 5 * lines(region, x.dtype, call.chip),
        )


def _table(x: Sequence[int], cos: Sequence[int], sin: Sequence[int]) -> int | None:
    """The rows of both tables, where these are those of the last dimensions of x; None where they are repeated in between."""
    behind = list(cos)
    while behind and behind[0] == 1:
        behind.pop(0)
    same = [size for size in sin if size != 1] == [size for size in behind if size != 1] and len(sin) >= len(behind)
    return prod(behind[:-1]) if same and behind and list(sin[-len(behind) :]) == behind == list(x[-len(behind) :]) else None


def _part(tile: Tile, axis: int, place: int) -> Tile:
    """The first or second numbers of the pairs."""
    return tile[:, :, :, place : place + 1] if axis == 3 else tile[:, :, place : place + 1]


def rope(x: Operand, cos: Operand, sin: Operand, interleaved: bool = True) -> Tensor:
    """The pairs (a, b) along the last dimension become (a * cos - b * sin, b * cos + a * sin), each step rounded to the type of x.

    Args:
        x: f32, f16 or bf16; an even number of elements along the last dimension.
        cos, sin: of x's type, for each element (those of a pair are equal, as a rule), repeated to x as in numpy.
        interleaved: pairs are neighbours; otherwise an element of the first half and the same one of the second half.
    """
    return apply("bm::rope", x, cos, sin, interleaved=interleaved)
