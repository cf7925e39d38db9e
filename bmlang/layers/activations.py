"""Functions of one number, element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import erf as _erf

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Attribute
from bmlang.layers.base import Piece
from bmlang.layers.cast import ROUNDED
from bmlang.layers.compare import where
from bmlang.layers.elementwise import Elementwise, max, min, named, wide
from bmlang.layers.integers import check_rounding, rounding_of
from bmlang.layers.registry import add
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import f32
from tpukernel.lang.operations import Source
from tpukernel.lang.tensors import Tile

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctanh",
    "ceil",
    "clamp",
    "cos",
    "cosh",
    "elu",
    "erf",
    "exp",
    "floor",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "log",
    "log_sigmoid",
    "mish",
    "prelu",
    "reciprocal",
    "relu",
    "relu6",
    "round",
    "rsqrt",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "swish",
    "tan",
    "tanh",
]

Wide = NDArray[np.float64]


def _sigmoid(x: Wide) -> Wide:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Wide) -> Wide:
    return np.logaddexp(0, x)


def _gelu(x: Wide) -> Wide:
    return x * 0.5 * (1 + _error(x / np.sqrt(2)))


def _error(x: Wide) -> Wide:
    return np.vectorize(_erf, otypes=[np.float64])(x)


def _selu(x: Wide) -> Wide:
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


SERIES: Mapping[str, Callable[[Wide], Wide]] = {
    "arccos": np.arccos,
    "arccosh": np.arccosh,
    "arcsin": np.arcsin,
    "arcsinh": np.arcsinh,
    "arctanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": _error,
    "exp": np.exp,
    "gelu": _gelu,
    "log": np.log,
    "log_sigmoid": lambda x: -_softplus(-x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "sin": np.sin,
    "sinh": np.sinh,
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sqrt": np.sqrt,
    "tanh": np.tanh,
}
"""Functions that the tensor unit computes in f32, in several steps."""
SIMPLE: Mapping[str, Callable[[Wide], Wide]] = {
    "relu": lambda x: np.maximum(x, 0),
    "floor": np.floor,
    "ceil": np.ceil,
    "sign": np.sign,
}
"""Functions that are one command, of all floats."""


def _leaky_relu(x: Wide, alpha: float) -> Wide:
    return np.where(x > 0, x, x * alpha)


def _elu(x: Wide, alpha: float) -> Wide:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * alpha)


def _rounded(x: Wide, rounding: str) -> Wide:
    return ROUNDED[rounding](x)


def _round(piece: Piece, operands: Sequence[Source], rounding: str) -> None:
    (source,) = operands
    assert isinstance(source, Tile)  # noqa: S101
    piece.k.tiu.round(piece.out, source, rounding=rounding_of(rounding))


def _tan(piece: Piece, operands: Sequence[Source]) -> None:
    """On a copy: the function uses its source as working memory."""
    (source,) = operands
    assert isinstance(source, Tile)  # noqa: S101
    copied = piece.k.local(piece.region.size, f32, name="copied")
    piece.k.tiu.copy(copied, source)
    piece.k.tiu.tan(piece.out, copied)


def _rounding_exists(attrs: Mapping[str, Attribute]) -> None:
    check_rounding("round", attrs["rounding"], floats=True)


one = partial(Elementwise, inputs=("x",))
in_steps = partial(one, dtypes=(f32,), operations=20, work_buffers=6)
"""What the tensor unit computes in f32 in several steps: so many operations, about, and at most so many buffers like the result."""

for _name, _numpy in SERIES.items():
    add(in_steps(name=f"bm::{_name}", numpy=wide(_numpy), compute=named(_name)), __name__)
for _name, _numpy in SIMPLE.items():
    add(one(name=f"bm::{_name}", numpy=wide(_numpy), compute=named(_name)), __name__)
for _layer in (
    in_steps(name="bm::tan", numpy=wide(np.tan), compute=_tan, work_buffers=7),
    one(name="bm::leaky_relu", defaults={"alpha": 0.01}, numpy=wide(_leaky_relu), compute=named("prelu")),
    in_steps(name="bm::elu", defaults={"alpha": 1.0}, numpy=wide(_elu), compute=named("elu")),
    one(name="bm::round", defaults={"rounding": "half_to_even"}, check=_rounding_exists, numpy=wide(_rounded), compute=_round),
):
    add(_layer, __name__)


def relu(x: Operand) -> Tensor:
    """The larger one of x and 0."""
    return apply("bm::relu", x)


def relu6(x: Operand) -> Tensor:
    """x limited to 0 .. 6."""
    return clamp(x, 0.0, 6.0)


def clamp(x: Operand, low: float, high: float) -> Tensor:
    """x limited to low .. high."""
    return min(max(x, low), high)


def leaky_relu(x: Operand, alpha: float = 0.01) -> Tensor:
    """x where it is above 0, else alpha * x."""
    return apply("bm::leaky_relu", x, alpha=alpha)


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x where it is above 0, else alpha * (exp(x) - 1), computed in f32."""
    return apply("bm::elu", x, alpha=alpha)


def prelu(x: Tensor, slope: Operand) -> Tensor:
    """x where it is above 0, else slope * x; slope is repeated to x as in numpy, (c, 1, 1) for a number of each channel of images."""
    return where(x, x, apply("bm::mul", x, slope))


def swish(x: Tensor, beta: float = 1.0) -> Tensor:
    """x * sigmoid(beta * x), the sigmoid computed in f32."""
    return x * sigmoid(x * beta)


def hard_sigmoid(x: Tensor, alpha: float = 1 / 6, beta: float = 0.5) -> Tensor:
    """alpha * x + beta, limited to 0 .. 1."""
    return clamp(x * alpha + beta, 0.0, 1.0)


def hard_swish(x: Tensor) -> Tensor:
    """x * hard_sigmoid(x)."""
    return x * hard_sigmoid(x)


def arccos(x: Operand) -> Tensor:
    """The angle in 0 .. pi whose cosine is x, computed in f32."""
    return apply("bm::arccos", x)


def arccosh(x: Operand) -> Tensor:
    """The number whose hyperbolic cosine is x, computed in f32."""
    return apply("bm::arccosh", x)


def arcsin(x: Operand) -> Tensor:
    """The angle in -pi/2 .. pi/2 whose sine is x, computed in f32."""
    return apply("bm::arcsin", x)


def arcsinh(x: Operand) -> Tensor:
    """The number whose hyperbolic sine is x, computed in f32."""
    return apply("bm::arcsinh", x)


def arctanh(x: Operand) -> Tensor:
    """The number whose hyperbolic tangent is x, computed in f32."""
    return apply("bm::arctanh", x)


def cos(x: Operand) -> Tensor:
    """The cosine of x, computed in f32."""
    return apply("bm::cos", x)


def cosh(x: Operand) -> Tensor:
    """The hyperbolic cosine of x, computed in f32."""
    return apply("bm::cosh", x)


def erf(x: Operand) -> Tensor:
    """The error function of x, computed in f32."""
    return apply("bm::erf", x)


def exp(x: Operand) -> Tensor:
    """e to the power of x, computed in f32."""
    return apply("bm::exp", x)


def gelu(x: Operand) -> Tensor:
    """x * 0.5 * (1 + erf(x / sqrt(2))), computed in f32."""
    return apply("bm::gelu", x)


def log(x: Operand) -> Tensor:
    """The natural logarithm of x, computed in f32."""
    return apply("bm::log", x)


def log_sigmoid(x: Operand) -> Tensor:
    """ln(sigmoid(x)), computed in f32."""
    return apply("bm::log_sigmoid", x)


def mish(x: Operand) -> Tensor:
    """x * tanh(softplus(x)), computed in f32."""
    return apply("bm::mish", x)


def reciprocal(x: Operand) -> Tensor:
    """1 / x, computed in f32."""
    return apply("bm::reciprocal", x)


def rsqrt(x: Operand) -> Tensor:
    """1 / sqrt(x), computed in f32."""
    return apply("bm::rsqrt", x)


def selu(x: Operand) -> Tensor:
    """The scaled exponential linear unit of x, computed in f32."""
    return apply("bm::selu", x)


def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + exp(-x)), computed in f32."""
    return apply("bm::sigmoid", x)


def silu(x: Operand) -> Tensor:
    """x * sigmoid(x), computed in f32."""
    return apply("bm::silu", x)


def sin(x: Operand) -> Tensor:
    """The sine of x, computed in f32."""
    return apply("bm::sin", x)


def sinh(x: Operand) -> Tensor:
    """The hyperbolic sine of x, computed in f32."""
    return apply("bm::sinh", x)


def softplus(x: Operand) -> Tensor:
    """ln(1 + exp(x)), computed in f32."""
    return apply("bm::softplus", x)


def softsign(x: Operand) -> Tensor:
    """x / (1 + `abs(x)`), computed in f32."""
    return apply("bm::softsign", x)


def sqrt(x: Operand) -> Tensor:
    """The square root of x, computed in f32."""
    return apply("bm::sqrt", x)


def tan(x: Operand) -> Tensor:
    """The tangent of x, computed in f32."""
    return apply("bm::tan", x)


def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent of x, computed in f32."""
    return apply("bm::tanh", x)


def floor(x: Operand) -> Tensor:
    """The largest whole number that is not above x."""
    return apply("bm::floor", x)


def ceil(x: Operand) -> Tensor:
    """The smallest whole number that is not below x."""
    return apply("bm::ceil", x)


def round(x: Operand, rounding: str = "half_to_even") -> Tensor:
    """The whole number next to x, of x's type.

    Args:
        x: the tensor.
        rounding: "half_to_even", "half_away_from_zero", "towards_zero", "down" or "up".
    """
    return apply("bm::round", x, rounding=rounding)


def sign(x: Operand) -> Tensor:
    """1, 0 or -1 as x is above, equal to or below 0."""
    return apply("bm::sign", x)
