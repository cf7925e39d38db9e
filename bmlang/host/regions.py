"""Regions of interest: parts of feature maps, brought to one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from bmlang.host.errors import CpuOperatorError
from bmlang.host.registry import OWN, Array, Parameters, cpu_operator, same_types

__all__ = ["ROI_ALIGN", "ROI_EXTRACTOR", "RoiAlign", "RoiExtractor"]

ROI_ALIGN, ROI_EXTRACTOR = 38, OWN + 1004
MOST_SAMPLES = 1 << 22
"""Points of a feature map that one region may take: what a file asks for is bounded."""
LARGEST = 1e9
"""Coordinates of a region; no feature map has as many pixels."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RoiAlign(Parameters):
    """libsophon's `cpu_pytorch_roi_align_param_t`.

    Attributes:
        height, width: of the result.
        scale: from coordinates of regions to those of the feature map.
        samples: points in each direction of an element of the result; 0 for as many as the region has pixels for it.
        aligned: pixels are seen as squares whose centres are half a pixel in; regions may be smaller than one.
    """

    height: int
    width: int
    scale: float
    samples: int
    aligned: bool
    title = "roi_align"
    layout = "<iifi?3x"


@cpu_operator(ROI_ALIGN)
def roi_align(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """float32 x (batch, channels, rows, columns) and regions (count, 5) of batch, x, y, x, y: (count, channels, height, width), averages
    of points between which x is interpolated, as torchvision's RoIAlign.

    Raises:
        CpuOperatorError: the inputs or the parameters do not fit.
    """
    same_types("roi_align", inputs, ["float32", "float32"])
    return roi_align_any(parameters, inputs)


@cpu_operator(OWN + ROI_ALIGN)
def roi_align_any(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """As `roi_align`, for every float type; computed in float32, and rounded to the type of x."""
    given = RoiAlign.read(parameters)
    same_types("roi_align", inputs, [None, None])
    x, regions = inputs[0].astype(np.float32), inputs[1].astype(np.float32)
    if x.ndim != 4 or regions.ndim != 2 or regions.shape[1] != 5 or min(given.height, given.width) < 1:
        raise CpuOperatorError(f"roi_align of shapes {x.shape} and {regions.shape} to {given.height} x {given.width} is not possible")
    found = np.zeros((len(regions), x.shape[1], given.height, given.width), np.float32)
    for place, region in enumerate(regions):
        found[place] = _aligned(x, region, given)
    return [found.astype(inputs[0].dtype)]


def _aligned(x: Floats, region: Floats, given: RoiAlign) -> Floats:
    with np.errstate(all="ignore"):
        scaled = region[1:] * np.float32(given.scale)
    batch = int(region[0]) if np.isfinite(region[0]) and (np.abs(scaled) < LARGEST).all() else -1
    if not 0 <= batch < len(x):
        raise CpuOperatorError(f"roi_align has a region {region.tolist()} for {len(x)} images")
    left, top, right, bottom = scaled - np.float32(0.5 if given.aligned else 0)
    down = _points(top, bottom - top, given.height, given, x.shape[2])
    across = _points(left, right - left, given.width, given, x.shape[3])
    rows, columns = down.shares.shape[1], across.shares.shape[1]
    total = np.zeros((x.shape[1], given.height, given.width), np.float32)
    if rows * columns * given.height * given.width > MOST_SAMPLES:
        raise CpuOperatorError(f"roi_align takes more than {MOST_SAMPLES} points of a region {region.tolist()}")
    for row in range(rows):
        # Element by element of the result, the points are added one after the other: the official library's last bits follow from it.
        total = np.add.accumulate(np.concatenate([total[..., None], _between(x[batch], down, across, row)], -1), -1)[..., -1]
    return total * np.float32(1 / max(rows * columns, 1))


@dataclass(frozen=True)
class _Points:
    """Points along one dimension, for each element of the result.

    Attributes:
        low, high: the pixels before and behind each point, (elements, points).
        shares: how much of the one behind; NaN outside of the feature map.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    shares: Floats


def _points(start: np.float32, length: np.float32, count: int, given: RoiAlign, size: int) -> _Points:
    length = length if given.aligned else max(length, np.float32(1))
    step = length * np.float32(1 / count)
    points = given.samples if given.samples > 0 else max(ceil(step), 0)
    if count * points > MOST_SAMPLES:
        raise CpuOperatorError(f"roi_align takes {count * points} points along a dimension")
    apart = step / np.float32(max(points, 1))
    at = np.full((count, points), apart, np.float32)
    at[:, :1] = (start + np.arange(count, dtype=np.float32) * step + np.float32(0.5) * apart)[:, None]
    at = np.add.accumulate(at, 1)  # one by one, as the official library does
    outside = (at < -1) | (at > size)
    near = np.minimum(np.maximum(at, np.float32(0)), np.float32(size - 1))
    low = np.floor(near)
    lower = low.astype(np.int64)
    shares = np.where(outside, np.float32(np.nan), near - low).astype(np.float32)
    return _Points(lower, np.minimum(lower + 1, size - 1), shares)


def _between(x: Floats, down: _Points, across: _Points, row: int) -> Floats:
    """x at a row of points of each element of the result, (channels, height, width, points); 0 outside."""
    lower, right = down.shares[:, row, None, None], across.shares[None]
    upper, left = np.float32(1) - lower, np.float32(1) - right
    above, below = (each[:, row, None, None] for each in (down.low, down.high))
    first, second = across.low[None], across.high[None]
    found = (upper * left) * x[:, above, first]
    found = found + (upper * right) * x[:, above, second]
    found = found + (lower * left) * x[:, below, first]
    found = found + (lower * right) * x[:, below, second]
    return np.where(np.isnan(lower) | np.isnan(right), np.float32(0), found).astype(np.float32)


@dataclass(frozen=True)
class RoiExtractor(Parameters):
    """As `RoiAlign`, with a scale for each feature map (up to eight)."""

    height: int
    width: int
    samples: int
    aligned: bool
    scale0: float = 0
    scale1: float = 0
    scale2: float = 0
    scale3: float = 0
    scale4: float = 0
    scale5: float = 0
    scale6: float = 0
    scale7: float = 0
    title = "roi_extractor"
    layout = "<iii?3x8f"

    @property
    def scales(self) -> tuple[float, ...]:
        """By feature map."""
        return (self.scale0, self.scale1, self.scale2, self.scale3, self.scale4, self.scale5, self.scale6, self.scale7)


@cpu_operator(ROI_EXTRACTOR)
def roi_extractor(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """Regions as of `roi_align`, each from the feature map that int32 levels (count,) name; inputs: regions, levels, maps of floats.

    Raises:
        CpuOperatorError: the inputs or the parameters do not fit; a level names no feature map.
    """
    given = RoiExtractor.read(parameters)
    same_types("roi_extractor", inputs, [None, "int32", *(None,) * min(max(len(inputs) - 2, 1), len(given.scales))])
    regions, levels, maps = inputs[0].astype(np.float32), inputs[1], inputs[2:]
    if levels.shape != regions.shape[:1] or any(each.ndim != 4 or each.shape[1] != maps[0].shape[1] for each in maps):
        raise CpuOperatorError(f"roi_extractor has inputs of the shapes {[array.shape for array in inputs]}")
    if levels.size and not (levels.min() >= 0 and levels.max() < len(maps)):
        raise CpuOperatorError(f"roi_extractor has levels up to {levels.max()} for {len(maps)} feature maps")
    found = np.zeros((len(regions), maps[0].shape[1], given.height, given.width), maps[0].dtype)
    for level, x in enumerate(maps):
        single = RoiAlign(given.height, given.width, given.scales[level], given.samples, given.aligned)
        mine = levels == level
        (found[mine],) = roi_align_any(single.data(), [x, regions[mine]])
    return [found]
