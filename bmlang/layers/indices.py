"""What operators with an index share."""

from __future__ import annotations

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.cast import cast
from bmlang.layers.errors import OperatorDtypeError, ShapeError
from bmlang.layers.system import LARGEST
from bmlang.layers.tensor import Operand, Tensor, here
from tpukernel.dtypes import i8, i16, i32, u8, u16, u32
from tpukernel.lang.signature import TensorSpec

__all__ = ["boxes", "check_index", "check_within", "in_range", "to_last", "wide_index"]


def boxes(rows: int, columns: int) -> list[tuple[slice, slice]]:
    """Rows and columns in boxes that one command can have."""
    first, second = ([slice(start, min(start + LARGEST, size)) for start in range(0, size, LARGEST)] for size in (rows, columns))
    return [(one, other) for one in first for other in second]


def to_last(rank: int, axis: int) -> tuple[list[int], list[int]]:
    """The order in which a dimension is the last one, and the one that brings it back."""
    order = [*(place for place in range(rank) if place != axis), axis]
    return order, [order.index(place) for place in range(rank)]


def check_index(name: str, index: TensorSpec) -> None:
    """An index has a type that commands take.

    Raises:
        OperatorDtypeError: it has not.
    """
    if index.dtype not in (i32, u32):
        raise OperatorDtypeError(f"index of {name} is {index.dtype.name}", position=here(), help="convert it to i32 with bm.cast")


def check_within(name: str, x: TensorSpec, index: TensorSpec, axis: int) -> None:
    """An index has the dimensions of x, none longer but the chosen one.

    Raises:
        ShapeError: it has not.
    """
    fits = len(x.shape) == len(index.shape)
    if not fits or any(mine > size for place, (mine, size) in enumerate(zip(index.shape, x.shape, strict=True)) if place != axis):
        raise ShapeError(
            f"{name} of x {list(x.shape)} with an index {list(index.shape)} along dimension {axis}",
            position=here(),
            help="the index has as many dimensions as x, none longer but that one",
        )


def wide_index(index: Operand) -> Operand:
    """An index of few bits as i32; others as they are."""
    if isinstance(index, Tensor):
        return cast(index, i32) if index.dtype in (i8, u8, i16, u16) else index
    array = np.asarray(index)
    return array.astype(np.int32) if array.dtype.kind in "iu" and array.dtype.itemsize < 4 else array


def in_range(index: Array, size: int) -> Array:
    """Where an index names one of `size` elements."""
    wide = index.astype(np.int64)
    return (wide >= 0) & (wide < size)
