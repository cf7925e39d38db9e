"""Pooling over depth, rows and columns: over rows and columns first, then over the depth, which takes the fewest operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Layer
from bmlang.layers.errors import ShapeError
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.pool import AvgPool, MaxPool, Pool, windows_of
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply, here
from bmlang.layers.volumes import plane, six, triple
from tpukernel.lang.signature import TensorSpec

__all__ = ["AvgPool3d", "MaxPool3d", "avg_pool3d", "max_pool3d"]


class _Pool3d(Layer):
    """x (n, c, d, h, w), a window over d, h and w.

    Attributes:
        flat: the same over rows and columns.
    """

    flat: Pool

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        told = self.name.removeprefix("bm::")
        if len(x.shape) != 5:
            raise ShapeError(f"{told} of x {list(x.shape)}", position=here(), help="x is (n, c, d, h, w)")
        for name, least in (("kernel", 1), ("stride", 1)):
            triple(name, attrs[name], least)
        n, c, d, h, w = x.shape
        oh, ow = windows_of(told, (n, c, h, w), plane(attrs)).out
        od, _ = windows_of(told, (n, c, d, 1), _depth(attrs)).out
        return TensorSpec((n, c, od, oh, ow), common_dtype(told, [x], self.flat.dtypes))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        n, c, d, h, w = x.shape
        planes = np.asarray(self.flat.reference([x.reshape(n, c * d, h, w)], plane(attrs)))
        oh, ow = planes.shape[2:]
        found = np.asarray(self.flat.reference([planes.reshape(n, c, d, oh * ow)], _depth(attrs)))
        return found.reshape(n, c, -1, oh, ow)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        n, c, d, h, w = x.shape
        planes = apply(self.flat.name, reshape(x, (n, c * d, h, w)), **plane(attrs))
        oh, ow = planes.shape[2:]
        found = apply(self.flat.name, reshape(planes, (n, c, d, oh * ow)), **_depth(attrs))
        return reshape(found, (n, c, found.shape[2], oh, ow))


def _depth(attrs: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """The arguments of pooling along the depth, as rows of one column each."""
    front, _, _, back, _, _ = six("pad", attrs["pad"])
    windows = {name: (triple(name, attrs[name])[0], 1) for name in ("kernel", "stride")}
    return {**attrs, **windows, "pad": (front, 0, back, 0)}


@register
class MaxPool3d(_Pool3d):
    """The largest element of each window; padding does not count."""

    name = "bm::max_pool3d"
    defaults: Mapping[str, object] = {"kernel": ..., "stride": (1, 1, 1), "pad": (0,) * 6, "ceil_mode": False}
    flat = MaxPool()
    dtypes = MaxPool.dtypes


@register
class AvgPool3d(_Pool3d):
    """The average of each window; how many elements count is a product of those along each dimension."""

    name = "bm::avg_pool3d"
    defaults: Mapping[str, object] = {**MaxPool3d.defaults, "count_include_pad": True}
    flat = AvgPool()


def max_pool3d(
    x: Operand,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of each window over d, h and w of x (n, c, d, h, w).

    Args:
        x: f32, f16, bf16, i8 or u8.
        kernel, stride: depth, rows and columns; or one number for all.
        pad: around x: front, top, left, back, bottom, right; or one number for all; it does not count.
        ceil_mode: as of `max_pool`.
    """
    return apply("bm::max_pool3d", x, kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode)


def avg_pool3d(
    x: Operand,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average of each window over d, h and w of x (n, c, d, h, w), floats; arguments as of `max_pool3d` and `avg_pool`."""
    return apply("bm::avg_pool3d", x, kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
