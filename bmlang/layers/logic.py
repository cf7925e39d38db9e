"""Logic: of bits, and of what is 0 or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.elementwise import INTEGERS, Elementwise, named
from bmlang.layers.registry import add
from bmlang.layers.tensor import Operand, Tensor, apply

__all__ = ["bit_and", "bit_not", "bit_or", "bit_xor", "logical_and", "logical_not", "logical_or", "logical_xor"]

OPERATIONS: Mapping[str, tuple[tuple[str, ...], Callable[..., Array]]] = {
    "bit_and": (("a", "b"), np.bitwise_and),
    "bit_or": (("a", "b"), np.bitwise_or),
    "bit_xor": (("a", "b"), np.bitwise_xor),
    "bit_not": (("x",), np.bitwise_not),
}
"""By name, which is also that of the tensor unit: the operands, and the function of numpy."""

for _name, (_inputs, _numpy) in OPERATIONS.items():
    add(Elementwise(name=f"bm::{_name}", inputs=_inputs, numpy=_numpy, compute=named(_name), dtypes=INTEGERS), __name__)


def bit_and(a: Operand, b: Operand) -> Tensor:
    """a & b bit by bit, integers, broadcast as in numpy."""
    return apply("bm::bit_and", a, b)


def bit_or(a: Operand, b: Operand) -> Tensor:
    """a | b bit by bit, integers, broadcast as in numpy."""
    return apply("bm::bit_or", a, b)


def bit_xor(a: Operand, b: Operand) -> Tensor:
    """a ^ b bit by bit, integers, broadcast as in numpy."""
    return apply("bm::bit_xor", a, b)


def bit_not(x: Operand) -> Tensor:
    """The bits of x reversed, integers."""
    return apply("bm::bit_not", x)


def logical_and(a: Operand, b: Operand) -> Tensor:
    """1 where neither a nor b is 0, else 0, in their data type; broadcast as in numpy."""
    return apply("bm::mul", _truth(a), _truth(b))


def logical_or(a: Operand, b: Operand) -> Tensor:
    """1 where a or b or both are not 0, else 0, in their data type; broadcast as in numpy."""
    return apply("bm::max", _truth(a), _truth(b))


def logical_xor(a: Operand, b: Operand) -> Tensor:
    """1 where one of a and b is 0 and the other one is not, else 0, in their data type; broadcast as in numpy."""
    return apply("bm::ne", _truth(a), _truth(b))


def logical_not(x: Tensor) -> Tensor:
    """1 where x is 0, else 0, in its data type."""
    return apply("bm::eq", _size(x), 0)


def _truth(x: Operand) -> Operand:
    """1 where x is not 0, else 0."""
    if isinstance(x, Tensor):
        return apply("bm::ne", _size(x), 0)
    if isinstance(x, bool | int | float):
        return int(x != 0)
    return (x != 0).astype(x.dtype)


def _size(x: Tensor) -> Tensor:
    """x without its sign: comparisons are of bits, and -0 has one."""
    return apply("bm::abs", x) if x.dtype.is_float else x
