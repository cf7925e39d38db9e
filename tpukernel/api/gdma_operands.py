"""Operands of the DMA functions, and the strides that the library writes where a call leaves them out."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from tpukernel.api.arguments import Address, Scalar
from tpukernel.api.errors import ArgumentError
from tpukernel.api.operands import constant, local
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.layout import aligned_strides, strides_of
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype

__all__ = ["Memory", "alike", "anywhere", "explicit", "filling", "in_lane_0", "need_unit_stride", "system"]

Memory = LocalTensor | SystemTensor
_LOCAL = BM1684X.regions["lmem"].base


def system(address: Address, shape: Dim4, dtype: Dtype, stride: Dim4 | None = None) -> SystemTensor:
    """The tensor at a system address."""
    return SystemTensor(address.__index__(), shape, dtype, stride)


def in_lane_0(address: Address, shape: Dim4, dtype: Dtype, stride: Dim4 | None = None) -> LocalTensor:
    """The tensor at a local address; without strides the n stride is that of a tensor that starts in lane 0, whatever the address says.

    The official library has it so where it copies and fills (measured). It is wrong for a tensor of several n whose channels reach one
    row further because they start in another lane.
    """
    return local(address, shape, dtype, aligned_strides(BM1684X, shape, dtype) if stride is None else stride)


def anywhere(name: str, address: Address, in_lanes: bool, shape: Dim4, dtype: Dtype, stride: Dim4 | None = None) -> Memory:
    """The tensor at a system address, or, with `in_lanes`, at a local address or the system address of local memory.

    Raises:
        ArgumentError: with `in_lanes`, an address that is neither. (The official library drops its upper bits.)
    """
    number = address.__index__()
    if not in_lanes:
        return system(number, shape, dtype, stride)
    inside = number - _LOCAL if number >= _LOCAL else number
    if inside >= BM1684X.local_bytes:
        raise ArgumentError(
            f"{name} is {number:#x}, which is not in local memory",
            help=f"give a local address below {BM1684X.local_bytes:#x}, or that plus {_LOCAL:#x}",
        )
    return local(inside, shape, dtype, stride)


def explicit(tensor: Memory) -> Memory:
    """The tensor with the strides that follow from its layout."""
    if tensor.strides is not None:
        return tensor
    strides = strides_of(BM1684X, tensor)
    return replace(tensor, strides=strides) if isinstance(tensor, SystemTensor) else replace(tensor, layout=Layout.FREE, strides=strides)


def alike(*tensors: Memory) -> tuple[Memory, ...]:
    """All tensors with strides if one of them has strides, else as they are: a command holds strides of all its operands or of none."""
    return tuple(explicit(tensor) for tensor in tensors) if any(tensor.strides is not None for tensor in tensors) else tensors


def need_unit_stride(dimension: Literal["h", "w"], **tensors: Memory) -> None:
    """Check strides that the command does not hold.

    Raises:
        ArgumentError: the stride of a tensor is given, and not as 1. (The official library stops with an assertion, also where the tensor
            has one element in that dimension.)
    """
    for name, tensor in tensors.items():
        if tensor.strides is not None and (stride := tensor.strides["nchw".index(dimension)]) != 1:
            raise ArgumentError(f"the {dimension} stride of {name} is {stride}, but it has to be 1", help="copy the tensor first")


def filling(value: Scalar, dtype: Dtype) -> Constant:
    """The constant of a fill; of given bits only those that the type has count."""
    given = constant(value, dtype)
    return replace(given, bits=given.bits & ((1 << dtype.bits) - 1))
