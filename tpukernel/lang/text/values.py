"""What the values of a text are: numbers, sizes, conditions, tensors, names of the language; and the arithmetic on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, TypeAlias

from tpukernel.chips.chip import Chip
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.errors import IndexRangeError
from tpukernel.lang.expr import Call, Comparison, Condition, Expr, Logic, Sum, Var, compare, joined, negated
from tpukernel.lang.symbols import Size, SymBool, SymInt, align, at_place, cdiv, condition_of, expr_of, maximum, minimum, size_of
from tpukernel.lang.tensors import Index, Tensor
from tpukernel.lang.text import tree
from tpukernel.lang.text.errors import TextLimitError, TextNameError, TextValueError
from tpukernel.lang.text.words import CONSTANTS, RESERVED
from tpukernel.source import Position

__all__ = ["MAX_NODES", "MAX_NUMBER", "Scope", "Value", "dtype_named", "kind_of", "sizes_of", "truth_of"]

Value: TypeAlias = "Size | float | bool | SymBool | str | Dtype | Rounding | Tensor | tuple[Value, ...] | None"

MAX_NODES: Final = 1000
"""Parts of one expression on sizes, so that a text cannot grow one beyond all bounds."""
MAX_NUMBER: Final = 1 << 64
"""No number on sizes is as large as this one."""


def kind_of(value: object) -> str:
    """What a value is, in words."""
    match value:
        case None:
            return "none"
        case bool() | SymBool():
            return "a condition"
        case Rounding():
            return "a rounding"
        case int() | SymInt():
            return "a size"
        case float():
            return "a number"
        case str():
            return "a string"
        case Dtype():
            return "a data type"
        case Tensor():
            return "a tensor"
        case _:
            return "a list of values"


@dataclass
class Scope:
    """The names of a block and of those around it, and how values are computed with them.

    Attributes:
        chip: the chip, for `chip.lanes`; None where the kernel's head is read.
        names: what the names of this block stand for.
        outer: the block around it.
    """

    chip: Chip | None = None
    names: dict[str, Value] = field(default_factory=dict[str, "Value"])
    outer: Scope | None = None

    def inner(self) -> Scope:
        """The scope of a block inside of this one."""
        return Scope(self.chip, outer=self)

    def define(self, name: tree.Name, value: Value) -> None:
        """Give a name.

        Raises:
            TextNameError: it is taken.
        """
        if name.text in RESERVED and not name.quoted:
            raise TextNameError(
                f"`{name.text}` is a word of the language", position=name.position, help="take another name, or write it in backquotes"
            )
        if any(name.text in scope.names for scope in self._scopes()):
            raise TextNameError(f"`{name.text}` is taken already", position=name.position, help="take another name")
        self.names[name.text] = value

    def _scopes(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def named(self, name: tree.Name) -> Value:
        """What a name stands for.

        Raises:
            TextNameError: nothing.
        """
        if name.text in CONSTANTS and not name.quoted:
            return CONSTANTS[name.text]
        for scope in self._scopes():
            if name.text in scope.names:
                return scope.names[name.text]
        known = [each for scope in self._scopes() for each in scope.names]
        near = get_close_matches(name.text, [*known, *CONSTANTS], 3)
        raise TextNameError(
            f"there is no `{name.text}` here",
            position=name.position,
            help=f"did you mean {' or '.join(near)}?" if near else "a name lives from its `let` to the end of the block",
        )

    # ------------------------------------------------------------------ values

    def value(self, node: tree.ValueNode) -> Value:
        """What a value of the text is.

        Raises:
            TextNameError, TextValueError, TextLimitError: it has none.
            KernelError: as the same in Python.
        """
        with at_place(node.position):
            return _limited(self._value(node), node.position)

    def _value(self, node: tree.ValueNode) -> Value:
        match node:
            case tree.Name():
                return self.named(node)
            case tree.Plain(_, value):
                return value
            case tree.TupleNode(_, values):
                return tuple(self.value(each) for each in values)
            case tree.Negative(position, value):
                return _negative(self.value(value), position)
            case tree.Binary(_, first, rest):
                found = self.value(first)
                for op, other in rest:
                    found = _limited(_computed(op, found, self.value(other), node.position), node.position)
                return found
            case tree.Compare(position, op, left, right):
                return _compared(op, self.value(left), self.value(right), position)
            case tree.Connective(_, op, values):
                return _joined(op, [truth_of(self.value(each), each.position) for each in values])
            case tree.Invocation(_, function, values):
                return _invoked(function, [self.value(each) for each in values], node.position)
            case tree.Member():
                return self._member(node)
            case tree.Subscript(position, value, indices):
                tensor = self.value(value)
                if not isinstance(tensor, Tensor):
                    raise TextValueError(f"{kind_of(tensor)} has no elements", position=position, help="index tensors only")
                return tensor[tuple(self._index(each) for each in indices)]

    def _member(self, node: tree.Member) -> Value:
        name = node.name.text
        if node.value == tree.Name(node.value.position, "chip") and self.chip is not None:
            facts = {"lanes": self.chip.lanes, "lane_bytes": self.chip.lane_bytes, "banks": self.chip.banks, "eu_bytes": self.chip.eu_bytes}
            if name in facts:
                return facts[name]
            raise TextNameError(f"chip has no `{name}`", position=node.position, help=f"it has {', '.join(facts)}")
        value = self.value(node.value)
        if isinstance(value, Tensor) and name in ("dtype", "shape"):
            return value.dtype if name == "dtype" else value.shape
        raise TextNameError(f"{kind_of(value)} has no `{name}`", position=node.position, help="tensors have dtype and shape")

    def _index(self, node: tree.IndexNode) -> Index:
        match node:
            case tree.Dots():
                return ...
            case tree.SpanNode(_, start, stop):
                return slice(*(None if each is None else self.size(each) for each in (start, stop)))
            case tree.Sized(_, start, size):
                begin = 0 if start is None else self.size(start)
                if isinstance(begin, int) and begin < 0:
                    raise IndexRangeError(f"a box that begins at {begin}", position=node.position, help="begin at 0 or more")
                return slice(begin, begin + self.size(size))
            case _:
                return self.size(node)

    def size(self, node: tree.ValueNode) -> Size:
        """A size.

        Raises:
            TextValueError: it is something else.
        """
        return _size(self.value(node), node.position)

    def condition(self, node: tree.ValueNode) -> SymBool | bool:
        """A condition.

        Raises:
            TextValueError: it is something else.
        """
        return truth_of(self.value(node), node.position)


# ---------------------------------------------------------------------------- kinds


def _size(value: Value, position: Position) -> Size:
    if isinstance(value, SymInt) or (isinstance(value, int) and not isinstance(value, bool | Rounding)):
        return value
    raise TextValueError(
        f"{kind_of(value)} stands where a size is needed", position=position, help="give an integer, or an expression of sizes"
    )


def sizes_of(values: tuple[tree.ValueNode, ...], scope: Scope) -> tuple[Size, ...]:
    """Several sizes."""
    return tuple(scope.size(each) for each in values)


def truth_of(value: Value, position: Position) -> SymBool | bool:
    """A condition.

    Raises:
        TextValueError: the value is none.
    """
    if isinstance(value, bool | SymBool):
        return value
    raise TextValueError(f"{kind_of(value)} stands where a condition is needed", position=position, help="compare it: `value > 0`")


def dtype_named(name: tree.Name, scope: Scope) -> Dtype:
    """A data type.

    Raises:
        TextNameError, TextValueError: the name stands for nothing, or for something else.
    """
    value = scope.named(name)
    if isinstance(value, Dtype):
        return value
    raise TextValueError(
        f"`{name.text}` is {kind_of(value)}, not a data type", position=name.position, help=f"data types are {', '.join(DTYPES)}"
    )


def _plain(value: Value, position: Position) -> float:
    """A number that is known, for arithmetic on floats."""
    if isinstance(value, SymInt):
        return float(value)  # raises: it is not known
    if isinstance(value, int | float) and not isinstance(value, bool | Rounding):
        return value
    raise TextValueError(f"{kind_of(value)} stands where a number is needed", position=position, help="give a number")


# ---------------------------------------------------------------------------- arithmetic


def _negative(value: Value, position: Position) -> Value:
    return -_plain(value, position) if isinstance(value, float) else -_size(value, position)


def _computed(op: str, left: Value, right: Value, position: Position) -> Value:
    """left op right: of sizes, or of numbers where one side is a float; `/` always makes a float."""
    if isinstance(left, float) or isinstance(right, float) or op == "/":
        one, other = _plain(left, position), _plain(right, position)
        if other == 0 and op in ("/", "//", "%"):
            raise TextValueError("a division by 0", position=position, help="divide by something else")
        try:
            return float(_FLOAT[op](one, other))
        except OverflowError:
            raise TextLimitError("a number that is too large", position=position, help="compute with smaller numbers") from None
    return size_of(expr_of(_SIZE[op](SymInt(expr_of(_size(left, position))), _size(right, position))))


_FLOAT: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one / other,
    "//": lambda one, other: one // other,
    "%": lambda one, other: one % other,
}
_SIZE: Final[Mapping[str, Callable[[SymInt, Size], SymInt]]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "//": lambda one, other: one // other,
    "%": lambda one, other: one % other,
}


def _compared(op: str, left: Value, right: Value, position: Position) -> Value:
    if op in ("==", "!=") and type(left) is type(right) and isinstance(left, str | Dtype | Rounding | bool | None):
        return (left == right) is (op == "==")
    if isinstance(left, float) or isinstance(right, float):
        one, other = _plain(left, position), _plain(right, position)
        return {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other, "==": one == other, "!=": one != other}[op]
    one, other = expr_of(_size(left, position)), expr_of(_size(right, position))
    match op:
        case ">":
            found = compare("<", other, one)
        case ">=":
            found = compare("<=", other, one)
        case "<" | "<=" | "==" | "!=":
            found = compare(op, one, other)
        case _:
            raise AssertionError(op)  # pragma: no cover
    return found if isinstance(found, bool) else SymBool(found)


def _joined(op: str, values: list[SymBool | bool]) -> Value:
    conditions = [condition_of(value) for value in values]
    found = negated(conditions[0]) if op == "not" else joined("and" if op == "and" else "or", conditions)
    return found if isinstance(found, bool) else SymBool(found)


def _extreme(values: list[Value], position: Position, of_sizes: Callable[..., Size], of_numbers: Callable[..., float]) -> Value:
    if any(isinstance(value, float) for value in values):
        return of_numbers(_plain(value, position) for value in values)
    return of_sizes(*(_size(value, position) for value in values))


_Function = Callable[[list[Value], Position], Value]
_FUNCTIONS: Final[Mapping[str, tuple[int | None, _Function]]] = {
    "min": (None, lambda values, place: _extreme(values, place, minimum, min)),
    "max": (None, lambda values, place: _extreme(values, place, maximum, max)),
    "cdiv": (2, lambda values, place: cdiv(_size(values[0], place), _size(values[1], place))),
    "align": (2, lambda values, place: align(_size(values[0], place), _size(values[1], place))),
    "float": (1, lambda values, place: float(_plain(values[0], place))),
    "sqrt": (1, lambda values, place: _root(_plain(values[0], place), place)),
}
"""By name: how many values a function takes (None: one or more), and what it is."""


def _root(value: float, position: Position) -> float:
    if value < 0:
        raise TextValueError(f"the square root of {value}", position=position, help="give a number of 0 or more")
    return value**0.5


def _invoked(function: tree.Name, values: list[Value], position: Position) -> Value:
    if function.text not in _FUNCTIONS:
        near = get_close_matches(function.text, _FUNCTIONS, 3)
        raise TextNameError(
            f"there is no function `{function.text}`",
            position=function.position,
            help=f"did you mean {' or '.join(near)}?" if near else f"functions of values are {', '.join(_FUNCTIONS)}",
        )
    count, body = _FUNCTIONS[function.text]
    if len(values) != count if count is not None else not values:
        wanted = "one value or more" if count is None else f"{count} value{'s' if count > 1 else ''}"
        raise TextValueError(f"{function.text} takes {wanted}, not {len(values)}", position=position, help=f"give {wanted}")
    return body(values, position)


# ---------------------------------------------------------------------------- limits


def _limited(value: Value, position: Position) -> Value:
    """The value, unless it is larger than what any kernel needs."""
    parts: Iterator[Expr | Condition] = iter(())
    if isinstance(value, SymInt):
        parts = _parts(value.expr)
    elif isinstance(value, SymBool):
        parts = _parts(value.condition)
    elif isinstance(value, int):
        parts = iter((value,))
    for count, part in enumerate(parts):
        if count > MAX_NODES:
            raise TextLimitError(f"an expression of more than {MAX_NODES} parts", position=position, help="compute with smaller ones")
        if isinstance(part, int) and not -MAX_NUMBER < part < MAX_NUMBER:
            raise TextLimitError("a number of more than 64 bits", position=position, help="compute with smaller numbers")
    return value


def _parts(value: Expr | Condition) -> Iterator[Expr | Condition]:
    """The parts of an expression, without going deeper than somebody asks."""
    waiting: list[Expr | Condition] = [value]
    while waiting:
        part = waiting.pop()
        yield part
        match part:
            case Sum(terms, constant):
                waiting.append(constant)
                for term, factor in terms:
                    waiting += (term, factor)
            case Call(_, args):
                waiting += args
            case Logic(_, args):
                waiting += args
            case Comparison(_, left, right):
                waiting += (left, right)
            case bool() | int() | Var():
                pass
