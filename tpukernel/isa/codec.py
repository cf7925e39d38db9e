"""Command streams and instructions: `decode` and `encode`.

A stream is what a BModel holds for one engine: commands back to back, as a rule closed by an end command and then filled with zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tpukernel.chips.chip import Chip, Engine, chip_of
from tpukernel.isa.errors import (
    EndCommandError,
    EngineError,
    FieldValueError,
    TrailingBytesError,
    TruncatedStreamError,
    UnknownCommandError,
    UnsupportedCommandError,
)
from tpukernel.isa.format import Bits, Format
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.tables import InstructionSet, instruction_set

__all__ = ["decode", "encode"]


@dataclass(frozen=True, slots=True)
class _Head:
    """Where a command says what it is.

    Attributes:
        begin, end: bytes that hold the number of the operation: the code and above it the sub-operation.
        shift, mask: that number in them.
        code_bits: width of the code.
        short: the bit of the first byte that says that it is a short command.
    """

    begin: int
    end: int
    shift: int
    mask: int
    code_bits: int
    short: int


_HEADS: dict[Engine, _Head] = {"tiu": _Head(5, 7, 1, 0x1FF, 4, 1), "gdma": _Head(4, 5, 0, 0x7F, 4, 8)}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of command: class, format, bytes, the bit that says that it is short, and whether it can be the end of a stream."""

    unit: type[Instruction]
    format: Format
    bytes: int
    short: int
    may_end: bool


@cache
def _kinds(chip: Chip, engine: Engine) -> dict[int, _Kind]:
    """By the number of the operation: the kinds of commands of an engine."""
    head = _HEADS[engine]
    return {
        sub << head.code_bits | code: _Kind(
            unit, format, format.bytes, head.short if unit.fixed.get("cmd_short", 0) else 0, unit.is_end is not Instruction.is_end
        )
        for (of, code, sub), (unit, format) in instruction_set(chip).commands.items()
        if of == engine
    }


_CUT = "the stream was cut, or is none: check where it starts and how many bytes it has"
_NO_STREAM = "check that these are the bytes of a command stream, of this engine and for this chip"


def decode(chip: Chip | str, engine: Engine, data: bytes | bytearray | memoryview) -> list[Instruction]:
    """The instructions of a command stream.

    Every bit is kept: what no operand explains is the instruction's `residue`. Zeros behind an end command are filling and become nothing.

    Args:
        chip: the chip or its name.
        engine: whose stream it is, `tiu` or `gdma`.
        data: the stream; empty gives an empty list.

    Raises:
        TruncatedStreamError: it ends inside a command.
        UnknownCommandError: bytes that are no command of the chip.
        UnsupportedCommandError: a command that the tables name but nobody emits.
        FieldValueError: a field holds a number without a meaning.
        TrailingBytesError: something other than zeros follows the end command.
        EngineError: no such engine.
    """
    chip = chip_of(chip)
    if engine not in _HEADS:
        raise EngineError(f"there is no engine {engine!r}", help="use 'tiu' or 'gdma'")
    commands = instruction_set(chip)
    head, kinds, valid = _HEADS[engine], _kinds(chip, engine), _Controls()
    begin, need, shift, mask, short = head.begin, head.end, head.shift, head.mask, head.short
    data = bytes(data)
    found: list[Instruction] = []
    offset, size = 0, len(data)
    while offset < size:
        if size - offset < need:
            raise TruncatedStreamError(
                f"bytes are left, but too few for a command: {size - offset}", engine=engine, offset=offset, help=_CUT
            )
        number = int.from_bytes(data[offset + begin : offset + need], "little") >> shift & mask
        kind = kinds.get(number)
        if kind is None or data[offset] & short != kind.short:
            raise _no_command(commands, engine, offset, number, bool(data[offset] & short))
        unit, format = kind.unit, kind.format
        end = offset + kind.bytes
        if end > size:
            raise TruncatedStreamError(
                f"the command {format.name} has {format.bytes} bytes, but only {size - offset} are left",
                engine=engine,
                offset=offset,
                help=_CUT,
            )
        bits = Bits(format, int.from_bytes(data[offset:end], "little"))
        valid.check(unit, bits, engine, offset)
        instruction = unit.view(bits, (engine, offset))
        found.append(instruction)
        offset = end
        if kind.may_end and instruction.is_end:
            rest = data[offset:].lstrip(b"\0")
            if rest:
                raise TrailingBytesError(
                    f"{len(rest)} bytes that are not all zero follow the end command",
                    engine=engine,
                    offset=size - len(rest),
                    help="decode each command group on its own",
                )
            break
    return found


class _Controls:
    """Checks the control fields of commands, once for each combination: streams repeat a few of them."""

    def __init__(self) -> None:
        self._seen: set[tuple[type[Instruction], int]] = set()

    def check(self, unit: type[Instruction], bits: Bits, engine: Engine, offset: int) -> None:
        control = bits.record & bits.format.control_mask
        if (unit, control) in self._seen:
            return
        control_bits = Bits(bits.format, control)
        instruction = unit.view(control_bits)
        for spec in unit.checked:
            field = spec.invalid(instruction, control_bits)
            if field is not None:
                raise FieldValueError(
                    f"{bits.format.name}: {field} = {bits[field]} has no meaning", engine=engine, offset=offset, help=_NO_STREAM
                )
        self._seen.add((unit, control))


def _no_command(
    commands: InstructionSet, engine: Engine, offset: int, number: int, short: bool
) -> UnknownCommandError | UnsupportedCommandError:
    code_bits = _HEADS[engine].code_bits
    code, sub = number & (1 << code_bits) - 1, number >> code_bits
    chip, numbers = commands.chip, f"operation code {code}, sub-operation {sub}"
    name = commands.never_emitted.get((engine, code, sub))
    if name is not None:
        return UnsupportedCommandError(
            f"{chip}: {name} ({numbers}) is never emitted and not supported", engine=engine, offset=offset, help=_NO_STREAM
        )
    if (engine, code, sub) in commands.commands:
        format = commands.commands[engine, code, sub][1]
        form = "short" if short else "long"
        return UnsupportedCommandError(
            f"{chip}: the {form} form of {format.name} ({numbers}) is never emitted and not supported",
            engine=engine,
            offset=offset,
            help="if these are zeros, the stream has no end command" if not (code or sub or short) else _NO_STREAM,
        )
    return UnknownCommandError(f"{chip} has no {engine} command with {numbers}", engine=engine, offset=offset, help=_NO_STREAM)


def encode(chip: Chip | str, instructions: Iterable[Instruction]) -> bytes:
    """The command stream of instructions of one engine. After an end command it is filled with zeros to the chip's stream alignment.

    Raises:
        EndCommandError: instructions follow an end command.
        EngineError: the instructions are of different engines.
        FieldRangeError, OperandConflictError, LegalityError: an instruction cannot be encoded (see `Instruction.encoded`).
    """
    chip = chip_of(chip)
    parts: list[bytes] = []
    engine: Engine | None = None
    ended = False
    for instruction in instructions:
        if ended:
            raise EndCommandError(f"{instruction.title} follows the end command", help="put the end command last")
        if engine is None:
            engine = instruction.engine
        elif instruction.engine != engine:
            raise EngineError(
                f"{instruction.title} is a {instruction.engine} command in a {engine} stream", help="encode each engine on its own"
            )
        bits = instruction.encoded(chip)
        parts.append(bits.record.to_bytes(bits.format.bytes, "little"))
        ended = instruction.is_end
    data = b"".join(parts)
    return data + bytes(-len(data) % chip.stream_alignment) if ended else data
