"""How the tensor unit convolves 8-bit integers: the forms of `bm::conv_int` in local memory.

Known weights are packed with what the sums begin with, so that zero points cost nothing; weights that come when the model runs are taken
as they are, and other layers add what their zero points give (`conv_decompose`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Feed, LocalForm, Packed, Piece, lines
from bmlang.layers.conv_forms import is_depthwise
from bmlang.layers.integers import Wide, centred_weights, wrapped
from bmlang.layers.memory import seen_as
from bmlang.layers.region import Region, four
from bmlang.layers.windows import Windows
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import Dtype, dtype_of, i8, i32
from tpukernel.lang.tensors import Tile
from tpukernel.lang.weights import packed_weights

__all__ = ["integer_form", "takes_given"]


def integer_form(call: Call) -> LocalForm | None:
    """The local form of a convolution of integers; None where it has to be decomposed."""
    x, weight = call.spec(0), call.spec(1)
    windows = Windows.of("conv_int", x.shape[2:], weight.shape[2:], call.attrs)
    known = call.constants[1] is not None
    by_channel = is_depthwise(x.shape, weight.shape, cast("int", call.attrs["groups"]))
    if not windows.is_legal or (call.inputs[2] is not None and (not known or call.constants[2] is None)):
        return None
    if known:
        return (_Depthwise if by_channel else _Dense)(call, windows).form()
    return _given_form(call, windows) if takes_given(by_channel, call.attrs) else None


def takes_given(by_channel: bool, attrs: Mapping[str, Attribute]) -> bool:
    """Whether a command takes weights that are not known when the model is compiled, with these zero points and groups."""
    if attrs["input_zero_point"]:
        return False
    return attrs["weight_zero_point"] == 0 if by_channel else isinstance(attrs["weight_zero_point"], int) and attrs["groups"] == 1


@dataclass(frozen=True)
class _Form:
    """What both kinds share: known weights, and sums to which the bias and the input's zero point are added beforehand."""

    call: Call
    windows: Windows

    @cached_property
    def chip(self) -> Chip:
        return self.call.chip

    @cached_property
    def centred(self) -> Wide:
        """Weights (oc, ic of a group, kh, kw) without their zero points."""
        points = np.asarray(self.call.attrs["weight_zero_point"], np.int64).reshape(-1, 1, 1, 1)
        return cast("Array", self.call.constants[1]).astype(np.int64) - points

    @cached_property
    def input_zero_point(self) -> int:
        return cast("int", self.call.attrs["input_zero_point"])

    @cached_property
    def start(self) -> NDArray[np.int32]:
        """What the sums of each output channel begin with: the tensor unit convolves x itself, padded with its zero point."""
        sums = -self.input_zero_point * self.centred.sum((1, 2, 3))
        bias = self.call.constants[2]
        return wrapped(sums if bias is None else sums + bias.reshape(-1).astype(np.int64))

    def aligned(self, size: int) -> int:
        return -(-size // self.chip.eu_bytes) * self.chip.eu_bytes


class _Dense(_Form):
    """Each output channel sees all input channels of its group; the weights of others in the same lanes are 0."""

    @cached_property
    def packed_weight(self) -> Array:
        """Weights that the tensor unit takes: without zero points, where 8 bits hold them."""
        centred = centred_weights(self.centred)
        return cast("Array", self.call.constants[1]) if centred is None else centred

    @cached_property
    def zero_points(self) -> Array | None:
        """What the tensor unit subtracts from the weights of each output channel; None where nothing is left to do."""
        if self.packed_weight is not self.call.constants[1]:
            return None
        points = np.asarray(self.call.attrs["weight_zero_point"]).reshape(-1)
        return np.broadcast_to(points, (self.centred.shape[0],)).astype(self.packed_weight.dtype) if points.any() else None

    def sources(self, channels: Region) -> tuple[int, int]:
        """First input channel that a box of output channels needs, in lane 0, and how many."""
        oc, ic, _, _ = self.centred.shape
        each = oc // cast("int", self.call.attrs["groups"])
        first = channels.start[1] // each * ic // self.chip.lanes * self.chip.lanes
        return first, ((channels.end[1] - 1) // each + 1) * ic - first

    def dense(self, region: Region) -> Array:
        """Weights of a box of output channels for the input channels of `sources`."""
        oc, ic, kh, kw = self.centred.shape
        first, count = self.sources(region)
        each = oc // cast("int", self.call.attrs["groups"])
        none = np.zeros(oc, self.packed_weight.dtype) if self.zero_points is None else self.zero_points
        found = np.empty((region.size[1], count, kh, kw), self.packed_weight.dtype)
        for row, channel in enumerate(range(region.start[1], region.end[1])):
            begin = channel // each * ic - first
            found[row] = none[channel]
            found[row, begin : begin + ic] = self.packed_weight[channel]
        return found

    def form(self) -> LocalForm:
        n, oc, oh, ow = self.call.outputs[0].shape
        lanes = self.chip.lanes
        by_channel = self.zero_points is not None and len(set(self.zero_points.tolist())) > 1
        points = (Packed(self.pack_pads, "c"),) if by_channel else ()
        return LocalForm(
            out=(n, oc, oh, ow),
            feeds={0: Feed(four(self.call.spec(0).shape), lambda region: self.windows.region(region, self.sources(region)))},
            tile=self.tile,
            cut=self.windows.cut(lanes),
            packed=(Packed(self.pack), *points),
            at_once=(1 if oc > lanes or self.call.attrs["groups"] != 1 else 0, lanes, 0, 0),
            cycles=self.cycles,
        )

    def cycles(self, region: Region) -> int:
        n, c, h, w = region.size
        depth = -(-self.sources(region)[1] // 64)
        each = n * -(-c // self.chip.lanes) * -(-h * w // 4) * depth * prod(self.windows.kernel)
        return each + (lines(region, i32, self.chip) if self.start.any() else 0)

    def places(self, region: Region) -> tuple[int, int]:
        """Where the first sums and the zero points lie behind the weights of a channel."""
        pack = self.chip.weight_pack[i8]
        sums = self.aligned(-(-self.sources(region)[1] // pack) * pack * prod(self.windows.kernel))
        return sums, sums + self.chip.eu_bytes

    def pack(self, region: Region) -> Array:
        """A row for each output channel: weights, what its sums begin with, its zero point."""
        span = slice(region.start[1], region.end[1])
        rows = packed_weights(self.dense(region), self.chip).view(np.uint8)
        sums, point = self.places(region)
        data = np.zeros((region.size[1], point + 4 if self.zero_points is not None else sums + 4 if self.start.any() else sums), np.uint8)
        data[:, : rows.shape[1]] = rows
        if self.start.any():
            data[:, sums : sums + 4] = self.start[span].reshape(-1, 1).view(np.uint8)
        if self.zero_points is not None:
            data[:, point] = self.zero_points[span].view(np.uint8)
        return data.view(np.uint32).reshape(1, region.size[1], 1, -1)

    def pack_pads(self, region: Region) -> Array:
        """The value of padding for each input channel, which the tensor unit wants as a table when zero points are one."""
        lanes = min(self.sources(region)[1], self.chip.lanes)
        words = -(-self.sources(region)[1] // self.chip.lanes) * 2
        row = np.full(-(-words // 4) * 4, self.input_zero_point).astype(self.call.spec(0).dtype.numpy).view(np.uint32)
        return np.tile(row, (lanes, 1)).reshape(1, lanes, 1, -1)

    def tile(self, piece: Piece) -> None:
        k, region = piece.k, piece.region
        count, (_, depth) = region.size[1], self.sources(region)
        sums, point = self.places(region)
        dtype = dtype_of(self.packed_weight.dtype)
        weights = seen_as(k, piece.packed[0], (count, depth, *self.windows.kernel), dtype, Layout.WEIGHT)
        zero_point, pad_value = self.zero_point_operands(piece, dtype, point)
        if self.start.any():
            k.tiu.copy(piece.out, seen_as(k, piece.packed[0], (1, count, 1, 1), i32, Layout.COMPACT, sums))
        _convolve(piece, self.windows, weights, zero_point, pad_value, self.input_zero_point, accumulate=bool(self.start.any()))

    def zero_point_operands(self, piece: Piece, dtype: Dtype, place: int) -> tuple[Tile | int, Tile | int]:
        """Zero points of weights and values of padding: both tables or both numbers."""
        if len(piece.packed) == 1:
            return (0 if self.zero_points is None else int(self.zero_points[0].item())), self.input_zero_point
        points = seen_as(piece.k, piece.packed[0], (1, piece.region.size[1], 1, 1), dtype, Layout.COMPACT, place)
        shape = (1, self.sources(piece.region)[1], 1, 2)
        return points, seen_as(piece.k, piece.packed[1], shape, self.call.spec(0).dtype, Layout.COMPACT)


class _Depthwise(_Form):
    """Each channel has its own kernel. Weights that 8 bits do not hold are sums of weights that they do, convolved one after the other."""

    @cached_property
    def parts(self) -> list[Array]:
        """Weights of 8 bits (c, taps) whose sum are the weights without zero points."""
        return [part.reshape(part.shape[0], -1) for part in self._parts()]

    def _parts(self) -> Iterator[Array]:
        left = self.centred
        while (fitting := centred_weights(left)) is None:
            part = np.clip(left, *i8.limits)
            yield part.astype(np.int8)
            left = left - part
        yield fitting

    @property
    def step(self) -> int:
        """Bytes of a lane for the weights of one part."""
        return self.aligned(prod(self.windows.kernel))

    def form(self) -> LocalForm:
        n, c, oh, ow = self.call.outputs[0].shape
        lanes = self.chip.lanes
        return LocalForm(
            out=(n, c, oh, ow),
            feeds={0: Feed(four(self.call.spec(0).shape), lambda region: self.windows.region(region, (region.start[1], region.size[1])))},
            tile=self.tile,
            cut=self.windows.cut(lanes),
            packed=(Packed(self.pack),),
            at_once=(1 if c > lanes else 0, lanes, 0, 0),
            scratch=lambda region: self.scratch(region) if len(self.parts) > 1 else 0,
            cycles=self.cycles,
        )

    def scratch(self, region: Region) -> int:
        n, c, h, w = region.size
        return n * -(-c // self.chip.lanes) * self.aligned(h * w * 4)

    def cycles(self, region: Region) -> int:
        count = lines(region, i32, self.chip)
        factor = 3 if min(self.windows.stride) > 1 else 1
        return count * prod(self.windows.kernel) * factor * len(self.parts) + count * (len(self.parts) - 1)

    def pack(self, region: Region) -> Array:
        """A row for each channel: the weights of each part, then what the sums begin with, then 0."""
        span = slice(region.start[1], region.end[1])
        sums = len(self.parts) * self.step
        data = np.zeros((region.size[1], sums + self.chip.eu_bytes + 4), np.uint8)
        for number, part in enumerate(self.parts):
            data[:, number * self.step : number * self.step + part.shape[1]] = part[span].view(np.uint8)
        data[:, sums : sums + 4] = self.start[span].reshape(-1, 1).view(np.uint8)
        return data.view(np.uint32).reshape(1, region.size[1], 1, -1)

    def tile(self, piece: Piece) -> None:
        k, region = piece.k, piece.region
        count, sums = region.size[1], len(self.parts) * self.step
        for number, part in enumerate(self.parts):
            out = k.local(region.size, i32, name="part") if number else piece.out
            bias = sums + (self.chip.eu_bytes if number else 0)
            kernels = seen_as(
                k, piece.packed[0], (1, count, *self.windows.kernel), dtype_of(part.dtype), Layout.COMPACT, number * self.step
            )
            added = seen_as(k, piece.packed[0], (1, count, 1, 1), i32, Layout.COMPACT, bias)
            _convolve_channels(piece, self.windows, out, kernels, added, self.input_zero_point)
            if number:
                k.tiu.add(piece.out, piece.out, out, saturate=False)


def _given_form(call: Call, windows: Windows) -> LocalForm:
    """Weights that come when the model runs; zero points of x have been dealt with by other layers."""
    x, weight = call.spec(0), call.spec(1)
    (oc, ic, kh, kw), lanes = weight.shape, call.chip.lanes
    by_channel = is_depthwise(x.shape, weight.shape, cast("int", call.attrs["groups"]))
    zero_point = cast("int", call.attrs["weight_zero_point"])
    unsigned = not (x.dtype.is_signed or weight.dtype.is_signed)  # sums of depthwise convolutions are then signed for a bias only

    def needed(region: Region) -> Region:
        return windows.region(region, (region.start[1], region.size[1]) if by_channel else (0, ic))

    def kernels(region: Region) -> Region:
        if by_channel:
            return region.along(0, 0, 1).along(2, 0, kh).along(3, 0, kw)
        return Region((region.start[1], 0, 0, 0), (region.size[1], ic, kh, kw))

    def tile(piece: Piece) -> None:
        if by_channel:
            none = piece.k.local((1, piece.region.size[1], 1, 1), i32, layout=Layout.COMPACT, name="no bias") if unsigned else None
            if none is not None:
                piece.k.tiu.fill(none, 0)
            _convolve_channels(piece, windows, piece.out, piece.ins[1], none, 0)
        else:
            _convolve(piece, windows, piece.ins[1], zero_point, 0, 0, accumulate=False)

    def cycles(region: Region) -> int:
        n, c, h, w = region.size
        return n * -(-c // lanes) * -(-h * w // 4) * -(-ic // 64) * kh * kw

    shape = (1, oc, kh, kw) if by_channel else (oc, ic, kh, kw)
    return LocalForm(
        out=four(call.outputs[0].shape),
        feeds={0: Feed(four(x.shape), needed), 1: Feed(shape, kernels, Layout.COMPACT if by_channel else Layout.WEIGHT)},
        tile=tile,
        cut=windows.cut(lanes),
        at_once=(1, 0, 0, 0) if by_channel and oc > lanes else (0, 0, 0, 0),
        scratch=lambda region: -(-region.size[1] // lanes) * call.chip.eu_bytes if by_channel and unsigned else 0,
        cycles=cycles,
    )


def _convolve(
    piece: Piece, windows: Windows, weights: Tile, zero_point: Tile | int, pad_value: Tile | int, between: int, *, accumulate: bool
) -> None:
    """One command over all channels; `between` is what stands between the rows and columns of x."""
    padding, dilation, operands = windows.padding(piece.region), windows.dilation, (piece.out, piece.ins[0], weights)
    if max(windows.insert):
        piece.k.tiu.deconv2d_asym(
            *operands,
            insert=windows.insert,
            zero_point=zero_point,
            pad_value=pad_value,
            insert_value=between,
            padding=padding,
            dilation=dilation,
            accumulate=accumulate,
        )
        return
    piece.k.tiu.conv2d_asym(
        *operands,
        zero_point=zero_point,
        pad_value=pad_value,
        stride=windows.stride,
        padding=padding,
        dilation=dilation,
        accumulate=accumulate,
    )


def _convolve_channels(piece: Piece, windows: Windows, out: Tile, weights: Tile, bias: Tile | None, pad_value: int) -> None:
    """One command in which each channel has its own kernel; between rows and columns of x are zeros."""
    padding, dilation, operands = windows.padding(piece.region), windows.dilation, (out, piece.ins[0], weights, bias)
    if max(windows.insert):
        piece.k.tiu.depthwise_deconv2d_int(*operands, insert=windows.insert, pad_value=pad_value, padding=padding, dilation=dilation)
    else:
        piece.k.tiu.depthwise2d_int(*operands, stride=windows.stride, pad_value=pad_value, padding=padding, dilation=dilation)
