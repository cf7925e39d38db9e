"""The instruction: one command of one hardware unit with typed operands.

A unit is a class that declares its operands and attributes once, with the field specifiers of `isa.spec`:

    class Arith(Instruction):
        unit = "AR"
        op: ArithOp = attribute("tsk_eu_typ", ArithOp)
        dst: LocalTensor = local("res0", ...)

The declaration says what a thing means and which fields of the command hold it, so that it serves in both directions. An instruction is
immutable. One that was decoded is a view: it keeps the bits of the command, and an operand is read from them when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass
from enum import IntEnum
from types import MemberDescriptorType
from typing import TYPE_CHECKING, ClassVar, Self, cast, dataclass_transform

from tpukernel.chips.chip import CHIPS, Chip, Engine, chip_of
from tpukernel.chips.tensors import Constant, LocalTensor, Operand, SystemTensor
from tpukernel.isa.errors import IsaError, LegalityError, OperandConflictError
from tpukernel.isa.format import Bits, BitWriter, Format
from tpukernel.isa.spec import (
    REQUIRED,
    Direction,
    OperandField,
    Spec,
    attribute,
    constant,
    local,
    local_or_constant,
    optional_attribute,
    optional_constant,
    optional_local,
    optional_local_or_constant,
)

if TYPE_CHECKING:
    from tpukernel.isa.rules import Rule

__all__ = ["Instruction", "OperandUse"]

Origin = str | tuple[str, int] | None
"""Where an instruction comes from: a text, or (engine, offset) of a stream."""


@dataclass(frozen=True, slots=True)
class OperandUse:
    """One operand of one instruction: its name, what it is, and whether it is read, written or both."""

    name: str
    value: Operand
    direction: Direction


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    eq_default=False,
    field_specifiers=(
        attribute,
        optional_attribute,
        local,
        optional_local,
        local_or_constant,
        optional_local_or_constant,
        constant,
        optional_constant,
    ),
)
class _Declared:
    """Collects the specifiers of a class, so that type checkers see a keyword-only frozen dataclass."""

    specs: ClassVar[dict[str, Spec[object]]] = {}
    """Operands and attributes by name, in the order of declaration."""

    checked: ClassVar[tuple[Spec[object], ...]] = ()
    """The specifiers under which a command can hold a number without a meaning."""

    __slots__ = ("_bits", "_origin", "_residue", "_values")

    _bits: Bits | None
    _values: dict[str, object]
    _residue: dict[str, int] | None
    _origin: Origin

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.specs = dict(cls.specs) | {name: value for name, value in vars(cls).items() if isinstance(value, Spec)}
        cls.checked = tuple(spec for spec in cls.specs.values() if spec.can_be_invalid)


class Instruction(_Declared):
    """One command. Subclasses are the hardware units; all arguments are keywords.

    Attributes:
        unit: name of the unit in the chips' tables; class attribute.
        family: first part of the name in listings, for example `arith`; class attribute.
        engine: `tiu` or `gdma`; class attribute.
        fixed: fields that hold the same number in every command of the unit; class attribute.
        rules: what the chip demands of the operands; class attribute.
        in_place: whether a result may lie on an operand, element on element: True (elementwise units), or the operations for which it
            may; class attribute.
        indexed: operands of which data selects the elements that are read, so that not all of them need to hold something; class attribute.
        id: number of the command among those of its engine, from 1 on; 0 while it is in no program.
        depends: number of the last command of the other engine that must be finished before this one starts; 0 for none.
    """

    unit: ClassVar[str]
    family: ClassVar[str]
    engine: ClassVar[Engine]
    fixed: ClassVar[Mapping[str, int]] = {}
    rules: ClassVar[tuple[Rule, ...]] = ()
    in_place: ClassVar[bool | frozenset[int]] = False
    indexed: ClassVar[frozenset[str]] = frozenset()

    __slots__ = ()

    id: int = attribute("cmd_id", int, default=0)
    depends: int = attribute("cmd_id_dep", int, default=0)

    def __init__(self, **values: object) -> None:
        unknown = values.keys() - self.specs.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(self.specs)}")
        for name, spec in self.specs.items():
            if name not in values:
                if spec.default is REQUIRED:
                    raise TypeError(f"{type(self).__name__} needs {name}")
                values[name] = spec.default
            elif isinstance(spec, OperandField) and not isinstance(values[name], LocalTensor | SystemTensor | Constant | None):
                raise TypeError(
                    f"{name} of {type(self).__name__} is {values[name]!r}, not a LocalTensor, SystemTensor or Constant; "
                    "Constant.of(number, dtype) makes one of a number"
                )
        _set(self, None, values, {}, None)

    @classmethod
    def view(cls, bits: Bits, origin: Origin = None) -> Self:
        """The instruction that the bits of a command stand for. Nothing is read yet."""
        instruction = object.__new__(cls)
        _set(instruction, bits, {}, None, origin)
        return instruction

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to {name}: instructions are immutable, use replace()")

    @property
    def where(self) -> str | None:
        """Which command of its engine this is, and where it was read or written, as far as that is known; for messages."""
        if isinstance(self._origin, str):
            return self._origin
        known = [f"{self.engine} command {self.id}"] if self.id else []
        known += [f"offset {self._origin[1]}"] if self._origin else []
        return ", ".join(known) or None

    @property
    def source(self) -> str | None:
        """Where somebody wrote it, if that is known (see `located`)."""
        return self._origin if isinstance(self._origin, str) else None

    def located(self, source: str) -> Self:
        """The same instruction with the place where somebody wrote it, for messages and timelines."""
        instruction = object.__new__(type(self))
        _set(instruction, self._bits, self._values, self._residue, source)
        return instruction

    # ------------------------------------------------------------------ values

    @property
    def bits(self) -> Bits | None:
        """The bits of the command, if it was decoded or has been encoded before (see `encoded`)."""
        return self._bits

    @property
    def numbers(self) -> tuple[int, int]:
        """`id` and `depends`, at less cost than both on their own."""
        bits = self._bits
        if bits is None:
            return self.id, self.depends
        low, mask, awaited_low, awaited_mask = bits.format.numbers
        record = bits.record
        return record >> low & mask, record >> awaited_low & awaited_mask

    def value_of(self, name: str) -> object:
        """The operand or attribute of that name."""
        values = self._values
        if name not in values and self._bits is not None:
            values[name] = self.specs[name].read(self, self._bits)
        return values[name]

    @property
    def residue(self) -> Mapping[str, int]:
        """Fields whose numbers no operand or attribute explains (leftovers of the library that wrote the command), kept for re-encoding."""
        residue = self._residue
        if residue is None:
            bits = self._bits
            residue = {} if bits is None else _differences(bits, self._written(bits.format))
            object.__setattr__(self, "_residue", residue)
        return residue

    def replace(self, **changes: object) -> Self:
        """The same instruction with some operands or attributes changed; the residue stays."""
        values = {name: self.value_of(name) for name in self.specs}
        changed = type(self)(**(values | changes))
        _set(changed, None, values | changes, dict(self.residue), self._origin)
        return changed

    def numbered(self, id: int, depends: int) -> Self:
        """The same instruction with these command numbers (as `replace`, but cheap for a decoded one)."""
        if self._bits is None:
            instruction = object.__new__(type(self))
            _set(instruction, None, self._values | {"id": id, "depends": depends}, self._residue, self._origin)
            return instruction
        masks, record = self._bits.format.masks, self._bits.record
        for field, number in (("cmd_id", id), ("cmd_id_dep", depends)):
            low, mask = masks[field]
            if not 0 <= number <= mask:
                return self.replace(id=id, depends=depends)  # refused there, with a name
            record = record & ~(mask << low) | number << low
        instruction = object.__new__(type(self))
        values = self._values | {"id": id, "depends": depends}
        _set(instruction, Bits(self._bits.format, record), values, self._residue, self._origin)
        return instruction

    # ------------------------------------------------------------------ encoding

    def encoded(self, chip: Chip | str) -> Bits:
        """The bits of the command for that chip.

        Raises:
            ChipSupportError: the chip has no such unit.
            FieldRangeError: a value does not fit its field.
            OperandConflictError: operands contradict each other, or ask for something that the command cannot say.
            LegalityError: an operand is missing, of the wrong kind, type or layout.
        """
        chip = chip_of(chip)
        if self._bits is not None and self._bits.chip is chip:
            return self._bits
        from tpukernel.isa.tables import format_of  # the tables import the units

        format = format_of(chip, type(self))
        try:
            written = self._written(format)
            self._verify(written)
        except IsaError as error:
            error.where = error.where or self.where
            raise
        record: int = written.record
        for field, number in self.residue.items():
            low, mask = format.masks[field]
            record = record & ~(mask << low) | number << low
        bits = Bits(format, record)
        _set(self, bits, self._values, self._residue, self._origin)
        return bits

    def _written(self, format: Format) -> BitWriter:
        bits = BitWriter(format, self.title)
        for field, number in self.fixed.items():
            bits.put(field, number, type(self).__name__)
        for name, spec in self.specs.items():
            spec.write(self, bits, self.value_of(name))
        self.write_derived(bits)
        return bits

    def write_derived(self, bits: BitWriter) -> None:
        """Put the fields that follow from the operands, for example their number. For the units to override."""

    def _verify(self, written: Bits) -> None:
        view = type(self).view(written)
        for name, spec in self.specs.items():
            given, read = self.value_of(name), view.value_of(name)
            if not spec.same(given, read):
                raise OperandConflictError(
                    f"{name} of {self.title} is {_show(given)}, but the command can only say {_show(read)}",
                    help="make it agree with the other operands",
                )

    # ------------------------------------------------------------------ meaning

    @property
    def op_name(self) -> str:
        """Second part of the name: the operation within the unit; empty where the unit does one thing."""
        op = self.value_of("op") if "op" in self.specs else None
        return str(getattr(op, "name", "")).lower()

    @property
    def title(self) -> str:
        """Name in listings and messages: `arith.add`."""
        return f"{self.family}.{self.op_name}" if self.op_name else self.family

    def operands(self) -> Iterator[OperandUse]:
        """The operands that this instruction has, in the order of declaration."""
        for name, spec in self.specs.items():
            if isinstance(spec, OperandField):
                value = self.value_of(name)
                if isinstance(value, LocalTensor | SystemTensor | Constant):
                    yield OperandUse(name, value, spec.direction(self))
        partial = self.partial_sum
        if partial is not None and partial != self.value_of("dst"):
            yield OperandUse("partial_sum", partial, "in")

    @property
    def partial_sum(self) -> LocalTensor | None:
        """What a result is added to before it is written in its place; None where nothing is."""
        return None

    def attributes(self) -> dict[str, object]:
        """The attributes that this instruction has, without its operands, operation and numbers."""
        hidden = {"op", "id", "depends"}
        found = {n: self.value_of(n) for n, spec in self.specs.items() if not isinstance(spec, OperandField) and n not in hidden}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def works_in_place(self) -> bool:
        """Whether a result of this instruction may lie on an operand, element on element."""
        return self.in_place if isinstance(self.in_place, bool) else self.value_of("op") in self.in_place

    @property
    def is_end(self) -> bool:
        """Whether this command ends its stream."""
        return False

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of the command."""
        return 0

    @property
    def bytes_moved(self) -> int:
        """Bytes that the command writes to memory as a DMA command; 0 for the TIU."""
        return 0

    def problems(self, chip: Chip | str) -> list[LegalityError]:
        """Every rule of the chip that this instruction breaks; empty for a legal one."""
        chip = chip_of(chip)
        found: list[LegalityError] = []
        for rule in self.rules:
            found.extend(rule.find(self, chip))
        for problem in found:
            problem.where = problem.where or self.where
        return found

    def check(self, chip: Chip | str) -> None:
        """Raise the first of `problems`.

        Raises:
            LegalityError: the chip forbids this instruction.
        """
        for problem in self.problems(chip):
            raise problem

    # Two instructions are equal when their commands are, decoded or not, encoded before or not. One that no command can say equals only
    # one of the same operands.

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Instruction) or type(self) is not type(other):
            return NotImplemented
        if self._bits is not None and other._bits is not None and self._bits.format is other._bits.format:
            return self._bits.record == other._bits.record
        if all(self.value_of(name) == other.value_of(name) for name in self.specs) and self.residue == other.residue:
            return True
        bits = self._bits or other._bits
        for chip in CHIPS.values() if bits is None else (bits.chip,):
            try:
                return self.encoded(chip).record == other.encoded(chip).record
            except IsaError:  # not on this chip, or no command at all
                continue
        return False

    def __hash__(self) -> int:
        return hash((type(self), self.id, self.depends))

    # An instruction cannot change, so that it is its own copy. What goes into a pickle is what it is made of, also the bits: a command that
    # no operands could have made must come out as it was.

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        command = None if self._bits is None else (self._bits.chip, self._bits.record)
        return _restored, (type(self), command, self._values, self._residue, self._origin)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={_show(self.value_of(name))}" for name, spec in self.specs.items() if self.value_of(name) != spec.default
        )
        residue = f" with residue {dict(self.residue)}" if self.residue else ""
        return f"{type(self).__name__}({shown}){residue}"


_put_bits, _put_values, _put_residue, _put_origin = (
    cast("MemberDescriptorType", vars(_Declared)[name]).__set__ for name in ("_bits", "_values", "_residue", "_origin")
)
"""What puts a value into an attribute, instructions being immutable; `object.__setattr__` would look for the attribute first."""


def _set(instruction: Instruction, bits: Bits | None, values: dict[str, object], residue: dict[str, int] | None, origin: Origin) -> None:
    _put_bits(instruction, bits)
    _put_values(instruction, values)
    _put_residue(instruction, residue)
    _put_origin(instruction, origin)


def _restored(
    unit: type[Instruction],
    command: tuple[Chip, int] | None,
    values: dict[str, object],
    residue: dict[str, int] | None,
    origin: Origin,
) -> Instruction:
    """The instruction that `Instruction.__reduce__` took apart."""
    from tpukernel.isa.tables import format_of

    instruction = object.__new__(unit)
    bits = None if command is None else Bits(format_of(command[0], unit), command[1])
    _set(instruction, bits, values, residue, origin)
    return instruction


def _differences(have: Bits, explained: Bits) -> dict[str, int]:
    return {name: have[name] for name in have.format.masks if have[name] != explained[name]}


def _show(value: object) -> str:
    return value.name if isinstance(value, IntEnum) else repr(value)
