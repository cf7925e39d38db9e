"""Products as the engine takes them: factors, addends, result, and what is done with the sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tpukernel.dtypes import Dtype
from tpukernel.sim.jit.ir import Value
from tpukernel.sim.jit.kernel import ARGUMENTS
from tpukernel.sim.jit.products.kinds import Kind

__all__ = ["Finish", "Grid", "Offsets", "Product"]

Offsets = NDArray[np.int64]
_NOTHING: Offsets = np.zeros(1, np.int64)


@dataclass(frozen=True, eq=False)
class Grid:
    """Elements in two directions: that of (a, b) starts at `base + first[a] + second[b]` of a memory.

    Attributes:
        dtype: type of the elements.
        space: the memory; `ARGUMENTS` for a constant, whose bits are `base`.
        base: byte of the memory.
        first: offsets by row (of the right factor: by k); one number if all are the same.
        second: offsets by column (of the left factor: by k); one number if all are the same.
    """

    dtype: Dtype
    space: str
    base: int
    first: Offsets = field(default_factory=_NOTHING.copy)
    second: Offsets = field(default_factory=_NOTHING.copy)

    @classmethod
    def constant(cls, bits: int, dtype: Dtype) -> Grid:
        """One number everywhere."""
        return cls(dtype, ARGUMENTS, bits)

    def based(self) -> Grid:
        """The same elements, where directions along which they do not differ have an offset of 0."""
        if self.space == ARGUMENTS:
            return self
        single = [offsets.size == 1 for offsets in (self.first, self.second)]
        base = self.base + sum(int(offsets[0]) for offsets, one in zip((self.first, self.second), single, strict=True) if one)
        first, second = (_NOTHING if one else offsets for offsets, one in zip((self.first, self.second), single, strict=True))
        return Grid(self.dtype, self.space, base, first, second)

    @property
    def by(self) -> str:
        """Directions along which the elements differ."""
        return ("r" if self.first.size > 1 else "") + ("c" if self.second.size > 1 else "")


@dataclass(frozen=True)
class Finish:
    """What is done with the sums.

    Attributes:
        key: distinguishes it from all others for operands of the same types.
        starts: by buffer of sums the addends from whose sum it starts (floats).
        emit: from a vector of each buffer and one of the bits of each addend to the bits of the result.
    """

    key: str
    emit: Callable[[Sequence[Value], Sequence[Value]], Value] = field(compare=False, repr=False)
    starts: tuple[tuple[int, ...], ...] = ((),)


@dataclass(frozen=True, eq=False)
class Product:
    """`dst[row, column] = finish(sum over k of left[row, k] * right[k, column], addends)`.

    Attributes:
        kind: how the products are added up.
        rows, depth, columns: sizes.
        left: (rows, k).
        right: (k, columns).
        dst: (rows, columns).
        addends: (rows, columns), what else the result depends on.
        finish: what is done with the sums.
        group_counts: of groups of 16-bit floats, which have 32 places: how many of them are used. Otherwise empty.
        left_stays: nothing is written over the left factor while the result is.
    """

    kind: Kind
    rows: int
    depth: int
    columns: int
    left: Grid
    right: Grid
    dst: Grid
    addends: tuple[Grid, ...]
    finish: Finish
    group_counts: tuple[int, ...] = ()
    left_stays: bool = False

    @property
    def is_packed(self) -> bool:
        """Whether the left factor is as if it had been packed: the numbers of each row are f32, one behind the other."""
        left = self.left
        if not self.left_stays or left.space == ARGUMENTS or not self.kind.sums.is_float or left.dtype.bits != 32:
            return False
        return left.first.size == self.rows and left.second.size == self.depth and bool(np.all(np.diff(left.second) == 4))
