"""Operators of windows and products of matrices."""

from __future__ import annotations

from itertools import product
from math import ceil, prod

import ml_dtypes
import numpy as np

from bmlang import tpulang as tpul
from tests.tpulang.rows.base import Array, Row, bytes_of, coeff, floats, narrow, numbers, whole

IMAGE, VOLUME = floats(2, 4, 7, 9), floats(1, 2, 5, 6, 7)
Q, U = bytes_of(2, 4, 7, 9), bytes_of(1, 2, 5, 6, 7, dtype="uint8")
BIAS, SUMS = floats(6, seed=1), whole(6, low=-1000, high=1000)


def convolved(
    x: Array, weight: Array, bias: Array | None, stride: list[int], pad: list[int], dilation: list[int], group: int = 1, fill: float = 0
) -> Array:
    """A convolution over any number of dimensions, tap by tap; integers exactly."""
    rank = len(stride)
    wide = x.astype(np.int64 if x.dtype.kind in "iu" else np.float64)
    padded = np.pad(
        wide, [(0, 0), (0, 0), *zip(pad[:rank], pad[rank:], strict=True)], constant_values=int(fill) if x.dtype.kind in "iu" else fill
    )
    kernel = weight.shape[2:]
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    out = [(size - length) // step + 1 for size, length, step in zip(padded.shape[2:], reach, stride, strict=True)]
    channels, outputs = x.shape[1] // group, weight.shape[0] // group
    found = np.zeros((x.shape[0], weight.shape[0], *out), wide.dtype)
    for tap in product(*map(range, kernel)):
        spans = [slice(k * d, k * d + (o - 1) * s + 1, s) for k, d, o, s in zip(tap, dilation, out, stride, strict=True)]
        part = padded[(slice(None), slice(None), *spans)]
        for g in range(group):
            taps = weight[(slice(g * outputs, (g + 1) * outputs), slice(None), *tap)].astype(wide.dtype)
            found[:, g * outputs : (g + 1) * outputs] += np.einsum("nc...,oc->no...", part[:, g * channels : (g + 1) * channels], taps)
    return found if bias is None else found + bias.reshape(-1, *[1] * rank)


def transposed(x: Array, weight: Array, bias: Array | None, stride: list[int], pad: list[int], more: list[int], group: int = 1) -> Array:
    """The transpose of a convolution with weights (oc, ic / group, ...)."""
    rank = len(stride)
    wide = x.astype(np.int64 if x.dtype.kind in "iu" else np.float64)
    kernel, outputs, channels = weight.shape[2:], weight.shape[0] // group, x.shape[1] // group
    full = [(size - 1) * step + length for size, step, length in zip(x.shape[2:], stride, kernel, strict=True)]
    found = np.zeros((x.shape[0], weight.shape[0], *[a + b for a, b in zip(full, more, strict=True)]), wide.dtype)
    for tap in product(*map(range, kernel)):
        spans = tuple(slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip(tap, x.shape[2:], stride, strict=True))
        for g in range(group):
            taps = weight[(slice(g * outputs, (g + 1) * outputs), slice(None), *tap)].astype(wide.dtype)
            part = np.einsum("nc...,oc->no...", wide[:, g * channels : (g + 1) * channels], taps)
            found[(slice(None), slice(g * outputs, (g + 1) * outputs), *spans)] += part
    cut = tuple(slice(a, n - b) for a, b, n in zip(pad[:rank], pad[rank:], found.shape[2:], strict=True))
    found = found[(slice(None), slice(None), *cut)]
    return found if bias is None else found + bias.reshape(-1, *[1] * rank)


def pooled(
    x: Array, kernel: list[int], stride: list[int], pad: list[int], kind: str, ceil_mode: bool = False, include: bool = False
) -> Array:
    """Windows as PyTorch has them."""
    rank, wide = len(kernel), x.astype(np.float64)
    sizes = x.shape[2:]
    rooms = [n + a + b - k for n, a, b, k in zip(sizes, pad[:rank], pad[rank:], kernel, strict=True)]
    out = [(ceil(r / s) if ceil_mode else r // s) + 1 for r, s in zip(rooms, stride, strict=True)]
    out = [o - 1 if ceil_mode and (o - 1) * s >= n + a else o for o, s, n, a in zip(out, stride, sizes, pad[:rank], strict=True)]
    found = np.zeros((*x.shape[:2], *out))
    for place in product(*map(range, out)):
        low = [p * s - a for p, s, a in zip(place, stride, pad[:rank], strict=True)]
        inside = tuple(slice(max(f, 0), min(f + k, n)) for f, k, n in zip(low, kernel, sizes, strict=True))
        part = wide[(slice(None), slice(None), *inside)].reshape(*x.shape[:2], -1)
        padded = prod(min(f + k, n + b) - f for f, k, n, b in zip(low, kernel, sizes, pad[rank:], strict=True))
        found[(slice(None), slice(None), *place)] = (
            part.max(-1) if kind == "max" else part.sum(-1) / (padded if include else part.shape[-1])
        )
    return found


def places(x: Array, kernel: list[int], stride: list[int], pad: list[int]) -> Array:
    """Where the largest element of each window is: its row times the columns, plus its column."""
    rows, columns = x.shape[2:]
    index: Array = np.broadcast_to(np.arange(rows * columns, dtype=np.int32).reshape(rows, columns), x.shape)
    largest = pooled(x, kernel, stride, pad, "max")
    found = np.zeros(largest.shape, np.int32)
    for place in np.ndindex(*largest.shape[2:]):
        low = [p * s - a for p, s, a in zip(place, stride, pad[:2], strict=True)]
        spans = tuple(slice(max(f, 0), f + k) for f, k in zip(low, kernel, strict=True))
        part, where = (each[(..., *spans)].reshape(*x.shape[:2], -1) for each in (x, index))
        found[(..., *place)] = np.take_along_axis(where, part.argmax(-1)[..., None], -1)[..., 0]
    return found


def requantised(sums: Array, scale: Array | float, zero_point: int, dtype: str) -> Array:
    return narrow(sums * scale, 1, zero_point, dtype)


W, W3 = floats(6, 2, 3, 3, seed=2), floats(6, 2, 2, 3, 3, seed=2)
K, K3 = bytes_of(6, 4, 3, 3, seed=2), bytes_of(6, 2, 2, 3, 3, seed=2)
SCALE = floats(6, low=0.001, high=0.01)
A, B, C, D = floats(2, 5, 7), floats(2, 7, 6, seed=1), bytes_of(2, 5, 7), bytes_of(7, 6, seed=1)
PACKED, STEPS = floats(16, 6, seed=4, low=-9, high=9), floats(1, 2, seed=4, low=0.01, high=0.1)


def float8(x: Array) -> Array:
    return np.clip(x, -448, 448).astype(ml_dtypes.float8_e4m3fn).astype(np.float32)


def packed(bits: int) -> Row:
    """Weights as GPTQ packs them."""
    most = (1 << bits) - 1
    weight, points = whole(32, 16, low=0, high=most + 1), whole(4, 16, low=0, high=most, seed=1)
    steps = floats(4, 16, low=0.01, high=0.1)
    words = [word(each, bits) for each in (weight.T, points)]
    exact = (weight - (points + 1).repeat(8, 0)) * steps.repeat(8, 0).astype(np.float64)
    return Row(
        "a16matmul",
        {"a": floats(3, 32)},
        lambda a: tpul.a16matmul(a, coeff(words[0].T.copy()), coeff(steps), coeff(words[1]), out_dtype="float32", group_size=8, bits=bits),
        lambda a: a.astype(np.float64) @ exact,
        256,
    )


def word(numbers: Array, bits: int) -> Array:
    """Integers of a row in words of 32 bits, the first ones in the low bits."""
    found = np.zeros((numbers.shape[0], numbers.shape[1] * bits // 32), np.int64)
    for place in range(32 // bits):
        found |= numbers.astype(np.int64)[:, place :: 32 // bits] << (bits * place)
    return found.astype(np.uint32).view(np.int32)


ROWS = [
    Row(
        "conv",
        {"x": IMAGE},
        lambda x: tpul.conv(x, coeff(W), coeff(BIAS), [2, 1], [1, 2], [1, 0, 2, 3], 2),
        lambda x: convolved(x, W, BIAS, [2, 1], [1, 0, 2, 3], [1, 2], 2),
        128,
    ),
    Row(
        "conv",
        {"x": IMAGE.astype(np.float16)},
        lambda x: tpul.conv(x, coeff(W[:, :2].repeat(2, 1).astype(np.float16)), coeff(BIAS.reshape(1, 6, 1, 1))),
        lambda x: convolved(x, W[:, :2].repeat(2, 1).astype(np.float16), BIAS, [1, 1], [0] * 4, [1, 1]),
        128,
    ),
    Row(
        "conv_int",
        {"q": Q},
        lambda q: tpul.conv_int(q, coeff(K), coeff(SUMS), pad=[1, 1, 0, 2], input_zp=5, weight_zp=-3),
        lambda q: convolved(q.astype(int) - 5, K.astype(int) + 3, SUMS, [1, 1], [1, 1, 0, 2], [1, 1]),
    ),
    Row(
        "conv_quant",
        {"q": Q},
        lambda q: tpul.conv_quant(q, coeff(K), coeff(SUMS), [2, 2], None, [1] * 4, 1, 0.1, SCALE.tolist(), 0.05, 5, 0, -7),
        lambda q: requantised(
            convolved(q.astype(int) - 5, K, SUMS, [2, 2], [1] * 4, [1, 1]), 0.1 * SCALE.reshape(-1, 1, 1).astype(float) / 0.05, -7, "int8"
        ),
        steps=1,
    ),
    Row(
        "conv3d",
        {"x": VOLUME},
        lambda x: tpul.conv3d(x, coeff(W3), coeff(BIAS), [1, 2, 1], [2, 1, 1], [1, 0, 2, 0, 1, 1]),
        lambda x: convolved(x, W3, BIAS, [1, 2, 1], [1, 0, 2, 0, 1, 1], [2, 1, 1]),
        128,
    ),
    Row(
        "conv3d_int",
        {"u": U},
        lambda u: tpul.conv3d_int(u, coeff(K3), coeff(SUMS), pad=[1, 0, 2, 0, 1, 1], input_zp=9),
        lambda u: convolved(u.astype(int) - 9, K3, SUMS, [1] * 3, [1, 0, 2, 0, 1, 1], [1] * 3),
    ),
    Row(
        "conv3d_quant",
        {"u": U},
        lambda u: tpul.conv3d_quant(u, coeff(K3), None, None, None, [1] * 6, 1, 0.1, 0.004, 0.5, 9, 0, 3, "uint8"),
        lambda u: requantised(convolved(u.astype(int) - 9, K3, None, [1] * 3, [1] * 6, [1] * 3), 0.1 * 0.004 / 0.5, 3, "uint8"),
        steps=1,
    ),
    Row(
        "deconv",
        {"x": IMAGE},
        lambda x: tpul.deconv(x, coeff(W), coeff(BIAS), [2, 3], None, [1, 0, 2, 1], [1, 2], 2),
        lambda x: transposed(x, W, BIAS, [2, 3], [1, 0, 2, 1], [1, 2], 2),
        128,
    ),
    Row(
        "deconv_int",
        {"q": Q},
        lambda q: tpul.deconv_int(q, coeff(K), coeff(SUMS), [2, 2], None, [1] * 4, None, 1, 5, -3),
        lambda q: transposed(q.astype(int) - 5, K.astype(int) + 3, SUMS, [2, 2], [1] * 4, [0, 0]),
    ),
    Row(
        "deconv3d",
        {"x": VOLUME},
        lambda x: tpul.deconv3d(x, coeff(W3), coeff(BIAS), [1, 2, 2], None, [1, 0, 1, 0, 1, 1], [0, 1, 1]),
        lambda x: transposed(x, W3, BIAS, [1, 2, 2], [1, 0, 1, 0, 1, 1], [0, 1, 1]),
        128,
    ),
    Row("matmul", {"a": A, "b": B}, lambda a, b: tpul.matmul(a, b, coeff(BIAS)), lambda a, b: a.astype(np.float64) @ b + BIAS, 128),
    Row(
        "matmul",
        {"a": A.transpose(0, 2, 1).copy(), "b": B.transpose(0, 2, 1).copy()},
        lambda a, b: tpul.matmul(a, b, None, True, True, True, False, True, 1.5),
        lambda a, b: np.clip(a.transpose(0, 2, 1).astype(np.float64) @ b.transpose(0, 2, 1), 0, 1.5).transpose(0, 2, 1).reshape(12, 5),
        128,
    ),
    Row(
        "matmul_int",
        {"c": C},
        lambda c: tpul.matmul_int(c, coeff(D), coeff(SUMS), input_zp=3, right_zp=-2),
        lambda c: (c.astype(int) - 3) @ (D.astype(int) + 2) + SUMS,
    ),
    Row(
        "matmul_quant",
        {"c": C},
        lambda c: tpul.matmul_quant(c, coeff(D), coeff(SUMS), False, True, 0.1, 0.02, 0.9, 3, 0, -4),
        lambda c: requantised((c.astype(int) - 3) @ D.astype(int) + SUMS, 0.1 * 0.02 / 0.9, -4, "int8"),
        steps=1,
    ),
    Row(
        "matmulrq_int_op",
        {"c": C},
        lambda c: tpul.matmulrq_int_op(c, coeff(D), coeff(SUMS), multiplier=[3] * 6, shift=[-11] * 6, offset=2),
        lambda c: requantised(c.astype(int) @ D.astype(int) + SUMS, 3 / 2**11, 2, "int8"),
    ),
    Row(
        "merger_matmul",
        {"x": floats(6, 3, 4, 2)},
        lambda x: tpul.merger_matmul(x, coeff(floats(12, 5)), [[1, 2], [2, 2]]),
        lambda x: merged(x, floats(12, 5), [(1, 2), (2, 2)]),
        128,
    ),
    *(packed(bits) for bits in (4, 8)),
    Row(
        "fp8matmul",
        {"a": floats(2, 3, 16)},
        lambda a: tpul.fp8matmul(a, coeff(PACKED.T.copy() * 60), coeff(STEPS.copy()), out_dtype="float32", block_size=8),
        lambda a: a.astype(np.float64) @ (float8(PACKED.T * 60) * STEPS.repeat(8, 0)[:6].repeat(8, 1)).T,
        256,
    ),
    Row(
        "maxpool2d_with_mask",
        {"x": IMAGE},
        lambda x: tpul.maxpool2d_with_mask(x, [3, 2], [2, 3], [1, 0, 1, 1]),
        lambda x: [pooled(x, [3, 2], [2, 3], [1, 0, 1, 1], "max"), places(x, [3, 2], [2, 3], [1, 0, 1, 1])],
    ),
    Row(
        "maxpool3d",
        {"x": VOLUME},
        lambda x: tpul.maxpool3d(x, 2, [1, 2, 2], 1, True),
        lambda x: pooled(x, [2, 2, 2], [1, 2, 2], [1] * 6, "max", True),
    ),
    Row(
        "maxpool3d",
        {"u": U},
        lambda u: tpul.maxpool3d(u, [2, 3, 2], 2, scale=[0.1, 0.2], zero_point=[3, 1]),
        lambda u: narrow(numbers(pooled(u, [2, 3, 2], [2] * 3, [0] * 6, "max"), 0.1, 3), 0.2, 1, "uint8"),
        steps=1,
    ),
    Row("avgpool3d", {"x": VOLUME}, lambda x: tpul.avgpool3d(x, 2, 2, 1), lambda x: pooled(x, [2] * 3, [2] * 3, [1] * 6, "avg"), 64),
    Row(
        "avgpool3d",
        {"u": U},
        lambda u: tpul.avgpool3d(u, [2, 3, 2], 2, scale=[0.1, 0.2], zero_point=[3, 1]),
        lambda u: narrow(numbers(pooled(u, [2, 3, 2], [2] * 3, [0] * 6, "avg"), 0.1, 3), 0.2, 1, "uint8"),
        steps=1,
    ),
    Row(
        "maxpool2d",
        {"x": IMAGE},
        lambda x: tpul.maxpool2d(x, [3, 2], [2, 3], [1, 1, 1, 0], True),
        lambda x: pooled(x, [3, 2], [2, 3], [1, 1, 1, 0], "max", True),
    ),
    Row("maxpool2d", {"x": IMAGE}, tpul.maxpool2d, lambda x: x.max((2, 3), keepdims=True)),
    Row(
        "maxpool2d",
        {"q": Q},
        lambda q: tpul.maxpool2d(q, [2, 2], [2, 2], scale=[0.1, 0.2], zero_point=[3, -1]),
        lambda q: narrow(numbers(pooled(q, [2, 2], [2, 2], [0] * 4, "max"), 0.1, 3), 0.2, -1),
        steps=1,
    ),
    Row(
        "avgpool2d",
        {"q": Q},
        lambda q: tpul.avgpool2d(q, [2, 3], [2, 2], None, False, [0.1, 0.05], [3, -1]),
        lambda q: narrow(numbers(pooled(q, [2, 3], [2, 2], [0] * 4, "avg"), 0.1, 3), 0.05, -1),
        steps=1,
    ),
    Row(
        "avgpool2d",
        {"x": IMAGE},
        lambda x: tpul.avgpool2d(x, [3, 2], [2, 3], [1, 1, 1, 0]),
        lambda x: pooled(x, [3, 2], [2, 3], [1, 1, 1, 0], "avg"),
        64,
    ),
    Row(
        "avgpool2d",
        {"x": IMAGE},
        lambda x: tpul.avgpool2d(x, [2, 2], [2, 2], [1, 0, 0, 1], True, count_include_pad=True),
        lambda x: pooled(x, [2, 2], [2, 2], [1, 0, 0, 1], "avg", True, True),
        64,
    ),
    Row(
        "avgpool2d",
        {"q": Q},
        lambda q: tpul.avgpool2d(q, [2, 3], [2, 2], [1, 1, 1, 1]),
        lambda q: narrow(pooled(q, [2, 3], [2, 2], [1] * 4, "avg")),
        steps=1,
    ),
]


def merged(x: Array, weight: Array, sizes: list[tuple[int, int]]) -> Array:
    """Four neighbours of each picture, whose patches lie one behind the other, as one row."""
    channels, high, wide = x.shape[1:]
    rows: list[Array] = []
    first = 0
    for tall, broad in sizes:
        patches = x[first : first + tall * broad].reshape(tall, broad, channels, high, wide)
        picture = patches.transpose(0, 3, 1, 4, 2).reshape(tall * high // 2, 2, broad * wide // 2, 2, channels)
        rows.append(picture.transpose(0, 2, 1, 3, 4).reshape(-1, 4 * channels))
        first += tall * broad
    return np.concatenate(rows).astype(np.float64) @ weight
