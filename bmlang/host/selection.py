"""Elements that are chosen by their values: how many there are is known only then."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from bmlang.host.errors import CpuOperatorError
from bmlang.host.registry import OWN, Array, Parameters, cpu_operator, same_types

__all__ = ["FILL_UP", "MASKED_SELECT", "NONZERO", "REAL_SHAPE", "UNIQUE", "FillUp", "MaskedSelect"]

NONZERO, MASKED_SELECT = 14, 22
UNIQUE, FILL_UP, REAL_SHAPE = OWN + 1001, OWN + 1002, OWN + 1003
LARGEST_RANK = 8
MOST_BYTES = 1 << 32
"""Bytes that filling up may make of a tensor, as large as the memory of a chip."""


@dataclass(frozen=True)
class MaskedSelect(Parameters):
    """libsophon's `cpu_masked_select_param_t`: whether the shape of the mask is compared from the first dimension on, not from the last."""

    from_first: bool = False
    title = "masked_select"
    layout = "<?"


@cpu_operator(NONZERO)
def nonzero(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The indices of all elements of a float32 tensor that are not 0, in order: int32 (count, rank)."""
    same_types("nonzero", inputs, ["float32"])
    return nonzero_any(parameters, inputs)


@cpu_operator(OWN + NONZERO)
def nonzero_any(_parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """As `nonzero`, for every data type."""
    same_types("nonzero", inputs, [None])
    return [np.argwhere(inputs[0] != np.zeros((), inputs[0].dtype)).astype(np.int32)]


@cpu_operator(MASKED_SELECT)
def masked_select(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The elements of a float32 tensor where a float32 mask, repeated to its shape or the other way round, is not 0."""
    same_types("masked_select", inputs, ["float32", "float32"])
    return masked_select_any(parameters, inputs)


@cpu_operator(OWN + MASKED_SELECT)
def masked_select_any(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """As `masked_select`, for every data type.

    Raises:
        CpuOperatorError: the shapes do not fit.
    """
    given = MaskedSelect.read(parameters)
    same_types("masked_select", inputs, [None, None])
    x, mask = inputs
    if given.from_first:
        rank = max(x.ndim, mask.ndim)
        x, mask = (array.reshape((*array.shape, *(1,) * (rank - array.ndim))) for array in (x, mask))
    try:
        x, mask = np.broadcast_arrays(x, mask)
    except ValueError:
        raise CpuOperatorError(f"masked_select has a mask of shape {mask.shape} for a tensor of shape {x.shape}") from None
    return [x[mask != np.zeros((), mask.dtype)]]


@cpu_operator(UNIQUE)
def unique(_parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The different elements in order; the index where each comes first; which of them each element of x is; how often each comes.

    The last three are int32; x counts as one line.
    """
    same_types("unique", inputs, [None])
    x = inputs[0].reshape(-1)
    keys = x.astype(np.float32) if x.dtype.kind == "V" else x
    _, first, places, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return [x[first], *(each.reshape(-1).astype(np.int32) for each in (first, places, counts))]


@dataclass(frozen=True)
class FillUp:
    """The shape that a tensor is filled up to, and with what.

    Attributes:
        shape: up to eight sizes.
        element: the bytes of one element, up to eight.
    """

    shape: tuple[int, ...]
    element: bytes

    def data(self) -> bytes:
        """As a file has it: int32 rank, eight int32 sizes, eight bytes of the element."""
        sizes = (*self.shape, *(0,) * (LARGEST_RANK - len(self.shape)))
        return struct.pack("<9i8s", len(self.shape), *sizes, self.element)

    @classmethod
    def read(cls, data: bytes) -> FillUp:
        """The parameters of a file.

        Raises:
            CpuOperatorError: there are too few bytes, or they say no shape.
        """
        if len(data) != struct.calcsize("<9i8s"):
            raise CpuOperatorError(f"fill_up has {len(data)} bytes of parameters instead of {struct.calcsize('<9i8s')}")
        rank, *sizes, element = struct.unpack("<9i8s", data)
        if not 0 <= rank <= LARGEST_RANK or min(sizes) < 0 or prod(sizes[:rank]) > MOST_BYTES:
            raise CpuOperatorError(f"fill_up has the shape {sizes[:rank]} of {rank} dimensions")
        return cls(tuple(sizes[:rank]), element)


@cpu_operator(FILL_UP)
def fill_up(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """x at the begin of a tensor of a fixed shape, the rest of which has one value.

    Raises:
        CpuOperatorError: x is larger than that.
    """
    given = FillUp.read(parameters)
    same_types("fill_up", inputs, [None])
    (x,) = inputs
    if x.ndim != len(given.shape) or any(size > most for size, most in zip(x.shape, given.shape, strict=True)):
        raise CpuOperatorError(f"fill_up to {given.shape} of a tensor of shape {x.shape} is not possible")
    if prod(given.shape) * x.dtype.itemsize > MOST_BYTES:
        raise CpuOperatorError(f"fill_up to {given.shape} takes more than {MOST_BYTES} bytes")
    found = np.full(given.shape, np.frombuffer(given.element[: x.dtype.itemsize], x.dtype)[0], x.dtype)
    found[tuple(map(slice, x.shape))] = x
    return [found]


@cpu_operator(REAL_SHAPE)
def real_shape(_parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The shape of x as int32."""
    same_types("real_shape", inputs, [None])
    return [np.array(inputs[0].shape, np.int32)]
