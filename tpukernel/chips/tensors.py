"""What an instruction works on: tensors in local memory, tensors in system memory, constants.

A shape is (n, c, h, w); strides are in elements, in the same order; 0 repeats the same element along a dimension (broadcast).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tpukernel.chips.errors import ConstantRangeError, LayoutError
from tpukernel.dtypes import Dtype

if TYPE_CHECKING:
    import numpy as np

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
        pack: elements of that many neighbouring n that share one unit: 4 ("4N") or 2 ("2N") on the BM1684. n // pack selects the unit, n
            % pack the place in it; the n stride, like all strides of a packed tensor, counts units.

    Raises:
        LayoutError: FREE without strides, or strides with another layout.
    """

    address: int
    shape: Dim4
    dtype: Dtype
    layout: Layout = Layout.EU_ALIGNED
    strides: Dim4 | None = None
    pack: int = 1

    def __post_init__(self) -> None:
        if (self.layout is Layout.FREE) != (self.strides is not None):
            wrong = "needs strides" if self.strides is None else f"cannot have strides {self.strides}"
            raise LayoutError(
                f"a local tensor {self.shape} {self.dtype!r} of layout {self.layout.name} {wrong}",
                help="give strides with Layout.FREE, and only with it",
            )


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
    """An immediate: the 32 bits that the instruction carries, and the type as which the chip reads their lowest bytes.

    Raises:
        ConstantRangeError: `bits` are not 32 bits.
    """

    bits: int
    dtype: Dtype

    def __post_init__(self) -> None:
        if not 0 <= self.bits < 1 << 32:
            raise ConstantRangeError(
                f"an instruction carries 32 bits, not {self.bits:#x}", help="use Constant.of(value, dtype) for a number"
            )

    @classmethod
    def of(cls, value: float, dtype: Dtype) -> Constant:
        """The constant of that value, rounded to the nearest one of a float type (ties to even); the bits above those of the type are 0.

        Raises:
            ConstantRangeError: an integer type cannot hold the value exactly, or a finite value is too large for a float type.
        """
        if dtype.is_int:
            low, high = dtype.limits
            if not _is_finite(value) or int(value) != value or not low <= value <= high:
                raise ConstantRangeError(
                    f"{dtype!r} cannot hold {value!r}", help=f"use an integer from {low} to {high}, or another data type"
                )
            return cls(int(value) & ((1 << dtype.bits) - 1), dtype)
        number = _nearest(float(value), dtype) if _is_finite(value) or isinstance(value, float) else None
        if number is None or (_is_finite(value) and not _is_finite(float(number))):
            raise ConstantRangeError(
                f"{dtype!r} cannot hold {value!r}", help="use a smaller number, a type with a larger exponent, or infinity itself"
            )
        return cls(int.from_bytes(number.tobytes(), "little"), dtype)

    @property
    def value(self) -> float:
        """The number that the chip computes with; an int for integer types."""
        low = self.bits & ((1 << self.dtype.bits) - 1)
        if self.dtype.is_int:
            return low - (1 << self.dtype.bits) if self.dtype.is_signed and low >> (self.dtype.bits - 1) else low
        if self.dtype.kind == "b":
            return float(struct.unpack("<f", struct.pack("<I", low << 16))[0])
        return float(struct.unpack("<f" if self.dtype.bits == 32 else "<e", low.to_bytes(self.dtype.itemsize, "little"))[0])


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def _nearest(value: float, dtype: Dtype) -> np.generic:
    import numpy as np

    with np.errstate(over="ignore", under="ignore"):
        if dtype.kind != "b":
            return dtype.numpy.type(value)
        # ml_dtypes rounds to f32 first. Rounding that to odd keeps what the second rounding has to know.
        single = np.float32(value)
        if math.isfinite(single) and float(single) != value and not single.view(np.uint32) & 1:
            single = np.nextafter(single, np.float32(math.copysign(math.inf, value - float(single))))
        return dtype.numpy.type(single)


Operand = LocalTensor | SystemTensor | Constant
"""Whatever an instruction reads or writes."""
