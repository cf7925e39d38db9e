"""What an instruction works on: tensors in local memory, tensors in system memory, constants.

A shape is (n, c, h, w); strides are in elements, in the same order; 0 repeats the same element along a dimension (broadcast).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from tpukernel.dtypes import Dtype

__all__ = ["Constant", "Dim4", "Layout", "LocalTensor", "Operand", "SystemTensor"]

Dim4 = tuple[int, int, int, int]
"""A shape or strides: (n, c, h, w)."""


class Layout(Enum):
    """How a tensor lies in the lanes. Channel c of an n is in lane `(start lane + c) % lanes`, in row `(start lane + c) // lanes`."""

    EU_ALIGNED = "eu"
    """Rows h are packed; each channel starts at a multiple of the EU bytes."""
    COMPACT = "compact"
    """Channels follow each other without gaps."""
    LINE_ALIGNED = "line"
    """Each line (h) starts at a multiple of the EU bytes."""
    WEIGHT = "weight"
    """Convolution weights (oc, ic, kh, kw): oc over the lanes; a lane holds `[ceil(ic / P)][kh * kw][P]`, P = `Chip.weight_pack`."""
    FREE = "free"
    """The strides are given."""


@dataclass(frozen=True, slots=True)
class LocalTensor:
    """A tensor in local memory.

    Attributes:
        address: start lane times lane bytes plus the byte inside the lane. A TIU operand in static memory has its system address here.
        shape: (n, c, h, w).
        dtype: element type.
        layout: how the elements lie; `FREE` goes with `strides`, every other layout with `strides=None`.
        strides: elements from one n, c, h, w to the next inside a lane; the c stride is the distance of two channels of one lane.
    """

    address: int
    shape: Dim4
    dtype: Dtype
    layout: Layout = Layout.EU_ALIGNED
    strides: Dim4 | None = None

    def __post_init__(self) -> None:
        if (self.layout is Layout.FREE) != (self.strides is not None):
            raise ValueError(f"layout {self.layout.name} {'needs' if self.strides is None else 'cannot have'} strides")


@dataclass(frozen=True, slots=True)
class SystemTensor:
    """A tensor in DDR or L2.

    Attributes:
        address: absolute system address of the first element.
        shape: (n, c, h, w).
        dtype: element type.
        strides: elements from one n, c, h, w to the next; None means that the elements follow each other without gaps.
    """

    address: int
    shape: Dim4
    dtype: Dtype
    strides: Dim4 | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """An immediate: the 32 bits that the instruction carries, and the type as which the chip reads their lowest bytes."""

    bits: int
    dtype: Dtype

    @classmethod
    def of(cls, value: float, dtype: Dtype) -> Constant:
        """The constant of that value.

        Raises:
            OverflowError: an integer type cannot hold the value.
        """
        if dtype.is_int:
            low, high = (-(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1) if dtype.is_signed else (0, (1 << dtype.bits) - 1)
            if int(value) != value or not low <= value <= high:
                raise OverflowError(f"{dtype} cannot hold {value!r}")
            return cls(int(value) & ((1 << dtype.bits) - 1), dtype)
        import numpy as np

        raw = np.asarray(value, dtype.numpy).tobytes()
        return cls(int.from_bytes(raw, "little"), dtype)

    @property
    def value(self) -> float:
        """The number that the chip computes with; an int for integer types."""
        low = self.bits & ((1 << self.dtype.bits) - 1)
        if self.dtype.is_int:
            return low - (1 << self.dtype.bits) if self.dtype.is_signed and low >> (self.dtype.bits - 1) else low
        if self.dtype.kind == "b":
            return float(struct.unpack("<f", struct.pack("<I", low << 16))[0])
        return float(struct.unpack("<f" if self.dtype.bits == 32 else "<e", low.to_bytes(self.dtype.itemsize, "little"))[0])


Operand = LocalTensor | SystemTensor | Constant
"""Whatever an instruction reads or writes."""
