"""Conversion between data types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast as typed

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Layer, LocalForm, Piece
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.pointwise import pointwise
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import DTYPES, Dtype, dtype_of, f16
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["Cast", "cast"]

ROUNDINGS: Mapping[str, Rounding] = {
    "half_to_even": Rounding.HALF_EVEN,
    "half_away_from_zero": Rounding.HALF_AWAY,
    "towards_zero": Rounding.TOWARD_ZERO,
    "down": Rounding.DOWN,
    "up": Rounding.UP,
    "half_up": Rounding.HALF_UP,
    "half_down": Rounding.HALF_DOWN,
}
"""The names of TpuLang."""
Wide = NDArray[np.float64]


def _half_away(x: Wide) -> Wide:
    return np.trunc(x + np.copysign(0.5, x))


def _half_up(x: Wide) -> Wide:
    return np.floor(x + 0.5)


def _half_down(x: Wide) -> Wide:
    return np.ceil(x - 0.5)


ROUNDED: Mapping[str, Callable[[Wide], Wide]] = {
    "half_to_even": np.rint,
    "half_away_from_zero": _half_away,
    "towards_zero": np.trunc,
    "down": np.floor,
    "up": np.ceil,
    "half_up": _half_up,
    "half_down": _half_down,
}


FLOAT_ROUNDINGS = ("half_to_even", "half_away_from_zero", "towards_zero", "down", "up")
"""Those of conversions from floats; shifts of integers have all."""


def narrowed(x: Wide, dtype: Dtype, rounding: str, limit: float) -> Array:
    """Numbers in a float type, as the chip converts them (instruction-set study): those that are infinite in f32 or have reached a limit
    are not rounded towards smaller ones, and below 2 ** -126 all is 0.
    """
    x = np.where(np.abs(x) < 2.0**-126, np.copysign(0.0, x), x)
    nearest = x.astype(dtype.numpy)
    if rounding == "half_to_even":
        return nearest
    near = nearest.astype(np.float64)
    if rounding == "half_away_from_zero":
        farther = np.nextafter(nearest, np.copysign(np.inf, x).astype(dtype.numpy))
        tie = (np.abs(near) < np.abs(x)) & (np.abs(farther.astype(np.float64) - x) == np.abs(x - near))
        return np.where(tie, farther, nearest)
    direction = {"towards_zero": np.zeros_like(x), "down": np.full_like(x, -np.inf), "up": np.full_like(x, np.inf)}[rounding]
    passed = {"towards_zero": np.abs(near) > np.abs(x), "down": near > x, "up": near < x}[rounding]
    return np.where(passed & (np.abs(x) < limit), np.nextafter(nearest, direction.astype(dtype.numpy)), nearest)


@register
class Cast(Layer):
    """The numbers of x in another data type."""

    name = "bm::cast"
    defaults: Mapping[str, object] = {"dtype": ..., "rounding": "half_to_even"}
    dtypes = tuple(DTYPES.values())
    elementwise = True

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (spec,) = inputs
        assert spec is not None  # noqa: S101
        if attrs["rounding"] not in ROUNDINGS:
            raise OperatorArgumentError(
                f"bm::cast has no rounding {attrs['rounding']!r}", position=here(), help=f"choose from {', '.join(ROUNDINGS)}"
            )
        target = typed("Dtype", attrs["dtype"])
        if (spec.dtype.is_float or target.is_float) and attrs["rounding"] not in FLOAT_ROUNDINGS:
            raise OperatorArgumentError(
                f"bm::cast of {spec.dtype.name} to {target.name} has no rounding {attrs['rounding']!r}",
                position=here(),
                help=f"choose from {', '.join(FLOAT_ROUNDINGS)}",
            )
        return TensorSpec(spec.shape, target)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        dtype = typed("Dtype", attrs["dtype"])
        whole, rounding = np.issubdtype(x.dtype, np.integer), str(attrs["rounding"])
        if dtype.is_int:
            return x if whole else ROUNDED[rounding](x.astype(np.float64))
        # exponents of floats that f16 has not are found before the number is rounded; integers are rounded first
        return narrowed(x.astype(np.float64), dtype, rounding, 2.0**16 if dtype == f16 and not whole else 2.0**128)

    def local(self, call: Call) -> LocalForm:
        rounding = ROUNDINGS[str(call.attrs["rounding"])]

        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            (source,) = operands
            assert isinstance(source, Tile)  # noqa: S101
            piece.k.tiu.cast(piece.out, source, rounding=rounding)

        return pointwise(call, compute, numbers=False)


def cast(x: Operand, dtype: Dtype | str, rounding: str = "half_to_even") -> Tensor:
    """The numbers of x in another data type; integers are limited to it.

    Args:
        x: the tensor.
        dtype: the data type, for example bm.f16.
        rounding: "half_to_even", "half_away_from_zero", "towards_zero", "down" or "up".
    """
    return apply("bm::cast", x, dtype=dtype_of(dtype), rounding=rounding)
