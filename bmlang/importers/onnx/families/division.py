"""Quotients and remainders of integers and floats: the tensor unit divides floats only."""

from __future__ import annotations

import numpy as np

from bmlang.layers.activations import floor, sign
from bmlang.layers.cast import cast
from bmlang.layers.compare import eq, ge, gt, lt, ne, where
from bmlang.layers.elementwise import abs, add, div, max, mul, neg, sub
from bmlang.layers.tensor import Tensor
from tpukernel.dtypes import bf16, f32, i32

__all__ = ["quotient", "remainder"]

ROUNDS = 2
LESS = 1 - 2**-20
"""A quotient of f32 is off by less than 2 ** -21 of itself. A little less of it stays within what is divided, so that products do not
become too large; after two rounds b goes into what is left once at most."""


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """The integer a / b, rounded towards zero, as C and ONNX have it."""
    return _typed(_divided(*map(_wide, (a, b)))[0], a)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == i32 else cast(x, i32)


def _typed(made: Tensor, like: Tensor) -> Tensor:
    return made if made.dtype == like.dtype else cast(made, like.dtype)


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
    _, rest = _divided(*map(_wide, (a, b)))
    if not like_c:
        rest = add(rest, mul(_wide(b), mul(ne(rest, 0), _differ_in_sign(rest, _wide(b)))))
    return _typed(rest, a)


def _divided(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Quotient, rounded towards zero, and what is left, which has the sign of a."""
    found: Tensor | None = None
    rest = a
    for _ in range(ROUNDS):
        step = cast(mul(div(cast(rest, f32), cast(b, f32)), LESS), i32, "towards_zero")
        found = step if found is None else add(found, step)
        rest = sub(rest, mul(step, b))
    assert found is not None  # noqa: S101
    once = ge(_size(rest), _size(b))
    once = mul(once, sub(1, mul(_differ_in_sign(a, b), 2)))
    return add(found, once), sub(rest, mul(once, b))


def _size(x: Tensor) -> Tensor:
    return max(x, sub(0, x))


def _differ_in_sign(a: Tensor, b: Tensor) -> Tensor:
    """1 where one of two integers is below 0."""
    return ne(lt(a, 0), lt(b, 0))
