"""Which bytes a command touches, operand by operand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip
from tpukernel.chips.placement import Placement
from tpukernel.chips.tensors import Constant
from tpukernel.isa.instruction import Instruction, OperandUse
from tpukernel.sim.memory import Memory

__all__ = ["Access", "accesses_of", "bytes_text"]


@dataclass(frozen=True)
class Access:
    """One operand of one command in its memory."""

    chip: Chip
    instruction: Instruction
    use: OperandUse
    space: str
    placement: Placement

    @property
    def reads(self) -> bool:
        return self.use.direction != "out"

    @property
    def writes(self) -> bool:
        return self.use.direction != "in"

    @cached_property
    def span(self) -> tuple[int, int, int]:
        """A box around the bytes: lanes as a bit mask, first byte and end in the lane (in the memory, where there are no lanes)."""
        if self.space != "lmem":
            return 1, self.placement.base, self.placement.end
        if self._goes_on_in_next_lane:
            return (1 << self.chip.lanes) - 1, 0, self.chip.lane_bytes
        offsets = self.first_offsets
        lanes, places = np.divmod(offsets, self.chip.lane_bytes)
        mask = 0
        for lane in np.unique(lanes).tolist():
            mask |= 1 << lane
        return mask, int(places.min()), int(places.max()) + self.placement.itemsize

    @cached_property
    def first_offsets(self) -> NDArray[np.int64]:
        """Offsets of the elements that bound the tensor: every channel, and the first and last index of the other dimensions."""
        corners = [
            axis.offsets() if position == self._lane_axis else axis.offsets()[[0, -1]] for position, axis in enumerate(self.placement.axes)
        ]
        total = np.array(self.placement.base, np.int64)
        for offsets in corners:
            total = total[..., None] + offsets
        return total.reshape(-1)

    @property
    def _goes_on_in_next_lane(self) -> bool:
        """True for an operand of DMA_general, to which local memory is one array of bytes, that leaves the lane where it starts."""
        row_end = self.placement.base % self.chip.lane_bytes + self.placement.axes[-1].reach + self.placement.itemsize
        return row_end > self.chip.lane_bytes

    @property
    def _lane_axis(self) -> int:
        return next((i for i, axis in enumerate(self.placement.axes) if axis.inner == self.chip.lane_bytes), 1)

    def may_touch(self, other: Access) -> bool:
        """False when the boxes around the bytes have nothing in common."""
        if self.space != other.space:
            return False
        (lanes, low, high), (other_lanes, other_low, other_high) = self.span, other.span
        return bool(lanes & other_lanes) and low < other_high and other_low < high

    def common_bytes(self, other: Access) -> NDArray[np.int64]:
        """Offsets, in their memory, of the bytes that both operands touch, ascending."""
        if not self.may_touch(other):
            return np.empty(0, np.int64)
        return np.intersect1d(self._all_bytes(), other._all_bytes())

    def _all_bytes(self) -> NDArray[np.int64]:
        starts = np.unique(self.placement.offsets())
        return (starts[:, None] + np.arange(self.placement.itemsize)).reshape(-1)

    def text(self) -> str:
        """The operand with its type and shape."""
        value = self.use.value
        assert not isinstance(value, Constant)  # noqa: S101 - accesses are made for tensors only
        return f"{self.use.name} {value.dtype}[{','.join(map(str, value.shape))}] of {self.instruction.title}"


def accesses_of(instruction: Instruction, memory: Memory) -> list[Access]:
    """The tensor operands of a command in their memories."""
    found: list[Access] = []
    for use in instruction.operands():
        if not isinstance(use.value, Constant):
            space, placement = memory.place(use.value)
            found.append(Access(memory.chip, instruction, use, space, placement))
    return found


def bytes_text(chip: Chip, space: str, offsets: NDArray[np.int64]) -> str:
    """Where bytes are, for messages: lanes and the range of bytes in them, or the range in another memory."""
    if space != "lmem":
        return f"{space} bytes {int(offsets.min()):#x} to {int(offsets.max()):#x}"
    lanes, places = np.divmod(offsets, chip.lane_bytes)
    first, last = int(lanes.min()), int(lanes.max())
    lane_text = f"lane {first}" if first == last else f"lanes {first} to {last}"
    return f"{lane_text}, bytes {int(places.min()):#x} to {int(places.max()):#x}"
