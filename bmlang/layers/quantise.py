"""Between floats and integers in a scale: quantise, dequantise, and sums of products to integers of few bits.

Scales and zero points are numbers, or numbers of each element of one dimension. Where that dimension lies over the lanes, the command of
the tensor unit for numbers per channel takes them from a table; else they are repeated by elementwise arithmetic of the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Layer, LocalForm, Packed, Piece
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from bmlang.layers.integers import along, check_rounding, floats_rounded, rounding_of, typed_dtype, whole_numbers
from bmlang.layers.memory import copies, result_of, whole
from bmlang.layers.pointwise import broadcast_shape, pointwise
from bmlang.layers.region import Region, four
from bmlang.layers.registry import register
from bmlang.layers.tensor import Tensor, apply, here
from tpukernel.dtypes import Dtype, bf16, dtype_of, f16, f32, i8, i16, i32, u8, u16
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["Dequantise", "Quantise", "Requant", "dequantise", "quantise", "requant", "requant_fp_to_int"]

FLOATS = (f32, f16, bf16)
NARROW = (i8, u8, i16, u16)
SUMS = (i32, i16, u16)


class Scaled(Layer):
    """x with a scale and an offset for all, or for each element of a dimension.

    Attributes:
        sources: types of x.
        results: types of the result.
    """

    dtypes = (f32,)
    elementwise = True
    sources: tuple[Dtype, ...]
    results: tuple[Dtype, ...]

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        given = [spec for spec in inputs if spec is not None]
        name = self.name.removeprefix("bm::")
        if given[0].dtype not in self.sources:
            raise OperatorDtypeError(
                f"{name} does not work on {given[0].dtype.name}",
                position=here(),
                help=f"it works on {', '.join(each.name for each in self.sources)}",
            )
        if "rounding" in attrs:
            check_rounding(name, attrs["rounding"], floats=True)
        if broadcast_shape(name, given) != given[0].shape:
            told = " and ".join(str(list(spec.shape)) for spec in given)
            raise ShapeError(f"{name} of shapes {told}", position=here(), help="the scale is repeated to x, not x to the scale")
        return TensorSpec(given[0].shape, typed_dtype(name, attrs["dtype"], self.results))


@register
class Quantise(Scaled):
    """x * factor, rounded, plus zero_point; limited to the type."""

    name = "bm::quantise"
    inputs = ("x", "factor", "zero_point?")
    defaults: Mapping[str, object] = {"dtype": ..., "rounding": "half_to_even"}
    sources = FLOATS
    results = NARROW

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, factor, zero_point = inputs
        assert x is not None and factor is not None  # noqa: S101
        found = floats_rounded(x.astype(np.float32) * factor.astype(np.float32), attrs["rounding"])
        return np.clip(found, *i32.limits) + (0 if zero_point is None else zero_point.astype(np.float64))

    def local(self, call: Call) -> LocalForm:
        rounding = rounding_of(call.attrs["rounding"])

        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            x, factor, *others = operands
            k, size = piece.k, piece.region.size
            scaled = k.local(size, f32, name="scaled")
            k.tiu.mul(scaled, x, factor)
            if not others:
                k.tiu.cast(piece.out, scaled, rounding=rounding)
                return
            numbers = k.local(size, i32, name="rounded")
            k.tiu.cast(numbers, scaled, rounding=rounding)
            if piece.out.dtype.is_signed:
                k.tiu.add(piece.out, numbers, others[0])
                return
            k.tiu.add(numbers, numbers, others[0])  # arithmetic with signed numbers has signed results only
            k.tiu.cast(piece.out, numbers)

        return pointwise(call, compute, operations=4 if call.inputs[2] else 2, work_buffers=2)


@register
class Dequantise(Scaled):
    """(x - zero_point) * scale, in f32; f16 and bf16 are rounded from it."""

    name = "bm::dequantise"
    inputs = ("x", "scale", "zero_point?")
    defaults: Mapping[str, object] = {"dtype": f32}
    sources = (*NARROW, i32)
    results = FLOATS

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, scale, zero_point = inputs
        assert x is not None and scale is not None  # noqa: S101
        centred = x.astype(np.int64) - (0 if zero_point is None else zero_point.astype(np.int64))
        return np.clip(centred, *i32.limits).astype(np.float32) * scale.astype(np.float32)

    def local(self, call: Call) -> LocalForm:
        dtype, scale = call.spec(0).dtype, call.number(1)
        zero_point = 0 if call.inputs[2] is None else call.number(2)

        def at_once(piece: Piece, x: Tile, out: Tile) -> None:
            assert scale is not None and zero_point is not None  # noqa: S101
            piece.k.tiu.dequant(out, x, int(zero_point), scale)

        def from_table(piece: Piece, x: Tile, out: Tile) -> None:
            piece.k.tiu.dequant_channels(out, x, piece.packed[0])

        def in_steps(piece: Piece, operands: Sequence[Source]) -> None:
            x, factor, *others = operands
            k, size = piece.k, piece.region.size
            if others:
                centred = k.local(size, i32, name="centred")
                k.tiu.sub(centred, x, others[0])
                x = centred
            numbers = k.local(size, f32, name="numbers")
            assert isinstance(x, Tile)  # noqa: S101
            k.tiu.cast(numbers, x)
            k.tiu.mul(piece.out, numbers, factor)

        def table(region: Region) -> Array:
            first, second = _numbers(call, 2, region, np.int32), _numbers(call, 1, region, np.float32)
            return np.stack([first, second.view(np.int32)], axis=-1).reshape(1, -1, 1, 2)

        if dtype == i32:
            return pointwise(call, in_steps, operations=3 if call.inputs[2] else 2, work_buffers=2)
        return _form(call, at_once, from_table, table, in_steps, 3 if call.inputs[2] else 2)


@register
class Requant(Scaled):
    """f32(x) * scale + offset, each step in f32, rounded and limited to the type."""

    name = "bm::requant"
    inputs = ("x", "scale", "offset?")
    defaults: Mapping[str, object] = {"dtype": ..., "rounding": "half_to_even"}
    sources = SUMS
    results = NARROW

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, scale, offset = inputs
        assert x is not None and scale is not None  # noqa: S101
        found = x.astype(np.float32) * scale.astype(np.float32)
        return floats_rounded(found if offset is None else found + offset.astype(np.float32), attrs["rounding"])

    def local(self, call: Call) -> LocalForm:
        rounding, scale = rounding_of(call.attrs["rounding"]), call.number(1)
        offset = 0.0 if call.inputs[2] is None else call.number(2)

        def at_once(piece: Piece, x: Tile, out: Tile) -> None:
            assert scale is not None and offset is not None  # noqa: S101
            piece.k.tiu.requant(out, x, scale, offset, rounding=rounding)

        def from_table(piece: Piece, x: Tile, out: Tile) -> None:
            piece.k.tiu.requant_channels(out, x, piece.packed[0], rounding=rounding)

        def in_steps(piece: Piece, operands: Sequence[Source]) -> None:
            x, factor, *others = operands
            k = piece.k
            numbers = k.local(piece.region.size, f32, name="numbers")
            assert isinstance(x, Tile)  # noqa: S101
            k.tiu.cast(numbers, x)
            k.tiu.mul(numbers, numbers, factor)
            if others:
                k.tiu.add(numbers, numbers, others[0])
            k.tiu.cast(piece.out, numbers, rounding=rounding)

        def table(region: Region) -> Array:
            return np.stack([_numbers(call, index, region, np.float32) for index in (1, 2)], axis=-1).reshape(1, -1, 1, 2)

        return _form(call, at_once, from_table, table, in_steps, 4)


Whole = Callable[[Piece, Tile, Tile], None]
"""Computes the last from the tile before, both whole buffers."""


def _form(
    call: Call,
    at_once: Whole,
    from_table: Whole,
    table: Callable[[Region], Array],
    in_steps: Callable[[Piece, Sequence[Source]], None],
    steps: int,
) -> LocalForm:
    """The form for what is known about scale and offset: numbers, a table of each channel, or tensors that are repeated."""
    given = [index for index in (1, 2) if call.inputs[index] is not None]
    if all(call.number(index) is not None for index in given):
        return whole_form(call, at_once)
    if all(_by_channel(call, index) for index in given):
        return replace(whole_form(call, from_table), packed=(Packed(table),))
    return pointwise(call, in_steps, operations=steps, work_buffers=2)


def whole_form(call: Call, compute: Whole) -> LocalForm:
    """The form of a command that takes whole buffers of one shape: x, the result, and no other tensor."""

    def tile(piece: Piece) -> None:
        with result_of(piece) as out:
            compute(piece, whole(piece, piece.ins[0]), out)

    form = pointwise(replace(call, inputs=call.inputs[:1]), lambda piece, _: tile(piece))
    return replace(form, tile=tile, scratch=copies(call.chip))


def _by_channel(call: Call, index: int) -> bool:
    """Whether a known input is one number, or one for each channel of the result."""
    value = call.constants[index]
    if value is None:
        return False
    return value.size == 1 or (four(call.spec(index).shape) == (1, value.size, 1, 1) and four(call.outputs[0].shape)[1] == value.size)


def _numbers(call: Call, index: int, region: Region, kind: type[np.generic]) -> Array:
    """The numbers of an input for the channels of a box; 0 where there is no such input."""
    value = call.constants[index]
    channels = four(call.outputs[0].shape)[1]
    every = np.zeros(1) if value is None else value.reshape(-1)
    return np.broadcast_to(every, (channels,))[region.start[1] : region.end[1]].astype(kind)


def quantise(
    x: Tensor,
    scale: float | Sequence[float] | Array,
    zero_point: int | Sequence[int] | Array = 0,
    dtype: Dtype | str = i8,
    *,
    axis: int = 1,
    rounding: str = "half_to_even",
) -> Tensor:
    """Floats as integers: x / scale, rounded, plus zero_point, limited to the type. x is multiplied by the f32 nearest to 1 / scale.

    Args:
        x: the tensor.
        scale: what a step of the integers means: a number above 0, or one for each element of a dimension.
        zero_point: the integer that means 0, as scale.
        dtype: bm.i8, bm.u8, bm.i16 or bm.u16.
        axis: the dimension of several scales and zero points.
        rounding: "half_to_even", "half_away_from_zero", "towards_zero", "down" or "up".
    """
    factor = (1 / _scales("quantise", scale).astype(np.float64)).astype(np.float32)
    offset = _zero_points("quantise", zero_point, dtype)
    return apply("bm::quantise", x, *_placed("quantise", x, axis, factor, offset), dtype=dtype_of(dtype), rounding=rounding)


def dequantise(
    x: Tensor,
    scale: float | Sequence[float] | Array,
    zero_point: int | Sequence[int] | Array = 0,
    dtype: Dtype | str = f32,
    *,
    axis: int = 1,
) -> Tensor:
    """Integers as the floats that they mean: (x - zero_point) * scale, computed in f32.

    Args:
        x: i8, u8, i16, u16 or i32.
        scale: what a step of the integers means: a number above 0, or one for each element of a dimension.
        zero_point: the integer that means 0, as scale.
        dtype: bm.f32, bm.f16 or bm.bf16.
        axis: the dimension of several scales and zero points.
    """
    factor = _scales("dequantise", scale)
    offset = _zero_points("dequantise", zero_point, x.dtype if x.dtype in NARROW else i32)
    return apply("bm::dequantise", x, *_placed("dequantise", x, axis, factor, offset), dtype=dtype_of(dtype))


def requant(
    x: Tensor,
    scale: float | Sequence[float] | Array,
    offset: float | Sequence[float] | Array = 0.0,
    dtype: Dtype | str = i8,
    *,
    axis: int = 1,
    rounding: str = "half_to_even",
) -> Tensor:
    """Sums of products as integers of few bits: x * scale + offset, each step in f32, rounded and limited to the type.

    Args:
        x: i32, i16 or u16.
        scale: a number, or one for each element of a dimension.
        offset: as scale; the zero point of the result.
        dtype: bm.i8, bm.u8, bm.i16 or bm.u16.
        axis: the dimension of several scales and offsets.
        rounding: "half_to_even", "half_away_from_zero", "towards_zero", "down" or "up".
    """
    factor, added = np.asarray(scale, np.float32), np.asarray(offset, np.float32)
    given = (factor, added if added.any() else None)
    return apply("bm::requant", x, *_placed("requant", x, axis, *given), dtype=dtype_of(dtype), rounding=rounding)


def requant_fp_to_int(
    x: Tensor,
    scale: float | Sequence[float] | Array,
    offset: int | Sequence[int] | Array = 0,
    dtype: Dtype | str = i8,
    *,
    axis: int = 1,
    rounding: str = "half_to_even",
) -> Tensor:
    """Floats as integers: x * scale, in f32, rounded, plus offset, limited to the type. `quantise` is the same with 1 / scale.

    Args:
        x: f32, f16 or bf16.
        scale: a number, or one for each element of a dimension.
        offset: integers of the type of the result, as scale.
        dtype: bm.i8, bm.u8, bm.i16 or bm.u16.
        axis: the dimension of several scales and offsets.
        rounding: as of `requant`.
    """
    given = (np.asarray(scale, np.float32), _zero_points("requant_fp_to_int", offset, dtype))
    return apply("bm::quantise", x, *_placed("requant_fp_to_int", x, axis, *given), dtype=dtype_of(dtype), rounding=rounding)


def _scales(name: str, scale: object) -> Array:
    found = np.asarray(scale, np.float32)
    if found.size == 0 or not (np.isfinite(found).all() and (found > 0).all()):
        raise OperatorArgumentError(f"the scale of {name} is {scale!r}", position=here(), help="give numbers above 0")
    return found


def _zero_points(name: str, zero_point: object, dtype: Dtype | str) -> Array | None:
    """None where all are 0."""
    low, high = dtype_of(dtype).limits
    found = whole_numbers(f"zero_point of {name}", zero_point, int(low), int(high)).astype(np.int32)
    return found if found.any() else None


def _placed(name: str, x: Tensor, axis: int, *values: Array | None) -> list[Array | None]:
    return [None if value is None else along(f"an argument of {name}", value, x.shape, axis) for value in values]
