"""Functions of one number, element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import erf as _erf
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, LocalForm, Piece
from bmlang.layers.elementwise import Elementwise, max, min, named, wide
from bmlang.layers.pointwise import pointwise
from bmlang.layers.registry import add, register
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import Dtype, f32
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = [
    "LeakyRelu",
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
    "reciprocal",
    "relu",
    "relu6",
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
SERIES_OPERATIONS = 20
"""Elementwise operations that a function made of a series takes, about."""
WORK_BUFFERS = 6
"""Buffers like the result that such a function uses, at most."""


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
    "tan": np.tan,
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


def _register(name: str, numpy: Callable[[Wide], Wide], dtypes: tuple[Dtype, ...], operations: int, work_buffers: int) -> None:
    layer = Elementwise(
        name=f"bm::{name}",
        inputs=("x",),
        numpy=wide(numpy),
        compute=named(name),
        dtypes=dtypes,
        operations=operations,
        work_buffers=work_buffers,
    )
    add(layer, __name__)


for _name, _numpy in SERIES.items():
    _register(_name, _numpy, (f32,), SERIES_OPERATIONS, WORK_BUFFERS)
for _name, _numpy in SIMPLE.items():
    _register(_name, _numpy, FLOATS, 1, 0)


class _WithNumber(Elementwise):
    """A function with a number of its own."""

    def local(self, call: Call) -> LocalForm:
        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            (source,) = operands
            assert isinstance(source, Tile)  # noqa: S101
            self.compute_with(piece, source, cast("float", call.attrs["alpha"]))

        return pointwise(call, compute, operations=self.operations, work_buffers=self.work_buffers)

    def compute_with(self, piece: Piece, source: Tile, alpha: float) -> None:
        """out = the function of source."""
        raise NotImplementedError


@register
class LeakyRelu(_WithNumber):
    """x where it is above 0, else alpha * x."""

    def __init__(self) -> None:
        super().__init__(name="bm::leaky_relu", inputs=("x",), numpy=wide(np.positive), compute=named("relu"))

    defaults: Mapping[str, object] = {"alpha": 0.01}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        return super().infer(inputs, attrs)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        number = x.astype(np.float64)
        return np.where(number > 0, number, number * cast("float", attrs["alpha"]))

    def compute_with(self, piece: Piece, source: Tile, alpha: float) -> None:
        piece.k.tiu.prelu(piece.out, source, alpha)


@register
class Elu(_WithNumber):
    """x where it is above 0, else alpha * (exp(x) - 1), computed in f32."""

    def __init__(self) -> None:
        super().__init__(
            name="bm::elu",
            inputs=("x",),
            numpy=wide(np.positive),
            compute=named("relu"),
            dtypes=(f32,),
            operations=SERIES_OPERATIONS,
            work_buffers=WORK_BUFFERS,
        )

    defaults: Mapping[str, object] = {"alpha": 1.0}

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        number = x.astype(np.float64)
        return np.where(number > 0, number, np.expm1(np.minimum(number, 0)) * cast("float", attrs["alpha"]))

    def compute_with(self, piece: Piece, source: Tile, alpha: float) -> None:
        piece.k.tiu.elu(piece.out, source, alpha)


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


def sign(x: Operand) -> Tensor:
    """1, 0 or -1 as x is above, equal to or below 0."""
    return apply("bm::sign", x)
