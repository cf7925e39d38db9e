"""Convolutions that no command does become several layers: those of floats, and those of integers with zero points."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final, cast

import numpy as np

from bmlang.graph.graph import Attribute
from bmlang.layers.arrange import concat, pad, permute, slice
from bmlang.layers.cast import cast as converted
from bmlang.layers.conv_forms import LANES, has_local_form, is_depthwise
from bmlang.layers.conv_int_forms import takes_given
from bmlang.layers.conv_records import weight_bytes
from bmlang.layers.elementwise import add, sub
from bmlang.layers.rearrange import flip
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor, apply
from bmlang.layers.windows import LARGEST_INSERT, LARGEST_PAD, LARGEST_STEP, Windows
from tpukernel.dtypes import f32, i32

__all__ = ["LARGEST_RECORD", "decomposed", "decomposed_int"]

LARGEST_RECORD: Final = 64 << 10
"""Bytes of a lane that the weights of one output channel may have: a quarter of its memory, as two of them are there at a time."""
FEW_CHANNELS: Final = 3
"""Up to so many input channels f32 is quicker than f16: 16 products of one channel in a cycle and lane, not 4 of 32 (cost model)."""
FEW_TAPS: Final = 4
"""With fewer taps the conversion of the result costs what that saves."""
ONCE: Mapping[str, Attribute] = {"stride": (1, 1), "pad": (0, 0, 0, 0), "dilation": (1, 1), "insert": (0, 0)}
"""Arguments of a convolution that moves its window by one element."""


def decomposed(x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor | None:
    """A convolution (`bm::conv` with these arguments) as other layers; None where it has a local form."""
    windows = Windows.of("conv", x.shape[2:], weight.shape[2:], attrs)
    if (found := _plain(x, weight, bias, windows, attrs)) is not None:
        return found
    groups = cast("int", attrs["groups"])
    if x.dtype != f32 and groups == 1 and x.shape[1] <= FEW_CHANNELS and weight.known is not None and prod(windows.kernel) >= FEW_TAPS:
        return converted(
            apply("bm::conv", *(None if each is None else converted(each, f32) for each in (x, weight, bias)), **attrs), x.dtype
        )
    if not has_local_form(windows, x.shape, weight.shape, groups, weight.known is not None):
        return _in_groups(x, weight, bias, attrs)
    if groups == 1 and weight_bytes(weight.shape[1], prod(windows.kernel), x.dtype) > LARGEST_RECORD:
        return _over_parts(x, weight, bias, attrs)
    return None


def decomposed_int(x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor | None:
    """A convolution of integers (`bm::conv_int` with these arguments) as other layers; None where it has a local form."""
    windows = Windows.of("conv_int", x.shape[2:], weight.shape[2:], attrs)
    groups = cast("int", attrs["groups"])
    by_channel = is_depthwise(x.shape, weight.shape, groups)
    if by_channel and max(windows.insert) and attrs["input_zero_point"]:  # the command puts zeros between
        return _with_zeros(x, weight, bias, windows, attrs)
    if (found := _plain(x, weight, bias, windows, attrs)) is not None:
        return found
    if weight.known is None:
        return _with_given_weights(x, weight, windows, attrs, by_channel)
    if groups == 1 and weight_bytes(weight.shape[1], prod(windows.kernel), x.dtype) > LARGEST_RECORD:
        return _over_parts(x, weight, bias, attrs)
    return None


def _op(attrs: Mapping[str, Attribute]) -> str:
    """The layer that has these arguments."""
    return "bm::conv_int" if "input_zero_point" in attrs else "bm::conv"


def _padded(x: Tensor, before: tuple[int, int], after: tuple[int, int], attrs: Mapping[str, Attribute]) -> Tensor:
    """x with rows and columns around it that stand for 0."""
    if not max(*before, *after):
        return x
    return pad(x, (0, 0, *before), (0, 0, *after), cast("int", attrs.get("input_zero_point", 0)))


def _plain(x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, attrs: Mapping[str, Attribute]) -> Tensor | None:
    """What both kinds do alike: a bias that no command adds, and windows that no command has."""
    if bias is not None and (weight.known is None or bias.known is None):
        return add(apply(_op(attrs), x, weight, **attrs), reshape(bias, (1, weight.shape[0], 1, 1)))
    if max(windows.insert) > LARGEST_INSERT or (max(windows.insert) and max(windows.stride) > 1):
        return _with_zeros(x, weight, bias, windows, attrs)
    if max(windows.pad) > LARGEST_PAD:
        return _with_padding(x, weight, bias, windows, attrs)
    return None if windows.is_legal else _tap_by_tap(x, weight, bias, windows, attrs)


def _with_padding(x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, attrs: Mapping[str, Attribute]) -> Tensor:
    """The padding is written to memory."""
    top, left, bottom, right = windows.pad
    return apply(_op(attrs), _padded(x, (top, left), (bottom, right), attrs), weight, bias, **{**attrs, "pad": (0, 0, 0, 0)})


def _with_zeros(x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, attrs: Mapping[str, Attribute]) -> Tensor:
    """The zeros between rows and columns are written to memory."""
    n, c, h, w = x.shape
    between, beside = windows.insert
    spread = pad(reshape(x, (n, c, h, 1, w, 1)), (0,) * 6, (0, 0, 0, between, 0, beside), cast("int", attrs.get("input_zero_point", 0)))
    rows, columns = windows.inserted
    whole = reshape(spread, (n, c, h * (between + 1), w * (beside + 1)))[:, :, :rows, :columns]
    return apply(_op(attrs), whole, flip(weight, (2, 3)), bias, **{**attrs, "insert": (0, 0)})


def _tap_by_tap(x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, attrs: Mapping[str, Attribute]) -> Tensor:
    """What each tap of the kernel meets, as channels of its own; the kernel then has one row and one column.

    For strides and dilations that no command has.
    """
    assert max(*windows.stride, *windows.dilation) > LARGEST_STEP  # noqa: S101
    groups = cast("int", attrs["groups"])
    n, channels, _, _ = x.shape
    top, left, bottom, right = windows.pad
    (kh, kw), (dh, dw), (sh, sw), (oh, ow) = windows.kernel, windows.dilation, windows.stride, windows.out
    apart = kh <= sh and kw <= sw and (dh == 1 or kh == 1) and (dw == 1 or kw == 1)
    rows, columns = (oh * sh, ow * sw) if apart else ((kh - 1) * dh + oh * sh, (kw - 1) * dw + ow * sw)
    padded = _padded(x, (top, left), (max(rows - windows.size[0] - top, bottom, 0), max(columns - windows.size[1] - left, right, 0)), attrs)
    oc, ic, _, _ = weight.shape
    if apart:  # each element of x belongs to one window at most
        blocks = reshape(padded[:, :, :rows, :columns], (n, channels, oh, sh, ow, sw))[:, :, :, :kh, :, :kw]
        taps = reshape(permute(blocks, (0, 1, 3, 5, 2, 4)), (n, channels * kh * kw, oh, ow))
        return apply(_op(attrs), taps, reshape(weight, (oc, ic * kh * kw, 1, 1)), bias, **{**attrs, **ONCE})
    seen: list[Tensor] = []
    for row in range(kh):
        for column in range(kw):
            part = slice(padded, (0, 0, row * dh, column * dw), (n, channels, oh * sh, ow * sw))
            if sh > 1 or sw > 1:
                part = reshape(part, (n, channels, oh, sh, ow, sw))[:, :, :, 0, :, 0]
            seen.append(reshape(part, (n, groups, channels // groups, oh, ow)))
    taps = reshape(concat(seen, 2), (n, kh * kw * channels, oh, ow)) if len(seen) > 1 else reshape(seen[0], (n, channels, oh, ow))
    kernels = reshape(permute(weight, (0, 2, 3, 1)), (oc, kh * kw * ic, 1, 1))
    return apply(_op(attrs), taps, kernels, bias, **{**attrs, **ONCE})


def _in_groups(x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor:
    """A convolution for as many groups as fill the lanes, again and again; of weights that are not known for each group."""
    groups, (oc, ic, kh, kw) = cast("int", attrs["groups"]), weight.shape
    each = oc // groups
    together = max(LANES // each, 1) if weight.known is not None else 1
    parts: list[Tensor] = []
    for first in range(0, groups, together):
        count = min(together, groups - first)
        channels = x[:, first * ic : (first + count) * ic]
        kernels = slice(weight, (first * each, 0, 0, 0), (count * each, ic, kh, kw))
        numbers = None if bias is None else reshape(bias, (oc,))[first * each : (first + count) * each]
        own = {**attrs, "groups": count}
        if isinstance(points := attrs.get("weight_zero_point"), tuple):
            own["weight_zero_point"] = points[first * each : (first + count) * each]
        parts.append(apply(_op(attrs), channels, kernels, numbers, **own))
    return concat(parts, 1)


def _over_parts(x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor:
    """The sum of convolutions of parts of the input channels; of floats in f32, which is rounded once."""
    oc, ic, kh, kw = weight.shape
    parts = -(-weight_bytes(ic, kh * kw, x.dtype) // LARGEST_RECORD)
    size = -(-ic // parts // LANES) * LANES if ic // parts >= LANES else max(LARGEST_RECORD // weight_bytes(1, kh * kw, x.dtype), 1)
    own = {**attrs, "sums": True} if x.dtype.is_float else attrs
    found: Tensor | None = None
    for first in range(0, ic, size):
        count = min(size, ic - first)
        kernels = slice(weight, (0, first, 0, 0), (oc, count, kh, kw))
        part = apply(_op(attrs), x[:, first : first + count], kernels, bias if found is None else None, **own)
        found = part if found is None else add(found, part)
    assert found is not None  # noqa: S101
    return converted(found, x.dtype) if x.dtype.is_float and x.dtype != f32 else found


def _with_given_weights(x: Tensor, weight: Tensor, windows: Windows, attrs: Mapping[str, Attribute], by_channel: bool) -> Tensor | None:
    """Weights that come when the model runs, as the command takes them; what zero points give is taken off the sums.

    (x - a) with (w - b) is x with w, less b times the sums of x, less a times the sums of w - b.
    """
    if cast("int", attrs["groups"]) > 1 and not by_channel:
        return _in_groups(x, weight, None, attrs)
    if takes_given(by_channel, attrs):
        return None
    zero_point, points = cast("int", attrs["input_zero_point"]), np.asarray(attrs["weight_zero_point"], i32.numpy).reshape(1, -1, 1, 1)
    if zero_point:
        if max(windows.insert):
            return _with_zeros(x, weight, None, windows, attrs)
        if max(windows.pad):
            return _with_padding(x, weight, None, windows, attrs)
        plain = {**attrs, "input_zero_point": 0}
        one = np.ones((1, *x.shape[1:2], *windows.kernel), np.int8)
        sums = apply("bm::conv_int", one, weight, **{**plain, **ONCE})
        return sub(apply("bm::conv_int", x, weight, **plain), sums * zero_point)
    ones = np.ones((weight.shape[0] if by_channel else 1, *weight.shape[1:]), np.int8)
    sums = apply("bm::conv_int", x, ones, **{**attrs, "weight_zero_point": 0})
    return sub(apply("bm::conv_int", x, weight, **{**attrs, "weight_zero_point": 0}), sums * points)
