"""Sizes that vary in the text of a graph: expressions, the variables that they are made of, and guards."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from bmlang.graph.dims import Guard, Variation, sized
from bmlang.graph.errors import GraphLimitError, GraphNameError, GraphSizeError
from tpukernel.lang.expr import CallOp, CompareOp, Comparison, Expr, Var, add, call, compare, evaluate, multiply
from tpukernel.source import Position

if TYPE_CHECKING:
    from lark import Token, Tree

__all__ = ["MAX_WORDS", "Branch", "SizeReader"]

MAX_WORDS: Final = 256
"""Numbers, names and signs of one expression."""
LARGEST: Final = 1 << 70
Branch: TypeAlias = "Tree[Token]"
_COMPARISONS: Final[dict[str, tuple[CompareOp, bool]]] = {
    "<": ("<", False),
    "<=": ("<=", False),
    ">": ("<", True),
    ">=": ("<=", True),
    "==": ("==", False),
    "!=": ("!=", False),
}
"""By sign: the comparison, and whether its sides are swapped."""


class SizeReader:
    """Reads the sizes of one text.

    Args:
        place: the place of a branch of the syntax tree in the text.
    """

    def __init__(self, place: Callable[[Branch], Position]) -> None:
        self._place = place
        self._limits: dict[str, Expr] = {}
        self._largest: dict[str, int] = {}
        self._guards: list[Guard] = []
        self.numbers: dict[str, Expr] = {}

    def variation(self) -> Variation | None:
        """What was read; None where no size varies."""
        return Variation(self._limits, tuple(self._guards), self.numbers) if self._limits else None

    def knows(self, name: str) -> bool:
        """Whether there is a variable of the name."""
        return name in self._limits

    def size(self, tree: Branch) -> int:
        """A dimension. One with a limit is a new variable.

        Raises:
            GraphNameError: the variable is there already, or is not known.
            GraphLimitError, GraphSizeError: as of `expr`.
        """
        first, *limit = [each for each in tree.children if hasattr(each, "children")]
        if not limit:
            return self.measured(cast("Branch", first))
        name = _only_name(cast("Branch", first))
        if name is None or name in self._limits:
            raise GraphNameError(
                f"the size {name} has two limits" if name else "an expression has a limit",
                position=self._place(tree),
                help="a limit belongs to the first place where a size stands alone",
            )
        largest = self.expr(cast("Branch", limit[0]))
        self._largest[name] = self._number(largest, tree)
        self._limits[name] = largest
        return sized(self._largest[name], Var(name))

    def measured(self, tree: Branch) -> int:
        """An expression with the number that it is for the largest sizes; raises as `expr`."""
        expr = self.expr(tree)
        return sized(self._number(expr, tree), expr)

    def guard(self, tree: Branch) -> None:
        """What has to hold; raises as `expr`."""
        left, sign, right = tree.children
        op, swapped = _COMPARISONS[str(sign)]
        one, other = self.expr(cast("Branch", left)), self.expr(cast("Branch", right))
        condition = compare(op, *((other, one) if swapped else (one, other)))
        if condition is False:
            raise GraphSizeError("what is required never holds", position=self._place(tree))
        if isinstance(condition, Comparison):
            self._guards.append(Guard(condition, self._place(tree)))

    def expr(self, tree: Branch) -> Expr:
        """An expression.

        Raises:
            GraphNameError: it has a variable that is not known.
            GraphLimitError: it is too long.
            GraphSizeError: it divides by 0.
        """
        if sum(1 for _ in tree.scan_values(lambda _: True)) > MAX_WORDS:
            raise GraphLimitError("the expression of a size is too long", position=self._place(tree), help=f"{MAX_WORDS} words are allowed")
        try:
            return self._expr(tree)
        except ZeroDivisionError:
            raise GraphSizeError("a size is divided by 0", position=self._place(tree)) from None

    def _expr(self, tree: Branch) -> Expr:
        match tree.data:
            case "integer":
                return int(cast("Token", tree.children[0]))
            case "variable" | "dtype":
                name = str(tree.children[0])
                if name not in self._limits:
                    raise GraphNameError(
                        f"there is no size {name}", position=self._place(tree), help="say its limit where it first stands: x_0 <= 8"
                    )
                return Var(name)
            case "extreme":
                word, *given = tree.children
                if str(word) not in ("min", "max"):
                    raise GraphNameError(f"there is no function {word} of sizes", position=self._place(tree), help="there are min and max")
                return reduce(lambda one, other: call(cast("CallOp", str(word)), one, other), map(self._expr, cast("list[Branch]", given)))
            case "measure":
                return self._expr(cast("Branch", tree.children[0]))
            case _:
                return self._joined(list(tree.children))

    def _joined(self, children: list[Branch | Token]) -> Expr:
        """Operands with signs between them, from left to right; a sum may begin with a sign."""
        negative = not hasattr(children[0], "children")
        found = self._expr(cast("Branch", children[negative]))
        found = multiply(found, -1) if negative else found
        rest = children[1 + negative :]
        for sign, operand in zip(rest[::2], rest[1::2], strict=True):
            other = self._expr(cast("Branch", operand))
            match str(sign):
                case "+":
                    found = add(found, other)
                case "-":
                    found = add(found, multiply(other, -1))
                case op:
                    found = call(cast("CallOp", op), found, other)
        return found

    def _number(self, expr: Expr, tree: Branch) -> int:
        try:
            found = evaluate(expr, self._largest)
        except ZeroDivisionError:
            raise GraphSizeError("a size is divided by 0", position=self._place(tree)) from None
        if abs(found) > LARGEST:
            raise GraphLimitError("a size is larger than any memory", position=self._place(tree))
        return found


def _only_name(tree: Branch) -> str | None:
    """The variable that an expression is; None for any other one."""
    while len(tree.children) == 1 and hasattr(tree.children[0], "children"):
        tree = cast("Branch", tree.children[0])
    return str(tree.children[0]) if tree.data == "variable" else None
