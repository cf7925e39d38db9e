"""Quant operators: integers of other scales, and conversions."""

from __future__ import annotations

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import DTYPES, dtype_named, rounding_named
from bmlang.tpulang.operator import check, made, needs, operator, plain, value, whole
from bmlang.tpulang.tensor import Numbers, Tensor, Whole
from tpukernel.dtypes import i32

__all__ = ["cast", "dequant_int", "dequant_int_to_fp", "requant_fp", "requant_fp_to_int", "requant_int", "requant_modes"]

MULTIPLIER_BITS = 31
"""Multipliers of TensorFlow Lite are fractions with so many bits."""


@operator
def requant_fp_to_int(
    tensor_i: Tensor,
    scale: Numbers,
    offset: Numbers,
    requant_mode: int,
    out_dtype: str,
    out_name: str | None = None,
    round_mode: str = "half_away_from_zero",
) -> Tensor:
    """Numbers as integers of a scale.

    Args:
        tensor_i: float32 or float16 with mode 0; int32, int16 or uint16 with mode 1.
        scale: a number, or one for each channel. In mode 0 what a step of the result means, as of every quantised tensor of TpuLang.
        offset: the integer that means 0; in mode 1 any number.
        requant_mode: 0 for round(x / scale) + offset, 1 for round(x * scale + offset).
        out_dtype: int8, uint8, int16 or uint16.
        out_name: name of the result.
        round_mode: of the rounding.
    """
    check(requant_mode in (0, 1), f"requant_mode is {requant_mode}", "choose 0 or 1")
    rounding = rounding_named(round_mode, floats=True)
    dtype = dtype_named(out_dtype)
    if requant_mode == 1:
        needs(tensor_i, "int32", "int16", "uint16")
        return made(bm.requant(value(tensor_i), plain(scale), plain(offset), dtype, rounding=rounding), out_name)
    needs(tensor_i, "float32", "float16", "bfloat16")
    points = whole(offset, "offset")
    return made(bm.quantise(value(tensor_i), plain(scale), points, dtype, rounding=rounding), out_name, scale, points)


@operator
def requant_fp(
    tensor_i: Tensor,
    scale: Numbers,
    offset: Numbers,
    out_dtype: str,
    out_name: str | None = None,
    round_mode: str = "half_away_from_zero",
    first_round_mode: str = "half_away_from_zero",
) -> Tensor:
    """Sums as integers of few bits: round(x * scale + offset).

    Args:
        tensor_i: int32, int16 or uint16.
        scale, offset: a number, or one for each channel.
        out_dtype: int8, uint8, int16 or uint16.
        out_name: name of the result.
        round_mode: of the rounding; "half_up" and "half_down" move the offset by a half and round down or up.
        first_round_mode: how the integers become floats of 24 bits. The chip rounds to the nearest; nothing else is there.
    """
    needs(tensor_i, "int32", "int16", "uint16")
    rounding_named(first_round_mode)
    rounding = rounding_named(round_mode)
    moved = {"half_up": ("down", 0.5), "half_down": ("up", -0.5)}
    rounding, more = moved.get(rounding, (rounding, 0.0))
    shifted = offset + more if isinstance(offset, float | int) else [each + more for each in offset]
    found = bm.requant(value(tensor_i), plain(scale), plain(shifted), dtype_named(out_dtype), rounding=rounding)
    return made(found, out_name)


@operator
def requant_int(
    tensor_i: Tensor,
    mul: Whole,
    shift: Whole,
    offset: Whole,
    requant_mode: int,
    out_dtype: str = "int8",
    out_name: str | None = None,
    round_mode: str = "half_away_from_zero",
    rq_axis: int = 1,
    fuse_rq_to_matmul: bool = False,
) -> Tensor:
    """Sums as integers of few bits, with integers only.

    Args:
        tensor_i: int32; int16 and uint16 with mode 2, too.
        mul: multipliers; a number, or one for each element of `rq_axis`.
        shift: positive to the left, negative to the right.
        offset: the integer that means 0.
        requant_mode: 2 for round(x * mul * 2 ** shift) + offset. 0 and 1 first round x * mul / 2 ** 31 to 32 bits, halves up, as TensorFlow
            Lite does: 0 shifts before it to the left and behind it to the right, 1 behind it only.
        out_dtype: int8, uint8, int16 or uint16.
        out_name: name of the result.
        round_mode: of the shift to the right.
        rq_axis: the dimension of several numbers.
        fuse_rq_to_matmul: whether it is computed with the product in front of it; the compiler decides that by itself.
    """
    found = requant_modes(value(tensor_i), mul, shift, offset, requant_mode, out_dtype, round_mode, rq_axis)
    return made(found, out_name, None, offset)


def requant_modes(
    sums: Value, mul: Whole, shift: Whole, offset: Whole | None, mode: int, out_dtype: str, round_mode: str, axis: int
) -> Value:
    """What `requant_int` computes."""
    check(mode in (0, 1, 2), f"requant_mode is {mode}", "choose 0, 1 or 2")
    rounding = rounding_named(round_mode)
    dtype = dtype_named(out_dtype)
    points = 0 if offset is None else offset
    factors, shifts, points = (whole(each, what) for each, what in ((mul, "mul"), (shift, "shift"), (points, "offset")))
    if mode == 2:
        return bm.requant_int(sums, factors, shifts, points, dtype, axis=axis, rounding=rounding)
    right = shifts
    if mode == 0:
        left = np.maximum(shifts, 0)
        right = np.minimum(shifts, 0).tolist()
        if left.any():
            sums = bm.mul_shift(sums, _along(2**left, sums.ndim, axis), 0, i32)
    high = bm.mul_shift(sums, _along(factors, sums.ndim, axis), -MULTIPLIER_BITS, i32, rounding="half_up")
    if dtype is not i32:
        return bm.requant_int(high, 1, right, points, dtype, axis=axis, rounding=rounding)
    check(isinstance(right, int), f"shift is {shift}", "give one for all channels where the result is int32")
    assert isinstance(right, int)  # noqa: S101
    moved = bm.add_shift(high, np.asarray(0, np.int32), right, i32, rounding=rounding)
    return moved if points == 0 else bm.add(moved, _along(points, sums.ndim, axis))


def _along(given: Whole | Array, rank: int, axis: int) -> Array:
    """Integers of 32 bits for each element of a dimension, in the shape in which they are broadcast."""
    array = np.asarray(given, np.int32)
    if not array.ndim:
        return array
    shape = [1] * rank
    shape[axis] = array.size
    return array.reshape(shape)


@operator
def dequant_int_to_fp(
    tensor_i: Tensor,
    scale: Numbers,
    offset: Numbers,
    out_dtype: str = "float32",
    out_name: str | None = None,
    round_mode: str = "half_away_from_zero",
) -> Tensor:
    """Integers as the numbers that they mean: (x - offset) * scale.

    Args:
        tensor_i: int8, uint8, int16, uint16 or int32.
        scale: a number, or one for each channel.
        offset: the integer that means 0.
        out_dtype: float32, float16 or bfloat16.
        out_name: name of the result.
        round_mode: of what float16 cannot hold. The chip rounds to the nearest; only a name that exists is asked for.
    """
    needs(tensor_i, "int8", "uint8", "int16", "uint16", "int32")
    check(out_dtype in ("float32", "float16", "bfloat16"), f"out_dtype is {out_dtype}", "choose a float type")
    rounding_named(round_mode, floats=True)
    points = whole(offset, "offset")
    if tensor_i.dtype != "int32":
        tensor_i.quantization(scale, points)
    return made(bm.dequantise(value(tensor_i), plain(scale), points, DTYPES[out_dtype]), out_name)


@operator
def dequant_int(
    tensor_i: Tensor,
    mul: Whole,
    shift: Whole,
    offset: Whole,
    lshift: int,
    requant_mode: int,
    out_dtype: str = "int8",
    out_name: str | None = None,
    round_mode: str = "half_up",
) -> Tensor:
    """Integers of few bits as integers of more, with integers only.

    Args:
        tensor_i: int8, uint8, int16 or uint16.
        mul, shift, offset: multiplier, shift (positive to the left) and the integer that means 0; a number, or one for each channel.
        lshift: shift to the left in mode 1.
        requant_mode: 0 for round((x - offset) * mul * 2 ** shift); 1 for the same with (x - offset) * mul * 2 ** (lshift - 31) rounded
            first.
        out_dtype: int32, int16, uint16, int8.
        out_name: name of the result.
        round_mode: of the shift to the right.
    """
    needs(tensor_i, "int8", "uint8", "int16", "uint16")
    check(requant_mode in (0, 1), f"requant_mode is {requant_mode}", "choose 0 or 1")
    rounding, dtype = rounding_named(round_mode), dtype_named(out_dtype)
    factors, shifts, points = (whole(each, what) for each, what in ((mul, "mul"), (shift, "shift"), (offset, "offset")))
    rank = len(tensor_i.shape)
    found = value(tensor_i)
    if np.any(points):
        found = bm.sub_shift(found, _along(points, rank, 1), 0, i32)
    if requant_mode == 1:
        found = bm.mul_shift(found, _along(factors, rank, 1), lshift - MULTIPLIER_BITS, i32, rounding="half_up")
        factors = 1
    # One shift for all channels: the others are multiplied by what is missing.
    least = int(np.min(shifts))
    wide = np.asarray(factors, np.int64) << (np.asarray(shifts, np.int64) - least)
    check(bool(np.all(np.abs(wide) < 2**MULTIPLIER_BITS)), f"shift is {shift}", "give shifts that differ less")
    return made(bm.mul_shift(found, _along(wide, rank, 1), least, dtype, rounding=rounding), out_name)


@operator
def cast(tensor_i: Tensor, out_dtype: str = "float32", out_name: str | None = None, round_mode: str = "half_away_from_zero") -> Tensor:
    """The numbers of a tensor in another data type; integers are limited to it.

    Args:
        tensor_i: the tensor.
        out_dtype: name of the data type.
        out_name: name of the result.
        round_mode: of floats that become integers.
    """
    return made(bm.cast(value(tensor_i), dtype_named(out_dtype), rounding_named(round_mode, floats=True)), out_name)
