"""Sums of products to integers of few bits, and back, with integers only: multiplied, shifted, rounded, and moved by a zero point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import axis_of
from bmlang.layers.base import Call, Feed, Layer, LocalForm, Packed, Piece, lines
from bmlang.layers.errors import OperatorDtypeError
from bmlang.layers.integers import Wide, along, check_rounding, rounding_of, shifted, typed_dtype, whole_numbers
from bmlang.layers.memory import copies, result_of, whole
from bmlang.layers.quantise import NARROW, SUMS, whole_form
from bmlang.layers.region import Region, four
from bmlang.layers.registry import register
from bmlang.layers.tensor import Tensor, apply, here
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import Dtype, dtype_of, i8, i32
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["DequantInt", "DequantIntChannels", "RequantInt", "RequantIntChannels", "dequant_int", "requant_int"]

SHIFTS = (-63, 30)
"""Shifts of 64-bit products that numpy computes exactly; the chip has -128 to 127."""


class _Shifted(Layer):
    """What all share: numbers for all elements.

    Attributes:
        sources, results: types of x and of the result.
        of_source: whether the zero point is an integer of x; else one of the result.
        columns: the order of the numbers in the tables of the tensor unit.
    """

    inputs = ("x",)
    defaults: Mapping[str, object] = {
        "multiplier": ...,
        "shift": ...,
        "zero_point": 0,
        "dtype": ...,
        "rounding": "half_away_from_zero",
    }
    dtypes: tuple[Dtype, ...] = ()
    sources: tuple[Dtype, ...]
    results: tuple[Dtype, ...]
    of_source: bool
    columns: tuple[str, str, str]

    @property
    def told(self) -> str:
        """The function that makes it."""
        return self.name.removeprefix("bm::").removesuffix("_channels")

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        if x.dtype not in self.sources:
            names = ", ".join(each.name for each in self.sources)
            raise OperatorDtypeError(f"{self.told} does not work on {x.dtype.name}", position=here(), help=f"it works on {names}")
        dtype = typed_dtype(self.told, attrs["dtype"], self.results)
        check_rounding(self.told, attrs["rounding"], floats=False)
        whole_numbers(f"multiplier of {self.told}", attrs["multiplier"], *i32.limits)
        whole_numbers(f"shift of {self.told}", attrs["shift"], *SHIFTS)
        whole_numbers(f"zero_point of {self.told}", attrs["zero_point"], *(x.dtype if self.of_source else dtype).limits)
        return TensorSpec(x.shape, dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        multiplier, shift, zero_point = (self.numbers(attrs, name, x.shape) for name in ("multiplier", "shift", "zero_point"))
        wide = x.astype(np.int64)
        if self.of_source:
            return shifted((wide - zero_point) * multiplier, shift, attrs["rounding"])
        return shifted(wide * multiplier, shift, attrs["rounding"]) + zero_point

    def numbers(self, attrs: Mapping[str, Attribute], name: str, shape: Sequence[int]) -> Wide:
        """An argument, repeated to x by numpy."""
        return np.asarray(attrs[name], np.int64)

    def local(self, call: Call) -> LocalForm:
        first, second, third = (cast("int", call.attrs[name]) for name in self.columns)
        rounding = rounding_of(call.attrs["rounding"])

        def compute(piece: Piece, x: Tile, out: Tile) -> None:
            getattr(piece.k.tiu, self.told)(out, x, first, second, third, rounding=rounding)

        return whole_form(call, compute)


class _Channels(_Shifted):
    """Numbers of each element of dimension `axis`."""

    defaults: Mapping[str, object] = {**_Shifted.defaults, "axis": 1}

    def numbers(self, attrs: Mapping[str, Attribute], name: str, shape: Sequence[int]) -> Wide:
        return along(name, np.asarray(attrs[name], np.int64), shape, cast("int", attrs["axis"])).astype(np.int64)

    def local(self, call: Call) -> LocalForm:
        shape = call.spec(0).shape
        axis = axis_of(self.told, len(shape), call.attrs["axis"])
        view = _with_channels(shape, axis)
        rounding = rounding_of(call.attrs["rounding"])

        def table(region: Region) -> Array:
            columns = [np.broadcast_to(np.asarray(call.attrs[name], np.int64), view[1]) for name in self.columns]
            return np.stack(columns, axis=-1)[region.start[1] : region.end[1]].astype(np.int32).reshape(1, -1, 1, 3)

        def tile(piece: Piece) -> None:
            with result_of(piece) as out:
                x = whole(piece, piece.ins[0])
                getattr(piece.k.tiu, f"{self.told}_channels")(out, x, piece.packed[0], rounding=rounding)

        return LocalForm(
            out=view,
            feeds={0: Feed(view, lambda region: region)},
            tile=tile,
            cut=(1, call.chip.lanes, 1, 1),
            packed=(Packed(table),),
            scratch=copies(call.chip),
            cycles=lambda region: lines(region, i32, call.chip),
        )


class _Narrowing:
    """round(x * multiplier * 2 ** shift) + zero_point, limited to the type."""

    sources, results = SUMS, NARROW
    of_source = False
    columns = ("multiplier", "shift", "zero_point")


class _Widening:
    """round((x - zero_point) * multiplier * 2 ** shift), limited to the type."""

    sources, results = NARROW, SUMS
    of_source = True
    columns = ("zero_point", "multiplier", "shift")


@register
class RequantInt(_Narrowing, _Shifted):
    """round(x * multiplier * 2 ** shift) + zero_point, limited to the type; one number each."""

    name = "bm::requant_int"
    elementwise = True


@register
class RequantIntChannels(_Narrowing, _Channels):
    """As `bm::requant_int`, with numbers of each element of dimension `axis`."""

    name = "bm::requant_int_channels"


@register
class DequantInt(_Widening, _Shifted):
    """round((x - zero_point) * multiplier * 2 ** shift), limited to the type; one number each."""

    name = "bm::dequant_int"
    elementwise = True


@register
class DequantIntChannels(_Widening, _Channels):
    """As `bm::dequant_int`, with numbers of each element of dimension `axis`."""

    name = "bm::dequant_int_channels"


def _with_channels(shape: Sequence[int], axis: int) -> Dim4:
    """A shape as (n, c, h, w) whose channels are one of its dimensions."""
    if len(shape) == 4 and axis == 1:
        return four(tuple(shape))
    inner = prod(shape[axis + 1 :])
    width = next(width for width in range(min(inner, 65535), 0, -1) if inner % width == 0)
    return prod(shape[:axis]), shape[axis], inner // width, width


def requant_int(
    x: Tensor,
    multiplier: int | Sequence[int] | Array,
    shift: int | Sequence[int] | Array,
    zero_point: int | Sequence[int] | Array = 0,
    dtype: Dtype | str = i8,
    *,
    axis: int = 1,
    rounding: str = "half_away_from_zero",
) -> Tensor:
    """Sums of products as integers of few bits, exactly: x * multiplier * 2 ** shift, rounded, plus zero_point, limited to the type.

    Args:
        x: i32, i16 or u16.
        multiplier: an integer of 32 bits, or one for each element of a dimension.
        shift: -63 to 30, as multiplier; negative to the right.
        zero_point: an integer of the type of the result, as multiplier.
        dtype: bm.i8, bm.u8, bm.i16 or bm.u16.
        axis: the dimension of several numbers.
        rounding: of the shift: "half_to_even", "half_away_from_zero", "towards_zero", "down", "up", "half_up" or "half_down".
    """
    return _applied("requant_int", x, multiplier, shift, zero_point, dtype, dtype_of(dtype), axis, rounding)


def dequant_int(
    x: Tensor,
    multiplier: int | Sequence[int] | Array,
    shift: int | Sequence[int] | Array,
    zero_point: int | Sequence[int] | Array = 0,
    dtype: Dtype | str = i32,
    *,
    axis: int = 1,
    rounding: str = "half_away_from_zero",
) -> Tensor:
    """Integers of few bits in a finer scale, exactly: (x - zero_point) * multiplier * 2 ** shift, rounded and limited to the type.

    Args:
        x: i8, u8, i16 or u16.
        multiplier: an integer of 32 bits, or one for each element of a dimension.
        shift: -63 to 30, as multiplier; negative to the right.
        zero_point: an integer of the type of x, as multiplier.
        dtype: bm.i32, bm.i16 or bm.u16.
        axis: the dimension of several numbers.
        rounding: as of `requant_int`.
    """
    return _applied("dequant_int", x, multiplier, shift, zero_point, dtype, x.dtype, axis, rounding)


Numbers = int | Sequence[int] | Array


def _applied(
    name: str,
    x: Tensor,
    multiplier: Numbers,
    shift: Numbers,
    zero_point: Numbers,
    dtype: Dtype | str,
    pointed: Dtype,
    axis: int,
    rounding: str,
) -> Tensor:
    """The layer for one number each, or for several; `pointed` is the type of which the zero point is an integer."""
    ranges = {"multiplier": (multiplier, i32.limits), "shift": (shift, SHIFTS), "zero_point": (zero_point, pointed.limits)}
    given = {each: whole_numbers(f"{each} of {name}", value, *limits) for each, (value, limits) in ranges.items()}
    for each, value in given.items():
        along(f"{each} of {name}", value, x.shape, axis)
    plain = {each: value.reshape(-1).tolist() for each, value in given.items()}
    attrs: dict[str, object] = {"dtype": dtype_of(dtype), "rounding": rounding}
    if all(len(value) == 1 for value in plain.values()):
        return apply(f"bm::{name}", x, **{each: value[0] for each, value in plain.items()}, **attrs)
    return apply(f"bm::{name}_channels", x, **plain, **attrs, axis=axis)
