"""Images of another size: nearest neighbours and linear interpolation over rows and columns.

Each row of the result is a sum of rows of x with known factors, likewise each column, so that a resize is two products with known matrices.
Nearest neighbours by a whole factor are a depthwise transposed convolution with ones, which is computed next to its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Layer
from bmlang.layers.conv import deconv
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.matmul import matmul
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.rearrange import repeat
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.lang.signature import TensorSpec

__all__ = ["COORDINATES", "METHODS", "Resize", "resize", "upsample"]

METHODS: Final = ("nearest", "linear")
COORDINATES: Final = ("half_pixel", "align_corners", "asymmetric")
"""Where the centre of a result pixel lies in x: ((i + 0.5) * size / out - 0.5), (i * (size - 1) / (out - 1)), (i * size / out)."""
LARGEST_FACTOR = 8
"""Up to this whole factor nearest neighbours are a convolution: it takes a tap for each pixel of a block."""


@register
class Resize(Layer):
    """x (n, c, h, w) with other numbers of rows and columns."""

    name = "bm::resize"
    defaults: Mapping[str, object] = {"size": ..., "method": "nearest", "coordinates": "half_pixel"}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        size = attrs["size"]
        if len(x.shape) != 4:
            raise ShapeError(f"resize of x {list(x.shape)}", position=here(), help="x is (n, c, h, w)")
        if not isinstance(size, tuple) or len(size) != 2 or not all(isinstance(each, int) and each > 0 for each in size):
            raise OperatorArgumentError(f"resize to the size {size!r}", position=here(), help="give rows and columns, 1 or more")
        for name, known in (("method", METHODS), ("coordinates", COORDINATES)):
            if attrs[name] not in known:
                raise OperatorArgumentError(f"resize with {name} {attrs[name]!r}", position=here(), help=f"choose from {', '.join(known)}")
        return TensorSpec((*x.shape[:2], *cast("tuple[int, int]", size)), common_dtype("resize", [x], FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        found: NDArray[np.float64] = x.astype(np.float64)
        for axis, out in zip((2, 3), cast("tuple[int, int]", attrs["size"]), strict=True):
            first, second, share = neighbours(x.shape[axis], out, cast("str", attrs["method"]), cast("str", attrs["coordinates"]))
            shape = (1,) * axis + (-1,) + (1,) * (3 - axis)
            part = share.reshape(shape)
            found = np.take(found, first, axis) * (1 - part) + np.take(found, second, axis) * part
        return found

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        size, method, coordinates = cast("tuple[int, int]", attrs["size"]), cast("str", attrs["method"]), cast("str", attrs["coordinates"])
        picks = [neighbours(old, new, method, coordinates) for old, new in zip(x.shape[2:], size, strict=True)]
        factors = [new // old for old, new in zip(x.shape[2:], size, strict=True)]
        repeated = all(
            not share.any() and new == old * factor <= old * LARGEST_FACTOR and np.array_equal(first, np.arange(new) // factor)
            for (first, _, share), old, new, factor in zip(picks, x.shape[2:], size, factors, strict=True)
        )
        if repeated and max(factors) > 1:
            channels = x.shape[1]
            ones = np.ones((channels, 1, factors[0], factors[1]), x.dtype.numpy)
            return deconv(x, ones, stride=factors, groups=channels)
        rows, columns = (matrix(old, *pick).astype(x.dtype.numpy) for old, pick in zip(x.shape[2:], picks, strict=True))
        growth = [new / old for old, new in zip(x.shape[2:], size, strict=True)]
        for axis in (2, 3) if growth[0] <= growth[1] else (3, 2):  # what becomes smaller comes first
            if axis == 2 and not np.array_equal(rows, np.eye(len(rows), rows.shape[1])):
                x = apply("bm::matmul", np.broadcast_to(rows, (1, 1, *rows.shape)).copy(), x)
            elif axis == 3 and not np.array_equal(columns, np.eye(len(columns), columns.shape[1])):
                x = matmul(x, np.ascontiguousarray(columns.T))
        return x


Indices = NDArray[np.int64]


def neighbours(size: int, out: int, method: str, coordinates: str) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """For each of `out` places: the two elements of `size` around it, and how much of the second one it has.

    Nearest neighbours: the first one only; halves are rounded down, and `asymmetric` rounds everything down, as most frameworks do.
    """
    places = np.arange(out, dtype=np.float64)
    if coordinates == "half_pixel":
        found = (places + 0.5) * size / out - 0.5
    elif coordinates == "align_corners":
        found = places * ((size - 1) / (out - 1)) if out > 1 else places * 0
    else:
        found = places * size / out
    if method == "nearest":
        rounded = np.floor(found) if coordinates == "asymmetric" else np.ceil(found - 0.5)
        nearest = np.clip(rounded, 0, size - 1).astype(np.int64)
        return nearest, nearest, np.zeros(out)
    inside = np.clip(found, 0, size - 1)
    first = np.floor(inside).astype(np.int64)
    return first, np.minimum(first + 1, size - 1), inside - first


def matrix(size: int, first: Indices, second: Indices, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factors as a matrix (out, size)."""
    found = np.zeros((len(first), size))
    places = np.arange(len(first))
    np.add.at(found, (places, first), 1 - share)
    np.add.at(found, (places, second), share)
    return found


def resize(x: Operand, size: Sequence[int], method: str = "nearest", coordinates: str = "half_pixel") -> Tensor:
    """x (n, c, h, w), f32, f16 or bf16, with other numbers of rows and columns.

    An infinity or NaN spreads over its row and column, unless nearest neighbours are repeated a whole number of times.

    Args:
        x: the images.
        size: rows and columns of the result.
        method: "nearest" or "linear".
        coordinates: where pixel i of the result lies in x: "half_pixel" (i + 0.5) * h / oh - 0.5, "align_corners" i * (h - 1) / (oh - 1),
            or "asymmetric" i * h / oh. Nearest neighbours are rounded to the nearest, halves down; "asymmetric" always down.
    """
    return apply("bm::resize", x, size=tuple(size), method=method, coordinates=coordinates)


def upsample(x: Tensor, scale: int | Sequence[int] = 2) -> Tensor:
    """x (n, c, h, w) with each row and column several times, any data type.

    Args:
        x: the images.
        scale: how often: rows and columns, or one number for both.
    """
    factors = [scale, scale] if isinstance(scale, int) else list(scale)
    if x.ndim != 4 or len(factors) != 2 or min(factors) < 1:
        raise OperatorArgumentError(
            f"upsample of x {list(x.shape)} by {scale!r}", position=here(), help="x is (n, c, h, w), scale 1 or more"
        )
    if x.dtype.is_float:
        return resize(x, [size * factor for size, factor in zip(x.shape[2:], factors, strict=True)], "nearest", "asymmetric")
    for axis, factor in zip((2, 3), factors, strict=True):
        x = x if factor == 1 else repeat(x, factor, axis)
    return x
