"""Device memory of a runtime, and moving a stage to it.

A stage is compiled for fixed addresses: coefficients, behind them intermediate tensors, and with `addr_mode` 1 inputs and outputs between
the two. Nets of one file, and stages of one net, are all compiled for the same addresses. So the runtime gives each its own areas and
changes the addresses in the GDMA commands, as the official one does. With `addr_mode` 4 every input and output has an area of its own,
and the file lists the commands (`CmdGroup.reloc_entries`) in which its address has to be filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bmlang.bmodel.schema import CmdGroup
from bmlang.bmodel.section import align
from bmlang.runtime.errors import DeviceMemoryError, StageDataError
from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import system_placement
from tpukernel.chips.tensors import SystemTensor

if TYPE_CHECKING:
    from tpukernel.isa.instruction import Instruction
    from tpukernel.isa.program import Program

__all__ = ["DeviceMemory", "Lease", "Move", "Relocation", "base_address", "filled_in"]

ADDRESS_BYTES: Final = 5
BASE_ADDRESS_SPACING: Final = 1 << 32
FIRST_BASE_ADDRESS: Final = 0x80 * BASE_ADDRESS_SPACING
BASE_ADDRESSES: Final = 0x80
"""Addresses of 40 bits have room for that many relocated tensors above all memory."""


class DeviceMemory:
    """Gives out the first `size` bytes of the DDR in multiples of 4 KiB: what was given back, else what nobody had yet."""

    def __init__(self, chip: Chip, size: int) -> None:
        self._base = chip.regions["ddr"].base
        self._size = size
        self._free: list[tuple[int, int]] = []
        self.used = 0

    def take(self, size: int, what: str) -> int:
        """Address of that many bytes.

        Raises:
            DeviceMemoryError: not that many are left in one piece.
        """
        size = align(size)
        for place, (start, free) in enumerate(self._free):
            if size <= free:
                self._free[place : place + 1] = [(start + size, free - size)] if size < free else []
                return self._base + start
        if self.used + size > self._size:
            raise DeviceMemoryError(
                f"{what} needs {size} bytes, but {self._size - self.used} of device memory are left", help="give the Runtime more ddr_bytes"
            )
        address = self._base + self.used
        self.used += size
        return address

    def give_back(self, address: int, size: int) -> None:
        """What was taken is free again."""
        joined: list[tuple[int, int]] = []
        for start, free in sorted([*self._free, (address - self._base, align(size))]):
            if joined and sum(joined[-1]) == start:
                joined[-1] = (joined[-1][0], joined[-1][1] + free)
            else:
                joined.append((start, free))
        if joined and sum(joined[-1]) == self.used:
            self.used = joined.pop()[0]
        self._free = [piece for piece in joined if piece[1]]


class Lease:
    """Memory that is given back all at once."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self._taken: list[tuple[int, int]] = []

    def take(self, size: int, what: str) -> int:
        """As of `DeviceMemory`."""
        address = self._memory.take(size, what)
        self._taken.append((address, size))
        return address

    def end(self) -> None:
        """Everything that was taken is free again."""
        for address, size in self._taken:
            self._memory.give_back(address, size)
        self._taken.clear()


@dataclass(frozen=True)
class Move:
    """An area: its name, the addresses for which the stage was compiled, and where it is now."""

    name: str
    start: int
    size: int
    target: int
    constant: bool = False

    @property
    def end(self) -> int:
        """First compiled address behind the area."""
        return self.start + self.size

    def __str__(self) -> str:
        return f"{self.name} [{self.start:#x}, {self.end:#x})"


class Relocation:
    """Where the areas of a stage are now.

    Raises:
        DeviceMemoryError: two areas overlap.
    """

    def __init__(self, chip: Chip, moves: Iterable[Move]) -> None:
        self._chip = chip
        self._moves = sorted((move for move in moves if move.size), key=lambda move: move.start)
        for first, second in pairwise(self._moves):
            if second.start < first.end:
                raise DeviceMemoryError(f"{first} and {second} overlap")

    def address(self, start: int, size: int, what: str, *, written: bool) -> int:
        """The address now of that many bytes from the compiled address `start` on.

        Raises:
            DeviceMemoryError: they are not all in one area, or are written although they are coefficients.
        """
        for move in self._moves:
            if move.start <= start and start + size <= move.end:
                if written and move.constant:
                    raise DeviceMemoryError(f"{what} writes into {move}")
                return start - move.start + move.target
        areas = ", ".join(map(str, self._moves)) or "nothing"
        raise DeviceMemoryError(f"{what} uses [{start:#x}, {start + size:#x}), but the stage has {areas}")

    def program(self, program: Program) -> Program:
        """The program with the addresses of now; changed in place.

        Raises:
            DeviceMemoryError: a command uses memory that the stage does not have.
        """
        for group in program.groups:
            group.gdma = [self._moved(instruction) for instruction in group.gdma]
        return program

    def _moved(self, instruction: Instruction) -> Instruction:
        changes: dict[str, object] = {}
        for use in instruction.operands():
            old = use.value
            if not isinstance(old, SystemTensor) or old.address < self._chip.regions["ddr"].base:
                continue  # L2 and local memory stay where they are
            size = system_placement(self._chip, old).end - old.address
            what = f"{use.name} of {instruction.title} (gdma command {instruction.id})"
            new = self.address(old.address, size, what, written=use.direction != "in")
            if new != old.address:
                changes[use.name] = replace(old, address=new)
        return instruction.replace(**changes) if changes else instruction


def base_address(number: int) -> int:
    """The address that stands for a relocated tensor (`RelEntry.base_addr_id`) until the stage is moved: one that no memory has.

    Raises:
        StageDataError: there are not that many.
    """
    if number >= BASE_ADDRESSES:
        raise StageDataError(f"the number of a relocated tensor is {number}, but at most {BASE_ADDRESSES} are supported")
    return FIRST_BASE_ADDRESS + number * BASE_ADDRESS_SPACING


def filled_in(group: CmdGroup, sizes: Mapping[int, int]) -> bytes:
    """The GDMA stream of a group with `base_address` filled in where its relocation entries say.

    Args:
        group: the group.
        sizes: bytes of the relocated tensors by their number.

    Raises:
        StageDataError: an entry names no tensor, or a place outside of the stream.
    """
    data = bytearray(group.binary_gdma.data) if group.binary_gdma else bytearray()
    for entry in group.reloc_entries or ():
        if entry.base_addr_id not in sizes or entry.addr_offset >= sizes[entry.base_addr_id]:
            raise StageDataError(f"a relocation entry names byte {entry.addr_offset} of tensor {entry.base_addr_id}, which is not there")
        if entry.cmd_offset + ADDRESS_BYTES > len(data):
            raise StageDataError(f"a relocation entry names byte {entry.cmd_offset} of a stream of {len(data)} bytes")
        address = base_address(entry.base_addr_id) + entry.addr_offset
        data[entry.cmd_offset : entry.cmd_offset + ADDRESS_BYTES] = address.to_bytes(ADDRESS_BYTES, "little")
    return bytes(data)
