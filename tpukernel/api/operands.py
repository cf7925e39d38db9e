"""Operands from the arguments of a call."""

from __future__ import annotations

from typing import Literal

from tpukernel.api.arguments import Address, Bits, Scalar, Variable
from tpukernel.api.errors import ArgumentError
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, i8, i16, i32

__all__ = ["SIGNED", "constant", "local", "need_one", "of_variable", "per_channel"]

SIGNED: dict[int, Dtype] = {8: i8, 16: i16, 32: i32}
"""Signed integer types by width; the library computes with them where the bits of a float are meant."""


def local(address: Address, shape: Dim4, dtype: Dtype, stride: Dim4 | None = None, layout: Layout = Layout.EU_ALIGNED) -> LocalTensor:
    """The tensor at a local address, with strides if they are given, else in the layout."""
    return LocalTensor(address.__index__(), shape, dtype, layout if stride is None else Layout.FREE, stride)


def per_channel(address: Address, channels: int, dtype: Dtype) -> LocalTensor:
    """One element per channel, compact."""
    return local(address, (1, channels, 1, 1), dtype, layout=Layout.COMPACT)


def constant(value: Scalar, dtype: Dtype) -> Constant:
    """A `scalar_t` as a number of that type; the bits above the type are 0 unless they are given.

    Raises:
        ConstantRangeError: an integer type cannot hold the value, or it is too large for a float type.
        ArgumentError: a constant of another type was given.
    """
    if isinstance(value, Bits):
        return Constant(value.bits, dtype)
    if isinstance(value, Constant):
        if value.dtype != dtype:
            raise ArgumentError(f"a constant of type {value.dtype!r} was given where {dtype!r} is computed", help="give a plain number")
        return value
    return Constant.of(value, dtype)


def of_variable(variable: Variable, shape: Dim4, dtype: Dtype) -> LocalTensor | Constant:
    """A `variable_t`: a tensor of the shape, a scalar, or a vector, of which all channels of a lane share one element."""
    if variable.form == "scalar":
        return constant(variable.value, dtype)
    return local(variable.address, shape, dtype, (0, 0, 0, 0) if variable.form == "vector" else None)


def need_one(dimension: Literal["n", "c", "h", "w"], shape: Dim4) -> None:
    """Check a dimension that the function does not work on.

    Raises:
        ArgumentError: it is not 1. (The official library stops with an assertion.)
    """
    if shape["nchw".index(dimension)] != 1:
        raise ArgumentError(f"shape is {shape}, but its {dimension} has to be 1", help="call the function once for each")
