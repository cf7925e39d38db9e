"""Operators that a matrix computes along a dimension: other sizes of images, and running sums."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tpukernel.dtypes import DTYPES, Dtype, f32

__all__ = ["OPERATORS"]

HALF = Fraction(1, 2)


class _Resize(NamedTuple):
    """How an image is resized, as ONNX defines it."""

    method: str
    coordinates: str
    nearest: str
    exclude_outside: bool = False
    antialias: bool = False
    a: Fraction = Fraction(-3, 4)

    def place(self, index: int, size: int, wanted: int, scale: Fraction) -> Fraction:
        """Where a row of the result lies among those of the source."""
        if self.coordinates == "asymmetric":
            return index / scale
        if self.coordinates == "align_corners":
            return Fraction(index * (size - 1), wanted - 1) if wanted > 1 else Fraction(0)
        if self.coordinates == "pytorch_half_pixel" and wanted == 1:
            return Fraction(0)
        return (index + HALF) / scale - HALF

    def factor(self, distance: Fraction) -> Fraction:
        """Of a pixel so far away."""
        far, a = abs(distance), self.a
        if self.method == "linear":
            return max(1 - far, Fraction(0))
        if far >= 2:
            return Fraction(0)
        return (a + 2) * far**3 - (a + 3) * far**2 + 1 if far <= 1 else a * (far**3 - 5 * far**2 + 8 * far - 4)

    def factors(self, place: Fraction, size: int, scale: Fraction) -> dict[int, Fraction]:
        """Of the pixels of the source."""
        if self.method == "nearest":
            rounded = {"floor": floor(place), "ceil": ceil(place), "round_prefer_floor": ceil(place - HALF)}
            return {min(max(rounded.get(self.nearest, floor(place + HALF)), 0), size - 1): Fraction(1)}
        narrow = min(scale, Fraction(1)) if self.antialias else Fraction(1)
        taps = range(floor(place - 2 / narrow), ceil(place + 2 / narrow) + 1)
        each = {tap: self.factor((tap - place) * narrow) for tap in taps}
        inside = {tap: factor for tap, factor in each.items() if 0 <= tap < size}
        each = inside if self.exclude_outside and any(inside.values()) else each
        total = sum(each.values()) if self.antialias or self.exclude_outside else Fraction(1)
        found: dict[int, Fraction] = {}
        for tap, factor in each.items():
            inside = min(max(tap, 0), size - 1)
            found[inside] = found.get(inside, Fraction(0)) + factor / total
        return found

    def matrix(self, size: int, wanted: int, scale: Fraction) -> Reals:
        """The factors of all."""
        found = np.zeros((wanted, size))
        for index in range(wanted):
            for tap, factor in self.factors(self.place(index, size, wanted, scale), size, scale).items():
                found[index, tap] = float(factor)
        return found


def _resize(draw: Draw, dtype: Dtype) -> Example:
    shape = (draw.integer(1, 2), draw.size(67), draw.integer(1, 9), draw.integer(1, 9))
    x, of = (
        draw.numbers(shape, dtype),
        _Resize(
            draw.choice(("nearest", "linear", "cubic")),
            draw.choice(("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")),
            draw.choice(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
            bool(draw.integer(0, 1)),
            bool(draw.integer(0, 1)),
        ),
    )
    size = [draw.integer(1, 3) * size if draw.integer(0, 1) else draw.integer(1, 17) for size in shape[2:]]
    given = draw.integer(0, 1) == 0
    scales = [Fraction(draw.integer(1, 16), 8) if given else Fraction(new, old) for old, new in zip(shape[2:], size, strict=True)]
    rows, columns = (of.matrix(old, new, scale) for old, new, scale in zip(shape[2:], size, scales, strict=True))
    # the factors of all neighbours are rounded, and what the first of the two dimensions gives
    bound = 0.0 if of.method == "nearest" else 6 * unit(dtype) * (np.abs(rows) @ np.abs(wide(x)) @ np.abs(columns).T)

    def body(a: Tensor) -> Tensor:
        return bm.resize(
            a,
            size,
            of.method,
            of.coordinates,
            scale=[float(scale) for scale in scales] if given else None,
            nearest=of.nearest,
            exclude_outside=of.exclude_outside,
            antialias=of.antialias,
        )

    return one([x], body, rows @ wide(x) @ columns.T, bound)


def _interpolate(draw: Draw, dtype: Dtype) -> Example:
    shape = (draw.integer(1, 2), draw.size(67), draw.integer(2, 9), draw.integer(2, 9))
    x, of = draw.numbers(shape, dtype), _Resize(draw.choice(("nearest", "linear")), "pytorch_half_pixel", "round_prefer_floor")
    scales = [Fraction(draw.integer(4, 20), 8) for _ in range(2)]
    size = [floor(count * scale) for count, scale in zip(shape[2:], scales, strict=True)]
    rows, columns = (of.matrix(old, new, scale) for old, new, scale in zip(shape[2:], size, scales, strict=True))
    bound = 0.0 if of.method == "nearest" else 6 * unit(dtype) * (np.abs(rows) @ np.abs(wide(x)) @ np.abs(columns).T)
    return one([x], lambda a: bm.interpolate(a, [float(scale) for scale in scales], of.method), rows @ wide(x) @ columns.T, bound)


def _cumsum(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(1500, (1, 4)), dtype)
    if draw.integer(0, 3) == 0:  # longer than a block
        x = draw.numbers((*draw.part((2,)), draw.integer(257, 700), *draw.part((3,)))[:3], dtype)
    axis, exclusive, reverse = draw.integer(-x.ndim, x.ndim - 1), bool(draw.integer(0, 1)), bool(draw.integer(0, 1))
    rows = np.moveaxis(wide(x), axis, 0)
    total, size = np.zeros(rows.shape), np.zeros(rows.shape)
    for place in range(len(rows)):
        taken = rows[place + exclusive :] if reverse else rows[: place + 1 - exclusive]
        total[place], size[place] = np.add.reduce(taken), np.add.reduce(np.abs(taken))
    bound = unit(f32) * (len(rows) + 4) * np.moveaxis(size, 0, axis)
    return one([x], lambda a: bm.cumsum(a, axis, exclusive, reverse), np.moveaxis(total, 0, axis), bound)


def _upsample(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers((draw.integer(1, 2), draw.size(13), draw.integer(1, 9), draw.integer(1, 9)), dtype)
    rows, columns = draw.integer(1, 4), draw.integer(1, 4)
    places = [[place // factor for place in range(size * factor)] for size, factor in zip(x.shape[2:], (rows, columns), strict=True)]
    wanted = wide(x)[:, :, places[0]][:, :, :, places[1]]
    return one([x], lambda a: bm.upsample(a, rows if rows == columns else (rows, columns)), wanted)


OPERATORS = (
    Operator("resize", FLOATS, _resize),
    Operator("interpolate", FLOATS, _interpolate),
    Operator("upsample", tuple(DTYPES.values()), _upsample),
    Operator("cumsum", FLOATS, _cumsum),
)
