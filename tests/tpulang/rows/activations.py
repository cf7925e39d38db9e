"""Activation operators."""

from __future__ import annotations

from math import erf

import numpy as np

from bmlang import tpulang as tpul
from tests.tpulang.rows.base import Array, Row, activation, bytes_of, coeff, floats, given, narrow, numbers

X, Q = floats(2, 5, 4), bytes_of(2, 6, 3, 3)
SLOPE = floats(1, 5, 1, seed=3)
POSITIVE = floats(2, 5, 4, low=0.1, high=3)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array, axis: int) -> Array:
    found = np.exp(x - x.max(axis, keepdims=True))
    return found / found.sum(axis, keepdims=True)


def leaky(x: Array, slope: Array | float) -> Array:
    return np.maximum(x, 0) + np.minimum(x, 0) * slope


def error(x: Array) -> Array:
    return np.vectorize(erf)(x).astype(np.float64)


ROWS = [
    Row("relu", {"x": X}, tpul.relu, lambda x: np.maximum(x, 0)),
    Row("relu", {"q": Q}, tpul.relu, lambda q: np.maximum(q, 3), scales={"q": (0.1, 3)}),
    Row("prelu", {"x": X}, lambda x: tpul.prelu(x, coeff(SLOPE)), lambda x: leaky(x, SLOPE)),
    Row("leaky_relu", {"x": X}, lambda x: tpul.leaky_relu(x, 0.25), lambda x: leaky(x, 0.25)),
    Row("leaky_relu", {"q": Q}, lambda q: tpul.leaky_relu(q, 0.25), lambda q: narrow(leaky(q, 0.25))),
    Row("abs", {"x": X}, tpul.abs, np.abs),
    Row("abs", {"q": Q}, tpul.abs, lambda q: np.minimum(np.abs(q.astype(np.int64)), 127)),
    *activation("ln", np.log, 0.1, 4),
    *activation("ceil", np.ceil),
    *activation("floor", np.floor),
    Row("round", {"x": given("float32", [-1.5, -0.5, 0.5, 1.5, 2.5, 2.4])}, tpul.round, lambda _: given("float32", [-2, -1, 1, 2, 3, 2])),
    *activation("sin", np.sin),
    *activation("cos", np.cos),
    *activation("exp", np.exp, -3, 1),
    *activation("tanh", np.tanh),
    *activation("sigmoid", sigmoid),
    *activation("log_sigmoid", lambda x: np.log(sigmoid(x))),
    *activation("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
    *activation("square", np.square),
    *activation("sqrt", np.sqrt, 0.1, 4),
    *activation("rsqrt", lambda x: 1 / np.sqrt(x), 0.1, 4),
    *activation("silu", lambda x: x * sigmoid(x)),
    Row("swish", {"x": X}, lambda x: tpul.swish(x, 0.5), lambda x: x * sigmoid(0.5 * x.astype(np.float64)), 64),
    *activation("erf", error),
    Row("tan", {"x": floats(3, 7, low=-1.2, high=1.2)}, tpul.tan, np.tan, 64),
    Row("softmax", {"x": X}, lambda x: tpul.softmax(x, 1), lambda x: softmax(x, 1), 64),
    Row(
        "softmax_int",
        {"q": Q},
        lambda q: tpul.softmax_int(q, 1, [0.25, 128.0], [2, -7]),
        lambda q: narrow(softmax(numbers(q, 0.25), 1) * 128, 1, -7),
        steps=1,
    ),
    *activation("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    *activation("hswish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    Row("arccos", {"x": floats(3, 7, low=-1, high=1)}, tpul.arccos, np.arccos, 256),
    Row("arctanh", {"x": floats(3, 7, low=-0.9, high=0.9)}, tpul.arctanh, np.arctanh, 256),
    *activation("sinh", np.sinh),
    *activation("cosh", np.cosh),
    *activation("sign", np.sign),
    *activation("gelu", lambda x: x * 0.5 * (1 + error(x / np.sqrt(2)))),
    *activation("hsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    Row("pow", {"x": POSITIVE}, lambda x: tpul.pow(x, 1.7), lambda x: x.astype(np.float64) ** 1.7, 256),
    Row("pow", {"x": X}, lambda x: tpul.pow(tpul.Scalar(2.5), x), lambda x: 2.5 ** x.astype(np.float64), 256),
    Row("pow", {"x": POSITIVE, "y": X}, tpul.pow, lambda x, y: x.astype(np.float64) ** y, 256),
]
