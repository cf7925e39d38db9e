"""Select and gather operators."""

from __future__ import annotations

import bmlang as bm
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.compare import COMPARISONS
from bmlang.tpulang.dtypes import DTYPES
from bmlang.tpulang.operator import BYTES, FLOATS, check, known, made, needs, operand, operator, value
from bmlang.tpulang.tensor import Scalar, Tensor
from tpukernel.dtypes import i32

__all__ = ["cond_select", "gather_elements", "index_select", "lut", "nonzero", "places", "scatter", "scatterND", "select"]


@operator
def nonzero(input: Tensor, dtype: str = "int32", out_name: str | None = None) -> Tensor:
    """The places of the elements that are not 0, a row of indices for each, in order; how many there are is known at run time."""
    needs(input, *FLOATS)
    check(dtype in ("int32", "float32"), f"dtype is {dtype}", "choose int32 or float32")
    found = bm.nonzero(value(input))
    return made(found if dtype == "int32" else bm.cast(found, DTYPES[dtype]), out_name)


@operator
def lut(input: Tensor, table: Tensor, out_name: str | None = None) -> Tensor:
    """The entry of a table for each integer.

    Args:
        input: int8 or uint8; -1 is entry 255, as the bits say.
        table: 256 numbers, int8 or uint8; a coefficient.
        out_name: name of the result, of the type of the table.
    """
    needs(input, *BYTES)
    needs(table, *BYTES)
    numbers = known(table, "table").reshape(-1)
    check(numbers.size == 256, f"table {table.shape}", "give 256 numbers")
    return made(bm.lut(value(input), numbers), out_name)


@operator
def select(lhs: Tensor, rhs: Tensor, tbrn: Tensor, fbrn: Tensor, type: str, out_name: str | None = None) -> Tensor:
    """`tbrn` where lhs and rhs compare as said, else `fbrn`.

    Args:
        lhs, rhs: of one type and shape.
        tbrn, fbrn: of one type and shape.
        type: "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal" or "NotEqual".
        out_name: name of the result.
    """
    check(type in COMPARISONS, f"type is {type!r}", f"choose from {', '.join(COMPARISONS)}")
    check(lhs.shape == rhs.shape, f"shapes {lhs.shape} and {rhs.shape}", "compare tensors of one shape")
    condition = COMPARISONS[type](value(lhs), value(rhs))
    return made(bm.where(condition, value(tbrn), value(fbrn)), out_name)


@operator
def cond_select(cond: Tensor, tbrn: Tensor | Scalar, fbrn: Tensor | Scalar, out_name: str | None = None) -> Tensor:
    """`tbrn` where cond is not 0, else `fbrn`; both of one type."""
    check(tbrn.dtype == fbrn.dtype, f"{tbrn.dtype} and {fbrn.dtype}", "choose between tensors of one type")
    return made(bm.where(bm.logical_not(value(cond)), operand(fbrn), operand(tbrn)), out_name)


@operator
def index_select(input: Tensor, index: Tensor, axis: int = -1, out_name: str | None = None, keep_dims: bool = True) -> Tensor:
    """The parts of the input along a dimension that an index names.

    Args:
        input: the tensor.
        index: places, counted from 0, of one dimension; int32, or floats that are whole numbers.
        axis: the dimension.
        out_name: name of the result.
        keep_dims: False to drop the dimension where there is one place.
    """
    rank = len(input.shape)
    check(-rank <= axis < rank, f"axis is {axis}", f"give a number from {-rank} to {rank - 1}")
    found = bm.index_select(value(input), places(index), axis % rank)
    dropped = not keep_dims and index.shape == [1]
    return made(bm.squeeze(found, axis % rank) if dropped else found, out_name, input.scale, input.zero_point)


@operator
def gather_elements(input: Tensor, index: Tensor, axis: int = 2, out_name: str | None = None) -> Tensor:
    """For each place of the index: the element of the input at this place, but for the dimension `axis`, where the index says it."""
    needs(index, "int32")
    return made(bm.gather_elements(value(input), value(index), axis), out_name, input.scale, input.zero_point)


@operator
def scatter(input: Tensor, index: Tensor, updates: Tensor, axis: int = 0, out_name: str | None = None) -> Tensor:
    """The input with the updates at their own places, but for the dimension `axis`, where the index says it.

    Args:
        input: the tensor.
        index: int32, of the shape of the updates.
        updates: of the type of the input.
        axis: the dimension.
        out_name: name of the result.
    """
    needs(index, "int32")
    needs(updates, input.dtype)
    return made(bm.scatter(value(input), value(index), value(updates), axis), out_name, input.scale, input.zero_point)


@operator
def scatterND(input: Tensor, indices: Tensor, updates: Tensor, out_name: str | None = None) -> Tensor:  # noqa: N802 - its name in TpuLang
    """The input with the updates where the indices say it, as ScatterND in ONNX.

    Args:
        input: the tensor.
        indices: (..., k), uint32 (or int32): places in the first k dimensions.
        updates: of the type of the input: one for each of the indices.
        out_name: name of the result.
    """
    needs(indices, "uint32", "int32")
    needs(updates, input.dtype)
    return made(bm.scatter_nd(value(input), value(indices), value(updates)), out_name, input.scale, input.zero_point)


def places(index: Tensor) -> Value:
    """An index as integers."""
    return bm.cast(value(index), i32) if index.kind.is_float else value(index)
