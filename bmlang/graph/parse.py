"""Text becomes a graph, or an error that says what was expected. The grammar is `grammar/bmlang.lark`."""

from __future__ import annotations

import json
import linecache
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np

from bmlang.graph.dims import Dim, size_element
from bmlang.graph.errors import GraphConstantError, GraphError, GraphLimitError, GraphNameError, GraphSyntaxError
from bmlang.graph.graph import Array, Attribute, Graph, Node
from bmlang.graph.parse_sizes import Branch, SizeReader
from bmlang.graph.text import SHOWN_ELEMENTS, default_name, spec_text
from bmlang.graph.verify import verify
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.lang.signature import TensorSpec
from tpukernel.source import Position

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

__all__ = ["MAX_CHARACTERS", "parse_graph"]

MAX_CHARACTERS: Final = 1 << 23
"""The longest text."""
MAX_NESTING: Final = 32
"""Brackets that may be open at one time."""
MAX_ELEMENTS: Final = 1 << 40
"""Elements of a tensor, more than any memory has."""
MAX_RANK: Final = 8

Number: TypeAlias = bool | int | float | bytes
"""A number; the bits of one as bytes, lowest first."""
_WORDS: Final = {
    "NAME": "a name",
    "QUOTED": "a name",
    "INTEGER": "a number",
    "FLOAT": "a number",
    "SIGN": "a number",
    "BITS": "a number",
    "INF": "a number",
    "NAN": "a number",
    "BOOLEAN": "`true` or `false`",
    "STRING": "a string",
    "NONE": "`none`",
    "OPERATOR": "an operator such as bm::add",
    "$END": "the end of the text",
}


def parse_graph(text: str, constants: Mapping[str, Array] | None = None, *, name: str | None = None) -> Graph:
    """The graph that a text describes. Nothing of it is executed, and its layers need not be known.

    Args:
        text: what `str(graph)` gives.
        constants: the values that the text does not say, by name: those of more than 16 elements.
        name: name of the file in messages; by default one that is made of the text.

    Raises:
        GraphSyntaxError: the text is no graph.
        GraphNameError: a name is there twice, or an output is nowhere made.
        GraphConstantError: a constant has no value, or one that does not fit.
        GraphLimitError: the text is too long, too deeply nested, or tells of tensors that no memory holds.
        GraphStructureError: a node takes what nothing makes before it.
    """
    from lark import UnexpectedInput

    file = name or f"<graph {sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}>"
    if len(text) > MAX_CHARACTERS:
        raise GraphLimitError(f"a text of {len(text):,} characters", where=file, help=f"give {MAX_CHARACTERS:,} or fewer")
    linecache.cache[file] = (len(text), None, [f"{line}\n" for line in text.split("\n")], file)
    _limit_nesting(text, file)
    try:
        parsed = _lark().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(error, text, file) from None
    graph = _Reader(file, constants or {}).graph(parsed)
    verify(graph)
    return graph


@cache
def _lark() -> Lark:
    import lark

    return lark.Lark(grammar(), parser="lalr", propagate_positions=True, maybe_placeholders=False)


def grammar() -> str:
    """The text of the grammar, from the wheel or from the source tree."""
    root = Path(__file__).parents[2]
    folders = (root / "tpukernel" / "grammar", root / "grammar")
    return next(path for folder in folders if (path := folder / "bmlang.lark").exists()).read_text(encoding="utf-8")


def _limit_nesting(text: str, file: str) -> None:
    """Refuse deep nesting before anything recursive sees it. Brackets in strings count, too, but they close as a rule."""
    depth = 0
    for line, content in enumerate(text.split("\n"), 1):
        for column, character in enumerate(content, 1):
            depth = depth + 1 if character in "([{" else max(depth - 1, 0) if character in ")]}" else depth
            if depth > MAX_NESTING:
                position = Position(file, line, column, line, column + 1)
                raise GraphLimitError(
                    f"more than {MAX_NESTING} open brackets", position=position, help="attributes are lists of a few levels"
                )


# ------------------------------------------------------------------ from the syntax tree to the graph


class _Reader:
    def __init__(self, file: str, given: Mapping[str, Array]) -> None:
        self._file, self._given = file, given
        self._specs: dict[str, TensorSpec] = {}
        self._constants: dict[str, Array] = {}
        self._nodes: list[Node] = []
        self._taken: set[str] = set()
        self._sizes = SizeReader(self._position)

    def graph(self, tree: Branch) -> Graph:
        name, inputs, outputs, *statements = _branches(tree)
        taken = tuple(self._typed(each) for each in _branches(inputs))
        for statement in statements:
            if statement.data == "constant":
                self._constant(statement)
            elif statement.data == "guard":
                self._sizes.guard(statement)
            else:
                self._nodes.append(self._node(statement))
        for each in _branches(outputs):
            if self._name(each) not in self._specs:
                raise GraphNameError(
                    f"nothing makes the output {self._name(each)}", position=self._position(each), help="name a tensor of it"
                )
        if surplus := self._given.keys() - self._constants.keys():
            raise GraphConstantError(f"the text has no constant {', '.join(sorted(surplus))}", where=self._file, help="leave it out")
        results = tuple(map(self._name, _branches(outputs)))
        return Graph(self._name(name), taken, results, self._specs, self._constants, tuple(self._nodes), self._sizes.variation())

    def _typed(self, tree: Branch) -> str:
        """A name with a spec, which becomes known."""
        first, second = _branches(tree)
        name = self._name(first)
        if name in self._specs:
            raise GraphNameError(f"there are two tensors {name}", position=self._position(first), help="give each a name of its own")
        self._specs[name] = self._spec(second)
        return name

    def _spec(self, tree: Branch) -> TensorSpec:
        (dtype,) = _tokens(tree)
        shape = tuple(map(self._sizes.size, _branches(tree)))
        if len(shape) > MAX_RANK or min(shape, default=1) < 1 or prod(shape) > MAX_ELEMENTS:
            raise GraphLimitError(f"a tensor of shape {list(shape)}", position=self._position(tree), help="no TPU has such a tensor")
        return TensorSpec(shape, self._dtype(dtype))

    def _dtype(self, token: Token) -> Dtype:
        if str(token) not in DTYPES:
            raise GraphNameError(f"there is no data type {token}", position=self._at(token), help=f"use one of {', '.join(DTYPES)}")
        return DTYPES[str(token)]

    def _constant(self, tree: Branch) -> None:
        typed, *elements = _branches(tree)
        name = self._typed(typed)
        spec = self._specs[name]
        position = self._position(tree)
        if not elements:
            self._constants[name] = self._given_value(name, spec, position)
            return
        if elements[0].data in ("variable", "measure"):
            self._constants[name] = self._size_value(name, spec, elements[0])
            return
        if name in self._given:
            raise GraphConstantError(
                f"constant {name} has a value in the text and another one beside it", position=position, help="give one"
            )
        if len(elements) != prod(spec.shape) or len(elements) > SHOWN_ELEMENTS:
            raise GraphConstantError(
                f"constant {name} is {spec_text(spec)}, but has {len(elements)} elements",
                position=position,
                help=f"write out all elements, if there are {SHOWN_ELEMENTS} or fewer",
            )
        arrays = [self._element(each, spec.dtype) for each in elements]
        self._constants[name] = np.stack(arrays).reshape(spec.shape)

    def _size_value(self, name: str, spec: TensorSpec, tree: Branch) -> Array:
        """A constant that is a size."""
        if spec.shape or not (spec.dtype.is_int or spec.dtype.is_float):
            raise GraphConstantError(
                f"constant {name} is {spec_text(spec)}, but a size", position=self._position(tree), help="it is one number"
            )
        found = self._sizes.measured(tree)
        if isinstance(found, Dim):
            self._sizes.numbers[name] = found.expr
        return size_element(found, spec.dtype)

    def _given_value(self, name: str, spec: TensorSpec, position: Position) -> Array:
        value = self._given.get(name)
        if value is None:
            raise GraphConstantError(f"constant {name} has no value", position=position, help="give its array beside the text")
        if value.shape != spec.shape or value.dtype != spec.dtype.numpy:
            raise GraphConstantError(
                f"constant {name} is {spec_text(spec)}, but its array {value.dtype}{list(value.shape)}",
                position=position,
                help="give the right one",
            )
        return value

    def _element(self, tree: Branch, dtype: Dtype) -> Array:
        """An element that the data type has, as an array without dimensions."""
        value = self._number(tree)
        if isinstance(value, bytes):
            if any(value[dtype.itemsize :]):
                raise self._wrong_element(tree, dtype)
            return np.frombuffer(value[: dtype.itemsize], dtype.numpy)[0].reshape(())
        if isinstance(value, bool) or (dtype.is_int and not (isinstance(value, int) and dtype.limits[0] <= value <= dtype.limits[1])):
            raise self._wrong_element(tree, dtype)
        with np.errstate(all="ignore"):
            found = np.asarray(value).astype(dtype.numpy)
        if float(found) != float(value):
            raise self._wrong_element(tree, dtype)
        return found

    def _wrong_element(self, tree: Branch, dtype: Dtype) -> GraphError:
        position = self._position(tree)
        return GraphConstantError(f"{position.text[position.column - 1 : position.end_column - 1]} is no {dtype.name}", position=position)

    def _number(self, tree: Branch) -> Number:
        tokens = _tokens(tree)
        last = tokens[-1]
        if last.type == "BOOLEAN":
            return str(last) == "true"
        if last.type == "BITS":
            return int(last, 16).to_bytes(8, "little")
        sign = -1 if len(tokens) == 2 else 1
        return sign * int(last) if last.type == "INTEGER" else sign * float(last)

    def _node(self, tree: Branch) -> Node:
        made, op, *rest = tree.children
        named = [each for each in cast("list[Branch]", rest) if each.data == "name"]
        arguments = [each for each in cast("list[Branch]", rest) if each.data != "name"]
        inputs: list[str] = []
        attrs: dict[str, Attribute] = {}
        for argument in arguments:
            if argument.data == "attribute":
                key, value = cast("tuple[Token, Branch]", tuple(argument.children))
                if str(key) in attrs:
                    raise GraphNameError(f"{key} is given twice", position=self._at(key), help="leave one out")
                attrs[str(key)] = self._value(value)
            elif attrs:
                raise GraphSyntaxError("a tensor stands behind attributes", position=self._position(argument), help="tensors come first")
            else:
                inputs.append("" if argument.data == "absent" else self._name(_branches(argument)[0]))
        outputs = tuple(self._typed(each) for each in _branches(cast("Branch", made)))
        name = self._name(named[0]) if named else default_name(str(op), self._taken)
        self._taken.add(name)
        return Node(name, str(op), tuple(inputs), outputs, attrs, self._position(tree))

    def _value(self, tree: Branch) -> Attribute:
        if tree.data in ("number", "boolean"):
            found = self._number(tree)
            if isinstance(found, bytes):
                raise GraphSyntaxError("bits are no attribute", position=self._position(tree), help="write a number")
            return found
        if tree.data == "value":
            return self._value(_branches(tree)[0])
        if tree.data == "measure" or (tree.data == "dtype" and self._sizes.knows(str(tree.children[0]))):
            return self._sizes.measured(tree)
        if tree.data == "values":
            return tuple(self._value(each) for each in _branches(tree))
        (token,) = _tokens(tree)
        if tree.data == "dtype":
            return self._dtype(token)
        return None if tree.data == "none" else self._string(token, str(token))

    def _name(self, tree: Branch) -> str:
        (token,) = _tokens(tree)
        return str(token) if token.type == "NAME" else self._string(token, f'"{str(token)[1:-1]}"'.replace("\\`", "`"))

    def _string(self, token: Token, quoted: str) -> str:
        try:
            return str(json.loads(quoted, strict=False))
        except json.JSONDecodeError:
            raise GraphSyntaxError(f"{token} has an unknown escape", position=self._at(token), help="escapes are those of JSON") from None

    # ------------------------------------------------------------------ places

    def _at(self, token: Token) -> Position:
        return Position(self._file, token.line or 0, token.column or 0, token.end_line or 0, token.end_column or 0)

    def _position(self, tree: Branch) -> Position:
        meta = tree.meta
        return Position(self._file, meta.line, meta.column, meta.end_line, meta.end_column)


def _branches(tree: Branch) -> list[Branch]:
    return [cast("Branch", child) for child in tree.children if hasattr(child, "children")]


def _tokens(tree: Branch) -> list[Token]:
    return [cast("Token", child) for child in tree.children if not hasattr(child, "children")]


# ------------------------------------------------------------------ syntax errors


def _syntax_error(error: UnexpectedInput, text: str, file: str) -> GraphSyntaxError:
    from lark import UnexpectedCharacters, UnexpectedToken

    expected: set[str] = set()
    found = ""
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
        token = cast("Token", error.token)  # pyright: ignore[reportUnknownMemberType]
        found = "" if token.type == "$END" else str(token)
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
        found = text[error.pos_in_stream] if error.pos_in_stream is not None else ""
    line, column = error.line, error.column
    if not found:  # behind the last character that is no space
        lines = text.rstrip().split("\n")
        line, column = len(lines), len(lines[-1]) + 1
    position = Position(file, line, column, line, column + max(len(found), 1))
    told = f"`{found}` stands" if found else "the text ends"
    words = sorted(set(_in_words(expected)))
    wanted = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return GraphSyntaxError(f"{told} where {wanted} is expected", position=position)


def _in_words(expected: set[str]) -> Iterator[str]:
    for terminal in expected:
        pattern = next((each.pattern.value for each in _lark().terminals if each.name == terminal), terminal)
        yield _WORDS.get(terminal, f"`{pattern}`")
