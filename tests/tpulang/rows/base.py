"""What a row of the table of TpuLang's operators is: a call, and what it gives in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmlang import tpulang as tpul

__all__ = ["Row", "activation", "away", "bytes_of", "coeff", "floats", "given", "narrow", "numbers", "tensor", "whole"]

Array = NDArray[Any]
Made = tpul.Tensor | Sequence[tpul.Tensor]
Wanted = Array | Sequence[Array]


@dataclass(frozen=True)
class Row:
    """One call of an operator.

    Attributes:
        operator: its name.
        inputs: the data of its inputs, by the names that `call` gives them.
        call: calls the operator on the inputs.
        wanted: what numpy makes of the same data.
        roundings: largest difference, in roundings of the result's type to the largest number; steps of integers.
        scales: scale and zero point of inputs that have them.
    """

    operator: str
    inputs: Mapping[str, Array]
    call: Callable[[Any], Made] | Callable[[Any, Any], Made]
    wanted: Callable[[Any], Wanted] | Callable[[Any, Any], Wanted]
    roundings: float = 16
    steps: int = 0
    scales: Mapping[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])


def floats(*shape: int, seed: int = 0, dtype: str = "float32", low: float | None = None, high: float | None = None) -> Array:
    random = np.random.default_rng(seed + prod(shape))
    found = random.standard_normal(shape) if low is None or high is None else random.uniform(low, high, shape)
    return found.astype(dtype)


def bytes_of(*shape: int, seed: int = 0, dtype: str = "int8") -> Array:
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed + prod(shape)).integers(limits.min, limits.max + 1, shape).astype(dtype)


def whole(*shape: int, low: int, high: int, seed: int = 0, dtype: str = "int32") -> Array:
    return np.random.default_rng(seed + prod(shape)).integers(low, high, shape).astype(dtype)


def given(dtype: str, numbers: object) -> Array:
    return np.array(numbers, dtype)


def coeff(data: Array, **given: Any) -> tpul.Tensor:
    return tpul.Tensor(list(data.shape), None, "coeff", data, str(data.dtype), **given)


def tensor(name: str, data: Array, **given: Any) -> tpul.Tensor:
    return tpul.Tensor(list(data.shape), name, "neuron", data, str(data.dtype), **given)


def away(x: Array) -> Array:
    """Rounded, halves away from zero."""
    return np.trunc(x + np.copysign(0.5, x))


def numbers(x: Array, scale: float, zero_point: int = 0) -> Array:
    return (x.astype(np.float64) - zero_point) * scale


def narrow(x: Array, scale: float = 1.0, zero_point: int = 0, dtype: str = "int8") -> Array:
    limits = np.iinfo(dtype)
    return np.clip(away(np.asarray(x, np.float64) / scale) + zero_point, limits.min, limits.max).astype(dtype)


def activation(operator: str, function: Callable[[Array], Array], low: float = -3, high: float = 3) -> list[Row]:
    """A function of one number: on floats, and on integers of a scale."""
    x, q = floats(2, 5, 3, low=low, high=high), bytes_of(2, 7, 2, 2)
    scale, target = max(abs(low), abs(high)) / 127, (0.02, -5)
    zero = max(round(-127 - low / scale), -128) if low > -abs(high) else 0

    def integers(q: Array) -> Array:
        with np.errstate(all="ignore"):
            found = function(numbers(q, scale, zero))
        return narrow(np.nan_to_num(found, nan=0, posinf=1e6, neginf=-1e6), *target)

    call = getattr(tpul, operator)
    return [
        Row(operator, {"x": x}, call, lambda x: function(x.astype(np.float64)), roundings=64),
        Row(operator, {"q": q}, lambda q: call(q, scale=[scale, target[0]], zero_point=[zero, target[1]]), integers, steps=1),
    ]
