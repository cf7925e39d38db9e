"""The instruction set of each chip: which class stands for which command, and in which bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, cached_property

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.isa.errors import ChipSupportError
from tpukernel.isa.format import Format
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import Attribute

__all__ = ["InstructionSet", "format_of", "instruction_set"]

_KEY_FIELDS = {"tiu": ("tsk_typ", "tsk_eu_typ"), "gdma": ("cmd_type", "cmd_special_function")}


@dataclass(frozen=True)
class InstructionSet:
    """The commands of one chip.

    Attributes:
        chip: the chip.
        units: the instruction classes, each with the format of its command.
        never_emitted: (engine, operation code, sub-operation) -> name of what the tables know but nobody emits.
    """

    chip: Chip
    units: Mapping[type[Instruction], Format]
    never_emitted: Mapping[tuple[str, int, int], str]

    @cached_property
    def commands(self) -> dict[tuple[str, int, int], tuple[type[Instruction], Format]]:
        """(engine, operation code, sub-operation) -> class and format."""
        found: dict[tuple[str, int, int], tuple[type[Instruction], Format]] = {}
        for unit, format in self.units.items():
            code_field, sub_field = _KEY_FIELDS[unit.engine]
            for sub in _numbers(unit, sub_field):
                found[unit.engine, unit.fixed[code_field], sub] = unit, format
        return found


def _numbers(unit: type[Instruction], field: str) -> frozenset[int]:
    """The numbers that a unit can have in a field: fixed, or those of the enumeration that lies there."""
    if field in unit.fixed:
        return frozenset({unit.fixed[field]})
    for spec in unit.specs.values():
        if isinstance(spec, Attribute) and spec.field == field and issubclass(spec.kind, IntEnum):
            return frozenset(int(member) for member in spec.kind)
    return frozenset({0})


@cache
def instruction_set(chip: Chip | str) -> InstructionSet:
    """The instruction set of a chip.

    Raises:
        ChipSupportError: the instructions of that chip are not described.
    """
    chip = chip_of(chip)
    if chip.name == "BM1684X":
        from tpukernel.isa.bm1684x import BM1684X_SET

        return BM1684X_SET
    raise ChipSupportError(f"the instructions of {chip} are not described", help="use BM1684X")


def format_of(chip: Chip, unit: type[Instruction]) -> Format:
    """The command format of a unit on a chip.

    Raises:
        ChipSupportError: the chip has no such unit.
    """
    found = instruction_set(chip).units.get(unit)
    if found is None:
        raise ChipSupportError(f"{chip} has no unit {unit.__name__}")
    return found
