"""Addresses of buffers in local memory.

Every buffer starts in lane 0, where no other buffer lies: operands of one command, and what the two engines work on at one time, in
different banks if there is room. When there is not, buffers share banks; when that is not enough, buffers that are alive at different
times share bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import lane_bytes_needed, matrix_tensor
from tpukernel.chips.tensors import LocalTensor
from tpukernel.errors import TpuError
from tpukernel.lang.errors import LocalMemoryError
from tpukernel.lang.unroll import Buffer, Command

__all__ = ["Allocation", "Slot", "allocate", "buffer_tensor"]

Key = tuple[str, int]


@dataclass
class Slot:
    """What has one address: a buffer, or one of its copies in a pipeline.

    Attributes:
        key: name of the buffer and number of the copy.
        buffer: its largest life.
        bytes: bytes that it takes in a lane.
        spans: first and last command of each of its lives, ascending.
        neighbours: slots that are operands of the same commands.
        address: where it is.
    """

    key: Key
    buffer: Buffer
    bytes: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list["tuple[int, int]"])
    neighbours: set[Key] = field(default_factory=set["Key"])
    address: int = -1

    @property
    def end(self) -> int:
        return self.address + self.bytes

    def lives_with(self, other: Slot) -> bool:
        """Whether both are alive at one time."""
        spans, others = iter(self.spans), iter(other.spans)
        one, two = next(spans, None), next(others, None)
        while one is not None and two is not None:
            if one[0] <= two[1] and two[0] <= one[1]:
                return True
            if one[1] < two[1]:
                one = next(spans, None)
            else:
                two = next(others, None)
        return False


@dataclass(frozen=True)
class Allocation:
    """The slots of a kernel with their addresses, in order of the addresses, and how many commands their lives count."""

    slots: tuple[Slot, ...]
    commands: int = 0

    @property
    def addresses(self) -> Mapping[Key, int]:
        return {slot.key: slot.address for slot in self.slots}


def buffer_tensor(buffer: Buffer, address: int) -> LocalTensor:
    """The whole of a buffer at an address."""
    if len(buffer.shape) == 2:
        rows, columns = buffer.shape
        if buffer.cols_per_channel is not None:
            return matrix_tensor(address, rows, columns, buffer.local.dtype, cols_per_channel=buffer.cols_per_channel)
        return LocalTensor(address, (1, rows, 1, columns), buffer.local.dtype)
    n, c, h, w = buffer.shape
    return LocalTensor(address, (n, c, h, w), buffer.local.dtype, buffer.local.layout)


def allocate(commands: Sequence[Command], chip: Chip, *, first_byte: int = 0) -> Allocation:
    """Addresses for all buffers of the commands; those that are chosen are not below `first_byte` of a lane.

    Raises:
        LocalMemoryError: they do not fit.
    """
    slots = _slots(commands, chip)
    for sharing in (False, True):
        for banks in (True, False):
            if _placed(slots, chip, first_byte, sharing=sharing, banks=banks):
                return Allocation(tuple(sorted(slots, key=lambda slot: (slot.address, slot.key))), len(commands))
    raise _overflow(slots, chip, len(commands))


def _slots(commands: Sequence[Command], chip: Chip) -> list[Slot]:
    regions = _regions(commands)
    found: dict[Key, Slot] = {}
    lives: dict[int, tuple[Slot, list[int]]] = {}
    for index, command in enumerate(commands):
        keys: set[Key] = set()
        for _, box in command.boxes():
            buffer = box.base
            if not isinstance(buffer, Buffer):
                continue
            slot = found.get(buffer.slot)
            if slot is None:
                slot = found[buffer.slot] = Slot(buffer.slot, buffer)
            if buffer.life not in lives:
                _grow(slot, buffer, chip)
            # What a pipeline uses stays where it is while the pipeline runs, so that its steps do not wait for each other's memory.
            first, last = regions.get(command.region, (index, index))
            if buffer.local.name.startswith("coefficients"):
                first, last = 0, len(commands)
            span = lives.setdefault(buffer.life, (slot, [first, last]))[1]
            span[:] = [min(span[0], first), max(span[1], last)]
            keys.add(slot.key)
        for key in keys:
            found[key].neighbours |= keys - {key}
    for slot, (first, last) in lives.values():
        slot.spans.append((first, last))
    for slot in found.values():
        slot.spans = _joined(slot.spans)
    return list(found.values())


def _regions(commands: Sequence[Command]) -> Mapping[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for index, command in enumerate(commands):
        if command.region:
            found[command.region] = (found.get(command.region, (index, index))[0], index)
    return found


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _grow(slot: Slot, buffer: Buffer, chip: Chip) -> None:
    try:
        bytes_needed = lane_bytes_needed(chip, buffer_tensor(buffer, 0))
    except TpuError as error:  # sizes or a layout that no tensor has
        error.where = None if buffer.local.position is None else buffer.local.position.rendered()
        raise
    needed = -(-bytes_needed // chip.eu_bytes) * chip.eu_bytes
    if needed > slot.bytes:
        slot.bytes, slot.buffer = needed, buffer


# ---------------------------------------------------------------------------- placing


def _placed(slots: Sequence[Slot], chip: Chip, first_byte: int, *, sharing: bool, banks: bool) -> bool:
    """Give each slot an address; False when one has no room."""
    done: list[Slot] = []
    for slot in sorted(slots, key=_order):
        enemies = [other for other in done if not sharing or slot.lives_with(other)]
        if slot.buffer.at is not None:
            slot.address = slot.buffer.at
            fits = slot.address % chip.lane_bytes + slot.bytes <= chip.lane_bytes
        else:
            free = [address for address in _candidates(slot, enemies, chip, first_byte) if _is_free(slot, address, enemies, chip)]
            fits = bool(free)
            if fits:
                taken = _taken_banks(slot, done, chip) if banks else ()
                slot.address = min(free, key=lambda address: (_conflicts(_banks(address, slot.bytes, chip), taken), address))
        if not fits:
            return False
        done.append(slot)
    return True


def _order(slot: Slot) -> tuple[bool, bool, int, Key]:
    """What the author fixed comes first, then the large ones."""
    return slot.buffer.at is None, slot.buffer.local.bank is None, -slot.bytes, slot.key


def _candidates(slot: Slot, enemies: Sequence[Slot], chip: Chip, first_byte: int) -> Iterator[int]:
    """Addresses to try: starts of banks, and where other buffers end."""
    if slot.buffer.local.bank is not None:
        yield slot.buffer.local.bank * chip.bank_bytes
        return
    yield first_byte
    yield from range(-(-first_byte // chip.bank_bytes) * chip.bank_bytes, chip.lane_bytes, chip.bank_bytes)
    for other in enemies:
        address = -(-(other.end % chip.lane_bytes) // chip.eu_bytes) * chip.eu_bytes
        if address >= first_byte:
            yield address


def _is_free(slot: Slot, address: int, enemies: Sequence[Slot], chip: Chip) -> bool:
    if address + slot.bytes > chip.lane_bytes:
        return False
    # A buffer at an address of the author's may start in another lane: its bytes count in all of them.
    places = ((other.address % chip.lane_bytes, other.bytes) for other in enemies)
    return all(address >= start + size or start >= address + slot.bytes for start, size in places)


def _taken_banks(slot: Slot, done: Sequence[Slot], chip: Chip) -> Sequence[tuple[int, int, int]]:
    """First and last bank of each slot that has a place, and what to share one of them costs `slot`.

    To share one with an operand of the same command counts more, because that costs twice.
    """
    return [(*_banks(other.address % chip.lane_bytes, other.bytes, chip), 4 if other.key in slot.neighbours else 1) for other in done]


def _conflicts(ours: tuple[int, int], taken: Sequence[tuple[int, int, int]]) -> int:
    """What all the banks cost that are shared."""
    first, last = ours
    return sum(weight * (min(last, end) - max(first, start) + 1) for start, end, weight in taken if start <= last and first <= end)


def _banks(address: int, size: int, chip: Chip) -> tuple[int, int]:
    """First and last bank."""
    return address // chip.bank_bytes, (address + size - 1) // chip.bank_bytes


# ---------------------------------------------------------------------------- overflow


def _overflow(slots: Sequence[Slot], chip: Chip, commands: int) -> LocalMemoryError:
    """The error, with every buffer that is alive where the most memory is needed."""
    points = sorted({first for slot in slots for first, _ in slot.spans})
    alive = max(([slot for slot in slots if _alive(slot, point)] for point in points), key=lambda some: sum(slot.bytes for slot in some))
    total = sum(slot.bytes for slot in alive)
    by_name: dict[str, list[Slot]] = {}
    for slot in alive:
        by_name.setdefault(slot.key[0], []).append(slot)
    ordered = sorted(by_name.values(), key=lambda group: (-sum(slot.bytes for slot in group), group[0].key))
    largest = ordered[0][0].buffer.local
    lines = [_told(group) for group in ordered]
    fixed = "" if total > chip.lane_bytes else " in one piece, because of the addresses and banks that were given"
    where = None if largest.position is None else largest.position.rendered()
    return LocalMemoryError(
        f"the buffers need {total:,} bytes of a lane, which has {chip.lane_bytes:,}{fixed}:\n" + "\n".join(lines),
        position=largest.position,
        where=where,
        help="make the tiles smaller" if total > chip.lane_bytes else "leave the addresses and banks to the framework",
        commands=commands,
    )


def _alive(slot: Slot, point: int) -> bool:
    return any(first <= point <= last for first, last in slot.spans)


def _told(group: Sequence[Slot]) -> str:
    buffer = max(group, key=lambda slot: slot.bytes).buffer
    copies = f" x {len(group)} copies" if len(group) > 1 else ""
    place = f"   {buffer.local.position}" if buffer.local.position is not None else ""
    shape = ", ".join(map(str, buffer.shape))
    return f"     | {buffer.local.name:12} {buffer.local.dtype.name}[{shape}]  {group[0].bytes:,} bytes{copies}{place}"
