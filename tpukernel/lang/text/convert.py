"""From lark's tree to the syntax tree of kernels, one method for each kind of rule. Knows the grammar, and nothing of what it means."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from tpukernel.lang.text import tree
from tpukernel.lang.text.errors import TextLimitError, TextSyntaxError
from tpukernel.source import Position

if TYPE_CHECKING:
    from lark import Token, Tree

__all__ = ["MAX_DIGITS", "MAX_SUFFIXES", "Converter"]

Branch: TypeAlias = "Tree[Token]"
Child: TypeAlias = "Tree[Token] | Token | None"

MAX_DIGITS: Final = 18
"""Digits of an integer."""
MAX_SUFFIXES: Final = 8
"""Boxes and members behind one value."""


class Converter:
    """Makes nodes of the branches of lark's tree.

    Args:
        file: name of the file, for places.
        text: the text.
    """

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines = text.split("\n")

    def kernels(self, branch: Branch) -> list[tree.KernelNode]:
        """The kernels of a text."""
        return [self._kernel(each) for each in _branches(branch)]

    def _at(self, item: Branch | Token) -> Position:
        from lark import Tree

        meta = item.meta if isinstance(item, Tree) else item
        return Position(self._file, meta.line or 0, meta.column or 0, meta.end_line or 0, meta.end_column or 0)

    # ------------------------------------------------------------------ kernels

    def _kernel(self, branch: Branch) -> tree.KernelNode:
        name, params, attributes, block = branch.children
        head = self._name(name)
        return tree.KernelNode(
            head.position,
            head,
            tuple(self._param(each) for each in _branches(params)),
            tuple(self._attribute(each) for each in _branches(attributes)),
            self._block(block),
            self._doc(branch.meta.line),
        )

    def _doc(self, line: int) -> str | None:
        """The comment lines right above a kernel."""
        first = line - 1
        while first > 0 and self._lines[first - 1].lstrip().startswith("#"):
            first -= 1
        return "\n".join(each.strip().lstrip("#").strip() for each in self._lines[first : line - 1]) or None

    def _param(self, branch: Branch) -> tree.ParamNode:
        direction, name, dtype, shape = branch.children
        way = cast("Literal['in', 'out', 'inout']", str(direction))
        return tree.ParamNode(self._at(branch), way, self._name(name), self._name(dtype), self._list(shape))

    def _attribute(self, branch: Branch) -> tree.AttributeNode:
        name, kind, default = branch.children
        return tree.AttributeNode(
            self._at(branch), self._name(name), self._name(kind) if kind else None, self._value(default) if default else None
        )

    # ------------------------------------------------------------------ statements

    def _block(self, branch: Child) -> tuple[tree.StatementNode, ...]:
        return tuple(self._statement(each) for each in _branches(branch))

    def _statement(self, branch: Branch) -> tree.StatementNode:
        children, position = branch.children, self._at(branch)
        match branch.data:
            case "let":
                names = tuple(self._name(each) for each in children[:-1])
                value = cast("Branch", children[-1])
                return tree.LetNode(position, names, self._buffer(value) if value.data == "buffer" else self._value(value))
            case "loop":
                kind, var, start, stop, step, buffers, block = children
                return tree.LoopNode(
                    self._span(cast("Token", kind), block),
                    str(kind),
                    self._name(var),
                    self._value(start),
                    self._value(stop),
                    self._inner(step),
                    self._inner(buffers),
                    self._block(block),
                )
            case "when":
                return tree.WhenNode(self._span(branch, children[1]), self._value(children[0]), self._block(children[1]))
            case "parallel":
                return tree.ParallelNode(self._span(branch, children[0]), self._block(children[0]))
            case "assert":
                condition, message = children
                return tree.AssertNode(position, self._value(condition), self._value(message) if message else None)
            case "print":
                return tree.PrintNode(position, self._list(children[0]))
            case "op":
                label, group, name, arguments, after = children
                return tree.OpNode(
                    position,
                    self._label(label),
                    self._name(group),
                    self._name(name),
                    self._arguments(arguments),
                    self._after(after),
                )
            case "call":
                label, name, arguments, alias, after = children
                told = ".".join(self._name(each).text for each in _branches(alias)) or None
                return tree.CallNode(position, self._label(label), self._name(name), self._arguments(arguments), told, self._after(after))
            case _:
                return tree.RawNode(position, tuple(self._instruction(each) for each in _branches(branch)))

    def _span(self, first: Branch | Token, block: Child) -> Position:
        """From the begin of a statement to its block."""
        begin, body = self._at(first), self._at(cast("Branch", block))
        text = self._lines[body.line - 1][: body.column - 1].rstrip() if body.line == begin.line else ""
        return Position(self._file, begin.line, begin.column, begin.line, len(text) + 1) if text else begin

    def _buffer(self, branch: Branch) -> tree.BufferNode:
        kind, _, dtype, _, shape, *options = branch.children
        return tree.BufferNode(
            self._at(branch), str(kind), self._name(dtype), self._list(shape), tuple(self._option(each) for each in options)
        )

    def _option(self, child: Child) -> tree.Option:
        branch = cast("Branch", child)
        word, value = branch.children
        return tree.Option(self._at(branch), str(word), self._value(value))

    def _arguments(self, child: Child) -> tree.Arguments:
        values: list[tree.ValueNode] = []
        named: list[tuple[tree.Name, tree.ValueNode]] = []
        for each in _branches(child):
            if each.data != "named":
                if named:
                    raise TextSyntaxError(
                        "an argument without a name stands behind one with a name",
                        position=self._at(each),
                        help="put arguments without names first",
                    )
                values.append(self._value(each))
                continue
            name, value = each.children
            named.append((self._name(name), self._value(value)))
        return tree.Arguments(tuple(values), tuple(named))

    def _label(self, child: Child) -> tree.LabelNode | None:
        return next((tree.LabelNode(self._at(token), token[1:]) for token in _tokens(child)), None)

    def _after(self, child: Child) -> tuple[tree.LabelNode, ...]:
        return tuple(tree.LabelNode(self._at(token), token[1:]) for token in _tokens(child))

    def _instruction(self, branch: Branch) -> tree.InstructionNode:
        family, *member, placements = branch.children
        values: list[tuple[tree.Name, tree.TensorNode | tree.ValueNode]] = []
        for each in _branches(placements):
            name, value = each.children
            inside = cast("Branch", value)
            values.append((self._name(name), self._tensor(inside) if inside.data == "tensor" else self._value(inside)))
        op = next((self._name(cast("Branch", each).children[0]) for each in member), None)
        return tree.InstructionNode(self._at(branch), self._name(family), op, tuple(values))

    def _tensor(self, branch: Branch) -> tree.TensorNode:
        memory, dtype, shape, *options = branch.children
        return tree.TensorNode(
            self._at(branch), str(memory), self._name(dtype), self._list(shape), tuple(self._option(each) for each in options)
        )

    # ------------------------------------------------------------------ values

    def _name(self, child: Child) -> tree.Name:
        branch = cast("Branch", child)
        token = cast("Token", branch.children[0])
        quoted = token.type == "QUOTED"
        return tree.Name(self._at(branch), token[1:-1] if quoted else str(token), quoted)

    def _list(self, child: Child) -> tuple[tree.ValueNode, ...]:
        return tuple(self._value(each) for each in _branches(child))

    def _inner(self, child: Child) -> tree.ValueNode | None:
        """The value of a clause that may be left out."""
        return next((self._value(each) for each in _branches(child)), None)

    def _value(self, child: Child) -> tree.ValueNode:
        branch = cast("Branch", child)
        children, position = branch.children, self._at(branch)
        match branch.data:
            case "name":
                return self._name(branch)
            case "number":
                return tree.Plain(position, _number(str(children[0]), position))
            case "string":
                return tree.Plain(position, self._string(cast("Token", children[0])))
            case "value" | "conjunction":
                return tree.Connective(position, "or" if branch.data == "value" else "and", tuple(map(self._value, children)))
            case "negation":
                return tree.Connective(position, "not", (self._value(children[1]),))
            case "comparison":
                return tree.Compare(position, str(children[1]), self._value(children[0]), self._value(children[2]))
            case "sum" | "product":
                rest = zip(map(str, children[1::2]), map(self._value, children[2::2]), strict=True)
                return tree.Binary(position, self._value(children[0]), tuple(rest))
            case "negative":
                return tree.Negative(position, self._value(children[1]))
            case "suffixed":
                return self._suffixed(branch)
            case "invocation":
                return tree.Invocation(position, self._name(children[0]), self._list(children[1]))
            case _:
                values = [self._value(each) for each in children[:1]] + [self._value(each) for each in _branches((*children, None)[1])]
                return tree.TupleNode(position, tuple(values))

    def _suffixed(self, branch: Branch) -> tree.ValueNode:
        atom, *suffixes = branch.children
        if len(suffixes) > MAX_SUFFIXES:
            raise TextLimitError(
                f"a value with {len(suffixes)} suffixes", position=self._at(branch), help="give names to parts of the expression with let"
            )
        value = self._value(atom)
        begin = self._at(branch)
        for each in suffixes:
            suffix = cast("Branch", each)
            end = self._at(suffix)
            position = Position(self._file, begin.line, begin.column, end.end_line, end.end_column)
            if suffix.data == "member":
                value = tree.Member(position, value, self._name(suffix.children[0]))
            else:
                value = tree.Subscript(position, value, tuple(self._index(cast("Branch", index)) for index in suffix.children))
        return value

    def _index(self, branch: Branch) -> tree.IndexNode:
        position = self._at(branch)
        match branch.data:
            case "dots":
                return tree.Dots(position)
            case "span":
                start, stop = (self._value(each) if each else None for each in branch.children)
                return tree.SpanNode(position, start, stop)
            case "sized":
                start, size = branch.children
                return tree.Sized(position, self._value(start) if start else None, self._value(size))
            case _:
                return self._value(branch)

    def _string(self, token: Token) -> str:
        """The text of a string, with the escapes of JSON."""
        try:
            return cast("str", json.loads(str(token), strict=False))
        except ValueError:
            raise TextSyntaxError("an escape that does not exist", position=self._at(token), help='use \\n, \\t, \\", \\\\') from None


def _number(text: str, position: Position) -> int | float:
    if text[:2] in ("0x", "0X"):
        fits = len(text) <= 2 + MAX_DIGITS
        value = int(text, 16) if fits else 0
    elif text.isdigit():
        fits = len(text) <= MAX_DIGITS
        value = int(text) if fits else 0
    else:
        value = float(text)
        fits = math.isfinite(value)
    if not fits:
        raise TextLimitError(f"the number {text[:40]}", position=position, help=f"give up to {MAX_DIGITS} digits; infinity is inf")
    return value


def _tokens(child: Child) -> Sequence[Token]:
    """The children of a branch that has no branches of its own."""
    return cast("list[Token]", cast("Branch", child).children)


def _branches(child: Child | Branch) -> Iterator[Branch]:
    """The children of a branch that may be missing."""
    if child is not None:
        yield from cast("list[Branch]", cast("Branch", child).children)
