"""Random strides and addresses that are legal on the BM1684X: operands inside a lane, without overlap, in DDR or L2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

LANES = 64
LANE_BYTES = 256 * 1024
EU_BYTES = 64
LOCAL_BASE = 0x0800_0000
L2_RANGE = (0x1000_0000, 0x1000_0000 + 0x1FB000)
DDR_BASES = (0x1_0000_0000, 0x2_4000_0000, 0x3_8000_0000)
"""Starts of the DDR windows that draws use: the upper eight address bits differ."""
WINDOW = 1 << 28
SYSTEM_OPERANDS = 3
LOW_WINDOW = 1 << 24
LOW_DDR_BYTES = SYSTEM_OPERANDS * LOW_WINDOW
START_LANES = (0, 1, 5, 60, 63)

Dims = tuple[int, int, int, int]
ARITH_STRIDE_LIMITS: Dims = (0xFFFF, 0xFFFF, 0x3FFFF, 0x3FFFF)
CONV_STRIDE_LIMITS: Dims = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF)
GDMA_STRIDE_LIMITS: Dims = (1 << 24, 1 << 24, 1 << 24, 1 << 24)


@dataclass(frozen=True)
class StrideRules:
    """Which strides an operand may have: zeros (``broadcast``, in W too with ``zero_w``), the largest useful W stride, and the limits."""

    broadcast: bool
    zero_w: bool
    max_w: int
    limits: Dims


class NoRoomError(Exception):
    """The operands of a draw do not fit into a lane; draw again."""


def align(value: int, unit: int) -> int:
    """``value`` rounded up to a multiple of ``unit``."""
    return -(-value // unit) * unit


def rows(lane: int, channels: int) -> int:
    """Rows that ``channels`` channels take in a lane, from start lane ``lane``."""
    return -(-(lane + channels) // LANES)


def local_stride(rng: Random, shape: Dims, lane: int, item: int, rules: StrideRules) -> Dims | None:
    """NULL, EU-aligned, compact, free, or (for sources) one with zeros; in elements."""
    n, c, h, w = shape
    kind = rng.choice(("null", "null", "aligned", "compact", "free", "free", *(("broadcast",) if rules.broadcast else ())))
    if kind == "null":
        return None
    w_stride = rng.randint(1, rules.max_w) if kind == "free" else 1
    h_stride = w * w_stride + (rng.randint(0, 3) if kind == "free" else 0)
    feature = h * h_stride + (rng.randint(0, 9) if kind == "free" else 0)
    c_stride = align(feature, EU_BYTES // item) if kind == "aligned" else feature
    n_stride = rows(lane, c) * c_stride + (rng.randint(0, 9) if kind == "free" else 0)
    strides = (n_stride, c_stride, h_stride, w_stride)
    if kind == "free" and rng.random() < 0.3:
        strides = unused_large(rng, (n, rows(lane, c), h, w), strides, rules.limits)
    return zeros(rng, strides, zero_w=rules.zero_w) if kind == "broadcast" else _dims(strides)


def system_stride(rng: Random, shape: Dims, rules: StrideRules) -> Dims | None:
    """NULL, contiguous or free strides of a tensor in system memory; in elements."""
    kind = rng.choice(("null", "contiguous", "free", "free", *(("broadcast",) if rules.broadcast else ())))
    if kind == "null":
        return None
    free = kind == "free"
    _, c, h, w = shape
    w_stride = rng.randint(1, rules.max_w) if free else 1
    h_stride = w * w_stride + rng.randint(0, 5) * free
    c_stride = h * h_stride + rng.randint(0, 9) * free
    strides = (c * c_stride + rng.randint(0, 9) * free, c_stride, h_stride, w_stride)
    if kind == "broadcast":
        return zeros(rng, strides, zero_w=False)
    return unused_large(rng, shape, strides, rules.limits) if free and rng.random() < 0.3 else strides


def zeros(rng: Random, strides: Dims, *, zero_w: bool) -> Dims:
    """The strides with some of them 0."""
    kept = [rng.random() < 0.5 for _ in strides]
    kept[3] |= not zero_w
    return _dims([stride * keep for stride, keep in zip(strides, kept, strict=True)])


def unused_large(rng: Random, shape: Dims, strides: Dims, limits: Dims) -> Dims:
    """Strides of dimensions of size 1 address nothing: give them any value up to the limit that the library sets."""
    return _dims([rng.randint(1, limit) if size == 1 else step for size, step, limit in zip(shape, strides, limits, strict=True)])


def local_bytes(shape: Dims, lane: int, stride: Dims | None, item: int) -> int:
    """Upper bound of the bytes that a tensor takes in its start lane; without strides the widest of the default layouts counts."""
    n, c, h, w = shape
    if stride is None:
        return n * rows(lane, c) * max(h * align(w * item, EU_BYTES), align(h * w * item, EU_BYTES))
    extent = (n, rows(lane, c), h, w)
    return item * (1 + sum((size - 1) * step for size, step in zip(extent, stride, strict=True)))


def place(rng: Random, sizes: Mapping[str, int], alignment: Mapping[str, int]) -> dict[str, int]:
    """Offsets in a lane without overlap, in random order with random gaps (often none, so that operands share banks)."""
    names = list(sizes)
    rng.shuffle(names)
    spare = LANE_BYTES - sum(align(size, EU_BYTES) + EU_BYTES for size in sizes.values())
    if spare < 0:
        raise NoRoomError
    weights = [rng.choice((0, 0, 1, 3)) for _ in range(len(names) + 1)]
    total = sum(weights) or 1
    offsets: dict[str, int] = {}
    cursor = 0
    for name, weight in zip(names, weights, strict=False):
        unit = alignment[name]
        cursor += EU_BYTES * rng.randint(0, spare * weight // total // EU_BYTES)
        offsets[name] = cursor + unit * rng.randint(0, EU_BYTES // unit - 1)
        cursor += align(sizes[name], EU_BYTES) + EU_BYTES
    return offsets


def place_within(rng: Random, sizes: Mapping[str, int], windows: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Aligned offsets of operands that have to lie each in a window of the lane, and to end before its end."""
    offsets: dict[str, int] = {}
    for name, size in sizes.items():
        start, stop = windows[name]
        if start + size >= stop:
            raise NoRoomError
        offsets[name] = start + EU_BYTES * rng.randint(0, (stop - start - size - 1) // EU_BYTES)
    return offsets


def system_bytes(shape: Dims, stride: Dims | None, item: int) -> int:
    """Bytes that a tensor takes in system memory."""
    _, c, h, w = shape
    steps = stride or (c * h * w, h * w, w, 1)
    return item * (1 + sum((size - 1) * step for size, step in zip(shape, steps, strict=True)))


def system_address(rng: Random, position: int, unit: int, size: int, *, low: bool) -> int:
    """An address of the ``position``-th system operand, of ``size`` bytes, aligned to ``unit`` bytes.

    Operands of different positions do not overlap.
    In DDR or (at times, if it fits) L2; with ``low`` always within the first ``LOW_DDR_BYTES`` of DDR.
    """
    if low:
        return DDR_BASES[0] + position * LOW_WINDOW + rng.randrange(0, 1 << 16, unit)
    start, stop = L2_RANGE
    room = (stop - start) // SYSTEM_OPERANDS
    if rng.random() < 0.15 and size <= room // 2:
        return start + position * room + rng.randrange(0, room // 2, unit)
    base = rng.choice(DDR_BASES) if rng.random() < 0.5 else DDR_BASES[0]
    return base + position * WINDOW + rng.randrange(0, 1 << 20, unit)


def _dims(values: Sequence[int]) -> Dims:
    n, c, h, w = values
    return (n, c, h, w)
