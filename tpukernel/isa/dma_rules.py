"""Legality rules that the DMA commands share.

Source: the assertions of the official library and of its C model.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import cast

from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import start_lane
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.errors import OperandAlignmentError, OperandDtypeError, OperandKindError, OperandLayoutError, OperandShapeError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, rule

__all__ = ["channels_in_lanes", "dims_of", "element_aligned", "in_system", "integers", "system_sizes", "w_stride_not_zero"]

Broken = Iterator[tuple[str, str, str | None]]


def dims_of(instruction: Instruction, operand: str) -> tuple[int, int, int, int] | None:
    """Shape of an operand; None when it is absent or a constant."""
    value = instruction.value_of(operand)
    return value.shape if isinstance(value, LocalTensor | SystemTensor) else None


def _empty(instruction: Instruction, chip: Chip) -> Broken:
    for operand in instruction.operands():
        if isinstance(operand.value, SystemTensor) and not prod(operand.value.shape):
            yield operand.name, f"{operand.name} of {instruction.title} has shape {operand.value.shape}", "give sizes of 1 or more"


system_sizes = rule(
    "system_sizes", "Every dimension of an operand outside local memory is 1 or more (local ones: `placement`).", OperandShapeError, _empty
)


def _between_elements(instruction: Instruction, chip: Chip) -> Broken:
    dst, src = (cast("LocalTensor | SystemTensor | Constant", instruction.value_of(name)) for name in ("dst", "src"))
    size = src.dtype.itemsize
    for name, value in (("dst", dst), ("src", src)):
        if isinstance(value, Constant) or (isinstance(value, LocalTensor) and placement in instruction.rules):
            continue
        if value.address % size:
            below = value.address // size * size
            yield name, f"{name} of {instruction.title} starts at {value.address:#x}", f"start it at {below:#x} or {below + size:#x}"


element_aligned = rule(
    "element_aligned",
    "`dst` and `src` outside local memory start at a multiple of the bytes of an element of `src` (local ones: `placement`); an index or "
    "mask may start anywhere.",
    OperandAlignmentError,
    _between_elements,
)


def _repeated_w(instruction: Instruction, chip: Chip) -> Broken:
    for operand in instruction.operands():
        strides = operand.value.strides if isinstance(operand.value, LocalTensor | SystemTensor) else None
        if strides is not None and strides[3] == 0:
            yield operand.name, f"the w stride of {operand.name} of {instruction.title} is 0", "repeat n, c or h instead"


w_stride_not_zero = rule("w_stride_not_zero", "The w stride is not 0; the other strides may be.", OperandLayoutError, _repeated_w)


def in_system(operand: str) -> Rule:
    """The operand is in DDR or L2."""

    def broken(instruction: Instruction, chip: Chip) -> Broken:
        if isinstance(instruction.value_of(operand), LocalTensor):
            yield operand, f"{instruction.title} cannot have {operand} in local memory", "use DDR or L2"

    return rule(f"{operand}_in_system", f"`{operand}` is in DDR or L2.", OperandKindError, broken)


def integers(operand: str) -> Rule:
    """The operand has an integer type."""

    def broken(instruction: Instruction, chip: Chip) -> Broken:
        value = instruction.value_of(operand)
        if isinstance(value, LocalTensor | SystemTensor) and value.dtype.is_float:
            yield operand, f"{operand} of {instruction.title} has type {value.dtype}", "use an integer type"

    return rule(f"{operand}_dtype", f"`{operand}` has an integer type.", OperandDtypeError, broken)


def channels_in_lanes(instruction: Instruction, chip: Chip) -> Broken:
    """Breach of a broadcast: `dst` is in local memory and its channels do not go past the last lane."""
    dst = instruction.value_of("dst")
    if not isinstance(dst, LocalTensor):
        yield "dst", f"{instruction.title} writes lanes, but dst is not in local memory", "give a local dst"
    elif 0 <= dst.address < chip.local_bytes and (last := start_lane(chip, dst.address) + dst.shape[1]) > chip.lanes:
        yield "dst", f"the {dst.shape[1]} channels of dst of {instruction.title} go up to lane {last - 1}", f"lane {chip.lanes - 1} at most"
