"""How far two arrays of one shape differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmlang.runtime.errors import RecordingOptionError
from tpukernel.sim.memory import Array

__all__ = ["EXACT", "ArrayDifference", "Tolerance", "difference_of"]

Float64s = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Tolerance:
    """When elements count as equal. What is given has to hold; if nothing is, the bits have to be the same.

    Attributes:
        atol, rtol: `abs(found - wanted) <= atol + rtol * abs(wanted)` for each element, as in numpy. Two NaN are equal, and equal
            infinities.
        cosine: smallest cosine similarity of the arrays as vectors, 1 for equal directions.

    Raises:
        RecordingOptionError: a number is negative or NaN, or the cosine above 1.
    """

    atol: float | None = None
    rtol: float | None = None
    cosine: float | None = None

    def __post_init__(self) -> None:
        for name, value, largest in (("atol", self.atol, np.inf), ("rtol", self.rtol, np.inf), ("cosine", self.cosine, 1)):
            if value is not None and not 0 <= value <= largest:
                raise RecordingOptionError(f"{name} is {value}", help=f"use a number from 0 to {largest}")

    @property
    def is_exact(self) -> bool:
        """Whether bits have to be the same."""
        return self.atol is self.rtol is self.cosine is None


EXACT = Tolerance()


@dataclass(frozen=True)
class ArrayDifference:
    """What differs between two arrays.

    Attributes:
        index: where the first different element is (in memory order).
        found, wanted: that element here and there.
        count, size: how many elements differ (by more than the tolerance where `atol` or `rtol` is given), and how many there are.
        largest: the largest `abs(found - wanted)` of all elements where it is finite; None where it never is.
        cosine: cosine similarity of the arrays as vectors; None where one has no direction (zeros, NaN, infinities).
    """

    index: tuple[int, ...]
    found: np.generic
    wanted: np.generic
    count: int
    size: int
    largest: float | None
    cosine: float | None

    def __str__(self) -> str:
        found, wanted = (str(value) for value in (self.found, self.wanted))
        if found == wanted:  # NaNs with other bits
            found, wanted = (f"{text} ({value.tobytes()[::-1].hex()})" for text, value in ((found, self.found), (wanted, self.wanted)))
        distance = "" if self.largest is None else f", by at most {self.largest:.6g}"
        cosine = "" if self.cosine is None else f"; cosine {self.cosine:.6f}"
        return f"{[*self.index]}: {found}, expected {wanted}; {self.count} of {self.size} elements differ{distance}{cosine}"


def difference_of(found: Array, wanted: Array, tolerance: Tolerance = EXACT) -> ArrayDifference | None:
    """The difference of two arrays of one shape; None where they are equal under the tolerance.

    Without a tolerance both need the same dtype; with one, the values are compared.
    """
    if found.shape != wanted.shape or (tolerance.is_exact and found.dtype != wanted.dtype):
        raise ValueError(f"{found.dtype}{found.shape} and {wanted.dtype}{wanted.shape} cannot be compared")
    other_bits = _other_bits(found, wanted) if found.dtype == wanted.dtype else _Values(found, wanted).differ(0, 0)
    if not other_bits.any():
        return None
    values = _Values(found, wanted)
    different = other_bits
    if tolerance.atol is not None or tolerance.rtol is not None:
        different = values.differ(tolerance.atol or 0, tolerance.rtol or 0) & other_bits
    by_elements = different.any() and not (tolerance.atol is tolerance.rtol is None and tolerance.cosine is not None)
    cosine = values.cosine()
    by_cosine = tolerance.cosine is not None and (cosine is None or cosine < tolerance.cosine)
    if not by_elements and not by_cosine:
        return None
    shown = different if different.any() else other_bits
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(shown)), shown.shape))
    return ArrayDifference(index, found[index], wanted[index], int(np.count_nonzero(shown)), found.size, values.largest(), cosine)


def _other_bits(found: Array, wanted: Array) -> Flags:
    bits = f"u{found.dtype.itemsize}"
    return np.ascontiguousarray(found).view(bits).reshape(found.shape) != np.ascontiguousarray(wanted).view(bits).reshape(wanted.shape)


class _Values:
    """Two arrays as numbers of 64 bits, which hold every element of the chips' types exactly."""

    def __init__(self, found: Array, wanted: Array) -> None:
        self._found, self._wanted = found.astype(np.float64), wanted.astype(np.float64)

    def _quietly(self, compute: Callable[[], Float64s]) -> Float64s:
        with np.errstate(all="ignore"):  # NaN and infinities are looked at afterwards
            return compute()

    def differ(self, atol: float, rtol: float) -> Flags:
        found, wanted = self._found, self._wanted
        distance, allowed = self._quietly(lambda: np.abs(found - wanted)), self._quietly(lambda: atol + rtol * np.abs(wanted))
        near = (distance <= allowed) & np.isfinite(found) & np.isfinite(wanted)
        return ~(near | (found == wanted) | (np.isnan(found) & np.isnan(wanted)))

    def largest(self) -> float | None:
        distance = self._quietly(lambda: np.abs(self._found - self._wanted))
        finite = distance[np.isfinite(distance)]
        return float(finite.max()) if finite.size else None

    def cosine(self) -> float | None:
        a, b = self._found.reshape(-1), self._wanted.reshape(-1)
        with np.errstate(all="ignore"):
            lengths = np.linalg.norm(a) * np.linalg.norm(b)
            cosine = float(a @ b / lengths) if lengths else np.nan
        return cosine if np.isfinite(cosine) else None
