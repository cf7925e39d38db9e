"""A command format: which bits of a command hold which field; and reading and writing those bits.

A command is handled as one Python int, bit 0 being the lowest bit of its first byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import index
from types import MappingProxyType

from tpukernel.chips.chip import Chip
from tpukernel.isa.errors import FieldRangeError, OperandConflictError

__all__ = ["BitWriter", "Bits", "Format"]


@dataclass(frozen=True)
class Format:
    """The bit fields of one kind of command of one chip.

    Attributes:
        name: name of the kind in the chip's tables, for example `AR`.
        chip: the chip.
        layout: the fields, lowest bit first, as `name:width`; `_` for bits without a use.
    """

    name: str
    chip: Chip
    layout: str

    @cached_property
    def fields(self) -> Mapping[str, tuple[int, int]]:
        """Field name -> (lowest bit, width). Bits without a use are called `unused<lowest bit>`."""
        found: dict[str, tuple[int, int]] = {}
        position = 0
        for entry in self.layout.split():
            name, width = entry.split(":")
            found[f"unused{position}" if name == "_" else name] = position, int(width)
            position += int(width)
        return MappingProxyType(found)

    @cached_property
    def masks(self) -> Mapping[str, tuple[int, int]]:
        """Field name -> (lowest bit, mask before shifting back)."""
        return MappingProxyType({name: (low, (1 << width) - 1) for name, (low, width) in self.fields.items()})

    @cached_property
    def control_mask(self) -> int:
        """The bits of all fields that are no sizes, strides, addresses or numbers, that is, of all fields narrower than 16 bits."""
        return sum(((1 << width) - 1) << low for low, width in self.fields.values() if width < 16)

    @cached_property
    def numbers(self) -> tuple[int, int, int, int]:
        """Lowest bit and mask of the command's own number, and of the one that it waits for."""
        return *self.masks["cmd_id"], *self.masks["cmd_id_dep"]

    @cached_property
    def bits(self) -> int:
        """Width of the command."""
        return sum(int(entry.split(":")[1]) for entry in self.layout.split())

    @cached_property
    def bytes(self) -> int:
        """Bytes of the command."""
        return self.bits // 8

    def values(self, record: int) -> dict[str, int]:
        """Every field of a command that is not zero."""
        read = {name: (record >> low) & mask for name, (low, mask) in self.masks.items()}
        return {name: value for name, value in read.items() if value}


class Bits:
    """The fields of one command, for reading: `bits["res0_n"]`."""

    __slots__ = ("_masks", "format", "record")

    def __init__(self, format: Format, record: int) -> None:
        self.format = format
        self.record: int = record
        self._masks = format.masks

    def __getitem__(self, field: str) -> int:
        low, mask = self._masks[field]
        return (self.record >> low) & mask

    def __contains__(self, field: str) -> bool:
        return field in self._masks

    @property
    def chip(self) -> Chip:
        return self.format.chip


class BitWriter(Bits):
    """The fields of one command, for writing. A field may be written twice only with the same value."""

    __slots__ = ("_owner", "title")

    def __init__(self, format: Format, title: str = "") -> None:
        super().__init__(format, 0)
        self.title = title or format.name
        self._owner: dict[str, tuple[str, int, str]] = {}

    def put(self, field: str, value: int, owner: str, *, bias: int = 0, meaning: str = "") -> None:
        """Write `value`, of which the field holds `value - bias`.

        Args:
            field: the field.
            value: the number.
            owner: the operand or attribute that asks for it; for messages, as is all that follows.
            bias: the number that the field counts from.
            meaning: what the number stands for.

        Raises:
            FieldRangeError: the value does not fit the field.
            OperandConflictError: another owner wrote another value there.
        """
        low, width = self.format.fields[field]
        number = index(value) - bias  # numpy's integers would overflow when they are shifted
        if not 0 <= number < 1 << width:
            raise FieldRangeError(
                f"{owner} of {self.title}: {value} does not fit the {width} bits of {field}",
                help=f"keep it between {bias} and {bias + (1 << width) - 1}",
            )
        if field not in self._owner:
            self._owner[field] = owner, value, meaning
        elif self[field] != number:
            other, others, others_meaning = self._owner[field]
            raise OperandConflictError(
                f"{owner} of {self.title} asks for {field} = {_told(value, meaning)}, but {other} asks for "
                f"{_told(others, others_meaning)}, and the command has it once",
                help=f"make {other} and {owner} agree",
            )
        self.record |= number << low

    def put_part(self, field: str, start: int, width: int, value: int, owner: str, *, signed: bool = False) -> None:
        """Write `value`, `signed` as two's complement, to `width` bits of a field that several attributes share, from its bit `start` on.

        Raises:
            FieldRangeError: the value does not fit these bits.
        """
        low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
        if not low <= value <= high:
            raise FieldRangeError(
                f"{owner} of {self.title}: {value} does not fit its {width} bits of {field}",
                help=f"keep it between {low} and {high}",
            )
        self.record |= (value & ((1 << width) - 1)) << (self.format.fields[field][0] + start)


def _told(value: int, meaning: str) -> str:
    return f"{value} ({meaning})" if meaning else str(value)
