"""What the command line tools share for printing texts that come from files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import cast

__all__ = ["json_text", "printable"]


def printable(text: str, keep: str = "") -> str:
    """A text of a file without anything that a terminal would obey: control characters and bytes that are no UTF-8 become `\\xNN`."""
    return "".join(character if character in keep or not _hidden(character) else _escaped(character) for character in text)


def _hidden(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or 0xD800 <= ord(character) < 0xE000


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00 if code >= 0xDC80 else code:02x}"


def json_text(data: object) -> str:
    """JSON, and nothing that Python would write but JSON does not have: a number that is none becomes a text."""
    return json.dumps(_plain(data), indent=1, allow_nan=False)


def _plain(data: object) -> object:
    if isinstance(data, Mapping):
        return {key: _plain(value) for key, value in cast("Mapping[str, object]", data).items()}
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in cast("list[object]", data)]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data
