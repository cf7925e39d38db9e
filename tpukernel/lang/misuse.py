"""What an author wrote where Python asked for something that is not known, and what to write instead.

The place of the question is known from the running instruction; what stands there is read from the source text, where Python has it.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NoReturn

from tpukernel.lang.errors import OperandTypeError
from tpukernel.source import Position

__all__ = ["NoArithmetic", "advice_at"]

_CALLS: Final = {
    "min": "write `tpukernel.minimum({arguments})`",
    "max": "write `tpukernel.maximum({arguments})`",
    "range": "write `k.range({arguments})`",
    "reversed": "loop forward with k.range, and compute the index from the end",
    "sum": "add them with `+`",
    "round": "it is whole already: leave out round()",
    "bool": "compare it, and use `with k.when(...):`",
}
"""What to write instead of a call of a Python function."""


def advice_at(position: Position) -> str | None:
    """What to write instead of the Python construct at a place; None where nothing better is known than what always helps."""
    tree = _tree_of(position.file)
    return next(filter(None, map(_advice, _around(tree, position))), None) if tree is not None and position.column else None


def _tree_of(file: str) -> ast.Module | None:
    return _parsed("".join(linecache.getlines(file)))


@lru_cache(maxsize=8)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _around(tree: ast.Module, position: Position) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """The expressions and the statement around a place, from the inside out, each with the part that holds the place."""
    lines = linecache.getlines(position.file)

    def byte(line: int, column: int) -> int:
        return len(lines[line - 1][: column - 1].encode()) if 0 < line <= len(lines) else column - 1

    begin = position.line, byte(position.line, position.column)
    end = position.end_line, byte(position.end_line, position.end_column)
    path: list[ast.AST] = []
    node: ast.AST | None = tree
    while node is not None:
        path.append(node)
        node = next((each for each in ast.iter_child_nodes(node) if _holds(each, begin, end)), None)
    inner: ast.AST | None = None
    for each in reversed(path):
        yield each, inner
        if isinstance(each, ast.stmt):
            return
        inner = each


def _holds(node: ast.AST, begin: tuple[int, int], end: tuple[int, int]) -> bool:
    if isinstance(node, ast.comprehension | ast.arguments):
        return any(_holds(each, begin, end) for each in ast.iter_child_nodes(node))
    if not isinstance(node, ast.expr | ast.stmt | ast.keyword) or node.end_lineno is None or node.end_col_offset is None:
        return False
    return (node.lineno, node.col_offset) <= begin and end <= (node.end_lineno, node.end_col_offset)


def _advice(place: tuple[ast.AST, ast.AST | None]) -> str | None:
    match place:
        case (ast.BoolOp(op, values), _):
            sign = "&" if isinstance(op, ast.And) else "|"
            return f"write `{f' {sign} '.join(f'({ast.unparse(each)})' for each in values)}`"
        case (ast.UnaryOp(ast.Not(), operand), _):
            return f"write `~({ast.unparse(operand)})`"
        case (ast.Compare(left, operators, others), _) if len(operators) > 1:
            return f"write `{_compared_in_pairs(left, operators, others)}`"
        case (ast.IfExp(test), inner) if inner is test:
            return (
                f"choose a size with tpukernel.minimum or maximum; choose what happens with `with k.when({ast.unparse(test)}):`"
                f" and `with k.when(~({ast.unparse(test)})):`"
            )
        case (ast.Assert(test), inner) if inner is test:
            return f"write `k.assert_({ast.unparse(test)})`"
        case (ast.While(test), inner) if inner is test:
            return f"write a loop over all steps that there can be, `for i in k.range(...):`, and in it `with k.when({ast.unparse(test)}):`"
        case (ast.If(test, _, orelse), inner) if inner is test and orelse:
            return f"write `with k.when({ast.unparse(test)}):`, and `with k.when(~({ast.unparse(test)})):` for the other branch"
        case (ast.comprehension(), _):
            return "write a loop with k.range, and `with k.when(...):` in it"
        case (ast.Call(ast.Name(name), arguments), _) if name in _CALLS:
            return _CALLS[name].format(arguments=", ".join(map(ast.unparse, arguments)))
        case (ast.Subscript(value, index), inner) if inner is index or inner is None:
            return (
                f"{ast.unparse(value)} belongs to Python, which needs a number: make one tensor of it and take a box, or loop with"
                " Python's range"
            )
        case _:
            return None


def _compared_in_pairs(left: ast.expr, operators: list[ast.cmpop], others: list[ast.expr]) -> str:
    pairs = zip([left, *others[:-1]], operators, others, strict=True)
    return " & ".join(f"({ast.unparse(ast.Compare(one, [operator], [other]))})" for one, operator, other in pairs)


# ---------------------------------------------------------------------------- operators


def _refuse(told: str, help: str) -> Callable[..., NoReturn]:
    """A special method that refuses; `told` is what was written, with {self} and {other}."""

    def refuse(self: object, *others: object) -> NoReturn:
        from tpukernel.lang.symbols import here

        written = told.format(self=repr(self), other=repr(others[0]) if others else "")
        raise OperandTypeError(f"{written}: a tensor is memory, with which Python cannot compute", position=here(), help=help)

    return refuse


def _operation(symbol: str, name: str) -> tuple[Callable[..., NoReturn], Callable[..., NoReturn]]:
    """The operator and its reflection."""
    help = f"say where the result goes: `k.tiu.{name}(dst, a, b)`"
    return _refuse(f"{{self}} {symbol} {{other}}", help), _refuse(f"{{other}} {symbol} {{self}}", help)


class NoArithmetic:
    """Refuses Python's operators on tensors, and names the operation that does it. Otherwise numpy would take them for sequences."""

    __add__, __radd__ = _operation("+", "add")
    __sub__, __rsub__ = _operation("-", "sub")
    __mul__, __rmul__ = _operation("*", "mul")
    __truediv__, __rtruediv__ = _operation("/", "div")
    __matmul__, __rmatmul__ = _operation("@", "matmul")
    __lt__, __gt__ = _operation("<", "less")[0], _operation(">", "greater")[0]
    __le__, __ge__ = _operation("<=", "less_equal")[0], _operation(">=", "greater_equal")[0]
    __neg__ = _refuse("-{self}", "say where the result goes: `k.tiu.neg(dst, a)`")
    __abs__ = _refuse("abs({self})", "say where the result goes: `k.tiu.abs(dst, a)`")
    __int__ = __index__ = __float__ = _refuse("the number of {self}", "its elements are there only when the program runs")
    __array__ = _refuse("numpy on {self}", "use the operations of k.tiu; numpy's are for arrays outside of the kernel")
    __setitem__ = _refuse(
        "assignment to elements of {self}", "write `k.tiu.fill(a[...], number)`, `k.tiu.copy(a[...], b)` or `k.dma.load(a[...], x)`"
    )
