"""Convolution of 8-bit integers with zero points: exact sums of 32 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Layer, LocalForm
from bmlang.layers.conv import Conv, Deconv, as_conv, check_groups
from bmlang.layers.conv_decompose import decomposed_int
from bmlang.layers.conv_int_forms import integer_form
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError
from bmlang.layers.integers import Wide, whole_numbers, wrapped
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import Dtype, i8, i32, u8
from tpukernel.lang.signature import TensorSpec

__all__ = ["ConvInt", "DeconvInt", "conv_int", "deconv_int"]

BYTES = (i8, u8)


class IntegerConv(Layer):
    """What convolutions of integers share.

    Attributes:
        floats: the convolution of floats with the same shapes and windows.
        transposed: weight is (ic, oc / groups, ...), not (oc, ic / groups, ...).
    """

    inputs = ("x", "weight", "bias?")
    dtypes: tuple[Dtype, ...] = ()
    floats: Layer
    transposed = False

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        told = self.name.removeprefix("bm::")
        for what, spec, allowed in (("x", x, BYTES), ("weight", weight, BYTES), ("bias", bias, (i32,))):
            if spec is not None and spec.dtype not in allowed:
                names = " or ".join(each.name for each in allowed)
                raise OperatorDtypeError(f"{what} of {told} is {spec.dtype.name}", position=here(), help=f"give {names}")
        found = self.floats.infer([None if spec is None else TensorSpec(spec.shape) for spec in inputs], attrs)
        assert isinstance(found, TensorSpec)  # noqa: S101
        whole_numbers(f"input_zero_point of {told}", attrs["input_zero_point"], *x.dtype.limits)
        points = whole_numbers(f"weight_zero_point of {told}", attrs["weight_zero_point"], *weight.dtype.limits)
        if points.shape not in ((), (1,), (found.shape[1],)):
            raise OperatorArgumentError(
                f"{told} has {points.size} zero points of weights",
                position=here(),
                help=f"give one, or {found.shape[1]}: one of each channel",
            )
        return TensorSpec(found.shape, i32)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        # Sums of fewer than 2 ** 37 products are exact in float64, and products of floats are quicker than those of integers.
        centred = x.astype(np.float64) - cast("int", attrs["input_zero_point"])
        found = self.floats.reference([centred, self.centred(weight, attrs), bias], attrs)
        return wrapped(np.asarray(found).astype(np.int64))

    def centred(self, weight: Array, attrs: Mapping[str, Attribute]) -> Wide:
        """Weights without their zero points."""
        points = np.asarray(attrs["weight_zero_point"], np.int64).reshape(-1)
        wide = weight.astype(np.int64)
        if not self.transposed or points.size == 1:
            return wide - points.reshape(-1, *(1,) * (weight.ndim - 1))
        groups, (ic, oc, *taps) = cast("int", attrs["groups"]), weight.shape
        return (wide.reshape(groups, ic // groups, oc, -1) - points.reshape(groups, 1, oc, 1)).reshape(ic, oc, *taps)


@register
class ConvInt(IntegerConv):
    """x - input_zero_point convolved with weight - weight_zero_point, plus bias; padding stands for input_zero_point.

    The sums are exact and wrap at 32 bits.
    """

    name = "bm::conv_int"
    defaults: Mapping[str, object] = {
        **{name: default for name, default in Conv.defaults.items() if name != "sums"},
        "input_zero_point": 0,
        "weight_zero_point": 0,
    }
    floats = Conv()

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        return decomposed_int(x, weight, bias, attrs)

    def local(self, call: Call) -> LocalForm | None:
        return integer_form(call)


@register
class DeconvInt(IntegerConv):
    """The transpose of `bm::conv_int`, with weight (ic, oc / groups, kh, kw)."""

    name = "bm::deconv_int"
    defaults: Mapping[str, object] = {**Deconv.defaults, "input_zero_point": 0, "weight_zero_point": 0}
    floats = Deconv()
    transposed = True

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        x, weight, bias = inputs
        assert x is not None and weight is not None  # noqa: S101
        points = {name: attrs[name] for name in ("input_zero_point", "weight_zero_point")}
        return as_conv("bm::conv_int", x, weight, bias, attrs, **points)


def conv_int(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    input_zero_point: int = 0,
    weight_zero_point: int | Sequence[int] | Array = 0,
) -> Tensor:
    """The exact sums of a convolution of 8-bit integers, i32: (x - input_zero_point) with (weight - weight_zero_point), plus bias.

    Sums wrap at 32 bits. `requant` or `requant_int` behind it is computed with it, on what is still in local memory.

    Args:
        x: (n, ic, h, w), i8 or u8.
        weight: (oc, ic / groups, kh, kw), i8 or u8; zero points of a numpy array cost nothing, those of a tensor are taken off afterwards.
        bias: (oc), i32.
        stride: rows and columns from one window to the next.
        pad: rows and columns around x that stand for 0: top, left, bottom, right; or one number for all.
        dilation: distance of neighbouring taps, rows and columns.
        groups: the channels are split into this many groups, each with its own kernels.
        input_zero_point: the number of x that means 0.
        weight_zero_point: the number of weight that means 0; or one for each output channel.
    """
    check_groups("conv_int", groups)
    return apply(
        "bm::conv_int",
        x,
        weight,
        bias,
        stride=stride,
        pad=pad,
        dilation=dilation,
        groups=groups,
        input_zero_point=input_zero_point,
        weight_zero_point=plain_points(weight_zero_point),
    )


def deconv_int(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    dilation: int | Sequence[int] = (1, 1),
    output_padding: int | Sequence[int] = (0, 0),
    groups: int = 1,
    input_zero_point: int = 0,
    weight_zero_point: int | Sequence[int] | Array = 0,
) -> Tensor:
    """The exact sums, i32, of a transposed convolution of 8-bit integers: the transpose of `conv_int`.

    Args:
        x: (n, ic, h, w), i8 or u8.
        weight: (ic, oc / groups, kh, kw), i8 or u8.
        bias: (oc), i32.
        stride: rows and columns of the result from one element of x to the next.
        pad: rows and columns of the full result that are cut off: top, left, bottom, right; or one number for all.
        dilation: distance of neighbouring taps, rows and columns.
        output_padding: rows and columns more, at the bottom and at the right.
        groups, input_zero_point, weight_zero_point: as of `conv_int`.
    """
    check_groups("deconv_int", groups)
    return apply(
        "bm::deconv_int",
        x,
        weight,
        bias,
        stride=stride,
        pad=pad,
        dilation=dilation,
        output_padding=output_padding,
        groups=groups,
        input_zero_point=input_zero_point,
        weight_zero_point=plain_points(weight_zero_point),
    )


def plain_points(points: int | Sequence[int] | Array) -> int | list[int]:
    """Zero points as an argument of a layer: one number, or one of each channel."""
    array = np.asarray(points)
    return array.tolist() if array.size > 1 else array.reshape(-1)[0].item()
