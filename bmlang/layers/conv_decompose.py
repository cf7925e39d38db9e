"""Convolutions that no command does become several layers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final, cast

from bmlang.graph.graph import Attribute
from bmlang.layers.arrange import concat, flip, pad, permute, slice
from bmlang.layers.conv_forms import LANES, has_local_form, weight_bytes
from bmlang.layers.elementwise import add
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor, apply
from bmlang.layers.windows import LARGEST_INSERT, LARGEST_PAD, LARGEST_STEP, Windows

__all__ = ["LARGEST_RECORD", "decomposed"]

LARGEST_RECORD: Final = 64 << 10
"""Bytes of a lane that the weights of one output channel may have: a quarter of its memory, as two of them are there at a time."""


def decomposed(x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor | None:
    """A convolution (`bm::conv` with these arguments) as other layers; None where it has a local form."""
    windows = Windows.of("conv", x.shape[2:], weight.shape[2:], attrs)
    groups = cast("int", attrs["groups"])
    known = weight.known is not None
    if bias is not None and not (known and bias.known is not None):
        found = apply("bm::conv", x, weight, **attrs)
        return add(found, reshape(bias, (1, weight.shape[0], 1, 1)))
    if max(windows.insert) > LARGEST_INSERT or (max(windows.insert) and max(windows.stride) > 1):
        return _with_zeros(x, weight, bias, windows, groups)
    if max(windows.pad) > LARGEST_PAD:
        top, left, bottom, right = windows.pad
        padded = pad(x, (0, 0, top, left), (0, 0, bottom, right))
        return apply("bm::conv", padded, weight, bias, **{**attrs, "pad": (0, 0, 0, 0)})
    if not has_local_form(windows, x.shape, weight.shape, groups, known):
        return _tap_by_tap(x, weight, bias, windows, groups) if not windows.is_legal else _in_groups(x, weight, bias, attrs)
    if groups == 1 and weight_bytes(weight.shape[1], prod(windows.kernel), x.dtype) > LARGEST_RECORD:
        return _over_parts(x, weight, bias, attrs)
    return None


def _with_zeros(x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, groups: int) -> Tensor:
    """The zeros between rows and columns are written to memory."""
    n, c, h, w = x.shape
    between, beside = windows.insert
    spread = pad(reshape(x, (n, c, h, 1, w, 1)), (0,) * 6, (0, 0, 0, between, 0, beside))
    rows, columns = windows.inserted
    whole = reshape(spread, (n, c, h * (between + 1), w * (beside + 1)))[:, :, :rows, :columns]
    kernels = flip(weight, (2, 3))
    return apply("bm::conv", whole, kernels, bias, stride=windows.stride, pad=windows.pad, dilation=windows.dilation, groups=groups)


def _tap_by_tap(x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, groups: int) -> Tensor:
    """What each tap of the kernel meets, as channels of its own; the kernel then has one row and one column.

    For strides and dilations that no command has.
    """
    assert max(*windows.stride, *windows.dilation) > LARGEST_STEP  # noqa: S101
    n, channels, _, _ = x.shape
    top, left, bottom, right = windows.pad
    (kh, kw), (dh, dw), (sh, sw), (oh, ow) = windows.kernel, windows.dilation, windows.stride, windows.out
    apart = kh <= sh and kw <= sw and (dh == 1 or kh == 1) and (dw == 1 or kw == 1)
    rows, columns = (oh * sh, ow * sw) if apart else ((kh - 1) * dh + oh * sh, (kw - 1) * dw + ow * sw)
    missing = (max(rows - windows.size[0] - top, bottom, 0), max(columns - windows.size[1] - left, right, 0))
    padded = pad(x, (0, 0, top, left), (0, 0, *missing)) if max(top, left, *missing) else x
    oc, ic, _, _ = weight.shape
    if apart:  # each element of x belongs to one window at most
        blocks = reshape(padded[:, :, :rows, :columns], (n, channels, oh, sh, ow, sw))[:, :, :, :kh, :, :kw]
        taps = reshape(permute(blocks, (0, 1, 3, 5, 2, 4)), (n, channels * kh * kw, oh, ow))
        return apply("bm::conv", taps, reshape(weight, (oc, ic * kh * kw, 1, 1)), bias, groups=groups)
    seen: list[Tensor] = []
    for row in range(kh):
        for column in range(kw):
            part = slice(padded, (0, 0, row * dh, column * dw), (n, channels, oh * sh, ow * sw))
            if sh > 1 or sw > 1:
                part = reshape(part, (n, channels, oh, sh, ow, sw))[:, :, :, 0, :, 0]
            seen.append(reshape(part, (n, groups, channels // groups, oh, ow)))
    taps = reshape(concat(seen, 2), (n, kh * kw * channels, oh, ow)) if len(seen) > 1 else reshape(seen[0], (n, channels, oh, ow))
    kernels = reshape(permute(weight, (0, 2, 3, 1)), (oc, kh * kw * ic, 1, 1))
    return apply("bm::conv", taps, kernels, bias, groups=groups)


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
        parts.append(apply("bm::conv", channels, kernels, numbers, **{**attrs, "groups": count}))
    return concat(parts, 1)


def _over_parts(x: Tensor, weight: Tensor, bias: Tensor | None, attrs: Mapping[str, Attribute]) -> Tensor:
    """The sum of convolutions of parts of the input channels."""
    oc, ic, kh, kw = weight.shape
    parts = -(-weight_bytes(ic, kh * kw, x.dtype) // LARGEST_RECORD)
    size = -(-ic // parts // LANES) * LANES if ic // parts >= LANES else max(LARGEST_RECORD // weight_bytes(1, kh * kw, x.dtype), 1)
    found: Tensor | None = None
    for first in range(0, ic, size):
        count = min(size, ic - first)
        kernels = slice(weight, (0, first, 0, 0), (oc, count, kh, kw))
        part = apply("bm::conv", x[:, first : first + count], kernels, bias if found is None else None, **attrs)
        found = part if found is None else add(found, part)
    assert found is not None  # noqa: S101
    return found
