"""`tpukernel disasm`: command streams as text."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tpukernel.chips.chip import Chip, Engine, chip_of
from tpukernel.chips.tensors import Constant, LocalTensor, Operand
from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.listing import line
from tpukernel.isa.program import Program
from tpukernel.isa.sources import CommandStreams, read_streams

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["MAX_STREAM_BYTES", "StreamFileError", "add_parser", "read_stream"]

MAX_STREAM_BYTES = 1 << 30
"""Largest file that is taken for a command stream."""


class StreamFileError(TpuError, code="CLI101"):
    """A file that was given as a command stream cannot be one."""


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "disasm",
        help="show command streams as text",
        description="Show the command streams of a file (a BModel), or raw streams, one line a command.",
    )
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="file with command streams, whose format a reader is registered for"
    )
    parser.add_argument("--group", metavar="TEXT", help="of FILE, only the command groups whose title contains TEXT")
    parser.add_argument("--tiu", type=Path, metavar="FILE", help="stream of the TIU")
    parser.add_argument("--gdma", type=Path, metavar="FILE", help="stream of the GDMA")
    parser.add_argument("--chip", default="BM1684X", help="chip the streams are for (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="also check every command against the rules of the chip")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of text")
    parser.set_defaults(run=_run, parser=parser)


def _run(arguments: argparse.Namespace) -> str:
    raw = [path for path in (arguments.tiu, arguments.gdma) if path is not None]
    if bool(raw) == bool(arguments.file):
        arguments.parser.error("give --tiu FILE, --gdma FILE or both, or a FILE that has both")
    if arguments.file:
        return _file(arguments.file, arguments.group or "", check=arguments.check, as_json=arguments.json)
    chip = chip_of(arguments.chip)
    program = Program.from_streams(chip, tiu=_stream(arguments.tiu), gdma=_stream(arguments.gdma))
    instructions = _instructions(program, both=len(raw) == 2, check=arguments.check)
    if arguments.json:
        return json.dumps([_plain(instruction) for instruction in instructions], indent=1)
    return _text(program, instructions)


def _file(path: Path, wanted: str, *, check: bool, as_json: bool) -> str:
    """The command groups of a file."""
    found: list[tuple[CommandStreams, Program, list[Instruction]]] = []
    for group in read_streams(path):
        if wanted in group.title:
            program = Program.from_streams(group.chip, tiu=group.tiu, gdma=group.gdma)
            found.append((group, program, _instructions(program, both=True, check=check)))
    if as_json:
        groups = [
            {"title": group.title, "chip": group.chip, "commands": [_plain(instruction) for instruction in instructions]}
            for group, _, instructions in found
        ]
        return json.dumps(groups, indent=1)
    return "\n\n".join(f"# {group.title}\n{_text(program, instructions)}" for group, program, instructions in found)


def _instructions(program: Program, *, both: bool, check: bool) -> list[Instruction]:
    """The commands in an order that their numbers allow; of one engine alone, in the order of its stream."""
    instructions = list(program) if both else [*program.groups[0].tiu, *program.groups[0].gdma]
    if check:
        for instruction in instructions:
            instruction.check(program.chip)
    return instructions


def _text(program: Program, instructions: list[Instruction]) -> str:
    return "\n".join([*_lines(instructions, program.chip), _summary(program)])


def _stream(path: Path | None) -> bytes:
    return b"" if path is None else read_stream(path)


def read_stream(path: Path, limit: int = MAX_STREAM_BYTES) -> bytes:
    """The bytes of a stream file; also of a pipe, of which nobody knows the size before it ends.

    Raises:
        StreamFileError: there are more than `limit` bytes.
        OSError: the file cannot be read.
    """
    if path.stat().st_size <= limit:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) <= limit:
            return data
    raise StreamFileError(
        f"{path} has more than {limit} bytes, too many for a command stream", help="give the bytes of one command group, of one engine"
    )


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
