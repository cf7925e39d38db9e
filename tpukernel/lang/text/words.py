"""The vocabulary of the text form: reserved words, names of constants, and how values and names are written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Final

from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.isa.rounding import Rounding

__all__ = ["CONSTANTS", "RESERVED", "Constant", "literal", "name_text", "number_text", "string_text"]

Constant = bool | float | Dtype | Rounding | None

CONSTANTS: Final[Mapping[str, Constant]] = {
    "true": True,
    "false": False,
    "none": None,
    "inf": math.inf,
    "nan": math.nan,
    **DTYPES,
    **{rounding.name.lower(): rounding for rounding in Rounding},
}
"""Names that stand for a value."""

RESERVED: Final = frozenset(CONSTANTS) | {"and", "chip", "local", "matrix", "not", "or", "scratch"}
"""Words that may begin a value. A name of the author's is another one, or stands in backquotes."""

_NAME = re.compile(r"[^\W\d]\w*")


def name_text(name: str) -> str:
    """A name of the author's, in backquotes where the language has that word for itself."""
    return name if _NAME.fullmatch(name) and name not in RESERVED else f"`{name}`"


def string_text(value: str) -> str:
    """A string in double quotes, with the escapes of JSON."""
    plain = json.dumps(value, ensure_ascii=False)
    return plain if plain.isprintable() else json.dumps(value)


def number_text(value: float) -> str:
    """A number, so that reading it gives the same one, of the same type."""
    return repr(value)  # repr says inf and nan as the language does


def literal(value: object) -> str:
    """A value of a keyword as text; what the language has no form for becomes a string."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case Rounding():
            return value.name.lower()
        case Dtype(name):
            return name
        case int() | float():
            return number_text(value)
        case str():
            return string_text(value)
        case tuple():
            inside = ", ".join(map(literal, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            return f"({inside},)" if len(value) == 1 else f"({inside})"  # pyright: ignore[reportUnknownArgumentType]
        case _:
            return string_text(repr(value))
