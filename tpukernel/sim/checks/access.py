"""Which bytes a command touches, operand by operand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip
from tpukernel.chips.placement import Placement
from tpukernel.chips.tensors import Constant
from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction, OperandUse
from tpukernel.sim.checks.errors import IllegalInstructionError
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
        lane_bytes = self.chip.lane_bytes
        if self.space == "lmem" and all(axis.inner != lane_bytes for axis in self.placement.axes):
            # DMA_general, to which local memory is one array of bytes, and which goes on in the next lane.
            first, last = self.placement.base // lane_bytes, (self.placement.end - 1) // lane_bytes
            return _lane_mask(first, last - first + 1, self.chip.lanes), 0, lane_bytes
        placement, lane_bytes = self.placement, self.chip.lane_bytes
        if self.space != "lmem":
            return 1, placement.base, placement.end
        if all(axis.inner != lane_bytes for axis in placement.axes):  # a stretch that runs on from lane to lane
            first, last = placement.base // lane_bytes, (placement.end - 1) // lane_bytes
            lanes = _lane_mask(first, last - first + 1, self.chip.lanes)
            return (lanes, 0, lane_bytes) if first != last else (lanes, placement.base % lane_bytes, (placement.end - 1) % lane_bytes + 1)
        lanes, low, high = 1, placement.base, placement.base + placement.itemsize
        for axis in placement.axes:
            if axis.inner != lane_bytes:
                high += axis.reach
                continue
            first, last = axis.start, axis.start + axis.count - 1
            lanes = _lane_mask(first, min(axis.count, axis.period), axis.period)
            low += first // axis.period * axis.outer
            high += last // axis.period * axis.outer
        return lanes, low, high

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
        starts = np.unique(self.placement.distinct().offsets())
        return (starts[:, None] + np.arange(self.placement.itemsize)).reshape(-1)

    def text(self) -> str:
        """The operand with its type and shape."""
        value = self.use.value
        assert not isinstance(value, Constant)  # noqa: S101 - accesses are made for tensors only
        return f"{self.use.name} {value.dtype}[{','.join(map(str, value.shape))}] of {self.instruction.title}"


def _lane_mask(first: int, count: int, lanes: int) -> int:
    ones = ((1 << count) - 1) << first % lanes
    return ones & ((1 << lanes) - 1) | ones >> lanes


def accesses_of(instruction: Instruction, memory: Memory) -> list[Access]:
    """The tensor operands of a command in their memories.

    Raises:
        IllegalInstructionError: one of them lies in no memory of this machine.
    """
    found: list[Access] = []
    for use in instruction.operands():
        if isinstance(use.value, Constant):
            continue
        try:
            space, placement = memory.place(use.value)
        except TpuError as error:
            message = f"{use.name}: {error.message}"
            raise IllegalInstructionError(message, instructions=[instruction], operands=[use.name], help=error.help) from error
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
