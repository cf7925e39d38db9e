"""Images of another size: nearest neighbours, linear and cubic interpolation over rows and columns.

Each row of the result is a sum of rows of x with known factors, likewise each column, so that a resize is two products with known matrices.
Nearest neighbours by a whole factor are a depthwise transposed convolution with ones, which is computed next to its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Layer
from bmlang.layers.conv import deconv
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.matmul import matmul
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.rearrange import repeat
from bmlang.layers.registry import register
from bmlang.layers.sampling import COORDINATES, METHODS, NEAREST, Reals, Sampling
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.lang.signature import TensorSpec

__all__ = ["Resize", "interpolate", "resize", "upsample"]

LARGEST_FACTOR = 8
"""Up to this whole factor nearest neighbours are a convolution: it takes a tap for each pixel of a block."""


@register
class Resize(Layer):
    """x (n, c, h, w) with other numbers of rows and columns."""

    name = "bm::resize"
    defaults: Mapping[str, object] = {
        "size": ...,
        "method": "nearest",
        "coordinates": "half_pixel",
        "scale": (0.0, 0.0),
        "nearest": "round_prefer_floor",
        "cubic_a": -0.75,
        "exclude_outside": False,
        "antialias": False,
    }

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        size, scale = attrs["size"], attrs["scale"]
        if len(x.shape) != 4:
            raise ShapeError(f"resize of x {list(x.shape)}", position=here(), help="x is (n, c, h, w)")
        if not isinstance(size, tuple) or len(size) != 2 or not all(isinstance(each, int) and each > 0 for each in size):
            raise OperatorArgumentError(f"resize to the size {size!r}", position=here(), help="give rows and columns, 1 or more")
        if not isinstance(scale, tuple) or len(scale) != 2 or not all(isinstance(each, float) and 0 <= each < inf for each in scale):
            raise OperatorArgumentError(f"resize by the scale {scale!r}", position=here(), help="give two numbers above 0")
        for name, known in (("method", METHODS), ("coordinates", COORDINATES), ("nearest", tuple(NEAREST))):
            if attrs[name] not in known:
                raise OperatorArgumentError(f"resize with {name} {attrs[name]!r}", position=here(), help=f"choose from {', '.join(known)}")
        return TensorSpec((*x.shape[:2], *cast("tuple[int, int]", size)), common_dtype("resize", [x], FLOATS))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        rows, columns = _matrices(x.shape, attrs)
        return rows @ x.astype(np.float64) @ columns.T

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        size, matrices = cast("tuple[int, int]", attrs["size"]), _matrices(x.shape, attrs)
        factors = [new // old for old, new in zip(x.shape[2:], size, strict=True)]
        repeated = all(
            1 <= factor <= LARGEST_FACTOR and np.array_equal(matrix, np.repeat(np.eye(matrix.shape[1]), factor, 0))
            for matrix, factor in zip(matrices, factors, strict=True)
        )
        if repeated and max(factors) > 1:
            channels = x.shape[1]
            ones = np.ones((channels, 1, factors[0], factors[1]), x.dtype.numpy)
            return deconv(x, ones, stride=factors, groups=channels)
        rows, columns = (matrix.astype(x.dtype.numpy) for matrix in matrices)
        growth = [new / old for old, new in zip(x.shape[2:], size, strict=True)]
        for axis in (2, 3) if growth[0] <= growth[1] else (3, 2):  # what becomes smaller comes first
            if axis == 2 and not np.array_equal(rows, np.eye(len(rows))):
                x = apply("bm::matmul", np.broadcast_to(rows, (1, 1, *rows.shape)).copy(), x)
            elif axis == 3 and not np.array_equal(columns, np.eye(len(columns))):
                x = matmul(x, np.ascontiguousarray(columns.T))
        return x


def _matrices(shape: Sequence[int], attrs: Mapping[str, Attribute]) -> tuple[Reals, Reals]:
    """What the rows and the columns of a result are made of."""
    sampling = Sampling(
        str(attrs["method"]),
        str(attrs["coordinates"]),
        str(attrs["nearest"]),
        cast("float", attrs["cubic_a"]),
        bool(attrs["exclude_outside"]),
        bool(attrs["antialias"]),
    )
    sizes, scales = cast("tuple[int, int]", attrs["size"]), cast("tuple[float, float]", attrs["scale"])
    rows, columns = (sampling.matrix(old, new, scale or new / old) for old, new, scale in zip(shape[2:], sizes, scales, strict=True))
    return rows, columns


def resize(
    x: Operand,
    size: Sequence[int],
    method: str = "nearest",
    coordinates: str = "half_pixel",
    *,
    scale: Sequence[float] | None = None,
    nearest: str | None = None,
    cubic_a: float = -0.75,
    exclude_outside: bool = False,
    antialias: bool = False,
) -> Tensor:
    """x (n, c, h, w), f32, f16 or bf16, with other numbers of rows and columns.

    An infinity or NaN spreads over its row and column, unless nearest neighbours are repeated a whole number of times.

    Args:
        x: the images.
        size: rows and columns of the result.
        method: "nearest", "linear" or "cubic".
        coordinates: where pixel i of the result lies in x: "half_pixel" (i + 0.5) / scale - 0.5, "pytorch_half_pixel" the same, but 0 where
            there is one pixel, "align_corners" i * (h - 1) / (oh - 1), or "asymmetric" i / scale.
        scale: pixels of the result for one of x: rows, columns; those of the sizes if there are none.
        nearest: "round_prefer_floor" (halves down), "round_prefer_ceil", "floor" or "ceil"; without it "floor" with "asymmetric", as most
            frameworks do, else "round_prefer_floor".
        cubic_a: the coefficient of cubic interpolation.
        exclude_outside: what lies outside of x does not count; else it is as the pixel at the edge.
        antialias: where the result is smaller, linear and cubic interpolation take in as many pixels as one of the result covers.
    """
    chosen = nearest or ("floor" if coordinates == "asymmetric" else "round_prefer_floor")
    scales = tuple(float(each) for each in scale) if scale is not None else (0.0, 0.0)
    return apply(
        "bm::resize",
        x,
        size=tuple(size),
        method=method,
        coordinates=coordinates,
        scale=scales,
        nearest=chosen,
        cubic_a=float(cubic_a),
        exclude_outside=exclude_outside,
        antialias=antialias,
    )


def interpolate(x: Tensor, scale: float | Sequence[float], method: str = "nearest", coordinates: str = "pytorch_half_pixel") -> Tensor:
    """x (n, c, h, w) with `scale` times as many rows and columns, rounded down; `resize` says the rest.

    Args:
        x: the images, f32, f16 or bf16.
        scale: for rows and columns, or one number for both; above 0.
        method, coordinates: as of `resize`.
    """
    factors = [float(each) for each in ([scale, scale] if isinstance(scale, int | float) else scale)]
    if x.ndim != 4 or len(factors) != 2 or not all(0 < each < inf for each in factors):
        raise OperatorArgumentError(
            f"interpolate x {list(x.shape)} by {scale!r}", position=here(), help="x is (n, c, h, w), scales above 0"
        )
    size = [int(count * factor) for count, factor in zip(x.shape[2:], factors, strict=True)]
    return resize(x, size, method, coordinates, scale=factors)


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
