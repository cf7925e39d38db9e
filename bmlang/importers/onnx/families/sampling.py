"""Images that are looked at between their pixels, at places that are not known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Final, TypeAlias

from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.layers.activations import floor, round
from bmlang.layers.arrange import concat
from bmlang.layers.cast import cast
from bmlang.layers.compare import ge, where
from bmlang.layers.elementwise import abs, add, max, min, mul, sub
from bmlang.layers.gather import gather
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor
from tpukernel.dtypes import i32

__all__ = ["TABLE"]

Tap: TypeAlias = tuple[Tensor, Tensor | None]
"""The number of an element along a dimension (whole, f32), and how much of it is taken (None: all)."""
CUBIC: Final = -0.75


def _limited(x: Tensor, size: int) -> Tensor:
    return min(max(x, 0.0), float(size - 1))


def _reflected(x: Tensor, size: int, align: bool) -> Tensor:
    """Folded back at the edges: at the middle of the outermost pixels, or at their outer sides."""
    low, span = (0.0, float(size - 1)) if align else (-0.5, float(size))
    if span == 0:
        return mul(x, 0.0)
    away = abs(sub(x, low))
    turns = floor(mul(away, 1 / span))
    rest = sub(away, mul(turns, span))
    odd = sub(turns, mul(floor(mul(turns, 0.5)), 2.0))
    return add(where(odd, sub(span, rest), rest), low)


PADDINGS: Final[Mapping[str, Callable[[Tensor, int, bool], Tensor]]] = {
    "border": lambda x, size, _: _limited(x, size),
    "reflection": lambda x, size, align: _limited(_reflected(x, size, align), size),
    "zeros": lambda x, _, __: x,
}
"""By name: where a place beyond the edges is looked at."""


def _nearest(x: Tensor) -> list[Tap]:
    return [(round(x), None)]


def _linear(x: Tensor) -> list[Tap]:
    low = floor(x)
    share = sub(x, low)
    return [(low, sub(1.0, share)), (add(low, 1.0), share)]


def _cubic(x: Tensor) -> list[Tap]:
    low = floor(x)
    share = sub(x, low)
    return [(add(low, float(step)), _cubic_weight(abs(sub(share, float(step))), far=step in (-1, 2))) for step in range(-1, 3)]


def _cubic_weight(distance: Tensor, *, far: bool) -> Tensor:
    """The cubic convolution kernel (Keys) at a distance of 1 to 2, or below 1."""
    if far:
        inner = add(mul(sub(mul(distance, CUBIC), 5 * CUBIC), distance), 8 * CUBIC)
        return sub(mul(inner, distance), 4 * CUBIC)
    return add(mul(mul(sub(mul(distance, CUBIC + 2), CUBIC + 3), distance), distance), 1.0)


METHODS: Final[Mapping[str, Callable[[Tensor], list[Tap]]]] = {
    "bicubic": _cubic,
    "bilinear": _linear,
    "cubic": _cubic,
    "linear": _linear,
    "nearest": _nearest,
}


def _grid_sample(node: OnnxNode) -> Result:
    x, grid = node.floats(0), node.floats(1)
    mode, padding = node.text("mode", "bilinear"), node.text("padding_mode", "zeros")
    align = bool(node.integer("align_corners", 0))
    sizes = x.shape[2:]
    if mode not in METHODS or padding not in PADDINGS or grid.shape[-1] != len(sizes):
        raise NotSupported(f"mode {mode}, padding {padding}, {len(sizes)} dimensions")
    if METHODS[mode] is _cubic and len(sizes) != 2:
        raise NotSupported("bicubic over three dimensions")
    points = prod(grid.shape[1:-1])
    made = [_of_image(_one(x, image), _one(grid, image), sizes, mode, padding, align) for image in range(x.shape[0])]
    rows = [reshape(each, (1, x.shape[1], points)) for each in made]
    found = rows[0] if len(rows) == 1 else concat(rows, 0)
    found = reshape(found, (*x.shape[:2], *grid.shape[1:-1]))
    return found if found.dtype == node.tensor(0).dtype else cast(found, node.tensor(0).dtype)


def _one(x: Tensor, image: int) -> Tensor:
    return reshape(x[image : image + 1], x.shape[1:]) if x.shape[0] > 1 else reshape(x, x.shape[1:])


def _of_image(x: Tensor, grid: Tensor, sizes: Sequence[int], mode: str, padding: str, align: bool) -> Tensor:
    """One image (c, ...) at the places of a grid (..., dimensions): (c, points)."""
    dimensions = len(sizes)
    flat = reshape(grid, (-1, dimensions))
    taps: list[list[Tap]] = []
    for axis, size in enumerate(sizes):
        place = reshape(flat[:, dimensions - 1 - axis], (flat.shape[0],))
        place = add(mul(place, (size - 1) / 2), (size - 1) / 2) if align else add(mul(place, size / 2), (size - 1) / 2)
        if METHODS[mode] is not _cubic:  # whose taps are brought inside one by one
            place = PADDINGS[padding](place, size, align)
        taps.append(METHODS[mode](place))
    rows = reshape(x, (x.shape[0], prod(sizes)))
    made: Tensor | None = None
    for combination in product(*taps):
        part = _tap(rows, combination, sizes, padding, align)
        made = part if made is None else add(made, part)
    assert made is not None  # noqa: S101
    return made


def _tap(rows: Tensor, combination: Sequence[Tap], sizes: Sequence[int], padding: str, align: bool) -> Tensor:
    """One element for each point, times its weight; 0 beyond the edges."""
    number: Tensor | None = None
    weight: Tensor | None = None
    for (place, share), size in zip(combination, sizes, strict=True):
        inside = _limited(place if padding == "zeros" else PADDINGS[padding](place, size, align), size)
        number = inside if number is None else add(mul(number, float(size)), inside)
        factors = [] if share is None else [share]
        if padding == "zeros":
            factors += [min(ge(place, 0.0), ge(sub(float(size - 1), place), 0.0))]
        for factor in factors:
            weight = factor if weight is None else mul(weight, factor)
    assert number is not None  # noqa: S101
    found = gather(rows, cast(number, i32, "towards_zero"), 1)
    return found if weight is None else mul(found, reshape(weight, (1, weight.shape[0])))


TABLE: Final[Mapping[str, Handler]] = {"GridSample": _grid_sample}
