"""Rotary position embeddings: pairs of numbers turned by angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Piece, lines
from bmlang.layers.errors import ShapeError
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.chips.tensors import Dim4
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["QuarterTurn", "rope"]


@register
class QuarterTurn(Layer):
    """The pairs (a, b) of the last dimension become (-b, a): neighbours, or each element of its first half with that of its second."""

    name = "bm::quarter_turn"
    defaults: Mapping[str, object] = {"interleaved": ...}
    dtypes = FLOATS

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        if x.shape[-1] % 2:
            raise ShapeError(f"pairs of x {list(x.shape)}", position=here(), help="the last dimension is even")
        return TensorSpec(x.shape, common_dtype("quarter_turn", [x], FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        half = x.shape[-1] // 2
        axis = -1 if attrs["interleaved"] else -2
        pairs = x.astype(np.float64).reshape((*x.shape[:-1], half, 2) if axis == -1 else (*x.shape[:-1], 2, half))
        first, second = np.take(pairs, 0, axis), np.take(pairs, 1, axis)
        return np.stack([-second, first], axis).reshape(x.shape)

    def local(self, call: Call) -> LocalForm:
        x, axis = call.spec(0), 3 if call.attrs["interleaved"] else 2
        half = x.shape[-1] // 2
        rows = prod(x.shape[:-1])
        shape: Dim4 = (1, rows, half, 2) if axis == 3 else (1, rows, 2, half)

        def tile(piece: Piece) -> None:
            source, k = piece.ins[0], piece.k
            k.tiu.neg(_part(piece.out, axis, 0), _part(source, axis, 1))
            k.tiu.copy(_part(piece.out, axis, 1), _part(source, axis, 0))

        return LocalForm(
            out=shape,
            feeds={0: Feed(shape, lambda region: region)},
            tile=tile,
            cut=cast("Dim4", (1, 1, 1, 0) if axis == 3 else (1, 1, 0, 1)),
            cycles=lambda region: 2 * lines(region, x.dtype, call.chip),
        )


def _part(tile: Tile, axis: int, place: int) -> Tile:
    """The first or second numbers of the pairs."""
    return tile[:, :, :, place : place + 1] if axis == 3 else tile[:, :, place : place + 1]


def rope(x: Tensor, cos: Operand, sin: Operand, interleaved: bool = True) -> Tensor:
    """The pairs (a, b) along the last dimension become (a * cos - b * sin, b * cos + a * sin), each step rounded to the type of x.

    Args:
        x: f32, f16 or bf16; an even number of elements along the last dimension.
        cos, sin: of x's type, for each element (those of a pair are equal, as a rule), repeated to x as in numpy.
        interleaved: pairs are neighbours; otherwise an element of the first half and the same one of the second half.
    """
    return apply("bm::add", apply("bm::mul", x, cos), apply("bm::mul", apply("bm::quarter_turn", x, interleaved=interleaved), sin))
