"""Integer expressions of kernels: sizes, offsets and conditions that are known only when a kernel is elaborated for its shapes.

An expression is an `int`, a variable, a call (minimum, maximum, quotient, remainder, product), or a sum of those with integer factors. The
functions of this module return the simplest form, so that two expressions that are the same sum compare equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

__all__ = [
    "Bounds",
    "Call",
    "CallOp",
    "Comparison",
    "CompareOp",
    "Condition",
    "Expr",
    "Logic",
    "Sum",
    "Var",
    "add",
    "bounds",
    "call",
    "compare",
    "evaluate",
    "holds",
    "joined",
    "multiply",
    "negated",
    "show",
    "subtract",
    "variables",
]

CallOp = Literal["min", "max", "//", "%", "*"]
CompareOp = Literal["<", "<=", "==", "!="]
Bounds = tuple[int | None, int | None]
"""The smallest and the largest value, both included; None where there is no limit."""


@dataclass(frozen=True, slots=True)
class Var:
    """A loop index, or a dimension of a parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation that is no sum. Quotients and remainders round down, as in Python."""

    op: CallOp
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms with their factors, in the order of their names, plus a constant."""

    terms: tuple[tuple[Var | Call, int], ...]
    constant: int = 0


Expr = int | Var | Call | Sum


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two expressions."""

    op: CompareOp
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions of which all or any hold, or the opposite of one."""

    op: Literal["and", "or", "not"]
    args: tuple[Condition, ...]


Condition = bool | Comparison | Logic


# ---------------------------------------------------------------------------- building


def _parts(expr: Expr) -> tuple[Mapping[Var | Call, int], int]:
    match expr:
        case int():
            return {}, expr
        case Sum(terms, constant):
            return dict(terms), constant
        case _:
            return {expr: 1}, 0


def _sum(factors: Mapping[Var | Call, int], constant: int) -> Expr:
    terms = tuple(sorted(((term, factor) for term, factor in factors.items() if factor), key=lambda each: show(each[0])))
    if not terms:
        return constant
    if constant == 0 and len(terms) == 1 and terms[0][1] == 1:
        return terms[0][0]
    return Sum(terms, constant)


def add(one: Expr, other: Expr) -> Expr:
    """The sum."""
    (factors, constant), (more, extra) = _parts(one), _parts(other)
    joined = dict(factors)
    for term, factor in more.items():
        joined[term] = joined.get(term, 0) + factor
    return _sum(joined, constant + extra)


def multiply(one: Expr, other: Expr) -> Expr:
    """The product; that of two expressions stays a call."""
    if isinstance(one, int):
        one, other = other, one
    if isinstance(other, int):
        factors, constant = _parts(one)
        return _sum({term: factor * other for term, factor in factors.items()}, constant * other)
    return Call("*", tuple(sorted((one, other), key=show)))


def subtract(one: Expr, other: Expr) -> Expr:
    """The difference."""
    return add(one, multiply(other, -1))


def call(op: CallOp, one: Expr, other: Expr) -> Expr:
    """An operation in its simplest form.

    Raises:
        ZeroDivisionError: a quotient or remainder by 0.
    """
    if op == "*":
        return multiply(one, other)
    if isinstance(one, int) and isinstance(other, int):
        return _apply(op, one, other)
    if op in ("min", "max"):
        return _extreme(op, one, other)
    if other == 0:
        raise ZeroDivisionError("division of a size by 0")
    if other == 1:
        return one if op == "//" else 0
    return Call(op, (one, other))


def _extreme(op: CallOp, one: Expr, other: Expr) -> Expr:
    """The smallest or largest of all that both sides list; numbers become one number."""
    listed: dict[Expr, None] = {}
    numbers: list[int] = []
    for side in (one, other):
        for each in side.args if isinstance(side, Call) and side.op == op else (side,):
            if isinstance(each, int):
                numbers.append(each)
            else:
                listed[each] = None
    if numbers:
        listed[min(numbers) if op == "min" else max(numbers)] = None
    args = tuple(sorted(listed, key=show))
    return args[0] if len(args) == 1 else Call(op, args)


def _apply(op: CallOp, one: int, other: int) -> int:
    match op:
        case "min":
            return min(one, other)
        case "max":
            return max(one, other)
        case "//":
            return one // other
        case "%":
            return one % other
        case "*":
            return one * other


def compare(op: CompareOp, left: Expr, right: Expr) -> Condition:
    """A comparison; a bool where the difference is a number."""
    difference = subtract(left, right)
    return _compared(op, difference, 0) if isinstance(difference, int) else Comparison(op, left, right)


def _compared(op: CompareOp, left: int, right: int) -> bool:
    match op:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case "==":
            return left == right
        case "!=":
            return left != right


def joined(op: Literal["and", "or"], conditions: Sequence[Condition]) -> Condition:
    """The conditions joined; a bool where all of them are known."""
    if all(isinstance(each, bool) for each in conditions):
        return all(conditions) if op == "and" else any(conditions)
    return Logic(op, tuple(conditions))


def negated(condition: Condition) -> Condition:
    """What holds where the condition does not."""
    if isinstance(condition, bool):
        return not condition
    return condition.args[0] if isinstance(condition, Logic) and condition.op == "not" else Logic("not", (condition,))


# ---------------------------------------------------------------------------- values


def evaluate(expr: Expr, values: Mapping[str, int]) -> int:
    """The number that an expression is for values of its variables.

    Raises:
        KeyError: a variable has no value.
        ZeroDivisionError: a quotient or remainder by 0.
    """
    match expr:
        case int():
            return expr
        case Var(name):
            return values[name]
        case Sum(terms, constant):
            return constant + sum(factor * evaluate(term, values) for term, factor in terms)
        case Call(op, args):
            return reduce(lambda one, other: _apply(op, one, other), (evaluate(each, values) for each in args))


def holds(condition: Condition, values: Mapping[str, int]) -> bool:
    """Whether a condition holds for values of its variables; raises as `evaluate` does."""
    match condition:
        case bool():
            return condition
        case Comparison(op, left, right):
            return _compared(op, evaluate(left, values), evaluate(right, values))
        case Logic("and", args):
            return all(holds(each, values) for each in args)
        case Logic("or", args):
            return any(holds(each, values) for each in args)
        case Logic(_, args):
            return not holds(args[0], values)


def bounds(expr: Expr, known: Mapping[str, Bounds]) -> Bounds:
    """An interval that holds every value of an expression whose variables lie in the intervals given."""
    match expr:
        case int():
            return expr, expr
        case Var(name):
            return known.get(name, (None, None))
        case Sum(terms, constant):
            found: Bounds = (constant, constant)
            for term, factor in terms:
                low, high = _scaled(bounds(term, known), factor)
                found = (_plus(found[0], low), _plus(found[1], high))
            return found
        case Call(op, args):
            return reduce(lambda one, other: _bounds_of(op, one, other), (bounds(each, known) for each in args))


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _scaled(given: Bounds, factor: int) -> Bounds:
    low, high = (None if each is None else each * factor for each in given)
    return (low, high) if factor >= 0 else (high, low)


def _bounds_of(op: CallOp, one: Bounds, other: Bounds) -> Bounds:
    (low, high), (other_low, other_high) = one, other
    if op == "min":
        return _both(op, low, other_low), _either(op, high, other_high)
    if op == "max":
        return _either(op, low, other_low), _both(op, high, other_high)
    if low is None or other_low is None or low < 0 or other_low < 0:
        return None, None
    if op == "*":
        return low * other_low, None if high is None or other_high is None else high * other_high
    if other_low == 0:
        return None, None
    if op == "//":
        return 0 if other_high is None else low // other_high, None if high is None else high // other_low
    return 0, high if other_high is None else min(other_high - 1, high if high is not None else other_high - 1)


def _both(op: CallOp, one: int | None, other: int | None) -> int | None:
    """The smaller or larger limit; none where one side has none."""
    return None if one is None or other is None else _apply(op, one, other)


def _either(op: CallOp, one: int | None, other: int | None) -> int | None:
    """The smaller or larger limit of those that there are."""
    return other if one is None else one if other is None else _apply(op, one, other)


def variables(value: Expr | Condition) -> Iterator[str]:
    """The names of all variables, with repetitions."""
    match value:
        case int():
            return
        case Var(name):
            yield name
        case Sum(terms, _):
            for term, _ in terms:
                yield from variables(term)
        case Call(_, args) | Logic(_, args):
            for each in args:
                yield from variables(each)
        case Comparison(_, left, right):
            yield from variables(left)
            yield from variables(right)


# ---------------------------------------------------------------------------- text


def show(value: Expr | Condition, name: Callable[[str], str] = str) -> str:
    """An expression or condition as text; `name` says how a variable is written."""
    match value:
        case bool() | int():
            return str(value).lower() if isinstance(value, bool) else str(value)
        case Var(text):
            return name(text)
        case Call("min" | "max" as op, args):
            return f"{op}({', '.join(show(each, name) for each in args)})"
        case Call(op, args):
            return f" {op} ".join(_grouped(each, name) for each in args)
        case Sum(terms, constant):
            return _sum_text(terms, constant, name)
        case Comparison("<" | "<=" as op, int() as left, right):  # as it was written: a number comes last
            return f"{show(right, name)} {'>' if op == '<' else '>='} {left}"
        case Comparison(op, left, right):
            return f"{show(left, name)} {op} {show(right, name)}"
        case Logic("not", args):
            return f"not ({show(args[0], name)})"
        case Logic(op, args):
            return f" {op} ".join(
                f"({show(each, name)})" if isinstance(each, Logic) and each.op != "not" else show(each, name) for each in args
            )


def _grouped(expr: Expr, name: Callable[[str], str]) -> str:
    plain = isinstance(expr, Var) or (isinstance(expr, int) and expr >= 0) or (isinstance(expr, Call) and expr.op in ("min", "max"))
    return show(expr, name) if plain else f"({show(expr, name)})"


def _sum_text(terms: tuple[tuple[Var | Call, int], ...], constant: int, name: Callable[[str], str]) -> str:
    ordered = sorted(terms, key=lambda each: each[1] < 0)  # what is added comes first
    text = str(constant) if constant > 0 and ordered[0][1] < 0 else ""
    for term, factor in ordered:
        product = show(term, name) if factor == 1 else _grouped(term, name)
        product = product if abs(factor) == 1 else f"{abs(factor)} * {product}"
        text += (f" - {product}" if factor < 0 else f" + {product}") if text else (f"-{product}" if factor < 0 else product)
    if constant and (constant < 0 or ordered[0][1] > 0):
        text += f" {'-' if constant < 0 else '+'} {abs(constant)}"
    return text
