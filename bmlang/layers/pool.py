"""Pooling over rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import pad
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Piece
from bmlang.layers.elementwise import mul
from bmlang.layers.errors import ShapeError
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.region import Region, four
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from bmlang.layers.volumes import every
from bmlang.layers.windows import LARGEST_PAD, LARGEST_STEP, Windows, pair, quad
from tpukernel.dtypes import i8, u8
from tpukernel.lang.signature import TensorSpec

__all__ = ["AvgPool", "MaxPool", "avg_pool", "max_pool"]


class Pool(Layer):
    """What both kinds of pooling share: x (n, c, h, w), a window over h and w."""

    defaults: Mapping[str, object] = {"kernel": ..., "stride": (1, 1), "pad": (0, 0, 0, 0), "ceil_mode": False}
    outside: float
    """What stands for padding that has to be written to memory."""

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        dtype = common_dtype(self.name.removeprefix("bm::"), [x], self.dtypes)
        if len(x.shape) != 4:
            raise ShapeError(f"{self.name} of x {list(x.shape)}", position=here(), help="x is (n, c, h, w)")
        return TensorSpec((*x.shape[:2], *windows_of(self.name, x.shape, attrs).out), dtype)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        (x,) = inputs
        assert x is not None  # noqa: S101
        return with_legal_windows(self.name, x, attrs, x.dtype.limits[0] if x.dtype.is_int else self.outside)

    def windows(self, call: Call) -> Windows:
        """The windows of a use."""
        return windows_of(self.name, call.spec(0).shape, call.attrs)

    def cycles(self, call: Call, windows: Windows, region: Region, kernel: Sequence[int], stride: Sequence[int]) -> int:
        """Cycles of a pooling command (cost model of the official compiler)."""
        n, c, h, w = region.size
        eu = call.chip.eu_bytes // call.outputs[0].dtype.itemsize
        lines = h * -(-w // eu) if kernel[0] == 1 else -(-h * w // eu)
        return n * -(-c // call.chip.lanes) * lines * prod(kernel) * (3 if min(stride) > 1 else 1)


def windows_of(name: str, shape: Sequence[int], attrs: Mapping[str, Attribute]) -> Windows:
    """The windows over x (n, c, h, w); with `ceil_mode` as many as begin in x or in the padding before it."""
    kernel = pair("kernel", attrs["kernel"])
    if attrs.get("ceil_mode"):
        top, left, bottom, right = quad("pad", attrs["pad"])
        stride = pair("stride", attrs["stride"])
        before, after = (top, left), [bottom, right]
        for axis in (0, 1):
            whole = shape[2 + axis] + before[axis]
            missing = -(whole + after[axis] - kernel[axis]) % stride[axis]
            if whole + after[axis] + missing - kernel[axis] < whole:  # the last window begins in x
                after[axis] += missing
        attrs = {**attrs, "pad": (*before, *after)}
    return Windows.of(name, shape[2:], kernel, attrs)


def with_legal_windows(name: str, x: Tensor, attrs: Mapping[str, Attribute], outside: float) -> Tensor | None:
    """A pooling layer with windows that no command has; None where one has them.

    Padding, for which `outside` stands, is written to memory, and of results that are closer together some are taken.
    """
    windows = windows_of(name, x.shape, attrs)
    if windows.is_legal:
        return None
    plain = {**attrs, "pad": windows.pad, "ceil_mode": False}
    if max(windows.pad) > LARGEST_PAD:
        top, left, bottom, right = windows.pad
        return apply(name, pad(x, (0, 0, top, left), (0, 0, bottom, right), outside), **{**plain, "pad": (0, 0, 0, 0)})
    steps = [max(step for step in range(1, LARGEST_STEP + 1) if stride % step == 0) for stride in windows.stride]
    found = apply(name, x, **{**plain, "stride": tuple(steps)})
    for axis, (count, stride, step) in enumerate(zip(windows.out, windows.stride, steps, strict=True), 2):
        found = every(found, axis, 0, count, stride // step)
    return found


def seen(x: Array, windows: Windows, fill: float) -> Array:
    """x in float64, padded, as (n, c, oh, ow, kh, kw)."""
    top, left, bottom, right = windows.pad
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, windows.kernel, axis=(2, 3))
    (sh, sw), (oh, ow) = windows.stride, windows.out
    return found[:, :, ::sh, ::sw][:, :, :oh, :ow]


@register
class MaxPool(Pool):
    """The largest element of each window; padding does not count."""

    name = "bm::max_pool"
    dtypes = (*FLOATS, i8, u8)
    outside = -inf

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        return seen(x, windows_of(self.name, x.shape, attrs), -inf).max((4, 5))

    def local(self, call: Call) -> LocalForm | None:
        windows = self.windows(call)
        if not windows.is_legal:
            return None
        x, chip = call.spec(0), call.chip
        (kh, kw), (sh, sw), channels = windows.kernel, windows.stride, x.shape[1]

        def needed(region: Region) -> Region:
            return windows.region(region, (region.start[1], region.size[1]))

        def between(region: Region) -> Region:
            """What is left of the input when only the rows are pooled."""
            source = needed(region)
            return Region((*region.start[:3], source.start[3]), (*region.size[:3], source.size[3]))

        def tile(piece: Piece) -> None:
            top, bottom, left, right = windows.padding(piece.region)
            if not separable:
                piece.k.tiu.max_pool2d(piece.out, piece.ins[0], (kh, kw), stride=(sh, sw), padding=(top, bottom, left, right))
                return
            rows = piece.k.local(between(piece.region).size, x.dtype, name="rows")
            piece.k.tiu.max_pool2d(rows, piece.ins[0], (kh, 1), stride=(sh, 1), padding=(top, bottom, 0, 0))
            piece.k.tiu.max_pool2d(piece.out, rows, (1, kw), stride=(1, sw), padding=(0, 0, left, right))

        def once(region: Region) -> int:
            return self.cycles(call, windows, region, (kh, kw), (sh, sw))

        def twice(region: Region) -> int:
            return self.cycles(call, windows, between(region), (kh, 1), (sh, 1)) + self.cycles(call, windows, region, (1, kw), (1, sw))

        def scratch(region: Region) -> int:
            n, c, h, w = between(region).size
            return n * -(-c // chip.lanes) * -(-h * w * x.dtype.itemsize // chip.eu_bytes) * chip.eu_bytes if separable else 0

        n, _, oh, ow = call.outputs[0].shape
        whole = Region.whole((n, channels, oh, ow))
        separable = min(kh, kw) > 1 and twice(whole) < once(whole)
        return LocalForm(
            out=whole.size,
            feeds={0: Feed(four(x.shape), needed, whole_rows=True)},
            tile=tile,
            cut=(1, chip.lanes, 1, 1),
            scratch=scratch,
            cycles=twice if separable else once,
        )


@register
class AvgPool(Pool):
    """The average of each window."""

    name = "bm::avg_pool"
    defaults: Mapping[str, object] = {**Pool.defaults, "count_include_pad": True}
    outside = 0.0

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        return seen(x, windows_of(self.name, x.shape, attrs), 0).sum((4, 5)) / self.counted(x.shape, attrs)

    def counted(self, shape: Sequence[int], attrs: Mapping[str, Attribute]) -> NDArray[np.float64]:
        """How many elements of each window count (1, 1, oh, ow): at least 1."""
        windows = windows_of(self.name, shape, attrs)
        ones = np.ones((1, 1, *shape[2:]))
        if attrs["count_include_pad"]:  # what ceil_mode adds never counts
            top, left, bottom, right = quad("pad", attrs["pad"])
            ones = np.pad(ones, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=1)
            _, _, more, beside = windows.pad
            windows = replace(windows, size=(ones.shape[2], ones.shape[3]), pad=(0, 0, more - bottom, beside - right))
        return np.maximum(seen(ones, windows, 0).sum((4, 5)), 1.0)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        (x,) = inputs
        assert x is not None  # noqa: S101
        windows, counted = windows_of(self.name, x.shape, attrs), self.counted(x.shape, attrs)
        if (counted == prod(windows.kernel)).all():
            return super().decompose(inputs, attrs)
        plain = {**attrs, "pad": windows.pad, "ceil_mode": False, "count_include_pad": True}
        return mul(apply(self.name, x, **plain), (1 / counted * prod(windows.kernel)).astype(x.dtype.numpy))

    def local(self, call: Call) -> LocalForm | None:
        windows = self.windows(call)
        if not windows.is_legal or (self.counted(call.spec(0).shape, call.attrs) != prod(windows.kernel)).any():
            return None
        x = call.spec(0)

        def needed(region: Region) -> Region:
            return windows.region(region, (region.start[1], region.size[1]))

        def tile(piece: Piece) -> None:
            piece.k.tiu.avg_pool2d(
                piece.out,
                piece.ins[0],
                windows.kernel,
                1 / prod(windows.kernel),
                stride=windows.stride,
                padding=windows.padding(piece.region),
            )

        n, c, oh, ow = call.outputs[0].shape
        return LocalForm(
            out=(n, c, oh, ow),
            feeds={0: Feed(four(x.shape), needed, whole_rows=True)},
            tile=tile,
            cut=(1, call.chip.lanes, 1, 1),
            cycles=lambda region: self.cycles(call, windows, region, windows.kernel, windows.stride),
        )


def max_pool(
    x: Operand,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of each window over h and w of x (n, c, h, w); padding (top, left, bottom, right) does not count.

    Args:
        x: f32, f16, bf16, i8 or u8.
        kernel, stride: rows and columns.
        pad: rows and columns around x: top, left, bottom, right; or one number for all.
        ceil_mode: windows that reach beyond the end are windows, too.
    """
    return apply("bm::max_pool", x, kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode)


def avg_pool(
    x: Operand,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average of each window over h and w of x (n, c, h, w), floats.

    Args:
        x: the tensor.
        kernel, stride: rows and columns.
        pad: rows and columns around x: top, left, bottom, right; or one number for all.
        ceil_mode: windows that reach beyond the end are windows, too; what is beyond the padding never counts.
        count_include_pad: padding counts as zeros, or not at all.
    """
    return apply("bm::avg_pool", x, kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
