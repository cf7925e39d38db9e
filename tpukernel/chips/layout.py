"""Where tensors lie in the local memories of a chip's lanes, and in system memory.

The rules were measured on the official libraries; `tests/chips` compares them with `tpu_aligned_stride` and its sisters, and with
recorded memory images.

* The local memory of all lanes is one flat array: lane times `lane_bytes` plus the byte inside the lane. A tensor starts in lane s at
  byte b.
* Channel c is in lane `(s + c) % lanes`, in row `(s + c) // lanes`. Rows count from the start lane's row 0: where channels wrap from the
  last lane to lane 0 they advance by one c stride, also when lane 0 holds nothing of the tensor before. So element (n, c, h, w) starts in
  its lane at byte `b + (n * n_stride + row * c_stride + h * h_stride + w * w_stride) * itemsize`. FREE strides follow the same rule.
* The n stride of the derived layouts is `c_stride * ceil((s + C) / lanes)`.
* Packed tensors (`LocalTensor.pack`) lay out units of `pack` neighbouring n like the elements of a 32-bit tensor; n // pack counts units.
* WEIGHT has oc over the lanes like channels, rows without gaps, and the last group of input channels filled up to P. The fill belongs to
  the tensor: `write_tensor` sets it to zero.
  (The official C model does not read the fill.)
* A matrix is an EU-aligned tensor (rows, ceil(cols / w), 1, w); its last channel may be partly unused.

The GDMA copies of the official library differ in one point: without strides they leave out the start lane (n stride `c_stride * ceil(C /
lanes)`). That is FREE with `aligned_strides(..., start=0)` here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip
from tpukernel.chips.errors import (
    AlignmentError,
    ArrayMismatchError,
    ChipDtypeError,
    LaneOverflowError,
    LayoutError,
    LocalAddressError,
    MemoryImageError,
    OverlapError,
    ShapeError,
    StrideError,
    SystemAddressError,
)
from tpukernel.chips.placement import Axis, Placement
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype

__all__ = [
    "aligned_strides",
    "bank_of",
    "byte_offsets",
    "compact_strides",
    "continuous_strides",
    "lane_bytes_needed",
    "lane_offset",
    "line_aligned_strides",
    "local_placement",
    "matrix_offsets",
    "matrix_tensor",
    "read_matrix",
    "read_system",
    "read_tensor",
    "start_lane",
    "strides_of",
    "system_placement",
    "with_strides",
    "write_matrix",
    "write_system",
    "write_tensor",
]

_T = TypeVar("_T", bound=np.generic)
_Tensor = TypeVar("_Tensor", LocalTensor, SystemTensor)

_LARGEST_COUNT = (1 << 32) - 1
"""Sizes of system tensors may be larger than `Chip.max_shape`: DMA_general has a count of 32 bits, DMA_gather as many rows."""

_PACKED_UNIT_BYTES = 4
"""Packed tensors are aligned like tensors of this item size, whatever the size of their unit."""


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


# ---- addresses


def start_lane(chip: Chip, address: int) -> int:
    """The lane of a local address.

    Raises:
        LocalAddressError: the address is not in local memory.
    """
    _check_local_address(chip, address, "the address")
    return address // chip.lane_bytes


def lane_offset(chip: Chip, address: int) -> int:
    """The byte inside its lane of a local address; raises LocalAddressError as `start_lane` does."""
    _check_local_address(chip, address, "the address")
    return address % chip.lane_bytes


def bank_of(chip: Chip, address: int) -> int:
    """The bank of a local address; raises LocalAddressError as `start_lane` does."""
    return lane_offset(chip, address) // chip.bank_bytes


def _check_local_address(chip: Chip, address: int, what: str) -> None:
    if not 0 <= address < chip.local_bytes:
        raise LocalAddressError(
            f"{what} {address:#x} is outside the local memory of {chip!r}, which has {chip.local_bytes:#x} bytes",
            help="local addresses are lane * lane_bytes + byte, counted from 0 and not from the system address of the local memory",
        )


# ---- strides


def _rows(chip: Chip, channels: int, start: int) -> int:
    return -(-(start + channels) // chip.lanes)


def aligned_strides(chip: Chip, shape: Dim4, dtype: Dtype, *, start: int = 0, pack: int = 1) -> Dim4:
    """Strides of EU_ALIGNED, in elements (packed: in units), for a tensor that starts in lane `start`."""
    _, c, h, w = shape
    c_stride = _up(h * w, _eu_elements(chip, dtype, pack))
    return c_stride * _rows(chip, c, start), c_stride, w, 1


def compact_strides(chip: Chip, shape: Dim4, *, start: int = 0) -> Dim4:
    """Strides of COMPACT, in elements (packed: in units), for a tensor that starts in lane `start`."""
    _, c, h, w = shape
    return h * w * _rows(chip, c, start), h * w, w, 1


def line_aligned_strides(chip: Chip, shape: Dim4, dtype: Dtype, *, start: int = 0, pack: int = 1) -> Dim4:
    """Strides of LINE_ALIGNED, in elements (packed: in units), for a tensor that starts in lane `start`."""
    _, c, h, w = shape
    h_stride = _up(w, _eu_elements(chip, dtype, pack))
    return h * h_stride * _rows(chip, c, start), h * h_stride, h_stride, 1


def continuous_strides(shape: Dim4) -> Dim4:
    """Strides of a system tensor without gaps, in elements."""
    _, c, h, w = shape
    return c * h * w, h * w, w, 1


def strides_of(chip: Chip, tensor: LocalTensor | SystemTensor) -> Dim4:
    """The strides of a tensor in elements (packed: in units), given or derived from its layout. The c stride of a local tensor is that of
    two rows.

    Raises:
        LayoutError: WEIGHT, which is not described by four strides.
    """
    if isinstance(tensor, SystemTensor):
        return tensor.strides or continuous_strides(tensor.shape)
    start, shape = start_lane(chip, tensor.address), tensor.shape
    match tensor.layout:
        case Layout.EU_ALIGNED:
            return aligned_strides(chip, shape, tensor.dtype, start=start, pack=tensor.pack)
        case Layout.COMPACT:
            return compact_strides(chip, shape, start=start)
        case Layout.LINE_ALIGNED:
            return line_aligned_strides(chip, shape, tensor.dtype, start=start, pack=tensor.pack)
        case Layout.FREE if tensor.strides is not None:
            return tensor.strides
        case _:
            raise LayoutError(
                f"a tensor {shape} {tensor.dtype!r} of layout {tensor.layout.name} has no strides: its input channels are in groups",
                help="use byte_offsets or local_placement",
            )


def with_strides(chip: Chip, tensor: _Tensor) -> _Tensor:
    """The same tensor with its strides given, as some commands want it; raises as `strides_of`."""
    if isinstance(tensor, LocalTensor):
        return replace(tensor, layout=Layout.FREE, strides=strides_of(chip, tensor))
    return replace(tensor, strides=strides_of(chip, tensor))


def _eu_elements(chip: Chip, dtype: Dtype, pack: int) -> int:
    return chip.eu_bytes // (dtype.itemsize if pack == 1 else _PACKED_UNIT_BYTES)


# ---- checks


def _check(chip: Chip, tensor: LocalTensor | SystemTensor) -> None:
    if tensor.dtype not in chip.dtype_codes:
        raise ChipDtypeError(
            f"{chip!r} has no data type {tensor.dtype!r}", help=f"use one of {', '.join(dtype.name for dtype in chip.dtype_codes)}"
        )
    shape, strides = tensor.shape, tensor.strides
    largest = chip.max_shape if isinstance(tensor, LocalTensor) else _LARGEST_COUNT
    if len(shape) != 4 or not all(1 <= size <= largest for size in shape):
        raise ShapeError(f"shape {shape} is not (n, c, h, w) with sizes from 1 to {largest}", help="cut a larger tensor into pieces")
    if strides is not None and (len(strides) != 4 or min(strides) < 0):
        raise StrideError(
            f"strides {strides} of a tensor {shape} are not four numbers of 0 or more", help="give strides (n, c, h, w) in elements"
        )


def _check_local(chip: Chip, tensor: LocalTensor) -> None:
    _check(chip, tensor)
    dtype, layout, pack = tensor.dtype, tensor.layout, tensor.pack
    if pack != 1 and (layout is Layout.WEIGHT or pack not in chip.packs.get(dtype, ())):
        allowed = [f"{n} n of {known!r}" for known, numbers in chip.packs.items() for n in numbers]
        raise LayoutError(
            f"{chip!r} does not pack {pack} n of {dtype!r} in layout {layout.name}",
            help=f"it packs {', '.join(allowed) or 'nothing'}; use pack=1",
        )
    if layout is Layout.WEIGHT and dtype not in chip.weight_pack:
        raise ChipDtypeError(
            f"{chip!r} has no weight layout for {dtype!r}", help=f"use one of {', '.join(known.name for known in chip.weight_pack)}"
        )
    _check_local_address(chip, tensor.address, f"the start of a tensor {tensor.shape} {dtype!r} at")
    unit = chip.eu_bytes if layout in (Layout.EU_ALIGNED, Layout.LINE_ALIGNED) else dtype.itemsize * pack
    if tensor.address % unit:
        raise AlignmentError(
            f"a tensor {tensor.shape} {dtype!r} of layout {layout.name} starts at {tensor.address:#x}, not at a multiple of {unit}",
            help=f"start it at {tensor.address // unit * unit:#x} or {_up(tensor.address, unit):#x}, or give strides",
        )


# ---- elements


@lru_cache(maxsize=4096)
def local_placement(chip: Chip, tensor: LocalTensor) -> Placement:
    """The bytes of a local tensor in the flat local memory, one axis per dimension of its shape; checked, and remembered.

    Raises:
        ChipDtypeError, ShapeError, StrideError, LayoutError: the tensor cannot be on this chip.
        LocalAddressError, AlignmentError: it starts at a wrong address.
        LaneOverflowError: it ends behind the end of its lanes.
    """
    needed, free = lane_bytes_needed(chip, tensor), chip.lane_bytes - lane_offset(chip, tensor.address)
    if needed > free:
        raise LaneOverflowError(
            f"a tensor {tensor.shape} {tensor.dtype!r} of layout {tensor.layout.name} at {tensor.address:#x} needs {needed} bytes of "
            f"a lane, but {free} are left",
            help=f"a lane of {chip!r} has {chip.lane_bytes} bytes: start at a lower byte or cut the tensor",
        )
    return _placement(chip, tensor, tensor.shape, chip.lane_bytes)


def lane_bytes_needed(chip: Chip, tensor: LocalTensor) -> int:
    """Bytes that the tensor takes in its fullest lane, from its start on: up to the last element (of a packed tensor or weight: up to the
    end of its unit or group), in EU_ALIGNED and LINE_ALIGNED up to the next alignment unit. What `tpu_get_local_size` returns, for every
    layout.

    Raises:
        TpuError: as `local_placement`, except that the tensor need not fit.
    """
    _check_local(chip, tensor)
    filled = _placement(chip, tensor, _filled_shape(chip, tensor), 0)
    aligned = tensor.layout in (Layout.EU_ALIGNED, Layout.LINE_ALIGNED)
    unit = _eu_elements(chip, tensor.dtype, tensor.pack) * tensor.dtype.itemsize * tensor.pack if aligned else 1
    return _up(filled.end - filled.base, unit)


def _filled_shape(chip: Chip, tensor: LocalTensor) -> Dim4:
    n, c, h, w = tensor.shape
    if tensor.layout is Layout.WEIGHT:
        return n, _up(c, chip.weight_pack[tensor.dtype]), h, w
    return _up(n, tensor.pack), c, h, w


def _placement(chip: Chip, tensor: LocalTensor, shape: Dim4, lane_bytes: int) -> Placement:
    # With lane_bytes 0 all lanes lie on each other: the bytes inside a lane.
    start, byte = divmod(tensor.address, chip.lane_bytes)
    size, (n, c, h, w) = tensor.dtype.itemsize, shape
    if tensor.layout is Layout.WEIGHT:
        group = chip.weight_pack[tensor.dtype]
        row = _up(c, group) * h * w * size
        return Placement(
            byte,
            size,
            (
                Axis(n, row, lane_bytes, chip.lanes, start),
                Axis(c, h * w * group * size, size, group),
                Axis(h, w * group * size),
                Axis(w, group * size),
            ),
        )
    n_stride, c_stride, h_stride, w_stride = (stride * size * tensor.pack for stride in strides_of(chip, tensor))
    return Placement(
        byte,
        size,
        (Axis(n, n_stride, size, tensor.pack), Axis(c, c_stride, lane_bytes, chip.lanes, start), Axis(h, h_stride), Axis(w, w_stride)),
    )


def byte_offsets(chip: Chip, tensor: LocalTensor) -> NDArray[np.int64]:
    """Where each element of a local tensor starts in the flat local memory (lane * lane_bytes + byte), in the tensor's shape.

    Raises:
        TpuError: as `local_placement`.
    """
    return local_placement(chip, tensor).offsets()


def read_tensor(chip: Chip, memory: NDArray[np.uint8], tensor: LocalTensor) -> NDArray[np.generic]:
    """The array of a local tensor, a copy, in its shape and dtype; `memory` is the flat local memory of all lanes.

    Raises:
        TpuError: as `local_placement`.
        MemoryImageError: `memory` is not `chip.local_bytes` bytes.
    """
    placement = local_placement(chip, tensor)
    _check_memory(memory, chip.local_bytes)
    return placement.read(memory).view(tensor.dtype.numpy)


def write_tensor(chip: Chip, memory: NDArray[np.uint8], tensor: LocalTensor, array: NDArray[np.generic]) -> None:
    """Put an array of the tensor's shape and dtype into the flat local memory of all lanes. Bytes that no element has stay as they are,
    except for the input channels that fill the last group of a WEIGHT tensor: they become 0.

    Raises:
        TpuError: as `local_placement`.
        MemoryImageError: `memory` is not `chip.local_bytes` writable bytes.
        ArrayMismatchError: the array has another shape or dtype.
        OverlapError: strides let elements share bytes, so that they cannot all be stored.
    """
    placement = local_placement(chip, tensor)
    _check_memory(memory, chip.local_bytes, write=True)
    bits = _bits(array, tensor, placement)
    filled = _filled_shape(chip, tensor)
    if tensor.layout is Layout.WEIGHT and filled != tensor.shape:
        placement = _placement(chip, tensor, filled, chip.lane_bytes)
        bits = np.pad(bits, [(0, filled[1] - tensor.shape[1]) if axis == 1 else (0, 0) for axis in range(4)])
    placement.write(memory, bits)


def _bits(array: NDArray[np.generic], tensor: LocalTensor | SystemTensor, placement: Placement) -> NDArray[np.unsignedinteger]:
    if array.shape != tensor.shape or array.dtype != tensor.dtype.numpy:
        raise ArrayMismatchError(
            f"an array {array.shape} {array.dtype} does not fill a tensor {tensor.shape} {tensor.dtype!r}",
            help=f"convert it to shape {tensor.shape} and dtype {tensor.dtype.numpy}",
        )
    if placement.overlaps():
        raise OverlapError(
            f"elements of a tensor {tensor.shape} {tensor.dtype!r} with strides {tensor.strides} share bytes: it cannot be written",
            help="broadcast and overlapping strides are for reading only",
        )
    return array.view(f"u{tensor.dtype.itemsize}")


def _check_memory(memory: NDArray[np.uint8], size: int | None, *, write: bool = False) -> None:
    if memory.dtype != np.uint8 or memory.ndim != 1 or not memory.flags.c_contiguous or (size is not None and memory.size != size):
        wanted = "some" if size is None else str(size)
        raise MemoryImageError(
            f"a memory image is {wanted} consecutive bytes, not an array {memory.shape} {memory.dtype}",
            help="give a flat, contiguous uint8 array of the whole memory",
        )
    if write and not memory.flags.writeable:
        raise MemoryImageError("the memory image is read-only", help="copy it before writing to it")


# ---- matrices


def matrix_tensor(address: int, rows: int, cols: int, dtype: Dtype, *, cols_per_channel: int) -> LocalTensor:
    """The local tensor of a matrix: rows are n, columns lie `cols_per_channel` to a channel, EU-aligned. The last channel may be partly
    unused.

    Raises:
        ShapeError: a size is less than 1.
    """
    if min(rows, cols, cols_per_channel) < 1:
        raise ShapeError(
            f"a matrix has no {rows} x {cols} elements with {cols_per_channel} columns per channel", help="give sizes of 1 or more"
        )
    return LocalTensor(address, (rows, -(-cols // cols_per_channel), 1, cols_per_channel), dtype)


def matrix_offsets(chip: Chip, tensor: LocalTensor, cols: int) -> NDArray[np.int64]:
    """Where each element of a matrix starts in the flat local memory, as (rows, cols); `tensor` is from `matrix_tensor`.

    Raises:
        TpuError: as `local_placement`.
        ShapeError: the channels do not hold exactly that many columns.
    """
    return _matrix(byte_offsets(chip, tensor), cols)


def read_matrix(chip: Chip, memory: NDArray[np.uint8], tensor: LocalTensor, cols: int) -> NDArray[np.generic]:
    """The matrix (rows, cols) of a tensor from `matrix_tensor`; raises as `read_tensor` and `matrix_offsets` do."""
    return _matrix(read_tensor(chip, memory, tensor), cols)


def write_matrix(chip: Chip, memory: NDArray[np.uint8], tensor: LocalTensor, array: NDArray[np.generic]) -> None:
    """Put a matrix (rows, cols) into the local memory. The unused end of the last channel stays as it is.

    Raises:
        TpuError: as `write_tensor` and `matrix_offsets`.
    """
    rows, cols = array.shape if array.ndim == 2 else (0, 0)
    if rows != tensor.shape[0] or array.dtype != tensor.dtype.numpy:
        raise ArrayMismatchError(
            f"an array {array.shape} {array.dtype} is no matrix of {tensor.shape[0]} rows {tensor.dtype!r}",
            help=f"convert it to {tensor.shape[0]} rows and dtype {tensor.dtype.numpy}",
        )
    whole = read_tensor(chip, memory, tensor)
    _matrix(whole, cols)[...] = array
    write_tensor(chip, memory, tensor, whole)


def _matrix(elements: NDArray[_T], cols: int) -> NDArray[_T]:
    rows, channels, _, width = elements.shape
    if not (channels - 1) * width < cols <= channels * width or elements.shape[2] != 1:
        raise ShapeError(
            f"a tensor {elements.shape} does not hold a matrix of {cols} columns", help="make the tensor with matrix_tensor(..., cols, ...)"
        )
    return elements.reshape(rows, channels * width)[:, :cols]


# ---- system memory


def system_placement(chip: Chip, tensor: SystemTensor) -> Placement:
    """The bytes of a system tensor by absolute address, one axis per dimension of its shape.

    Raises:
        ChipDtypeError, ShapeError, StrideError: the tensor cannot be on this chip.
        SystemAddressError: the address is negative.
    """
    _check(chip, tensor)
    if tensor.address < 0:
        raise SystemAddressError(f"a tensor cannot start at {tensor.address:#x}", help="give an absolute system address")
    size = tensor.dtype.itemsize
    axes = (Axis(count, stride * size) for count, stride in zip(tensor.shape, strides_of(chip, tensor), strict=True))
    return Placement(tensor.address, size, tuple(axes))


def read_system(chip: Chip, memory: NDArray[np.uint8], tensor: SystemTensor, *, base: int = 0) -> NDArray[np.generic]:
    """The array of a system tensor, a copy, in its shape and dtype; `memory` are the bytes from system address `base` on.

    Raises:
        TpuError: as `system_placement`.
        SystemAddressError: the tensor is not inside `memory`.
        MemoryImageError: `memory` is not a flat array of bytes.
    """
    return _inside(chip, memory, tensor, base).read(memory).view(tensor.dtype.numpy)


def write_system(chip: Chip, memory: NDArray[np.uint8], tensor: SystemTensor, array: NDArray[np.generic], *, base: int = 0) -> None:
    """Put an array of the tensor's shape and dtype into `memory`, the bytes from system address `base` on. All other bytes stay as they
    are.

    Raises:
        TpuError: as `read_system`.
        ArrayMismatchError, OverlapError: as `write_tensor`.
    """
    placement = _inside(chip, memory, tensor, base, write=True)
    placement.write(memory, _bits(array, tensor, placement))


def _inside(chip: Chip, memory: NDArray[np.uint8], tensor: SystemTensor, base: int, *, write: bool = False) -> Placement:
    placement = system_placement(chip, tensor)
    _check_memory(memory, None, write=write)
    if placement.base < base or placement.end > base + memory.size:
        raise SystemAddressError(
            f"a tensor {tensor.shape} {tensor.dtype!r} at {placement.base:#x} to {placement.end:#x} is not inside the memory "
            f"{base:#x} to {base + memory.size:#x}",
            help="check address, strides and size of the memory",
        )
    return replace(placement, base=placement.base - base)
