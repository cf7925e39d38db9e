"""Operators of arrangement, shape, selection, sorting, reduction and normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bmlang import tpulang as tpul
from tests.tpulang.rows.base import Array, Row, bytes_of, coeff, floats, given, narrow, numbers, whole

X, H, Q = floats(2, 5, 4), floats(2, 5, 4, dtype="float16"), bytes_of(2, 6, 4, 3)
V = floats(1, 4, 6, 7)
TABLE = bytes_of(256, dtype="uint8")
PLACES = whole(3, low=0, high=5)
EACH = whole(2, 3, 4, low=0, high=5)
ROW, COLUMN = floats(4, seed=5), floats(4, seed=6)
GAMMA, BETA = floats(5, seed=7), floats(5, seed=8)


def normal(x: Array, axes: tuple[int, ...], eps: float = 1e-5) -> Array:
    wide = x.astype(np.float64)
    return (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + eps)


def column(x: Array) -> Array:
    return x.reshape(1, -1, 1)


def put(x: Array, index: Array, updates: Array) -> Array:
    found = x.copy()
    np.put_along_axis(found, index, updates, 1)
    return found


def put_rows(x: Array, index: Array, updates: Array) -> Array:
    found = x.copy()
    found[index[:, 0]] = updates
    return found


def lengths(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.abs(x).sum(axes, keepdims=keepdims)


def length(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.sqrt(np.square(x).sum(axes, keepdims=keepdims))


def reduction(name: str) -> Row:
    function = REDUCTIONS[name]
    return Row(
        "reduce",
        {"x": V},
        lambda x: tpul.reduce(x, name, [1, 3]),
        lambda x: function(x.astype(np.float64), (1, 3), keepdims=True),
        64,
    )


REDUCTIONS: Mapping[str, Callable[..., Array]] = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceL1": lengths,
    "ReduceL2": length,
}

ROWS = [
    Row("permute", {"x": X}, lambda x: tpul.permute(x, [2, 0, 1]), lambda x: x.transpose(2, 0, 1)),
    Row("tile", {"x": X}, lambda x: tpul.tile(x, [1, 2, 3]), lambda x: np.tile(x, (1, 2, 3))),
    Row("broadcast", {"x": X[:1]}, lambda x: tpul.broadcast(x, [3, 1, 4]), lambda x: np.broadcast_to(x, (3, 5, 4))),
    Row("concat", {"x": X, "y": X + 1}, lambda x, y: tpul.concat([x, y], axis=1), lambda x, y: np.concatenate([x, y], 1)),
    Row(
        "concat",
        {"q": Q, "r": Q[::-1].copy()},
        lambda q, r: tpul.concat([q, r], [0.1, 0.05, 0.1], [1, 2, 1], 2, dtype="int8"),
        lambda q, r: np.concatenate([q, narrow(numbers(r, 0.05, 2), 0.1, 1)], 2),
        steps=1,
    ),
    Row("split", {"x": X}, lambda x: tpul.split(x, 1, 2, [2, 3]), lambda x: np.split(x, [2], 1)),
    Row("split", {"x": X}, lambda x: tpul.split(x, -1, 2), lambda x: np.split(x, 2, -1)),
    Row("slice", {"x": X}, lambda x: tpul.slice(x, [-4, 1], [-1, 9], [2, 1], [1, -1]), lambda x: x[:, -4:-1:2, 1:9]),
    Row("slice", {"x": X}, lambda x: tpul.slice(x, 1, 2), lambda x: x[1:2]),
    Row("extract", {"x": X}, lambda x: tpul.extract(x, [0, 4, 0], [2, 1, 4], [1, -2, 3]), lambda x: x[0:2, 4:1:-2, 0:4:3]),
    Row(
        "pad",
        {"x": X},
        lambda x: tpul.pad(x, value=tpul.Scalar(2.0), padding=[0, 1, 2, 1, 0, 3]),
        lambda x: np.pad(x, ((0, 1), (1, 0), (2, 3)), constant_values=2),
    ),
    Row(
        "pad",
        {"x": X},
        lambda x: tpul.pad(x, "reflect", padding=[0, 1, 2, 1, 4, 3]),
        lambda x: np.pad(x, ((0, 1), (1, 4), (2, 3)), "reflect"),
    ),
    Row(
        "pad",
        {"q": Q},
        lambda q: tpul.pad(q, "symmetric", padding=[0, 1, 2, 0, 2, 4, 3, 3]),
        lambda q: np.pad(q, ((0, 2), (1, 4), (2, 3), (0, 3)), "symmetric"),
    ),
    Row("pad", {"x": X}, lambda x: tpul.pad(x, "edge", padding=[0, 7, 0, 0, 1, 0]), lambda x: np.pad(x, ((0, 0), (7, 1), (0, 0)), "edge")),
    Row("repeat", {"x": X}, lambda x: tpul.repeat(x, coeff(given("float32", [1, 2, 3]))), lambda x: np.tile(x, (1, 2, 3))),
    Row("roll", {"x": X}, lambda x: tpul.roll(x, [1, -2], [0, 2]), lambda x: np.roll(x, (1, -2), (0, 2))),
    Row("roll", {"x": X}, lambda x: tpul.roll(x, 7), lambda x: np.roll(x, 7)),
    Row("cumsum", {"x": X}, lambda x: tpul.cumsum(x, 1), lambda x: np.cumsum(x, 1, dtype=np.float64), 64),
    Row("squeeze", {"x": X.reshape(2, 1, 20, 1)}, lambda x: tpul.squeeze(x, [1]), lambda x: x.reshape(2, 20, 1)),
    Row("unsqueeze", {"x": X}, lambda x: tpul.unsqueeze(x, [0, -1]), lambda x: x.reshape(1, 2, 5, 4, 1)),
    Row("reshape", {"x": X}, lambda x: tpul.reshape(x, [0, -1]), lambda x: x.reshape(2, 20)),
    Row("reshape", {"x": X}, lambda x: tpul.reshape(x, coeff(given("int32", [4, 10]))), lambda x: x.reshape(4, 10)),
    Row("shape_fetch", {"x": X}, lambda x: tpul.shape_fetch(x, 1), lambda x: given("int32", [5, 4])),
    Row("index_select", {"x": X}, lambda x: tpul.index_select(x, coeff(PLACES), 1), lambda x: x[:, PLACES]),
    Row(
        "index_select", {"x": X, "i": PLACES.astype(np.float32)}, lambda x, i: tpul.index_select(x, i, -2), lambda x, i: x[:, i.astype(int)]
    ),
    Row("gather_elements", {"x": X, "i": EACH}, lambda x, i: tpul.gather_elements(x, i, 1), lambda x, i: np.take_along_axis(x, i, 1)),
    Row(
        "scatter",
        {"x": X, "u": floats(2, 1, 4, seed=9)},
        lambda x, u: tpul.scatter(x, coeff(EACH[:, :1].copy()), u, 1),
        lambda x, u: put(x, EACH[:, :1], u),
    ),
    Row(
        "scatterND",
        {"x": X, "u": floats(1, 5, 4, seed=9)},
        lambda x, u: tpul.scatterND(x, coeff(given("uint32", [[1]])), u),
        lambda x, u: put_rows(x, given("int32", [[1]]), u),
    ),
    Row("nonzero", {"x": given("float32", [[0, 1, 0], [2, 0, 3]])}, tpul.nonzero, np.argwhere),
    Row("lut", {"q": Q}, lambda q: tpul.lut(q, coeff(TABLE)), lambda q: TABLE[q.view(np.uint8)]),
    Row("arg", {"x": X}, lambda x: tpul.arg(x, "max", 1), lambda x: [x.argmax(1, keepdims=True), x.max(1, keepdims=True)]),
    Row("arg", {"x": X}, lambda x: tpul.arg(x, "min", -1, False), lambda x: [x.argmin(-1), x.min(-1)]),
    Row("custom", {"x": X}, lambda x: tpul.custom([x], "bm::relu", ["float32"]), lambda x: [np.maximum(x, 0)]),
    Row("normalize", {"x": X}, lambda x: tpul.normalize(x, 3.0), lambda x: x / (np.abs(x) ** 3).sum(1, keepdims=True) ** (1 / 3), 128),
    Row(
        "normalize",
        {"x": X},
        lambda x: tpul.normalize(x, axes=[1, 2]),
        lambda x: x / np.sqrt((x.astype(np.float64) ** 2).sum((1, 2), keepdims=True)),
        128,
    ),
    Row("topk", {"x": X}, lambda x: tpul.topk(x, 1, 2), lambda x: [-np.sort(-x, 1)[:, :2], np.argsort(-x, 1)[:, :2]]),
    Row("sort", {"x": X}, lambda x: tpul.sort(x, 2, False), lambda x: [np.sort(x, 2), np.argsort(x, 2)]),
    Row("argsort", {"x": X}, tpul.argsort, lambda x: np.argsort(-x)),
    Row("sort_by_key", {"x": X}, lambda x: tpul.sort_by_key(x, coeff(ROW)), lambda x: [x[..., np.argsort(-ROW)], -np.sort(-ROW)]),
    *(reduction(name) for name in REDUCTIONS),
    Row("reduce", {"x": V}, lambda x: tpul.reduce(x, axes=-1, keep_dims=False), lambda x: x.sum(-1), 64),
    Row("upsample", {"q": Q}, lambda q: tpul.upsample(q, 3), lambda q: q.repeat(3, 2).repeat(3, 3)),
    Row(
        "batch_norm",
        {"x": X},
        lambda x: tpul.batch_norm(x, coeff(GAMMA), coeff(np.abs(BETA)), coeff(BETA), coeff(GAMMA)),
        lambda x: (x - column(GAMMA)) / np.sqrt(column(np.abs(BETA)) + 1e-5) * column(BETA) + column(GAMMA),
        64,
    ),
    Row("layer_norm", {"x": X}, lambda x: tpul.layer_norm(x, coeff(ROW), coeff(COLUMN)), lambda x: normal(x, (2,)) * ROW + COLUMN, 128),
    Row("layer_norm", {"x": X}, lambda x: tpul.layer_norm(x, axis=1), lambda x: normal(x, (1, 2)), 128),
    Row(
        "group_norm",
        {"x": V},
        lambda x: tpul.group_norm(x, coeff(ROW), coeff(COLUMN), num_groups=2),
        lambda x: normal(x.reshape(1, 2, 2, 6, 7), (2, 3, 4)).reshape(x.shape) * ROW.reshape(1, 4, 1, 1) + COLUMN.reshape(1, 4, 1, 1),
        128,
    ),
    Row(
        "rms_norm",
        {"x": X},
        lambda x: tpul.rms_norm(x, coeff(ROW)),
        lambda x: x / np.sqrt(np.mean(x.astype(np.float64) ** 2, -1, keepdims=True) + 1e-5) * ROW,
        128,
    ),
    Row(
        "rope",
        {"x": floats(2, 3, 4, 6)},
        lambda x: tpul.rope(x, coeff(floats(4, 6)), coeff(floats(4, 6, seed=1))),
        lambda x: np.stack([-x[..., 1::2], x[..., ::2]], -1).reshape(x.shape) * floats(4, 6) + x * floats(4, 6, seed=1),
    ),
    Row(
        "rope",
        {"x": floats(2, 4, 3, 6)},
        lambda x: tpul.rope(x, coeff(floats(4, 6)), coeff(floats(4, 6, seed=1)), True, rope_mode="contiguous_halves"),
        lambda x: np.concatenate([-x[..., 3:], x[..., :3]], -1) * floats(4, 6)[:, None] + x * floats(4, 6, seed=1)[:, None],
    ),
    Row(
        "rope",
        {"q": bytes_of(2, 3, 4, 6)},
        lambda q: tpul.rope(q, coeff(bytes_of(4, 6)), coeff(bytes_of(4, 6, seed=1)), mul1_shift=-7, mul2_shift=-6, add_shift=-1),
        lambda q: rope_int(q, bytes_of(4, 6), bytes_of(4, 6, seed=1)),
    ),
    Row(
        "rot_pos_emb",
        {"i": whole(7, 2, low=0, high=5)},
        lambda i: tpul.rot_pos_emb(i, coeff(floats(5, 3)), coeff(floats(5, 3, seed=1)), coeff(floats(5, 3, seed=2))),
        lambda i: [np.tile(floats(5, 3, seed=k)[i].reshape(7, 6), (1, 2 if k else 1)) for k in range(3)],
    ),
]


def half_up(x: Array, shift: int) -> Array:
    return np.clip((x + (1 << shift >> 1)) >> shift, -128, 127)


def rope_int(x: Array, sines: Array, cosines: Array) -> Array:
    wide = x.astype(np.int64)
    turned = np.stack([np.minimum(-wide[..., 1::2], 127), wide[..., ::2]], -1).reshape(x.shape)
    return half_up(half_up(turned * sines, 7) + half_up(wide * cosines, 6), 1)
