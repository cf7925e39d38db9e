"""Sums of products in the orders in which the chip adds them up.

A sum of products is a matrix product: `left` (m, k) by `right` (k, n), one result for each row and column, with k in the chip's order.
Convolutions come as matrices, too: weights by windows.

A sum in which several NaNs meet is a NaN, but not always the one of the official model: its sign and payload there depend on the order of
operands in compiled code.

Source: the measured instruction-set study; compared with the official C model on random bit patterns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.sim.interpreter.numerics.floats import F32, add, flush, multiply

__all__ = ["GROUP", "even_odd", "grouped", "integer"]

GROUP = 32
"""Products of 16-bit floats that are added up exactly."""

_BLOCK = 1 << 16
"""Results that are worked on at a time: few enough to stay in the processor's cache."""
_SAFE_LEAST, _SAFE_MOST = 2.0**-102, 2.0**126
"""Numbers between these, and zero, can be added up and never give a denormal number or an infinity: sums of numbers of at least 2**-102 are
multiples of 2**-125."""

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]


def integer(left: NDArray[np.generic], right: NDArray[np.generic]) -> Int64:
    """Exact sums of products of 8-bit integers, or differences of such."""
    # Every partial sum is below 2**53, so that float64 is exact in any order.
    return np.matmul(left.astype(np.float64), right.astype(np.float64)).astype(np.int64)


def even_odd(left: F32, right: F32, even: F32 | None = None, odd: F32 | None = None) -> F32:
    """Sums of f32 products: those with even k and those with odd k are added up apart, from `even` and `odd` on, each step rounded; the
    result is even plus odd.

    Args:
        left: (m, k).
        right: (k, n).
        even, odd: (m, n), or what broadcasts to it; zeros by default.
    """
    left, right = flush(np.ascontiguousarray(left)), flush(np.ascontiguousarray(right))
    starts = [np.zeros((1, 1), np.float32) if start is None else flush(start) for start in (even, odd)]
    shape = left.shape[0], right.shape[1]
    result = np.empty(shape, np.float32)
    plain = _is_safe(left, right, starts)
    for columns in _blocks(shape):
        sums = [np.broadcast_to(start, shape)[:, columns].copy() for start in starts]
        if plain:
            result[:, columns] = _even_odd_plain(left, right[:, columns], sums)
        else:
            for k in range(left.shape[1]):
                product = multiply(left[:, k, None], right[None, k, columns], flushed=True)
                sums[k & 1] = cast("F32", add(sums[k & 1], product, flushed=True))
            result[:, columns] = cast("F32", add(sums[0], sums[1], flushed=True))
    return result


def _even_odd_plain(left: F32, right: F32, sums: list[F32]) -> F32:
    product = np.empty_like(sums[0])
    for k in range(left.shape[1]):
        np.multiply(left[:, k, None], right[None, k], out=product)
        np.add(sums[k & 1], product, out=sums[k & 1])
    return sums[0] + sums[1]


def _blocks(shape: tuple[int, int]) -> Iterator[slice]:
    width = max(1, _BLOCK // max(1, shape[0]))
    return (slice(start, start + width) for start in range(0, shape[1], width))


def _is_safe(left: F32, right: F32, starts: list[F32]) -> bool:
    """Whether no denormal number, infinity or NaN can arise, so that plain f32 arithmetic is the chip's."""
    (left_least, left_most), (right_least, right_most) = _magnitudes(left), _magnitudes(right)
    sums = [_magnitudes(start) for start in starts]
    least = min([left_least * right_least, *(low for low, _ in sums)])
    most = left.shape[1] * left_most * right_most + sum(high for _, high in sums)
    return least >= _SAFE_LEAST and most <= _SAFE_MOST  # false for NaN


def _magnitudes(values: F32) -> tuple[float, float]:
    """Smallest magnitude besides 0, and the largest one."""
    magnitudes = np.abs(values)
    most = float(magnitudes.max(initial=0.0))
    magnitudes[magnitudes == 0] = np.inf
    return float(magnitudes.min(initial=np.inf)), most


# ---------------------------------------------------------------------------- groups of 16-bit products


def grouped(left: F32, right: F32, start: F32 | None = None) -> F32:
    """Sums of products of f16 or bf16 numbers, given as f32, in groups of 32 neighbouring k.

    Of each product only the bits down to 2**(e - 24) count, where 2**e is the magnitude of the largest product of the group; what is left
    is added up exactly and rounded to f32. The groups are added to `start` one after the other, each sum rounded.

    Args:
        left: (m, k), k a multiple of 32.
        right: (k, n).
        start: (m, n), or what broadcasts to it; zeros by default.
    """
    shape = left.shape[0], right.shape[1]
    result = np.empty(shape, np.float32)
    initial = np.broadcast_to(np.zeros((1, 1), np.float32) if start is None else flush(start), shape)
    left, right = flush(np.ascontiguousarray(left)), flush(np.ascontiguousarray(right))
    for columns in _blocks(shape):
        total = initial[:, columns].copy()
        for k in range(0, left.shape[1], GROUP):
            total = cast("F32", add(total, _group(left[:, k : k + GROUP], right[k : k + GROUP, columns]), flushed=True))
        result[:, columns] = total
    return result


def _group(left: F32, right: F32) -> F32:
    """The sum of one group of products, rounded to f32; infinities and NaNs as the model propagates them."""
    with np.errstate(all="ignore"):
        products = [flush(left[:, k, None] * right[None, k]).view(np.int32) for k in range(left.shape[1])]
    exponents = [product >> 23 & 0xFF for product in products]
    largest: Int32 = np.maximum.reduce(exponents)
    total: Int32 = np.zeros(largest.shape, np.int32)
    for product, exponent in zip(products, exponents, strict=True):
        digits = (product & 0x007F_FFFF | 0x0080_0000) << 1 >> np.minimum(largest - exponent, 31)
        digits[exponent == 0] = 0
        total = total + np.where(product < 0, -digits, digits)
    rounded = np.ldexp(total.astype(np.float32).astype(np.float64), largest - (127 + 24))
    with np.errstate(over="ignore"):
        sums = flush(rounded.astype(np.float32))
    special = largest == 0xFF
    return np.where(special, _special(products), sums) if special.any() else sums


def _special(products: list[Int32]) -> F32:
    """Sums with infinities and NaNs among the terms: infinities of one sign win over NaNs, those of both signs give a NaN."""
    floats = [product.view(np.float32) for product in products]
    up, down = (np.logical_or.reduce([values == sign * np.inf for values in floats]) for sign in (1, -1))
    bits = np.where(up & ~down, np.uint32(0x7F80_0000), np.where(down & ~up, np.uint32(0xFF80_0000), np.uint32(0xFFC0_0000)))
    return bits.view(np.float32)
