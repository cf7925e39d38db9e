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
    memory.write_bytes(space, placement.base, np.ascontiguousarray(values).reshape(-1).view(np.uint8))


def elements_in_place(memory: Memory, tensor: LocalTensor | SystemTensor) -> NDArray[np.unsignedinteger] | None:
    """The bits of the elements of a system tensor as a view of the memory: nothing is copied, and what is assigned is written.

    None for a local tensor, and where the elements go on from one lane to the next.
    """
    space, placement = memory.place(tensor)
    host = memory.host(space, placement) if isinstance(tensor, SystemTensor) else None
    if host is None:
        return None
    return np.ndarray(host.shape, f"u{host.itemsize}", memory.spaces[space], host.base, tuple(axis.outer for axis in host.axes))
