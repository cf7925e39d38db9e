"""Commands that differ only in where their operands lie are lowered once.

What a lowering depends on is the command and how its operands lie to each other: whether they touch, in which lane they start, how they are
aligned. Two commands are *alike* if these agree and only their distance from the start of the lanes, or of a system memory, differs. Then
their calls differ in pointers alone, and by the same number of bytes for all pointers into one memory. Programs are loops that were
unrolled, so that most commands are like another one.

An operand may end behind the end of its lane or memory when it is moved up, never when it is moved down. So of commands that are alike,
those that lie farthest in one of the memories are lowered, and the others follow from them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.errors import TpuError
from tpukernel.isa.dma_general import DmaGeneral
from tpukernel.isa.format import Bits
from tpukernel.isa.gather import Gather
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import OperandField
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.memory import Memory

__all__ = ["Lowered", "Lower", "lower_all"]

Shifts = tuple[tuple[str, int], ...]
"""(memory, bytes): by how much pointers into a memory are moved."""

Lower = Callable[[Instruction, Memory], "list[Call] | None"]

CUT_AT_LANES = (DmaGeneral, Gather)
"""Units whose calls depend on where in the lane an operand begins: their operands go on in the next lane, or have copies in others."""


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """How a command is executed. Commands that are executed in the same way share the object.

    Attributes:
        calls: of kernels; None: the interpreter does it. Commands that are alike share the list.
        shifts: how far the command's pointers are from those in the records of `calls`.
    """

    calls: list[Call] | None
    shifts: Shifts = ()


def lower_all(order: Sequence[Instruction], memory: Memory, lower: Lower) -> list[Lowered]:
    """How each of these commands is executed.

    Args:
        order: the commands.
        memory: their memories.
        lower: lowers one command.
    """
    likeness = _Likeness(memory)
    found: list[Lowered] = [_UNKNOWN] * len(order)
    classes: dict[Hashable, dict[_Starts, list[int]]] = {}
    for position, instruction in enumerate(order):
        described = likeness.of(instruction)
        if described is None:
            found[position] = Lowered(lower(instruction, memory))
        else:
            kind, starts = described
            classes.setdefault(kind, {}).setdefault(starts, []).append(position)
    for members in classes.values():
        for lowered, starts in _lower_class(members, lambda positions: lower(order[positions[0]], memory)):
            for position in members[starts]:
                found[position] = lowered
    return found


_UNKNOWN = Lowered(None)

_Starts = tuple[tuple[str, int], ...]
"""By memory in which a command has operands: the first of their addresses (in local memory: in its lane)."""


def _lower_class(members: dict[_Starts, list[int]], lower: Callable[[list[int]], list[Call] | None]) -> list[tuple[Lowered, _Starts]]:
    """How commands that are alike are executed, by where they lie."""
    first = next(iter(members))
    farthest = dict.fromkeys(max(members, key=lambda starts: starts[k][1]) for k in range(len(first))) or {first: None}
    lowered = {starts: Lowered(lower(members[starts])) for starts in farthest}
    origin, given = next(iter(lowered.items()))
    if any(each.calls is None for each in lowered.values()):  # some of the others may fit into their memories, or none
        return [(lowered.get(starts) or Lowered(lower(positions)), starts) for starts, positions in members.items()]
    return [(given if starts == origin else Lowered(given.calls, _distance(origin, starts)), starts) for starts in members]


def _distance(origin: _Starts, starts: _Starts) -> Shifts:
    return tuple([(space, here - there) for (space, there), (_, here) in zip(origin, starts, strict=True)])


# ---------------------------------------------------------------------------- what a command is like

_Address = tuple[bool, int]
"""Whether an operand is a system tensor, and its address."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the addresses are in commands of one kind.

    Attributes:
        others: the bits of everything else, without the command numbers.
        addresses: for each operand that is a tensor: (lowest bit, mask, lowest bit and mask of the upper part or zeros).
        system: whether addresses are system addresses.
    """

    others: int
    addresses: tuple[tuple[int, int, int, int], ...]
    system: bool


class _Likeness:
    """Tells which commands are alike on a machine."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._chip = memory.chip
        self._local = memory.chip.regions["lmem"]
        self._lane_bytes, self._local_bytes = memory.chip.lane_bytes, memory.chip.local_bytes
        self._layouts: dict[tuple[type[Instruction], int], _Layout | None] = {}

    def of(self, instruction: Instruction) -> tuple[Hashable, _Starts] | None:
        """What alike commands have in common, and where this one lies; None if it has to be lowered on its own."""
        bits = instruction.bits
        try:
            if bits is None or bits.chip is not self._chip:
                return self._placed(*_given(instruction), type(instruction))
            control = bits.record & bits.format.control_mask
            kind = type(instruction), control
            if kind not in self._layouts:
                self._layouts[kind] = _layout(instruction, bits)
            layout = self._layouts[kind]
            if layout is None:
                return None
            record, system = bits.record, layout.system
            addresses = [(system, record >> a & b | (record >> c & d) << 32) for a, b, c, d in layout.addresses]
            return self._placed(record & layout.others, addresses, type(instruction))
        except TpuError:  # an operand in no memory: the interpreter raises the error in its turn
            return None

    def _placed(self, others: Hashable, addresses: Sequence[_Address], unit: type[Instruction]) -> tuple[Hashable, _Starts] | None:
        lane_bytes, local_bytes, local = self._lane_bytes, self._local_bytes, self._local
        firsts: dict[str, int] = {}
        relations: list[object] = [unit, others]
        for system, address in addresses:
            if system and local.base <= address < local.base + local_bytes:
                system, address = False, address - local.base
            if system or address >= local_bytes:
                space, offset = self._memory.locate(address)
                if space == "lmem":  # by its system address, as no TIU command should have it: the elements need not stay in their lanes
                    return None
                relations += space, offset - firsts.setdefault(space, offset)
                continue
            lane, byte = divmod(address, lane_bytes)
            first = firsts.get("lmem")
            if first is None:
                firsts["lmem"] = byte
                relations += lane, byte if unit in CUT_AT_LANES else byte % self._chip.eu_bytes
            else:
                relations += lane, byte - first
        return tuple(relations), tuple(firsts.items())


def _given(instruction: Instruction) -> tuple[Hashable, list[_Address]]:
    """Of an instruction that was built: everything but addresses and numbers, and the addresses."""
    others: list[object] = []
    addresses: list[_Address] = []
    for name in instruction.specs:
        value = instruction.value_of(name)
        if isinstance(value, LocalTensor):
            others.append((value.shape, value.dtype.name, value.layout.name, value.strides, value.pack))
            addresses.append((False, value.address))
        elif isinstance(value, SystemTensor):
            others.append((value.shape, value.dtype.name, value.strides))
            addresses.append((True, value.address))
        elif name not in ("id", "depends"):
            others.append(value)
    return tuple(others), addresses


def _layout(instruction: Instruction, bits: Bits) -> _Layout | None:
    """Where the addresses are in commands with these control bits; None where the same bits hold something else, too."""
    masks = bits.format.masks
    tensors = [
        name
        for name, spec in instruction.specs.items()
        if isinstance(spec, OperandField) and isinstance(instruction.value_of(name), LocalTensor | SystemTensor)
    ]
    specs = [cast("OperandField[object]", instruction.specs[name]) for name in tensors]
    parts = [[masks[field] for field in spec.address_fields] for spec in specs]
    if not all(parts):
        return None
    moved, movable = bits.record, 0
    for part in parts:
        low, mask = part[0]
        movable |= sum(mask << low for low, mask in part)
        moved ^= (mask if len(part) == 1 else _FLIPPED) << low
    if not _same_but_places(instruction, type(instruction).view(Bits(bits.format, moved)), tensors):
        return None
    numbers = sum(mask << low for low, mask in (masks[field] for field in ("cmd_id", "cmd_id_dep")))
    return _Layout(
        others=((1 << bits.format.bits) - 1) & ~(movable | numbers),
        addresses=tuple((*lower, *upper) for lower, upper in ([*part, (0, 0)][:2] for part in parts)),
        system=any(len(part) > 1 for part in parts),
    )


_FLIPPED = 0xF_FFFF
"""Bits of a system address that can change without leaving the memory."""


def _same_but_places(one: Instruction, other: Instruction, tensors: Sequence[str]) -> bool:
    """Whether two commands agree in everything but the addresses of these operands."""
    for name in one.specs:
        a, b = one.value_of(name), other.value_of(name)
        if name in tensors and isinstance(b, LocalTensor | SystemTensor):
            same = isinstance(a, LocalTensor | SystemTensor) and replace(a, address=b.address) == b
        else:
            same = a == b
        if not same:
            return False
    return True
