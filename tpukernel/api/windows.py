"""Operands of the functions that slide a window over a tensor: convolutions and pooling."""

from __future__ import annotations

from typing import TypedDict

from tpukernel.api.arguments import Address, Dim2, Padding, Scalar
from tpukernel.api.function import Emitted
from tpukernel.api.operands import constant, local
from tpukernel.chips import BM1684X
from tpukernel.chips.layout import start_lane
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, u16
from tpukernel.isa import Pool, PoolOp, Rounding
from tpukernel.isa.window import window_steps

__all__ = ["Window", "conv_input", "window_output", "conv_weight", "pairs", "pool", "roi_pool", "taps", "window"]


class Window(TypedDict):
    """The attributes of `Conv` and `Pool` that say where the window goes."""

    kernel: tuple[int, int]
    padding: tuple[int, int, int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    insert: tuple[int, int]


ONCE, NONE = Dim2(1, 1), Dim2(0, 0)


def window(kernel: Dim2, padding: Padding, *, stride: Dim2 = ONCE, dilation: Dim2 = ONCE, insert: Dim2 = NONE) -> Window:
    """The window of a call."""
    return {"kernel": kernel, "padding": padding, "stride": stride, "dilation": dilation, "insert": insert}


def conv_input(address: Address, shape: Dim4, dtype: Dtype, stride: Dim4 | None) -> LocalTensor:
    """The input of a convolution.

    Of strides that are given the official library leaves out those that make no difference: n when there is one n, and c when the
    channels do not go beyond the last lane.
    """
    if stride is None:
        return local(address, shape, dtype)
    n, c, h, w = stride
    wraps = start_lane(BM1684X, address.__index__()) + shape[1] > BM1684X.lanes
    return local(address, shape, dtype, (n if shape[0] > 1 else 0, c if wraps else 0, h, w))


def window_output(address: Address, channels: int, source: LocalTensor, around: Window, dtype: Dtype) -> LocalTensor:
    """The result of a window over an input: as many rows and columns as the window has places."""
    return local(address, (source.shape[0], channels, *window_steps(source.shape[2:], **around)), dtype)


def conv_weight(address: Address, output_c: int, source: LocalTensor, kernel: Dim2, dtype: Dtype) -> LocalTensor:
    """The weights of a convolution."""
    return local(address, (output_c, source.shape[1], kernel.h, kernel.w), dtype, layout=Layout.WEIGHT)


def taps(address: Address, channels: int, kernel: Dim2, dtype: Dtype) -> LocalTensor:
    """The weights of a depthwise convolution: one kernel per channel, compact."""
    return local(address, (1, channels, kernel.h, kernel.w), dtype, layout=Layout.COMPACT)


def pairs(address: Address, channels: int, dtype: Dtype) -> LocalTensor:
    """Pairs (pad value, insert value), one per channel, compact."""
    return local(address, (1, channels, 1, 2), dtype, layout=Layout.COMPACT)


def pool(
    op: PoolOp,
    output_addr: Address,
    output_dtype: Dtype,
    source: LocalTensor,
    around: Window,
    *,
    weight: LocalTensor | Constant | None = None,
    scale: Constant | None = None,
    bias: LocalTensor | None = None,
    pad_value: LocalTensor | Constant | None = None,
    kernel_rotate: bool = False,
    right_shift: int | None = None,
    rounding: Rounding | None = None,
) -> Emitted:
    """A depthwise convolution or pooling over all windows."""
    return (
        Pool(
            op=op,
            dst=window_output(output_addr, source.shape[1], source, around, output_dtype),
            input=source,
            weight=weight,
            scale=scale,
            bias=bias,
            pad_value=pad_value,
            kernel_rotate=kernel_rotate,
            right_shift=right_shift,
            rounding=rounding,
            **around,
        ),
    )


def roi_pool(
    op: PoolOp,
    output_addr: Address,
    output_dtype: Dtype,
    source: LocalTensor,
    roi_addr: Address,
    count: int,
    kernel: Dim2,
    outside: Scalar,
    *,
    weight: LocalTensor | None = None,
    scale: Constant | None = None,
) -> Emitted:
    """A depthwise convolution or pooling over one window for each of `count` regions of interest."""
    return (
        Pool(
            op=op,
            dst=local(output_addr, (*source.shape[:2], 1, count), output_dtype),
            input=source,
            weight=weight,
            scale=scale,
            roi=local(roi_addr, (1, count, 1, 4), u16, layout=Layout.COMPACT),
            outside_value=constant(outside, source.dtype),
            kernel=kernel,
        ),
    )
