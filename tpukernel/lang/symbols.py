"""What a kernel sees of integer expressions: numbers with arithmetic and comparison, but without a value while the kernel is traced."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn

from tpukernel.lang.errors import SymbolicValueError
from tpukernel.lang.expr import CallOp, CompareOp, Condition, Expr, add, call, compare, joined, multiply, negated, show, subtract
from tpukernel.lang.misuse import advice_at
from tpukernel.source import Position, assigned_name, position_of, user_frame

__all__ = [
    "Size",
    "SymBool",
    "SymInt",
    "align",
    "assigned",
    "at_place",
    "cdiv",
    "condition_of",
    "expr_of",
    "here",
    "maximum",
    "minimum",
    "size_of",
]

PACKAGES = ("tpukernel.lang", "contextlib")


_PLACE: ContextVar[Position | None] = ContextVar("_PLACE", default=None)
"""The place in the text of a kernel that is being executed; None while Python is."""


def here() -> Position:
    """The place in the user's source that is being executed, in Python or in the text of a kernel."""
    return _PLACE.get() or position_of(user_frame(PACKAGES))


def assigned() -> str | None:
    """The Python variable that gets what is being made; None where there is no single one."""
    return None if _PLACE.get() else assigned_name(user_frame(PACKAGES))


@contextmanager
def at_place(position: Position | None) -> Generator[None]:
    """What is done inside is done at this place of a text; None: by Python again."""
    before = _PLACE.set(position)
    try:
        yield
    finally:
        _PLACE.reset(before)


class SymBool:
    """A condition on sizes. Conditions are joined by `&`, `|` and `~`; `k.when` and `k.assert_` take them."""

    __slots__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def __and__(self, other: SymBool | bool) -> SymBool:
        return SymBool(joined("and", (self.condition, condition_of(other))))

    __rand__ = __and__

    def __or__(self, other: SymBool | bool) -> SymBool:
        return SymBool(joined("or", (self.condition, condition_of(other))))

    __ror__ = __or__

    def __invert__(self) -> SymBool:
        return SymBool(negated(self.condition))

    def __bool__(self) -> bool:
        """Raise, unless the condition is known.

        Raises:
            SymbolicValueError: it is not known while the kernel is traced.
        """
        if isinstance(self.condition, bool):
            return self.condition
        place = here()
        help = f"write `with k.when({show(self.condition)}):` around what depends on it; join conditions by & and |"
        raise SymbolicValueError(
            f"whether {show(self.condition)} is not known while the kernel is traced", position=place, help=advice_at(place) or help
        )

    def __repr__(self) -> str:
        return show(self.condition)


class SymInt:
    """A size that is known only when the kernel is elaborated: a loop index, or what is computed from one.

    `+`, `-`, `*`, `//`, `%` and comparisons work as for `int`; `tpukernel.minimum`, `maximum` and `cdiv` take the place of `min`, `max` and
    rounding up.
    """

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    def __add__(self, other: Size) -> SymInt:
        return SymInt(add(self.expr, expr_of(other)))

    __radd__ = __add__

    def __sub__(self, other: Size) -> SymInt:
        return SymInt(subtract(self.expr, expr_of(other)))

    def __rsub__(self, other: Size) -> SymInt:
        return SymInt(subtract(expr_of(other), self.expr))

    def __mul__(self, other: Size) -> SymInt:
        return SymInt(multiply(self.expr, expr_of(other)))

    __rmul__ = __mul__

    def __floordiv__(self, other: Size) -> SymInt:
        return SymInt(_checked_call("//", self, other))

    def __rfloordiv__(self, other: Size) -> SymInt:
        return SymInt(_checked_call("//", other, self))

    def __mod__(self, other: Size) -> SymInt:
        return SymInt(_checked_call("%", self, other))

    def __rmod__(self, other: Size) -> SymInt:
        return SymInt(_checked_call("%", other, self))

    def __truediv__(self, other: Size) -> NoReturn:
        raise _no_size(f"{self!r} / {other!r}", "is no whole number", "divide with // (rounds down) or tpukernel.cdiv (rounds up)")

    def __rtruediv__(self, other: Size) -> NoReturn:
        raise _no_size(f"{other!r} / {self!r}", "is no whole number", "divide with // (rounds down) or tpukernel.cdiv (rounds up)")

    def __pow__(self, other: Size) -> NoReturn:
        raise _no_size(f"{self!r} ** {other!r}", _NOT_ONE_OF, "multiply")

    def __lshift__(self, other: Size) -> NoReturn:
        raise _no_size(f"{self!r} << {other!r}", _NOT_ONE_OF, "multiply by a power of two")

    def __rshift__(self, other: Size) -> NoReturn:
        raise _no_size(f"{self!r} >> {other!r}", _NOT_ONE_OF, "divide by a power of two with //")

    def __and__(self, other: object) -> NoReturn:
        raise _no_size(f"{self!r} & {other!r}", _NOT_ONE_OF, "take the remainder with %; conditions, as w0 > 0, are joined by &")

    def __or__(self, other: object) -> NoReturn:
        raise _no_size(f"{self!r} | {other!r}", _NOT_ONE_OF, "add; conditions, as w0 > 0, are joined by |")

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        raise _no_size(f"{self!r} as text of the form {spec!r}", "is not known while the kernel is traced", "print it with k.print")

    def __neg__(self) -> SymInt:
        return SymInt(multiply(self.expr, -1))

    def __pos__(self) -> SymInt:
        return self

    def __lt__(self, other: Size) -> SymBool:
        return _compared("<", self, other)

    def __le__(self, other: Size) -> SymBool:
        return _compared("<=", self, other)

    def __gt__(self, other: Size) -> SymBool:
        return _compared("<", other, self)

    def __ge__(self, other: Size) -> SymBool:
        return _compared("<=", other, self)

    def __eq__(self, other: object) -> SymBool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return _compared("==", self, other) if isinstance(other, int | SymInt) else SymBool(condition=False)

    def __ne__(self, other: object) -> SymBool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return _compared("!=", self, other) if isinstance(other, int | SymInt) else SymBool(condition=True)

    def __hash__(self) -> int:
        return hash(self.expr)

    def __bool__(self) -> bool:
        return self._number("its truth", f"use `with k.when({show(self.expr)} != 0):`") != 0

    def __index__(self) -> int:
        return self._number("the number itself", "loop with `for i in k.range(...)`; sizes and offsets of k.* take it as it is")

    def __int__(self) -> int:
        return self._number("the number itself", "sizes and offsets of k.* take it as it is")

    def __float__(self) -> float:
        return float(self._number("the number itself", "constants of operations must be known while the kernel is traced"))

    def __len__(self) -> int:
        return self._number("a length", "take the size from `.shape`")

    def __iter__(self) -> NoReturn:
        raise self._unknown("a sequence of its values", f"use `for i in k.range({show(self.expr)}):`")

    def _number(self, wanted: str, help: str) -> int:
        if isinstance(self.expr, int):
            return self.expr
        raise self._unknown(wanted, help)

    def _unknown(self, wanted: str, help: str) -> SymbolicValueError:
        message = f"{show(self.expr)} is not known while the kernel is traced, but Python asks for {wanted}"
        place = here()
        return SymbolicValueError(message, position=place, help=advice_at(place) or help)

    def __repr__(self) -> str:
        return show(self.expr)


Size = int | SymInt
"""A number, or one that is known later."""


def expr_of(size: Size) -> Expr:
    """The expression of a size."""
    return size.expr if isinstance(size, SymInt) else size.__index__()


def size_of(expr: Expr) -> Size:
    """What a kernel sees of an expression: an `int` where it is one."""
    return expr if isinstance(expr, int) else SymInt(expr)


def condition_of(value: SymBool | bool) -> Condition:
    """The condition of a truth value."""
    return value.condition if isinstance(value, SymBool) else bool(value)


_NOT_ONE_OF = "is none of the operations on sizes, + - * // %, comparisons, minimum and maximum"


def _no_size(what: str, why: str, help: str) -> SymbolicValueError:
    return SymbolicValueError(f"{what} {why}", position=here(), help=help)


def _compared(op: CompareOp, one: Size, other: Size) -> SymBool:
    return SymBool(compare(op, expr_of(one), expr_of(other)))


def _checked_call(op: CallOp, one: Size, other: Size) -> Expr:
    try:
        return call(op, expr_of(one), expr_of(other))
    except ZeroDivisionError:
        raise SymbolicValueError(f"{one!r} {op} {other!r} divides by 0", position=here(), help="divide by a size above 0") from None


def minimum(one: Size, *others: Size) -> Size:
    """The smallest of sizes; for use where `min` would need to know them."""
    found = expr_of(one)
    for other in others:
        found = call("min", found, expr_of(other))
    return size_of(found)


def maximum(one: Size, *others: Size) -> Size:
    """The largest of sizes; for use where `max` would need to know them."""
    found = expr_of(one)
    for other in others:
        found = call("max", found, expr_of(other))
    return size_of(found)


def cdiv(size: Size, unit: Size) -> Size:
    """How many units cover a size: the quotient, rounded up.

    Raises:
        SymbolicValueError: the unit is 0.
    """
    expr, divisor = expr_of(size), expr_of(unit)
    return size_of(_checked_call("//", size_of(subtract(add(expr, divisor), 1)), size_of(divisor)))


def align(size: Size, unit: Size) -> Size:
    """The smallest multiple of a unit that is not below the size."""
    return size_of(multiply(expr_of(cdiv(size, unit)), expr_of(unit)))
