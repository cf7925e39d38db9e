"""Convolutions over depth, rows and columns, and their transposes: of floats, and of 8-bit integers with zero points.

The tensor unit convolves over rows and columns. What the taps of a kernel along the depth meet becomes channels of their own, so that one
convolution adds up all products, and nothing is rounded in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import concat, pad, permute, stack
from bmlang.layers.base import FLOATS, Layer
from bmlang.layers.conv import Conv, Deconv, check_groups
from bmlang.layers.conv_int import IntegerConv, plain_points
from bmlang.layers.errors import ShapeError
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply, here
from bmlang.layers.volumes import Depth, as_images, as_volume, every, plane, six, triple
from tpukernel.lang.signature import TensorSpec

__all__ = ["Conv3d", "Conv3dInt", "Deconv3d", "Deconv3dInt", "conv3d", "conv3d_int", "deconv3d", "deconv3d_int"]

ZERO_POINTS: Mapping[str, object] = {"input_zero_point": 0, "weight_zero_point": 0}


def _rank(name: str, inputs: Sequence[TensorSpec | None], wanted: str) -> tuple[TensorSpec, TensorSpec]:
    """x and weight, which have five dimensions."""
    x, weight, _ = inputs
    assert x is not None and weight is not None  # noqa: S101
    if len(x.shape) != 5 or len(weight.shape) != 5:
        raise ShapeError(
            f"{name} of x {list(x.shape)} with weight {list(weight.shape)}", position=here(), help=f"x is (n, ic, d, h, w), weight {wanted}"
        )
    return x, weight


def _flat_bias(bias: TensorSpec | None) -> TensorSpec | None:
    """A bias (1, oc, 1, 1, 1) as (oc)."""
    return TensorSpec(bias.shape[1:2]) if bias is not None and len(bias.shape) == 5 else bias


@register
class Conv3d(Layer):
    """x (n, ic, d, h, w) convolved with weight (oc, ic / groups, kd, kh, kw), plus bias (oc)."""

    name = "bm::conv3d"
    inputs = ("x", "weight", "bias?")
    defaults: Mapping[str, object] = {"stride": (1, 1, 1), "pad": (0,) * 6, "dilation": (1, 1, 1), "groups": 1}
    plain = Conv()

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, weight = _rank("conv3d", inputs, "(oc, ic / groups, kd, kh, kw)")
        dtype = common_dtype("conv3d", [x, weight], FLOATS)
        depth = Depth.of("conv3d", x.shape[2], weight.shape[2], attrs)
        specs = (TensorSpec((*each.shape[:2], *each.shape[3:])) for each in (x, weight))
        n, oc, oh, ow = self.plain.infer([*specs, _flat_bias(inputs[2])], {**plane(attrs), "insert": 0}).shape
        return TensorSpec((n, oc, depth.out, oh, ow), dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        depth, n = Depth.of("conv3d", x.shape[2], weight.shape[2], attrs), x.shape[0]
        padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (depth.front, depth.back), (0, 0), (0, 0))).transpose(0, 2, 1, 3, 4)
        seen = [padded[:, depth.tap(tap)].reshape(-1, *padded.shape[2:]) for tap in range(depth.kernel)]
        parts = [
            self.plain.reference([images, weight[:, :, tap], None], {**plane(attrs), "insert": 0}).astype(np.float64)
            for tap, images in enumerate(seen)
        ]
        found = np.sum(parts, 0) + (0 if bias is None else bias.astype(np.float64).reshape(-1, 1, 1))
        return found.reshape(n, depth.out, *found.shape[1:]).transpose(0, 2, 1, 3, 4)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        return _convolved("bm::conv", x, weight, bias, attrs)


@register
class Deconv3d(Layer):
    """The transpose of `bm::conv3d`, with weight (ic, oc / groups, kd, kh, kw).

    od is (d - 1) * stride + (kd - 1) * dilation + 1 + output_padding - front - back, likewise oh and ow.
    """

    name = "bm::deconv3d"
    inputs = ("x", "weight", "bias?")
    defaults: Mapping[str, object] = {**Conv3d.defaults, "output_padding": (0, 0, 0)}
    plain = Deconv()

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, weight = _rank("deconv3d", inputs, "(ic, oc / groups, kd, kh, kw)")
        dtype = common_dtype("deconv3d", [x, weight], FLOATS)
        od = _transposed_depth(x.shape, weight.shape, attrs)
        if od < 1:
            raise ShapeError(
                f"deconv3d of x {list(x.shape)} with weight {list(weight.shape)} has a depth of {od}",
                position=here(),
                help="its padding cuts off everything: make it smaller",
            )
        specs = (TensorSpec((*each.shape[:2], *each.shape[3:])) for each in (x, weight))
        n, oc, oh, ow = self.plain.infer([*specs, _flat_bias(inputs[2])], plane(attrs)).shape
        return TensorSpec((n, oc, od, oh, ow), dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        (n, ic, d, h, w), kd = x.shape, weight.shape[2]
        stride, dilation = triple("stride", attrs["stride"])[0], triple("dilation", attrs["dilation"])[0]
        front, od = six("pad", attrs["pad"])[0], _transposed_depth(x.shape, weight.shape, attrs)
        images = x.transpose(0, 2, 1, 3, 4).reshape(n * d, ic, h, w)
        taps = [self.plain.reference([images, weight[:, :, tap], None], plane(attrs)).astype(np.float64) for tap in range(kd)]
        full = np.zeros((n, front + od + d * stride + kd * dilation, *taps[0].shape[1:]))
        for tap, part in enumerate(taps):
            full[:, tap * dilation : tap * dilation + d * stride : stride] += part.reshape(n, d, *part.shape[1:])
        found = full[:, front : front + od].transpose(0, 2, 1, 3, 4)
        return found if bias is None else found + bias.astype(np.float64).reshape(-1, 1, 1, 1)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        return _transposed("bm::deconv", x, weight, bias, attrs)


@register
class Conv3dInt(IntegerConv):
    """x - input_zero_point convolved with weight - weight_zero_point, plus bias; padding stands for input_zero_point."""

    name = "bm::conv3d_int"
    defaults: Mapping[str, object] = {**Conv3d.defaults, **ZERO_POINTS}
    floats = Conv3d()

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        return _convolved("bm::conv_int", x, weight, bias, attrs)


@register
class Deconv3dInt(IntegerConv):
    """The transpose of `bm::conv3d_int`, with weight (ic, oc / groups, kd, kh, kw)."""

    name = "bm::deconv3d_int"
    defaults: Mapping[str, object] = {**Deconv3d.defaults, **ZERO_POINTS}
    floats = Deconv3d()
    transposed = True

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        return _transposed("bm::deconv_int", x, weight, bias, attrs)


def _transposed_depth(x: Sequence[int], weight: Sequence[int], attrs: Mapping[str, Attribute]) -> int:
    """Depth of the result of a transposed convolution."""
    front, _, _, back, _, _ = six("pad", attrs["pad"])
    stride, dilation = triple("stride", attrs["stride"])[0], triple("dilation", attrs["dilation"])[0]
    more = triple("output_padding", attrs["output_padding"], 0)[0]
    return (x[2] - 1) * stride + (weight[2] - 1) * dilation + 1 + more - front - back


def _along_depth(images: Tensor, front: int, back: int, attrs: Mapping[str, Attribute]) -> Tensor:
    """Images (n, d, c, h, w) with more of them before and behind, which stand for 0."""
    value = cast("int", attrs.get("input_zero_point", 0))
    return pad(images, (0, front, 0, 0, 0), (0, back, 0, 0, 0), value) if front or back else images


def _as_channels(taps: Sequence[Tensor], groups: int) -> Tensor:
    """Images (n, d, c, h, w) of each tap as images (n * d, taps * c, h, w), the channels of a group next to each other."""
    n, d, c, h, w = taps[0].shape
    split = [reshape(tap, (n, d, groups, c // groups, h, w)) for tap in taps]
    return reshape(concat(split, 3) if len(split) > 1 else split[0], (n * d, len(taps) * c, h, w))


def _convolved(op: str, x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor:
    """A convolution as one over rows and columns, of which `op` is the layer."""
    (oc, ic, kd, kh, kw), depth = weight.shape, Depth.of("conv3d", x.shape[2], weight.shape[2], attrs)
    images = _along_depth(as_images(x), depth.front, depth.back, attrs)
    taps = [every(images, 1, tap * depth.dilation, depth.out, depth.stride) for tap in range(kd)]
    kernels = reshape(permute(weight, (0, 2, 1, 3, 4)), (oc, kd * ic, kh, kw))
    added = None if bias is None else reshape(bias, (oc,))
    return as_volume(apply(op, _as_channels(taps, cast("int", attrs["groups"])), kernels, added, **plane(attrs)), x.shape[0])


def _transposed(op: str, x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor:
    """A transposed convolution as several over rows and columns, of which `op` is the layer.

    Depths of the result that are a stride apart meet the same taps of the kernel.
    """
    groups, (n, ic, d, _, _), (_, oc, kd, kh, kw) = cast("int", attrs["groups"]), x.shape, weight.shape
    stride, dilation = triple("stride", attrs["stride"])[0], triple("dilation", attrs["dilation"])[0]
    front, od = six("pad", attrs["pad"])[0], _transposed_depth(x.shape, weight.shape, attrs)
    images, count = as_images(x), -(-od // stride)
    added = None if bias is None else reshape(bias, (groups * oc,))
    parts: list[Tensor] = []
    for first in range(min(stride, od)):
        starts = {tap: (first + front - tap * dilation) // stride for tap in range(kd) if (first + front - tap * dilation) % stride == 0}
        starts = starts or {0: -count}  # nothing but zeros
        before, after = max(0, -min(starts.values())), max(0, max(starts.values()) + count - d)
        padded = _along_depth(images, before, after, attrs)
        taps = [padded[:, start + before : start + before + count] for start in starts.values()]
        each = [reshape(weight[:, :, tap], (groups, ic // groups, oc, kh, kw)) for tap in starts]
        kernels = reshape(concat(each, 1) if len(each) > 1 else each[0], (len(each) * ic, oc, kh, kw))
        made = apply(op, _as_channels(taps, groups), kernels, added, **plane(attrs))
        parts.append(reshape(made, (n, count, *made.shape[1:])))
    whole = reshape(stack(parts, 2), (n, count * len(parts), *parts[0].shape[2:])) if len(parts) > 1 else parts[0]
    return permute(whole[:, :od], (0, 2, 1, 3, 4))


def conv3d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """x (n, ic, d, h, w) convolved with weight (oc, ic / groups, kd, kh, kw), plus bias (oc): (n, oc, od, oh, ow); f32, f16 and bf16.

    Args:
        x: the tensor.
        weight: the kernels.
        bias: a number for each output channel.
        stride: depth, rows and columns from one window to the next; or one number for all.
        pad: zeros around x: front, top, left, back, bottom, right; or one number for all.
        dilation: distance of neighbouring taps: depth, rows and columns; or one number for all.
        groups: as of `conv`.
    """
    check_groups("conv3d", groups)
    return apply("bm::conv3d", x, weight, bias, stride=stride, pad=pad, dilation=dilation, groups=groups)


def deconv3d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
) -> Tensor:
    """The transpose of a convolution with weight (ic, oc / groups, kd, kh, kw), plus bias (oc), of x (n, ic, d, h, w); floats.

    od is (d - 1) * stride + (kd - 1) * dilation + 1 + output_padding - front - back, likewise oh and ow.

    Args:
        x: the tensor.
        weight: the kernels.
        bias: a number for each output channel.
        stride: depth, rows and columns of the result from one element of x to the next; or one number for all.
        pad: what is cut off the full result: front, top, left, back, bottom, right; or one number for all.
        dilation: as of `conv3d`.
        output_padding: depth, rows and columns more, at the end.
        groups: as of `conv`.
    """
    check_groups("deconv3d", groups)
    more = {"stride": stride, "pad": pad, "dilation": dilation, "output_padding": output_padding, "groups": groups}
    return apply("bm::deconv3d", x, weight, bias, **more)


def conv3d_int(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    input_zero_point: int = 0,
    weight_zero_point: int | Sequence[int] | Array = 0,
) -> Tensor:
    """The exact sums, i32, of a convolution of 8-bit integers over depth, rows and columns.

    Args:
        x: (n, ic, d, h, w), i8 or u8.
        weight: (oc, ic / groups, kd, kh, kw), i8 or u8.
        bias: (oc), i32.
        stride, pad, dilation: as of `conv3d`; padding stands for input_zero_point.
        groups, input_zero_point, weight_zero_point: as of `conv_int`.
    """
    check_groups("conv3d_int", groups)
    points = {"input_zero_point": input_zero_point, "weight_zero_point": plain_points(weight_zero_point)}
    return apply("bm::conv3d_int", x, weight, bias, stride=stride, pad=pad, dilation=dilation, groups=groups, **points)


def deconv3d_int(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    input_zero_point: int = 0,
    weight_zero_point: int | Sequence[int] | Array = 0,
) -> Tensor:
    """The exact sums, i32, of a transposed convolution of 8-bit integers: the transpose of `conv3d_int`.

    Args:
        x: (n, ic, d, h, w), i8 or u8.
        weight: (ic, oc / groups, kd, kh, kw), i8 or u8.
        bias: (oc), i32.
        stride, pad, dilation, output_padding: as of `deconv3d`.
        groups, input_zero_point, weight_zero_point: as of `conv_int`.
    """
    check_groups("deconv3d_int", groups)
    more = {"stride": stride, "pad": pad, "dilation": dilation, "output_padding": output_padding, "groups": groups}
    points = {"input_zero_point": input_zero_point, "weight_zero_point": plain_points(weight_zero_point)}
    return apply("bm::deconv3d_int", x, weight, bias, **more, **points)
