"""Sums of products to integers of few bits with integers only: multiplied, shifted, rounded, and moved by a zero point."""

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

__all__ = ["RequantInt", "RequantIntChannels", "requant_int"]

SHIFTS = (-63, 30)
"""Shifts of 64-bit products that numpy computes exactly; the chip has -128 to 127."""


class _Shifted(Layer):
    """round(x * multiplier * 2 ** shift) + zero_point, limited to the type."""

    inputs = ("x",)
    defaults: Mapping[str, object] = {
        "multiplier": ...,
        "shift": ...,
        "zero_point": 0,
        "dtype": ...,
        "rounding": "half_away_from_zero",
    }
    dtypes: tuple[Dtype, ...] = ()

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        if x.dtype not in SUMS:
            raise OperatorDtypeError(f"requant_int does not work on {x.dtype.name}", position=here(), help="it works on i32, i16, u16")
        dtype = typed_dtype("requant_int", attrs["dtype"], NARROW)
        check_rounding("requant_int", attrs["rounding"], floats=False)
        whole_numbers("multiplier of requant_int", attrs["multiplier"], *i32.limits)
        whole_numbers("shift of requant_int", attrs["shift"], *SHIFTS)
        whole_numbers("zero_point of requant_int", attrs["zero_point"], *dtype.limits)
        return TensorSpec(x.shape, dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        multiplier, shift, zero_point = (self.numbers(attrs, name, x.shape) for name in ("multiplier", "shift", "zero_point"))
        return shifted(x.astype(np.int64) * multiplier, shift, attrs["rounding"]) + zero_point

    def numbers(self, attrs: Mapping[str, Attribute], name: str, shape: Sequence[int]) -> Wide:
        """An argument, repeated to x by numpy."""
        return np.asarray(attrs[name], np.int64)


@register
class RequantInt(_Shifted):
    """round(x * multiplier * 2 ** shift) + zero_point, limited to the type; one number each."""

    name = "bm::requant_int"
    elementwise = True

    def local(self, call: Call) -> LocalForm:
        multiplier, shift, zero_point = (cast("int", call.attrs[name]) for name in ("multiplier", "shift", "zero_point"))
        rounding = rounding_of(call.attrs["rounding"])

        def compute(piece: Piece, x: Tile, out: Tile) -> None:
            piece.k.tiu.requant_int(out, x, multiplier, shift, zero_point, rounding=rounding)

        return whole_form(call, compute)


@register
class RequantIntChannels(_Shifted):
    """As `bm::requant_int`, with numbers of each element of dimension `axis`."""

    name = "bm::requant_int_channels"
    defaults: Mapping[str, object] = {**_Shifted.defaults, "axis": 1}

    def numbers(self, attrs: Mapping[str, Attribute], name: str, shape: Sequence[int]) -> Wide:
        return along(name, np.asarray(attrs[name], np.int64), shape, cast("int", attrs["axis"])).astype(np.int64)

    def local(self, call: Call) -> LocalForm:
        shape = call.spec(0).shape
        axis = axis_of("requant_int", len(shape), call.attrs["axis"])
        view = _with_channels(shape, axis)
        rounding = rounding_of(call.attrs["rounding"])

        def table(region: Region) -> Array:
            columns = [np.broadcast_to(np.asarray(call.attrs[name], np.int64), view[1]) for name in ("multiplier", "shift", "zero_point")]
            return np.stack(columns, axis=-1)[region.start[1] : region.end[1]].astype(np.int32).reshape(1, -1, 1, 3)

        def tile(piece: Piece) -> None:
            with result_of(piece) as out:
                piece.k.tiu.requant_int_channels(out, whole(piece, piece.ins[0]), piece.packed[0], rounding=rounding)

        return LocalForm(
            out=view,
            feeds={0: Feed(view, lambda region: region)},
            tile=tile,
            cut=(1, call.chip.lanes, 1, 1),
            packed=(Packed(table),),
            scratch=copies(call.chip),
            cycles=lambda region: lines(region, i32, call.chip),
        )


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
    low, high = dtype_of(dtype).limits
    ranges = {"multiplier": (multiplier, i32.limits), "shift": (shift, SHIFTS), "zero_point": (zero_point, (low, high))}
    given = {name: whole_numbers(f"{name} of requant_int", value, *limits) for name, (value, limits) in ranges.items()}
    for name, value in given.items():
        along(f"{name} of requant_int", value, x.shape, axis)
    plain = {name: value.reshape(-1).tolist() for name, value in given.items()}
    attrs: dict[str, object] = {"dtype": dtype_of(dtype), "rounding": rounding}
    if all(len(value) == 1 for value in plain.values()):
        return apply("bm::requant_int", x, **{name: value[0] for name, value in plain.items()}, **attrs)
    return apply("bm::requant_int_channels", x, **plain, **attrs, axis=axis)
