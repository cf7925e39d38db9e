"""One way to write a text of kernels: indentation and spaces are set, comments, line breaks in brackets and single blank lines are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tpukernel.lang.text.parser import parse_tree

__all__ = ["format_text", "tokens"]

_INDENT: Final = "  "
_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>\#[^\n]*)
    |(?P<word>"(?:[^"\\\n]|\\.)*"|`[^`\n]+`|%\w+|0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[^\W\d]\w*)
    |(?P<sign>:\+|\.\.\.|\.\.|//|<=|>=|==|!=|.)""",
    re.VERBOSE | re.DOTALL,
)
_OPERATOR = re.compile(r"[^\w\s\"`#]+")
_BEFORE_VALUE: Final = frozenset(
    {"after", "and", "as", "assert", "at", "bank", "buffers", "columns", "in", "layout", "not", "or", "over", "pack", "print", "step"}
    | {"strides", "when", "call", "kernel", "let", "for", "pipeline", "raw"}
)
"""Words behind which a value begins, so that a bracket or sign there belongs to it."""
_TIGHT: Final = frozenset({".", ":+", "..."})
_BUFFERS: Final = ("local", "scratch", "matrix")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    comment: bool
    breaks: int
    """Line breaks before it."""


def format_text(text: str, *, name: str | None = None) -> str:
    """A text of kernels in the usual form; the same again for a text that has it.

    Args:
        text: the text.
        name: name of the file in messages.

    Raises:
        KernelError: it is no text of kernels (as `parse_all`).
    """
    parse_tree(text, name)
    return _Formatter(list(tokens(text))).run()


def tokens(text: str) -> Iterator[_Token]:
    """The words, signs and comments of a text."""
    breaks = 0
    for found in _TOKEN.finditer(text):
        if found.lastgroup == "space":
            breaks += found.group().count("\n")
        else:
            yield _Token(found.group().rstrip() if found.lastgroup == "comment" else found.group(), found.lastgroup == "comment", breaks)
            breaks = 0


@dataclass
class _Formatter:
    tokens: list[_Token]
    lines: list[str] = field(default_factory=list[str])
    line: str = ""
    depth: int = 0
    brackets: list[str] = field(default_factory=list[str])
    """Those that are open; the one of a kernel's head is `head`, those of a data type are `<`."""
    begun: bool = False
    """Whether a statement has begun that is not finished."""

    def run(self) -> str:
        before: _Token | None = None
        for place, token in enumerate(self.tokens):
            self._put(token, before, self.tokens[place - 2] if place > 1 else None)
            before = token
        self._end_line()
        return "\n".join(self.lines) + "\n" if self.lines else ""

    def _put(self, token: _Token, before: _Token | None, earlier: _Token | None) -> None:
        closing = token.text in (")", "]", "}") and not token.comment
        if token.text == "}" and not token.comment:
            self.depth -= 1
        elif closing and self.brackets:
            self.brackets.pop()
        if before is not None and self._breaks(token, before):
            self._end_line()
            if (token.breaks > 1 and not self.begun and before.text != "{" and token.text != "}") or (
                before.text == "}" and token.text != "}" and self.depth == 0 and not before.comment and self.lines[-1:] != [""]
            ):
                self.lines.append("")
        if not self.line:
            inside = len([each for each in self.brackets if each != "<"])
            goes_on = self.begun and not self.brackets and not closing
            self.line = _INDENT * (self.depth + inside + goes_on) + token.text
        else:
            self.line += (" " if self._spaced(token, before, earlier) else "") + token.text
        self._note(token, before)

    def _note(self, token: _Token, before: _Token | None) -> None:
        """What is open behind a token."""
        if token.comment:
            return
        if token.text in ("(", "["):
            head = token.text == "(" and self.depth == 0
            self.brackets.append("head" if head else token.text)
        elif token.text == "<" and before is not None and before.text in _BUFFERS:
            self.brackets.append("<")
        elif token.text == ">" and self.brackets[-1:] == ["<"]:
            self.brackets.pop()
        elif token.text == "{":
            self.depth += 1
        self.begun = bool(self.brackets) or token.text not in (";", "{", "}")

    def _breaks(self, token: _Token, before: _Token) -> bool:
        """Whether a token begins a line."""
        if before.comment:
            return True
        if token.comment:
            return token.breaks > 0
        if self.brackets or (token.text in (")", "]") and self.begun):
            return token.breaks > 0
        return before.text in (";", "{", "}") or token.text == "}"

    def _end_line(self) -> None:
        if self.line:
            self.lines.append(self.line)
        self.line = ""

    # ------------------------------------------------------------------ spaces

    def _spaced(self, token: _Token, before: _Token | None, earlier: _Token | None) -> bool:
        """Whether a space stands between two tokens of a line."""
        if token.comment:
            return True
        one, two = "" if before is None else before.text, token.text
        inner = self.brackets[-1] if self.brackets else ""
        if one in ("(", "[") or two in (")", "]", ",", ";") or one in _TIGHT or two in (".", ":+"):
            return False
        if inner == "[" and (one == ":" or two == ":"):
            return one == ","
        if two == ":" or (two == "<" and one in _BUFFERS) or (inner == "<" and (one == "<" or two == ">")):
            return False
        if two == "[" and (one == ">" or _ends_value(one)):
            return False
        if (one == "=" or two == "=") and inner == "(":
            return False
        if one == "-" and not (earlier is not None and _ends_value(earlier.text)):
            return False
        return not (two == "(" and _is_word(one) and one not in _BEFORE_VALUE)


def _is_word(text: str) -> bool:
    return not _OPERATOR.fullmatch(text)


def _ends_value(text: str) -> bool:
    """Whether a value may end with this token, so that a sign behind it is an operator."""
    return text in (")", "]") or (_is_word(text) and text not in _BEFORE_VALUE)
