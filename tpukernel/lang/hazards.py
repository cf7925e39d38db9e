"""Whom each command has to wait for: commands of the other engine that write what it touches, or touch what it writes.

An engine works off its commands in order, so that one number is enough: the last command of the other engine that must be finished. It is
found by going back over those for which nobody of this engine waits yet; what touches the same bytes again and again counts once, at its
last place, so that a long row of commands on a few buffers takes a time that grows with its length, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.layout import local_placement, strides_of
from tpukernel.chips.placement import Placement
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.instruction import Instruction

__all__ = ["Hazards", "SystemRange"]


@dataclass(frozen=True)
class SystemRange:
    """A tensor in system memory: its first byte, its size in elements along each dimension, and the bytes of an element."""

    address: int
    shape: tuple[int, ...]
    itemsize: int

    @property
    def end(self) -> int:
        size = self.itemsize
        for each in self.shape:
            size *= each
        return self.address + size

    def box(self, tensor: SystemTensor, strides: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
        """First and last index along each dimension; None where the tensor is no box of this one."""
        own: list[int] = []
        step = 1
        for size in reversed(self.shape):
            own.insert(0, step)
            step *= size
        left, starts = (tensor.address - self.address) // self.itemsize, list[int]()
        for step in own:
            starts.append(left // step)
            left %= step
        spans = [[start, start] for start in starts]
        for size, stride in zip(tensor.shape, strides, strict=True):
            if size == 1 or stride == 0:
                continue
            axis = next((place for place, step in enumerate(own) if step == stride and self.shape[place] > 1), None)
            if axis is None or spans[axis][0] + size > self.shape[axis]:
                return None
            spans[axis][1] = max(spans[axis][1], spans[axis][0] + size - 1)
        return tuple((first, last) for first, last in spans)


@dataclass(frozen=True)
class _Touch:
    """What one operand touches: a range of bytes of some lanes, or of system memory (lanes 0), there perhaps as a box of a tensor."""

    writes: bool
    lanes: int
    low: int
    high: int
    tensor: SystemRange | None = None
    box: tuple[tuple[int, int], ...] | None = None

    def meets(self, other: _Touch) -> bool:
        if self.low >= other.high or other.low >= self.high or (self.lanes == 0) != (other.lanes == 0):
            return False
        if self.lanes:
            return bool(self.lanes & other.lanes)
        if self.box is None or other.box is None or self.tensor is not other.tensor:
            return True
        return all(first <= end and start <= last for (first, last), (start, end) in zip(self.box, other.box, strict=True))


Touches = tuple[_Touch, ...]
"""What the operands of one instruction touch."""


@dataclass
class _Issued:
    """The commands of an engine.

    Attributes:
        instructions: in order.
        places: where an instruction stands among them, by its `id`.
        last: for what operands touched in a section the place of the last command that did; in order of these places. Apart for system
            memory and local memory.
    """

    instructions: list[Instruction] = field(default_factory=list[Instruction])
    places: dict[int, int] = field(default_factory=dict[int, int])
    last: tuple[dict[tuple[_Touch, int], int], dict[tuple[_Touch, int], int]] = field(default_factory=lambda: ({}, {}))

    def append(self, instruction: Instruction, touches: Touches, section: int) -> None:
        """One command more."""
        place = self.places[id(instruction)] = len(self.instructions)
        self.instructions.append(instruction)
        for touch in touches:
            last = self.last[touch.lanes != 0]
            last.pop((touch, section), None)  # so that it comes behind all others again
            last[touch, section] = place


@dataclass
class Hazards:
    """The commands that were issued so far, by engine.

    Args:
        chip: the chip.
        systems: the tensors in system memory.

    Attributes:
        compared: how many operands of other commands were looked at.
    """

    chip: Chip
    systems: Sequence[SystemRange]
    compared: int = 0
    _issued: dict[Engine, _Issued] = field(default_factory=lambda: {"tiu": _Issued(), "gdma": _Issued()})
    _awaited: dict[Engine, int] = field(default_factory=lambda: {"tiu": 0, "gdma": 0})
    """By engine: how many commands of the other one are known to be finished."""
    _known: dict[int, tuple[Instruction, Touches]] = field(default_factory=dict[int, "tuple[Instruction, Touches]"])
    """By the `id` of an instruction, which is kept so that no other one can get it: what it touches."""

    def touches(self, instruction: Instruction) -> Touches:
        """What the operands of an instruction touch; remembered, as instructions come again."""
        known = self._known.get(id(instruction))
        if known is None:
            known = self._known[id(instruction)] = (instruction, tuple(self._touches(instruction)))
        return known[1]

    def awaited(self, instruction: Instruction, touches: Touches, section: int) -> Instruction | None:
        """The last command of the other engine that must be finished before this one, unless it is known to be.

        Two commands of one parallel section (a number above 0) do not wait for each other.
        """
        others = self._issued["gdma" if instruction.engine == "tiu" else "tiu"]
        found = self._awaited[instruction.engine] - 1
        known = found
        for last in others.last:
            for (other, in_section), place in reversed(last.items()):
                if place <= found:
                    break
                self.compared += 1
                if section and in_section == section:
                    continue
                if any((touch.writes or other.writes) and touch.meets(other) for touch in touches):
                    found = place
                    break
        return others.instructions[found] if found > known else None

    def issue(self, instruction: Instruction, touches: Touches, section: int, awaited: Sequence[Instruction]) -> None:
        """Take down a command that was appended to the program, and those it waits for."""
        others = self._issued["gdma" if instruction.engine == "tiu" else "tiu"]
        known = [others.places[id(each)] + 1 for each in awaited if id(each) in others.places]
        self._awaited[instruction.engine] = max([self._awaited[instruction.engine], *known])
        self._issued[instruction.engine].append(instruction, touches, section)

    def forget(self) -> None:
        """A new command group begins: everything before is finished."""
        for engine in self._issued:
            self._issued[engine] = _Issued()
            self._awaited[engine] = 0

    def _touches(self, instruction: Instruction) -> Iterator[_Touch]:
        for use in instruction.operands():
            value, writes = use.value, use.direction != "in"
            if isinstance(value, Constant):
                continue
            if isinstance(value, LocalTensor) and value.address < self.chip.local_bytes:
                yield _Touch(writes, *_lanes_and_bytes(local_placement(self.chip, value), self.chip))
            elif isinstance(value, SystemTensor):
                yield self._system(value, writes)

    def _system(self, tensor: SystemTensor, writes: bool) -> _Touch:
        strides = strides_of(self.chip, tensor)
        last = sum((size - 1) * stride for size, stride in zip(tensor.shape, strides, strict=True)) + 1
        low, high = tensor.address, tensor.address + last * tensor.dtype.itemsize
        owner = next((each for each in self.systems if each.address <= low and high <= each.end), None)
        same = owner is not None and owner.itemsize == tensor.dtype.itemsize
        return _Touch(writes, 0, low, high, owner, owner.box(tensor, strides) if owner is not None and same else None)


def _lanes_and_bytes(placement: Placement, chip: Chip) -> tuple[int, int, int]:
    """The lanes as a bit mask, and the range of bytes that the tensor spans in them."""
    lanes, low, high = 1, placement.base, placement.base + placement.itemsize
    for axis in placement.axes:
        if axis.inner != chip.lane_bytes:
            high += axis.reach
            continue
        first, last = axis.start, axis.start + axis.count - 1
        ones = ((1 << min(axis.count, axis.period)) - 1) << first % axis.period
        lanes = ones & ((1 << axis.period) - 1) | ones >> axis.period
        low += first // axis.period * axis.outer
        high += last // axis.period * axis.outer
    return lanes, low, high
