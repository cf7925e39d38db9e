"""Arithmetic on integers that stand for numbers in a scale, and comparisons of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, LocalForm, Piece
from bmlang.layers.elementwise_int import Binary
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.integers import check_rounding, floats_rounded, rounding_of, whole_numbers
from bmlang.layers.pointwise import pointwise
from bmlang.layers.quantise import NARROW
from bmlang.layers.registry import add as add_layer
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import Dtype, dtype_of, f32, i8, i32
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = [
    "Scaled",
    "add_scaled",
    "eq_scaled",
    "ge_scaled",
    "gt_scaled",
    "le_scaled",
    "lt_scaled",
    "max_scaled",
    "min_scaled",
    "mul_scaled",
    "ne_scaled",
    "sub_scaled",
]

OPERATIONS: Final[Mapping[str, tuple[str, Callable[..., Array]]]] = {
    "add": ("add", np.add),
    "sub": ("sub", np.subtract),
    "mul": ("mul", np.multiply),
    "max": ("max", np.maximum),
    "min": ("min", np.minimum),
    "gt": ("greater", np.greater),
    "ge": ("greater_equal", np.greater_equal),
    "lt": ("less", np.less),
    "le": ("less_equal", np.less_equal),
    "eq": ("equal", np.equal),
    "ne": ("not_equal", np.not_equal),
}
"""By name: the operation of the tensor unit, and numpy's."""


class Scaled(Binary):
    """((a - a_zero_point) * a_factor op (b - b_zero_point) * b_factor) * factor, rounded, plus zero_point, limited to the type.

    Each step is computed in f32; factors of 1 are none. Comparisons give 1 and 0, before the factor.
    """

    defaults: Mapping[str, object] = {
        "a_factor": 1.0,
        "b_factor": 1.0,
        "factor": 1.0,
        "a_zero_point": 0,
        "b_zero_point": 0,
        "zero_point": 0,
        "dtype": ...,
        "rounding": "half_to_even",
    }
    allowed = NARROW

    def __init__(self, operation: str) -> None:
        super().__init__(operation)
        self.name = f"bm::{operation}_scaled"

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        found = super().infer(inputs, attrs)
        check_rounding(self.told, attrs["rounding"], floats=True)
        for spec, name in ((inputs[0], "a_zero_point"), (inputs[1], "b_zero_point"), (found, "zero_point")):
            assert spec is not None  # noqa: S101
            whole_numbers(f"{name} of {self.told}", attrs[name], *spec.dtype.limits)
        return found

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        numbers: list[Array] = []
        for array, which in zip(inputs, "ab", strict=True):
            assert array is not None  # noqa: S101
            centred = (array.astype(np.int64) - cast("int", attrs[f"{which}_zero_point"])).astype(np.float32)
            numbers.append(centred * np.float32(cast("float", attrs[f"{which}_factor"])))
        made = OPERATIONS[self.operation][1](*numbers).astype(np.float32) * np.float32(cast("float", attrs["factor"]))
        found = floats_rounded(np.asarray(made), attrs["rounding"])
        return np.clip(found, *i32.limits) + cast("int", attrs["zero_point"])

    def local(self, call: Call) -> LocalForm:
        rounding, zero_point = rounding_of(call.attrs["rounding"]), cast("int", call.attrs["zero_point"])
        factor = cast("float", call.attrs["factor"])

        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            k, size = piece.k, piece.region.size
            a, b = (self._number(piece, operand, call.attrs, which) for operand, which in zip(operands, "ab", strict=True))
            made = k.local(size, f32, name="made")
            getattr(k.tiu, OPERATIONS[self.operation][0])(made, a, b)
            if factor != 1:
                k.tiu.mul(made, made, factor)
            if not zero_point:
                k.tiu.cast(piece.out, made, rounding=rounding)
                return
            whole = k.local(size, i32, name="whole")
            k.tiu.cast(whole, made, rounding=rounding)
            if piece.out.dtype.is_signed:
                k.tiu.add(piece.out, whole, zero_point)
                return
            k.tiu.add(whole, whole, zero_point)  # arithmetic with signed numbers has signed results only
            k.tiu.cast(piece.out, whole)

        return pointwise(call, compute, operations=9, work_buffers=6, numbers=False)

    def _number(self, piece: Piece, operand: Source, attrs: Mapping[str, Attribute], which: str) -> Tile:
        """An operand as f32, in the shape that it has."""
        assert isinstance(operand, Tile)  # noqa: S101
        k, factor, zero_point = piece.k, cast("float", attrs[f"{which}_factor"]), cast("int", attrs[f"{which}_zero_point"])
        n, c, h, w = operand.shape
        shape = cast("tuple[int, int, int, int]", (n, c, h, w))
        if zero_point:
            centred = k.local(shape, i32, name="centred")
            k.tiu.sub(centred, operand, zero_point)
            operand = centred
        number = k.local(shape, f32, name="number")
        k.tiu.cast(number, operand)
        if factor != 1:
            k.tiu.mul(number, number, factor)
        return number


for _operation in OPERATIONS:
    add_layer(Scaled(_operation), __name__)


Triple = Sequence[float]
"""A number for a, for b, and for the result."""


def add_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """a + b of integers that stand for numbers, broadcast as in numpy; computed in f32.

    Args:
        a, b: i8, u8, i16 or u16.
        scales: what a step of a, of b and of the result means: numbers above 0.
        zero_points: the integers of a, of b and of the result that mean 0.
        dtype: of the result: bm.i8, bm.u8, bm.i16 or bm.u16.
        rounding: as of `requant`.
    """
    one, other, result = _scales("add_scaled", scales)
    return _scaled("add", a, b, {"a_factor": one / result, "b_factor": other / result}, zero_points, dtype, rounding)


def sub_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """a - b of integers that stand for numbers; arguments as of `add_scaled`."""
    one, other, result = _scales("sub_scaled", scales)
    return _scaled("sub", a, b, {"a_factor": one / result, "b_factor": other / result}, zero_points, dtype, rounding)


def mul_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """a * b of integers that stand for numbers; arguments as of `add_scaled`. Products of bytes are exact before they are scaled."""
    one, other, result = _scales("mul_scaled", scales)
    return _scaled("mul", a, b, {"factor": one * other / result}, zero_points, dtype, rounding)


def max_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """The larger one of a and b, integers that stand for numbers; arguments as of `add_scaled`."""
    one, other, result = _scales("max_scaled", scales)
    return _scaled("max", a, b, {"a_factor": one / result, "b_factor": other / result}, zero_points, dtype, rounding)


def min_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """The smaller one of a and b, integers that stand for numbers; arguments as of `add_scaled`."""
    one, other, result = _scales("min_scaled", scales)
    return _scaled("min", a, b, {"a_factor": one / result, "b_factor": other / result}, zero_points, dtype, rounding)


def gt_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """1 where a > b, else 0, of integers that stand for numbers, as an integer of the third scale; arguments as of `add_scaled`."""
    return _compared("gt", a, b, scales, zero_points, dtype, rounding)


def ge_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """1 where a >= b, else 0, of integers that stand for numbers, as an integer of the third scale; arguments as of `add_scaled`."""
    return _compared("ge", a, b, scales, zero_points, dtype, rounding)


def lt_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """1 where a < b, else 0, of integers that stand for numbers, as an integer of the third scale; arguments as of `add_scaled`."""
    return _compared("lt", a, b, scales, zero_points, dtype, rounding)


def le_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """1 where a <= b, else 0, of integers that stand for numbers, as an integer of the third scale; arguments as of `add_scaled`."""
    return _compared("le", a, b, scales, zero_points, dtype, rounding)


def eq_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """1 where a == b, else 0, of integers that stand for numbers, as an integer of the third scale; arguments as of `add_scaled`."""
    return _compared("eq", a, b, scales, zero_points, dtype, rounding)


def ne_scaled(
    a: Operand,
    b: Operand,
    scales: Triple,
    zero_points: Sequence[int] = (0, 0, 0),
    dtype: Dtype | str = i8,
    *,
    rounding: str = "half_to_even",
) -> Tensor:
    """1 where a != b, else 0, of integers that stand for numbers, as an integer of the third scale; arguments as of `add_scaled`."""
    return _compared("ne", a, b, scales, zero_points, dtype, rounding)


def _compared(
    operation: str, a: Operand, b: Operand, scales: Triple, zero_points: Sequence[int], dtype: Dtype | str, rounding: str
) -> Tensor:
    one, other, result = _scales(f"{operation}_scaled", scales)
    factors = {"a_factor": one, "b_factor": other, "factor": 1 / result}
    return _scaled(operation, a, b, factors, zero_points, dtype, rounding)


def _scales(name: str, scales: Triple) -> tuple[float, float, float]:
    if len(scales) != 3 or not all(np.isfinite(each) and each > 0 for each in scales):
        raise OperatorArgumentError(
            f"scales of {name} are {scales!r}", position=here(), help="give three numbers above 0: of a, b, the result"
        )
    return scales[0], scales[1], scales[2]


def _scaled(
    operation: str, a: Operand, b: Operand, factors: Mapping[str, float], zero_points: Sequence[int], dtype: Dtype | str, rounding: str
) -> Tensor:
    if len(zero_points) != 3:
        raise OperatorArgumentError(
            f"zero_points of {operation}_scaled are {zero_points!r}", position=here(), help="give three: of a, b and the result"
        )
    points = dict(zip(("a_zero_point", "b_zero_point", "zero_point"), zero_points, strict=True))
    return apply(f"bm::{operation}_scaled", a, b, **factors, **points, dtype=dtype_of(dtype), rounding=rounding)
