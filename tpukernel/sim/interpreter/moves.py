"""What the units that move elements share: their bits, written to some lanes only, one after the other, or in place.

Copies never look at what they copy: NaNs keep their payloads, denormals stay, and signed and unsigned are the same.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.layout import start_lane
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import ALL_LANES
from tpukernel.sim.memory import Array, Memory

__all__ = ["allows", "bits_of", "elements_in_place", "put", "put_first", "put_in_lanes"]


def bits_of(values: Array) -> NDArray[np.unsignedinteger]:
    """Elements as unsigned integers of their size."""
    return cast("NDArray[np.unsignedinteger]", values.view(f"u{values.dtype.itemsize}"))


def put(memory: Memory, dst: LocalTensor | SystemTensor, values: Array) -> None:
    """Write the bits of elements, which may be of another type of the same size."""
    memory.store(dst, values.view(dst.dtype.numpy))


def put_in_lanes(memory: Memory, dst: LocalTensor | SystemTensor, values: Array, lane_mask: int) -> None:
    """Write the bits of elements, in local memory only to the lanes of the mask: what would go to another lane is dropped."""
    if isinstance(dst, LocalTensor) and lane_mask != ALL_LANES:
        first = start_lane(memory.chip, dst.address)
        written = [allows(lane_mask, (first + channel) % memory.chip.lanes) for channel in range(dst.shape[1])]
        values = np.where(np.array(written)[:, None, None], bits_of(values), bits_of(memory.load(dst)))
    put(memory, dst, values)


def allows(lane_mask: int, lane: int) -> bool:
    """Whether a lane mask lets a lane be written."""
    return bool(lane_mask >> lane & 1)


def put_first(memory: Memory, dst: LocalTensor | SystemTensor, values: Array) -> None:
    """Write elements without gaps from the start of `dst` on, as many as there are."""
    space, placement = memory.place(dst)
    memory.range(space, placement.base, values.nbytes)[:] = np.ascontiguousarray(values).view(np.uint8)


def elements_in_place(memory: Memory, tensor: SystemTensor) -> NDArray[np.unsignedinteger]:
    """The bits of the elements of a system tensor as a view of the memory: nothing is copied, and what is assigned is written."""
    space, placement = memory.place(tensor)
    strides = tuple(axis.outer for axis in placement.axes)
    return np.ndarray(placement.shape, f"u{placement.itemsize}", memory.spaces[space], placement.base, strides)
