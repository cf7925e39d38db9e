"""Normalisation: of rows (layer and rms), of groups of channels, and with known statistics (batch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, prod
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Piece, lines
from bmlang.layers.conv_forms import LANES
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.long_rows import LongRows
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.reduction import axes_of, bytes_of
from bmlang.layers.region import Region
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import f32
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["LayerNorm", "Normalize", "RmsNorm", "batch_norm", "group_norm", "layer_norm", "normalize", "rms_norm"]


Wide = NDArray[np.float64]
Reduced: TypeAlias = Callable[[Builder, Tile], Tile]
LONGEST_ROW = 5120
"""Elements of a row of a lane, of which there are ten in local memory at a time."""


class RowNorm(Layer):
    """Each row, the elements from a dimension on, by itself; then times weight and plus bias, numbers for each place in a row."""

    inputs = ("x", "weight?", "bias?")
    defaults: Mapping[str, object] = {"axis": -1, "eps": 1e-5}
    dtypes = (f32,)
    operations = 8

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, *others = inputs
        assert x is not None  # noqa: S101
        axis, row = _row(self.name, x.shape, attrs["axis"])
        for spec in others:
            if spec is not None and prod(spec.shape) != row:
                raise ShapeError(
                    f"{self.name} of x {list(x.shape)} from dimension {axis} on with numbers {list(spec.shape)}",
                    position=here(),
                    help=f"weight and bias have {list(x.shape[axis:])}",
                )
        return TensorSpec(
            x.shape, common_dtype(self.name.removeprefix("bm::"), [x, *(each for each in others if each is not None)], FLOATS)
        )

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, bias = inputs
        assert x is not None  # noqa: S101
        axis, row = _row(self.name, x.shape, attrs["axis"])
        found = self.normalised(x.astype(np.float64).reshape(*x.shape[:axis], row), cast("float", attrs["eps"]))
        if weight is not None:
            found = found * weight.astype(np.float64).reshape(row)
        if bias is not None:
            found = found + bias.astype(np.float64).reshape(row)
        return found.reshape(x.shape)

    def normalised(self, rows: Wide, eps: float) -> Wide:
        """Rows in float64 along the last dimension."""
        raise NotImplementedError

    def parts(self, x: Tensor, along: Mapping[str, object], eps: float) -> Tensor:
        """The rows, normalised by other layers."""
        raise NotImplementedError

    def emit_rows(self, k: Builder, out: Tile, x: Tile, reduced: Reduced, eps: float) -> None:
        """out = the rows of x, normalised; `reduced` gives the mean of each row of a buffer for its elements."""
        raise NotImplementedError

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        x, weight, bias = inputs
        assert x is not None  # noqa: S101
        axis, row = _row(self.name, x.shape, attrs["axis"])
        if row <= LONGEST_ROW or LongRows.of(1, row, LONGEST_ROW, LANES) is not None:
            return None
        found = self.parts(x, {"axis": tuple(range(axis, x.ndim)), "keepdims": True}, cast("float", attrs["eps"]))
        if weight is not None:
            found = found * reshape(weight, x.shape[axis:])
        return found if bias is None else found + reshape(bias, x.shape[axis:])

    def local(self, call: Call) -> LocalForm:
        x, chip = call.spec(0), call.chip
        _, row = _row(self.name, x.shape, call.attrs["axis"])
        long = LongRows.if_faster(prod(x.shape) // row, row, self.operations, 2, LONGEST_ROW, chip)
        if long is not None:
            return self._over_lanes(call, long)
        shape: Dim4 = (1, prod(x.shape) // row, 1, row)
        feeds = {0: Feed(shape, lambda region: region)}
        for index in (1, 2):
            if call.inputs[index] is not None:
                feeds[index] = Feed((1, 1, 1, row), lambda region: Region((0, 0, 0, 0), (1, 1, 1, row)), spread=shape[1] > 1)

        def reduced(k: Builder, src: Tile) -> Tile:
            mean = k.local((*cast("Dim4", src.shape)[:3], 1), f32, name="mean")
            k.tiu.reduce_sum(mean, src, "w", scale=1 / row)
            return mean

        return LocalForm(
            out=shape,
            feeds=feeds,
            tile=lambda piece: self._emit(piece, call, reduced),
            cut=(1, 1, 1, 0),
            at_once=(0, chip.lanes, 0, 0),
            scratch=lambda region: 5 * bytes_of(region, f32, chip) + 12 * chip.eu_bytes,
            cycles=lambda region: self.operations * lines(region, f32, chip) + 2 * region.size[3],
        )

    def _over_lanes(self, call: Call, rows: LongRows) -> LocalForm:
        """Each row over several lanes."""
        numbers: Dim4 = (1, *rows.full[1:])
        feeds = {0: Feed(rows.full, rows.source)}
        feeds |= {index: Feed(numbers, lambda _: Region.whole(numbers)) for index in (1, 2) if call.inputs[index] is not None}

        def reduced(k: Builder, src: Tile) -> Tile:
            return rows.spread(k, rows.reduced(k, src, "sum", 1 / (rows.lanes * rows.part)))

        return LocalForm(
            out=rows.full,
            feeds=feeds,
            tile=lambda piece: self._emit(piece, call, reduced),
            cut=(1, 0, 0, 0),
            scratch=lambda region: 5 * bytes_of(region, f32, call.chip) + rows.room(region, call.chip),
            cycles=lambda region: region.size[0] * rows.cycles(self.operations, 2, call.chip),
        )

    def _emit(self, piece: Piece, call: Call, reduced: Reduced) -> None:
        k, steps = piece.k, [index for index in (1, 2) if call.inputs[index] is not None]
        current = piece.out if not steps else k.local(piece.region.size, f32, name="normalised")
        self.emit_rows(k, current, piece.ins[0], reduced, cast("float", call.attrs["eps"]))
        for place, index in enumerate(steps):
            target = piece.out if place + 1 == len(steps) else k.local(piece.region.size, f32, name="scaled")
            (k.tiu.mul if index == 1 else k.tiu.add)(target, current, piece.ins[index])
            current = target


@register
class LayerNorm(RowNorm):
    """(x - mean) / sqrt(variance + eps) of each row."""

    name = "bm::layer_norm"

    def normalised(self, rows: Wide, eps: float) -> Wide:
        centred = rows - rows.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)

    def parts(self, x: Tensor, along: Mapping[str, object], eps: float) -> Tensor:
        centred = x - apply("bm::reduce_mean", x, **along)
        return centred * _factor(apply("bm::square", centred), along, eps)

    def emit_rows(self, k: Builder, out: Tile, x: Tile, reduced: Reduced, eps: float) -> None:
        centred = k.local(cast("Dim4", x.shape), f32, name="centred")
        k.tiu.sub(centred, x, reduced(k, x))
        _scaled(k, out, centred, reduced, eps)


@register
class RmsNorm(RowNorm):
    """x / sqrt(mean of x * x + eps) of each row."""

    name = "bm::rms_norm"

    def normalised(self, rows: Wide, eps: float) -> Wide:
        return rows / np.sqrt((rows**2).mean(-1, keepdims=True) + eps)

    def parts(self, x: Tensor, along: Mapping[str, object], eps: float) -> Tensor:
        return x * _factor(apply("bm::square", x), along, eps)

    def emit_rows(self, k: Builder, out: Tile, x: Tile, reduced: Reduced, eps: float) -> None:
        _scaled(k, out, x, reduced, eps)


def _factor(squares: Tensor, along: Mapping[str, object], eps: float) -> Tensor:
    """1 / sqrt(mean of the squares of each row + eps)."""
    return apply("bm::rsqrt", apply("bm::reduce_mean", squares, **along) + eps)


def _scaled(k: Builder, out: Tile, x: Tile, reduced: Reduced, eps: float) -> None:
    """out = x / sqrt(mean of x * x + eps) of each row."""
    square = k.local(cast("Dim4", x.shape), f32, name="square")
    k.tiu.square(square, x)
    mean = reduced(k, square)
    shifted, factor = (k.local(cast("Dim4", mean.shape), f32, name=name) for name in ("shifted", "factor"))
    k.tiu.add(shifted, mean, eps)
    k.tiu.rsqrt(factor, shifted)
    k.tiu.mul(out, x, factor)


@register
class Normalize(Layer):
    """x over its norm along neighbouring dimensions: the p-th root of the sum of the p-th powers of absolute values, at least eps."""

    name = "bm::normalize"
    defaults: Mapping[str, object] = {"p": 2.0, "axis": 1, "eps": 1e-12}
    dtypes = (f32,)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axes_of("normalize", len(x.shape), attrs["axis"])
        if not isinstance(attrs["p"], int | float) or not attrs["p"] > 0:
            raise OperatorArgumentError(f"normalize with p {attrs['p']!r}", position=here(), help="give a number above 0, or inf")
        return TensorSpec(x.shape, common_dtype("normalize", [x], FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axes, p = axes_of("normalize", x.ndim, attrs["axis"]), cast("float", attrs["p"])
        size = np.abs(x.astype(np.float64))
        norm = size.max(axes, keepdims=True) if p == inf else (size**p).sum(axes, keepdims=True) ** (1 / p)
        return x.astype(np.float64) / np.maximum(norm, cast("float", attrs["eps"]))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        p, along = cast("float", attrs["p"]), {"axis": attrs["axis"], "keepdims": True}
        if p == inf:
            norm = apply("bm::reduce_max", abs(x), **along)
        elif p == 1:
            norm = apply("bm::reduce_sum", abs(x), **along)
        elif p == 2:
            norm = apply("bm::sqrt", apply("bm::reduce_sum", apply("bm::square", x), **along))
        else:
            norm = apply("bm::pow", apply("bm::reduce_sum", apply("bm::pow", abs(x), p), **along), 1 / p)
        return x / apply("bm::max", norm, cast("float", attrs["eps"]))


def _row(name: str, shape: Sequence[int], axis: Attribute) -> tuple[int, int]:
    """The first dimension of a row, and how many elements it has."""
    if not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        raise OperatorArgumentError(f"axis {axis!r} of {name}", position=here(), help=f"give a dimension from 0 to {len(shape) - 1}")
    first = axis % len(shape)
    return first, prod(shape[first:])


def layer_norm(x: Operand, weight: Operand | None = None, bias: Operand | None = None, *, axis: int = -1, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over the dimensions from `axis` on, times weight, plus bias; computed in f32."""
    return apply("bm::layer_norm", x, weight, bias, axis=axis, eps=eps)


def rms_norm(x: Operand, weight: Operand | None = None, *, axis: int = -1, eps: float = 1e-5) -> Tensor:
    """x / sqrt(mean of x * x + eps) over the dimensions from `axis` on, times weight; computed in f32."""
    return apply("bm::rms_norm", x, weight, None, axis=axis, eps=eps)


def normalize(x: Operand, p: float = 2.0, axis: int | Sequence[int] = 1, eps: float = 1e-12) -> Tensor:
    """x over its norm along neighbouring dimensions, computed in f32.

    Args:
        x: f32, f16 or bf16.
        p: the norm: 1, 2, any other number above 0, or inf.
        axis: the dimensions.
        eps: the least that is divided by.
    """
    return apply("bm::normalize", x, p=p, axis=axis, eps=eps)


def batch_norm(
    x: Tensor, mean: Array, variance: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias with known numbers for each channel of x (n, c, ...)."""
    inverse = 1 / np.sqrt(variance.astype(np.float64) + eps)
    factor = inverse if weight is None else inverse * weight.astype(np.float64)
    shift = -mean.astype(np.float64) * factor + (0 if bias is None else bias.astype(np.float64))
    return apply("bm::add", apply("bm::mul", x, _channels(factor, x)), _channels(shift, x))


def _channels(numbers: Array, x: Tensor) -> Array:
    """A number for each channel, to be broadcast against x."""
    return numbers.astype(x.dtype.numpy).reshape(1, -1, *(1,) * (x.ndim - 2))


def group_norm(x: Tensor, groups: int, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5) -> Tensor:
    """Layer normalisation over groups of the channels of x (n, c, ...), then times weight and plus bias for each channel."""
    if x.shape[1] % groups:
        raise ShapeError(f"group_norm of x {list(x.shape)} in {groups} groups", position=here(), help="groups divide the channels")
    rows = apply("bm::layer_norm", reshape(x, (x.shape[0], groups, -1)), None, None, axis=-1, eps=eps)
    found = reshape(rows, x.shape)
    if weight is not None:
        found = apply("bm::mul", found, _channels(weight, x))
    return found if bias is None else apply("bm::add", found, _channels(bias, x))
