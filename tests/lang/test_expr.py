"""Integer expressions: values, bounds, normal form, text."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tpukernel as tpu
from tpukernel.lang.errors import SymbolicValueError
from tpukernel.lang.expr import CallOp, Expr, Var, add, bounds, call, evaluate, multiply, show, subtract
from tpukernel.lang.symbols import Size, SymInt, expr_of

NAMES = ("i", "j", "n")
VALUES = st.fixed_dictionaries({name: st.integers(0, 40) for name in NAMES})
CALLS: tuple[CallOp, ...] = ("min", "max", "//", "%")


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    divisors = st.integers(1, 9)
    return st.one_of(
        st.builds(add, inner, inner),
        st.builds(subtract, inner, inner),
        st.builds(multiply, inner, st.integers(-5, 5)),
        st.builds(call, st.sampled_from(CALLS[:2]), inner, inner),
        st.builds(call, st.sampled_from(CALLS[2:]), inner, divisors),
    )


EXPRS: st.SearchStrategy[Expr] = st.recursive(st.sampled_from(NAMES).map(Var) | st.integers(-20, 20), grown, max_leaves=8)


def python_of(expr: Expr, values: Mapping[str, int]) -> int:
    """The value of the text, as Python computes it."""
    found = eval(show(expr), {"min": min, "max": max}, dict(values))  # noqa: S307 - text that we made
    assert isinstance(found, int)
    return found


@given(EXPRS, VALUES)
def test_text_means_the_value(expr: Expr, values: Mapping[str, int]) -> None:
    assert python_of(expr, values) == evaluate(expr, values)


@given(EXPRS, EXPRS, VALUES)
def test_operations_have_the_values_of_numbers(one: Expr, other: Expr, values: Mapping[str, int]) -> None:
    a, b = evaluate(one, values), evaluate(other, values)
    assert evaluate(add(one, other), values) == a + b
    assert evaluate(subtract(one, other), values) == a - b
    assert evaluate(multiply(one, other), values) == a * b
    assert evaluate(call("min", one, other), values) == min(a, b)
    assert evaluate(call("max", one, other), values) == max(a, b)


@given(EXPRS, VALUES)
def test_bounds_hold_the_value(expr: Expr, values: Mapping[str, int]) -> None:
    low, high = bounds(expr, dict.fromkeys(NAMES, (0, 40)))
    value = evaluate(expr, values)
    assert (low is None or low <= value) and (high is None or value <= high)


@given(EXPRS, EXPRS)
def test_sums_have_one_form(one: Expr, other: Expr) -> None:
    assert subtract(add(one, other), other) == one
    assert add(one, other) == add(other, one)


def test_sizes() -> None:
    i = SymInt(Var("i"))
    assert repr(tpu.minimum(64, 100 - i)) == "min(100 - i, 64)"
    assert repr(tpu.cdiv(i, 64)) == "(i + 63) // 64"
    assert repr(tpu.align(i, 8)) == "8 * ((i + 7) // 8)"
    assert tpu.cdiv(65, 64) == 2
    assert repr((i > 3) & ~(i == 5)) == "i > 3 and not (i == 5)"
    assert repr(1 + i * 2 - i) == "i + 1"
    assert expr_of(i + 4 - i) == 4


def sizes_that_fail() -> dict[str, object]:
    i: Size = SymInt(Var("i"))
    return {"if": lambda: bool(i > 3), "range": lambda: range(i), "int": lambda: int(i), "list": lambda: list(i), "len": lambda: len(i)}  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["if", "range", "int", "list", "len"])
def test_python_cannot_have_the_number(name: str) -> None:
    action = sizes_that_fail()[name]
    assert callable(action)
    with pytest.raises(SymbolicValueError, match="not known while the kernel is traced"):
        action()
