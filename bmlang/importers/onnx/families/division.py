"""Quotients and remainders of integers and floats: the tensor unit divides floats only."""

from __future__ import annotations

import numpy as np

from bmlang.layers.activations import floor, sign
from bmlang.layers.cast import cast
from bmlang.layers.compare import eq, ge, gt, lt, ne, where
from bmlang.layers.elementwise import abs, add, div, max, min, mul, neg, sub
from bmlang.layers.tensor import Operand, Tensor
from tpukernel.dtypes import bf16, f32, i32

__all__ = ["quotient", "remainder"]

ROUNDS = 3
"""A quotient of f32 is off by less than 2 ** -20 of itself: three rounds leave an error of 1 at most of numbers of 32 bits."""


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """The integer a / b, rounded towards zero, as C and ONNX have it."""
    dtype = a.dtype
    wide_a, wide_b = (x if x.dtype == i32 else cast(x, i32) for x in (a, b))
    found, rest = _floored(wide_a, wide_b)
    off = mul(_differ(rest, 0), _differ(lt(wide_a, 0), lt(wide_b, 0)))  # one below where the exact quotient is negative and has a rest
    made = add(found, off)
    return made if dtype == i32 else cast(made, dtype)


def exact_quotient(a: Tensor, b: Tensor) -> Tensor:
    """The f32 nearest to a / b; a division of the tensor unit may be off by a rounding. What it leaves is exact in parts of few bits."""
    found = div(a, b)
    (high, low), (left, right) = _halves(found), _halves(b)
    rest = sub(sub(sub(sub(a, mul(high, left)), mul(high, right)), mul(low, left)), mul(low, right))
    step = div(rest, b)
    finite = gt(neg(abs(step)), -float(np.finfo(np.float32).max))
    return where(finite, add(found, step), found)


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """A number as the sum of one of 8 bits and the rest."""
    high = cast(cast(x, bf16), f32)
    return high, sub(x, high)


def remainder(a: Tensor, b: Tensor, *, like_c: bool) -> Tensor:
    """What a division leaves: with the sign of b (as Python has it), or of a (as C has it)."""
    if a.dtype.is_float:
        size = div(a, b)
        whole = mul(sign(size), floor(mul(size, sign(size)))) if like_c else floor(size)
        found = sub(a, mul(whole, b))
        endless = eq(abs(b), float("inf"))
        kept = a if like_c else where(gt(0.0, mul(sign(a), sign(b))), b, a)
        return where(endless, where(eq(abs(a), float("inf")), sub(a, a), kept), found)
    dtype = a.dtype
    wide_a, wide_b = (x if x.dtype == i32 else cast(x, i32) for x in (a, b))
    found = sub(wide_a, mul(quotient(wide_a, wide_b), wide_b)) if like_c else _floored(wide_a, wide_b)[1]
    return found if dtype == i32 else cast(found, dtype)


def _floored(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Quotient, rounded down, and what is left, which has the sign of b."""
    found: Tensor | None = None
    rest = a
    for _ in range(ROUNDS):
        step = cast(div(cast(rest, f32), cast(b, f32)), i32, "down")
        found = step if found is None else add(found, step)
        rest = sub(rest, mul(step, b))
    assert found is not None  # noqa: S101
    low = _differ(lt(rest, 0), lt(b, 0))
    low = mul(low, _differ(rest, 0))
    found, rest = sub(found, low), add(rest, mul(low, b))
    high = _within(rest, b)
    return add(found, high), sub(rest, mul(high, b))


def _within(rest: Tensor, b: Tensor) -> Tensor:
    """1 where the rest is as large as b or larger."""
    above, below = ge(rest, b), ge(b, rest)
    positive = gt(b, 0)
    return max(min(above, positive), min(min(below, sub(1, positive)), lt(b, 0)))


def _differ(a: Tensor, b: Operand) -> Tensor:
    """1 where two integers differ."""
    return ne(a, b)
