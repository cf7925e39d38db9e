"""Operators that the host computes: sorting, selection, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, floor

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tests.support.operators.base import FLOATS, Draw, Example, Operator, Reals, one, unit, wide
from tpukernel.dtypes import DTYPES, Dtype, f32

__all__ = ["OPERATORS"]

EVERY = tuple(DTYPES.values())


def _lines(x: Array, axis: int) -> tuple[list[list[float]], tuple[int, ...]]:
    """The lines of an array along a dimension, and the shape that they have with it at the end."""
    moved = np.moveaxis(wide(x), axis, -1)
    return moved.reshape(-1, x.shape[axis]).tolist(), moved.shape[:-1]


def _ranked(line: Sequence[float], descending: bool) -> list[int]:
    """The places of the elements in order, equal ones by place: by insertion, so that it has nothing of how they are sorted elsewhere."""
    return sorted(range(len(line)), key=lambda place: (-line[place] if descending else line[place], place))


def _placed(rows: Sequence[Sequence[float]], shape: tuple[int, ...], axis: int) -> Reals:
    return np.moveaxis(np.array(rows, np.float64).reshape(*shape, -1), -1, axis)


def _few(draw: Draw, dtype: Dtype, most: int = 400) -> Array:
    """Numbers of which some are equal."""
    x = draw.numbers(draw.shape(most, (1, 4)), dtype)
    return _rounded(x) if dtype.is_float and draw.integer(0, 1) else x


def _rounded(x: Array) -> Array:
    return np.rint(wide(x)).astype(x.dtype)


def _topk(draw: Draw, dtype: Dtype) -> Example:
    x = _few(draw, dtype)
    axis, largest, in_order = draw.integer(0, x.ndim - 1), bool(draw.integer(0, 3)), bool(draw.integer(0, 3))
    k = draw.integer(1, x.shape[axis])
    lines, shape = _lines(x, axis)
    places = [_ranked(line, largest)[:k] for line in lines]
    places = places if in_order else [sorted(each) for each in places]
    values = [[line[place] for place in each] for line, each in zip(lines, places, strict=True)]
    wanted = (_placed(values, shape, axis), _placed(places, shape, axis))
    return Example((x,), lambda a: bm.topk(a, k, axis - x.ndim, largest=largest, in_order=in_order), wanted, (0.0, 0.0))


def _sorted(draw: Draw, dtype: Dtype) -> tuple[Array, int, bool, Reals, Reals]:
    x = _few(draw, dtype)
    axis, descending = draw.integer(0, x.ndim - 1), bool(draw.integer(0, 1))
    lines, shape = _lines(x, axis)
    places = [_ranked(line, descending) for line in lines]
    values = [[line[place] for place in each] for line, each in zip(lines, places, strict=True)]
    return x, axis, descending, _placed(values, shape, axis), _placed(places, shape, axis)


def _sort(draw: Draw, dtype: Dtype) -> Example:
    x, axis, descending, values, places = _sorted(draw, dtype)
    return Example((x,), lambda a: bm.sort(a, axis, descending=descending), (values, places), (0.0, 0.0))


def _argsort(draw: Draw, dtype: Dtype) -> Example:
    x, axis, descending, _, places = _sorted(draw, dtype)
    return one([x], lambda a: bm.argsort(a, axis, descending=descending), places)


def _sort_by_key(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(400, (1, 3)), dtype)
    axis, descending = draw.integer(0, x.ndim - 1), bool(draw.integer(0, 1))
    key = _rounded(draw.numbers((x.shape[axis],), f32))
    places = _ranked(wide(key).tolist(), descending)
    wanted = (np.stack([np.take(wide(x), place, axis) for place in places], axis), wide(key)[places])
    return Example((x, key), lambda a, b: bm.sort_by_key(a, b, axis, descending=descending), wanted, (0.0, 0.0))


def _holes(draw: Draw, dtype: Dtype, shape: tuple[int, ...]) -> Array:
    """Numbers of which a share is 0: none of them, some, all."""
    share = draw.choice((0.0, 0.3, 0.9, 1.0))
    return np.where(draw.random.random(shape) < share, 0, draw.numbers(shape, dtype)).astype(dtype.numpy)


def _nonzero(draw: Draw, dtype: Dtype) -> Example:
    x = _holes(draw, dtype, draw.shape(200, (1, 5)))
    found = [place for place in product(*map(range, x.shape)) if wide(x)[place] != 0]
    return one([x], bm.nonzero, np.array(found, np.float64).reshape(-1, x.ndim))


def _masked_select(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers(draw.shape(300, (1, 4)), dtype)
    mask = _holes(draw, f32 if draw.integer(0, 1) else dtype, draw.part(x.shape) or (1,))
    chosen = wide(mask) + np.zeros(x.shape) != 0
    found = [wide(x)[place] for place in product(*map(range, x.shape)) if chosen[place]]
    return one([x, mask], bm.masked_select, np.array(found))


def _unique(draw: Draw, dtype: Dtype) -> Example:
    x = _few(draw, dtype, 200)
    line = wide(x).reshape(-1).tolist()
    values = sorted(set(line))
    first, places = [line.index(value) for value in values], [values.index(value) for value in line]
    told = (values, first, places, [line.count(value) for value in values])
    return Example((x,), bm.unique, tuple(np.array(each, np.float64) for each in told), (0.0,) * 4)


def _fill_up(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers((draw.size(130),), dtype)
    mask = _holes(draw, f32, x.shape)
    value, chosen = draw.integer(0, 9), wide(x)[wide(mask) != 0]
    wanted = np.full(x.shape, float(value))
    wanted[: chosen.size] = chosen
    return one([x, mask], lambda a, b: bm.fill_up(bm.masked_select(a, b), value), wanted)


def _real_shape(draw: Draw, dtype: Dtype) -> Example:
    x = _holes(draw, dtype, draw.shape(100, (1, 4)))
    return one([x], lambda a: bm.real_shape(bm.nonzero(a)), np.array([np.count_nonzero(wide(x)), x.ndim], np.float64))


def _nms(draw: Draw, dtype: Dtype) -> Example:
    images, classes, count = draw.integer(1, 2), draw.integer(1, 3), draw.size(31)
    boxes = draw.random.uniform(0, 4, (images, count, 4)).astype(dtype.numpy)
    scores = draw.random.permutation(images * classes * count).reshape(images, classes, count) / 256
    scores = scores.astype(dtype.numpy)
    most, overlap, least, center = draw.integer(1, 9), draw.choice((0.0, 0.25, 0.5)), draw.choice((-1.0, 0.25)), draw.integer(0, 2) == 0
    rows: list[tuple[int, int, int]] = []
    for image, kind in product(range(images), range(classes)):
        ranked = _ranked(wide(scores)[image, kind].tolist(), descending=True)
        kept: list[int] = []
        for box in (box for box in ranked if wide(scores)[image, kind, box] > np.float32(least)):
            if len(kept) < most and all(_overlap(boxes[image, box], boxes[image, other], center) <= overlap for other in kept):
                kept.append(box)
        rows += [(image, kind, box) for box in kept]
    wanted = np.array(rows, np.float64).reshape(-1, 3)
    return one([boxes, scores], lambda a, b: bm.nms(a, b, most, overlap=overlap, least=least, center=center), wanted)


def _overlap(one_box: Array, other: Array, center: bool) -> float:
    """Intersection over union, in float64."""
    corners = [_corners(wide(each).tolist(), center) for each in (one_box, other)]
    sizes = [max(min(a[1], b[1]) - max(a[0], b[0]), 0.0) for a, b in zip(*corners, strict=True)]
    areas = [(each[0][1] - each[0][0]) * (each[1][1] - each[1][0]) for each in corners]
    common = sizes[0] * sizes[1]
    return common / (sum(areas) - common) if common else 0.0


def _corners(box: Sequence[float], center: bool) -> list[tuple[float, float]]:
    """Least and greatest coordinate of each dimension."""
    if center:
        return [(box[axis] - box[axis + 2] / 2, box[axis] + box[axis + 2] / 2) for axis in range(2)]
    return [(min(box[axis], box[axis + 2]), max(box[axis], box[axis + 2])) for axis in range(2)]


def _pooled(x: Reals, region: Sequence[float], size: tuple[int, int], scale: float, samples: int, aligned: bool) -> Reals:
    """A region of (channels, rows, columns), point by point."""
    shift = 0.5 if aligned else 0.0
    left, top, right, bottom = (each * scale - shift for each in region[1:])
    spans = [(top, bottom - top, size[0], x.shape[1]), (left, right - left, size[1], x.shape[2])]
    weights: list[Reals] = []
    for start, length, count, pixels in spans:
        length = length if aligned else max(length, 1.0)
        points = samples or max(ceil(length / count), 0)
        weight = np.zeros((count, pixels))
        for element, point in product(range(count), range(points)):
            at = start + length / count * (element + (point + 0.5) / points)
            if -1 <= at <= pixels:
                at = min(max(at, 0.0), pixels - 1.0)
                low = min(floor(at), pixels - 1)
                weight[element, low] += (1 - at + low) / points
                weight[element, min(low + 1, pixels - 1)] += (at - low) / points
        weights.append(weight)
    return np.einsum("ip,cpq,jq->cij", weights[0], x, weights[1])


def _regions(draw: Draw, images: int, count: int, dtype: Dtype) -> Array:
    """Image and corners, in quarters, which all types have."""
    corners = draw.random.integers(-4, 60, (count, 2, 2)) / 4
    corners[:, 1] = corners[:, 0] + draw.random.integers(1, 40, (count, 2)) / 4
    return np.column_stack([draw.random.integers(0, images, count), corners.reshape(count, 4)]).astype(dtype.numpy)


def _roi_align(draw: Draw, dtype: Dtype) -> Example:
    x = draw.numbers((draw.integer(1, 2), draw.integer(1, 5), draw.integer(1, 13), draw.integer(1, 13)), dtype)
    rois = _regions(draw, len(x), draw.integer(1, 5), dtype)
    size, scale = (draw.integer(1, 4), draw.integer(1, 4)), draw.choice((1.0, 0.5, 0.25))
    samples, aligned = draw.integer(0, 2), bool(draw.integer(0, 1))
    wanted = np.stack([_pooled(wide(x[int(each[0])]), wide(each).tolist(), size, scale, samples, aligned) for each in rois])

    def body(a: Tensor, b: Tensor) -> Tensor:
        return bm.roi_align(a, b, size, scale=scale, samples=samples, aligned=aligned)

    return one([x, rois], body, wanted, ROI_STEPS * unit(f32) * np.abs(wide(x)).max())


ROI_STEPS = 512
"""Roundings of a coordinate of up to 16 pixels and of a sum of up to 100 points, in float32."""


def _roi_extractor(draw: Draw, dtype: Dtype) -> Example:
    channels = draw.integer(1, 4)
    maps = [draw.numbers((1, channels, 12 // part, 12 // part), dtype) for part in (1, 2)]
    rois = _regions(draw, 1, draw.integer(1, 5), dtype)
    levels = draw.random.integers(0, 2, len(rois)).astype(np.int32)
    size = (draw.integer(1, 3), draw.integer(1, 3))
    parts: list[Reals] = []
    for place in range(len(rois)):
        level = int(levels[place])
        parts.append(_pooled(wide(maps[level])[0], wide(rois)[place].tolist(), size, 1 / (level + 1), 2, True))

    def body(a: Tensor, b: Tensor) -> Tensor:
        return bm.roi_extractor(rois, levels, [a, b], size, scales=(1, 0.5), samples=2)

    return one(maps, body, np.stack(parts), ROI_STEPS * unit(f32) * 4)


def _grid_sample(draw: Draw, dtype: Dtype) -> Example:
    """Places in eighths, which all types have, and for which no step of the way to pixels is rounded."""
    x = draw.numbers((draw.integer(1, 2), draw.integer(1, 4), draw.integer(1, 9), draw.integer(1, 9)), dtype)
    grid = (draw.random.integers(-11, 12, (len(x), draw.integer(1, 5), draw.integer(1, 5), 2)) / 8).astype(dtype.numpy)
    method, padding, aligned = (
        draw.choice(("bilinear", "nearest")),
        draw.choice(("zeros", "border", "reflection")),
        bool(draw.integer(0, 1)),
    )
    wanted = np.zeros((*x.shape[:2], *grid.shape[1:3]))
    for image, row, column in product(*map(range, (len(x), *grid.shape[1:3]))):
        at = [_pixel(float(grid[image, row, column, 1 - axis]), x.shape[2 + axis], padding, aligned) for axis in range(2)]
        spots = [_shares(each, method) for each in at]
        for (down, share), (right, other) in product(*spots):
            if 0 <= down < x.shape[2] and 0 <= right < x.shape[3]:
                wanted[image, :, row, column] += wide(x)[image, :, down, right] * share * other

    def body(a: Tensor, b: Tensor) -> Tensor:
        return bm.grid_sample(a, b, method=method, padding=padding, align_corners=aligned)

    return one([x, grid], body, wanted, 16 * unit(f32) * 4)


def _pixel(place: float, size: int, padding: str, aligned: bool) -> float:
    """The pixel of a place from -1 to 1."""
    found = (place + 1) / 2 * (size - 1) if aligned else ((place + 1) * size - 1) / 2
    low, high = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
    while padding == "reflection" and high > low and not low <= found <= high:
        found = 2 * low - found if found < low else 2 * high - found
    return min(max(found, 0.0), size - 1.0) if padding != "zeros" else found


def _shares(place: float, method: str) -> list[tuple[int, float]]:
    """The pixels along a dimension, and how much of each."""
    if method == "nearest":
        return [(int(place + (0.5 if place >= 0 else -0.5)), 1.0)]
    return [(floor(place), 1 + floor(place) - place), (floor(place) + 1, place - floor(place))]


OFFICIAL = "on the host, for all but 32-bit integers as the official library"
OURS = "on the host, only with this runtime"
OPERATORS = (
    Operator("topk", EVERY, _topk, OFFICIAL),
    Operator("sort", EVERY, _sort, OFFICIAL),
    Operator("argsort", EVERY, _argsort, OFFICIAL),
    Operator("sort_by_key", EVERY, _sort_by_key, "the host sorts the key"),
    Operator("nonzero", EVERY, _nonzero, "on the host, as the official library"),
    Operator("masked_select", EVERY, _masked_select, "on the host; of f32 as the official library"),
    Operator("unique", EVERY, _unique, OURS),
    Operator("fill_up", EVERY, _fill_up, OURS),
    Operator("real_shape", EVERY, _real_shape, OURS),
    Operator("nms", FLOATS, _nms, "on the host, as the official library"),
    Operator("roi_align", FLOATS, _roi_align, "on the host, as the official library"),
    Operator("grid_sample", FLOATS, _grid_sample, "on the host, as the official library"),
    Operator("roi_extractor", FLOATS, _roi_extractor, "on the host, as the official library"),
)
