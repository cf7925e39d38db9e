"""Convolutions of many small groups in f32, as sums of depthwise ones.

A convolution that fills the lanes with output channels goes through input channels of all their groups, one after the other: with groups
of 4 channels, 15 of 16 products are with zeros. A depthwise convolution multiplies each lane by a number of its own. So the first input
channel of each group, put into the lanes of the group's outputs, is convolved at once, then the second one, and so on. The tensor unit puts
them there in local memory: transposed, the channels of a group lie behind each other, and one of them is repeated by a multiplication by 1.

Sums go over the taps of a channel first, then over channels. In 16 bits 32 input channels go at once and a depthwise convolution rounds
each product, so that there is nothing to gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final, cast

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.base import Call, Feed, LocalForm, Packed, Piece
from bmlang.layers.conv_records import joined, whole_lines
from bmlang.layers.memory import seen_as
from bmlang.layers.region import Region
from bmlang.layers.windows import Windows
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import f32
from tpukernel.lang.tensors import Tile

__all__ = ["from_lane_0", "group_span", "grouped_form"]

STRIDED: Final = 3
"""A depthwise convolution whose window moves by more than one takes so many times as long (cost model)."""


def group_span(first: int, count: int, weight: Sequence[int], groups: int) -> tuple[int, int]:
    """The input channels of some output channels: first one and how many."""
    each, ic = weight[0] // groups, weight[1]
    begin, end = first // each, (first + count - 1) // each + 1
    return begin * ic, (end - begin) * ic


def from_lane_0(span: tuple[int, int], lanes: int) -> tuple[int, int]:
    """A span of channels with those before it that make it begin in lane 0."""
    first, count = span
    return first - first % lanes, first % lanes + count


def grouped_form(call: Call, windows: Windows, groups: int) -> LocalForm | None:
    """The local form with known weights; None where it is not faster than products with zeros."""
    form = _Grouped(call, windows, groups)
    return form.form() if form.is_possible and form.is_faster else None


class _Grouped:
    """A convolution with known weights (groups * outputs, inputs, kh, kw)."""

    def __init__(self, call: Call, windows: Windows, groups: int) -> None:
        self._call, self._chip, self._windows, self._groups = call, call.chip, windows, groups
        self._weight, self._bias = cast("Array", call.constants[1]), call.constants[2]
        oc, self._inputs, kh, kw = self._weight.shape
        self._outputs, self._taps = oc // groups, kh * kw
        n, _, rows, columns = call.outputs[0].shape
        self._out: Dim4 = (n, oc, rows, columns)
        self._kernel_bytes = whole_lines(self._taps * f32.itemsize, call.chip)

    @property
    def is_possible(self) -> bool:
        """Whether it is f32, and 64 output channels are those of whole groups."""
        lanes = self._chip.lanes
        return self._call.spec(0).dtype == f32 and self._outputs <= lanes and (self._out[1] <= lanes or lanes % self._outputs == 0)

    @property
    def is_faster(self) -> bool:
        """Whether it takes fewer cycles of the tensor unit than all input channels of each 64 output channels."""
        _, oc, rows, columns = self._out
        piece = Region((0, 0, 0, 0), (1, min(oc, self._chip.lanes), rows, columns))
        span = group_span(0, piece.size[1], self._weight.shape, self._groups)[1]
        return self._cycles(piece) < self._lines(rows * columns) * span * self._taps

    def form(self) -> LocalForm:
        """The local form."""
        lanes, (n, _, h, w) = self._chip.lanes, self._call.spec(0).shape
        feed: Dim4 = (n, self._groups * self._inputs, h, w)
        return LocalForm(
            out=self._out,
            feeds={0: Feed(feed, self._needed, whole_rows=True)},
            tile=self._tile,
            cut=self._windows.cut(lanes),
            packed=(Packed(self._pack),),
            at_once=(1, lanes, 0, 0),
            scratch=lambda region: sum(self._sizes(region)),
            cycles=self._cycles,
        )

    def _lines(self, elements: int) -> int:
        """Lines of a lane, each of which takes a cycle."""
        return -(-elements * f32.itemsize // self._chip.eu_bytes)

    def _needed(self, region: Region) -> Region:
        return self._windows.region(region, group_span(region.start[1], region.size[1], self._weight.shape, self._groups))

    def _pack(self, region: Region) -> Array:
        """For the lane of each output channel its kernels, each in lines of its own, then its bias."""
        channels = slice(region.start[1], region.end[1])
        kernels = np.zeros((region.size[1], self._inputs, self._kernel_bytes // f32.itemsize), np.float32)
        kernels[:, :, : self._taps] = self._weight[channels].reshape(-1, self._inputs, self._taps)
        bias = None if self._bias is None else self._bias.reshape(-1)[channels].astype(np.float32)
        return joined(kernels.reshape(region.size[1], -1), bias, self._inputs * self._kernel_bytes)

    def _sizes(self, region: Region) -> tuple[int, int, int]:
        """Bytes of a lane: the input transposed, a channel of each group repeated, and what the tensor unit makes of it."""
        one = region.along(0, 0, 1).along(1, region.start[1], min(region.size[1], self._chip.lanes))
        _, span, rows, columns = self._needed(one).size
        across = -(-columns // self._chip.lanes)
        sizes = [
            whole_lines(count * f32.itemsize, self._chip) for count in (rows * span, rows * one.size[1], rows * columns, prod(one.size[2:]))
        ]
        return across * sizes[0], across * sizes[1], sizes[2] + 2 * sizes[3]

    def _cycles(self, region: Region) -> int:
        _, span, rows, columns = self._needed(region).size
        channels, across = min(region.size[1], self._chip.lanes), -(-columns // self._chip.lanes)
        result = self._lines(prod(region.size[2:]))
        convolved = result * self._taps * (STRIDED if min(self._windows.stride) > 1 else 1)
        spread = across * self._lines(rows * channels) + rows * self._lines(columns)
        pieces = region.size[0] * -(-region.size[1] // self._chip.lanes)
        return pieces * (rows * self._lines(min(span, self._chip.lanes)) + self._inputs * (convolved + result + spread))

    def _tile(self, piece: Piece) -> None:
        k, tiu, x, (packed,) = piece.k, piece.k.tiu, piece.ins[0], piece.packed
        (_, channels, _, _), (_, span, rows, columns) = piece.region.size, piece.regions[0].size
        groups = span // self._inputs
        turned_bytes, repeated_bytes, _ = self._sizes(piece.region)
        turned_at = self._chip.lane_bytes - turned_bytes
        turned = k.local((1, columns, rows, span), f32, at=turned_at, name="turned")
        tiu.wc_transpose(turned, x)
        by_group = seen_as(k, turned, (1, columns, rows * groups, self._inputs), f32)
        repeated = k.local((1, columns, rows * groups, self._outputs), f32, at=turned_at - repeated_bytes, name="repeated")
        as_rows = seen_as(k, repeated, (1, columns, rows, channels), f32)
        image = k.local((1, channels, rows, columns), f32, name="image")
        products, total = (k.local(piece.region.size, f32, name=name) for name in ("products", "total"))
        for place in range(self._inputs):
            tiu.mul(repeated, by_group[:, :, :, place : place + 1], 1.0)
            tiu.wc_transpose(image, as_rows)
            # Sums go to and fro between two buffers: in one place they would take twice as long.
            target, before = (piece.out, total) if (self._inputs - place) % 2 else (total, piece.out)
            self._convolve(piece, products if place else target, image, packed, place)
            if place:
                tiu.add(target, before, products)

    def _convolve(self, piece: Piece, out: Tile, image: Tile, packed: Tile, place: int) -> None:
        """One input channel of each group; the first one with the bias."""
        tiu, windows, (_, channels, _, _) = piece.k.tiu, self._windows, piece.region.size
        kernel: Dim4 = (1, channels, *windows.kernel)
        kernels = seen_as(piece.k, packed, kernel, f32, Layout.COMPACT, place * self._kernel_bytes)
        bias: Tile | None = None
        if self._bias is not None and place == 0:
            bias = seen_as(piece.k, packed, (1, channels, 1, 1), f32, Layout.COMPACT, self._inputs * self._kernel_bytes)
        padding = windows.padding(piece.region)
        if max(windows.insert):
            tiu.depthwise_deconv2d(out, image, kernels, bias, insert=windows.insert, padding=padding, dilation=windows.dilation)
        else:
            tiu.depthwise2d(out, image, kernels, bias, stride=windows.stride, padding=padding, dilation=windows.dilation)
