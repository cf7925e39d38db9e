"""Comparisons, truth values, and choices between tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bmlang.importers.onnx.node import Handler, OnnxNode, Result
from bmlang.importers.onnx.values import Live
from bmlang.layers import compare
from bmlang.layers.cast import cast
from bmlang.layers.elementwise import abs, max, min, mul, neg, sub
from bmlang.layers.logic import bit_and, bit_not, bit_or, bit_xor
from bmlang.layers.tensor import Operand, Tensor
from tpukernel.dtypes import f32

__all__ = ["TABLE", "above", "equal", "is_nan", "negated"]


def _number(x: Tensor) -> bool:
    """Whether a tensor is one known number, which commands take as such."""
    return x.known is not None and x.known.size == 1


def above(a: Tensor, b: Tensor) -> Tensor:
    """1 where a > b. With a NaN it is 0, which holds for the tensor unit's `greater` only; and a number is always its second operand."""
    if a.dtype.is_float and _number(a) and not _number(b):
        return compare.gt(neg(b), neg(a))
    return compare.gt(a, b)


def at_least(a: Tensor, b: Tensor) -> Tensor:
    """1 where a >= b; with a NaN it is 0. (The tensor unit takes equal bits for equal numbers, also those of a NaN.)"""
    if not a.dtype.is_float:
        return compare.ge(a, b)
    if _number(a) and not _number(b):
        return compare.ge(neg(b), neg(a))
    found = compare.ge(a, b)
    return found if _number(b) else min(found, compare.ge(abs(a), 0.0))


def equal(a: Tensor, b: Tensor) -> Tensor:
    """1 where two numbers are equal: 0 and -0 are, a NaN is equal to nothing. (The tensor unit compares bits.)"""
    return min(at_least(a, b), compare.ge(b, a) if not _number(b) else at_least(b, a)) if a.dtype.is_float else compare.eq(a, b)


def is_nan(x: Tensor) -> Tensor:
    """1 where x is no number: `lt` is the negation of `ge`, which a NaN never is."""
    return compare.lt(abs(x), 0.0)


def _pair(node: OnnxNode) -> tuple[Tensor, Tensor]:
    """Two operands of one data type: truth values may be kept in several."""
    a, b = node.tensor(0), node.tensor(1)
    if a.dtype != b.dtype:
        wider = a.dtype if a.dtype.is_float else b.dtype
        a, b = (x if x.dtype == wider else cast(x, wider) for x in (a, b))
    return a, b


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Handler:
    return lambda node: node.boolean(function(*_pair(node)))


def _xor(a: Tensor, b: Tensor) -> Tensor:
    return compare.ne(a, b)


def _not(node: OnnxNode) -> Result:
    return node.boolean(negated(node.tensor(0)))


def negated(x: Tensor) -> Tensor:
    """1 where x is 0, and 0 where it is 1."""
    return sub(1.0, x) if x.dtype.is_float else compare.eq(x, 0)


def _where(node: OnnxNode) -> Result:
    a, b = node.tensor(1), node.tensor(2)
    if a.dtype != b.dtype:  # truth values
        a, b = cast(a, f32), cast(b, f32)
    return Live(compare.where(node.tensor(0), a, b), node.element(1))


def _is_nan(node: OnnxNode) -> Result:
    return node.boolean(is_nan(node.tensor(0)))


def _is_inf(node: OnnxNode) -> Result:
    x = node.tensor(0)
    positive, negative = node.integer("detect_positive", 1), node.integer("detect_negative", 1)
    limit = float("inf")
    if positive and negative:
        return node.boolean(compare.eq(abs(x), limit))
    if not positive and not negative:
        return node.boolean(mul(is_nan(x), 0.0))
    return node.boolean(compare.eq(x, limit if positive else -limit))


def _bits(function: Callable[[Operand, Operand], Tensor]) -> Handler:
    return lambda node: function(node.tensor(0), node.tensor(1))


TABLE: Final[Mapping[str, Handler]] = {
    "And": _binary(min),
    "BitwiseAnd": _bits(bit_and),
    "BitwiseNot": lambda node: bit_not(node.tensor(0)),
    "BitwiseOr": _bits(bit_or),
    "BitwiseXor": _bits(bit_xor),
    "Equal": _binary(equal),
    "Greater": _binary(above),
    "GreaterOrEqual": _binary(at_least),
    "IsInf": _is_inf,
    "IsNaN": _is_nan,
    "Less": _binary(lambda a, b: above(b, a)),
    "LessOrEqual": _binary(lambda a, b: at_least(b, a)),
    "Not": _not,
    "Or": _binary(max),
    "Where": _where,
    "Xor": _binary(_xor),
}
