"""Whether an array is what it should be: tolerances that follow from data type and number of terms, and a message that shows where not."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tpukernel.dtypes import Dtype, bf16, dtype_of, f16, f32
from tpukernel.testing.errors import NotCloseError
from tpukernel.testing.record import Comparison, run_of

__all__ = ["Tolerance", "assert_close", "tolerance_of", "ulps"]

Array = NDArray[np.generic]
Floats = NDArray[np.float64]

ROUNDOFF: Final = {f32: 2.0**-24, f16: 2.0**-11, bf16: 2.0**-8}
"""Unit roundoff: the largest relative error of one rounding to nearest (IEEE 754 formats of 24, 11 and 8 significant bits)."""
SMALLEST: Final = {f32: 2.0**-126, f16: 2.0**-25, bf16: 2.0**-126}
"""Absolute error near zero: f32 and bf16 take denormal numbers for 0, f16 rounds to multiples of 2**-24."""
GROUP: Final = 32
"""Products of f16 and bf16 are aligned in groups of so many terms, which costs them one rounding more (measured instruction-set study)."""


@dataclass(frozen=True)
class Tolerance:
    """What the result of a computation may be off: `relative * |wanted| + of_sum * magnitude + absolute`.

    Attributes:
        relative: share of the wanted number, for the roundings of the result.
        of_sum: share of the sum of the absolute values of all terms, for the roundings in a sum.
        absolute: what may be lost near zero.
    """

    relative: float
    of_sum: float = 0.0
    absolute: float = 0.0

    def allowed(self, wanted: Floats, magnitude: ArrayLike) -> Floats:
        """The largest difference for each element."""
        return self.relative * np.abs(wanted) + self.of_sum * np.asarray(magnitude, np.float64) + self.absolute


def _gamma(roundings: float, unit: float) -> float:
    """Bound of so many roundings in a row: n u / (1 - n u)."""
    product = roundings * unit
    return product / (1 - product) if product < 1 else inf


def tolerance_of(dtype: Dtype | str, *, reduction: int = 1, roundings: float = 1) -> Tolerance:
    """The tolerance of a result.

    With the unit roundoff u of a type (2**-24 of f32, 2**-11 of f16, 2**-8 of bf16) and gamma(n) = n u / (1 - n u), n roundings in a row
    change a number by no more than gamma(n) of it, and a sum of K products, in any order, differs from the exact one by no more than
    gamma(K) of the sum of the absolute values of the products (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition,
    lemma 3.1 and equation 3.5). Sums are made in f32; the product units align terms of f16 and bf16 in groups of 32, which counts as one
    more rounding for each group. The result is rounded once more, to its own type.

    Args:
        dtype: type of the result; integers are exact.
        reduction: number of terms K of the sums that it comes from; 1 for none.
        roundings: operations in a row that round to the type of the result.

    Returns:
        relative gamma(roundings) of `dtype`, of_sum gamma(K + K / 32) of f32 (0 without sums), absolute what is lost near zero.
    """
    found = dtype_of(dtype)
    if found.is_int:
        return Tolerance(0.0)
    summed = 0.0 if reduction <= 1 else _gamma(reduction + -(-reduction // GROUP), ROUNDOFF[f32])
    return Tolerance(_gamma(roundings, ROUNDOFF[found]), summed, SMALLEST[found])


def ulps(found: Array, wanted: Array) -> NDArray[np.int64]:
    """How many numbers of their type two float arrays of one type are apart, element by element; -0 and 0 are the same number."""
    one, other = _ordered(found), _ordered(wanted)
    return np.abs(one - other)


def _ordered(array: Array) -> NDArray[np.int64]:
    """Bits as integers that are in the order of the numbers."""
    bits = array.view(np.dtype(f"i{array.dtype.itemsize}")).astype(np.int64)
    lowest = -(1 << (8 * array.dtype.itemsize - 1))
    return np.where(bits < 0, lowest - bits, bits)


def assert_close(
    found: Array,
    wanted: ArrayLike,
    *,
    dtype: Dtype | str | None = None,
    reduction: int = 1,
    roundings: float = 1,
    magnitude: ArrayLike | None = None,
    atol: float = 0.0,
) -> None:
    """Require that an array is the wanted one, but for roundings.

    A pair is close if both are the same number of the type (also both NaN, or both the same infinity), or if they differ by no more than
    `tolerance_of(dtype, reduction=..., roundings=...)` allows.

    Args:
        found: the array to judge.
        wanted: what it should be, of the same shape; best computed in float64 from the values that the kernel got.
        dtype: data type of the result; by default that of `found`.
        reduction: terms of the sums behind each element: K of a matrix product, ic * kh * kw of a convolution.
        roundings: operations in a row that rounded to `dtype`.
        magnitude: the sum of the absolute values of the terms of each element (`np.abs(a) @ np.abs(b)`), a number or array; by default the
            largest wanted number, which is enough unless all elements are sums whose terms cancel.
        atol: a further absolute difference that is fine.

    Raises:
        NotCloseError: it is not; tells the first and the worst element, with index, both numbers, difference and ULP.
    """
    kind = dtype_of(found.dtype if dtype is None else dtype)
    target = np.asarray(wanted)
    if target.shape != found.shape:
        raise NotCloseError(f"the array has shape {found.shape}, but {target.shape} is wanted", help="compare arrays of one shape")
    have, want = found.astype(np.float64), target.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = target.astype(kind.numpy)
        finite = np.abs(want[np.isfinite(want)])
        scale = (finite.max() if finite.size else 0.0) if magnitude is None else magnitude
        tolerance = tolerance_of(kind, reduction=reduction, roundings=roundings)
        allowed = np.broadcast_to(tolerance.allowed(want, scale) + atol, want.shape)
        difference = np.abs(have - want)
        same = (have == rounded.astype(np.float64)) if kind.is_float else (have == want)
        close = same | (np.isnan(have) & np.isnan(want)) | (np.isfinite(want) & (difference <= allowed))
    if not close.all():
        _remember(found, target, {"dtype": kind, "reduction": reduction, "roundings": roundings, "magnitude": magnitude, "atol": atol})
        raise NotCloseError(*_told(found, rounded, want, allowed, ~close, kind, reduction, roundings))


def _remember(found: Array, wanted: Array, keywords: dict[str, object]) -> None:
    """Take down what failed with the run that `found` came from."""
    origin = run_of(found)
    if origin is not None:
        run, name = origin
        run.failed = Comparison(name, wanted, keywords)


def _told(
    found: Array, rounded: Array, want: Floats, allowed: Floats, wrong: NDArray[np.bool_], kind: Dtype, reduction: int, roundings: float
) -> tuple[str]:
    places = np.argwhere(wrong)
    have = found.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = np.nan_to_num(np.abs(have - want), nan=inf, posinf=inf)[wrong]
        excess = difference / allowed[wrong]
    first, worst = tuple(places[0]), tuple(places[np.lexsort((difference, np.nan_to_num(excess, nan=inf, posinf=inf)))[-1]])
    terms = "" if reduction <= 1 else f", sums of {reduction}"
    basis = kind.name if kind.is_int else f"{kind.name}, {roundings:g} rounding{'s' * (roundings != 1)}{terms}"
    lines = [f"{len(places):,} of {found.size:,} elements differ by more than is allowed ({basis})"]
    for label, index in (("first", first), ("worst", worst)):
        lines.append(f"     | {label} {_element(found, rounded, want, allowed, index, kind)}")
    return ("\n".join(lines),)


def _element(found: Array, rounded: Array, want: Floats, allowed: Floats, index: tuple[np.intp, ...], kind: Dtype) -> str:
    place = ", ".join(str(int(each)) for each in index)
    have, wish = float(found.astype(np.float64)[index]), float(want[index])
    text = f"[{place}]: found {have!r}, wanted {wish!r}, difference {abs(have - wish):.3g}, allowed {float(allowed[index]):.3g}"
    same_type = kind.is_float and found.dtype == kind.numpy
    if same_type and np.isfinite(have) and np.isfinite(wish):
        text += f", {int(ulps(found[index].reshape(1), rounded[index].reshape(1))[0]):,} ULP"
    return text
