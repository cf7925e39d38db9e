"""Pooling of 8-bit integers with a zero point: exact sums of windows, and averages made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Feed, Layer, LocalForm, Piece, lines
from bmlang.layers.conv_int import BYTES
from bmlang.layers.errors import OperatorDtypeError, ShapeError
from bmlang.layers.integers import whole_numbers
from bmlang.layers.pool import AvgPool, seen, windows_of, with_legal_windows
from bmlang.layers.quantise import requant
from bmlang.layers.region import Region, four
from bmlang.layers.registry import register
from bmlang.layers.tensor import Tensor, apply, attributes, here
from bmlang.layers.windows import pair
from tpukernel.dtypes import Dtype, dtype_of, i8, i32
from tpukernel.lang.signature import TensorSpec

__all__ = ["SumPool", "avg_pool_int", "sum_pool"]

STRIDED = 3
"""A window costs so many times more when both strides are above 1 (cost model of the official compiler)."""


@register
class SumPool(Layer):
    """The sum of x - zero_point over each window; padding stands for zero_point."""

    name = "bm::sum_pool"
    defaults: Mapping[str, object] = {"kernel": ..., "stride": (1, 1), "pad": (0, 0, 0, 0), "ceil_mode": False, "zero_point": 0}
    dtypes: tuple[Dtype, ...] = ()

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        if x.dtype not in BYTES:
            raise OperatorDtypeError(f"sum_pool does not work on {x.dtype.name}", position=here(), help="it works on i8, u8")
        if len(x.shape) != 4:
            raise ShapeError(f"sum_pool of x {list(x.shape)}", position=here(), help="x is (n, c, h, w)")
        whole_numbers("zero_point of sum_pool", attrs["zero_point"], *x.dtype.limits)
        return TensorSpec((*x.shape[:2], *windows_of(self.name, x.shape, attrs).out), i32)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        centred = x.astype(np.int64) - cast("int", attrs["zero_point"])
        return seen(centred, windows_of(self.name, x.shape, attrs), 0).sum((4, 5)).astype(np.int64)

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        (x,) = inputs
        assert x is not None  # noqa: S101
        return with_legal_windows(self.name, x, attrs, cast("int", attrs["zero_point"]))

    def local(self, call: Call) -> LocalForm | None:
        x, zero_point = call.spec(0), cast("int", call.attrs["zero_point"])
        windows = windows_of(self.name, x.shape, call.attrs)
        if not windows.is_legal:
            return None
        taps = prod(windows.kernel)

        def tile(piece: Piece) -> None:
            padding = windows.padding(piece.region)
            k = piece.k
            k.tiu.depthwise2d_int(
                piece.out, piece.ins[0], 1, kernel=windows.kernel, pad_value=zero_point, stride=windows.stride, padding=padding
            )
            if zero_point:
                k.tiu.sub(piece.out, piece.out, zero_point * taps)

        def cycles(region: Region) -> int:
            once = lines(region, i32, call.chip)
            return once * taps * (STRIDED if min(windows.stride) > 1 else 1) + (2 * once if zero_point else 0)

        return LocalForm(
            out=four(call.outputs[0].shape),
            feeds={0: Feed(four(x.shape), lambda region: windows.region(region, (region.start[1], region.size[1])))},
            tile=tile,
            cut=windows.cut(call.chip.lanes),
            cycles=cycles,
        )


def sum_pool(
    x: Tensor,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    zero_point: int = 0,
) -> Tensor:
    """The exact sums, i32, of x - zero_point over windows over h and w of x (n, c, h, w), i8 or u8.

    Args:
        x: the tensor.
        kernel, stride: rows and columns.
        pad: rows and columns around x that stand for 0: top, left, bottom, right; or one number for all.
        zero_point: the number of x that means 0.
    """
    return apply("bm::sum_pool", x, kernel=kernel, stride=stride, pad=pad, zero_point=zero_point)


def avg_pool_int(
    x: Tensor,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = (1, 1),
    pad: int | Sequence[int] = (0, 0, 0, 0),
    scale: float = 1.0,
    zero_points: tuple[int, int] = (0, 0),
    dtype: Dtype | str = i8,
    rounding: str = "half_to_even",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average of windows over h and w of x (n, c, h, w), i8 or u8, that stand for numbers: exact sums, then `requant`.

    Args:
        x: the tensor.
        kernel, stride: rows and columns.
        pad: rows and columns around x that stand for 0: top, left, bottom, right; or one number for all.
        scale: what a step of x means, divided by what a step of the result means.
        zero_points: the integers of x and of the result that mean 0.
        dtype: of the result: bm.i8, bm.u8, bm.i16 or bm.u16.
        rounding: as of `requant`.
        ceil_mode, count_include_pad: as of `avg_pool`.
    """
    attrs = attributes(
        AvgPool(), {"kernel": kernel, "stride": stride, "pad": pad, "ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    )
    windows = {name: attrs[name] for name in ("kernel", "stride", "pad", "ceil_mode")}
    sums = apply("bm::sum_pool", x, **windows, zero_point=zero_points[0])
    if count_include_pad and not ceil_mode:
        return requant(sums, scale / prod(pair("kernel", attrs["kernel"])), zero_points[1], dtype, rounding=rounding)
    factors = (scale / AvgPool().counted(x.shape, attrs).astype(np.float64)).astype(np.float32)
    offset = np.asarray(zero_points[1], np.float32) if zero_points[1] else None
    return apply("bm::requant", sums, factors, offset, dtype=dtype_of(dtype), rounding=rounding)
