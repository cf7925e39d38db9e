"""Every function of TpuLang is there, with the names, the order and the defaults of its parameters.

The tables are facts of TpuLang's public interface, tpu_mlir 1.30.2: `operators.txt` has the operators, `controls.txt` the other functions.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from bmlang import tpulang
from bmlang.tpulang.operator import OPERATORS

FOLDER = Path(__file__).parent


def table(name: str) -> dict[str, str]:
    """By function: its parameters as they are written in Python."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return {line.partition("(")[0]: f"({line.partition('(')[2]}" for line in lines}


def parameters(told: str) -> list[tuple[str, object]]:
    """Names and defaults of a parameter list; lists as tuples."""
    (function,) = ast.parse(f"def f{told}: ...").body
    assert isinstance(function, ast.FunctionDef)
    names, defaults = [each.arg for each in function.args.args], function.args.defaults
    values: list[object] = [inspect.Parameter.empty] * (len(names) - len(defaults))
    values += [ast.literal_eval(each) for each in defaults]
    return [(name, plain(value)) for name, value in zip(names, values, strict=True)]


def plain(value: object) -> object:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def ours(function: Callable[..., object]) -> list[tuple[str, object]]:
    found = inspect.signature(function).parameters.values()
    assert {each.kind for each in found} <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return [(each.name, plain(each.default)) for each in found]


OPERATOR_TABLE, CONTROL_TABLE = table("operators.txt"), table("controls.txt")


def test_the_operators_are_those_of_the_table() -> None:
    assert len(OPERATOR_TABLE) == 139
    assert OPERATORS.keys() == OPERATOR_TABLE.keys()


@pytest.mark.parametrize("name", OPERATOR_TABLE | CONTROL_TABLE)
def test_a_function_has_the_parameters_of_tpulang(name: str) -> None:
    assert name in tpulang.__all__
    assert ours(getattr(tpulang, name)) == parameters((OPERATOR_TABLE | CONTROL_TABLE)[name])


@pytest.mark.parametrize("name", OPERATOR_TABLE)
def test_an_operator_says_what_it_does(name: str) -> None:
    assert inspect.getdoc(getattr(tpulang, name))


def test_the_helpers_read_a_table() -> None:
    assert parameters("(a, b=[1, 2], c='x')") == [("a", inspect.Parameter.empty), ("b", (1, 2)), ("c", "x")]
