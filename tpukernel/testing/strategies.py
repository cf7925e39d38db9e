"""Strategies of hypothesis for shapes, types and arrays, biased to where mistakes of kernels are: the edges of lanes, EUs, tiles, banks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.dtypes import DTYPES, Dtype, bf16, dtype_of, f16, f32
from tpukernel.testing.errors import MissingPackageError, StrategyError
from tpukernel.testing.values import odd_numbers, random, special_numbers

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["FLOATS", "INTEGERS", "arrays", "dtypes", "shapes"]

Shape = tuple[int, ...]
Array = NDArray[np.generic]

FLOATS: Final = (f32, f16, bf16)
INTEGERS: Final = tuple(dtype for dtype in DTYPES.values() if dtype.is_int)
_KINDS: Final = {"float": FLOATS, "int": INTEGERS, "all": (*FLOATS, *INTEGERS)}
ODD_PLACES: Final = 6
"""Elements of an array that get an odd number."""


def _require_hypothesis() -> None:
    try:
        import hypothesis  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise MissingPackageError("strategies need the package hypothesis", help="pip install hypothesis") from error


def dtypes(kind: Literal["float", "int", "all"] | Sequence[Dtype | str] = "float") -> SearchStrategy[Dtype]:
    """Data types: `float` (f32, f16, bf16), `int`, `all`, or those of a sequence. Failures shrink to the first one.

    Raises:
        StrategyError: there is none.
        MissingPackageError: hypothesis is not there.
    """
    _require_hypothesis()
    from hypothesis import strategies as st

    found = _KINDS[kind] if isinstance(kind, str) else tuple(dtype_of(each) for each in kind)
    if not found:
        raise StrategyError("no data type to choose from", help="give one or more")
    return st.sampled_from(found)


def shapes(
    rank: int = 4,
    *,
    max_n: int = 3,
    max_c: int = 130,
    max_h: int = 5,
    max_w: int = 200,
    max_elements: int = 1 << 16,
    dtype: Dtype | str = f32,
    tiles: Sequence[int] = (),
    chip: Chip | str = "BM1684X",
) -> SearchStrategy[Shape]:
    """Shapes in which the mistakes are: half of the sizes are 1, one more or less than the lanes (c), the EUs, a tile or a bank (w).

    Args:
        rank: dimensions, 1 to 4: (c), (c, w), (c, h, w) or (n, c, h, w), which is how kernels see tensors of fewer dimensions.
        max_n: largest n; likewise `max_c`, `max_h` and `max_w`.
        max_c: largest c.
        max_h: largest h.
        max_w: largest w.
        max_elements: largest product of all sizes.
        dtype: type of the elements, which says how many fill the EUs and a bank.
        tiles: sizes of the tiles that the kernel uses; with their neighbours and multiples.
        chip: the chip or its name, for lanes, EUs and banks.

    Raises:
        StrategyError: no shape is so small.
        MissingPackageError: hypothesis is not there.
    """
    _require_hypothesis()
    from hypothesis import strategies as st

    limits = (max_n, max_c, max_h, max_w)
    if rank not in (1, 2, 3, 4) or min(*limits, max_elements) < 1:
        raise StrategyError(
            f"shapes of {rank} dimensions up to {limits} with {max_elements} elements", help="give rank 1 to 4 and limits of 1 or more"
        )
    found, kind = chip_of(chip), dtype_of(dtype)
    around_tiles = [tile * many + off for tile in tiles for many in (1, 2) for off in (-1, 0, 1)]
    edges = {
        "n": [1, 2],
        "c": [found.lanes * many + off for many in (1, 2) for off in (-1, 0, 1)] + around_tiles,
        "h": [1, 2, 3, *around_tiles],
        "w": [*_row_edges(found, kind), *around_tiles],
    }
    axes = {1: "c", 2: "cw", 3: "chw", 4: "nchw"}[rank]
    most = dict(zip("nchw", limits, strict=True))

    @st.composite
    def shape(draw: DrawFn) -> Shape:
        sizes: dict[str, int] = {}
        for axis in sorted(axes, key="cwhn".index):  # those whose edges are far away choose first
            limit = min(most[axis], max_elements // prod(sizes.values()))
            near = sorted({1, *(edge for edge in edges[axis] if 1 <= edge <= limit)})
            # Two choices for every size: hypothesis prefers failures with fewer of them, and would end at large sizes that leave no other.
            if draw(st.booleans()):
                sizes[axis] = min(draw(st.integers(1, max(limit, 2))), limit)
            else:
                sizes[axis] = draw(st.sampled_from(near if len(near) > 1 else [1, 1]))
        return tuple(sizes[axis] for axis in axes)

    return shape()


def _row_edges(chip: Chip, dtype: Dtype) -> list[int]:
    """Sizes of w near those that fill the EUs once and twice, and a bank."""
    once, bank = chip.eu_bytes // dtype.itemsize, chip.bank_bytes // dtype.itemsize
    return [size + off for size in (once, 2 * once, bank) for off in (-1, 0, 1)]


def arrays(
    shape: Sequence[int] | SearchStrategy[Shape],
    dtype: Dtype | str | SearchStrategy[Dtype] = f32,
    *,
    specials: bool = False,
    low: float | None = None,
    high: float | None = None,
) -> SearchStrategy[Array]:
    """Arrays of random numbers with a few odd ones (zeros, ones, powers of two, the limits of the type) at random places.

    One draw chooses a seed for all elements, so that large arrays cost no more than small ones; failures shrink to small whole numbers.

    Args:
        shape: the shape, or a strategy for it.
        dtype: the data type, or a strategy for it.
        specials: infinities, NaN and denormal numbers, too.
        low: smallest value. With limits, odd numbers outside of them are left out.
        high: largest value.

    Raises:
        MissingPackageError: hypothesis is not there.
    """
    _require_hypothesis()
    from hypothesis import strategies as st

    given: SearchStrategy[Shape] = st.just(tuple(shape)) if isinstance(shape, Sequence) else shape
    kinds: SearchStrategy[Dtype] = st.just(dtype_of(dtype)) if isinstance(dtype, Dtype | str) else dtype

    @st.composite
    def array(draw: DrawFn) -> Array:
        sizes, kind = draw(given), draw(kinds)
        fits = _limited(low, high)
        found = _numbers(draw(st.integers(0, 1 << 16)), sizes, kind, low, high)
        odd = [value for value in odd_numbers(kind) + (special_numbers(kind) if specials else []) if fits(value)]
        if odd and found.size:
            chosen = st.tuples(st.integers(0, found.size - 1), st.sampled_from(odd))
            for place, value in draw(st.lists(chosen, max_size=ODD_PLACES)):
                found.reshape(-1)[place] = found.dtype.type(value)
        return found

    return array()


def _limited(low: float | None, high: float | None) -> Callable[[float], bool]:
    if low is None and high is None:
        return lambda _: True
    return lambda value: (low is None or value >= low) and (high is None or value <= high)


def _numbers(seed: int, shape: Shape, dtype: Dtype, low: float | None, high: float | None) -> Array:
    """Random numbers; of seed 0, to which failures shrink, whole numbers in turn that are easy to read."""
    if seed:
        return random(shape, dtype, seed, low=low, high=high)
    least, most = -3 if low is None else int(np.ceil(low)), 3 if high is None else int(np.floor(high))
    if dtype.is_int:
        least, most = max(least, dtype.limits[0]), min(most, dtype.limits[1])
    if most < least:
        return random(shape, dtype, low=low, high=high)
    return (least + np.arange(prod(shape)) % (min(most - least, 6) + 1)).reshape(shape).astype(dtype.numpy)
