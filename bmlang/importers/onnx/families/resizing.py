"""Images of another size. What the layer does not have is a product with a matrix of weights for each dimension."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, prod
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.dims import Dim, has_dims, same_sizes
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.layers.cast import cast
from bmlang.layers.matmul import matmul
from bmlang.layers.resize import resize
from bmlang.layers.sampling import COORDINATES as LAYER_COORDINATES
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor, apply
from tpukernel.dtypes import f32

__all__ = ["TABLE"]

Floats: TypeAlias = NDArray[np.float64]
Coordinates: TypeAlias = "Callable[[Floats, _Axis], Floats]"
"""Where places of the result lie in x."""


@dataclass(frozen=True)
class _Axis:
    """A dimension that is resized.

    Attributes:
        size, out: elements before and behind.
        scale: how much larger it becomes; not always their quotient.
        begin, end: the part that is taken (tf_crop_and_resize).
        said: whether the node says the scale; else it follows from the sizes.
    """

    size: int
    out: int
    scale: float
    begin: float = 0.0
    end: float = 1.0
    said: bool = True


def _pytorch(place: Floats, axis: _Axis) -> Floats:
    return (place + 0.5) / axis.scale - 0.5 if axis.scale * axis.size > 1 else place * 0 - 0.5


def _corners(place: Floats, axis: _Axis) -> Floats:
    length = axis.scale * axis.size
    return place * (axis.size - 1) / (length - 1) if length != 1 else place * 0


def _crop(place: Floats, axis: _Axis) -> Floats:
    if axis.out == 1:
        return place * 0 + (axis.end - axis.begin) * (axis.size - 1) / 2
    return axis.begin * (axis.size - 1) + place * (axis.end - axis.begin) * (axis.size - 1) / (axis.out - 1)


def _symmetric(place: Floats, axis: _Axis) -> Floats:
    adjustment = axis.out / (axis.scale * axis.size)
    return axis.size / 2 * (1 - adjustment) + (place + 0.5) / axis.scale - 0.5


COORDINATES: Final[Mapping[str, Coordinates]] = {
    "align_corners": _corners,
    "asymmetric": lambda place, axis: place / axis.scale,
    "half_pixel": lambda place, axis: (place + 0.5) / axis.scale - 0.5,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _pytorch,
    "tf_crop_and_resize": _crop,
}
NEAREST: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
}


def _linear(distance: Floats) -> Floats:
    return np.maximum(1 - np.abs(distance), 0)


def _cubic(factor: float) -> Callable[[Floats], Floats]:
    def weight(distance: Floats) -> Floats:
        x = np.abs(distance)
        near = ((factor + 2) * x - (factor + 3)) * x * x + 1
        far = ((factor * x - 5 * factor) * x + 8 * factor) * x - 4 * factor
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return weight


def _weights(axis: _Axis, places: Floats, kernel: Callable[[Floats], Floats], reach: int, *, antialias: bool, exclude: bool) -> Floats:
    """(out, size): how much of each element a place of the result has; elements beyond the edge are those on it, or do not count."""
    stretch = min(axis.scale, 1.0) if antialias else 1.0
    wide = ceil(reach / stretch)
    found = np.zeros((axis.out, axis.size))
    for row, place in enumerate(places):
        near: NDArray[np.int64] = np.arange(floor(place) - wide + 1, floor(place) + wide + 1, dtype=np.int64)
        share = kernel((near - place) * stretch)
        if exclude:
            share = np.where((near >= 0) & (near < axis.size), share, 0.0)
        if antialias or exclude:
            share = share / share.sum()
        np.add.at(found[row], np.clip(near, 0, axis.size - 1), share)
    return found


def _matrix(node: OnnxNode, axis: _Axis) -> Floats:
    mode, way = node.text("mode", "nearest"), node.text("coordinate_transformation_mode", "half_pixel")
    if node.opset < 11:
        way = "asymmetric"
    places = COORDINATES[way](np.arange(axis.out, dtype=np.float64), axis)
    if mode == "nearest":
        rounding = "floor" if node.opset < 11 else node.text("nearest_mode", "round_prefer_floor")
        found = np.zeros((axis.out, axis.size))
        nearest = np.clip(NEAREST[rounding](places), 0, axis.size - 1).astype(np.int64)
        found[np.arange(axis.out), nearest] = 1
    else:
        kernel, reach = (_cubic(node.number("cubic_coeff_a", -0.75)), 2) if mode == "cubic" else (_linear, 1)
        antialias, exclude = bool(node.integer("antialias", 0)), bool(node.integer("exclude_outside", 0))
        found = _weights(axis, places, kernel, reach, antialias=antialias, exclude=exclude)
    if way == "tf_crop_and_resize":
        outside = (places < 0) | (places > axis.size - 1)
        found[outside] = 0
    return found


def _axes(node: OnnxNode, x: Tensor) -> dict[int, _Axis]:
    """The dimensions that change."""
    axes = [axis % x.ndim for axis in node.integers("axes", range(x.ndim))]
    old = node.opset < 11
    scales = node.numbers("scales", []) or (None if not node.has(1 if old else 2) else node.known(1 if old else 2).reshape(-1).tolist())
    sizes = None if old or not node.has(3) else node.sizes(3)
    boxes = node.known(1).reshape(-1).tolist() if not old and node.has(1) and node.shape(1) != (0,) else None
    if sizes:
        quotients = [_ratio(size, x.shape[axis]) for size, axis in zip(sizes, axes, strict=True)]
        scales = _kept(node, quotients)
        if scales is not None:
            sizes = [floor(scales[place] * x.shape[axis] + 0.5) for place, axis in enumerate(axes)]
        else:
            scales = quotients
    if not scales:
        node.wrong("it has neither scales nor sizes")
    found: dict[int, _Axis] = {}
    for place, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        begin, end = (boxes[place], boxes[place + len(axes)]) if boxes else (0.0, 1.0)
        out = sizes[place] if sizes else _scaled(x.shape[axis], (end - begin) * float(scale))
        if out < 1 or not 0 < scale < 1e6:
            node.wrong(f"a scale of {scale}")
        if not same_sizes([out], [x.shape[axis]]) or scale != 1 or boxes:
            found[axis] = _Axis(x.shape[axis], out, float(scale), float(begin), float(end), not sizes)
    return found


def _ratio(size: int, before: int) -> float:
    """How much larger a size is; of those that vary, when they are the largest. The layer goes by sizes."""
    return int.__int__(size) / int.__int__(before)


def _scaled(size: int, scale: float) -> int:
    """So many times a size, rounded down: of a size that varies for simple fractions only."""
    if isinstance(size, Dim):
        fraction = Fraction(scale).limit_denominator(64)
        if float(np.float32(fraction.numerator / fraction.denominator)) == float(np.float32(scale)):
            return size * fraction.numerator // fraction.denominator
        raise NotSupported(f"a size that varies times {scale}")
    return floor(size * scale)


def _kept(node: OnnxNode, scales: Sequence[float]) -> list[float] | None:
    """With `keep_aspect_ratio_policy`, one scale for all."""
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return None
    return [min(scales) if policy == "not_larger" else max(scales)] * len(scales)


def _along(x: Tensor, axis: int, matrix: Floats) -> Tensor:
    """A product with a matrix along a dimension."""
    numbers = matrix.astype(x.dtype.numpy)
    outer, inner = prod(x.shape[:axis]), prod(x.shape[axis + 1 :])
    if inner == 1:
        made = matmul(reshape(x, (outer, x.shape[axis])), np.ascontiguousarray(numbers.T))
    else:
        made = apply("bm::matmul", numbers, reshape(x, (outer, x.shape[axis], inner)), None)
    return reshape(made, (*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :]))


def _resize(node: OnnxNode) -> Result:
    given = node.tensor(0)
    x = given if given.dtype.is_float else cast(given, f32)
    mode, way = node.text("mode", "nearest"), node.text("coordinate_transformation_mode", "half_pixel")
    if (node.opset >= 11 and way not in COORDINATES) or mode not in ("nearest", "linear", "cubic"):
        raise NotSupported(f"mode {mode}, coordinates {way}")
    extrapolated = node.number("extrapolation_value", 0.0) if way == "tf_crop_and_resize" else 0.0
    if extrapolated:
        raise NotSupported("a value for what is outside of the image")
    axes = _axes(node, x)
    method = _layer_method(node, x, axes)
    if has_dims(tuple(size for each in axes.values() for size in (each.size, each.out))):
        made = _varying(node, x, axes)
    elif method is not None:
        made = resize(x, [axes[axis].out if axis in axes else x.shape[axis] for axis in (2, 3)], mode, method)
    else:
        made = x
        for axis, each in axes.items():
            made = _along(made, axis, _matrix(node, each))
    return made if made.dtype == given.dtype else cast(made, given.dtype)


def _varying(node: OnnxNode, x: Tensor, axes: Mapping[int, _Axis]) -> Tensor:
    """By the layer alone: a matrix is one for each size."""
    way = "asymmetric" if node.opset < 11 else node.text("coordinate_transformation_mode", "half_pixel")
    if x.ndim != 4 or not set(axes) <= {2, 3} or way not in LAYER_COORDINATES:
        raise NotSupported(f"coordinates {way}, dimensions {sorted(axes)} where sizes vary")
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise NotSupported("keep_aspect_ratio_policy where sizes vary")
    return resize(
        x,
        [axes[axis].out if axis in axes else x.shape[axis] for axis in (2, 3)],
        node.text("mode", "nearest"),
        way,
        scale=[axes[axis].scale if axis in axes and axes[axis].said else 0.0 for axis in (2, 3)],
        nearest="floor" if node.opset < 11 else node.text("nearest_mode", "round_prefer_floor"),
        cubic_a=node.number("cubic_coeff_a", -0.75),
        exclude_outside=bool(node.integer("exclude_outside", 0)),
        antialias=bool(node.integer("antialias", 0)),
    )


def _layer_method(node: OnnxNode, x: Tensor, axes: Mapping[int, _Axis]) -> str | None:
    """The coordinates of the layer that does the same, where it does."""
    way = "asymmetric" if node.opset < 11 else node.text("coordinate_transformation_mode", "half_pixel")
    mode = node.text("mode", "nearest")
    rounding = "floor" if node.opset < 11 else node.text("nearest_mode", "round_prefer_floor")
    if (
        x.ndim != 4
        or not set(axes) <= {2, 3}
        or node.integer("antialias", 0)
        or any(abs(each.scale * each.size - each.out) > 1e-6 for each in axes.values())
    ):
        return None
    if mode == "nearest":
        return {("half_pixel", "round_prefer_floor"): "half_pixel", ("asymmetric", "floor"): "asymmetric"}.get((way, rounding))
    return way if mode == "linear" and way in ("half_pixel", "align_corners", "asymmetric") else None


TABLE: Final[Mapping[str, Handler]] = {"Resize": _resize, "Upsample": _resize}
