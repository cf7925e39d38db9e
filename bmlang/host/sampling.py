"""Images at places that another tensor says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmlang.host.errors import CpuOperatorError
from bmlang.host.registry import OWN, Array, Parameters, cpu_operator, same_types

__all__ = ["GRID_SAMPLE", "METHODS", "PADDINGS", "GridSample"]

GRID_SAMPLE = 40
METHODS, PADDINGS = ("bilinear", "nearest"), ("zeros", "border", "reflection")
"""By number."""
Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class GridSample(Parameters):
    """libsophon's `cpu_grid_sampler_param_t`: numbers of method and padding; whether -1 and 1 are centres of the outermost pixels."""

    method: int
    padding: int
    align_corners: bool
    title = "grid_sample"
    layout = "<ii?3x"


@cpu_operator(GRID_SAMPLE)
def grid_sample(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """float32 x (batch, channels, rows, columns) at float32 places (batch, height, width, 2) of column and row, each from -1 to 1.

    Raises:
        CpuOperatorError: the inputs or the parameters do not fit.
    """
    same_types("grid_sample", inputs, ["float32", "float32"])
    return grid_sample_any(parameters, inputs)


@cpu_operator(OWN + GRID_SAMPLE)
def grid_sample_any(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """As `grid_sample`, for every float type; computed in float32, and rounded to the type of x."""
    given = GridSample.read(parameters)
    same_types("grid_sample", inputs, [None, None])
    x, grid = (array.astype(np.float32) for array in inputs)
    known = 0 <= given.method < len(METHODS) and 0 <= given.padding < len(PADDINGS)
    if not known or x.ndim != 4 or min(x.shape, default=0) < 1 or grid.ndim != 4 or grid.shape[::3] != (len(x), 2):
        raise CpuOperatorError(f"grid_sample of shapes {x.shape} and {grid.shape} with {given} is not possible")
    columns, rows = (_places(grid[..., axis], x.shape[3 - axis], given) for axis in range(2))
    sample = _between if METHODS[given.method] == "bilinear" else _nearest
    found = [sample(image, row, column) for image, row, column in zip(x, rows, columns, strict=True)]
    return [np.stack(found).astype(inputs[0].dtype)]


def _places(grid: Floats, size: int, given: GridSample) -> Floats:
    """Pixels for coordinates, every step in float32 as in the official library; far outside where they are no numbers."""
    one, half = np.float32(1), np.float32(0.5)
    found = (grid + one) * half * np.float32(size - 1) if given.align_corners else ((grid + one) * np.float32(size) - one) * half
    padding = PADDINGS[given.padding]
    if padding == "reflection":
        found = _reflected(found, *((0, 2 * (size - 1)) if given.align_corners else (-1, 2 * size - 1)))
    if padding != "zeros":
        found = np.minimum(np.float32(size - 1), np.maximum(found, np.float32(0)))
    return np.where(np.isfinite(found), np.clip(found, -2, size + 1), np.float32(-2)).astype(np.float32)


def _reflected(places: Floats, twice_low: int, twice_high: int) -> Floats:
    """Places between two bounds, of which twice the value is given."""
    if twice_low == twice_high:
        return np.zeros_like(places)
    least, span = np.float32(twice_low / 2), np.float32((twice_high - twice_low) / 2)
    away = np.abs(places - least)
    extra = np.fmod(away, span)
    even = np.fmod(np.floor(away / span), 2) == 0
    return np.where(even, extra + least, span - extra + least).astype(np.float32)


def _at(image: Floats, rows: Places, columns: Places) -> Floats:
    """Pixels (channels, height, width); 0 outside."""
    inside = (rows >= 0) & (rows < image.shape[1]) & (columns >= 0) & (columns < image.shape[2])
    return np.where(inside, image[:, np.where(inside, rows, 0), np.where(inside, columns, 0)], np.float32(0)).astype(np.float32)


def _nearest(image: Floats, rows: Floats, columns: Floats) -> Floats:
    """The nearest pixels, halves away from 0."""
    row, column = (np.trunc(each + np.copysign(np.float32(0.5), each)).astype(np.int64) for each in (rows, columns))
    return _at(image, row, column)


def _between(image: Floats, rows: Floats, columns: Floats) -> Floats:
    """Between the four pixels around each place."""
    row, column = (np.floor(each).astype(np.int64) for each in (rows, columns))
    down, right = (each - np.floor(each) for each in (rows, columns))
    up, left = np.float32(1) - down, np.float32(1) - right
    found = _at(image, row, column) * (left * up)
    found = found + _at(image, row, column + 1) * (right * up)
    found = found + _at(image, row + 1, column) * (left * down)
    return np.asarray(found + _at(image, row + 1, column + 1) * (right * down), np.float32)
