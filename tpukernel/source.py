"""Places in source code: where a call stands, and how a message shows it.

A place is taken from the code object and the instruction that is running, so that it has line and columns without the source text: in
files, notebooks, the interactive prompt and `exec` alike. The text of the line is shown where Python still has it.
"""

from __future__ import annotations

import dis
import linecache
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

__all__ = ["Position", "assigned_name", "pinned", "position_of", "user_frame"]

_PROMPTS = (">>> ", "... ")


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


@lru_cache(maxsize=512)
def _positions(code: CodeType) -> tuple[Position, ...]:
    """The place of each instruction of a code object; columns count bytes of UTF-8."""
    found: list[Position] = []
    for line, end_line, column, end_column in code.co_positions():
        columns = (0, 0) if column is None or end_column is None else (column + 1, end_column + 1)
        found.append(Position(code.co_filename, line or 0, columns[0], end_line or line or 0, columns[1]))
    return tuple(found)


_pinned: list[Position] = []


@contextmanager
def pinned(position: Position | None) -> Iterator[None]:
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
    positions = _positions(code)
    found = positions[index] if 0 <= index < len(positions) else Position(code.co_filename, frame.f_lineno)
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


@lru_cache(maxsize=512)
def _stores(code: CodeType) -> Mapping[int, str]:
    """By the offset of an instruction, or of its inline caches: the variable into which the next one puts its result."""
    found: dict[int, str] = {}
    begin = 0
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"):
            found |= dict.fromkeys(range(begin, instruction.offset), str(instruction.argval))
        elif instruction.opname.startswith("STORE_FAST_"):  # 3.13 joins two instructions
            found |= dict.fromkeys(range(begin, instruction.offset), str(instruction.argval[0]))
        begin = instruction.offset
    return found


def assigned_name(frame: FrameType) -> str | None:
    """The variable to which the call or loop that a frame is executing assigns its result; None where there is no single one."""
    return _stores(frame.f_code).get(frame.f_lasti)
