"""`tpukernel disasm`: command streams as text."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, LocalTensor, Operand
from tpukernel.cli.streams import add_stream_arguments, groups_of
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.listing import line
from tpukernel.isa.program import Program
from tpukernel.isa.sources import CommandStreams

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "disasm",
        help="show command streams as text",
        description="Show the command streams of a file (a BModel), or raw streams, one line a command.",
    )
    add_stream_arguments(parser)
    parser.add_argument("--check", action="store_true", help="also check every command against the rules of the chip")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of text")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    both = bool(arguments.file or (arguments.tiu and arguments.gdma))
    found = [_Shown.of(group, both=both, check=arguments.check) for group in groups_of(arguments)]
    if not arguments.file:
        (alone,) = found
        return json.dumps(alone.plain(), indent=1) if arguments.json else alone.text()
    if arguments.json:
        return json.dumps([{"title": each.group.title, "chip": each.group.chip, "commands": each.plain()} for each in found], indent=1)
    return "\n\n".join(f"# {each.group.title}\n{each.text()}" for each in found)


@dataclass(frozen=True)
class _Shown:
    """A command group with its commands in the order in which they are shown."""

    group: CommandStreams
    program: Program
    instructions: list[Instruction]

    @classmethod
    def of(cls, group: CommandStreams, *, both: bool, check: bool) -> _Shown:
        program = Program.from_streams(group.chip, tiu=group.tiu, gdma=group.gdma)
        return cls(group, program, _instructions(program, both=both, check=check))

    def text(self) -> str:
        return "\n".join([*_lines(self.instructions, self.program.chip), _summary(self.program)])

    def plain(self) -> list[dict[str, object]]:
        return [_plain(instruction) for instruction in self.instructions]


def _instructions(program: Program, *, both: bool, check: bool) -> list[Instruction]:
    """The commands in an order that their numbers allow; of one engine alone, in the order of its stream."""
    instructions = list(program) if both else [*program.groups[0].tiu, *program.groups[0].gdma]
    if check:
        for instruction in instructions:
            instruction.check(program.chip)
    return instructions


def _lines(instructions: Iterable[Instruction], chip: Chip) -> Iterator[str]:
    return (line(instruction, chip) for instruction in instructions)


def _summary(program: Program) -> str:
    found = program.statistics()
    engines: tuple[Engine, Engine] = ("tiu", "gdma")
    commands = ", ".join(f"{found.commands[engine]} {engine} commands in {found.stream_bytes[engine]} bytes" for engine in engines)
    return f"# {commands}; {found.macs} MACs, {found.bytes_moved} bytes moved"


def _plain(instruction: Instruction) -> dict[str, object]:
    return {
        "engine": instruction.engine,
        "id": instruction.id,
        "depends": instruction.depends,
        "name": instruction.title,
        "operands": {use.name: {"direction": use.direction, **_plain_operand(use.value)} for use in instruction.operands()},
        "attributes": {
            name: value.name.lower() if isinstance(value, IntEnum) else value for name, value in instruction.attributes().items()
        },
        "residue": dict(instruction.residue),
    }


def _plain_operand(value: Operand) -> dict[str, object]:
    if isinstance(value, Constant):
        return {"kind": "constant", "dtype": value.dtype.name, "bits": value.bits}
    kind = "local" if isinstance(value, LocalTensor) else "system"
    plain: dict[str, object] = {"kind": kind, "dtype": value.dtype.name, "address": value.address, "shape": value.shape}
    if isinstance(value, LocalTensor):
        plain["layout"] = value.layout.value
    return plain | {"strides": value.strides}
