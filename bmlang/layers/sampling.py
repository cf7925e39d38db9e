"""What each pixel of a resized image is made of: a matrix for the rows, and one for the columns.

Places and factors are those of ONNX's Resize (its operator specification), of which the other frameworks' are special cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["COORDINATES", "METHODS", "NEAREST", "Reals", "Sampling"]

Reals = NDArray[np.float64]

METHODS: Final = ("nearest", "linear", "cubic")
COORDINATES: Final = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
NEAREST: Final[Mapping[str, Callable[[Reals], Reals]]] = {
    "round_prefer_floor": lambda places: np.ceil(places - 0.5),
    "round_prefer_ceil": lambda places: np.floor(places + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
"""Which neighbour is the nearest, by name."""


@dataclass(frozen=True)
class Sampling:
    """How pixels of a result are made of those of the source.

    Attributes:
        method: "nearest", "linear" or "cubic".
        coordinates: where pixel i of the result lies, with `scale` pixels of the result for one of the source: "half_pixel"
            (i + 0.5) / scale - 0.5; "pytorch_half_pixel" the same, 0 where there is one pixel; "align_corners" i * (size - 1) / (out - 1);
            "asymmetric" i / scale.
        nearest: which neighbour is the nearest.
        cubic_a: the coefficient of cubic interpolation.
        exclude_outside: what lies outside the source does not count where anything lies inside; else it is as the pixel at the edge.
        antialias: where the result is smaller, more pixels of the source are seen.
    """

    method: str
    coordinates: str
    nearest: str
    cubic_a: float
    exclude_outside: bool
    antialias: bool

    def matrix(self, size: int, out: int, scale: float) -> Reals:
        """The factors (out, size) of the pixels of the source in each pixel of the result."""
        places = self._places(size, out, scale)
        found, rows = np.zeros((out, size)), np.arange(out)
        if self.method == "nearest":
            found[rows, np.clip(NEAREST[self.nearest](places), 0, size - 1).astype(np.int64)] = 1
            return found
        narrow = min(scale, 1.0) if self.antialias else 1.0
        kernel, radius = (self._linear, 1) if self.method == "linear" else (self._cubic, 2)
        first = np.floor(places)
        reach = int(np.ceil(radius / narrow))
        taps = first[:, None] + np.arange(1 - reach, reach + 1)
        factors = kernel((taps - places[:, None]) * narrow)
        if self.exclude_outside:
            inside = np.where((taps >= 0) & (taps < size), factors, 0.0)
            factors = np.where(inside.any(1, keepdims=True), inside, factors)
        if self.exclude_outside or self.antialias:
            factors = factors / factors.sum(1, keepdims=True)
        np.add.at(found, (rows[:, None], np.clip(taps, 0, size - 1).astype(np.int64)), factors)
        return found

    def _places(self, size: int, out: int, scale: float) -> Reals:
        """Where the pixels of the result lie among those of the source."""
        places = np.arange(out, dtype=np.float64)
        if self.coordinates == "asymmetric":
            return places / scale
        if self.coordinates == "align_corners":
            return places * ((size - 1) / (out - 1)) if out > 1 else places
        if self.coordinates == "pytorch_half_pixel" and out == 1:
            return places
        return (places + 0.5) / scale - 0.5

    def _linear(self, distance: Reals) -> Reals:
        return np.clip(1 - np.abs(distance), 0, 1)

    def _cubic(self, distance: Reals) -> Reals:
        """The two cubic polynomials of Keys, "Cubic convolution interpolation for digital image processing" (1981)."""
        a, far = self.cubic_a, np.abs(distance)
        near = ((a + 2) * far - (a + 3)) * far**2 + 1
        beyond = a * (((far - 5) * far + 8) * far - 4)
        return np.where(far <= 1, near, np.where(far < 2, beyond, 0.0))
