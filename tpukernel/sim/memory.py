"""The memories of one chip, as bytes and as tensors.

Offsets are those of the chip; local memory is lane-major: lane times lane bytes plus the byte in the lane. DDR is anonymous memory that the
operating system gives page by page when it is touched, so that a machine with gigabytes of DDR costs nothing until they are used.

In the computer the lanes lie a little farther apart than their size (`Memory.lane_stride`): at a distance that is a power of two the same
byte of all lanes would fall into one set of the processor's caches, and short rows in many lanes would push each other out. `host` turns
places of the chip into places of the computer; only who computes on `spaces` itself has to know.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from math import prod
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip, Region
from tpukernel.chips.layout import local_placement, system_placement
from tpukernel.chips.placement import Axis, Placement
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, Operand, SystemTensor
from tpukernel.sim.errors import MemoryRangeError, MemorySpaceError

__all__ = ["Array", "Bytes", "Memory", "Written", "anonymous"]

Bytes = NDArray[np.uint8]
Array = NDArray[np.generic]

DEFAULT_DDR_BYTES = 4 << 30
MAX_ELEMENTS = 1 << 32
"""Most elements of one operand."""

LANE_PADDING = 4096 + 64
"""Bytes between the lanes in the computer: a page and a cache line, so that neither the sets of the first nor of the second cache agree."""

_NO_RESERVE: int = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
"""Lets a machine have more DDR than the computer has memory; Python names the flag from 3.13 on."""


class Memory:
    """The memories of one chip.

    Args:
        chip: the chip.
        ddr_bytes: size of the DDR.

    Attributes:
        sizes: bytes of each memory by its name: `ddr`, `lmem`, `l2` and, where the chip has it, `static`.
        spaces: the bytes of each memory as the computer has them; local memory has `lane_stride` bytes a lane.
        lane_stride: bytes from one lane to the next in the computer.
        written: which bytes hold something, as far as it is known.
        registers: the registers that commands write, one number each.
    """

    FILTER_NUM = 0
    """Register of the GDMA: how many elements the last DMA_masked_select or DMA_nonzero found."""

    def __init__(self, chip: Chip, ddr_bytes: int = DEFAULT_DDR_BYTES) -> None:
        self.chip = chip
        self.sizes: Mapping[str, int] = {name: region.size for name, region in chip.regions.items()} | {"ddr": ddr_bytes}
        self.lane_stride = chip.lane_bytes + LANE_PADDING
        hosted = {"lmem": chip.lanes * self.lane_stride}
        self.spaces: Mapping[str, Bytes] = {name: anonymous(hosted.get(name, size)) for name, size in self.sizes.items()}
        if "static" in self.spaces:
            from tpukernel.chips.static_memory import static_memory

            self.spaces["static"][:] = static_memory(chip)
        self.written = Written(self.sizes)
        self.registers: NDArray[np.int64] = np.zeros(1, np.int64)

    @property
    def filter_num(self) -> int:
        """How many elements the last DMA_masked_select or DMA_nonzero found."""
        return int(self.registers[self.FILTER_NUM])

    @filter_num.setter
    def filter_num(self, number: int) -> None:
        self.registers[self.FILTER_NUM] = number

    # ------------------------------------------------------------------ bytes

    def image(self, space: str) -> Bytes:
        """A view of all bytes of a memory: flat, and of local memory (lanes, lane bytes)."""
        memory = self.spaces[space]
        return memory.reshape(self.chip.lanes, -1)[:, : self.chip.lane_bytes] if space == "lmem" else memory

    def range(self, space: str, offset: int, size: int) -> Bytes:
        """A view of `size` bytes of a memory from byte `offset` on; in local memory they have to be in one lane.

        Raises:
            MemorySpaceError: no such memory.
            MemoryRangeError: not all of these bytes exist, or they are in several lanes.
        """
        parts = self._parts(space, offset, size)
        if len(parts) > 1:
            raise MemoryRangeError(
                f"bytes {offset} to {offset + size} of lmem are in {len(parts)} lanes", help="use read_bytes, write_bytes"
            )
        return parts[0] if parts else self.spaces[space][:0]

    def read_bytes(self, space: str, offset: int, size: int) -> Bytes:
        """A copy of `size` bytes of a memory from byte `offset` on; in local memory they may go on in the next lane.

        Raises:
            MemorySpaceError: no such memory.
            MemoryRangeError: not all of these bytes exist.
        """
        parts = self._parts(space, offset, size)
        return np.concatenate(parts) if parts else np.empty(0, np.uint8)

    def write_bytes(self, space: str, offset: int, data: Bytes) -> None:
        """Put bytes into a memory from byte `offset` on; in local memory they may go on in the next lane.

        Raises:
            MemorySpaceError: no such memory.
            MemoryRangeError: they do not all fit there.
        """
        done = 0
        for part in self._parts(space, offset, data.size):
            part[:] = data[done : done + part.size]
            done += part.size

    def check_range(self, space: str, offset: int, size: int) -> None:
        """Raise if there are not that many bytes from there on.

        Raises:
            MemorySpaceError: no such memory.
            MemoryRangeError: not all of these bytes exist.
        """
        if space not in self.sizes:
            raise MemorySpaceError(f"{self.chip} has no memory {space!r}", help=f"use one of {', '.join(self.sizes)}")
        if offset < 0 or size < 0 or offset + size > self.sizes[space]:
            raise MemoryRangeError(
                f"{space} has {self.sizes[space]} bytes; bytes {offset} to {offset + size} are not all inside",
                help="make the machine with more ddr_bytes" if space == "ddr" and offset >= 0 else None,
            )

    def _parts(self, space: str, offset: int, size: int) -> list[Bytes]:
        """Views of these bytes, of local memory one for each lane."""
        self.check_range(space, offset, size)
        memory = self.spaces[space]
        if space != "lmem":
            return [memory[offset : offset + size]]
        found: list[Bytes] = []
        lane_bytes, end = self.chip.lane_bytes, offset + size
        while offset < end:
            lane, byte = divmod(offset, lane_bytes)
            length = min(end - offset, lane_bytes - byte)
            start = lane * self.lane_stride + byte
            found.append(memory[start : start + length])
            offset += length
        return found

    @cached_property
    def _regions(self) -> tuple[Region, ...]:
        return tuple(self.chip.regions[name] for name in self.spaces)

    def locate(self, address: int) -> tuple[str, int]:
        """The memory and the offset in it of a system address.

        Raises:
            MemoryRangeError: there is no memory at this address.
        """
        for region in self._regions:
            if address in region:
                return region.name, address - region.base
        raise MemoryRangeError(f"there is no memory at {address:#x}")

    # ------------------------------------------------------------------ tensors

    def place(self, operand: LocalTensor | SystemTensor) -> tuple[str, Placement]:
        """The name of the memory in which an operand lies, and the places of its elements in it.

        Raises:
            MemoryRangeError: it has more elements than any work could be done on (strides of 0 let a damaged command ask for 2**64).
            TpuError: it does not lie in a memory (see `local_placement`, `MemoryRangeError`).
        """
        if prod(operand.shape) > MAX_ELEMENTS:
            raise MemoryRangeError(
                f"a tensor {operand.shape} {operand.dtype} has more than {MAX_ELEMENTS} elements", help="cut it into pieces"
            )
        if isinstance(operand, LocalTensor) and operand.address < self.chip.local_bytes:
            return "lmem", self._flat_placement(operand) or local_placement(self.chip, operand)
        space, offset = self.locate(operand.address)
        system = (
            operand if isinstance(operand, SystemTensor) else SystemTensor(operand.address, operand.shape, operand.dtype, operand.strides)
        )
        placement = replace(system_placement(self.chip, system), base=offset)
        if placement.end > self.sizes[space]:
            raise MemoryRangeError(f"a tensor {operand.shape} {operand.dtype} at {operand.address:#x} ends behind the end of {space}")
        return space, placement

    def _flat_placement(self, operand: LocalTensor) -> Placement | None:
        """The places of a stretch of elements that goes on in the next lane, as DMA_general has it (all other units forbid it)."""
        (n, c, h, w), size = operand.shape, operand.dtype.itemsize
        lane_bytes = self.chip.lane_bytes
        end = operand.address + (c - 1) * lane_bytes + w * size
        in_lane = operand.address % lane_bytes + w * size <= lane_bytes
        if (operand.layout, operand.pack, n, h) != (Layout.COMPACT, 1, 1, 1) or in_lane or end > self.chip.local_bytes:
            return None
        return Placement(operand.address, size, (Axis(1, 0), Axis(c, lane_bytes), Axis(1, 0), Axis(w, size)))

    def load(self, operand: Operand) -> Array:
        """The elements of an operand in its shape and numpy dtype; a constant has no dimensions."""
        dtype = operand.dtype.numpy
        if isinstance(operand, Constant):
            low = operand.bits & ((1 << operand.dtype.bits) - 1)
            return np.array(low, f"u{operand.dtype.itemsize}").view(dtype)
        return cast("Array", self.read(*self.place(operand)).view(dtype))

    def store(self, operand: LocalTensor | SystemTensor, values: Array) -> None:
        """Write elements of the operand's shape (or that broadcast to it) and dtype."""
        space, placement = self.place(operand)
        values = np.broadcast_to(values, placement.shape)
        if values.dtype != operand.dtype.numpy:
            raise TypeError(f"{values.dtype} elements for a tensor of {operand.dtype}")
        self.write(space, placement, np.ascontiguousarray(values).view(f"u{operand.dtype.itemsize}"))

    def host(self, space: str, placement: Placement) -> Placement | None:
        """The places in `spaces` of elements given by their places in the chip's memory; None where a wrap from one lane to the next lies
        within a stride (or an element), which no placement can say.
        """
        return _padded(placement, self.chip.lane_bytes, LANE_PADDING) if space == "lmem" else placement

    def read(self, space: str, placement: Placement) -> NDArray[np.unsignedinteger]:
        """The elements at these places of a memory of the chip, as unsigned integers of their size."""
        host = self.host(space, placement)
        if host is not None:
            return host.read(self.spaces[space])
        found = self.spaces[space][self._host_bytes(placement)]
        return found.view(f"u{placement.itemsize}").reshape(placement.shape)

    def write(self, space: str, placement: Placement, bits: NDArray[np.unsignedinteger]) -> None:
        """Put elements, given as contiguous unsigned integers of their size, at these places of a memory of the chip."""
        host = self.host(space, placement)
        if host is not None:
            host.write(self.spaces[space], bits)
        else:
            self.spaces[space][self._host_bytes(placement)] = np.ascontiguousarray(bits).view(np.uint8).reshape(-1, placement.itemsize)

    def _host_bytes(self, placement: Placement) -> NDArray[np.int64]:
        """Where each byte of local memory lies in the computer, as (elements, bytes of one)."""
        offsets = placement.offsets().reshape(-1, 1) + np.arange(placement.itemsize)
        return offsets + offsets // self.chip.lane_bytes * LANE_PADDING


@lru_cache(maxsize=4096)
def _padded(placement: Placement, lane_bytes: int, padding: int) -> Placement | None:
    """The places where the lanes lie `padding` bytes farther apart."""
    first = placement.base // lane_bytes
    outer = [axis.outer // lane_bytes for axis in placement.axes]
    inner = [axis.inner // lane_bytes for axis in placement.axes]
    axes = list(zip(placement.axes, outer, inner, strict=True))
    in_lane = placement.base - first * lane_bytes + placement.itemsize
    in_lane += sum(replace(axis, outer=axis.outer - o * lane_bytes, inner=axis.inner - i * lane_bytes).reach for axis, o, i in axes)
    if in_lane > lane_bytes:
        return None
    moved = (replace(axis, outer=axis.outer + o * padding, inner=axis.inner + i * padding) for axis, o, i in axes)
    return replace(placement, base=placement.base + first * padding, axes=tuple(moved))


class Written:
    """Which bytes of the memories somebody has written: by the user, or by a program that was checked."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._marks = {name: anonymous(size) for name, size in sizes.items()}
        self._all = False

    def everything(self) -> None:
        """From now on every byte counts as written (a program ran that nobody looked at)."""
        self._all = True

    def mark(self, space: str, offset: int, size: int) -> None:
        """These bytes are written."""
        if self._all:
            return
        self._marks[space][offset : offset + size] = 1

    def mark_elements(self, space: str, placement: Placement) -> None:
        """The elements of an operand are written."""
        if self._all:
            return
        ones = np.broadcast_to(np.uint64(0x0101_0101_0101_0101).astype(f"u{placement.itemsize}"), placement.shape)
        placement.write(self._marks[space], ones)

    def missing(self, space: str, placement: Placement) -> NDArray[np.int64] | None:
        """Byte offsets in their memory of the elements of an operand that are not written, or None."""
        if self._all or space == "static":
            return None
        placement = placement.distinct()
        marks = placement.read(self._marks[space])
        whole = np.uint64(0x0101_0101_0101_0101).astype(marks.dtype)
        absent = marks != whole
        return placement.offsets()[absent] if absent.any() else None


def anonymous(size: int) -> Bytes:
    """Zeroed memory that is taken from the system only when it is touched."""
    if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
        return np.frombuffer(mmap.mmap(-1, size), np.uint8)
    return np.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE), np.uint8)
