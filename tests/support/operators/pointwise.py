"""Operators element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Body, Draw, Example, Operator, Reals, one, unit, wide
from tpukernel.dtypes import DTYPES, Dtype, f16, f32, i8, i16, i32, u8, u16, u32

__all__ = ["EVERY", "INTEGERS", "OPERATORS", "each", "operands", "operator", "two"]

Unary = Callable[[Reals], Reals]
Binary = Callable[[Reals, Reals], Reals]
INTEGERS = (i8, u8, i16, u16, i32, u32)
EVERY = (*FLOATS, *INTEGERS)
SIGNED = (*FLOATS, i8, i16, i32)


def operator(name: str) -> Callable[..., Tensor]:
    """The function of `bm`."""
    return cast("Callable[..., Tensor]", getattr(bm, name))


# ---------------------------------------------------------------------------- two operands


def two(name: str, compute: Binary, dtypes: tuple[Dtype, ...], *, ulps: float = 0, above_zero: bool = False) -> Operator:
    """An operator of two operands of one type: any of them an input, an array or a number that is known."""

    def make(draw: Draw, dtype: Dtype) -> Example:
        shape = draw.shape()
        low = 0.25 if above_zero else -4
        a = draw.numbers(shape, dtype, low)
        other = draw.part(shape)
        b = draw.numbers(other, dtype, low)
        call, kind = operator(name), draw.integer(0, 4)
        inputs, body = operands(call, a, b, kind)
        if kind == 2:
            b = b.reshape(-1)[0]
        first, second = (b, a) if kind in (3, 4) else (a, b)
        wanted = compute(wide(np.asarray(first)), wide(np.asarray(second)))
        return one(inputs, body, wanted, ulps * unit(f32) * 2 * np.abs(wanted) if ulps else 0.0)

    return Operator(name, dtypes, make)


def operands(call: Callable[..., Tensor], a: Array, b: Array, kind: int) -> tuple[list[Array], Body]:
    """Two inputs, an array or a number that is known, or either in the other order."""
    if kind == 1:
        return [a], lambda x: call(x, b)
    if kind == 2:
        number = b.reshape(-1)[0].item() if b.dtype.kind != "V" else float(b.reshape(-1)[0])
        return [a], lambda x: call(x, number)
    if kind == 3:
        return [a], lambda x: call(b, x)
    if kind == 4:
        return [b, a], call
    return [a, b], call


def _flag(compute: Callable[[Reals, Reals], NDArray[np.bool_]]) -> Binary:
    return lambda a, b: compute(a, b).astype(np.float64)


TWO = (
    two("add", lambda a, b: a + b, EVERY),
    two("sub", lambda a, b: a - b, SIGNED),
    two("mul", lambda a, b: a * b, EVERY),
    two("max", lambda a, b: np.where(a > b, a, b), EVERY),
    two("min", lambda a, b: np.where(a < b, a, b), EVERY),
    two("div", lambda a, b: a / b, FLOATS, ulps=6, above_zero=True),
    two("gt", _flag(lambda a, b: a > b), EVERY),
    two("ge", _flag(lambda a, b: a >= b), EVERY),
    two("lt", _flag(lambda a, b: a < b), EVERY),
    two("le", _flag(lambda a, b: a <= b), EVERY),
    two("eq", _flag(lambda a, b: a == b), EVERY),
    two("ne", _flag(lambda a, b: a != b), EVERY),
)


def _where(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape()
    condition = draw.numbers(draw.part(shape), draw.choice((dtype, *EVERY)))
    a, b = draw.numbers(shape, dtype), draw.numbers(draw.part(shape), dtype)
    chosen = wide(condition) > 0
    if draw.integer(0, 1):
        return one([condition, a, b], bm.where, np.where(chosen, wide(a), wide(b)))
    return one([condition, a], lambda c, x: bm.where(c, x, 5), np.where(chosen, wide(a), 5))


def _prelu(draw: Draw, dtype: Dtype) -> Example:
    shape = draw.shape()
    x, slope = draw.numbers(shape, dtype), draw.numbers(draw.part(shape), dtype)
    wanted = np.where(wide(x) > 0, wide(x), wide(x) * wide(slope))
    return one([x, slope], bm.prelu, wanted) if draw.integer(0, 1) else one([x], lambda tensor: bm.prelu(tensor, slope), wanted)


def _pow(draw: Draw, dtype: Dtype) -> Example:
    shape, kind = draw.shape(), draw.integer(0, 3)
    base = draw.numbers(shape, dtype, *((0.05, 8) if kind < 2 else (-3, 3)))
    inputs, exponent = [base], np.asarray(float(draw.integer(2, 7)))
    if kind == 0:
        exponent = np.asarray(draw.choice((0.5, 2.0, -0.5, -1.0, 0.25, 1.75, 4.0)))
    elif kind == 1:
        exponent = draw.numbers(draw.part(shape), dtype, -3, 3)
        inputs = [base, exponent]
    elif kind == 2:
        base, exponent = np.rint(wide(base)).astype(dtype.numpy), draw.random.integers(0, 6, draw.part(shape)).astype(dtype.numpy)
        inputs = [base, exponent]
    pairs = np.broadcast_arrays(wide(base), wide(exponent))
    wanted = np.array([float(a) ** float(b) for a, b in zip(*(each.reshape(-1) for each in pairs), strict=True)]).reshape(shape)
    # the logarithm, within some ulp, is multiplied before the power of e is taken
    logarithm = np.abs(wide(exponent) * np.log(np.maximum(np.abs(wide(base)), 2.0**-126)))
    bound = np.abs(wanted) * 2 * unit(f32) * (16 + 6 * logarithm)
    return one(inputs, (lambda a: bm.pow(a, float(exponent))) if len(inputs) == 1 else bm.pow, wanted, bound)


# ---------------------------------------------------------------------------- one operand


@dataclass(frozen=True)
class Series:
    """A function that is computed in several steps of f32.

    Attributes:
        compute: the function.
        low, high: its operands.
        ulps, absolute: its largest error there, in ulp or absolutely: those of the page of accuracies, and some more for operands between.
    """

    compute: Unary
    low: float = -4
    high: float = 4
    ulps: float = 0
    absolute: float = 0


def each(scalar: Callable[[float], float]) -> Unary:
    """A function of one float for arrays."""
    return lambda x: np.array([scalar(float(each)) for each in x.reshape(-1)]).reshape(x.shape)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


SERIES: Mapping[str, Series] = {
    "arccos": Series(each(math.acos), -1, 1, absolute=4e-4),
    "arccosh": Series(each(math.acosh), 1.001, 50, 16, 4e-6),
    "arcsin": Series(each(math.asin), -1, 1, absolute=4e-4),
    "arcsinh": Series(each(math.asinh), -10, 10, 16, 4e-5),
    "arctanh": Series(each(math.atanh), -0.98, 0.98, 16, 4e-7),
    "cos": Series(each(math.cos), -10, 10, 4, 2e-6),
    "cosh": Series(each(math.cosh), -8, 8, 16),
    "erf": Series(each(math.erf), -4, 4, absolute=1e-6),
    "exp": Series(each(math.exp), -8, 8, 12),
    "gelu": Series(each(lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2))), -5, 5, 4, 1e-6),
    "log": Series(each(math.log), 0.01, 100, 4, 1e-7),
    "log_sigmoid": Series(each(lambda x: -_softplus(-x)), -8, 8, 8, 2e-6),
    "mish": Series(each(lambda x: x * math.tanh(_softplus(x))), -8, 8, 8, 4e-6),
    "reciprocal": Series(each(lambda x: 1 / x), 0.1, 10, 6),
    "rsqrt": Series(each(lambda x: 1 / math.sqrt(x)), 0.01, 100, 4),
    "selu": Series(each(lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))), -8, 8, 4, 1e-6),
    "sigmoid": Series(each(lambda x: 1 / (1 + math.exp(-x))), -8, 8, 24),
    "silu": Series(each(lambda x: x / (1 + math.exp(-x))), -8, 8, 24),
    "sin": Series(each(math.sin), -10, 10, 4, 2e-6),
    "sinh": Series(each(math.sinh), -8, 8, 16, 4e-7),
    "softplus": Series(each(_softplus), -8, 8, 8, 2e-6),
    "softsign": Series(each(lambda x: x / (1 + abs(x))), -8, 8, 8),
    "sqrt": Series(each(math.sqrt), 0.01, 100, 4),
    "tan": Series(each(math.tan), -1.4, 1.4, 8, 3e-5),
    "tanh": Series(each(math.tanh), -8, 8, 8, 1e-6),
}
EXACT: Mapping[str, Unary] = {
    "abs": lambda x: np.where(x < 0, -x, x),
    "ceil": each(math.ceil),
    "floor": each(math.floor),
    "neg": lambda x: 0 - x,
    "relu": lambda x: np.where(x > 0, x, 0),
    "relu6": lambda x: np.where(x > 6, 6, np.where(x > 0, x, 0)),
    "sign": lambda x: np.where(x > 0, 1.0, 0) - np.where(x < 0, 1.0, 0),
    "square": lambda x: x * x,
}


def _series(name: str, series: Series) -> Operator:
    def make(draw: Draw, dtype: Dtype) -> Example:
        x = np.clip(wide(draw.numbers(draw.shape(), dtype, series.low, series.high)), series.low, series.high).astype(dtype.numpy)
        wanted = series.compute(wide(x))
        return one([x], operator(name), wanted, series.ulps * 2 * unit(f32) * np.abs(wanted) + series.absolute)

    return Operator(name, FLOATS, make, "" if series.absolute < 1e-5 else f"absolute error up to {series.absolute:g}")


def _exact(name: str, compute: Unary) -> Operator:
    def make(draw: Draw, dtype: Dtype) -> Example:
        x = draw.numbers(draw.shape(), dtype, -9, 9)
        return one([x], operator(name), compute(wide(x)))

    return Operator(name, FLOATS, make)


def _copy(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    return one([x], lambda tensor: tensor, wide(x))


def _leaky_relu(draw: Draw, dtype: Dtype) -> Example:
    x, alpha = draw.numbers(draw.shape(), dtype), draw.choice((0.25, 0.01, 1.5))
    wanted = np.where(wide(x) > 0, wide(x), alpha * wide(x))
    return one([x], lambda tensor: bm.leaky_relu(tensor, alpha), wanted, unit(dtype) * np.abs(wanted))


def _elu(draw: Draw, dtype: Dtype) -> Example:
    x, alpha = draw.numbers(draw.shape(), dtype), draw.choice((1.0, 0.5, 1.5))
    wanted = each(lambda each: each if each > 0 else alpha * math.expm1(each))(wide(x))
    return one([x], lambda tensor: bm.elu(tensor, alpha), wanted, 4 * unit(f32) * np.abs(wanted) + 2e-7)


def _clamp(draw: Draw, dtype: Dtype) -> Example:
    x, low = draw.numbers(draw.shape(), dtype), draw.integer(-6, 2) / 2
    high = low + draw.integer(1, 6) / 2
    return one([x], lambda tensor: bm.clamp(tensor, low, high), np.clip(wide(x), low, high))


def _swish(draw: Draw, dtype: Dtype) -> Example:
    x, beta = draw.numbers(draw.shape(), dtype), draw.choice((1.0, 1.3, 0.5))
    t = beta * wide(x)
    bound = np.abs(wide(x)) * ((2 + 2 * np.abs(t)) * unit(dtype) + 24 * unit(f32))
    return one([x], lambda tensor: bm.swish(tensor, beta), wide(x) / (1 + np.exp(-t)), bound)


def _hard(x: Reals, dtype: Dtype, alpha: float, beta: float) -> tuple[Reals, Reals]:
    """The hard sigmoid, and how far it may be off: factor, product and sum are rounded."""
    t = alpha * x
    return np.clip(t + beta, 0, 1), unit(dtype) * (3 * np.abs(t) + 2 * abs(beta))


def _hard_sigmoid(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    alpha, beta = draw.integer(1, 9) / 20, draw.integer(0, 10) / 10
    return one([x], lambda tensor: bm.hard_sigmoid(tensor, alpha, beta), *_hard(wide(x), dtype, alpha, beta))


def _hard_swish(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype)
    wanted, bound = _hard(wide(x), dtype, 1 / 6, 0.5)
    return one([x], bm.hard_swish, wide(x) * wanted, np.abs(wide(x)) * bound)


# ---------------------------------------------------------------------------- conversion

ROUNDINGS: Mapping[str, Callable[[float], int]] = {
    "half_to_even": round,
    "half_away_from_zero": lambda x: int(math.copysign(math.floor(abs(x) + 0.5), x)),
    "towards_zero": math.trunc,
    "down": math.floor,
    "up": math.ceil,
}


def _rounded(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(), dtype, -90, 90)
    if draw.integer(0, 1):
        x = (np.rint(wide(x) * 2) / 2).astype(dtype.numpy)  # halves
    rounding = draw.choice(tuple(ROUNDINGS))
    return one([x], lambda tensor: bm.round(tensor, rounding), each(ROUNDINGS[rounding])(wide(x)))


def _cast(draw: Draw, dtype: Dtype) -> Example:
    target = draw.choice(tuple(DTYPES.values()))
    x = draw.numbers(draw.shape(), dtype, -300, 300)
    if dtype.is_float and draw.integer(0, 1):
        x = (np.rint(wide(x) * 2) / 2).astype(dtype.numpy)  # halves
    if target == f16:
        x = np.clip(wide(x), -60000, 60000).astype(dtype.numpy)
    if not dtype.is_float or target.is_float:
        return one([x], lambda tensor: bm.cast(tensor, target), wide(x))
    rounding = draw.choice(tuple(ROUNDINGS))
    return one([x], lambda tensor: bm.cast(tensor, target, rounding), each(ROUNDINGS[rounding])(wide(x)))


OPERATORS = (
    *TWO,
    Operator("where", EVERY, _where, "the condition is of any type"),
    Operator("prelu", FLOATS, _prelu),
    Operator("pow", FLOATS, _pow, "computed in f32"),
    Operator("round", FLOATS, _rounded),
    *(_series(name, series) for name, series in SERIES.items()),
    *(_exact(name, compute) for name, compute in EXACT.items()),
    Operator("copy", EVERY, _copy),
    Operator("leaky_relu", FLOATS, _leaky_relu),
    Operator("elu", FLOATS, _elu),
    Operator("clamp", FLOATS, _clamp),
    Operator("swish", FLOATS, _swish),
    Operator("hard_sigmoid", FLOATS, _hard_sigmoid),
    Operator("hard_swish", FLOATS, _hard_swish),
    Operator("cast", EVERY, _cast),
)
