"""Vision operators."""

from __future__ import annotations

import numpy as np

from bmlang import tpulang as tpul
from tests.tpulang.rows.base import Array, Row, coeff, floats, given

IMAGE = floats(1, 2, 4, 6)
BOXES = given("float32", [[[5, 5, 4, 4], [5.5, 5, 4, 4], [20, 20, 4, 4], [30, 5, 2, 2]]])
REGIONS = given("float32", [[0, 1, 0.5, 5, 6], [0, 0, 2, 5, 5.5]])
LEVELS = given("int32", [0, 1])
SCORES = given("float32", [[[0.5, 0.9, 0.3, 0.1]]])


def linear(x: Array, size: int, axis: int) -> Array:
    """Along one dimension, with pixels as squares."""
    count = x.shape[axis]
    place = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, count - 1)
    share = (place - low).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
    return np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share


def aligned(image: Array, box: Array) -> Array:
    """A region brought to 2 x 2, each the average of four points; it lies inside of the image."""
    left, top, right, bottom = box
    columns, rows = (low + (np.arange(4) + 0.5) * (high - low) / 4 for low, high in ((left, right), (top, bottom)))
    points = at(at(image, rows, 1), columns, 2)
    return points.reshape(1, -1, 2, 2, 2, 2).mean((3, 5))


def at(image: Array, places: Array, axis: int) -> Array:
    low = np.floor(places).astype(int)
    share = (places - low).reshape([-1 if k == axis else 1 for k in range(image.ndim)])
    return np.take(image, low, axis) * (1 - share) + np.take(image, low + 1, axis) * share


ROWS = [
    Row(
        "interpolate", {"x": IMAGE}, lambda x: tpul.interpolate(x, 2.0, 3.0, coord_mode="asymmetric"), lambda x: x.repeat(2, 2).repeat(3, 3)
    ),
    Row("interpolate", {"x": IMAGE}, lambda x: tpul.interpolate(x, 1.5, 2.0, "linear"), lambda x: linear(linear(x, 6, 2), 12, 3), 64),
    Row(
        "interpolate_v2",
        {"x": IMAGE},
        lambda x: tpul.interpolate_v2(x, sizes=coeff(given("int32", [1, 2, 3, 5])), method="linear", coord_mode="half_pixel"),
        lambda x: linear(linear(x, 3, 2), 5, 3),
        64,
    ),
    Row(
        "nms",
        {"b": BOXES, "s": SCORES},
        lambda b, s: tpul.nms(b, s, max_box_num_per_class=3),
        lambda b, s: given("int32", [[0, 0, 1], [0, 0, 2], [0, 0, 3]]),
    ),
    Row(
        "roiExtractor",
        {"f": floats(1, 2, 8, 8), "g": floats(1, 2, 4, 4)},
        lambda f, g: tpul.roiExtractor(coeff(REGIONS), coeff(LEVELS), [f, g], 2, 2, 2, [1, 2], 2, "DynFuse"),
        lambda f, g: np.concatenate([aligned(f[0], REGIONS[0, 1:]), aligned(g[0], REGIONS[1, 1:] / 2)]),
        64,
    ),
]
