"""Vision operators."""

from __future__ import annotations

import numpy as np

from bmlang import tpulang as tpul
from tests.tpulang.rows.base import Array, Row, bytes_of, coeff, floats, given

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


def colours(layout: int, full: bool) -> Row:
    """BT.601, exactly; the formula of the chip has five digits."""

    def wanted(image: Array) -> Array:
        bright = image[:, :4].astype(np.float64)
        rest = image[:, 4:].reshape(2, -1)
        parts = [rest[:, :6], rest[:, 6:]] if layout < 2 else [rest[:, ::2], rest[:, 1::2]]
        blue, red = (part.reshape(2, 2, 3).repeat(2, 1).repeat(2, 2) - 128.0 for part in (parts if layout % 2 == 0 else parts[::-1]))
        if not full:
            bright, blue, red = (bright - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
        green = bright - 0.344136 * blue - 0.714136 * red
        found = np.stack([bright + 1.402 * red, green, bright + 1.772 * blue], 1)
        return np.clip(np.rint(found), 0, 255)

    formula = "_601_full" if full else "_601_limited"
    return Row(
        "yuv2rgb",
        {"i": bytes_of(2, 6, 6, dtype="uint8", seed=layout)},
        lambda i: tpul.yuv2rgb(i, layout, 4, "UINT8", formula, "HalfAwayFromZero"),
        wanted,
        steps=1,
    )


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
    *(colours(layout, full) for layout, full in ((0, True), (1, False), (2, False), (3, True))),
    Row(
        "roiExtractor",
        {"f": floats(1, 2, 8, 8), "g": floats(1, 2, 4, 4)},
        lambda f, g: tpul.roiExtractor(coeff(REGIONS), coeff(LEVELS), [f, g], 2, 2, 2, [1, 2], 2, "DynFuse"),
        lambda f, g: np.concatenate([aligned(f[0], REGIONS[0, 1:]), aligned(g[0], REGIONS[1, 1:] / 2)]),
        64,
    ),
]
