"""Convolution over rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Feed, Layer, LocalForm, Packed, Piece
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.memory import seen_as
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.region import Region
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from bmlang.layers.windows import Windows
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype, f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["Conv", "conv"]

IC_PARALLEL: Mapping[int, int] = {4: 1, 2: 32, 1: 64}
"""Input channels that lie side by side in weights, by bytes of an element (instruction-set study)."""
MACS: Mapping[int, tuple[int, int]] = {4: (16, 1), 2: (4, 32), 1: (4, 64)}
"""By bytes of an element: results and input channels of a cycle and lane (cost model of the official compiler)."""


@register
class Conv(Layer):
    """x (n, ic, h, w) convolved with weight (oc, ic / groups, kh, kw), plus bias (oc)."""

    name = "bm::conv"
    inputs = ("x", "weight", "bias?")
    defaults: Mapping[str, object] = {"stride": (1, 1), "pad": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        dtype = common_dtype("conv", [x, weight], self.dtypes)
        if len(x.shape) != 4 or len(weight.shape) != 4:
            raise ShapeError(
                f"conv of x {list(x.shape)} with weight {list(weight.shape)}",
                position=here(),
                help="x is (n, ic, h, w), weight (oc, ic / groups, kh, kw)",
            )
        oc, ic, kh, kw = weight.shape
        groups = attrs["groups"]
        if not isinstance(groups, int) or groups < 1 or ic * groups != x.shape[1] or oc % groups:
            raise ShapeError(
                f"conv of x {list(x.shape)} with weight {list(weight.shape)} in {groups} groups",
                position=here(),
                help="weight is (oc, channels of x / groups, kh, kw), and groups divides oc",
            )
        if bias is not None and bias.shape not in ((oc,), (1, oc, 1, 1)):
            raise ShapeError(
                f"bias of conv has shape {list(bias.shape)}", position=here(), help=f"give one number for each of {oc} channels"
            )
        windows = Windows.of("conv", x.shape[2:], (kh, kw), attrs)
        return TensorSpec((x.shape[0], oc, *windows.out), dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        windows = Windows.of("conv", x.shape[2:], weight.shape[2:], attrs)
        groups = cast("int", attrs["groups"])
        n, _, _, _ = x.shape
        oc, ic, kh, kw = weight.shape
        top, left, bottom, right = windows.pad
        padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, windows.reach, axis=(2, 3))
        (sh, sw), (dh, dw), (oh, ow) = windows.stride, windows.dilation, windows.out
        seen = seen[:, :, ::sh, ::sw, ::dh, ::dw][:, :, :oh, :ow].reshape(n, groups, ic, oh, ow, kh, kw)
        kernels = weight.astype(np.float64).reshape(groups, oc // groups, ic, kh, kw)
        found = np.einsum("ngihwab,goiab->ngohw", seen, kernels, optimize=True).reshape(n, oc, oh, ow)
        return found if bias is None else found + bias.astype(np.float64).reshape(1, oc, 1, 1)

    def local(self, call: Call) -> LocalForm | None:
        x, weight = call.spec(0), call.spec(1)
        windows = Windows.of("conv", x.shape[2:], weight.shape[2:], call.attrs)
        if call.attrs["groups"] != 1 or not windows.is_legal or call.constants[1] is None or (call.inputs[2] and call.constants[2] is None):
            return None
        oc, ic, kh, kw = weight.shape
        taps = kh * kw
        n, _, oh, ow = call.outputs[0].shape
        lanes = call.chip.lanes
        results, channels = MACS[x.dtype.itemsize]
        bias_at = -(-_weight_bytes(ic, taps, x.dtype) // call.chip.eu_bytes) * call.chip.eu_bytes
        has_bias = call.constants[2] is not None

        def pack(region: Region) -> Array:
            span = slice(region.start[1], region.end[1])
            return _packed(
                cast("Array", call.constants[1])[span], None if call.constants[2] is None else call.constants[2].reshape(-1)[span], bias_at
            )

        def tile(piece: Piece) -> None:
            (packed,) = piece.packed
            count = piece.region.size[1]
            weights = seen_as(piece.k, packed, (count, ic, kh, kw), x.dtype, Layout.WEIGHT)
            bias = seen_as(piece.k, packed, (1, count, 1, 1), f32, Layout.COMPACT, bias_at) if has_bias else None
            piece.k.tiu.conv2d(
                piece.out,
                piece.ins[0],
                weights,
                bias,
                stride=windows.stride,
                padding=windows.padding(piece.region),
                dilation=windows.dilation,
            )

        def cycles(region: Region) -> int:
            count, depth, rows, columns = region.size
            return count * -(-depth // lanes) * -(-rows * columns // results) * -(-ic // channels) * taps

        return LocalForm(
            out=(n, oc, oh, ow),
            feeds={0: Feed(_dim4(x.shape), lambda region: windows.region(region, (0, ic)))},
            tile=tile,
            cut=(1, lanes, 1, 1),
            packed=(Packed(pack),),
            at_once=(1 if oc > lanes else 0, lanes, 0, 0),
            cycles=cycles,
        )


def _dim4(shape: tuple[int, ...]) -> Dim4:
    n, c, h, w = shape
    return n, c, h, w


def _weight_bytes(ic: int, taps: int, dtype: Dtype) -> int:
    """Bytes of the weights of one output channel."""
    parallel = IC_PARALLEL[dtype.itemsize]
    return -(-ic // parallel) * parallel * taps * dtype.itemsize


def _packed(weight: Array, bias: Array | None, bias_at: int) -> Array:
    """A row of words for each output channel: its weights, input channels in groups, then its bias."""
    oc, ic, kh, kw = weight.shape
    parallel = IC_PARALLEL[weight.dtype.itemsize]
    groups = -(-ic // parallel)
    padded = np.zeros((oc, groups * parallel, kh * kw), weight.dtype)
    padded[:, :ic] = weight.reshape(oc, ic, kh * kw)
    rows = np.ascontiguousarray(padded.reshape(oc, groups, parallel, kh * kw).transpose(0, 1, 3, 2)).reshape(oc, -1)
    data = np.zeros((oc, bias_at + (4 if bias is not None else 0)), np.uint8)
    raw = rows.view(np.uint8)
    data[:, : raw.shape[1]] = raw
    if bias is not None:
        data[:, bias_at:] = np.ascontiguousarray(bias.astype(np.float32)).reshape(oc, 1).view(np.uint8)
    return data.view(np.uint32).reshape(1, oc, 1, -1)


def conv(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """x (n, ic, h, w) convolved with weight (oc, ic / groups, kh, kw), plus bias (oc): (n, oc, oh, ow).

    Args:
        x: the tensor.
        weight: the kernels; a numpy array becomes a coefficient.
        bias: a number for each output channel.
        stride: rows and columns from one window to the next.
        pad: zeros around x: top, left, bottom, right; or one number for all.
        dilation: distance of neighbouring taps, rows and columns.
        groups: the channels are split into this many groups, each with its own kernels.
    """
    if isinstance(groups, bool) or groups < 1:
        raise OperatorArgumentError(f"conv in {groups!r} groups", position=here(), help="give 1 or more")
    return apply("bm::conv", x, weight, bias, stride=stride, pad=pad, dilation=dilation, groups=groups)
