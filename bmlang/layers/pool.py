"""Pooling over rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Piece
from bmlang.layers.errors import ShapeError
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.region import Region, four
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from bmlang.layers.windows import Windows, pair
from tpukernel.dtypes import i8, u8
from tpukernel.lang.signature import TensorSpec

__all__ = ["AvgPool", "MaxPool", "avg_pool", "max_pool"]


class Pool(Layer):
    """What both kinds of pooling share: x (n, c, h, w), a window over h and w."""

    defaults: Mapping[str, object] = {"kernel": ..., "stride": (1, 1), "pad": (0, 0, 0, 0)}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        dtype = common_dtype(self.name.removeprefix("bm::"), [x], self.dtypes)
        if len(x.shape) != 4:
            raise ShapeError(f"{self.name} of x {list(x.shape)}", position=here(), help="x is (n, c, h, w)")
        return TensorSpec((*x.shape[:2], *windows_of(self.name, x.shape, attrs).out), dtype)

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
    """The windows over x (n, c, h, w)."""
    return Windows.of(name, shape[2:], pair("kernel", attrs["kernel"]), attrs)


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
    defaults: Mapping[str, object] = {"kernel": ..., "stride": (1, 1), "pad": (0, 0, 0, 0), "count_include_pad": True}

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        windows = windows_of(self.name, x.shape, attrs)
        total = seen(x, windows, 0).sum((4, 5))
        count = prod(windows.kernel) if attrs["count_include_pad"] else seen(np.ones_like(x), windows, 0).sum((4, 5))
        return total / count

    def local(self, call: Call) -> LocalForm | None:
        windows = self.windows(call)
        if not windows.is_legal or (not call.attrs["count_include_pad"] and max(windows.pad)):
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
    x: Operand, kernel: int | Sequence[int], *, stride: int | Sequence[int] = (1, 1), pad: int | Sequence[int] = (0, 0, 0, 0)
) -> Tensor:
    """The largest element of each window over h and w of x (n, c, h, w); padding (top, left, bottom, right) does not count."""
    return apply("bm::max_pool", x, kernel=kernel, stride=stride, pad=pad)


def avg_pool(
    x: Operand,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    count_include_pad: bool = True,
) -> Tensor:
    """The average of each window over h and w of x (n, c, h, w); padding (top, left, bottom, right) counts as zeros, or not at all."""
    return apply("bm::avg_pool", x, kernel=kernel, stride=stride, pad=pad, count_include_pad=count_include_pad)
