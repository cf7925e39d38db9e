"""Where the largest element of a window is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import pad as padded
from bmlang.layers.base import FLOATS, Layer
from bmlang.layers.compare import eq, where
from bmlang.layers.elementwise import min
from bmlang.layers.errors import ShapeError
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.pool import max_pool, seen, windows_of
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from bmlang.layers.volumes import every
from bmlang.layers.windows import Windows
from tpukernel.dtypes import i32
from tpukernel.lang.signature import TensorSpec

__all__ = ["MaxPoolIndex", "max_pool_with_index"]


@register
class MaxPoolIndex(Layer):
    """The place, row * w + column, of the first element of each window of x that equals the largest one; 2 ** 31 - 1 for NaNs."""

    name = "bm::max_pool_index"
    inputs = ("x", "largest")
    defaults: Mapping[str, object] = {"kernel": ..., "stride": (1, 1), "pad": (0, 0, 0, 0), "ceil_mode": False}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, largest = inputs
        assert x is not None and largest is not None  # noqa: S101
        common_dtype("max_pool_with_index", [x, largest], FLOATS)
        shape = (*x.shape[:2], *windows_of("max_pool_with_index", x.shape, attrs).out)
        if largest.shape != shape:
            raise ShapeError(f"largest elements {list(largest.shape)} of windows {list(shape)}", position=here(), help="pool x")
        return TensorSpec(shape, i32)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, largest = inputs
        assert x is not None and largest is not None  # noqa: S101
        windows = windows_of(self.name, x.shape, attrs)
        equal = seen(x, windows, nan) == largest.astype(np.float64)[..., None, None]
        oh, ow = windows.out
        places = np.stack([_places(windows, row, column) for row in range(windows.kernel[0]) for column in range(windows.kernel[1])], -1)
        return np.where(equal.reshape(*equal.shape[:4], -1), places.reshape(1, 1, oh, ow, -1), i32.limits[1]).min(-1)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        x, largest = inputs
        assert x is not None and largest is not None  # noqa: S101
        windows = windows_of(self.name, x.shape, attrs)
        (kh, kw), (oh, ow), (sh, sw), none = windows.kernel, windows.out, windows.stride, np.asarray(i32.limits[1], np.int32)
        top, left, _, _ = windows.pad
        more = (kh - 1 + oh * sh - windows.size[0] - top, kw - 1 + ow * sw - windows.size[1] - left)  # whole strides behind each tap
        around = padded(x, (0, 0, top, left), (0, 0, *(max(each, 0) for each in more)), nan)  # NaN equals no number
        found: Tensor | None = None
        for row in range(kh):
            rows = every(around, 2, row, oh, sh)
            for column in range(kw):
                place = where(eq(every(rows, 3, column, ow, sw), largest), _places(windows, row, column), none)
                found = place if found is None else min(found, place)
        assert found is not None  # noqa: S101
        return found


def _places(windows: Windows, row: int, column: int) -> Array:
    """For a tap of the kernel the places (1, 1, oh, ow) in x of what each window sees there."""
    (sh, sw), (oh, ow), (top, left, _, _) = windows.stride, windows.out, windows.pad
    rows, columns = np.arange(oh) * sh + row - top, np.arange(ow) * sw + column - left
    return (rows[:, None] * windows.size[1] + columns).astype(np.int32).reshape(1, 1, oh, ow)


def max_pool_with_index(
    x: Operand,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """The largest element of each window over h and w of x (n, c, h, w), floats, and where it is.

    Args:
        x: the tensor.
        kernel, stride, pad, ceil_mode: as of `max_pool`.

    Returns:
        The largest elements, and i32 of the same shape: row * w + column of the first element of x in the window that equals it.
    """
    largest = max_pool(x, kernel, stride=stride, pad=pad, ceil_mode=ceil_mode)
    return largest, apply("bm::max_pool_index", x, largest, kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode)
