"""Images in brightness and colour as red, green and blue, by exact integer arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import concat, permute, split
from bmlang.layers.base import Layer
from bmlang.layers.cast import cast
from bmlang.layers.elementwise import add, mul
from bmlang.layers.elementwise_int import mul_shift
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from bmlang.layers.integers import Wide, check_rounding, shifted
from bmlang.layers.registry import register
from bmlang.layers.resize import upsample
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import Dtype, i16, i32, u8
from tpukernel.lang.signature import TensorSpec

__all__ = ["Yuv2Rgb", "yuv2rgb"]

LAYOUTS: Final[Mapping[str, tuple[bool, tuple[int, int]]]] = {
    "i420": (False, (0, 1)),
    "yv12": (False, (1, 0)),
    "nv12": (True, (0, 1)),
    "nv21": (True, (1, 0)),
}
"""By name: whether both colours of a pixel lie next to each other, and where u and v are."""
FORMULAS: Final[Mapping[str, tuple[int, float, float, float, float, float]]] = {
    "601_limited": (16, 1.16438, 1.59603, -0.39176, -0.81297, 2.01723),
    "601_full": (0, 1.0, 1.40189, -0.34581, -0.71490, 1.77098),
}
"""By name: what black is, factor of y, of v in red, of u and of v in green, of u in blue (TPU-MLIR, Yuv2rgbFormula)."""
BITS = 20
"""Fraction of the factors as integers: sums stay below 2 ** 30, and are off by less than 0.001."""
ORDERS: Final = ("rgb", "bgr")


@register
class Yuv2Rgb(Layer):
    """x (n, h * 3 / 2, w) as (n, 3, h, w), both u8."""

    name = "bm::yuv2rgb"
    defaults: Mapping[str, object] = {"layout": ..., "order": "rgb", "formula": "601_limited", "rounding": "half_away_from_zero"}
    dtypes: tuple[Dtype, ...] = ()

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        if x.dtype != u8:
            raise OperatorDtypeError(f"yuv2rgb of {x.dtype.name}", position=here(), help="give u8")
        if len(x.shape) != 3 or x.shape[1] % 3 or x.shape[2] % 2:
            raise ShapeError(f"yuv2rgb of x {list(x.shape)}", position=here(), help="x is (n, h * 3 / 2, w) with even h and w")
        for name, known in (("layout", tuple(LAYOUTS)), ("order", ORDERS), ("formula", tuple(FORMULAS))):
            if attrs[name] not in known:
                raise OperatorArgumentError(f"yuv2rgb with {name} {attrs[name]!r}", position=here(), help=f"choose from {', '.join(known)}")
        check_rounding("yuv2rgb", attrs["rounding"], floats=False)
        n, rows, columns = x.shape
        return TensorSpec((n, 3, rows // 3 * 2, columns), u8)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        n, rows, columns = x.shape
        h, (pairs, (u, v)) = rows // 3 * 2, LAYOUTS[str(attrs["layout"])]
        colours = x[:, h:].reshape((n, h // 2, columns // 2, 2) if pairs else (n, 2, h // 2, columns // 2)).astype(np.int64)
        colours = (colours.transpose(0, 3, 1, 2) if pairs else colours).repeat(2, 2).repeat(2, 3)
        sums = _factors(attrs) @ np.stack([x[:, :h].astype(np.int64), colours[:, u], colours[:, v]], 1).reshape(n, 3, -1)
        return shifted((sums + _offsets(attrs)).reshape(n, 3, h, columns), -BITS, attrs["rounding"])

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        n, rows, columns = x.shape
        h, (pairs, (u, v)) = rows // 3 * 2, LAYOUTS[str(attrs["layout"])]
        brightness = reshape(x[:, :h], (n, 1, h, columns))
        colours = reshape(x[:, h:], (n, h // 2, columns // 2, 2) if pairs else (n, 2, h // 2, columns // 2))
        both = split(upsample(permute(colours, (0, 3, 1, 2)) if pairs else colours, 2), (1, 1), 1)
        planes = [cast(each, i32) for each in (brightness, both[u], both[v])]
        parts: list[Tensor] = []
        for factors, offset in zip(_factors(attrs).tolist(), _offsets(attrs).reshape(-1).tolist(), strict=True):
            total: Tensor | None = None
            for plane, factor in zip(planes, factors, strict=True):
                if factor:
                    product = mul(plane, factor)
                    total = product if total is None else add(total, product)
            assert total is not None  # noqa: S101
            numbers = mul_shift(add(total, offset), np.asarray(1, np.int32), -BITS, i16, rounding=str(attrs["rounding"]))
            parts.append(cast(numbers, u8))
        return concat(parts, 1)


def _factors(attrs: Mapping[str, Attribute]) -> Wide:
    """Of y, u and v in the three colours (3, 3), in the order of the result."""
    _, y, v_red, u_green, v_green, u_blue = FORMULAS[str(attrs["formula"])]
    rows = np.array([[y, 0, v_red], [y, u_green, v_green], [y, u_blue, 0]]) * 2**BITS
    return np.rint(rows if attrs["order"] == "rgb" else rows[::-1]).astype(np.int64)


def _offsets(attrs: Mapping[str, Attribute]) -> Wide:
    """What the sums begin with, (3, 1): black and no colour are numbers above 0."""
    start = np.array([[FORMULAS[str(attrs["formula"])][0]], [128], [128]], np.int64)
    return -(_factors(attrs) @ start)


def yuv2rgb(
    x: Operand,
    layout: str,
    order: str = "rgb",
    *,
    formula: str = "601_limited",
    rounding: str = "half_away_from_zero",
) -> Tensor:
    """Images in brightness and colour, u8, with one colour for each square of four pixels, as red, green and blue (n, 3, h, w), u8.

    Args:
        x: (n, h * 3 / 2, w), h and w even: the brightness of all pixels, then the colours.
        layout: "i420" (all u, then all v), "yv12" (all v, then all u), "nv12" (u and v of each pixel) or "nv21" (v and u of each).
        order: "rgb" or "bgr".
        formula: of BT.601: "601_limited" (black is 16) or "601_full" (black is 0), with five digits behind the point.
        rounding: as of `requant_int`.
    """
    return apply("bm::yuv2rgb", x, layout=layout, order=order, formula=formula, rounding=rounding)
