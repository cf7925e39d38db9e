"""Coefficients of convolutions as a row of bytes for the lane of each output channel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bmlang.graph.graph import Array
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import Dtype

__all__ = ["among_others", "joined", "kernel_rows", "record", "weight_bytes", "whole_lines"]

IC_PARALLEL: Mapping[int, int] = {4: 1, 2: 32, 1: 64}
"""Input channels that lie side by side in weights, by bytes of an element (instruction-set study)."""


def weight_bytes(ic: int, taps: int, dtype: Dtype) -> int:
    """Bytes of the weights of one output channel in its lane."""
    parallel = IC_PARALLEL[dtype.itemsize]
    return -(-ic // parallel) * parallel * taps * dtype.itemsize


def whole_lines(count: int, chip: Chip) -> int:
    """Bytes in whole lines of a lane."""
    return -(-count // chip.eu_bytes) * chip.eu_bytes


def among_others(kernels: Array, first_output: int, first: int, count: int, outputs: int) -> Array:
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
    return record(kernels, None, 0)


def record(kernels: Array, bias: Array | None, bias_at: int) -> Array:
    """A row of words for each output channel: its weights, input channels in groups, then its bias."""
    oc, ic, kh, kw = kernels.shape
    parallel = IC_PARALLEL[kernels.dtype.itemsize]
    groups = -(-ic // parallel)
    padded = np.zeros((oc, groups * parallel, kh * kw), kernels.dtype)
    padded[:, :ic] = kernels.reshape(oc, ic, kh * kw)
    rows = padded.reshape(oc, groups, parallel, kh * kw).transpose(0, 1, 3, 2).reshape(oc, -1)
    return joined(rows, None if bias is None else bias.astype(np.float32), bias_at)


def joined(rows: Array, bias: Array | None, bias_at: int) -> Array:
    """Rows, and behind each, from a byte on, a number: as words (1, rows, 1, words)."""
    raw = np.ascontiguousarray(rows).view(np.uint8)
    size = bias.dtype.itemsize if bias is not None else 0
    data = np.zeros((len(rows), -(-(bias_at + size if size else raw.shape[1]) // 4) * 4), np.uint8)
    data[:, : raw.shape[1]] = raw
    if bias is not None:
        data[:, bias_at : bias_at + size] = np.ascontiguousarray(bias).reshape(-1, 1).view(np.uint8)
    return data.view(np.uint32).reshape(1, len(rows), 1, -1)
