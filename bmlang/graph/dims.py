"""Sizes that vary: integers that remember how they come from the sizes of the inputs.

A function is traced once for its largest shapes, with a `Dim` for each dimension that varies. To Python it is the largest size; sums,
differences, products, quotients and remainders of it are again a `Dim`, with an expression. What Python decides by comparing one holds
for some sizes only: such comparisons are recorded as guards, and checked when the real sizes are known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.errors import GraphSizeError, SizeUseError
from tpukernel.dtypes import Dtype
from tpukernel.lang.expr import Bounds, CompareOp, Comparison, Expr, Var, add, bounds, call, compare, evaluate, multiply, show, subtract
from tpukernel.source import Position, position_of, user_frame

__all__ = [
    "Dim",
    "Guard",
    "Recorder",
    "Variation",
    "expr_of",
    "has_dims",
    "is_one",
    "recorder",
    "recording",
    "same_sizes",
    "size_element",
    "sized",
]

PACKAGES: Final = ("bmlang.layers", "bmlang.program", "bmlang.graph", "contextlib", "numpy")
_N = TypeVar("_N", int, float)


@dataclass(frozen=True)
class Guard:
    """What a function relied on when it was traced.

    Attributes:
        condition: holds for the sizes for which the graph is right.
        position: where the user's program decided by it.
    """

    condition: Comparison
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Variation:
    """What a graph whose sizes vary knows besides.

    Attributes:
        limits: the largest value of each variable, in the order in which they appear; that of a size which is found while the graph runs is
            an expression of others.
        guards: what has to hold.
        numbers: the constants of one element that are a size.
    """

    limits: Mapping[str, Expr]
    guards: tuple[Guard, ...] = ()
    numbers: Mapping[str, Expr] = field(default_factory=dict[str, Expr])

    def renamed(self, names: Mapping[str, str]) -> Variation:
        """With other names of constants."""
        return replace(self, numbers={names.get(name, name): expr for name, expr in self.numbers.items()})

    def kept(self, names: Collection[str]) -> Variation:
        """Without the constants that have other names."""
        return replace(self, numbers={name: expr for name, expr in self.numbers.items() if name in names})

    def largest(self) -> dict[str, int]:
        """The largest value of each variable."""
        found: dict[str, int] = {}
        for name, limit in self.limits.items():
            found[name] = evaluate(limit, found)
        return found


@dataclass
class Recorder:
    """The variables and guards of a function that is being traced."""

    limits: dict[str, Expr] = field(default_factory=dict[str, Expr])
    guards: dict[object, Guard] = field(default_factory=dict[object, Guard])

    def variable(self, name: str, limit: int) -> Dim:
        """A new size, which is at most the limit (an expression's is its largest value)."""
        self.limits[name] = expr_of(limit)
        return Dim(limit, Var(name))

    def decided(self, condition: Comparison, position: Position) -> None:
        """Python went on because the condition holds."""
        if not self._always(condition):
            above = add(subtract(condition.left, condition.right), int(condition.op == "<"))
            self.guards.setdefault(("<=" if condition.op == "<" else condition.op, above), Guard(condition, position))

    def _always(self, condition: Comparison) -> bool:
        known: dict[str, Bounds] = {}
        for name, limit in self.limits.items():
            known[name] = (1, bounds(limit, known)[1])
        low, high = bounds(subtract(condition.left, condition.right), known)
        match condition.op:
            case "<":
                return high is not None and high < 0
            case "<=":
                return high is not None and high <= 0
            case "!=":
                return (low is not None and low > 0) or (high is not None and high < 0)
            case "==":
                return low == high == 0


_RECORDER: ContextVar[Recorder | None] = ContextVar("_RECORDER", default=None)


@contextmanager
def recording(recorder: Recorder | None) -> Generator[None]:
    """Inside, decisions of Python on sizes are recorded; with None they are not, since they are taken again for the real sizes."""
    token = _RECORDER.set(recorder)
    try:
        yield
    finally:
        _RECORDER.reset(token)


def recorder() -> Recorder | None:
    """What records at present; None where nothing does."""
    return _RECORDER.get()


class Dim(int):
    """A size that varies: its largest value, and the expression that it is of the variables.

    Where Python or numpy take the number itself (`float(n)`, `range(n)`), a function does something else for each size. What Python lets us
    see of that is refused while a function is traced; the rest shows when the graph is compared with those of other sizes.

    Attributes:
        expr: the expression.
    """

    expr: Expr

    def __new__(cls, value: int, expr: Expr) -> Dim:
        """A size of that value."""
        made = super().__new__(cls, _plain(value))
        made.expr = expr
        return made

    def __add__(self, other: int) -> int:
        return _computed("+", self, other)

    def __radd__(self, other: int) -> int:
        return _computed("+", other, self)

    def __sub__(self, other: int) -> int:
        return _computed("-", self, other)

    def __rsub__(self, other: int) -> int:
        return _computed("-", other, self)

    def __mul__(self, other: int) -> int:
        return _computed("*", self, other)

    def __rmul__(self, other: int) -> int:
        return _computed("*", other, self)

    def __floordiv__(self, other: int) -> int:
        return _computed("//", self, other)

    def __rfloordiv__(self, other: int) -> int:
        return _computed("//", other, self)

    def __mod__(self, other: int) -> int:
        return _computed("%", self, other)

    def __rmod__(self, other: int) -> int:
        return _computed("%", other, self)

    def __divmod__(self, other: int) -> tuple[int, int]:
        return self // other, self % other

    def __rdivmod__(self, other: int) -> tuple[int, int]:
        return other // self, other % self

    def __neg__(self) -> int:
        return 0 - self

    def __pos__(self) -> int:
        return self

    def __abs__(self) -> int:
        return self if self >= 0 else -self

    def __round__(self, ndigits: object = None) -> int:
        return self

    def __lt__(self, other: int) -> bool:
        return _decided("<", self, other)

    def __le__(self, other: int) -> bool:
        return _decided("<=", self, other)

    def __gt__(self, other: int) -> bool:
        return _decided("<", other, self)

    def __ge__(self, other: int) -> bool:
        return _decided("<=", other, self)

    def __eq__(self, other: object) -> bool:
        return _decided("==", self, other)

    def __ne__(self, other: object) -> bool:
        return _decided("!=", self, other)

    __hash__ = int.__hash__

    def __bool__(self) -> bool:
        return self != 0

    def __int__(self) -> int:
        return _taken(self, int.__int__(self))

    def __float__(self) -> float:
        return _taken(self, int.__float__(self))

    def __truediv__(self, other: float) -> float:
        return _taken(self, int.__int__(self) / other)

    def __rtruediv__(self, other: float) -> float:
        return _taken(self, other / int.__int__(self))


def expr_of(size: int) -> Expr:
    """The expression of a size: a number, where it does not vary."""
    return size.expr if isinstance(size, Dim) else int(size)


def sized(value: int, expr: Expr) -> int:
    """A size with its expression; an `int` where it does not vary."""
    return expr if isinstance(expr, int) else Dim(value, expr)


def size_element(size: int, dtype: Dtype) -> NDArray[np.generic]:
    """A size as an array without dimensions.

    Raises:
        GraphSizeError: the data type does not have the number.
    """
    number = _plain(size)
    if dtype.is_int and not dtype.limits[0] <= number <= dtype.limits[1]:
        raise GraphSizeError(f"the size {number} is no {dtype.name}", help="convert the tensor that is computed with it")
    return np.asarray(number, dtype.numpy)


def is_one(size: int) -> bool:
    """Whether a size is always 1: then an operator may leave its dimension out."""
    return not isinstance(size, Dim) and size == 1


def same_sizes(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether sizes are always the same: then an operator may be left out."""
    return list(map(expr_of, one)) == list(map(expr_of, other))


def has_dims(value: object) -> bool:
    """Whether a size, or one within a tuple, varies."""
    return isinstance(value, Dim) or (isinstance(value, tuple) and any(map(has_dims, cast("Sequence[object]", value))))


_ARITHMETIC: Final[Mapping[str, tuple[Callable[[int, int], int], Callable[[Expr, Expr], Expr]]]] = {
    "+": (int.__add__, add),
    "-": (int.__sub__, subtract),
    "*": (int.__mul__, multiply),
    "//": (int.__floordiv__, partial(call, "//")),
    "%": (int.__mod__, partial(call, "%")),
}
_COMPARISONS: Final[Mapping[CompareOp, tuple[Callable[[int, int], bool], CompareOp, bool]]] = {
    "<": (int.__lt__, "<=", True),
    "<=": (int.__le__, "<", True),
    "==": (int.__eq__, "!=", False),
    "!=": (int.__ne__, "==", False),
}
"""By comparison: what it is in Python, and the opposite one, with its sides swapped or not."""


def _numbers(one: object, other: object) -> tuple[int, int] | None:
    """Both as sizes; None where one is none."""
    if isinstance(one, int | np.integer) and isinstance(other, int | np.integer):
        return cast("int", one), cast("int", other)
    return None


def _plain(size: int) -> int:
    return int.__int__(size) if isinstance(size, Dim) else int(size)


def _computed(op: str, one: object, other: object) -> int:
    numbers = _numbers(one, other)
    if numbers is None:
        return NotImplemented
    function, build = _ARITHMETIC[op]
    return sized(function(*map(_plain, numbers)), build(*map(expr_of, numbers)))


def _decided(op: CompareOp, one: object, other: object) -> bool:
    """The comparison of the numbers; that it came out so is recorded where Python can go on in two ways."""
    numbers = _numbers(one, other)
    if numbers is None:
        return NotImplemented
    function, opposite, swapped = _COMPARISONS[op]
    found, recorder = function(*map(_plain, numbers)), _RECORDER.get()
    if recorder is not None:
        left, right = map(expr_of, numbers)
        condition = compare(op, left, right) if found else compare(opposite, *((right, left) if swapped else (left, right)))
        if isinstance(condition, Comparison):
            recorder.decided(condition, position_of(user_frame(PACKAGES)))
    return found


def _taken(size: Dim, value: _N) -> _N:
    """The number itself, or what becomes of it: where nothing is traced."""
    if _RECORDER.get() is not None:
        raise SizeUseError(
            f"the size {show(size.expr)} varies, but the number that it is at present is taken",
            position=position_of(user_frame(PACKAGES)),
            help="compute with +, -, *, // and %, divide a tensor by the size, or compile for a fixed size in this dimension",
        )
    return value
