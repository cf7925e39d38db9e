"""Where the largest and the smallest elements are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import axis_of
from bmlang.layers.base import FLOATS, Layer
from bmlang.layers.cast import cast
from bmlang.layers.compare import where
from bmlang.layers.elementwise import min
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.gather import gather
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.reduce import LONGEST_ROW, parts_of
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import f32, i8, i16, i32, u8, u16
from tpukernel.lang.signature import TensorSpec

__all__ = ["Arg", "argmax", "argmin"]

NARROW = (i8, u8, i16, u16)
COUNTED = 1 << 24
"""Indices that f32 has."""


@register
class Arg(Layer):
    """The index of the largest or smallest element along a dimension, i32; the first or the last of several. Computed in f32."""

    name = "bm::arg"
    defaults: Mapping[str, object] = {"method": ..., "axis": ..., "keepdims": False, "last": False}
    dtypes = (f32, *NARROW)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        common_dtype("arg", [x], (*FLOATS, *NARROW))
        axis = axis_of("arg", len(x.shape), attrs["axis"])
        if attrs["method"] not in ("max", "min"):
            raise OperatorArgumentError(f"arg of the method {attrs['method']!r}", position=here(), help='give "max" or "min"')
        if x.shape[axis] >= COUNTED:
            raise ShapeError(
                f"arg of x {list(x.shape)} along dimension {axis}", position=here(), help=f"at most {COUNTED - 1} elements are counted"
            )
        kept = (1,) if attrs["keepdims"] else ()
        return TensorSpec((*x.shape[:axis], *kept, *x.shape[axis + 1 :]) or (1,), i32)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axis = axis_of("arg", x.ndim, attrs["axis"])
        wide = x.astype(np.float64)
        if attrs["last"]:
            wide = np.flip(wide, axis)
        found = np.expand_dims((np.argmax if attrs["method"] == "max" else np.argmin)(wide, axis), axis)
        return x.shape[axis] - 1 - found if attrs["last"] else found

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axis, method = axis_of("arg", x.ndim, attrs["axis"]), attrs["method"]
        size = x.shape[axis]
        if x.dtype != f32:
            x = cast(x, f32)
        if size > LONGEST_ROW and prod(x.shape[axis + 1 :]) == 1:
            return reshape(_in_parts(x, size, attrs), self.infer([x.spec], attrs).shape)
        extreme = apply(f"bm::reduce_{method}", x, axis=axis, keepdims=True)
        hit = apply("bm::ge" if method == "max" else "bm::le", x, extreme)
        places = np.arange(size, dtype=np.float32).reshape(-1, *(1,) * (x.ndim - axis - 1))
        named = where(hit, places, -1.0 if attrs["last"] else size - 1.0)
        return cast(apply("bm::reduce_max" if attrs["last"] else "bm::reduce_min", named, axis=axis, keepdims=attrs["keepdims"]), i32)


def _in_parts(x: Tensor, size: int, attrs: Mapping[str, Attribute]) -> Tensor:
    """The index in long rows, the last dimension: that of the part with the extreme, then that in this part."""
    method, last = attrs["method"], attrs["last"]
    blocks = parts_of(reshape(x, (-1, size, 1)), LONGEST_ROW, -inf if method == "max" else inf)
    outer, parts, part, _ = blocks.shape
    tops = apply(f"bm::reduce_{method}", blocks, axis=(2, 3), keepdims=False)
    which = apply("bm::arg", tops, method=method, axis=1, keepdims=False, last=last)
    rows = gather(reshape(blocks, (-1, part)), which + (np.arange(outer) * parts).astype(np.int32))
    inside = apply("bm::arg", rows, method=method, axis=1, keepdims=False, last=last)
    return min(which * part + inside, size - 1)


def argmax(x: Operand, axis: int = -1, keepdims: bool = False, *, last: bool = False) -> Tensor:
    """The index of the largest element along a dimension, i32. The element itself is `reduce_max`; it is computed once.

    Args:
        x: f32, f16, bf16, or integers of up to 16 bits; numbers, no NaN; f32 and bf16 below 2 ** -126 count as 0.
        axis: the dimension.
        keepdims: leave a dimension of size 1 in its place.
        last: of equal elements the last one, not the first.
    """
    return apply("bm::arg", x, method="max", axis=axis, keepdims=keepdims, last=last)


def argmin(x: Operand, axis: int = -1, keepdims: bool = False, *, last: bool = False) -> Tensor:
    """The index of the smallest element along a dimension, i32; arguments as of `argmax`."""
    return apply("bm::arg", x, method="min", axis=axis, keepdims=keepdims, last=last)
