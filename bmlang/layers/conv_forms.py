"""How the tensor unit convolves: the forms of `bm::conv` in local memory.

Output channels lie over the lanes, and the kernels of each in its lane: as one record with its bias where they are known when the model is
compiled, else as they come. Groups are computed together as far as one command has output channels, with zeros where an input channel
belongs to another group: that costs no cycle more than the same work in many commands. A group for each channel is another operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.base import Call, Feed, LocalForm, Packed, Piece
from bmlang.layers.memory import seen_as
from bmlang.layers.region import Region
from bmlang.layers.windows import Windows
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype, f32
from tpukernel.lang.tensors import Tile

__all__ = ["LANES", "group_span", "has_local_form", "is_depthwise", "kernel_rows", "local_form", "weight_bytes"]

LANES = 64
"""Lanes of the chips (BM1684, BM1684X)."""
IC_PARALLEL: Mapping[int, int] = {4: 1, 2: 32, 1: 64}
"""Input channels that lie side by side in weights, by bytes of an element (instruction-set study)."""
MACS: Mapping[int, tuple[int, int]] = {4: (16, 1), 2: (4, 32), 1: (4, 64)}
"""By bytes of an element: results and input channels of a cycle and lane (cost model of the official compiler)."""


def has_local_form(windows: Windows, x: Sequence[int], weight: Sequence[int], groups: int, known: bool) -> bool:
    """Whether commands can do it, for x (n, ic, h, w) and weight (oc, ic / groups, kh, kw) whose value is known or not."""
    if not windows.is_legal or is_depthwise(x, weight, groups) or groups == 1:
        return windows.is_legal
    starts = range(0, weight[0], LANES)
    return known and all(group_span(first, min(LANES, weight[0] - first), weight, groups)[0] % LANES == 0 for first in starts)


def is_depthwise(x: Sequence[int], weight: Sequence[int], groups: int) -> bool:
    """Whether each channel has one kernel and one result."""
    return groups == x[1] == weight[0] and groups > 1


def group_span(first: int, count: int, weight: Sequence[int], groups: int) -> tuple[int, int]:
    """The input channels of some output channels: first one and how many."""
    each, ic = weight[0] // groups, weight[1]
    begin, end = first // each, (first + count - 1) // each + 1
    return begin * ic, (end - begin) * ic


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
    return _dense(call, windows, groups) if known else _with_given_weights(call, windows)


def _dense(call: Call, windows: Windows, groups: int) -> LocalForm:
    """All input channels for each output channel, or those of the groups to which 64 output channels belong."""
    x, weight = call.spec(0), cast("Array", call.constants[1])
    shape, out, lanes = weight.shape, call.outputs[0].shape, call.chip.lanes
    bias = call.constants[2]

    def span(region: Region) -> tuple[int, int]:
        return group_span(region.start[1], region.size[1], shape, groups)

    def bias_at(region: Region) -> int:
        return _lines(weight_bytes(span(region)[1], prod(shape[2:]), x.dtype), call)

    def pack(region: Region) -> Array:
        first, count = span(region)
        channels = slice(region.start[1], region.end[1])
        kernels = _among_others(weight[channels], region.start[1], first, count, shape[0] // groups)
        return _record(kernels, None if bias is None else bias.reshape(-1)[channels], bias_at(region))

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
    bias_at = _lines(taps * x.dtype.itemsize, call)

    def needed(region: Region) -> Region:
        return windows.region(region, (region.start[1], region.size[1]))

    def pack(region: Region) -> Array:
        assert weight is not None  # noqa: S101
        span = slice(region.start[1], region.end[1])
        kernels = weight[span].reshape(-1, taps)
        return _joined(kernels, None if bias is None else bias.reshape(-1)[span].astype(weight.dtype), bias_at)

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


# ---------------------------------------------------------------------- coefficients


def weight_bytes(ic: int, taps: int, dtype: Dtype) -> int:
    """Bytes of the weights of one output channel in its lane."""
    parallel = IC_PARALLEL[dtype.itemsize]
    return -(-ic // parallel) * parallel * taps * dtype.itemsize


def _lines(count: int, call: Call) -> int:
    """Bytes in whole lines of a lane."""
    return -(-count // call.chip.eu_bytes) * call.chip.eu_bytes


def _among_others(kernels: Array, first_output: int, first: int, count: int, outputs: int) -> Array:
    """Kernels of output channels as kernels over `count` input channels from `first` on: zeros for those of other groups.

    Args:
        kernels: (oc, ic / groups, kh, kw).
        first_output: number of the first output channel.
        first: number of the first input channel.
        count: input channels.
        outputs: output channels of a group.
    """
    oc, ic, kh, kw = kernels.shape
    if count == ic:
        return kernels
    found = np.zeros((oc, count, kh, kw), kernels.dtype)
    for place in range(oc):
        begin = (first_output + place) // outputs * ic - first
        found[place, begin : begin + ic] = kernels[place]
    return found


def kernel_rows(kernels: Array) -> Array:
    """Kernels (oc, ic, kh, kw) as words, a row (1, oc, 1, words) for the lane of each output channel."""
    return _record(kernels, None, 0)


def _record(kernels: Array, bias: Array | None, bias_at: int) -> Array:
    """A row of words for each output channel: its weights, input channels in groups, then its bias."""
    oc, ic, kh, kw = kernels.shape
    parallel = IC_PARALLEL[kernels.dtype.itemsize]
    groups = -(-ic // parallel)
    padded = np.zeros((oc, groups * parallel, kh * kw), kernels.dtype)
    padded[:, :ic] = kernels.reshape(oc, ic, kh * kw)
    rows = padded.reshape(oc, groups, parallel, kh * kw).transpose(0, 1, 3, 2).reshape(oc, -1)
    return _joined(rows, None if bias is None else bias.astype(np.float32), bias_at)


def _joined(rows: Array, bias: Array | None, bias_at: int) -> Array:
    """Rows, and behind each, from a byte on, a number: as words (1, rows, 1, words)."""
    raw = np.ascontiguousarray(rows).view(np.uint8)
    size = bias.dtype.itemsize if bias is not None else 0
    data = np.zeros((len(rows), -(-(bias_at + size if size else raw.shape[1]) // 4) * 4), np.uint8)
    data[:, : raw.shape[1]] = raw
    if bias is not None:
        data[:, bias_at : bias_at + size] = np.ascontiguousarray(bias).reshape(-1, 1).view(np.uint8)
    return data.view(np.uint32).reshape(1, len(rows), 1, -1)


def _dim4(shape: tuple[int, ...]) -> Dim4:
    n, c, h, w = shape
    return n, c, h, w
