"""Instructions as text, one line each, for people.

    tiu       3 <- gdma 2      arith.add dst f32[1,64,7,7] @0:0x40, src0 f32[1,64,7,7] @0:0x0, src1 2.0

The number of the command, the number of the other engine's command that it waits for, the operation, its operands (results first), its
attributes where they differ from their defaults, and, behind a question mark, fields that nothing explains. A local tensor is shown with
its start lane and the byte in the lane, a system tensor with its memory and the offset in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, Operand, SystemTensor
from tpukernel.isa.instruction import Instruction

__all__ = ["line", "list_group", "operand_text"]

_OTHER = {"tiu": "gdma", "gdma": "tiu"}


def line(instruction: Instruction, chip: Chip) -> str:
    """One instruction as one line."""
    waits = f"<- {_OTHER[instruction.engine]} {instruction.depends}" if instruction.depends else ""
    operands = [
        f"{use.name} {operand_text(use.value, chip)}" for use in sorted(instruction.operands(), key=lambda use: use.direction == "in")
    ]
    attributes = [f"{name}={_attribute(value)}" for name, value in _told(instruction)]
    residue = [f"?{field}={value:#x}" for field, value in instruction.residue.items()]
    told = ", ".join([*operands, *attributes, *residue])
    return f"{instruction.engine:<4} {instruction.id:>6} {waits:<14} {instruction.title} {told}".rstrip()


def _told(instruction: Instruction) -> Iterator[tuple[str, object]]:
    for name, value in instruction.attributes().items():
        if value != instruction.specs[name].default:
            yield name, value


def _attribute(value: object) -> str:
    return value.name.lower() if isinstance(value, IntEnum) else str(value)


def operand_text(value: Operand, chip: Chip) -> str:
    """An operand as text."""
    if isinstance(value, Constant):
        text = repr(value.value) if value.dtype.is_int else f"{value.value:.9g}"
        return text + ".0" if value.dtype.is_float and text.lstrip("-").isdigit() else text
    text = f"{value.dtype}[{','.join(map(str, value.shape))}] @{_place(value, chip)}"
    if isinstance(value, LocalTensor) and value.layout not in (Layout.EU_ALIGNED, Layout.FREE):
        text += f" {value.layout.value}"
    if value.strides is not None:
        text += f" strides ({','.join(map(str, value.strides))})"
    return text


def _place(value: LocalTensor | SystemTensor, chip: Chip) -> str:
    if isinstance(value, LocalTensor) and value.address < chip.local_bytes:
        lane, byte = divmod(value.address, chip.lane_bytes)
        return f"{lane}:{byte:#x}"
    for region in chip.regions.values():
        if value.address in region:
            return f"{region.name}+{value.address - region.base:#x}"
    return f"{value.address:#x}"


def list_group(group: Iterable[Instruction], chip: Chip) -> Iterator[str]:
    """The lines of a command group, in an order that the numbers allow."""
    return (line(instruction, chip) for instruction in group)
