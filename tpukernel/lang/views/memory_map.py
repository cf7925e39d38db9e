"""What lies where in local memory, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_letters, digits

from tpukernel.chips.chip import Chip
from tpukernel.lang.allocate import Slot, buffer_tensor
from tpukernel.lang.elaborate import Elaborated
from tpukernel.lang.ir import Raw, walk
from tpukernel.markup import colour, element, svg, text, text_table
from tpukernel.source import Position

__all__ = ["MappedBuffer", "MemoryMap"]

_LETTERS = ascii_letters + digits
_CELLS = 64
"""Characters for a bank."""
_FREE, _SHARED, _MANY = ".", "#", "+"
_HEAD = ("", "address", "bytes", "banks", "lanes", "buffer", "contents", "commands", "made at")


@dataclass(frozen=True)
class MappedBuffer:
    """A buffer with an address, or one of its copies in a pipeline.

    Attributes:
        name, copy: which it is; copies count from 0.
        contents: data type and largest shape, for example `f32[1, 64, 4, 256]`.
        address: address in local memory: start lane times bytes of a lane, plus byte in the lane.
        bytes: bytes that it takes in each of its lanes.
        lanes: the lanes in which it has elements.
        banks: the banks in which it lies.
        lives: first and last command of each time in which its contents count, ascending. Commands are counted from 0 in the order in
            which they are issued; what a pipeline uses lives as long as the pipeline.
        position: where it was made.
    """

    name: str
    copy: int
    contents: str
    address: int
    bytes: int
    lanes: range
    banks: range
    lives: tuple[tuple[int, int], ...]
    position: Position | None

    def alive(self, command: int) -> bool:
        """Whether its contents count while this command runs."""
        return any(first <= command <= last for first, last in self.lives)

    @property
    def title(self) -> str:
        """Its name, with the number of the copy where it has several."""
        return f"{self.name}.{self.copy}" if self.copy else self.name


@dataclass(frozen=True)
class MemoryMap:
    """The local memory of a kernel for concrete shapes. `str` shows it as text, `svg` as a picture; notebooks show both.

    Attributes:
        kernel: name of the kernel.
        chip: the chip.
        commands: number of commands that the kernel issues (an operation may become several instructions; they count as one here).
        buffers: what has an address, by address.
        raw: number of calls of TPUKernel functions with addresses of the author's own; what they use is not in `buffers`.
    """

    kernel: str
    chip: Chip
    commands: int
    buffers: tuple[MappedBuffer, ...]
    raw: int = 0

    @classmethod
    def of(cls, found: Elaborated) -> MemoryMap:
        """The map of an elaborated kernel."""
        chip, allocation = found.program.chip, found.allocation
        buffers = (_mapped(slot, chip, allocation.commands) for slot in allocation.slots)
        raw = sum(isinstance(each, Raw) for each in walk(found.kernel.body))
        ordered = sorted(buffers, key=lambda buffer: (buffer.address % chip.lane_bytes, buffer.name, buffer.copy))
        return cls(found.kernel.name, chip, allocation.commands, tuple(ordered), raw)

    @property
    def peak(self) -> int:
        """Most bytes of a lane that are in use at one time."""
        return max((sum(buffer.bytes for buffer in self.at(first)) for each in self.buffers for first, _ in each.lives), default=0)

    def at(self, command: int) -> tuple[MappedBuffer, ...]:
        """The buffers whose contents count while a command runs."""
        return tuple(buffer for buffer in self.buffers if buffer.alive(command))

    # ------------------------------------------------------------------ text

    def __str__(self) -> str:
        """A line for each bank that is used, then a line for each buffer."""
        return "\n".join(
            [self._title(), "", *self._bank_lines(), "", *text_table([_HEAD, *map(self._row, range(len(self.buffers)))], (1, 2))]
        )

    def _title(self) -> str:
        chip = self.chip
        raw = f"; {self.raw} calls with addresses of the author's own are not shown" if self.raw else ""
        return (
            f"local memory of {self.kernel} on the {chip.name}: {chip.lanes} lanes of {chip.lane_bytes:,} bytes in {chip.banks} banks; "
            f"{self.peak:,} bytes in use at most ({self.peak / chip.lane_bytes:.0%}){raw}"
        )

    def _row(self, number: int) -> tuple[str, ...]:
        buffer = self.buffers[number]
        banks, lanes = _span(buffer.banks), _span(buffer.lanes)
        lives = ", ".join(f"{first}-{last}" for first, last in buffer.lives)
        place = "" if buffer.position is None else str(buffer.position)
        return (_letter(number), f"{buffer.address:#x}", f"{buffer.bytes:,}", banks, lanes, buffer.title, buffer.contents, lives, place)

    def _bank_lines(self) -> Iterator[str]:
        unused: list[int] = []
        for bank in range(self.chip.banks):
            cells = self._cells(bank)
            if cells == _FREE * _CELLS:
                unused.append(bank)
            else:
                yield f"bank {bank:2} {bank * self.chip.bank_bytes:#07x} |{cells}|"
        size = self.chip.bank_bytes // _CELLS
        free = f"; banks without a buffer: {', '.join(_span(each) for each in _runs(unused))}" if unused else ""
        yield f"a character is {size} bytes of every lane, {_SHARED} where buffers share bytes at different times{free}"

    def _cells(self, bank: int) -> str:
        size = self.chip.bank_bytes // _CELLS
        starts = range(bank * self.chip.bank_bytes, (bank + 1) * self.chip.bank_bytes, size)
        return "".join(self._cell(start, start + size) for start in starts)

    def _cell(self, begin: int, end: int) -> str:
        inside = [
            number for number, buffer in enumerate(self.buffers) if self._start(buffer) < end and self._start(buffer) + buffer.bytes > begin
        ]
        if not inside:
            return _FREE
        if any(self._overlap(one, two) for one in inside for two in inside if one < two):
            return _SHARED
        return _letter(min(inside, key=lambda number: self.buffers[number].bytes))  # so that small ones are seen

    def _overlap(self, one: int, two: int) -> bool:
        first, second = self.buffers[one], self.buffers[two]
        begin, other = self._start(first), self._start(second)
        return begin < other + second.bytes and other < begin + first.bytes

    def _start(self, buffer: MappedBuffer) -> int:
        return buffer.address % self.chip.lane_bytes

    # ------------------------------------------------------------------ picture

    def svg(self, width: int = 760, height: int = 420) -> str:
        """A picture: commands to the right, bytes of a lane downward, a line at each bank; the tips of the boxes tell the rest.

        Args:
            width, height: its size in pixels.
        """
        left, top, foot = 70, 8, 24
        right, bottom = width - 8, height - foot
        per_command = (right - left) / max(self.commands, 1)
        used = max((buffer.banks.stop for buffer in self.buffers), default=1)
        shown = min(used + 1, self.chip.banks)  # a free bank tells that the rest is free, too
        per_byte = (bottom - top) / (shown * self.chip.bank_bytes)
        parts = [_bank_line(bank, left, right, top + bank * self.chip.bank_bytes * per_byte) for bank in range(shown)]
        starts = sorted({self._start(buffer) for buffer in self.buffers} | {shown * self.chip.bank_bytes})
        for number, buffer in enumerate(self.buffers):
            y = top + self._start(buffer) * per_byte
            room = (starts[starts.index(self._start(buffer)) + 1] - self._start(buffer)) * per_byte
            for first, last in buffer.lives:
                box = (left + first * per_command, y, (last + 1 - first) * per_command, buffer.bytes * per_byte)
                parts.append(_box(box, room, colour(number), buffer.title, self._tip(buffer)))
        parts.append(element("text", text(f"commands 0 to {max(self.commands - 1, 0)}"), x=left, y=height - 8))
        return svg(width, height, *parts)

    def _tip(self, buffer: MappedBuffer) -> str:
        place = "" if buffer.position is None else f"\n{buffer.position}"
        lives = ", ".join(f"{first}-{last}" for first, last in buffer.lives)
        return f"{buffer.title} {buffer.contents}\n{buffer.bytes:,} bytes at {buffer.address:#x}, commands {lives}{place}"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return element("div", self.svg(), element("pre", text(str(self)), style="line-height:1.2"))


def _mapped(slot: Slot, chip: Chip, commands: int) -> MappedBuffer:
    tensor = buffer_tensor(slot.buffer, slot.address)
    lane, byte = divmod(slot.address, chip.lane_bytes)
    channels = tensor.shape[1]
    dtype, shape = slot.buffer.local.dtype.name, ", ".join(map(str, slot.buffer.shape))
    return MappedBuffer(
        name=slot.key[0],
        copy=slot.key[1],
        contents=f"{dtype}[{shape}]",
        address=slot.address,
        bytes=slot.bytes,
        lanes=range(lane, lane + channels) if lane + channels <= chip.lanes else range(chip.lanes),
        banks=range(byte // chip.bank_bytes, -(-(byte + slot.bytes) // chip.bank_bytes)),
        lives=tuple((first, min(last, commands - 1)) for first, last in slot.spans),
        position=slot.buffer.local.position,
    )


def _letter(number: int) -> str:
    return _LETTERS[number] if number < len(_LETTERS) else _MANY


def _span(numbers: range) -> str:
    return str(numbers.start) if len(numbers) == 1 else f"{numbers.start}-{numbers.stop - 1}"


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    """Ascending numbers as ranges without gaps."""
    begin = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            yield range(numbers[begin], numbers[end - 1] + 1)
            begin = end


def _bank_line(bank: int, left: float, right: float, y: float) -> str:
    line = element("line", x1=left, x2=right, y1=f"{y:.1f}", y2=f"{y:.1f}", stroke="currentColor", stroke_opacity=0.2)
    return line + element("text", text(f"bank {bank}"), x=4, y=f"{y + 11:.1f}")


def _box(box: tuple[float, float, float, float], room: float, fill: str, name: str, tip: str) -> str:
    """A box with a tip, and with its name where there is room for it down to the next box."""
    x, y, width, height = box
    sizes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{max(width, 1):.1f}", "height": f"{max(height, 1):.1f}"}
    shape = element("rect", fill=fill, fill_opacity=0.75, stroke=fill, **sizes)
    inside = height > 14
    place = {"x": f"{x + 3:.1f}", "y": f"{y + (11 if inside else max(height, 1) + 11):.1f}", "fill": "#000" if inside else "currentColor"}
    label = element("text", text(name), **place) if room > max(14, 0 if inside else height + 13) and width > 7 * len(name) else ""
    return element("g", element("title", text(tip)), shape, label)
