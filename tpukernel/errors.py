"""The base of every error of the project, and the catalogue of all of them.

One class per error. A class names its stable code (`ISA104`); the code is what a user searches for, what `docs/errors/<CODE>.md`
explains and what a script may test. Codes are never reused.

An error is told in this form; each part after the first line is present when it is known:

    ISA104: dst of arith.add starts at byte 0x24, but an EU-aligned tensor must start at a multiple of 64
      at tiu command 12, offset 768
      help: start the tensor at 0x40, or give strides
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["TpuError", "catalogue"]

_CATALOGUE: dict[str, type[TpuError]] = {}


class TpuError(Exception):
    """Base of all errors that the project raises on purpose.

    Args:
        message: what is wrong, naming the operand, its shape and dtype where there is one.
        where: where it was found (engine and offset of a command, file and line, node of a model).
        help: what to change.
    """

    code: ClassVar[str] = ""

    def __init__(self, message: str, *, where: str | None = None, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.help = help

    def __init_subclass__(cls, *, code: str = "") -> None:
        super().__init_subclass__()
        if not code:
            return
        if code in _CATALOGUE:
            raise TypeError(f"error code {code} is used by {_CATALOGUE[code].__name__} and {cls.__name__}")
        cls.code = code
        _CATALOGUE[code] = cls

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}" if self.code else self.message]
        if self.where:
            lines.append(f"  at {self.where}")
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


def catalogue() -> dict[str, type[TpuError]]:
    """Every error class with a code that is loaded so far, by code, in order of the codes."""
    return dict(sorted(_CATALOGUE.items()))
