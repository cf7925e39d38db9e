"""Convolution over rows and columns, and its transpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import permute
from bmlang.layers.base import Call, Layer, LocalForm
from bmlang.layers.conv_decompose import decomposed
from bmlang.layers.conv_forms import local_form
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.rearrange import flip
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply, here
from bmlang.layers.windows import Windows, pair, quad
from tpukernel.dtypes import f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["Conv", "Deconv", "conv", "deconv"]


def check_shapes(name: str, inputs: Sequence[TensorSpec | None], groups: Attribute, channels_first: bool) -> None:
    """Shapes of x, weight and bias fit together; `channels_first` says which of the first two dimensions of weight are input channels."""
    x, weight, bias = inputs
    assert x is not None and weight is not None  # noqa: S101
    wanted = "(ic, oc / groups, kh, kw)" if channels_first else "(oc, ic / groups, kh, kw)"
    if len(x.shape) != 4 or len(weight.shape) != 4:
        raise ShapeError(
            f"{name} of x {list(x.shape)} with weight {list(weight.shape)}", position=here(), help=f"x is (n, ic, h, w), weight {wanted}"
        )
    first, second = weight.shape[:2]
    count = groups if isinstance(groups, int) and not isinstance(groups, bool) else 0
    if count < 1 or (first if channels_first else second * count) != x.shape[1] or first % count:
        raise ShapeError(
            f"{name} of x {list(x.shape)} with weight {list(weight.shape)} in {groups} groups",
            position=here(),
            help=f"weight is {wanted}, and groups divides its first size",
        )
    oc = second * count if channels_first else first
    if bias is not None and bias.shape not in ((oc,), (1, oc, 1, 1)):
        raise ShapeError(f"bias of {name} has shape {list(bias.shape)}", position=here(), help=f"give one number for each of {oc} channels")


@register
class Conv(Layer):
    """x (n, ic, h, w) convolved with weight (oc, ic / groups, kh, kw), plus bias (oc).

    With `insert` so many zeros come between neighbouring rows and columns of x first, and the kernels are rotated by 180 degrees: what a
    transposed convolution becomes. With `sums` the result is f32, as the tensor unit adds up f16 and bf16.
    """

    name = "bm::conv"
    inputs = ("x", "weight", "bias?")
    defaults: Mapping[str, object] = {
        "stride": (1, 1),
        "pad": (0, 0, 0, 0),
        "dilation": (1, 1),
        "groups": 1,
        "insert": (0, 0),
        "sums": False,
    }

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, weight, _ = inputs
        assert x is not None and weight is not None  # noqa: S101
        dtype = common_dtype("conv", [x, weight], self.dtypes)
        check_shapes("conv", inputs, attrs["groups"], channels_first=False)
        windows = Windows.of("conv", x.shape[2:], weight.shape[2:], attrs)
        return TensorSpec((x.shape[0], weight.shape[0], *windows.out), f32 if attrs.get("sums") else dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        windows = Windows.of("conv", x.shape[2:], weight.shape[2:], attrs)
        groups = cast("int", attrs["groups"])
        n, channels, _, _ = x.shape
        oc, ic, kh, kw = weight.shape
        top, left, bottom, right = windows.pad
        (between, beside), kernels = windows.insert, weight.astype(np.float64)
        image = np.zeros((n, channels, *windows.inserted))
        image[:, :, :: between + 1, :: beside + 1] = x
        if between or beside:
            kernels = kernels[:, :, ::-1, ::-1]
        padded = np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, windows.reach, axis=(2, 3))
        (sh, sw), (dh, dw), (oh, ow) = windows.stride, windows.dilation, windows.out
        seen = seen[:, :, ::sh, ::sw, ::dh, ::dw][:, :, :oh, :ow].reshape(n, groups, ic, oh, ow, kh, kw)
        kernels = kernels.reshape(groups, oc // groups, ic, kh, kw)
        found = np.einsum("ngihwab,goiab->ngohw", seen, kernels, optimize=True).reshape(n, oc, oh, ow)
        return found if bias is None else found + bias.astype(np.float64).reshape(1, oc, 1, 1)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        return decomposed(x, weight, bias, attrs)

    def local(self, call: Call) -> LocalForm | None:
        return local_form(call)


@register
class Deconv(Layer):
    """The transpose of a convolution: each element of x (n, ic, h, w) times its kernel of weight (ic, oc / groups, kh, kw), added up.

    oh is (h - 1) * stride + (kh - 1) * dilation + 1 + output_padding - top - bottom, likewise ow.
    """

    name = "bm::deconv"
    inputs = ("x", "weight", "bias?")
    defaults: Mapping[str, object] = {
        "stride": (1, 1),
        "pad": (0, 0, 0, 0),
        "dilation": (1, 1),
        "output_padding": (0, 0),
        "groups": 1,
    }

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, weight, _ = inputs
        assert x is not None and weight is not None  # noqa: S101
        dtype = common_dtype("deconv", [x, weight], self.dtypes)
        check_shapes("deconv", inputs, attrs["groups"], channels_first=True)
        oh, ow = transposed_size(x.shape, weight.shape, attrs)
        if min(oh, ow) < 1:
            raise ShapeError(
                f"deconv of x {list(x.shape)} with weight {list(weight.shape)} has {oh} rows and {ow} columns",
                position=here(),
                help="its padding cuts off everything: make it smaller",
            )
        return TensorSpec((x.shape[0], weight.shape[1] * cast("int", attrs["groups"]), oh, ow), dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        (sh, sw), (dh, dw) = pair("stride", attrs["stride"]), pair("dilation", attrs["dilation"])
        top, left, _, _ = quad("pad", attrs["pad"])
        groups = cast("int", attrs["groups"])
        (n, ic, h, w), (_, oc, kh, kw) = x.shape, weight.shape
        oh, ow = transposed_size(x.shape, weight.shape, attrs)
        parts = x.astype(np.float64).reshape(n, groups, ic // groups, h, w)
        kernels = weight.astype(np.float64).reshape(groups, ic // groups, oc, kh, kw)
        whole = np.zeros((n, groups, oc, top + oh + (h + kh) * sh + kh * dh, left + ow + (w + kw) * sw + kw * dw))
        for row in range(kh):
            for column in range(kw):
                added = np.einsum("ngihw,gio->ngohw", parts, kernels[..., row, column])
                rows, columns = np.s_[row * dh : row * dh + h * sh : sh], np.s_[column * dw : column * dw + w * sw : sw]
                whole[:, :, :, rows, columns] += added
        found = whole[:, :, :, top : top + oh, left : left + ow].reshape(n, groups * oc, oh, ow)
        return found if bias is None else found + bias.astype(np.float64).reshape(1, -1, 1, 1)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        return as_conv("bm::conv", x, weight, bias, attrs)


def as_conv(op: str, x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute], **others: Attribute) -> Tensor:
    """A transposed convolution as a convolution of x with zeros between its rows and columns.

    Args:
        op: the layer of the convolution.
        x, weight, bias, attrs: of the transposed convolution.
        others: more arguments of the convolution.
    """
    stride, dilation = pair("stride", attrs["stride"]), pair("dilation", attrs["dilation"])
    kernels = _kernels(weight, cast("int", attrs["groups"]), rotated=stride == (1, 1))
    reach = [(size - 1) * step for size, step in zip(weight.shape[2:], dilation, strict=True)]
    more = pair("output_padding", attrs["output_padding"], 0)
    top, left, bottom, right = quad("pad", attrs["pad"])
    around = (reach[0] - top, reach[1] - left, reach[0] - bottom + more[0], reach[1] - right + more[1])
    cropped = [max(-each, 0) for each in around]
    insert = (stride[0] - 1, stride[1] - 1)
    pad = tuple(max(each, 0) for each in around)
    found = apply(op, x, kernels, bias, pad=pad, dilation=dilation, groups=attrs["groups"], insert=insert, **others)
    _, _, oh, ow = found.shape
    return found[:, :, cropped[0] : oh - cropped[2], cropped[1] : ow - cropped[3]]


def transposed_size(x: Sequence[int], weight: Sequence[int], attrs: Mapping[str, Attribute]) -> tuple[int, int]:
    """Rows and columns of the result of a transposed convolution."""
    stride, dilation = pair("stride", attrs["stride"]), pair("dilation", attrs["dilation"])
    more, (top, left, bottom, right) = pair("output_padding", attrs["output_padding"], 0), quad("pad", attrs["pad"])
    full = [(x[2 + axis] - 1) * stride[axis] + (weight[2 + axis] - 1) * dilation[axis] + 1 + more[axis] for axis in (0, 1)]
    return full[0] - top - bottom, full[1] - left - right


def _kernels(weight: Tensor, groups: int, *, rotated: bool) -> Tensor:
    """The weight (ic, oc / groups, kh, kw) of a transposed convolution as that of a convolution: (oc, ic / groups, kh, kw)."""
    ic, oc, kh, kw = weight.shape
    found = permute(reshape(weight, (groups, ic // groups, oc, kh, kw)), (0, 2, 1, 3, 4))
    found = reshape(found, (groups * oc, ic // groups, kh, kw))
    return flip(found, (2, 3)) if rotated else found


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
    """x (n, ic, h, w) convolved with weight (oc, ic / groups, kh, kw), plus bias (oc): (n, oc, oh, ow); f32, f16 and bf16.

    Args:
        x: the tensor.
        weight: the kernels; a numpy array becomes a coefficient, and a tensor is brought into the order of the lanes when the model runs.
        bias: a number for each output channel.
        stride: rows and columns from one window to the next.
        pad: zeros around x: top, left, bottom, right; or one number for all.
        dilation: distance of neighbouring taps, rows and columns.
        groups: the channels are split into this many groups, each with its own kernels. Small groups are computed together, with zeros
            between them: an infinity in one of them makes NaNs in its neighbours.
    """
    check_groups("conv", groups)
    return apply("bm::conv", x, weight, bias, stride=stride, pad=pad, dilation=dilation, groups=groups)


def deconv(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    dilation: int | Sequence[int] = (1, 1),
    output_padding: int | Sequence[int] = (0, 0),
    groups: int = 1,
) -> Tensor:
    """The transpose of a convolution with weight (ic, oc / groups, kh, kw), plus bias (oc), of x (n, ic, h, w): (n, oc, oh, ow); floats.

    oh is (h - 1) * stride + (kh - 1) * dilation + 1 + output_padding - top - bottom, likewise ow.

    Args:
        x: the tensor.
        weight: the kernels; a numpy array becomes a coefficient.
        bias: a number for each output channel.
        stride: rows and columns of the result from one element of x to the next.
        pad: rows and columns of the full result that are cut off: top, left, bottom, right; or one number for all.
        dilation: distance of neighbouring taps, rows and columns.
        output_padding: rows and columns more, at the bottom and at the right.
        groups: as of `conv`.
    """
    check_groups("deconv", groups)
    return apply("bm::deconv", x, weight, bias, stride=stride, pad=pad, dilation=dilation, output_padding=output_padding, groups=groups)


def check_groups(name: str, groups: int) -> None:
    """There is one group or more.

    Raises:
        OperatorArgumentError: otherwise.
    """
    if isinstance(groups, bool) or groups < 1:
        raise OperatorArgumentError(f"{name} in {groups!r} groups", position=here(), help="give 1 or more")
