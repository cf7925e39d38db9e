"""Operators of one element at a time: functions of one number, arithmetic, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import pi, prod
from typing import Final

import numpy as np

from bmlang.importers.onnx.families.division import exact_quotient, quotient, remainder
from bmlang.importers.onnx.node import Handler, OnnxNode
from bmlang.importers.onnx.values import Known, Quantised
from bmlang.layers import activations as act
from bmlang.layers import elementwise as ew
from bmlang.layers.cast import cast
from bmlang.layers.compare import gt, where
from bmlang.layers.power import pow
from bmlang.layers.tensor import Operand, Tensor
from tpukernel.dtypes import f32, i32

__all__ = ["TABLE", "near_zero", "tanh"]

FEW: Final = 16
"""Elements of quotients like scales, of which each decides for many others."""

BINARY: Final[Mapping[str, Callable[[Operand, Operand], Tensor]]] = {"Add": ew.add, "Mul": ew.mul, "Sub": ew.sub}


def _unary(function: Callable[[Tensor], Tensor]) -> Handler:
    return lambda node: function(node.tensor(0))


def _binary(function: Callable[[Operand, Operand], Tensor]) -> Handler:
    def handler(node: OnnxNode) -> Tensor:
        a, b = node.tensor(0), _aligned(node)
        return _through(function, a, b)

    return handler


def _aligned(node: OnnxNode) -> Tensor:
    return node.tensor(1)


def _through(function: Callable[[Operand, Operand], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """Differences of the tensor unit are signed; those of unsigned bytes and words are made in i32."""
    if function is ew.sub and a.dtype.is_int and not a.dtype.is_signed and a.dtype.bits < 32:
        return cast(function(cast(a, i32), cast(b, i32)), a.dtype)
    return function(a, b)


def _many(function: Callable[[Operand, Operand], Tensor]) -> Handler:
    return lambda node: reduce(function, [node.tensor(index) for index in range(len(node.inputs))])


def _mean(node: OnnxNode) -> Tensor:
    tensors = [node.tensor(index) for index in range(len(node.inputs))]
    return tensors[0] if len(tensors) == 1 else ew.mul(reduce(ew.add, tensors), 1 / len(tensors))


def _abs(node: OnnxNode) -> Tensor:
    x = node.tensor(0)
    if x.dtype.is_float:
        return ew.abs(x)
    return ew.max(x, ew.sub(_zero(x), x)) if x.dtype.is_signed else x


def _neg(node: OnnxNode) -> Tensor:
    x = node.tensor(0)
    return ew.neg(x) if x.dtype.is_float else ew.sub(_zero(x), x)


def _zero(x: Tensor) -> Tensor:
    return Tensor(x.tracer, x.tracer.constant(np.zeros((), x.dtype.numpy)))


def _sign(node: OnnxNode) -> Tensor:
    x = node.tensor(0)
    if x.dtype.is_float:
        return act.sign(x)
    return ew.max(ew.min(x, 1), -1) if x.dtype.is_signed else ew.min(x, 1)


def _relu(node: OnnxNode) -> Tensor | Quantised:
    found = node.value(0)
    if isinstance(found, Quantised) and found.integers.dtype == i32 and not np.any(found.codes.zero_point):
        return Quantised(ew.max(found.integers, 0), found.codes, found.element)
    x = node.tensor(0)
    return act.relu(x) if x.dtype.is_float else ew.max(x, 0)


def _arctan(node: OnnxNode) -> Tensor:
    """With the angle of 1 / x for numbers above 1, so that the argument of the arcsine is never near 1, where it is steep."""
    x = node.tensor(0)
    size = ew.abs(x)
    large = gt(size, 1.0)
    small = where(large, act.reciprocal(ew.max(size, 1.0)), size)
    angle = act.arcsin(ew.mul(small, act.rsqrt(ew.add(ew.square(small), 1.0))))
    return ew.mul(act.sign(x), where(large, ew.sub(pi / 2, angle), angle))


def near_zero(coarse: Tensor, x: Tensor, *series: float) -> Tensor:
    """A function that is as exact as numbers around 1 are; near 0, x times a series in the square of x that begins with 1."""
    squared = ew.square(x)
    terms = ew.mul(squared, series[-1])
    for factor in series[-2::-1]:
        terms = ew.mul(ew.add(terms, factor), squared)
    return where(gt(squared, 1 / 64), coarse, ew.mul(x, ew.add(terms, 1.0)))


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, as exact near 0 as elsewhere."""
    return near_zero(act.tanh(x), x, -1 / 3, 2 / 15, -17 / 315)


def _mish(x: Tensor) -> Tensor:
    """x * n / (n + 2) with n = exp(x) * (exp(x) + 2), which is tanh(ln(1 + exp(x))) without a difference."""
    power = act.exp(ew.min(x, 20.0))
    numerator = ew.mul(power, ew.add(power, 2.0))
    return ew.mul(x, ew.div(numerator, ew.add(numerator, 2.0)))


def _shrink(node: OnnxNode) -> Tensor:
    given = node.tensor(0)
    x = given if given.dtype.is_float else cast(given, f32)
    bias, limit = node.number("bias", 0.0), node.number("lambd", 0.5)
    zero = _zero(x)
    made = where(gt(x, limit), ew.sub(x, bias), where(gt(ew.neg(x), limit), ew.add(x, bias), zero))
    return made if made.dtype == given.dtype else cast(made, given.dtype, "towards_zero")


def _gelu(node: OnnxNode) -> Tensor:
    x = node.tensor(0)
    if node.text("approximate", "none") == "none":
        return act.gelu(x)
    inner = ew.mul(ew.add(x, ew.mul(ew.mul(ew.square(x), x), 0.044715)), (2 / pi) ** 0.5)
    return ew.mul(ew.mul(x, 0.5), ew.add(act.tanh(inner), 1.0))


def _selu(node: OnnxNode) -> Tensor:
    x = node.tensor(0)
    alpha, gamma = node.number("alpha", 1.6732632423543772), node.number("gamma", 1.0507009873554805)
    return ew.mul(act.elu(x, alpha), gamma)


def _celu(node: OnnxNode) -> Tensor:
    x, alpha = node.tensor(0), node.number("alpha", 1.0)
    return ew.mul(act.elu(ew.mul(x, 1 / alpha), 1.0), alpha)


def _clip(node: OnnxNode) -> Tensor:
    x = node.tensor(0)
    old = node.opset < 11
    low = node.number("min") if old and "min" in node.attributes else node.optional(1)
    high = node.number("max") if old and "max" in node.attributes else node.optional(2)
    for limit, function in ((low, ew.max), (high, ew.min)):
        x = x if limit is None else function(x, limit)
    return x


def _prelu(node: OnnxNode) -> Tensor:
    x, slope = node.tensor(0), node.tensor(1)
    if x.dtype.is_int:
        return ew.add(ew.max(x, 0), ew.mul(ew.min(x, 0), slope))
    return ew.add(act.relu(x), ew.mul(ew.min(x, 0.0), slope))


def _pow(node: OnnxNode) -> Tensor:
    base, exponent = node.tensor(0), node.value(1)
    number = exponent.array.reshape(-1)[0].item() if isinstance(exponent, Known) and exponent.array.size == 1 else None
    if isinstance(number, int | float) and float(number).is_integer() and 1 <= number <= 64:
        return _power(base, int(number))
    if number == 0.5 and base.dtype.is_float:
        return act.sqrt(base)
    x = base if base.dtype.is_float else cast(base, f32)
    made = pow(x, node.floats(1, x.dtype))
    return made if made.dtype == base.dtype else cast(made, base.dtype)


def _power(base: Tensor, exponent: int) -> Tensor:
    """By squares, which rounds least."""
    found: Tensor | None = None
    while exponent:
        if exponent & 1:
            found = base if found is None else ew.mul(found, base)
        exponent >>= 1
        base = ew.mul(base, base) if exponent else base
    assert found is not None  # noqa: S101
    return found


def _div(node: OnnxNode) -> Tensor:
    a, b = node.tensor(0), node.tensor(1)
    if a.dtype.is_int:
        return quotient(a, b)
    return exact_quotient(a, b) if a.dtype == b.dtype == f32 and max(prod(a.shape), prod(b.shape)) <= FEW else ew.div(a, b)


def _mod(node: OnnxNode) -> Tensor:
    return remainder(node.tensor(0), node.tensor(1), like_c=bool(node.integer("fmod", 0)))


def _thresholded(node: OnnxNode) -> Tensor:
    x = node.tensor(0)
    return where(gt(x, node.number("alpha", 1.0)), x, 0.0)


UNARY: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "Acos": act.arccos,
    "Acosh": act.arccosh,
    "Asin": act.arcsin,
    "Asinh": act.arcsinh,
    "Atanh": act.arctanh,
    "Ceil": act.ceil,
    "Cos": act.cos,
    "Cosh": act.cosh,
    "Erf": act.erf,
    "Exp": act.exp,
    "Floor": act.floor,
    "HardSwish": act.hard_swish,
    "Log": act.log,
    "Mish": _mish,
    "Reciprocal": act.reciprocal,
    "Sigmoid": act.sigmoid,
    "Sin": act.sin,
    "Sinh": act.sinh,
    "Softplus": act.softplus,
    "Softsign": act.softsign,
    "Sqrt": act.sqrt,
    "Tan": lambda x: near_zero(act.tan(x), x, 1 / 3, 2 / 15, 17 / 315),
    "Tanh": tanh,
}
"""Functions of one number that are the same in BMLang."""
TABLE: Final[Mapping[str, Handler]] = {
    **{name: _unary(function) for name, function in UNARY.items()},
    **{name: _binary(function) for name, function in BINARY.items()},
    "Abs": _abs,
    "Atan": _arctan,
    "Celu": _celu,
    "Clip": _clip,
    "Div": _div,
    "Elu": lambda node: act.elu(node.tensor(0), node.number("alpha", 1.0)),
    "Gelu": _gelu,
    "HardSigmoid": lambda node: act.hard_sigmoid(node.tensor(0), node.number("alpha", 0.2), node.number("beta", 0.5)),
    "LeakyRelu": lambda node: act.leaky_relu(node.tensor(0), node.number("alpha", 0.01)),
    "Max": _many(ew.max),
    "Mean": _mean,
    "Min": _many(ew.min),
    "Mod": _mod,
    "Neg": _neg,
    "PRelu": _prelu,
    "Pow": _pow,
    "Relu": _relu,
    "Round": lambda node: act.round(node.tensor(0)),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sign": _sign,
    "Sum": _many(ew.add),
    "Swish": lambda node: act.swish(node.tensor(0), node.number("alpha", 1.0)),
    "ThresholdedRelu": _thresholded,
}
