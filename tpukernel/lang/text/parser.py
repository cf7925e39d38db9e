"""Text becomes a syntax tree, or an error that says what was expected. The grammar is `grammar/tpukernel.lark`."""

from __future__ import annotations

import hashlib
import linecache
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from tpukernel.lang.text import tree
from tpukernel.lang.text.convert import Converter
from tpukernel.lang.text.errors import TextLimitError, TextSyntaxError
from tpukernel.source import Position

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

__all__ = ["MAX_CHARACTERS", "MAX_NESTING", "parse_tree"]

MAX_CHARACTERS: Final = 1 << 20
"""The longest text."""
MAX_NESTING: Final = 32
"""Brackets and braces that may be open at one time."""
OPENING, CLOSING = "([{", ")]}"

_VALUE_BEGINS: Final = frozenset({"NAME", "QUOTED", "NUMBER", "STRING", "LPAR"})
_STATEMENT_BEGINS: Final = frozenset({"LET", "LOOP", "WHEN", "PARALLEL", "ASSERT", "PRINT", "RAW", "CALL", "LABEL"})
_OPERATORS: Final = frozenset({"SUM_OPERATOR", "PRODUCT_OPERATOR", "COMPARISON", "LESS", "MORE", "AND", "OR", "DOT", "LSQB"})
_WORDS: Final = {
    "NAME": "a name",
    "QUOTED": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "LABEL": "a label such as %1",
    "LOOP": "`for` or `pipeline`",
    "DIRECTION": "`in`, `out` or `inout`",
    "BUFFER": "`local`, `scratch` or `matrix`",
    "OPTION": "an option of the buffer",
    "MEMORY": "a tensor",
    "__ANON_0": "`..`",
    "$END": "the end of the text",
}
"""Terminals of the grammar in words; those that are not here are told by their text."""


def parse_tree(text: str, name: str | None = None) -> list[tree.KernelNode]:
    """The kernels of a text.

    Args:
        text: the text.
        name: name of the file in messages; by default one that is made of the text.

    Raises:
        TextSyntaxError: it is no kernel.
        TextLimitError: it is too long, or too deeply nested.
    """
    from lark import UnexpectedInput

    file = name or f"<text {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}>"
    linecache.cache[file] = (len(text), None, [f"{line}\n" for line in text.split("\n")], file)
    if len(text) > MAX_CHARACTERS:
        raise TextLimitError(f"a text of {len(text)} characters", where=file, help=f"give {MAX_CHARACTERS} or fewer")
    _limit_nesting(text, file)
    try:
        parsed = _lark().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(error, text, file) from None
    return Converter(file, text).kernels(parsed)


@cache
def _lark() -> Lark:
    import lark

    return lark.Lark(grammar(), parser="lalr", propagate_positions=True, maybe_placeholders=True)


def grammar() -> str:
    """The text of the grammar, from the wheel or from the source tree."""
    package = Path(__file__).parents[2]
    folders = (package / "grammar", package.parent / "grammar")
    return next(path for folder in folders if (path := folder / "tpukernel.lark").exists()).read_text(encoding="utf-8")


def _limit_nesting(text: str, file: str) -> None:
    """Refuse deep nesting before anything recursive sees it. Brackets in strings and comments count, too, but they close as a rule."""
    depth = 0
    for line, content in enumerate(text.split("\n"), 1):
        for column, character in enumerate(content, 1):
            if character in OPENING:
                depth += 1
            elif character in CLOSING:
                depth = max(depth - 1, 0)
            if depth > MAX_NESTING:
                position = Position(file, line, column, line, column + 1)
                raise TextLimitError(
                    f"more than {MAX_NESTING} open brackets", position=position, help="give names to parts of the expression with let"
                )


# ---------------------------------------------------------------------------- syntax errors


def _syntax_error(error: UnexpectedInput, text: str, file: str) -> TextSyntaxError:
    from lark import UnexpectedCharacters, UnexpectedToken

    expected, found = set[str](), ""
    if isinstance(error, UnexpectedToken):
        token = cast("Token", error.token)  # pyright: ignore[reportUnknownMemberType]
        found = "" if token.type == "$END" else str(token)
        expected = set(error.accepts or error.expected)
    elif isinstance(error, UnexpectedCharacters):
        found = text[error.pos_in_stream] if error.pos_in_stream is not None else ""
        expected = set(error.allowed or ())
    line, column = error.line, error.column
    if not found:  # behind the last character that is no space
        lines = text.rstrip().split("\n")
        line, column = len(lines), len(lines[-1]) + 1
    position = Position(file, line, column, line, column + max(len(found), 1))
    words = text.split("\n")[line - 1][: column - 1].split()
    before = words[-1] if words else ""
    told = "the text ends" if not found else f"`{found}` stands"
    return TextSyntaxError(f"{told} where {_in_words(expected)} is expected", position=position, help=_syntax_help(expected, found, before))


def _in_words(expected: set[str]) -> str:
    """What may stand at a place, in words."""
    left = set(expected)
    words: list[str] = []
    if left >= _STATEMENT_BEGINS:
        left -= _STATEMENT_BEGINS | {"NAME", "QUOTED"}
        words.append("a statement")
    if left >= _VALUE_BEGINS:
        left -= _VALUE_BEGINS | {"MINUS", "NOT"}
        words.append("a value")
    operators = len(left & _OPERATORS) > 2
    left -= _OPERATORS if operators else set()
    words += sorted({_word(terminal) for terminal in left})
    words += ["an operator"] if operators else []
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _word(terminal: str) -> str:
    if terminal in _WORDS:
        return _WORDS[terminal]
    pattern = next((each.pattern for each in _lark().terminals if each.name == terminal), None)
    return f"`{pattern.value}`" if pattern is not None else terminal.lower()


_ADVICE: Final = {
    "if": "write `when condition { ... }`",
    "else": "write another `when` with the opposite condition",
    "while": "loops have limits: `for i in 0 .. n step 1 { ... }`",
    "//": "comments begin with #",
    "'": 'write strings in double quotes: "text"',
}
"""What to write instead of words of other languages."""


def _syntax_help(expected: set[str], found: str, before: str) -> str | None:
    """Advice, from what stands there and the word before it."""
    if found in _ADVICE or before in _ADVICE:
        return _ADVICE.get(found) or _ADVICE[before]
    if expected == {"DOT"}:
        return "write an operation such as tiu.abs(b, a), or a statement such as let, for, when"
    if "DIRECTION" in expected:
        return "give the direction of a tensor: in x: f32[n, c, h, w]"
    return "end each statement with `;`" if "SEMICOLON" in expected and found not in (")", "]", "=", "{") else None
