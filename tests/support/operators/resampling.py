"""Operators that a matrix computes along a dimension: other sizes of images, and running sums."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np

import bmlang as bm
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tpukernel.dtypes import DTYPES, Dtype, f32

__all__ = ["OPERATORS"]


def _place(index: int, size: int, wanted: int, coordinates: str) -> Fraction:
    """Where a row of the result lies among those of the source."""
    if coordinates == "half_pixel":
        return Fraction(2 * index + 1, 2) * Fraction(size, wanted) - Fraction(1, 2)
    if coordinates == "align_corners":
        return Fraction(index * (size - 1), wanted - 1) if wanted > 1 else Fraction(0)
    return Fraction(index * size, wanted)


def _resized(x: Reals, axis: int, wanted: int, method: str, coordinates: str) -> Reals:
    """x with another size of one dimension."""
    rows, size, found = np.moveaxis(x, axis, 0), x.shape[axis], list[Reals]()
    for index in range(wanted):
        place = _place(index, size, wanted, coordinates)
        if method == "nearest":
            nearest = floor(place) if coordinates == "asymmetric" else ceil(place - Fraction(1, 2))
            found.append(rows[min(max(nearest, 0), size - 1)])
            continue
        place = min(max(place, Fraction(0)), Fraction(size - 1))
        low = floor(place)
        share = float(place - low)
        found.append(rows[low] * (1 - share) + rows[min(low + 1, size - 1)] * share)
    return np.moveaxis(np.stack(found), 0, axis)


def _resize(draw: Draw, dtype: Dtype) -> Example:
    shape = (draw.integer(1, 2), draw.size(67), draw.integer(1, 9), draw.integer(1, 9))
    x, method = draw.numbers(shape, dtype), draw.choice(("nearest", "linear"))
    coordinates = draw.choice(("half_pixel", "align_corners", "asymmetric"))
    rows, columns = (draw.integer(1, 3) * size if draw.integer(0, 1) else draw.integer(1, 17) for size in shape[2:])

    def resized(array: Reals) -> Reals:
        return _resized(_resized(array, 2, rows, method, coordinates), 3, columns, method, coordinates)

    # the shares of both neighbours are rounded, and what the first of the two dimensions gives
    bound = 0.0 if method == "nearest" else 4 * unit(dtype) * resized(np.abs(wide(x)))
    return one([x], lambda a: bm.resize(a, (rows, columns), method=method, coordinates=coordinates), resized(wide(x)), bound)


def _cumsum(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(1500, (1, 4)), dtype)
    axis = draw.integer(-x.ndim, x.ndim - 1)
    rows, total, size = np.moveaxis(wide(x), axis, 0), list[Reals](), list[Reals]()
    for place, row in enumerate(rows):
        total.append(row + total[-1] if place else row)
        size.append(np.abs(row) + size[-1] if place else np.abs(row))
    bound = unit(f32) * (len(rows) + 1) * np.moveaxis(np.stack(size), 0, axis)
    return one([x], lambda a: bm.cumsum(a, axis), np.moveaxis(np.stack(total), 0, axis), bound)


def _upsample(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers((draw.integer(1, 2), draw.size(13), draw.integer(1, 9), draw.integer(1, 9)), dtype)
    rows, columns = draw.integer(1, 4), draw.integer(1, 4)
    places = [[place // factor for place in range(size * factor)] for size, factor in zip(x.shape[2:], (rows, columns), strict=True)]
    wanted = wide(x)[:, :, places[0]][:, :, :, places[1]]
    return one([x], lambda a: bm.upsample(a, rows if rows == columns else (rows, columns)), wanted)


OPERATORS = (
    Operator("resize", FLOATS, _resize),
    Operator("upsample", tuple(DTYPES.values()), _upsample),
    Operator("cumsum", FLOATS, _cumsum),
)
