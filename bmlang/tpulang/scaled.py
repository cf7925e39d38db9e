"""Operators on integers that stand for numbers in a scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import bmlang as bm
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import DTYPES
from bmlang.tpulang.operator import check
from bmlang.tpulang.tensor import Tensor

__all__ = ["Meaning", "by_table", "from_numbers", "meanings", "numbers", "through"]


@dataclass(frozen=True)
class Meaning:
    """What integers stand for: (q - zero_point) * scale."""

    scale: float
    zero_point: int = 0


def meanings(scale: Sequence[float] | None, zero_point: Sequence[int] | None, tensors: Sequence[Tensor]) -> list[Meaning] | None:
    """What the integers of the inputs and of the result stand for.

    Args:
        scale, zero_point: of each input and of the result, as TpuLang has them in one list.
        tensors: the inputs; they keep what is said here.

    Returns:
        None where nothing is said.

    Raises:
        OperatorArgumentError: there are too many or too few.
        TensorDeclarationError: a tensor has other ones already.
    """
    if scale is None:
        return None
    count = len(tensors) + 1
    points = [0] * count if zero_point is None else list(zero_point)
    check(
        len(scale) == len(points) == count,
        f"scale {list(scale)} and zero_point {points}",
        f"give {count} of each: {'that of the input' if count == 2 else 'those of the inputs'} and that of the result",
    )
    for tensor, step, point in zip(tensors, scale, points, strict=False):
        tensor.quantization(float(step), point)
    return [Meaning(abs(float(step)), int(point)) for step, point in zip(scale, points, strict=True)]


def numbers(x: Value, meaning: Meaning) -> Value:
    """The numbers that integers stand for, float32."""
    return bm.dequantise(x, meaning.scale, meaning.zero_point)


def from_numbers(x: Value, meaning: Meaning, dtype: str, rounding: str = "half_away_from_zero") -> Value:
    """Integers that stand for numbers."""
    return bm.quantise(x, meaning.scale, meaning.zero_point, DTYPES[dtype], rounding=rounding)


def through(x: Value, function: Callable[[Value], Value], source: Meaning, target: Meaning, dtype: str, rounding: str) -> Value:
    """A function of numbers on the integers that stand for them.

    Args:
        x: the integers.
        function: made of operators of `bmlang`, on float32.
        source, target: what the integers of x and of the result stand for.
        dtype: name of the type of the result.
        rounding: of the results.
    """
    return from_numbers(function(numbers(x, source)), target, dtype, rounding)


def by_table(x: Value, function: Callable[[Value], Value], source: Meaning, target: Meaning, dtype: str, rounding: str) -> Value:
    """`through` of a function of each number by itself, on integers of 8 bits: the results of all 256 are a table of the model."""
    scales, points = (source.scale, target.scale), (source.zero_point, target.zero_point)
    return bm.activation_int(x, function, scales, points, DTYPES[dtype], rounding=rounding)
