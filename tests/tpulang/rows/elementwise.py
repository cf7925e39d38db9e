"""Base element-wise operators, comparisons and logic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bmlang import tpulang as tpul
from tests.tpulang.rows.base import Array, Row, away, bytes_of, coeff, floats, narrow, numbers, whole

X, Y, H = floats(2, 5, 4), floats(1, 5, 1, seed=1), floats(2, 5, 4, dtype="float16")
Q, R, U = bytes_of(2, 6, 3, 3), bytes_of(2, 6, 3, 3, seed=1), bytes_of(2, 6, 3, 3, dtype="uint8")
TRUE = whole(2, 5, 4, low=0, high=2).astype(np.float32)
SCALES, ZEROS = [0.1, 0.05, 0.2], [1, -2, 3]
NUMPY: Mapping[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}
COMPARED: Mapping[str, Callable[..., Array]] = {
    "gt": np.greater,
    "lt": np.less,
    "ge": np.greater_equal,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
LOGIC: Mapping[str, Callable[..., Array]] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def limited(x: Array, dtype: str) -> Array:
    return np.clip(x, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def arithmetic(name: str) -> list[Row]:
    call, function = getattr(tpul, name), NUMPY[name]
    signed = "int16" if name == "mul" else "int8"
    return [
        Row(name, {"x": X, "y": Y}, call, function),
        Row(name, {"x": X}, lambda x: call(0.75, x), lambda x: function(np.float32(0.75), x)),
        Row(name, {"h": H}, lambda h: call(h, tpul.Scalar(0.5, "float16")), lambda h: function(h, np.float16(0.5))),
        Row(name, {"q": Q, "r": R}, call, lambda q, r: limited(function(q.astype(int), r), "int8")),
        Row(
            name,
            {"u": U, "r": R},
            lambda u, r: call(u, r, out_dtype=signed),
            lambda u, r: limited(function(u.astype(int), r), signed),
        ),
        Row(
            name,
            {"q": Q, "r": R},
            lambda q, r: call(q, r, SCALES, ZEROS),
            lambda q, r: narrow(function(numbers(q, 0.1, 1), numbers(r, 0.05, -2)), 0.2, 3),
            steps=1,
        ),
    ]


def shifts(name: str) -> list[Row]:
    call, function = getattr(tpul, f"{name}_shift"), NUMPY[name]

    def wrapped(x: Array) -> Array:
        return (x & 0xFF).astype(np.uint8).view(np.int8)

    return [
        Row(f"{name}_shift", {"q": Q, "r": R}, lambda q, r: call(q, r, -2, "int8"), lambda q, r: narrow(function(q.astype(int), r) / 4)),
        Row(
            f"{name}_shift",
            {"q": Q},
            lambda q: call(100, q, -1, "int8", "down", False),
            lambda q: wrapped(function(100, q.astype(int)) >> 1),
        ),
    ]


def comparisons(name: str) -> list[Row]:
    call, single, function = getattr(tpul, name), getattr(tpul, f"{name}s"), COMPARED[name]
    return [
        Row(name, {"x": np.round(X) + 0.0, "y": np.round(Y) + 0.0}, call, function),
        Row(name, {"q": Q // 8, "r": R // 8}, call, function),
        Row(
            name,
            {"q": Q // 8, "r": R // 8},
            lambda q, r: call(q, r, [0.1, 0.1, 0.25], [2, 2, -3]),
            lambda q, r: narrow(function(q, r).astype(float), 0.25, -3),
        ),
        Row(f"{name}s", {"x": np.round(X) + 0.0}, lambda x: single(x, 1), lambda x: function(x, 1)),
        Row(
            f"{name}s",
            {"q": Q // 8},
            lambda q: single(q, tpul.Scalar(0.75), [0.25, 0.5], [1, 2]),
            lambda q: narrow(function(numbers(q, 0.25, 1), 0.75).astype(float), 0.5, 2),
        ),
    ]


def logic(name: str) -> list[Row]:
    pair, single = f"{name}_op", f"{name}s"
    return [
        Row(pair, {"x": TRUE, "y": TRUE[::-1].copy()}, getattr(tpul, pair), LOGIC[name]),
        Row(single, {"x": TRUE}, lambda x: getattr(tpul, single)(x, 1), lambda x: LOGIC[name](x, 1)),
    ]


ROWS = [
    *(row for name in NUMPY for row in arithmetic(name)),
    Row("div", {"x": X, "y": Y}, tpul.div, lambda x, y: x / y, 64),
    Row("div", {"x": X}, lambda x: tpul.div(2.0, x), lambda x: 2 / x, 64),
    Row(
        "mul", {"q": Q}, lambda q: tpul.mul(q, -0.5, [0.1, 1, 0.2], [1, 0, 3]), lambda q: narrow(numbers(q, 0.1, 1) * -0.5, 0.2, 3), steps=1
    ),
    Row(
        "add",
        {"q": Q},
        lambda q: tpul.add(q, tpul.Scalar(7, "int8"), SCALES, ZEROS),
        lambda q: narrow(numbers(q, 0.1, 1) + 0.45, 0.2, 3),
        steps=1,
    ),
    *(row for name in ("add", "sub", "mul") for row in shifts(name)),
    Row("copy", {"x": X}, tpul.copy, lambda x: x),
    Row("clamp", {"x": X}, lambda x: tpul.clamp(x, -0.5, 0.75), lambda x: np.clip(x, -0.5, 0.75)),
    *(row for name in COMPARED for row in comparisons(name)),
    *(row for name in LOGIC for row in logic(name)),
    Row("not_op", {"x": TRUE}, tpul.not_op, np.logical_not),
    Row("cast", {"x": X * 50}, lambda x: tpul.cast(x, "int8", round_mode="down"), lambda x: limited(np.floor(x), "int8")),
    Row(
        "requant_fp_to_int",
        {"x": X},
        lambda x: tpul.requant_fp_to_int(x, 0.03, 5, 0, "int8"),
        lambda x: narrow(x, 0.03, 5),
        steps=1,
    ),
    Row(
        "requant_fp_to_int",
        {"i": whole(2, 6, 3, 3, low=-5000, high=5000)},
        lambda i: tpul.requant_fp_to_int(i, 0.01, 5.25, 1, "int8"),
        lambda i: limited(away(i * 0.01 + 5.25), "int8"),
        steps=1,
    ),
    Row(
        "requant_fp",
        {"i": whole(2, 6, 3, 3, low=-5000, high=5000)},
        lambda i: tpul.requant_fp(i, [0.01] * 6, 2.0, "uint8", round_mode="half_up"),
        lambda i: limited(np.floor(i * 0.01 + 2.5), "uint8"),
        steps=1,
    ),
    Row(
        "requant_int",
        {"i": whole(2, 6, 3, 3, low=-5000, high=5000)},
        lambda i: tpul.requant_int(i, [3] * 6, [-8] * 6, 4, 2, "int8"),
        lambda i: limited(away(i * 3 / 256) + 4, "int8"),
    ),
    Row(
        "requant_int",
        {"i": whole(2, 6, 3, 3, low=-50000, high=50000)},
        lambda i: tpul.requant_int(i, 2030043136, -7, -1, 1, "int8"),
        lambda i: limited(away(np.floor(i.astype(np.float64) * 2030043136 / 2**31 + 0.5) / 128) - 1, "int8"),
    ),
    Row(
        "requant_int",
        {"i": whole(2, 6, 3, 3, low=-500, high=500)},
        lambda i: tpul.requant_int(i, 1030043136, [-2, 1, 0, -3, 2, 0], 3, 0, "int16"),
        lambda i: mode_zero(i, np.array([-2, 1, 0, -3, 2, 0]).reshape(1, 6, 1, 1)),
    ),
    Row("dequant_int_to_fp", {"q": Q}, lambda q: tpul.dequant_int_to_fp(q, 0.1, 3), lambda q: numbers(q, 0.1, 3)),
    Row(
        "dequant_int",
        {"q": Q},
        lambda q: tpul.dequant_int(q, [5] * 6, [-1] * 6, 3, 0, 0, "int16"),
        lambda q: np.floor((q.astype(int) - 3) * 2.5 + 0.5),
    ),
    Row(
        "dequant_int",
        {"q": Q},
        lambda q: tpul.dequant_int(q, 1 << 30, -1, 3, 4, 1, "int16"),
        lambda q: np.floor((q.astype(int) - 3) * 8 / 2 + 0.5),
    ),
    Row(
        "mean_std_scale",
        {"u": bytes_of(1, 3, 4, 5, dtype="uint8")},
        lambda u: tpul.mean_std_scale(u, [50.0, 60, 70], [100.0, 110, 120], [1.0, 1 / 64], [0, 2], odtype="int8"),
        lambda u: narrow((u - np.reshape([100.0, 110, 120], (1, 3, 1, 1))) / np.reshape([50.0, 60, 70], (1, 3, 1, 1)), 1 / 64, 2),
        steps=1,
    ),
    Row(
        "mean_std_scale",
        {"u": bytes_of(1, 3, 4, 5, dtype="uint8")},
        lambda u: tpul.mean_std_scale(u, [50.0, 60, 70], [100.0, 110, 120]),
        lambda u: (u - np.reshape([100.0, 110, 120], (1, 3, 1, 1))) / np.reshape([50.0, 60, 70], (1, 3, 1, 1)),
    ),
    Row(
        "select",
        {"x": X, "y": floats(2, 5, 4, seed=2)},
        lambda x, y: tpul.select(x, y, y, coeff(X), "Less"),
        lambda x, y: np.where(x < y, y, X),
    ),
    Row(
        "cond_select",
        {"t": TRUE * -2, "x": X},
        lambda t, x: tpul.cond_select(t, x, tpul.Scalar(3.0)),
        lambda t, x: np.where(t != 0, x, 3.0),
    ),
]


def mode_zero(x: Array, shift: Array) -> Array:
    left = x.astype(np.float64) * 2.0 ** np.maximum(shift, 0)
    high = np.floor(left * 1030043136 / 2**31 + 0.5)
    return limited(away(high * 2.0 ** np.minimum(shift, 0)) + 3, "int16")
