"""Base element-wise operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import Operand
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import DTYPES, dtype_named, rounding_named
from bmlang.tpulang.operator import FLOATS, Number, check, is_bytes, made, needs, operand, operator, value
from bmlang.tpulang.scaled import Meaning
from bmlang.tpulang.tensor import Scalar, Tensor
from tpukernel.dtypes import Dtype, i8, i16, i32, u8, u16

__all__ = ["add", "add_shift", "clamp", "copy", "div", "max", "min", "mul", "mul_shift", "sub", "sub_shift"]

Given = Tensor | Scalar | float | int
Integer = Tensor | Scalar | int
Binary = Callable[[Operand, Operand], Value]
PLAIN: Final[Mapping[str, Binary]] = {"add": bm.add, "sub": bm.sub, "mul": bm.mul, "max": bm.max, "min": bm.min}
SCALED: Final[Mapping[str, Callable[..., Value]]] = {
    "add": bm.add_scaled,
    "sub": bm.sub_scaled,
    "mul": bm.mul_scaled,
    "max": bm.max_scaled,
    "min": bm.min_scaled,
}
SHIFTED: Final[Mapping[str, Callable[..., Value]]] = {"add": bm.add_shift, "sub": bm.sub_shift, "mul": bm.mul_shift}
WRAPPED: Final[Mapping[Dtype, int]] = {i8: 8, u8: 8, i16: 16, u16: 16}
"""Types whose arithmetic can wrap, with their bits."""


@operator
def add(
    tensor_i0: Given,
    tensor_i1: Given,
    scale: Sequence[float] | None = None,
    zero_point: Sequence[int] | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The sum of two tensors, or of a tensor and a number; shapes are broadcast.

    Args:
        tensor_i0, tensor_i1: tensors, or one of them a number: floats of one type, or integers. Integers without `scale` are limited to
            the type of the result.
        scale: what a step of the first, of the second and of the result means, for integers that stand for numbers.
        zero_point: the integers of them that mean 0.
        out_dtype: type of the result; that of the inputs by default, int8 if one of them is.
        out_name: name of the result.
    """
    return _binary("add", tensor_i0, tensor_i1, scale, zero_point, out_dtype, out_name)


@operator
def sub(
    tensor_i0: Given,
    tensor_i1: Given,
    scale: Sequence[float] | None = None,
    zero_point: Sequence[int] | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The difference of two tensors, or of a tensor and a number; of integers it is signed. Arguments as of `add`."""
    return _binary("sub", tensor_i0, tensor_i1, scale, zero_point, out_dtype, out_name)


@operator
def mul(
    tensor_i0: Given,
    tensor_i1: Given,
    scale: Sequence[float] | None = None,
    zero_point: Sequence[int] | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The product of two tensors, or of a tensor and a number; a number stands for itself with `scale`, too. Arguments as of `add`."""
    return _binary("mul", tensor_i0, tensor_i1, scale, zero_point, out_dtype, out_name)


@operator
def div(tensor_i0: Given, tensor_i1: Given, out_name: str | None = None) -> Tensor:
    """The quotient of two float tensors, or of a tensor and a number, computed in float32."""
    tensors = _tensors(tensor_i0, tensor_i1)
    for each in tensors:
        needs(each, *FLOATS)
        needs(each, tensors[0].dtype)
    return made(bm.div(_number(tensor_i0, tensors[0]), _number(tensor_i1, tensors[0])), out_name)


@operator
def max(
    tensor_i0: Given,
    tensor_i1: Given,
    scale: Sequence[float] | None = None,
    zero_point: Sequence[int] | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The larger one of two tensors, or of a tensor and a number; any integers. Arguments as of `add`."""
    return _binary("max", tensor_i0, tensor_i1, scale, zero_point, out_dtype, out_name)


@operator
def min(
    tensor_i0: Given,
    tensor_i1: Given,
    scale: Sequence[float] | None = None,
    zero_point: Sequence[int] | None = None,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The smaller one of two tensors, or of a tensor and a number; any integers. Arguments as of `add`."""
    return _binary("min", tensor_i0, tensor_i1, scale, zero_point, out_dtype, out_name)


@operator
def add_shift(
    tensor_i0: Integer,
    tensor_i1: Integer,
    shift: int,
    out_dtype: str,
    round_mode: str = "half_away_from_zero",
    is_saturate: bool = True,
    out_name: str | None = None,
) -> Tensor:
    """(tensor_i0 + tensor_i1) * 2 ** shift of integers, exact before it is rounded.

    Args:
        tensor_i0, tensor_i1: tensors of integers, or one of them a number.
        shift: positive to the left, negative to the right.
        out_dtype: type of the result.
        round_mode: of the shift to the right.
        is_saturate: limit the result to its type; otherwise it wraps.
        out_name: name of the result.
    """
    return _shifted("add", tensor_i0, tensor_i1, shift, out_dtype, round_mode, is_saturate, out_name)


@operator
def sub_shift(
    tensor_i0: Integer,
    tensor_i1: Integer,
    shift: int,
    out_dtype: str,
    round_mode: str = "half_away_from_zero",
    is_saturate: bool = True,
    out_name: str | None = None,
) -> Tensor:
    """(tensor_i0 - tensor_i1) * 2 ** shift of integers, as `add_shift`."""
    return _shifted("sub", tensor_i0, tensor_i1, shift, out_dtype, round_mode, is_saturate, out_name)


@operator
def mul_shift(
    tensor_i0: Integer,
    tensor_i1: Integer,
    shift: int,
    out_dtype: str,
    round_mode: str = "half_away_from_zero",
    is_saturate: bool = True,
    out_name: str | None = None,
) -> Tensor:
    """tensor_i0 * tensor_i1 * 2 ** shift of integers, as `add_shift`."""
    return _shifted("mul", tensor_i0, tensor_i1, shift, out_dtype, round_mode, is_saturate, out_name)


@operator
def copy(input: Tensor, out_name: str | None = None) -> Tensor:
    """The same tensor with another name."""
    return made(value(input), out_name, input.scale, input.zero_point)


@operator
def clamp(input: Tensor, min: float, max: float, out_name: str | None = None) -> Tensor:
    """A float tensor limited to min .. max."""
    needs(input, *FLOATS)
    check(min <= max, f"min {min} is above max {max}", "give the smaller number first")
    return made(bm.clamp(value(input), min, max), out_name)


def _tensors(*given: Given) -> list[Tensor]:
    found = [each for each in given if isinstance(each, Tensor)]
    check(bool(found), "there is no tensor", "give a tensor: numbers alone are computed by Python")
    return found


def _number(given: Given, like: Tensor) -> Operand:
    """An operand; a number becomes one of the type of the tensor."""
    return given.value if isinstance(given, Scalar) else operand(given) if not isinstance(given, Tensor) else value(given)


def _result(operation: str, tensors: Sequence[Tensor], out_dtype: str | None) -> str:
    """The type of the result, as TpuLang chooses it."""
    if tensors[0].dtype in FLOATS:
        for tensor in tensors:
            needs(tensor, tensors[0].dtype)
        check(out_dtype in (None, tensors[0].dtype), f"out_dtype is {out_dtype}", f"the result is {tensors[0].dtype}, as the inputs")
        return tensors[0].dtype
    for tensor in tensors:
        needs(tensor, *(name for name, dtype in DTYPES.items() if dtype.is_int))
    signed = tensors[0] if tensors[0].kind.is_signed else tensors[-1]
    found = dtype_named(signed.dtype if out_dtype is None else out_dtype)
    if operation == "sub" and not found.is_signed:
        check(out_dtype is None, f"out_dtype is {out_dtype}", "differences are signed")
        return signed.dtype.removeprefix("u")
    return next(name for name, dtype in DTYPES.items() if dtype is found)


def _binary(
    operation: str,
    first: Given,
    second: Given,
    scale: Sequence[float] | None,
    zero_point: Sequence[int] | None,
    out_dtype: str | None,
    out_name: str | None,
) -> Tensor:
    tensors = _tensors(first, second)
    dtype = _result(operation, tensors, out_dtype)
    if scale is not None:
        return _of_numbers(operation, first, second, scale, zero_point, dtype, out_name)
    one, other = _number(first, tensors[0]), _number(second, tensors[0])
    if all(each.dtype == dtype for each in tensors):
        return made(PLAIN[operation](one, other), out_name)
    if operation in SHIFTED:
        return made(_limited(operation, one, other, 0, DTYPES[dtype], "half_away_from_zero"), out_name)
    return made(bm.cast(PLAIN[operation](_widened(one), _widened(other)), DTYPES[dtype]), out_name)


def _limited(operation: str, one: Operand, other: Operand, shift: int, dtype: Dtype, rounding: str) -> Value:
    """Integers with a shift, limited to a type. The chip has results of the sign of its operands: others come by way of 32 bits."""
    signed = operation == "sub" or any(each.dtype.is_signed for each in (one, other) if isinstance(each, Value))
    if dtype.is_signed is signed:
        return SHIFTED[operation](one, other, shift, dtype, rounding=rounding)
    wide = [_widened(each) for each in (one, other)]
    return bm.cast(SHIFTED[operation](wide[0], wide[1], shift, i32, rounding=rounding), dtype)


def _widened(given: Operand) -> Operand:
    return bm.cast(given, i32) if isinstance(given, Value) else np.asarray(given).astype(np.int32)


def _of_numbers(
    operation: str,
    first: Given,
    second: Given,
    scale: Sequence[float],
    zero_point: Sequence[int] | None,
    dtype: str,
    out_name: str | None,
) -> Tensor:
    """Integers that stand for numbers."""
    points = [0, 0, 0] if zero_point is None else list(zero_point)
    check(
        len(scale) == len(points) == 3, f"scale {list(scale)} and zero_point {points}", "give three of each: of both inputs and the result"
    )
    said = [Meaning(np.abs(float(step)).item(), int(point)) for step, point in zip(scale, points, strict=True)]
    (one, first_means), (other, second_means) = (_meant(operation, given, each) for given, each in zip((first, second), said, strict=False))
    target = said[2]
    means = (first_means, second_means, target)
    steps, zeros = [each.scale for each in means], [each.zero_point for each in means]
    found = SCALED[operation](one, other, steps, zeros, DTYPES[dtype], rounding="half_away_from_zero")
    return made(found, out_name, target.scale, target.zero_point)


def _meant(operation: str, given: Given, meaning: Meaning) -> tuple[Operand, Meaning]:
    """An operand of integers, and what they stand for."""
    if isinstance(given, Tensor):
        needs(given, "int8", "uint8", "int16", "uint16")
        given.quantization(meaning.scale, meaning.zero_point)
        return value(given), meaning
    if operation == "mul":  # a number stands for itself
        number = float(given.value if isinstance(given, Scalar) else given)
        return np.asarray(np.sign(number), np.int8), Meaning(np.abs(number).item() or 1.0)
    check(isinstance(given, Scalar) and is_bytes(given), f"{given!r} with scale", 'give Scalar(number, "int8"), an integer in its scale')
    return operand(given), meaning


def _shifted(
    operation: str, first: Integer, second: Integer, shift: int, out_dtype: str, round_mode: str, is_saturate: bool, out_name: str | None
) -> Tensor:
    tensors = _tensors(first, second)
    rounding, dtype = rounding_named(round_mode), dtype_named(out_dtype)
    one, other = (np.asarray(_scalar(each), np.int32) if not isinstance(each, Tensor) else value(each) for each in (first, second))
    if is_saturate:
        return made(_limited(operation, one, other, shift, dtype, rounding), out_name)
    check(
        dtype in WRAPPED and shift <= 0,
        f"is_saturate=False with {out_dtype} and shift {shift}",
        "results of 8 or 16 bits wrap, shifted to the right",
    )
    for tensor in tensors:
        needs(tensor, "int8", "uint8", "int16", "uint16")
    wide = _limited(operation, one, other, shift, i32, rounding)
    bits = WRAPPED[dtype]
    half = 1 << (bits - 1) if dtype.is_signed else 0
    turns = bm.add_shift(wide, np.asarray(half, np.int32), -bits, i32, rounding="down")
    rest = bm.sub_shift(wide, bm.mul_shift(turns, np.asarray(1 << bits, np.int32), 0, i32), 0, i32)
    return made(bm.cast(rest, dtype), out_name)


def _scalar(given: Scalar | Number) -> int:
    number = given.value if isinstance(given, Scalar) else given
    check(float(number).is_integer(), f"{number} among integers", "give a whole number")
    return int(number)
