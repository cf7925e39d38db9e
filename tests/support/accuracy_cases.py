"""What the page of accuracies measures: TPUKernel functions that approximate, what they should compute, and over which ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Unary = Callable[[Reals], Reals]
Reference = Unary | Callable[[Reals, Reals], Reals]


@dataclass(frozen=True)
class Range:
    """Where operands are drawn from: uniformly, or uniformly in their logarithm."""

    low: float
    high: float
    log: bool = False

    def draw(self, random: np.random.Generator, count: int) -> Reals:
        if not self.log:
            return random.uniform(self.low, self.high, count)
        return np.exp(random.uniform(np.log(self.low), np.log(self.high), count))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (", log" if self.log else "")


@dataclass(frozen=True)
class Case:
    """A function with given numbers among its arguments.

    Attributes:
        function: its name.
        reference: what it should compute, in float64, of one or two operands.
        ranges: of the first operand, each a row of the page.
        numbers: arguments that are neither addresses, shapes, strides nor the data type.
        second: range of the second operand.
        dtypes: names of the data types.
    """

    function: str
    reference: Reference
    ranges: tuple[Range, ...]
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    second: Range | None = None
    dtypes: tuple[str, ...] = ("f32",)

    @property
    def title(self) -> str:
        """The function without what all have in common, and its numbers."""
        numbers = ", ".join(f"{name} {value:g}" for name, value in self.numbers.items())
        return self.function.removeprefix("tpu_bdc_") + (f" ({numbers})" if numbers else "")


def _sigmoid(x: Reals) -> Reals:
    return np.exp(-np.logaddexp(0, -x))


def _scaled_elu(x: Reals, alpha: float) -> Reals:
    return np.where(x > 0, x, alpha * np.expm1(x))


_erf: Unary = np.vectorize(math.erf, otypes=[np.float64])
_erfc: Unary = np.vectorize(math.erfc, otypes=[np.float64])
_SELU = 1.0507009873554805, 1.6732632423543772


def _gelu_fast(x: Reals) -> Reals:
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def _one(low: float, high: float, *, log: bool = False) -> tuple[Range]:
    return (Range(low, high, log),)


_FLOATS = ("f32", "f16", "bf16")
_WIDE = Range(1e-30, 1e30, log=True)
_MIDDLE = Range(1e-10, 1e10, log=True)
_TURN = Range(-3.14159, 3.14159)
_NEAR_0 = Range(-0.1, 0.1)
_TEN = Range(-10, 10)
_HUNDRED = Range(-100, 100)
_DIVIDEND = Range(1e-5, 1e5, log=True)
_DIVISOR = Range(math.exp(-8), math.exp(8), log=True)


def _inverse(x: Reals) -> Reals:
    return 1 / x


def _inverse_sqrt(x: Reals) -> Reals:
    return 1 / np.sqrt(x)


CASES: tuple[Case, ...] = (
    # divisions and roots
    Case("tpu_bdc_fp32_div", np.divide, (_DIVIDEND,), second=_DIVISOR),
    *(Case("tpu_bdc_fp32_tunable_div", np.divide, (_DIVIDEND,), {"num_iter": k}, second=_DIVISOR) for k in (1, 2, 3, 4)),
    Case("tpu_bdc_fp32_reciprocal", _inverse, _one(1e-15, 1e15, log=True)),
    *(Case("tpu_bdc_fp32_tunable_reciprocal", _inverse, (_MIDDLE,), {"num_iter": k}) for k in (1, 2, 3, 4)),
    *(Case("tpu_bdc_fp32_compensate_reciprocal", _inverse, (_MIDDLE,), {"num_comp": k}) for k in (1, 2, 3)),
    *(
        Case("tpu_bdc_fp32_tunable_compensate_reciprocal", _inverse, (_MIDDLE,), {"num_iter": steps, "num_comp": k})
        for steps in (1, 2, 4)
        for k in (1, 2)
    ),
    Case("tpu_bdc_fp32_rsqrt", _inverse_sqrt, (_WIDE,)),
    *(Case("tpu_bdc_fp32_tunable_rsqrt", _inverse_sqrt, (_MIDDLE,), {"num_iter": k}) for k in (1, 2, 3, 4)),
    Case("tpu_bdc_fp32_sqrt", np.sqrt, (_WIDE,)),
    *(Case("tpu_bdc_fp32_tunable_sqrt", np.sqrt, (_MIDDLE,), {"num_iter": k}) for k in (1, 2, 3, 4)),
    # exponentials, logarithms, powers
    Case("tpu_bdc_fp32_exp", np.exp, (Range(-87, 88), _TEN)),
    Case("tpu_bdc_fp32_expm1", np.expm1, (_TEN, _NEAR_0)),
    Case("tpu_bdc_fp32_log", np.log, (_WIDE, Range(0.5, 2))),
    Case("tpu_bdc_fp32_log1p", np.log1p, (Range(-0.99, 10), Range(1e-6, 1e6, log=True))),
    Case("tpu_bdc_fp32_logx", np.log10, (_MIDDLE,), {"x": 10.0}),
    Case("tpu_bdc_fp32_pow", np.power, _one(0.1, 5), second=Range(-3, 3)),
    Case("tpu_bdc_fp32_pow_C", lambda x: x ** float(np.float32(1.7)), _one(0.1, 5), {"C": 1.7}),
    Case("tpu_bdc_fp32_C_pow", lambda x: float(np.float32(1.7)) ** x, _one(-5, 5), {"C": 1.7}),
    # circular and hyperbolic functions
    Case("tpu_bdc_fp32_sin", np.sin, (_TURN, _HUNDRED, Range(-1e4, 1e4))),
    Case("tpu_bdc_fp32_cos", np.cos, (_TURN, _HUNDRED, Range(-1e4, 1e4))),
    Case("tpu_bdc_fp32_tan", np.tan, (Range(-1.5, 1.5), _HUNDRED)),
    Case("tpu_bdc_fp32_cot", lambda x: 1 / np.tan(x), (Range(0.05, 3.1), _HUNDRED)),
    Case("tpu_bdc_fp32_arcsin", np.arcsin, _one(-1, 1)),
    Case("tpu_bdc_fp32_arccos", np.arccos, _one(-1, 1)),
    Case("tpu_bdc_fp32_arcsinh", np.arcsinh, (_TEN, Range(0.01, 1))),
    Case("tpu_bdc_fp32_arccosh", np.arccosh, _one(1, 100)),
    Case("tpu_bdc_fp32_arctanh", np.arctanh, _one(-0.99, 0.99)),
    Case("tpu_bdc_fp32_sinh", np.sinh, (_TEN, _NEAR_0)),
    Case("tpu_bdc_fp32_cosh", np.cosh, (_TEN,)),
    Case("tpu_bdc_fp32_tanh", np.tanh, (_TEN, _NEAR_0)),
    # activations
    Case("tpu_bdc_fp32_sigmoid", _sigmoid, (Range(-20, 20), Range(-80, 80))),
    Case("tpu_bdc_fp32_log_sigmoid", lambda x: -np.logaddexp(0, -x), (_TEN,)),
    Case("tpu_bdc_fp32_silu", lambda x: x * _sigmoid(x), _one(-20, 20)),
    Case("tpu_bdc_fp32_swish", lambda x: x * _sigmoid(float(np.float32(1.3)) * x), (_TEN,), {"beta": 1.3}),
    Case("tpu_bdc_fp32_softplus", lambda x: np.logaddexp(0, x), (_TEN,), {"beta": 1.0}),
    Case("tpu_bdc_fp32_softplus", lambda x: np.logaddexp(0, float(np.float32(1.3)) * x) / float(np.float32(1.3)), (_TEN,), {"beta": 1.3}),
    Case("tpu_bdc_fp32_mish", lambda x: x * np.tanh(np.logaddexp(0, x)), (_TEN, Range(-40, 40))),
    Case("tpu_bdc_fp32_elu", lambda x: _scaled_elu(x, 1.0), (_TEN,), {"alpha": 1.0}),
    Case("tpu_bdc_fp32_elu", lambda x: _scaled_elu(x, 1.5), (_TEN,), {"alpha": 1.5}),
    Case("tpu_bdc_fp32_selu", lambda x: _SELU[0] * _scaled_elu(x, _SELU[1]), (_TEN,)),
    Case("tpu_bdc_fp32_erf", _erf, (Range(-4, 4), _NEAR_0)),
    Case("tpu_bdc_fp32_erfc", _erfc, (Range(-4, 4), Range(0, 8))),
    Case("tpu_bdc_fp32_gelu", lambda x: x * _erfc(-x / math.sqrt(2)) / 2, _one(-5, 5)),
    Case("tpu_bdc_fp32_gelu_fast", _gelu_fast, _one(-5, 5)),
    Case("tpu_bdc_fp32_softsign", lambda x: x / (1 + np.abs(x)), (_HUNDRED,)),
    Case("tpu_bdc_fp_hsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), _one(-4, 4), {"alpha": 1 / 6, "beta": 0.5}, dtypes=_FLOATS),
    Case("tpu_bdc_fp_hswish", lambda x: x * np.clip(x + 3, 0, 6) / 6, _one(-4, 8), dtypes=_FLOATS),
    # exact but for special values
    Case("tpu_bdc_fp_isfinite", lambda x: np.isfinite(x).astype(np.float64), (_TEN,), dtypes=_FLOATS),
    Case("tpu_bdc_sign", np.sign, (_TEN,), dtypes=_FLOATS),
    Case("tpu_bdc_prelu", lambda x: np.where(x > 0, x, x / 4), (_TEN,), {"alpha": 0.25}, dtypes=_FLOATS),
)

SAME_NUMBERS: Mapping[str, str] = {
    "tpu_bdc_fp_div": "tpu_bdc_fp32_div",
    "tpu_bdc_fp32_C_div": "tpu_bdc_fp32_div",
    "tpu_bdc_fp32_div_C": "tpu_bdc_fp32_div",
    "tpu_bdc_fp_C_div": "tpu_bdc_fp32_div",
    "tpu_bdc_fp_div_C": "tpu_bdc_fp32_div",
    "tpu_bdc_fp32_vc_div": "tpu_bdc_fp32_div",
    "tpu_bdc_fp_tunable_div": "tpu_bdc_fp32_tunable_div",
    "tpu_bdc_fp_tunable_div_C": "tpu_bdc_fp32_tunable_div",
    "tpu_bdc_fp_tunable_C_div": "tpu_bdc_fp32_tunable_div",
    "tpu_bdc_fp32_tunable_div_C": "tpu_bdc_fp32_tunable_div",
    "tpu_bdc_fp32_tunable_C_div": "tpu_bdc_fp32_tunable_div",
    "tpu_bdc_fp_reciprocal": "tpu_bdc_fp32_reciprocal",
    "tpu_bdc_fp_tunable_reciprocal": "tpu_bdc_fp32_tunable_reciprocal",
    "tpu_bdc_fp_rsqrt": "tpu_bdc_fp32_rsqrt",
    "tpu_bdc_fp_tunable_rsqrt": "tpu_bdc_fp32_tunable_rsqrt",
    "tpu_bdc_fp_sqrt": "tpu_bdc_fp32_sqrt",
    "tpu_bdc_fp_tunable_sqrt": "tpu_bdc_fp32_tunable_sqrt",
}
"""Functions that compute as another one for f32, the only type that they take."""
