"""How the tensor unit convolves: the forms of `bm::conv` in local memory.

Output channels lie over the lanes, and the kernels of each in its lane: as one record with its bias where they are known when the model is
compiled, else as they come. Groups are computed together as far as one command has output channels, with zeros where an input channel
belongs to another group: that costs no cycle more than the same work in many commands. A group for each channel is another operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final, cast

from bmlang.graph.graph import Array
from bmlang.layers.base import Call, Feed, LocalForm, Packed, Piece
from bmlang.layers.conv_groups import from_lane_0, group_span, grouped_form
from bmlang.layers.conv_records import among_others, joined, record, weight_bytes, whole_lines
from bmlang.layers.memory import seen_as
from bmlang.layers.region import Region
from bmlang.layers.windows import Windows
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype, f32
from tpukernel.lang.tensors import Tile

__all__ = ["LANES", "has_local_form", "is_depthwise", "local_form"]

LANES = 64
"""Lanes of the chips (BM1684, BM1684X)."""
MACS: Mapping[int, tuple[int, int]] = {4: (16, 1), 2: (4, 32), 1: (4, 64)}
"""By bytes of an element: results and input channels of a cycle and lane (cost model of the official compiler)."""


MUCH_MORE: Final = 1.5
"""How many times as many products a convolution of all groups may have as one for each: that needs no slices of channels."""


def has_local_form(windows: Windows, x: Sequence[int], weight: Sequence[int], groups: int, known: bool) -> bool:
    """Whether commands can do it, for x (n, ic, h, w) and weight (oc, ic / groups, kh, kw) whose value is known or not.

    Groups whose channels do not begin in lane 0 are computed with channels before them, as long as that is little more than by themselves.
    """
    if not windows.is_legal or is_depthwise(x, weight, groups) or groups == 1:
        return windows.is_legal
    if not known:
        return False
    blocks = [(first, min(LANES, weight[0] - first)) for first in range(0, weight[0], LANES)]
    together = sum(from_lane_0(group_span(*block, weight, groups), LANES)[1] for block in blocks)
    alone = groups * weight[1] * -(-weight[0] // groups // LANES)
    return all(group_span(*block, weight, groups)[0] % LANES == 0 for block in blocks) or together <= MUCH_MORE * alone


def is_depthwise(x: Sequence[int], weight: Sequence[int], groups: int) -> bool:
    """Whether each channel has one kernel and one result."""
    return groups == x[1] == weight[0] and groups > 1


def local_form(call: Call) -> LocalForm | None:
    """The local form of a convolution; None where it has to be decomposed."""
    x, weight, groups = call.spec(0), call.spec(1), cast("int", call.attrs["groups"])
    windows = Windows.of("conv", x.shape[2:], weight.shape[2:], call.attrs)
    known = call.constants[1] is not None
    added = call.inputs[2] is None or (known and call.constants[2] is not None)
    if not added or not has_local_form(windows, x.shape, weight.shape, groups, known):
        return None
    if is_depthwise(x.shape, weight.shape, groups):
        return _depthwise(call, windows)
    if known and groups > 1 and (form := grouped_form(call, windows, groups)) is not None:
        return form
    return _dense(call, windows, groups) if known else _with_given_weights(call, windows)


def _dense(call: Call, windows: Windows, groups: int) -> LocalForm:
    """All input channels for each output channel, or those of the groups to which 64 output channels belong."""
    x, weight = call.spec(0), cast("Array", call.constants[1])
    shape, out, lanes = weight.shape, call.outputs[0].shape, call.chip.lanes
    bias = call.constants[2]

    def span(region: Region) -> tuple[int, int]:
        return from_lane_0(group_span(region.start[1], region.size[1], shape, groups), lanes)

    def bias_at(region: Region) -> int:
        return whole_lines(weight_bytes(span(region)[1], prod(shape[2:]), x.dtype), call.chip)

    def pack(region: Region) -> Array:
        first, count = span(region)
        channels = slice(region.start[1], region.end[1])
        kernels = among_others(weight[channels], region.start[1], first, count, shape[0] // groups)
        return record(kernels, None if bias is None else bias.reshape(-1)[channels], bias_at(region))

    def tile(piece: Piece) -> None:
        (packed,) = piece.packed
        kernels: Dim4 = (piece.region.size[1], span(piece.region)[1], shape[2], shape[3])
        offset = bias_at(piece.region)
        added = None if bias is None else seen_as(piece.k, packed, (1, kernels[0], 1, 1), f32, Layout.COMPACT, offset)
        _convolve(piece, windows, seen_as(piece.k, packed, kernels, x.dtype, Layout.WEIGHT), added)

    return LocalForm(
        out=_dim4(out),
        feeds={0: Feed(_dim4(x.shape), lambda region: windows.region(region, span(region)))},
        tile=tile,
        cut=windows.cut(lanes),
        packed=(Packed(pack),),
        at_once=(1 if out[1] > lanes else 0, lanes, 0, 0),
        cycles=lambda region: _cycles(region, span(region)[1], prod(shape[2:]), x.dtype, call),
    )


def _with_given_weights(call: Call, windows: Windows) -> LocalForm:
    """Weights that are not known when the model is compiled, without groups; the bias has been added by another layer."""
    x, weight = call.spec(0), call.spec(1)
    oc, ic, kh, kw = weight.shape

    def kernels(region: Region) -> Region:
        return Region((region.start[1], 0, 0, 0), (region.size[1], ic, kh, kw))

    return LocalForm(
        out=_dim4(call.outputs[0].shape),
        feeds={
            0: Feed(_dim4(x.shape), lambda region: windows.region(region, (0, ic))),
            1: Feed((oc, ic, kh, kw), kernels, Layout.WEIGHT),
        },
        tile=lambda piece: _convolve(piece, windows, piece.ins[1], None),
        cut=windows.cut(call.chip.lanes),
        cycles=lambda region: _cycles(region, ic, kh * kw, x.dtype, call),
    )


def _convolve(piece: Piece, windows: Windows, kernels: Tile, bias: Tile | None) -> None:
    padding, tiu = windows.padding(piece.region), piece.k.tiu
    if max(windows.insert):
        tiu.deconv2d(piece.out, piece.ins[0], kernels, bias, insert=windows.insert, padding=padding, dilation=windows.dilation)
    else:
        tiu.conv2d(piece.out, piece.ins[0], kernels, bias, stride=windows.stride, padding=padding, dilation=windows.dilation)


def _cycles(region: Region, ic: int, taps: int, dtype: Dtype, call: Call) -> int:
    results, channels = MACS[dtype.itemsize]
    n, oc, rows, columns = region.size
    return n * -(-oc // call.chip.lanes) * -(-rows * columns // results) * -(-ic // channels) * taps


def _depthwise(call: Call, windows: Windows) -> LocalForm:
    """One kernel for each channel; products and sums are rounded to the type."""
    x, weight, bias = call.spec(0), call.constants[1], call.constants[2]
    channels, _, kh, kw = call.spec(1).shape
    lanes, taps = call.chip.lanes, kh * kw
    bias_at = whole_lines(taps * x.dtype.itemsize, call.chip)

    def needed(region: Region) -> Region:
        return windows.region(region, (region.start[1], region.size[1]))

    def pack(region: Region) -> Array:
        assert weight is not None  # noqa: S101
        span = slice(region.start[1], region.end[1])
        kernels = weight[span].reshape(-1, taps)
        return joined(kernels, None if bias is None else bias.reshape(-1)[span].astype(weight.dtype), bias_at)

    def tile(piece: Piece) -> None:
        padding, tiu, count = windows.padding(piece.region), piece.k.tiu, piece.region.size[1]
        kernels, added = piece.ins.get(1), None
        if kernels is None:
            (packed,) = piece.packed
            kernels = seen_as(piece.k, packed, (1, count, kh, kw), x.dtype, Layout.COMPACT)
            added = None if bias is None else seen_as(piece.k, packed, (1, count, 1, 1), x.dtype, Layout.COMPACT, bias_at)
        if max(windows.insert):
            tiu.depthwise_deconv2d(
                piece.out, piece.ins[0], kernels, added, insert=windows.insert, padding=padding, dilation=windows.dilation
            )
        else:
            tiu.depthwise2d(piece.out, piece.ins[0], kernels, added, stride=windows.stride, padding=padding, dilation=windows.dilation)

    def cycles(region: Region) -> int:
        n, c, h, w = region.size
        results = call.chip.eu_bytes // x.dtype.itemsize
        rows = h * -(-w // results) if kh == 1 else -(-h * w // results)
        return n * -(-c // lanes) * rows * taps * (3 if min(windows.stride) > 1 else 1)

    feeds = {0: Feed(_dim4(x.shape), needed, whole_rows=True)}
    if weight is None:
        feeds[1] = Feed((1, channels, kh, kw), lambda region: region.along(0, 0, 1).along(2, 0, kh).along(3, 0, kw), Layout.COMPACT)
    return LocalForm(
        out=_dim4(call.outputs[0].shape),
        feeds=feeds,
        tile=tile,
        cut=windows.cut(lanes),
        packed=() if weight is None else (Packed(pack),),
        at_once=(1 if channels > lanes else 0, 0 if weight is None else lanes, 0, 0),
        cycles=cycles,
    )


def _dim4(shape: tuple[int, ...]) -> Dim4:
    n, c, h, w = shape
    return n, c, h, w
