"""What can be wrong with a tensor in a chip's memory."""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = [
    "AlignmentError",
    "ArrayMismatchError",
    "ChipDtypeError",
    "ConstantRangeError",
    "LaneOverflowError",
    "LayoutError",
    "LocalAddressError",
    "MemoryImageError",
    "OverlapError",
    "ShapeError",
    "StrideError",
    "SystemAddressError",
]


class LocalAddressError(TpuError, code="CHIP103"):
    """An address lies outside the local memory of the chip."""


class LaneOverflowError(TpuError, code="CHIP104"):
    """A tensor needs more bytes of a lane than there are behind its start."""


class AlignmentError(TpuError, code="CHIP105"):
    """A tensor starts at an address that its layout does not allow."""


class ChipDtypeError(TpuError, code="CHIP106"):
    """The chip does not have a data type, or not in this layout."""


class ShapeError(TpuError, code="CHIP107"):
    """A shape is not four sizes between 1 and the largest of the chip."""


class StrideError(TpuError, code="CHIP108"):
    """Strides are not four numbers of zero or more."""


class ArrayMismatchError(TpuError, code="CHIP109"):
    """An array has not the shape or data type of the tensor that it is to fill."""


class LayoutError(TpuError, code="CHIP110"):
    """A tensor's layout does not go with its strides or packing, or has no strides of its own."""


class OverlapError(TpuError, code="CHIP111"):
    """Elements of a tensor that is to be written share bytes."""


class MemoryImageError(TpuError, code="CHIP112"):
    """A memory image is not the flat array of bytes that the chip's memory has."""


class SystemAddressError(TpuError, code="CHIP113"):
    """A tensor lies outside the piece of system memory that is at hand."""


class ConstantRangeError(TpuError, code="CHIP114"):
    """A data type cannot hold a constant."""
