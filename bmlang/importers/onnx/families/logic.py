"""Comparisons, truth values, and choices between tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bmlang.importers.onnx.node import Handler, OnnxNode, Result
from bmlang.importers.onnx.values import Live
from bmlang.layers import compare
from bmlang.layers.cast import cast
from bmlang.layers.elementwise import abs, max, min, mul, sub
from bmlang.layers.logic import bit_and, bit_not, bit_or, bit_xor
from bmlang.layers.tensor import Operand, Tensor
from tpukernel.dtypes import f32

__all__ = ["TABLE", "equal", "negated"]


def equal(a: Tensor, b: Operand) -> Tensor:
    """1 where two numbers are equal: 0 and -0 are, a NaN is equal to nothing. (The tensor unit compares bits.)"""
    return min(compare.ge(a, b), compare.le(a, b)) if a.dtype.is_float else compare.eq(a, b)


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
    x = node.tensor(0)
    return node.boolean(negated(equal(x, x)))


def _is_inf(node: OnnxNode) -> Result:
    x = node.tensor(0)
    above, below = node.integer("detect_positive", 1), node.integer("detect_negative", 1)
    limit = float("inf")
    if above and below:
        return node.boolean(equal(abs(x), limit))
    if not above and not below:
        return node.boolean(mul(negated(equal(x, x)), 0.0))
    return node.boolean(equal(x, limit if above else -limit))


def _bits(function: Callable[[Operand, Operand], Tensor]) -> Handler:
    return lambda node: function(node.tensor(0), node.tensor(1))


TABLE: Final[Mapping[str, Handler]] = {
    "And": _binary(min),
    "BitwiseAnd": _bits(bit_and),
    "BitwiseNot": lambda node: bit_not(node.tensor(0)),
    "BitwiseOr": _bits(bit_or),
    "BitwiseXor": _bits(bit_xor),
    "Equal": _binary(equal),
    "Greater": _binary(compare.gt),
    "GreaterOrEqual": _binary(compare.ge),
    "IsInf": _is_inf,
    "IsNaN": _is_nan,
    "Less": _binary(compare.lt),
    "LessOrEqual": _binary(compare.le),
    "Not": _not,
    "Or": _binary(max),
    "Where": _where,
    "Xor": _binary(_xor),
}
