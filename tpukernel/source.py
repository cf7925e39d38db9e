"""Places in source code: where a call stands, and how a message shows it.

A place is taken from the code object and the instruction that is running, so that it has line and columns without the source text: in
files, notebooks, the interactive prompt and `exec` alike. The text of the line is shown where Python still has it.
"""

from __future__ import annotations

import dis
import linecache
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from operator import length_hint
from pathlib import Path
from types import CodeType, FrameType

__all__ = ["Position", "assigned_name", "pinned", "position_of", "user_frame"]

_PROMPTS = (">>> ", "... ")
_REVERSE = "REVERSE"


@dataclass(frozen=True, slots=True)
class Position:
    """A stretch of source text.

    Attributes:
        file: name of the file as Python knows it.
        line: first line, from 1; 0 when unknown.
        column: first character in it, from 1; 0 when unknown.
        end_line: last line.
        end_column: first character behind the stretch in the last line.
    """

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        """`kernel.py:12:9`, with the last part of the file's path only."""
        name = self.file if self.file.startswith("<") else Path(self.file).name
        parts = (name, self.line, self.column) if self.column else (name, self.line)
        return ":".join(str(part) for part in parts if part)

    @property
    def text(self) -> str:
        """The first line of the stretch as it stands in the source; empty when Python does not have it."""
        line = linecache.getline(self.file, self.line).rstrip("\n") if self.line else ""
        return line[4:] if line.startswith(_PROMPTS) else line  # an example in a document

    def rendered(self) -> str:
        """The place with its line and a caret under the stretch, for `TpuError.where`."""
        text = self.text
        if not text.strip():
            return str(self)
        shown = text.strip()
        indent = len(text) - len(text.lstrip())
        lines = [str(self), f"     | {shown}"]
        begin = self.column - 1 - indent
        end = self.end_column - 1 - indent if self.end_line == self.line else len(shown)
        if self.column and 0 <= begin < min(end, len(shown)):
            lines.append("     | " + " " * begin + "^" * (min(end, len(shown)) - begin))
        return "\n".join(lines)


_Stretch = tuple[int, int, int, int]
"""First line, first column, last line, last column."""


@lru_cache(maxsize=512)
def _stretches(code: CodeType) -> tuple[_Stretch, ...]:
    """The place of each instruction of a code object; columns count bytes of UTF-8.

    Without the file: code objects of two files, or of two cells of a notebook, are equal if their text is.
    """
    found: list[_Stretch] = []
    for line, end_line, column, end_column in code.co_positions():
        columns = (0, 0) if column is None or end_column is None else (column + 1, end_column + 1)
        found.append((line or 0, columns[0], end_line or line or 0, columns[1]))
    return tuple(found)


_pinned: list[Position] = []


@contextmanager
def pinned(position: Position | None) -> Generator[None]:
    """Inside, `position_of` gives this place: for code that writes something down in the name of the user, on whose line it shall stand."""
    if position is None:
        yield
        return
    _pinned.append(position)
    try:
        yield
    finally:
        _pinned.pop()


def position_of(frame: FrameType) -> Position:
    """The place of what a frame is executing, or the one that is `pinned`."""
    if _pinned:
        return _pinned[-1]
    code, index = frame.f_code, frame.f_lasti // 2
    stretches = _stretches(code)
    stretch = stretches[index] if 0 <= index < len(stretches) else (frame.f_lineno, 0, 0, 0)
    found = Position(code.co_filename, *stretch)
    line = linecache.getline(found.file, found.line) if found.column else ""
    if not line or line.isascii():
        return found
    raw = line.encode()
    last = raw if found.end_line == found.line else linecache.getline(found.file, found.end_line).encode()
    begin, end = len(raw[: found.column - 1].decode(errors="replace")), len(last[: found.end_column - 1].decode(errors="replace"))
    return Position(found.file, found.line, begin + 1, found.end_line, end + 1)


def user_frame(packages: tuple[str, ...]) -> FrameType:
    """The innermost frame that belongs to none of these packages (module names or their beginnings up to a dot)."""
    frame = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and _inside(frame, packages):
        frame = frame.f_back
    return frame


def _inside(frame: FrameType, packages: tuple[str, ...]) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name == __name__ or any(name == package or name.startswith(f"{package}.") for package in packages)


def assigned_name(frame: FrameType) -> str | None:
    """The variable to which the call or loop that a frame is executing assigns its result; None where there is no single one.

    It is found for `a = f()`, `a, b = f(), g()`, `for a in f()`, and `a, b = (f() for _ in ...)`.
    """
    code = frame.f_code
    return _generated_name(frame) if code.co_name == "<genexpr>" else _targets(code).get(frame.f_lasti)


@lru_cache(maxsize=512)
def _targets(code: CodeType) -> Mapping[int, str]:
    """By the offset of an instruction, or of its inline caches: the variable that gets its result."""
    instructions = _joined(list(dis.get_instructions(code)))
    found: dict[int, str] = {}
    for number, instruction in enumerate(instructions[:-1]):
        following = instructions[number + 1 :]
        name = _followed(following) if instruction.opname.startswith("CALL") else next(iter(_stored(following[0])), None)
        if name is not None:
            found |= dict.fromkeys(range(instruction.offset, following[0].offset), name)
    return found


def _joined(instructions: Sequence[dis.Instruction]) -> list[dis.Instruction]:
    """From four values on Python assigns by making a tuple and taking it apart, which reverses them: here that is one instruction."""
    found: list[dis.Instruction] = []
    for instruction in instructions:
        if instruction.opname == "UNPACK_SEQUENCE" and found and found[-1].opname == "BUILD_TUPLE":
            found[-1] = found[-1]._replace(opname=_REVERSE)
        else:
            found.append(instruction)
    return found


def _stored(instruction: dis.Instruction) -> tuple[str, ...]:
    """The variables into which an instruction stores, the first one what lies on top of the stack. (3.13 joins two instructions.)"""
    if instruction.opname in ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"):
        return (str(instruction.argval),)
    if instruction.opname == "STORE_FAST_STORE_FAST":
        return tuple(map(str, instruction.argval))
    return (str(instruction.argval[0]),) if instruction.opname == "STORE_FAST_LOAD_FAST" else ()


def _followed(instructions: Sequence[dis.Instruction]) -> str | None:
    """The variable that gets what lies on top of the stack before these instructions, without jumps."""
    above = 0  # values that lie above it
    for instruction in instructions:
        names = _stored(instruction)
        if above < len(names):
            return names[above]
        depth = int(instruction.arg or 0) - 1
        if instruction.opname == "SWAP":
            above = depth - above if above in (0, depth) else above
            continue
        if instruction.opname == _REVERSE:
            above = depth - above if above <= depth else above
            continue
        change = dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        taken = len(names) or _taken(instruction.opname, change)
        if taken is None or taken > above:
            return None
        above += change
    return None


def _taken(name: str, change: int) -> int | None:
    """How many values an instruction takes from the stack that changes its height so; None for those that are not followed."""
    if name in ("NOP", "CACHE", "EXTENDED_ARG", "KW_NAMES", "PRECALL"):
        return -change
    if name in ("LOAD_ATTR", "LOAD_METHOD"):
        return 1
    if name.startswith("LOAD_") or name in ("PUSH_NULL", "COPY"):
        return 0 if change > 0 else None
    return 1 - change if name.startswith(("CALL", "BINARY_", "BUILD_", "COMPARE_", "UNARY_")) else None


def _generated_name(frame: FrameType) -> str | None:
    """The variable that gets what a generator expression is making, which is being unpacked: `a, b = (f() for _ in range(2))`."""
    outer = frame.f_back
    if outer is None or any(each.opname.startswith("POP_JUMP") for each in dis.get_instructions(frame.f_code)):
        return None  # with a condition nobody knows how many came before
    names = _unpacked(outer.f_code).get(outer.f_lasti, ())
    number = len(names) - 1 - length_hint(frame.f_locals.get(".0"), len(names))
    return names[number] if 0 <= number < len(names) else None


@lru_cache(maxsize=512)
def _unpacked(code: CodeType) -> Mapping[int, tuple[str, ...]]:
    """By the offset of an instruction that unpacks a sequence: the variables that get its items."""
    found: dict[int, tuple[str, ...]] = {}
    instructions = list(dis.get_instructions(code))
    for number, instruction in enumerate(instructions):
        if instruction.opname == "UNPACK_SEQUENCE":
            names: tuple[str, ...] = ()
            for each in instructions[number + 1 :]:
                stored = _stored(each)
                if not stored or len(names) >= int(instruction.argval):
                    break
                names += stored
            found[instruction.offset] = names if len(names) == instruction.argval else ()
    return found
