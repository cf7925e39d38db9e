"""Legality rules: what the chip demands of the operands of an instruction, beyond what its command can say.

A unit lists its rules (`Instruction.rules`). A rule has a name, a sentence for the documentation and a function that finds every breach.
The rules
that most units share are made by the functions below.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tpukernel.chips import errors as chip_errors
from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import continuous_strides, local_placement, start_lane
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype
from tpukernel.errors import TpuError
from tpukernel.isa.errors import (
    AttributeRangeError,
    LaneMismatchError,
    LegalityError,
    LocalRangeError,
    OperandAlignmentError,
    OperandDtypeError,
    OperandKindError,
    OperandLayoutError,
    OperandShapeError,
    SystemRangeError,
)
from tpukernel.isa.instruction import Instruction

__all__ = [
    "Rule",
    "aligned",
    "attribute_range",
    "dtypes",
    "dtypes_by_op",
    "in_lane_0",
    "in_local_memory",
    "is_local",
    "operand_count",
    "operands_by_op",
    "placement",
    "rule",
    "same_lane",
    "same_lane_by_op",
    "same_lane_of",
    "start_alignment",
    "system_range",
    "w_stride_bytes",
]

Find = Callable[[Instruction, Chip], Iterable[LegalityError]]


@dataclass(frozen=True)
class Rule:
    """One legality rule: `name` is unique within its unit, `text` says it in one sentence, `find` yields every breach."""

    name: str
    text: str
    find: Find


def rule(
    name: str, text: str, error: type[LegalityError], broken: Callable[[Instruction, Chip], Iterable[tuple[str, str, str | None]]]
) -> Rule:
    """A rule from a function that yields (operand, message, help) for every breach."""

    def find(instruction: Instruction, chip: Chip) -> Iterator[LegalityError]:
        for operand, message, help in broken(instruction, chip):
            yield error(message, instruction=instruction.title, operand=operand, rule=name, help=help)

    return Rule(name, text, find)


def in_local_memory(chip: Chip, tensor: LocalTensor) -> bool:
    """False for the operands that a TIU command reads from static memory or L2 (they have absolute addresses)."""
    return tensor.address < chip.regions["lmem"].base


def is_local(chip: Chip, value: object) -> bool:
    """True for a tensor in local memory."""
    return isinstance(value, LocalTensor) and in_local_memory(chip, value)


_PLACEMENT_ERRORS: dict[type[TpuError], type[LegalityError]] = {
    chip_errors.LocalAddressError: LocalRangeError,
    chip_errors.LaneOverflowError: LocalRangeError,
    chip_errors.AlignmentError: OperandAlignmentError,
    chip_errors.ShapeError: OperandShapeError,
    chip_errors.StrideError: OperandLayoutError,
    chip_errors.LayoutError: OperandLayoutError,
    chip_errors.ChipDtypeError: OperandDtypeError,
}


def _find_placement(instruction: Instruction, chip: Chip) -> Iterator[LegalityError]:
    for operand in instruction.operands():
        if not isinstance(operand.value, LocalTensor) or not in_local_memory(chip, operand.value):
            continue
        try:
            local_placement(chip, operand.value)
        except tuple(_PLACEMENT_ERRORS) as error:
            yield _PLACEMENT_ERRORS[type(error)](
                f"{operand.name} of {instruction.title}: {error.message}",
                instruction=instruction.title,
                operand=operand.name,
                rule="placement",
                help=error.help,
            )


placement = Rule(
    "placement",
    "Every local operand has dimensions of 1 to 65535, starts at an address that its layout allows, and ends inside its lanes.",
    _find_placement,
)


def _other_lanes(instruction: Instruction, chip: Chip, names: tuple[str, ...]) -> Iterator[tuple[str, str, str | None]]:
    lanes = [
        (operand.name, start_lane(chip, operand.value.address))
        for operand in instruction.operands()
        if isinstance(operand.value, LocalTensor) and operand.value.address < chip.local_bytes and (not names or operand.name in names)
    ]
    for name, lane in lanes[1:]:
        first, wanted = lanes[0]
        if lane != wanted:
            yield (
                name,
                f"{name} of {instruction.title} starts in lane {lane}, but {first} starts in lane {wanted}",
                f"start {name} in lane {wanted}: add a multiple of {chip.lane_bytes:#x} to its address",
            )


same_lane = rule("same_lane", "All local operands start in the same lane.", LaneMismatchError, lambda i, chip: _other_lanes(i, chip, ()))


def same_lane_of(*names: str) -> Rule:
    """These operands start in the same lane; others, which the unit fetches from any lane, need not."""
    return same_lane_by_op(f"{', '.join(f'`{name}`' for name in names)} start in the same lane.", lambda _: names)


def same_lane_by_op(text: str, names: Callable[[Instruction], tuple[str, ...]]) -> Rule:
    """The operands that `names` tells for an instruction start in the same lane; all of them, if it tells none."""
    return rule("same_lane", text, LaneMismatchError, lambda i, chip: _other_lanes(i, chip, names(i)))


def aligned(*names: str) -> Rule:
    """These operands, when they are tensors, start at a multiple of the EU bytes although their layout alone would not ask for it."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for name in names:
            value = instruction.value_of(name)
            if isinstance(value, LocalTensor) and value.address % chip.eu_bytes:
                below = value.address // chip.eu_bytes * chip.eu_bytes
                yield (
                    name,
                    f"{name} of {instruction.title} starts at {value.address:#x}",
                    f"start it at {below:#x} or {below + chip.eu_bytes:#x}",
                )

    return rule(
        "aligned", f"{', '.join(f'`{name}`' for name in names)} start at a multiple of the EU bytes.", OperandAlignmentError, broken
    )


def start_alignment(text: str, units: Callable[[Instruction, Chip], Mapping[str, int]]) -> Rule:
    """Where operands must start although their layout alone would not ask for it: `units` tells bytes by operand."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for name, unit in units(instruction, chip).items():
            value = instruction.value_of(name)
            if isinstance(value, LocalTensor) and value.address % unit:
                yield name, f"{name} of {instruction.title} starts at {value.address:#x}", f"start it at a multiple of {unit} bytes"

    return rule("aligned", text, OperandAlignmentError, broken)


def in_lane_0(text: str, names: Callable[[Instruction], Iterable[str]]) -> Rule:
    """The operands that `names` yields start in lane 0."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for name in names(instruction):
            value = instruction.value_of(name)
            if isinstance(value, LocalTensor) and value.address >= chip.lane_bytes:
                lane = value.address // chip.lane_bytes
                yield name, f"{name} of {instruction.title} starts in lane {lane}", "start it in lane 0"

    return rule("lane_0", text, LaneMismatchError, broken)


def dtypes(operand: str, *allowed: Dtype) -> Rule:
    """The operand, when there, has one of these types."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        value = instruction.value_of(operand)
        if isinstance(value, LocalTensor | SystemTensor | Constant) and value.dtype not in allowed:
            yield operand, f"{operand} of {instruction.title} has type {value.dtype}", f"use {' or '.join(t.name for t in allowed)}"

    return rule(f"{operand}_dtype", f"`{operand}` is {', '.join(t.name for t in allowed)}.", OperandDtypeError, broken)


def dtypes_by_op(text: str, allowed: Callable[[Instruction], Iterable[tuple[str, tuple[Dtype, ...]]]]) -> Rule:
    """Types that depend on the operation: `allowed` yields (operand, allowed types) for an instruction."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for operand, types in allowed(instruction):
            value = instruction.value_of(operand)
            if isinstance(value, LocalTensor | SystemTensor | Constant) and value.dtype not in types:
                help = f"use {' or '.join(t.name for t in types)}" if types else None
                yield operand, f"{operand} of {instruction.title} has type {value.dtype}", help

    return rule("dtypes", text, OperandDtypeError, broken)


def operand_count(text: str, counts: Callable[[Instruction], tuple[int, int]]) -> Rule:
    """How many of the operands `src0`, `src1`, ... there are: `counts` gives the smallest and largest number."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        given = [name for name in instruction.specs if name.startswith("src") and instruction.value_of(name) is not None]
        low, high = counts(instruction)
        if len(given) < low:
            yield f"src{len(given)}", f"{instruction.title} needs {low} sources, not {len(given)}", f"give src{len(given)}"
        if len(given) > high:
            yield given[high], f"{instruction.title} takes {high} sources, not {len(given)}", f"leave out {given[high]}"

    return rule("operand_count", text, OperandKindError, broken)


def operands_by_op(text: str, names: tuple[str, ...], wanted: Callable[[Instruction], Container[str]]) -> Rule:
    """Which of the optional operands and attributes `names` an instruction has: exactly those that `wanted` contains."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        needed = wanted(instruction)
        for name in names:
            given = instruction.value_of(name) is not None
            if given and name not in needed:
                yield name, f"{instruction.title} has no {name}", f"leave out {name}"
            if not given and name in needed:
                yield name, f"{instruction.title} needs {name}", f"give {name}"

    return rule("operands", text, OperandKindError, broken)


def attribute_range(name: str, low: int, high: int) -> Rule:
    """The attribute, when there, lies between these numbers (both included)."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        value = instruction.value_of(name)
        if isinstance(value, int) and not low <= value <= high:
            yield name, f"{name} of {instruction.title} is {value}", f"use {low} to {high}"

    return rule(f"{name}_range", f"`{name}` is {low} to {high}.", AttributeRangeError, broken)


def _outside_system(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    for operand in instruction.operands():
        value = operand.value
        if not isinstance(value, SystemTensor):
            continue
        what = f"{operand.name} of {instruction.title}, {value.dtype} {value.shape},"
        region = next((region for region in chip.regions.values() if value.address in region), None)
        if region is None or region.name == "lmem":
            known = ", ".join(f"{r.name} at {r.base:#x}" for r in chip.regions.values())
            yield operand.name, f"{what} starts at {value.address:#x}, where no memory is", f"the memories are {known}"
            continue
        strides = continuous_strides(value.shape) if value.strides is None else value.strides
        last = sum((size - 1) * stride for size, stride in zip(value.shape, strides, strict=True)) + 1
        end = value.address + last * value.dtype.itemsize
        if end > region.end:
            message = f"{what} starts at {value.address:#x} and ends at {end:#x}, behind the end of {region.name} at {region.end:#x}"
            yield operand.name, message, "start it at a lower address"


system_range = rule(
    "system_range", "Every operand outside local memory lies inside one memory of the chip.", SystemRangeError, _outside_system
)


def _far_w(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    limit = chip.gdma_max_w_stride_bytes
    for operand in instruction.operands():
        strides = operand.value.strides if isinstance(operand.value, LocalTensor | SystemTensor) else None
        if limit is not None and strides is not None and strides[3] * operand.value.dtype.itemsize > limit:
            what = f"{operand.name} of {instruction.title}"
            yield (
                operand.name,
                f"the w stride of {what} is {strides[3]} elements, {strides[3] * operand.value.dtype.itemsize} bytes",
                f"{limit} bytes at most",
            )


w_stride_bytes = rule("w_stride_bytes", "Neighbouring w elements are at most 128 bytes apart.", OperandLayoutError, _far_w)
